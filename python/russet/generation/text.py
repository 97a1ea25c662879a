"""What a generation gives: pieces of text as they come, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from russet.errors import MissingTokenizerError
from russet.generation.loop import FinishReason
from russet.generation.stopping import StopStrings

__all__ = ["AnyTokenizer", "Detokenizer", "Generation", "GenerationPiece", "Timings", "Usage", "core_of"]


@dataclass(slots=True)
class GenerationPiece:
    """One token of a stream and the text that became certain with it, in the shape of mlx-lm's ``GenerationResponse``.

    The texts of all pieces, end to end, are the whole text. The last piece has a ``finish_reason``.
    """

    #: May be empty: where a character is not complete yet, where a stop string may have begun, and without a tokenizer.
    text: str
    #: The id; ``None`` in a last piece where the generation was cancelled before there was one.
    token: int | None
    #: The natural logarithm of the token's probability in the model's own distribution; with ``logprobs=True``.
    logprob: float | None = None
    #: The most probable ids with theirs; with ``top_logprobs``.
    top_logprobs: list[tuple[int, float]] | None = None
    #: Whether a draft had the token.
    from_draft: bool = False
    prompt_tokens: int = 0
    #: Tokens of the prompt per second; those that a prompt cache had already do not count.
    prompt_tps: float = 0.0
    generation_tokens: int = 0
    generation_tps: float = 0.0
    finish_reason: FinishReason | None = None
    #: Which of ``num_return_sequences`` it belongs to.
    index: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How many tokens."""

    prompt_tokens: int
    completion_tokens: int
    #: Those of the prompt that a prompt cache had already.
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """How long, in seconds."""

    prompt: float
    generation: float


@dataclass(frozen=True)
class Generation:
    """A generated text with all that is known of it. ``str(generation)`` is the text."""

    #: The generated ids, with the one that ended the text.
    token_ids: list[int]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    #: The logarithm of each token's probability in the model's own distribution; with ``logprobs=True``.
    logprobs: list[float] | None = None
    #: For each token the most probable ids with theirs; with ``top_logprobs``.
    top_logprobs: list[list[tuple[int, float]]] | None = None
    #: The stop string that ended the text.
    stop_string: str | None = None
    #: Of beam search: the sum of the log-probabilities, divided by the length to the power of ``length_penalty``.
    score: float | None = None
    seed: int | None = None
    _text: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The text, without special tokens and up to a stop string.

        Raises:
            MissingTokenizerError: if there was no tokenizer.
        """
        if self._text is None:
            raise MissingTokenizerError("there was no tokenizer: pass tokenizer= to generate, or when the model is loaded")
        return self._text

    def __str__(self) -> str:
        return self.text


class TextTokenizer(Protocol):
    """What is asked of a tokenizer; :class:`russet.Tokenizer` has it."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> Any: ...

    def decode_stream(self, *, skip_special_tokens: bool = True, on_unknown: Any = "error") -> Any: ...


class ChatTokenizer(Protocol):
    """What is asked of a tokenizer that writes conversations; :class:`russet.PreTrainedTokenizer` has it."""

    @property
    def core(self) -> TextTokenizer:
        """What texts are made with."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]: ...

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...


#: A tokenizer of either kind.
AnyTokenizer = TextTokenizer | ChatTokenizer


def core_of(tokenizer: AnyTokenizer) -> TextTokenizer:
    """What makes texts of ids."""
    return cast("TextTokenizer", getattr(tokenizer, "core", tokenizer))


class Detokenizer:
    """Text from ids as they come, up to a stop string. Without a tokenizer there is none."""

    def __init__(
        self, tokenizer: TextTokenizer | None, stops: Sequence[str], eos_ids: frozenset[int], skip_special_tokens: bool = True
    ) -> None:
        # Models have ids beyond the tokenizer's vocabulary: rows that fill up a matrix.
        self._stream: Any = None
        if tokenizer is not None:
            self._stream = tokenizer.decode_stream(skip_special_tokens=skip_special_tokens, on_unknown="skip")
        self._stops = StopStrings(stops) if stops else None
        self._eos_ids = eos_ids

    @property
    def stop_string(self) -> str | None:
        """The stop string that was found."""
        return None if self._stops is None else self._stops.found

    def push(self, token: int) -> str:
        """The text that is certain with this id. That of an id that ends the text is left out."""
        if self._stream is None or token in self._eos_ids:
            return ""
        text: str = self._stream.step(token)
        return text if self._stops is None else self._stops.push(text)

    def finish(self) -> str:
        """The text that was held back."""
        if self._stream is None:
            return ""
        text: str = self._stream.finish()
        return text if self._stops is None else self._stops.push(text) + self._stops.finish()
