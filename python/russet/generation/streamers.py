"""Objects that are given a text while it is generated, with the names and arguments of transformers' streamers.

``generate`` gives a streamer the prompt's ids by ``put``. What follows goes as text to those that have ``put_text``, as ours do, so
that nothing from a stop string on is shown; to others, such as transformers' own, each id goes by ``put``.
"""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from russet.generation.text import GenerationPiece, core_of

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncTextIteratorStreamer", "BaseStreamer", "Streamer", "TextIteratorStreamer", "TextStreamer", "give"]


class Streamer(Protocol):
    """What ``generate`` asks of a streamer."""

    def put(self, value: Any) -> None: ...

    def end(self) -> None: ...


class BaseStreamer:
    """What streamers of your own can inherit from."""

    def put(self, value: Any) -> None:
        """Takes ids: those of the prompt, (1, n), then each that follows, (1,)."""
        raise NotImplementedError

    def end(self) -> None:
        """Takes notice of the end."""
        raise NotImplementedError


class TextStreamer(BaseStreamer):
    """Prints the text as it becomes certain.

    ``skip_prompt`` leaves the prompt out. Of ``decode_kwargs``, ``skip_special_tokens`` counts, for the prompt and for ids that are
    put by hand; the text that ``generate`` gives is as its own arguments say.
    """

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        self.tokenizer = tokenizer
        self.skip_prompt = skip_prompt
        self.decode_kwargs = decode_kwargs
        self._next_is_prompt = True
        self._stream = self._new_stream()

    def _new_stream(self) -> Any:
        skip = self.decode_kwargs.get("skip_special_tokens", True)
        return core_of(self.tokenizer).decode_stream(skip_special_tokens=skip, on_unknown="skip")

    def put(self, value: Any) -> None:
        """Takes ids, (n,) or (1, n): first those of the prompt, then those that follow."""
        ids = np.asarray(value)
        if ids.ndim > 1 and len(ids) > 1:
            raise ValueError("a TextStreamer takes one sequence")
        is_prompt, self._next_is_prompt = self._next_is_prompt, False
        if is_prompt and self.skip_prompt:
            return
        self.on_finalized_text("".join([self._stream.step(token) for token in ids.ravel().tolist()]))

    def put_text(self, text: str) -> None:
        """Takes text that follows what was put as ids."""
        self.on_finalized_text(self._stream.finish() + text)

    def end(self) -> None:
        """Gives what was held back, and makes ready for another text."""
        self._next_is_prompt = True
        self.on_finalized_text(self._stream.finish(), stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Is called with each certain text, and once more at the end: the method to override."""
        print(text, flush=True, end="\n" if stream_end else "")


class TextIteratorStreamer(TextStreamer):
    """An iterator of the text, for another thread than the one that generates.

    ``timeout`` is how many seconds a text is waited for; then ``queue.Empty`` is raised. ``None`` waits without end.
    """

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs: Any) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.text_queue: Queue[str | None] = Queue()
        self.timeout = timeout

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Queues the text."""
        if text:
            self.text_queue.put(text)
        if stream_end:
            self.text_queue.put(None)

    def __iter__(self) -> TextIteratorStreamer:
        return self

    def __next__(self) -> str:
        text = self.text_queue.get(timeout=self.timeout)
        if text is None:
            raise StopIteration
        return text


class AsyncTextIteratorStreamer(TextStreamer):
    """An asynchronous iterator of the text, for a coroutine, while another thread generates. It has to be made in the event loop.

    ``timeout`` is how many seconds a text is waited for; then ``TimeoutError`` is raised. ``None`` waits without end.
    """

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs: Any) -> None:
        import asyncio

        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.text_queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.timeout = timeout
        self.loop = asyncio.get_running_loop()

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Queues the text, from whatever thread."""
        if text:
            self.loop.call_soon_threadsafe(self.text_queue.put_nowait, text)
        if stream_end:
            self.loop.call_soon_threadsafe(self.text_queue.put_nowait, None)

    def __aiter__(self) -> AsyncTextIteratorStreamer:
        return self

    async def __anext__(self) -> str:
        import asyncio

        try:
            text = await asyncio.wait_for(self.text_queue.get(), self.timeout)
        except asyncio.TimeoutError:
            # Another class than the built-in one before Python 3.11.
            raise TimeoutError(f"no text came for {self.timeout} s") from None
        if text is None:
            raise StopAsyncIteration
        return text


def give(streamer: Streamer, piece: GenerationPiece) -> None:
    """Gives a streamer what a piece has for it."""
    put_text = getattr(streamer, "put_text", None)
    if put_text is not None:
        put_text(piece.text)
    elif piece.token is not None:
        streamer.put(np.array([piece.token]))
