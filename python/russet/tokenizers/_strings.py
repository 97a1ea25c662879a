"""Small types of the interface, and those that come with components made in Python."""

from __future__ import annotations

from typing import Any, NoReturn

from russet import _core


class Token:
    """A token of a model: its id, its text and its bytes in the piece."""

    __slots__ = ("_fields",)

    def __init__(self, id: int, value: str, offsets: tuple[int, int]) -> None:
        self._fields = (id, value, offsets)

    @property
    def id(self) -> int:
        return self._fields[0]

    @property
    def value(self) -> str:
        return self._fields[1]

    @property
    def offsets(self) -> tuple[int, int]:
        return self._fields[2]

    def as_tuple(self) -> tuple[int, str, tuple[int, int]]:
        return self._fields


class Regex:
    """A regular expression in Oniguruma's syntax."""

    __slots__ = ("_pattern",)

    def __init__(self, pattern: str) -> None:
        _core._pattern_engine(pattern)
        self._pattern = pattern


class NormalizedString:
    """A text while it is normalized. Comes with components made in Python."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        missing("NormalizedString")


class PreTokenizedString:
    """A text while it is split into pieces. Comes with components made in Python."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        missing("PreTokenizedString")


def missing(name: str, way_out: str = "load a tokenizer.json, or assign a component made with the package tokenizers") -> NoReturn:
    """Says that something does not exist yet."""
    raise NotImplementedError(f"{name} is not supported by russet yet: {way_out}")
