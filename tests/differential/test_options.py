"""Truncation, padding, overflowing parts, batches and `encode_special_tokens`, as settings of the mutable interface."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from comparison import Raised, assert_equal, assert_same, decoded, encoded, encoded_plain, outcome, view
from texts import EDGES, lines

Load = Callable[[str], tuple[Any, Any]]

SHAPES = [
    "wordpiece-bert-uncased",
    "bpe-roberta",
    "bpe-llama2",
    "unigram-t5",
    "post_processor-template-type-ids",
    "post_processor-sequence",
]
TRUNCATIONS: list[dict[str, Any]] = [
    {"max_length": 8},
    {"max_length": 16, "stride": 4},
    {"max_length": 16, "stride": 4, "direction": "left"},
    {"max_length": 24, "strategy": "only_first", "stride": 2},
    {"max_length": 24, "strategy": "only_second"},
    {"max_length": 12, "strategy": "only_second", "stride": 3, "direction": "left"},
    {"max_length": 3},
    {"max_length": 1},
    {"max_length": 0},
    {"max_length": 6, "stride": 5},
    {"max_length": 6, "stride": 6},
    {"max_length": 2, "stride": 1},
]
PADDINGS: list[dict[str, Any]] = [
    {},
    {"direction": "left"},
    {"length": 40},
    {"length": 20, "direction": "left", "pad_id": 1, "pad_type_id": 3, "pad_token": "<p>"},
    {"pad_to_multiple_of": 8},
    {"pad_to_multiple_of": 0},
    {"length": 21, "pad_to_multiple_of": 16},
    {"length": 0},
]
TEXTS = [lines()[0][:70], lines()[13][:30], "", "a", EDGES[9], EDGES[14], "<s> Hello [MASK] </s>", "x" * 40]


def views(encodings: Any) -> Any:
    return encodings if isinstance(encodings, Raised) else [view(encoding) for encoding in encodings]


@pytest.mark.parametrize("name", SHAPES)
def test_truncation_and_padding(name: str, load: Load) -> None:
    reference, candidate = load(name)
    both = (reference, candidate)
    for truncation, padding in itertools.product([None, *TRUNCATIONS], [None, *PADDINGS]):
        if truncation not in (None, TRUNCATIONS[1], TRUNCATIONS[2]) and padding not in (None, PADDINGS[0]):
            continue
        what = f"{name}: truncation={truncation}, padding={padding}"
        for tokenizer in both:
            tokenizer.no_truncation()
            tokenizer.no_padding()
        if truncation is not None:
            assert_equal(*(outcome(t.enable_truncation, **truncation) for t in both), what)
        if padding is not None:
            assert_equal(*(outcome(t.enable_padding, **padding) for t in both), what)
        assert_equal(*((t.truncation, t.padding) for t in both), f"{what}: properties")
        for n, text in enumerate(TEXTS):
            for pair in (None, TEXTS[-1 - n]):
                expected, got = (outcome(lambda t, a, b: view(t.encode(a, b)), t, text, pair) for t in both)
                assert_equal(expected, got, f"{what}: encode({text!r}, {pair!r})")
        assert_equal(*(views(outcome(t.encode_batch, TEXTS)) for t in both), f"{what}: encode_batch")
        pairs = list(itertools.pairwise(TEXTS))
        assert_equal(
            *(views(outcome(t.encode_batch, pairs, add_special_tokens=False)) for t in both), f"{what}: encode_batch of pairs"
        )
        assert_equal(*(outcome(t.to_str) for t in both), f"{what}: to_str")


def test_a_sequence_that_is_used_twice(load: Load) -> None:
    """Every combination of overflowing parts becomes a part, cubed by a template that repeats a sequence."""
    both = load("post_processor-template-twice")
    for truncation in TRUNCATIONS[1:4]:
        for tokenizer in both:
            tokenizer.enable_truncation(**truncation)
        for text, pair in ((TEXTS[0], None), (TEXTS[0], TEXTS[1]), (TEXTS[1], TEXTS[7])):
            expected, got = (outcome(lambda t, a, b: view(t.encode(a, b)), t, text, pair) for t in both)
            assert_equal(expected, got, f"{truncation}: encode({text!r}, {pair!r})")


@pytest.mark.parametrize("name", SHAPES)
def test_batches(name: str, load: Load) -> None:
    both = load(name)
    words = [text.split() for text in TEXTS]
    mixed = [TEXTS[0], (TEXTS[1], TEXTS[2]), [TEXTS[3], TEXTS[4]]]
    word_pairs = [(words[0], words[1]), (words[4], words[5])]
    for add in (True, False):
        assert_equal(*(views(outcome(t.encode_batch, mixed, add_special_tokens=add)) for t in both), f"{name}: mixed batch")
        assert_equal(
            *(views(outcome(t.encode_batch, words, is_pretokenized=True, add_special_tokens=add)) for t in both), f"{name}: words"
        )
        assert_equal(
            *(views(outcome(t.encode_batch, word_pairs, is_pretokenized=True, add_special_tokens=add)) for t in both),
            f"{name}: word pairs",
        )
        fast = [outcome(t.encode_batch_fast, TEXTS, add_special_tokens=add) for t in both]
        assert_equal(*([(e.ids, e.type_ids, e.tokens, e.attention_mask) for e in es] for es in fast), f"{name}: encode_batch_fast")
    assert_equal(*(views(outcome(t.encode_batch, [])) for t in both), f"{name}: empty batch")


def test_asynchronous_calls(load: Load) -> None:
    reference, candidate = load("wordpiece-bert-uncased")

    async def results(tokenizer: Any) -> Any:
        one = await tokenizer.async_encode(TEXTS[0], TEXTS[1])
        many = await tokenizer.async_encode_batch(TEXTS)
        fast = await tokenizer.async_encode_batch_fast(TEXTS)
        texts = await tokenizer.async_decode_batch([e.ids for e in many])
        return view(one), views(many), [e.ids for e in fast], texts

    assert_equal(asyncio.run(results(reference)), asyncio.run(results(candidate)), "async")


@pytest.mark.parametrize(
    "name", [*SHAPES, "bpe-llama3", "bpe-gpt2", "added_tokens-overlap", "added_tokens-00011", "added_tokens-byte-level"]
)
def test_encode_special_tokens(name: str, load: Load) -> None:
    both = load(name)
    assert [t.encode_special_tokens for t in both] == [False, False]
    for tokenizer in both:
        tokenizer.encode_special_tokens = True
    assert both[1].encode_special_tokens is True
    for call in (encoded, encoded_plain, decoded):
        assert_same(*both, EDGES, call, f"{name}: encode_special_tokens")


ARGUMENTS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("pad", (30,), {}),
    ("pad", (30,), {"direction": "left", "pad_id": 9, "pad_type_id": 2, "pad_token": "?"}),
    ("pad", (2,), {}),
    ("pad", (30,), {"direction": "sideways"}),
    ("truncate", (5,), {}),
    ("truncate", (5,), {"stride": 2}),
    ("truncate", (5,), {"stride": 2, "direction": "left"}),
    ("truncate", (0,), {}),
    ("truncate", (500,), {}),
    ("truncate", (5,), {"direction": "sideways"}),
    ("set_sequence_id", (1,), {}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), ARGUMENTS, ids=lambda value: str(value))
@pytest.mark.parametrize("name", SHAPES[:4])
def test_changing_an_encoding(name: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], load: Load) -> None:
    both = load(name)
    for text, pair in ((TEXTS[0], None), (TEXTS[0], TEXTS[1]), ("", None)):
        encodings = [tokenizer.encode(text, pair) for tokenizer in both]
        results = [outcome(getattr(encoding, method), *args, **kwargs) for encoding in encodings]
        assert_equal(*results, f"{name}: {method}{args}{kwargs}")
        if not isinstance(results[0], Raised):
            assert_equal(*(view(e) for e in encodings), f"{name}: after {method}{args}{kwargs}")
            results = [outcome(e.truncate, 4) for e in encodings]
            assert_equal(*results, f"{name}: truncate after {method}")
            assert_equal(*(view(e) for e in encodings), f"{name}: {method}{args}{kwargs}, truncate(4)")


@pytest.mark.parametrize("growing", [True, False])
def test_merge(growing: bool, load: Load, reference: ModuleType, candidate: ModuleType) -> None:
    both = load("bpe-roberta")
    merged = []
    for tokenizer, module in zip(both, (reference, candidate), strict=True):
        parts = [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS]
        parts[1].set_sequence_id(1)
        merged.append(view(module.Encoding.merge(parts, growing_offsets=growing)))
    assert_equal(*merged, f"merge(growing_offsets={growing})")
    assert_equal(view(reference.Encoding.merge([])), view(candidate.Encoding.merge([])), "merge([])")


@pytest.mark.parametrize("name", SHAPES)
def test_post_process(name: str, load: Load) -> None:
    both = load(name)
    for pair in (False, True):
        for add in (True, False):
            results = []
            for tokenizer in both:
                first = tokenizer.encode(TEXTS[0], add_special_tokens=False)
                second = tokenizer.encode(TEXTS[1], add_special_tokens=False) if pair else None
                results.append(outcome(lambda t, a, b, s: view(t.post_process(a, b, s)), tokenizer, first, second, add))
            assert_equal(*results, f"{name}: post_process(pair={pair}, add_special_tokens={add})")
        assert_equal(*(t.num_special_tokens_to_add(pair) for t in both), f"{name}: num_special_tokens_to_add({pair})")


def test_overflowing_keeps_every_part(load: Load) -> None:
    """One reference release lost the overflowing parts of a text whose post-processor is a sequence."""
    both = load("post_processor-sequence")
    for tokenizer in both:
        tokenizer.enable_truncation(max_length=8, stride=2)
    expected, got = (tokenizer.encode(lines()[0] * 3) for tokenizer in both)
    assert len(expected.overflowing) > 5
    assert_equal(view(expected), view(got), "overflowing")
