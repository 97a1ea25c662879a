"""Pre-tokenizers: how a text becomes pieces."""

from __future__ import annotations

from typing import Any, NoReturn

from russet.errors import ArgumentError
from russet.tokenizers import _component
from russet.tokenizers._component import Component, field
from russet.tokenizers._strings import missing

__all__ = [
    "BertPreTokenizer",
    "ByteLevel",
    "CharDelimiterSplit",
    "Digits",
    "FixedLength",
    "Metaspace",
    "PreTokenizer",
    "Punctuation",
    "Sequence",
    "Split",
    "UnicodeScripts",
    "Whitespace",
    "WhitespaceSplit",
]


class PreTokenizer(Component):
    """The base of all pre-tokenizers."""

    _part = "pre_tokenizer"
    _family = "PreTokenizer"

    def pre_tokenize_str(self, sequence: str) -> list[tuple[str, tuple[int, int]]]:
        """The pieces, each with its characters in the text."""
        return self._core._pre_tokenize_str(sequence)

    def pre_tokenize(self, pretok: Any) -> NoReturn:
        """Splits a :class:`PreTokenizedString` in place."""
        missing("PreTokenizedString", "use pre_tokenize_str")


_BEHAVIORS = ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")


def _behavior(value: str) -> str:
    """How a behavior is saved; it is set with words apart, and read in small letters."""
    saved = {name: "".join(map(str.capitalize, name.split("_"))) for name in _BEHAVIORS}
    if not isinstance(value, str):
        raise TypeError(f"'{type(value).__name__}' object is not an instance of 'str'")
    if value not in saved:
        raise ArgumentError(f"Wrong value for SplitDelimiterBehavior, expected one of: `{', '.join(saved)}`")
    return saved[value]


class BertPreTokenizer(PreTokenizer):
    """As BERT: at white space, and around punctuation."""


class ByteLevel(PreTokenizer):
    """As GPT-2: by its pattern, bytes written as characters."""

    add_prefix_space = field("add_prefix_space", "Whether a space is put in front if there is none.")
    trim_offsets = field("trim_offsets", "Whether offsets leave out white space.")
    use_regex = field("use_regex", "Whether GPT-2's pattern is used.")

    @staticmethod
    def alphabet() -> list[str]:
        """The 256 characters that bytes are written as."""
        printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
        others = [byte for byte in range(256) if byte not in printable]
        return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


class CharDelimiterSplit(PreTokenizer):
    """At a character, which is dropped."""

    delimiter = field("delimiter", "The character.")


class Digits(PreTokenizer):
    """Around digits."""

    individual_digits = field("individual_digits", "Whether each digit is a piece.")


class FixedLength(PreTokenizer):
    """Every so many characters."""

    length = field("length", "How many.")


class Metaspace(PreTokenizer):
    """As SentencePiece: spaces become a mark, and pieces begin there."""

    replacement = field("replacement", "The mark.")
    prepend_scheme = field("prepend_scheme", 'Where a mark is put in front: "first", "never", "always".')
    split = field("split", "Whether the text is split at the marks.")


class Punctuation(PreTokenizer):
    """Around punctuation."""

    behavior = field("behavior", "What becomes of the punctuation.", str.lower, _behavior)


class Sequence(PreTokenizer, _component.Sequence):
    """Several in a row."""

    _list = "pretokenizers"

    def __getitem__(self, index: int) -> Component:
        return self._item(index)

    def __setitem__(self, index: int, component: Any) -> None:
        self._set_item(index, component)


class Split(PreTokenizer):
    """By a text or pattern."""

    behavior = field("behavior", "What becomes of the matches.", str.lower, _behavior)
    invert = field("invert", "Whether what lies between the matches is taken for the matches.")

    @property
    def pattern(self) -> NoReturn:
        """Cannot be read."""
        raise Exception("Cannot get pattern")


class UnicodeScripts(PreTokenizer):
    """Where the script changes."""


class Whitespace(PreTokenizer):
    r"""By the pattern ``\w+|[^\w\s]+``."""


class WhitespaceSplit(PreTokenizer):
    """At white space."""


PreTokenizer._classes = {kind.__name__: kind for kind in PreTokenizer.__subclasses__()}
