"""Every fixture on every edge text, and on random text: all fields of the encoding, and the decoded text."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import fixtures
from comparison import assert_equal, assert_same, decoded, encoded, encoded_plain, encoded_words, outcome, view
from texts import EDGES, lines, random_texts

ALL = [*fixtures.names(), *fixtures.DERIVED]
Load = Callable[[str], tuple[Any, Any]]


@pytest.mark.parametrize("name", ALL)
def test_edge_texts(name: str, load: Load) -> None:
    reference, candidate = load(name)
    assert_same(reference, candidate, EDGES, encoded, f"{name}: encode")
    assert_same(reference, candidate, EDGES, encoded_plain, f"{name}: encode(add_special_tokens=False)")
    assert_same(reference, candidate, EDGES, decoded, f"{name}: decode(encode)")


@pytest.mark.parametrize("name", ALL)
def test_prose_and_random_text(name: str, load: Load) -> None:
    reference, candidate = load(name)
    rng = random.Random(f"encode {name}")
    vocabulary = sorted(reference.get_vocab())
    texts = [*rng.sample(lines(), 6), *random_texts(rng, vocabulary, 4000)]
    assert_same(reference, candidate, texts, encoded, f"{name}: encode")
    assert_same(reference, candidate, texts[::2], decoded, f"{name}: decode(encode)")


@pytest.mark.parametrize("name", ALL)
def test_pretokenized(name: str, load: Load) -> None:
    reference, candidate = load(name)
    assert_same(reference, candidate, EDGES[::2], encoded_words, f"{name}: encode(is_pretokenized=True)")
    words = [[], [""], ["", "a", ""], [" a ", "b c", "<s>"], ["a\u0301", "\u0301b"]]
    for first in words:
        for second in words:
            expected, got = (
                outcome(lambda t, a, b: view(t.encode(a, b, is_pretokenized=True)), tokenizer, first, second)
                for tokenizer in (reference, candidate)
            )
            assert_equal(expected, got, f"{name}: encode({first!r}, {second!r}, is_pretokenized=True)")


@pytest.mark.parametrize("name", ALL)
def test_pairs(name: str, load: Load) -> None:
    reference, candidate = load(name)
    for special in (True, False):
        for n, first in enumerate(EDGES[::3]):
            second = EDGES[(n * 7 + 3) % len(EDGES)]
            expected, got = (
                outcome(lambda t, a, b, s: view(t.encode(a, b, add_special_tokens=s)), tokenizer, first, second, special)
                for tokenizer in (reference, candidate)
            )
            assert_equal(expected, got, f"{name}: encode({first!r}, {second!r}, add_special_tokens={special})")


@pytest.mark.parametrize("name", ALL)
def test_random_ids(name: str, load: Load) -> None:
    """Decoding of ids that no text gives: broken UTF-8, special tokens in the middle, ids that do not exist."""
    reference, candidate = load(name)
    rng = random.Random(f"decode {name}")
    size = reference.get_vocab_size()
    batch = [[rng.randrange(size + 3) for _ in range(rng.randint(0, 30))] for _ in range(60)]
    for ids in batch:
        for skip in (True, False):
            expected, got = (outcome(tokenizer.decode, ids, skip_special_tokens=skip) for tokenizer in (reference, candidate))
            assert_equal(expected, got, f"{name}: decode({ids}, skip_special_tokens={skip})")
    expected, got = (outcome(tokenizer.decode_batch, batch) for tokenizer in (reference, candidate))
    assert_equal(expected, got, f"{name}: decode_batch")
