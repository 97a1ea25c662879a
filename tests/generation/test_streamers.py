"""Streamers are given what comes, when it comes."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import numpy as np
import pytest
from table_model import TableModel

import russet
from fixtures import content
from russet.generation import (
    AsyncTextIteratorStreamer,
    BaseStreamer,
    TextIteratorStreamer,
    TextStreamer,
    astream_generate,
    generate,
    stream_generate,
)

TOKENIZER = russet.Tokenizer.from_str(content("bpe-gpt2"))
PROMPT = "the quick"


def model() -> TableModel:
    return TableModel(TOKENIZER.get_vocab_size(), seed=3)


class Ids(BaseStreamer):
    """A streamer that knows ids alone, as those of transformers do."""

    def __init__(self) -> None:
        self.values: list[np.ndarray] = []
        self.ends = 0

    def put(self, value: Any) -> None:
        self.values.append(value)

    def end(self) -> None:
        self.ends += 1


def test_a_streamer_of_ids_is_given_the_prompt_and_each_id() -> None:
    streamer = Ids()
    result = generate(model(), PROMPT, TOKENIZER, max_new_tokens=9, streamer=streamer)
    assert streamer.values[0].tolist() == [TOKENIZER.encode(PROMPT).ids]
    assert [value.tolist() for value in streamer.values[1:]] == [[token] for token in result.token_ids]
    assert streamer.ends == 1


@pytest.mark.parametrize("skip_prompt", [True, False])
@pytest.mark.parametrize("stop_strings", [None, "XYZ"])
def test_text_is_printed(capsys: pytest.CaptureFixture[str], skip_prompt: bool, stop_strings: str | None) -> None:
    streamer = TextStreamer(TOKENIZER, skip_prompt=skip_prompt)
    for _ in range(2):
        result = generate(model(), PROMPT, TOKENIZER, max_new_tokens=20, streamer=streamer, stop_strings=stop_strings)
        assert capsys.readouterr().out == ("" if skip_prompt else PROMPT) + result.text + "\n"


def test_nothing_from_a_stop_string_on_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    whole = generate(model(), PROMPT, TOKENIZER, max_new_tokens=20).text
    stop = whole[len(whole) // 2 :][:5]
    generate(model(), PROMPT, TOKENIZER, max_new_tokens=20, stop_strings=stop, streamer=TextStreamer(TOKENIZER, True))
    assert capsys.readouterr().out == whole[: whole.index(stop)] + "\n"


def test_ids_can_be_put_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """As transformers' generate does; it takes tensors, of which ``tolist`` and the shape are asked."""
    ids = TOKENIZER.encode("one two café ☃", add_special_tokens=False).ids
    streamer = TextStreamer(TOKENIZER)
    streamer.put(np.array([ids[:2]]))
    for each in ids[2:]:
        streamer.put(np.array([each]))
    streamer.end()
    assert capsys.readouterr().out == "one two café ☃\n"
    with pytest.raises(ValueError, match="one sequence"):
        streamer.put(np.array([[1], [2]]))


@pytest.mark.parametrize("skip_special_tokens", [True, False])
def test_special_tokens_are_shown_if_asked_for(capsys: pytest.CaptureFixture[str], skip_special_tokens: bool) -> None:
    streamer = TextStreamer(TOKENIZER, skip_special_tokens=skip_special_tokens)
    streamer.put(np.array([0]))
    streamer.end()
    assert capsys.readouterr().out == ("\n" if skip_special_tokens else "<|endoftext|>\n")


def test_another_thread_iterates() -> None:
    streamer = TextIteratorStreamer(TOKENIZER, skip_prompt=True, timeout=60)
    values = {"max_new_tokens": 20, "streamer": streamer}
    thread = threading.Thread(target=generate, args=(model(), PROMPT, TOKENIZER), kwargs=values)
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == generate(model(), PROMPT, TOKENIZER, max_new_tokens=20).text


def test_an_iterator_waits_for_so_long() -> None:
    with pytest.raises(queue.Empty):
        next(TextIteratorStreamer(TOKENIZER, timeout=0.01))


def test_whoever_waits_is_told_of_the_end_when_the_model_fails() -> None:
    class Fails(TableModel):
        def logits(self, ids: Any) -> Any:
            if len(ids) > 6:
                raise OSError("the model is gone")
            return super().logits(ids)

    streamer = TextIteratorStreamer(TOKENIZER, timeout=60)
    with pytest.raises(OSError, match="gone"):
        generate(Fails(TOKENIZER.get_vocab_size()), [1, 2, 3], TOKENIZER, streamer=streamer)
    assert len("".join(streamer)) > 0


def test_a_coroutine_iterates() -> None:
    async def text() -> str:
        streamer = AsyncTextIteratorStreamer(TOKENIZER, skip_prompt=True, timeout=60)
        values = {"max_new_tokens": 20, "streamer": streamer}
        thread = threading.Thread(target=generate, args=(model(), PROMPT, TOKENIZER), kwargs=values)
        thread.start()
        pieces = [piece async for piece in streamer]
        thread.join()
        return "".join(pieces)

    assert asyncio.run(text()) == generate(model(), PROMPT, TOKENIZER, max_new_tokens=20).text


def test_a_coroutine_waits_for_so_long() -> None:
    async def wait() -> None:
        await AsyncTextIteratorStreamer(TOKENIZER, timeout=0.01).__anext__()

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


def test_a_streamer_takes_one_sequence() -> None:
    for values in ({"num_beams": 2}, {"num_return_sequences": 2, "temperature": 1.0}):
        streamer = Ids()
        with pytest.raises(russet.ArgumentError, match="streamer"):
            generate(model(), [1], streamer=streamer, **values)
        assert streamer.ends == 0


# astream_generate


def test_an_asynchronous_stream_is_the_stream() -> None:
    async def pieces() -> list[Any]:
        return [piece async for piece in astream_generate(model(), PROMPT, TOKENIZER, max_new_tokens=15)]

    expected = list(stream_generate(model(), PROMPT, TOKENIZER, max_new_tokens=15))
    assert [(piece.text, piece.token) for piece in asyncio.run(pieces())] == [(piece.text, piece.token) for piece in expected]


def test_the_event_loop_runs_while_the_model_does() -> None:
    ticked = threading.Event()

    class Waits(TableModel):
        def logits(self, ids: Any) -> Any:
            assert ticked.wait(60)
            return super().logits(ids)

    async def run() -> int:
        asyncio.get_running_loop().call_later(0.01, ticked.set)
        return len([piece async for piece in astream_generate(Waits(), [1], max_new_tokens=3)])

    assert asyncio.run(run()) == 3


def test_a_cancelled_task_ends_the_generation() -> None:
    model = TableModel()
    runs = threading.Event()
    goes_on = threading.Event()

    class Waits(TableModel):
        def logits(self, ids: Any) -> Any:
            if len(ids) == 4:
                runs.set()
                assert goes_on.wait(60)
            return super().logits(ids)

    model = Waits()

    async def consume() -> None:
        async for _ in astream_generate(model, [1], max_new_tokens=4000):
            pass

    async def run() -> None:
        task = asyncio.create_task(consume())
        while not runs.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0.01)
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    # The step that ran has ended; no other has begun.
    for thread in threading.enumerate():
        if thread.name.startswith("russet-generation"):
            thread.join(60)
    assert model.reads == 4
    assert len(generate(model, [1], max_new_tokens=2).token_ids) == 2


def test_what_is_wrong_is_told_when_it_is_asked_for() -> None:
    async def run() -> None:
        async for _ in astream_generate(TableModel(), [1], top_p=2.0):
            pass

    with pytest.raises(russet.ArgumentError):
        asyncio.run(run())
    for prompt, values in (([99], {}), ([1], {"top_p": 2.0}), ([1], {"num_keep": 4095, "on_context_end": "slide"})):
        with pytest.raises(russet.ArgumentError):
            stream_generate(TableModel(), prompt, **values)
