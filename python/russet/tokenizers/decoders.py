"""Decoders: how tokens become text again."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from typing import TYPE_CHECKING, Any

from russet import _core
from russet.tokenizers import _component
from russet.tokenizers._component import Component, field

if TYPE_CHECKING:
    from russet.tokenizers._tokenizer import Tokenizer

__all__ = [
    "CTC",
    "BPEDecoder",
    "ByteFallback",
    "ByteLevel",
    "DecodeStream",
    "Decoder",
    "Fuse",
    "Metaspace",
    "Replace",
    "Sequence",
    "Strip",
    "WordPiece",
]


class Decoder(Component):
    """The base of all decoders."""

    _part = "decoder"
    _family = "Decoder"

    def decode(self, tokens: SequenceOf[str]) -> str:
        """The text of the tokens."""
        return self._core._decode_tokens(tokens)


class BPEDecoder(Decoder):
    """A suffix marks the ends of words."""

    suffix = field("suffix", "The suffix.")


class ByteFallback(Decoder):
    """Tokens such as <0x61> become bytes."""


class ByteLevel(Decoder):
    """Characters become the bytes that they are written for, as GPT-2."""


class CTC(Decoder):
    """Repeated tokens become one."""

    pad_token = field("pad_token", "The token between two that are the same.")
    word_delimiter_token = field("word_delimiter_token", "The token between words.")
    cleanup = field("cleanup", "Whether spaces before punctuation are dropped.")


class Fuse(Decoder):
    """Joins all tokens."""


class Metaspace(Decoder):
    """Marks become spaces, as SentencePiece."""

    replacement = field("replacement", "The mark.")
    prepend_scheme = field("prepend_scheme", 'Where a mark was put in front: "first", "never", "always".')
    split = field("split", "Without meaning here.")


class Replace(Decoder):
    """Replaces a text or pattern."""


class Sequence(Decoder, _component.Sequence):
    """Several in a row."""

    _list = "decoders"


class Strip(Decoder):
    """Drops a character at the ends of tokens."""

    content = field("content", "The character.")
    start = field("start", "How many at the beginning.")
    stop = field("stop", "How many at the end.")


class WordPiece(Decoder):
    """A prefix marks the tokens inside words."""

    prefix = field("prefix", "The prefix.")
    cleanup = field("cleanup", "Whether spaces before punctuation are dropped.")


Decoder._classes = {kind.__name__: kind for kind in Decoder.__subclasses__()}


class DecodeStream:
    """Text from ids as they come, in the pieces that the package ``tokenizers`` gives.

    Text that ends in U+FFFD is held back for good here. :meth:`russet.Tokenizer.decode_stream` gives all text.
    """

    __slots__ = ("_stream",)

    def __init__(self, ids: SequenceOf[int] | None = None, skip_special_tokens: bool | None = False) -> None:
        self._stream = _core._ReferenceStream([] if ids is None else ids, bool(skip_special_tokens))

    def step(self, tokenizer: Tokenizer, id: int | SequenceOf[int]) -> str | None:
        """The text that one or more ids add, None while it is not finished."""
        return self._stream.step(tokenizer._ready().core, _ids(id))

    def __copy__(self) -> DecodeStream:
        copied = object.__new__(DecodeStream)
        copied._stream = self._stream.__copy__()
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> DecodeStream:
        return self.__copy__()


def _ids(value: Any) -> SequenceOf[int]:
    if hasattr(value, "__index__") and not hasattr(value, "__len__"):
        return [value]
    if not hasattr(value, "__len__") or isinstance(value, str):
        raise TypeError("StreamInput must be either an integer or a list of integers")
    return list(value)
