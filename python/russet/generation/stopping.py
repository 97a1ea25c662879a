"""What ends a generation besides its ids: strings in the text, and whoever asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Cancel", "CancelToken", "StopStrings", "as_check"]


class CancelToken:
    """Asks a generation to end, from any thread: ``generate(..., cancel=token)``, then ``token.cancel()``.

    The generation ends before it runs the model again, with the reason "cancelled". The model and its prompt cache stay usable.
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Asks for the end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()


class _Event(Protocol):
    def is_set(self) -> bool: ...


#: A token, a ``threading.Event``, or a function that says whether to end.
Cancel = _Event | Callable[[], bool]


def as_check(cancel: Cancel | None) -> Callable[[], bool] | None:
    """The function that says whether to end."""
    if cancel is None:
        return None
    check = getattr(cancel, "is_set", cancel)
    if not callable(check):
        raise TypeError(f"cancel is a {type(cancel).__name__}, not a CancelToken, an Event or a function")
    return check


class StopStrings:
    """Passes text on up to the first stop string. What could be the beginning of one is held back until that is decided.

    A call of :meth:`push` looks at the new text and what is held back, which is shorter than the longest string.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        beginnings = {string[:length] for string in strings for length in range(1, len(string))}
        #: Longest first: the first that a text ends with is the most that has to be held back.
        self._beginnings = tuple(sorted(beginnings, key=len, reverse=True))
        self._held = ""
        #: The string that was found.
        self.found: str | None = None

    def push(self, text: str) -> str:
        """What of the text so far is certain to come before a stop string, less what was passed on already."""
        if self.found is not None:
            return ""
        text = self._held + text
        first = len(text)
        for string in self._strings:
            begin = text.find(string, 0, first + len(string) - 1)
            if 0 <= begin < first:
                first, self.found = begin, string
        if self.found is not None:
            self._held = ""
            return text[:first]
        if not text.endswith(self._beginnings):
            self._held = ""
            return text
        length = next(len(beginning) for beginning in self._beginnings if text.endswith(beginning))
        self._held = text[-length:]
        return text[:-length]

    def finish(self) -> str:
        """What was held back, when nothing follows."""
        held, self._held = self._held, ""
        return held
