"""Added tokens, of this package or of ``tokenizers``."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")

#: content, single_word, lstrip, rstrip, normalized, special
Flags = tuple[str, bool, bool, bool, bool, bool]


class AddedToken:
    """A token that is matched in the text before the model sees it.

    ``single_word``: only where it is not part of a longer word. ``lstrip`` and ``rstrip``: with the white space on that side.
    ``normalized``: in the normalized text (default: unless it is special). ``special``: left out when decoding.
    """

    def __init__(self, content: str | None = None, **kwargs: Any) -> None:
        self._content = _checked("" if content is None else content, str)
        self._options: dict[str, bool] = {}
        self._special = False
        for key, value in kwargs.items():
            if key == "special":
                self._special = _checked(value, bool)
            elif key in ("single_word", "lstrip", "rstrip", "normalized"):
                self._options[key] = _checked(value, bool)
            else:
                print(f"Ignored unknown kwarg option {key}")

    @property
    def content(self) -> str:
        return self._content

    @content.setter
    def content(self, content: str) -> None:
        self._content = _checked(content, str)

    @property
    def single_word(self) -> bool:
        return self._options.get("single_word", False)

    @property
    def lstrip(self) -> bool:
        return self._options.get("lstrip", False)

    @property
    def rstrip(self) -> bool:
        return self._options.get("rstrip", False)

    @property
    def normalized(self) -> bool:
        return self._options.get("normalized", not self._special)

    @property
    def special(self) -> bool:
        return self._special

    @special.setter
    def special(self, special: bool) -> None:
        self._special = _checked(special, bool)

    def __getstate__(self) -> dict[str, Any]:
        names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
        return dict(zip(names, flags_of(self), strict=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        options = {key: value for key, value in state.items() if key in ("single_word", "lstrip", "rstrip", "normalized")}
        self._content, self._options, self._special = state["content"], options, state["special"]

    def __str__(self) -> str:
        return self._content

    def __repr__(self) -> str:
        return (
            f'AddedToken("{self.content}", rstrip={self.rstrip}, lstrip={self.lstrip}, single_word={self.single_word}, '
            f"normalized={self.normalized}, special={self.special})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AddedToken):
            return NotImplemented
        return flags_of(self) == flags_of(other)

    def __hash__(self) -> int:
        return hash(self._content)

    def __lt__(self, other: object) -> bool:
        return False if isinstance(other, AddedToken) else NotImplemented

    __le__ = __gt__ = __ge__ = __lt__


def _checked(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        name = "None" if value is None else type(value).__name__
        raise TypeError(f"'{name}' object is not an instance of '{kind.__name__}'")
    return value


def flags_of(token: Any) -> Flags:
    """The fields of an added token of any package."""
    return token.content, token.single_word, token.lstrip, token.rstrip, token.normalized, token.special


def is_added_token(token: Any) -> bool:
    """Whether this is an added token of any package."""
    return isinstance(token, AddedToken) or type(token).__name__ == "AddedToken"


def from_flags(flags: Flags) -> AddedToken:
    """The added token with these fields."""
    content, single_word, lstrip, rstrip, normalized, special = flags
    return AddedToken(content, single_word=single_word, lstrip=lstrip, rstrip=rstrip, normalized=normalized, special=special)
