"""Normalizers: what happens to a text's characters before it is split."""

from __future__ import annotations

from typing import Any, NoReturn

from russet.tokenizers import _component
from russet.tokenizers._component import Component, field
from russet.tokenizers._strings import missing

__all__ = [
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "NORMALIZERS",
    "BertNormalizer",
    "ByteLevel",
    "Lowercase",
    "Nmt",
    "Normalizer",
    "Precompiled",
    "Prepend",
    "Replace",
    "Sequence",
    "Strip",
    "StripAccents",
    "unicode_normalizer_from_str",
]


class Normalizer(Component):
    """The base of all normalizers."""

    _part = "normalizer"
    _family = "Normalizer"

    def normalize_str(self, sequence: str) -> str:
        """The normalized text."""
        return self._core._normalize_str(sequence)

    def normalize(self, normalized: Any) -> NoReturn:
        """Normalizes a :class:`NormalizedString` in place."""
        missing("NormalizedString", "use normalize_str")


class BertNormalizer(Normalizer):
    """As BERT: cleans, puts spaces around Chinese characters, strips accents, lowercases."""

    clean_text = field("clean_text", "Whether control characters are dropped and white space becomes spaces.")
    handle_chinese_chars = field("handle_chinese_chars", "Whether spaces are put around Chinese characters.")
    strip_accents = field("strip_accents", "Whether accents are stripped; None for: if ``lowercase``.")
    lowercase = field("lowercase", "Whether the text is lowercased.")


class ByteLevel(Normalizer):
    """Writes bytes as characters, as GPT-2."""


class Lowercase(Normalizer):
    """Lowercases."""


class NFC(Normalizer):
    """Unicode's NFC."""


class NFD(Normalizer):
    """Unicode's NFD."""


class NFKC(Normalizer):
    """Unicode's NFKC."""


class NFKD(Normalizer):
    """Unicode's NFKD."""


class Nmt(Normalizer):
    """SentencePiece's clean-up of control characters and spaces."""


class Precompiled(Normalizer):
    """A character map of SentencePiece."""


class Prepend(Normalizer):
    """Puts a text in front."""

    prepend = field("prepend", "The text.")


class Replace(Normalizer):
    """Replaces a text or pattern."""

    content = field("content", "What it is replaced with.")

    @property
    def pattern(self) -> NoReturn:
        """Cannot be read."""
        raise Exception("Cannot get pattern")


class Sequence(Normalizer, _component.Sequence):
    """Several in a row."""

    _list = "normalizers"

    def __len__(self) -> int:
        return len(self._field(self._list))

    def __getitem__(self, index: int) -> Component:
        return self._item(index)

    def __setitem__(self, index: int, component: Any) -> None:
        self._set_item(index, component)


class Strip(Normalizer):
    """Drops white space at the ends."""

    left = field("strip_left", "Whether at the beginning.")
    right = field("strip_right", "Whether at the end.")


class StripAccents(Normalizer):
    """Drops combining marks."""


Normalizer._classes = {kind.__name__: kind for kind in Normalizer.__subclasses__()}

NORMALIZERS = {"nfc": NFC, "nfd": NFD, "nfkc": NFKC, "nfkd": NFKD}


def unicode_normalizer_from_str(normalizer: str) -> Normalizer:
    """The normalizer of that name."""
    if normalizer not in NORMALIZERS:
        raise ValueError(f"{normalizer} is not a known unicode normalizer. Available are {NORMALIZERS.keys()}")
    return NORMALIZERS[normalizer]()
