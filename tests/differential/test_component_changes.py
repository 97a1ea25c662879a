"""Fields of a tokenizer's parts that are set, and elements of its sequences that are replaced: the tokenizer changes with them."""

from __future__ import annotations

import copy
import json
import math
import pickle
import random
import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import tokenizers

import fixtures
from comparison import Raised, assert_equal, assert_same, decoded, encoded, outcome
from texts import EDGES

Load = Callable[[str], tuple[Any, Any]]
#: A fixture, the part, the field and the value that it gets.
CHANGES: list[tuple[str, str, str, Any]] = [
    ("wordpiece-bert-uncased", "normalizer", "lowercase", False),
    ("wordpiece-bert-uncased", "normalizer", "strip_accents", False),
    ("wordpiece-bert-uncased", "normalizer", "clean_text", False),
    ("wordpiece-bert-uncased", "normalizer", "handle_chinese_chars", False),
    ("normalizer-prepend", "normalizer", "prepend", "_"),
    ("normalizer-replace-string", "normalizer", "content", "??"),
    ("normalizer-strip", "normalizer", "left", False),
    ("normalizer-strip", "normalizer", "right", False),
    ("bpe-gpt2", "pre_tokenizer", "add_prefix_space", True),
    ("bpe-gpt2", "pre_tokenizer", "use_regex", False),
    ("bpe-gpt2", "pre_tokenizer", "use_regex", 7),
    ("pre_tokenizer-metaspace-first", "pre_tokenizer", "prepend_scheme", "never"),
    ("pre_tokenizer-metaspace-first", "pre_tokenizer", "prepend_scheme", "sometimes"),
    ("pre_tokenizer-metaspace-first", "pre_tokenizer", "split", False),
    ("pre_tokenizer-metaspace-first", "pre_tokenizer", "replacement", "_"),
    ("pre_tokenizer-metaspace-first", "pre_tokenizer", "replacement", "__"),
    ("pre_tokenizer-digits", "pre_tokenizer", "individual_digits", True),
    ("pre_tokenizer-delimiter", "pre_tokenizer", "delimiter", "a"),
    ("pre_tokenizer-fixed-length-5", "pre_tokenizer", "length", 3),
    ("pre_tokenizer-split-Removed", "pre_tokenizer", "behavior", "merged_with_previous"),
    ("pre_tokenizer-split-Removed", "pre_tokenizer", "behavior", "MergedWithPrevious"),
    ("pre_tokenizer-split-Removed", "pre_tokenizer", "behavior", None),
    ("pre_tokenizer-split-Removed", "pre_tokenizer", "invert", True),
    ("pre_tokenizer-punctuation-Isolated", "pre_tokenizer", "behavior", "contiguous"),
    ("bpe-gpt2", "post_processor", "trim_offsets", False),
    ("post_processor-bert", "post_processor", "sep", ("a", 5)),
    ("post_processor-roberta", "post_processor", "cls", ("a", 5)),
    ("post_processor-roberta", "post_processor", "add_prefix_space", False),
    ("wordpiece-bert-uncased", "decoder", "cleanup", False),
    ("wordpiece-bert-uncased", "decoder", "prefix", "@@"),
    ("decoder-bpe", "decoder", "suffix", "e"),
    ("decoder-strip", "decoder", "content", "T"),
    ("decoder-strip", "decoder", "start", 3),
    ("decoder-metaspace-first", "decoder", "prepend_scheme", "never"),
    ("decoder-ctc", "decoder", "word_delimiter_token", "e"),
    ("bpe-gpt2", "model", "dropout", 1.0),
    ("bpe-gpt2", "model", "end_of_word_suffix", "</w>"),
    ("bpe-unk", "model", "unk_token", None),
    ("bpe-unk", "model", "fuse_unk", True),
    ("bpe-llama3", "model", "ignore_merges", False),
    ("wordpiece-bert-uncased", "model", "max_input_chars_per_word", 3),
    ("wordpiece-bert-uncased", "model", "unk_token", "[MASK]"),
    ("wordlevel-whitespace", "model", "unk_token", "the"),
    ("wordlevel-whitespace", "model", "dropout", 0.5),
]


def parts(tokenizer: Any) -> Any:
    form = json.loads(tokenizer.to_str())
    return {name: form[name] for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "model")}


@pytest.mark.parametrize(("name", "part", "field", "value"), CHANGES, ids=lambda value: str(value))
def test_a_field_is_set(name: str, part: str, field: str, value: Any, load: Load) -> None:
    both = load(name)
    before = fixtures.config(name)[part]
    results = [outcome(setattr, getattr(tokenizer, part), field, value) for tokenizer in both]
    assert_equal(*results, f"{name}: {part}.{field} = {value!r}")
    assert_equal(*(parts(tokenizer) for tokenizer in both), f"{name} after {part}.{field} = {value!r}")
    assert_equal(*(outcome(getattr, getattr(tokenizer, part), field) for tokenizer in both), f"{name}: {part}.{field}")
    if isinstance(results[0], Raised):
        assert json.loads(both[1].to_str())[part] == before
    assert_same(*both, EDGES[::2], encoded, f"{name} after {part}.{field} = {value!r}")
    assert_same(*both, EDGES[::4], decoded, f"{name} after {part}.{field} = {value!r}")


def test_the_same_part_is_changed_again_and_again(load: Load) -> None:
    for tokenizer in load("wordpiece-bert-uncased"):
        first, second = tokenizer.normalizer, tokenizer.normalizer
        first.lowercase = False
        assert second.lowercase is False
        tokenizer.add_tokens(["mill"])
        second.strip_accents = False
        assert first.strip_accents is False
        tokenizer.decoder.cleanup = False
        first.lowercase = True
        form = json.loads(tokenizer.to_str())
        assert (form["normalizer"]["lowercase"], form["normalizer"]["strip_accents"]) == (True, False)
        assert form["decoder"]["cleanup"] is False
        assert tokenizer.encode("É mill").tokens[1:-1] == ["é", "mill"]


def test_elements_of_sequences(load: Load) -> None:
    def ask(tokenizer: Any) -> list[Any]:
        processor = tokenizer.post_processor
        processor[0].trim_offsets = True
        item = tokenizer.pre_tokenizer[0]
        item.behavior = "removed"
        item.invert = True
        tokenizer.pre_tokenizer[1] = tokenizers.pre_tokenizers.Whitespace()
        return [parts(tokenizer), *(outcome(tokenizer.pre_tokenizer.__setitem__, index, processor[0]) for index in (0, 9, -1))]

    both = load("bpe-llama3")
    assert_equal(*(ask(tokenizer) for tokenizer in both), "elements of sequences")
    assert_same(*both, EDGES[::2], encoded, "after changing elements")

    both = load("normalizer-nfkc-replace-prepend-strip")
    for tokenizer in both:
        tokenizer.normalizer[0] = tokenizers.normalizers.Lowercase()
        tokenizer.normalizer[2].prepend = "__"
    assert_equal(*(parts(tokenizer) for tokenizer in both), "elements of a normalizer")
    assert_same(*both, EDGES[::2], encoded, "after changing elements of a normalizer")


def test_a_part_of_no_tokenizer_changes_alone(load: Load) -> None:
    for tokenizer in load("wordpiece-bert-uncased"):
        before = tokenizer.to_str()
        for part in (copy.deepcopy(tokenizer.normalizer), pickle.loads(pickle.dumps(tokenizer.normalizer))):
            part.lowercase = False
            assert part.normalize_str("É") == "É"
            assert tokenizer.to_str() == before
        tokenizer.normalizer = part
        assert tokenizer.normalizer.lowercase is False


def test_a_part_that_was_replaced_is_not_changed(load: Load, candidate: ModuleType) -> None:
    """The reference changes it alone; whoever does that may not know that the tokenizer does not follow."""
    _, tokenizer = load("wordpiece-bert-uncased")
    old, model = tokenizer.normalizer, tokenizer.model
    tokenizer.normalizer = None
    tokenizer.model.unk_token = "[MASK]"
    if candidate is tokenizers:
        pytest.skip("the reference changes parts that no tokenizer has")
    for part, field, value in ((old, "lowercase", False), (model, "unk_token", "[PAD]")):
        with pytest.raises(NotImplementedError, match="read it again"):
            setattr(part, field, value)
    sequence = load("bpe-llama3")[1].pre_tokenizer
    item = sequence[0]
    sequence[0] = tokenizers.pre_tokenizers.Whitespace()
    with pytest.raises(NotImplementedError, match="read it again"):
        item.invert = True


def test_what_cannot_be_set(load: Load, candidate: ModuleType) -> None:
    if candidate is tokenizers:
        pytest.skip("the reference can")
    _, tokenizer = load("wordpiece-bert-uncased")
    before = tokenizer.to_str()
    with pytest.raises(NotImplementedError, match="assign a whole component"):
        tokenizer.post_processor.single = "$A"
    with pytest.raises(ValueError, match="length"):
        load("pre_tokenizer-fixed-length-5")[1].pre_tokenizer.length = 0
    assert tokenizer.to_str() == before


def test_scores_of_a_model_made_in_python_are_exact(candidate: ModuleType) -> None:
    """Read from its saved form as a file is read, one score in four would be the number beside it."""
    rng = random.Random(8)
    scores = [struct.unpack("f", struct.pack("f", -20 * rng.random()))[0] for _ in range(3000)]
    scores += [-20 * rng.random() for _ in range(1000)] + [0.0, -1.0, 2.5, -1e-9, -123456.789]
    vocabulary = [("<unk>", 0.0), *((f'{n}é"', score) for n, score in enumerate(scores))]
    model = tokenizers.models.Unigram(vocabulary, unk_id=0)
    reference = tokenizers.Tokenizer(model)
    ours = candidate.Tokenizer(model)
    expected, got = (json.loads(each.to_str())["model"] for each in (reference, ours))
    off = [(left, right) for left, right in zip(expected["vocab"], got["vocab"], strict=True) if left != right]
    assert len(off) <= 16
    assert all(left == right and abs(x - y) <= math.ulp(x) for (left, x), (right, y) in off)
    assert {**expected, "vocab": None} == {**got, "vocab": None}
