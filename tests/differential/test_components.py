"""The views of a tokenizer's parts: each stage alone, its saved form, and parts of either package put into a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

import fixtures
from comparison import assert_equal, assert_same, decoded, encoded, outcome
from texts import EDGES, lines

Load = Callable[[str], tuple[Any, Any]]


def has(name: str, key: str) -> bool:
    return fixtures.config(name).get(key) is not None


def with_part(key: str) -> list[str]:
    return [name for name in fixtures.names() if has(name, key)]


def state(part: Any) -> Any:
    """The saved form, as pickle gets it."""
    value = part.__getstate__()
    return json.loads(value) if isinstance(value, bytes | str) else value


@pytest.mark.parametrize("name", with_part("normalizer"))
def test_normalize_str(name: str, load: Load) -> None:
    both = load(name)
    assert_same(*both, EDGES + lines()[::4], lambda t, s: t.normalizer.normalize_str(s), f"{name}: normalize_str")
    assert_equal(*(state(t.normalizer) for t in both), f"{name}: normalizer's state")
    assert_equal(*(type(t.normalizer).__name__ for t in both), f"{name}: normalizer's class")


@pytest.mark.parametrize("name", with_part("pre_tokenizer"))
def test_pre_tokenize_str(name: str, load: Load) -> None:
    both = load(name)
    assert_same(*both, EDGES + lines()[::4], lambda t, s: t.pre_tokenizer.pre_tokenize_str(s), f"{name}: pre_tokenize_str")
    assert_equal(*(state(t.pre_tokenizer) for t in both), f"{name}: pre_tokenizer's state")
    assert_equal(*(type(t.pre_tokenizer).__name__ for t in both), f"{name}: pre_tokenizer's class")


@pytest.mark.parametrize("name", fixtures.names("bpe-", "unigram-", "wordpiece-", "wordlevel-"))
def test_tokenize(name: str, load: Load) -> None:
    both = load(name)

    def tokens(tokenizer: Any, text: str) -> Any:
        return [(t.id, t.value, t.offsets, t.as_tuple()) for t in tokenizer.model.tokenize(text)]

    assert_same(*both, [text for text in EDGES if text], tokens, f"{name}: model.tokenize")
    for token in ("the", "", "no such token", "<s>"):
        assert_equal(*(t.model.token_to_id(token) for t in both), f"{name}: model.token_to_id({token!r})")
    for id in (0, 5, 100, 2**31):
        assert_equal(*(t.model.id_to_token(id) for t in both), f"{name}: model.id_to_token({id})")
    assert_equal(*(type(t.model).__name__ for t in both), f"{name}: model's class")
    assert_equal(*(state(t.model) for t in both), f"{name}: model's state")


@pytest.mark.parametrize("name", with_part("decoder"))
def test_decoder(name: str, load: Load) -> None:
    both = load(name)
    chains = [
        [],
        [""],
        ["▁the", "▁mill", "s"],
        ["Ġthe", "Ġmill", "Ċ", "é", "not bytes ✓"],
        ["the", "##re", "##", "is", "n't", ".", " do not", "we", "'ve"],
        ["<0xE2>", "<0x82>", "<0xAC>", "x", "<0xFF>", "<0x41>", "<0x4", "<0xZZ>"],
        ["t", "tt", "ttt", "te", "et", "ttet"],
        ["<pad>", "a", "a", "<pad>", "a", "|", "|", "e", "e"],
        [" ", "  a  ", " b", "c ", ""],
        ["low</w>", "er</w>", "</w>"],
    ]
    for tokens in chains:
        assert_equal(*(outcome(t.decoder.decode, tokens) for t in both), f"{name}: decoder.decode({tokens})")
    assert_equal(*(state(t.decoder) for t in both), f"{name}: decoder's state")
    assert_equal(*(type(t.decoder).__name__ for t in both), f"{name}: decoder's class")


@pytest.mark.parametrize("name", with_part("post_processor"))
def test_post_processor(name: str, load: Load) -> None:
    both = load(name)
    for pair in (False, True):
        assert_equal(
            *(t.post_processor.num_special_tokens_to_add(pair) for t in both), f"{name}: num_special_tokens_to_add({pair})"
        )
    assert_equal(*(state(t.post_processor) for t in both), f"{name}: post_processor's state")
    assert_equal(*(type(t.post_processor).__name__ for t in both), f"{name}: post_processor's class")


def test_absent_parts_are_none(load: Load) -> None:
    both = load("legacy-missing-sections")
    for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        assert [getattr(t, key) for t in both] == [None, None]


PARTS: list[tuple[str, Any]] = [
    ("normalizer", None),
    ("normalizer", normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])),
    ("normalizer", normalizers.Replace(tokenizers.Regex(r"\s+"), "_")),
    ("pre_tokenizer", None),
    ("pre_tokenizer", pre_tokenizers.Split(tokenizers.Regex("[aeiou]"), "merged_with_next")),
    ("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])),
    ("post_processor", processors.TemplateProcessing(single="<x> $A", pair="$A <x> $B:1", special_tokens=[("<x>", 3)])),
    ("post_processor", processors.ByteLevel(trim_offsets=True)),
    ("decoder", decoders.Sequence([decoders.Replace("e", "E"), decoders.Fuse()])),
    ("decoder", decoders.WordPiece()),
    ("model", models.BPE(vocab={"a": 0, "b": 1, "ab": 2, "[UNK]": 3}, merges=[("a", "b")], unk_token="[UNK]")),
    ("model", models.Unigram([("<unk>", 0.0), ("a", -1.0), ("ab", -1.5), (" ", -2.0)], unk_id=0)),
    ("model", models.WordLevel({"the": 0, "[UNK]": 1}, unk_token="[UNK]")),
]


@pytest.mark.parametrize(("key", "part"), PARTS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("name", ["bpe-gpt2", "unigram-t5", "wordpiece-bert-uncased"])
def test_assigning_parts_of_the_reference(name: str, key: str, part: Any, load: Load) -> None:
    both = load(name)
    for tokenizer in both:
        setattr(tokenizer, key, part)
    assert_same(*both, EDGES, encoded, f"{name}: {key} assigned")
    assert_same(*both, EDGES[::3], decoded, f"{name}: {key} assigned, decode")
    assert_equal(*(t.to_str() for t in both), f"{name}: {key} assigned, to_str")


@pytest.mark.parametrize("key", ["normalizer", "pre_tokenizer", "post_processor", "decoder", "model"])
def test_assigning_a_part_of_another_tokenizer(key: str, load: Load) -> None:
    first, second = load("bpe-llama3"), load("unigram-albert")
    for one, other in zip(first, second, strict=True):
        setattr(one, key, getattr(other, key))
    assert_same(*first, EDGES, encoded, f"{key} of another tokenizer")
    assert_equal(*(t.to_str() for t in first), f"{key} of another tokenizer: to_str")


def test_nothing_else_can_be_assigned(load: Load) -> None:
    for tokenizer in load("bpe-gpt2"):
        for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "model"):
            with pytest.raises((TypeError, ValueError)):
                setattr(tokenizer, key, 7)


CONSTRUCTORS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("normalizers", "NFC", ()),
    ("pre_tokenizers", "Whitespace", ()),
    ("processors", "BertProcessing", (("[SEP]", 1), ("[CLS]", 2))),
    ("decoders", "ByteLevel", ()),
    ("models", "BPE", ()),
]


@pytest.mark.parametrize(("module", "name", "args"), CONSTRUCTORS)
def test_constructing_parts_says_what_is_missing(module: str, name: str, args: tuple[Any, ...], candidate: ModuleType) -> None:
    if candidate is tokenizers:
        pytest.skip("the reference constructs parts")
    with pytest.raises(NotImplementedError, match=name):
        getattr(getattr(candidate, module), name)(*args)
