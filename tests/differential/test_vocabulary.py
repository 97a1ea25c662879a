"""The vocabulary, added tokens, and the saved form."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fixtures
from comparison import assert_equal, assert_same, decoded, encoded
from texts import EDGES

ALL = fixtures.names()
Load = Callable[[str], tuple[Any, Any]]


def added(tokenizer: Any) -> dict[int, tuple[Any, ...]]:
    found = tokenizer.get_added_tokens_decoder()
    return {id: (t.content, t.special, t.lstrip, t.rstrip, t.normalized, t.single_word, str(t), repr(t)) for id, t in found.items()}


@pytest.mark.parametrize("name", ALL)
def test_vocabulary(name: str, load: Load) -> None:
    both = load(name)
    reference = both[0]
    for with_added in (True, False):
        assert_equal(*(t.get_vocab(with_added) for t in both), f"{name}: get_vocab({with_added})")
        assert_equal(*(t.get_vocab_size(with_added) for t in both), f"{name}: get_vocab_size({with_added})")
    vocabulary = reference.get_vocab()
    for token in [*vocabulary, "", "no such token", "\0", "[MASK]", "É", "é"]:
        assert_equal(*(t.token_to_id(token) for t in both), f"{name}: token_to_id({token!r})")
    for id in [*vocabulary.values(), len(vocabulary) + 1, 2**31, 2**32 - 1]:
        assert_equal(*(t.id_to_token(id) for t in both), f"{name}: id_to_token({id})")
    assert_equal(*(added(t) for t in both), f"{name}: get_added_tokens_decoder")
    assert_equal(*((t.truncation, t.padding) for t in both), f"{name}: truncation, padding")


@pytest.mark.parametrize("name", ALL)
def test_saved_form(name: str, load: Load, candidate: ModuleType, reference: ModuleType, tmp_path: Path) -> None:
    both = load(name)
    for pretty in (False, True):
        texts = [t.to_str(pretty=pretty) for t in both]
        if texts[0] != texts[1]:
            assert_equal(json.loads(texts[0]), json.loads(texts[1]), f"{name}: to_str(pretty={pretty})")
        assert texts[0] == texts[1], f"{name}: to_str(pretty={pretty}) has the same content in another form"
    paths = [tmp_path / "reference.json", tmp_path / "candidate.json"]
    for tokenizer, path in zip(both, paths, strict=True):
        tokenizer.save(str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes(), f"{name}: save"
    # What one saves, the other loads, to the same behaviour.
    again = reference.Tokenizer.from_file(str(paths[1])), candidate.Tokenizer.from_file(str(paths[0]))
    assert_same(both[0], again[0], EDGES[::5], encoded, f"{name}: saved, loaded by the reference")
    assert_same(both[0], again[1], EDGES[::5], encoded, f"{name}: saved by the reference, loaded")
    from_buffer = candidate.Tokenizer.from_buffer(texts[0].encode())
    assert from_buffer.to_str() == both[0].to_str()


@pytest.mark.parametrize("name", ["bpe-gpt2", "unigram-t5", "added_tokens-11111", "padding-truncation"])
def test_pickle(name: str, load: Load) -> None:
    reference, candidate = load(name)
    again = pickle.loads(pickle.dumps(candidate))
    assert again.to_str() == candidate.to_str()
    assert_same(reference, again, EDGES[::5], encoded, f"{name}: pickled")
    encoding = candidate.encode("Hello there", "you")
    assert pickle.loads(pickle.dumps(encoding)).tokens == encoding.tokens


FLAGS: list[dict[str, bool]] = [
    {},
    {"single_word": True},
    {"lstrip": True},
    {"rstrip": True},
    {"normalized": False},
    {"special": True},
    {"lstrip": True, "rstrip": True, "normalized": True, "special": True, "single_word": True},
]
CONTENTS = ["[NEW]", "Hello", "ll", "é", "the", "  ", "", "<s>", "[MASK]", "\n", "中", "[NEW] x"]


@pytest.mark.parametrize(
    "name", ["bpe-gpt2", "bpe-llama2", "unigram-t5", "wordpiece-bert-uncased", "wordlevel-lowercase", "added_tokens-holes"]
)
@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: "-".join(flags) or "plain")
def test_adding_tokens(name: str, flags: dict[str, bool], load: Load, reference: ModuleType, candidate: ModuleType) -> None:
    both = load(name)
    modules = (reference, candidate)
    for special in (False, True):
        counts = []
        for tokenizer, module in zip(both, modules, strict=True):
            tokens = [module.AddedToken(content, **flags) for content in CONTENTS]
            counts.append((tokenizer.add_special_tokens if special else tokenizer.add_tokens)(tokens))
        assert_equal(*counts, f"{name}: add_tokens")
        assert_equal(*(added(t) for t in both), f"{name}: get_added_tokens_decoder after adding")
        assert_equal(*(t.get_vocab() for t in both), f"{name}: get_vocab after adding")
        assert_same(*both, EDGES, encoded, f"{name}: encode after adding")
        assert_same(*both, EDGES[::3], decoded, f"{name}: decode after adding")
        assert_equal(*(t.to_str() for t in both), f"{name}: to_str after adding")
    assert_equal(*(t.add_tokens(["again", "[NEW]", "again"]) for t in both), f"{name}: add_tokens of strings")
    assert_equal(*(t.to_str() for t in both), f"{name}: to_str after adding strings")


def test_added_tokens_of_the_other_package(load: Load, reference: ModuleType) -> None:
    both = load("bpe-gpt2")
    for tokenizer in both:
        assert tokenizer.add_tokens([reference.AddedToken("<x>", lstrip=True)]) == 1
    assert_equal(*(added(t) for t in both), "an AddedToken of the reference")


def test_added_token_objects(reference: ModuleType, candidate: ModuleType) -> None:
    for flags in FLAGS:
        expected, got = (module.AddedToken("x'y\n", **flags) for module in (reference, candidate))
        for name in ("content", "special", "lstrip", "rstrip", "normalized", "single_word"):
            assert getattr(expected, name) == getattr(got, name), (flags, name)
        assert repr(expected) == repr(got)
        assert str(expected) == str(got)
        assert pickle.loads(pickle.dumps(got)) == got
        assert got == candidate.AddedToken("x'y\n", **flags)
        assert got != candidate.AddedToken("z", **flags)
        assert hash(got) == hash(candidate.AddedToken("x'y\n", **flags))


def test_adding_in_many_calls(load: Load) -> None:
    """The added tokens are matched as if they had come in one call."""
    both = load("bpe-llama2")
    for n in range(50):
        for tokenizer in both:
            tokenizer.add_tokens([f"<{n}>", "lo" * (n % 5)])
            if n % 10 == 0:
                tokenizer.encode("<0><1> lolo <49>")
    assert_same(*both, [f"a<{n}>b<{n + 1}> lololo" for n in range(50)], encoded, "added one by one")
    assert_equal(*(t.to_str() for t in both), "added one by one: to_str")
