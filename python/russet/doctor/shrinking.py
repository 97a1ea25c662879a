"""Making a text small that shows a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def shrink(text: str, fails: Callable[[str], bool], calls: int, simple: Sequence[str] = ("a", " ")) -> str:
    """A small text that still fails: parts are left out, then characters are made simple.

    Args:
        text: one that fails.
        fails: tells of a text.
        calls: how often it is asked at most.
        simple: what characters are replaced by, the first that still fails.
    """
    left = calls

    def tried(candidate: str) -> bool:
        nonlocal left
        left -= 1
        return left > 0 and fails(candidate)

    size = max(1, len(text) // 2)
    while left > 0:
        position, shorter = 0, False
        while position < len(text):
            candidate = text[:position] + text[position + size :]
            if tried(candidate):
                text, shorter = candidate, True
            else:
                position += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    for n, char in enumerate(text):
        for letter in simple:
            if char != letter and ord(char) > ord(letter) and tried(text[:n] + letter + text[n + 1 :]):
                text = text[:n] + letter + text[n + 1 :]
                break
    return text
