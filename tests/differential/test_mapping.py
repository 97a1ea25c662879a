"""The position methods of an encoding, at every position and beyond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fixtures
from comparison import assert_same, outcome
from texts import EDGES

Load = Callable[[str], tuple[Any, Any]]
NAMES = [
    *fixtures.names("bpe-", "unigram-", "wordpiece-"),
    "normalizer-nfkd",
    "normalizer-replace-longer",
    "padding-left",
    "truncation-stride",
]


def positions(encoding: Any, length: int) -> list[Any]:
    found: list[Any] = []
    for sequence in (0, 1, 2):
        for n in {*range(min(length, 12) + 2), length, length + 5}:
            found.append(("char_to_token", n, sequence, outcome(encoding.char_to_token, n, sequence)))
            found.append(("char_to_word", n, sequence, outcome(encoding.char_to_word, n, sequence)))
        for n in range(8):
            found.append(("word_to_tokens", n, sequence, outcome(encoding.word_to_tokens, n, sequence)))
            found.append(("word_to_chars", n, sequence, outcome(encoding.word_to_chars, n, sequence)))
    for n in {*range(min(len(encoding.ids), 12) + 2), len(encoding.ids), len(encoding.ids) + 5}:
        found.append(("token_to_chars", n, outcome(encoding.token_to_chars, n)))
        found.append(("token_to_word", n, outcome(encoding.token_to_word, n)))
        found.append(("token_to_sequence", n, outcome(encoding.token_to_sequence, n)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_positions(name: str, load: Load) -> None:
    reference, candidate = load(name)
    texts = EDGES[7::4]
    assert_same(reference, candidate, texts, lambda t, s: positions(t.encode(s), len(s)), f"{name}: positions")
    assert_same(
        reference, candidate, texts, lambda t, s: positions(t.encode(s, "the second, é"), len(s)), f"{name}: positions of a pair"
    )
    assert_same(reference, candidate, texts, lambda t, s: [len(t.encode(s)), repr(t.encode(s))], f"{name}: len, repr")
