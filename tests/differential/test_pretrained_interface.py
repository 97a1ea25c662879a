"""The rest of the interface of `PreTrainedTokenizerFast`: padding, settings that change, copies, errors."""

from __future__ import annotations

import copy
import doctest
import json
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pretrained_cases
import pretrained_folders
import pytest
import tokenizers

import fixtures
import russet
from russet.pretrained import components
from russet.pretrained.calls import Wanted, to_arrays, to_lists
from russet.tokenizers import AddedToken, Tokenizer

transformers = pytest.importorskip("transformers", reason="the reference is the package transformers")
pytestmark = pytest.mark.filterwarnings("default")

Pair = tuple[russet.PreTrainedTokenizer, Any]


@pytest.fixture(params=["wordpiece-bert-uncased", "bpe-gpt2", "post_processor-template-type-ids", "unigram-t5"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    folder = pretrained_folders.write(tmp_path / "folder", request.param, "inputs")
    return russet.AutoTokenizer.from_pretrained(folder), transformers.PreTrainedTokenizerFast.from_pretrained(folder)


TEXTS = ["The miller's ledger, 1893: it's 8.9% dust!", "Größe", "", "a b\u00a0c d e f g"]


def test_pad(pair: Pair) -> None:
    ours, theirs = pair
    encoded = dict(theirs(TEXTS, return_special_tokens_mask=True))
    rows = [{key: value[index] for key, value in encoded.items()} for index in range(len(TEXTS))]
    inputs: list[Any] = [
        encoded,
        rows,
        rows[0],
        {"input_ids": encoded["input_ids"]},
        {"input_ids": encoded["input_ids"][0]},
        {"input_ids": []},
    ]
    inputs += [
        {"input_ids": [np.array(row) for row in encoded["input_ids"]]},
        {"input_ids": np.array([encoded["input_ids"][0]] * 2)},
    ]
    options: list[dict[str, Any]] = [
        {}, {"padding": "max_length", "max_length": 20}, {"padding": "max_length"}, {"padding": False}, {"pad_to_multiple_of": 8, "padding_side": "left"},
        {"padding": "longest", "return_attention_mask": False}, {"return_tensors": "np"}, {"padding": "max_length", "max_length": 3},
    ]  # fmt: skip
    for given in inputs:
        for option in options:
            expected = theirs.pad(copy.deepcopy(given), **option)
            got = ours.pad(copy.deepcopy(given), **option)
            described = [{key: pretrained_cases.described(value) for key, value in one.items()} for one in (got, expected)]
            assert described[0] == described[1], (given, option)
    for wrong in ({"tokens": [1]}, [], {"input_ids": [[1], [2]], "attention_mask": [[1]]}, {"input_ids": [object()]}):
        with pytest.raises(russet.ArgumentError):
            ours.pad(wrong)


def test_settings_that_change(pair: Pair) -> None:
    """The same calls after every change, on both."""

    def same() -> None:
        for case in pretrained_cases.cases(3, 12, ["<new>", "<x>", "miller", "[PAD]", "<bos>"]):
            got, expected = (pretrained_cases.outcome(one, case) for one in pair)
            assert got.values == expected.values, case
        state = [
            (one.special_tokens_map, one.all_special_ids, one.get_added_vocab(), len(one), one.extra_special_tokens) for one in pair
        ]
        assert state[0] == state[1]

    def both(change: Any) -> list[Any]:
        results = [change(one, kind) for one, kind in zip(pair, (AddedToken, tokenizers.AddedToken), strict=True)]
        assert results[0] == results[1]
        same()
        return results

    same()
    both(lambda one, kind: one.add_tokens(["<new>", "miller", "<new>"]))
    both(lambda one, kind: one.add_tokens(kind("<x>", lstrip=True, special=True), special_tokens=True))
    both(lambda one, kind: one.add_tokens([]))
    both(
        lambda one, kind: one.add_special_tokens(
            {"bos_token": "<bos>", "extra_special_tokens": ["<e1>", kind("<e2>", rstrip=True)]}
        )
    )
    both(lambda one, kind: one.add_special_tokens({"additional_special_tokens": ["<e3>"]}, replace_extra_special_tokens=False))
    both(lambda one, kind: one.add_special_tokens({}))
    both(lambda one, kind: setattr(one, "padding_side", "left"))
    both(lambda one, kind: setattr(one, "truncation_side", "left"))
    both(lambda one, kind: setattr(one, "pad_token", "<new>"))
    both(lambda one, kind: setattr(one, "eos_token_id", one.convert_tokens_to_ids("<e1>")))
    both(lambda one, kind: setattr(one, "mask_token", None))
    both(lambda one, kind: setattr(one, "extra_special_tokens", ["<x>"]))
    both(lambda one, kind: setattr(one, "model_max_length", 9))
    both(lambda one, kind: setattr(one, "add_bos_token", True))
    both(lambda one, kind: setattr(one, "add_eos_token", True))
    both(lambda one, kind: one.num_special_tokens_to_add(True))
    for one in pair:
        one.model_input_names = ["input_ids"]
    same()
    ours = pair[0]
    with pytest.raises(russet.ArgumentError):
        ours.pad_token = 3
    with pytest.raises(russet.ArgumentError):
        ours.add_special_tokens({"no_such_token": "x"})
    with pytest.raises(russet.ArgumentError):
        ours.add_special_tokens({"extra_special_tokens": "x"})
    with pytest.raises(russet.ArgumentError):
        ours.add_tokens([3])  # type: ignore[list-item]
    with pytest.raises(AttributeError):
        _ = ours.no_such_token


def test_backend_that_changes(pair: Pair) -> None:
    ours, theirs = pair
    for one, package in (ours, russet.tokenizers), (theirs, tokenizers):
        assert isinstance(one.backend_tokenizer, package.Tokenizer)
        one.backend_tokenizer.normalizer = tokenizers.normalizers.Lowercase()
        one.backend_tokenizer.enable_truncation(3)
        one.backend_tokenizer.enable_padding(length=30)
    assert dict(ours(TEXTS)) == dict(theirs(TEXTS))
    assert ours.decoder is None or str(type(ours.decoder).__name__) == type(theirs.decoder).__name__


def test_copies(pair: Pair) -> None:
    ours, _ = pair
    ours.add_tokens(["<one>"])
    expected = dict(ours(TEXTS, padding=True))
    for made in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours), copy.copy(ours)):
        assert dict(made(TEXTS, padding=True)) == expected
        assert made.special_tokens_map == ours.special_tokens_map
        made.add_tokens(["<two>"])
        made.padding_side = "left"
        made.pad_token = "<two>"
        assert len(made) == len(ours) + 1
    assert dict(ours(TEXTS, padding=True)) == expected
    assert repr(ours).startswith("PreTrainedTokenizer(name_or_path=")


def test_batch_encoding(pair: Pair) -> None:
    ours, theirs = pair
    a, b = ours(TEXTS, TEXTS[::-1]), theirs(TEXTS, TEXTS[::-1])
    assert isinstance(a, russet.BatchEncoding)
    assert dict(a) == dict(b)
    assert (list(a), len(a), a.is_fast, a.n_sequences) == (list(b), len(b), True, 2)
    assert a.input_ids == a["input_ids"] == b.input_ids
    assert a[1].ids == b[1].ids
    assert [one.ids for one in a[1:3]] == [one.ids for one in b[1:3]]
    for position in (0, 2):
        assert a.token_to_word(0, position) == b.token_to_word(0, position)
        assert a.token_to_sequence(0, position) == b.token_to_sequence(0, position)
    assert a.token_to_word(0, -1) == b.token_to_word(0, len(b[0].ids) - 1)
    assert a.word_to_chars(0, 0) == b.word_to_chars(0, 0)
    assert a.word_to_chars(0, 0).end == b.word_to_chars(0, 0).end
    assert a.char_to_word(0, 4) == b.char_to_word(0, 4)
    assert a.char_to_token(0, 2, sequence_index=1) == b.char_to_token(0, 2, sequence_index=1)
    assert a.word_to_tokens(0, 1, sequence_index=1) == b.word_to_tokens(0, 1, sequence_index=1)
    again = pickle.loads(pickle.dumps(a))
    assert dict(again) == dict(a)
    assert again.tokens(1) == a.tokens(1)
    assert dict(copy.copy(a)) == dict(a)
    arrays = ours(TEXTS, padding=True).convert_to_tensors("np")
    assert {key: value.dtype for key, value in arrays.items()} == dict.fromkeys(arrays, np.dtype(np.int64))
    alone = russet.BatchEncoding({"input_ids": [1, 2, 3]}, tensor_type="np", prepend_batch_axis=True)
    assert alone["input_ids"].tolist() == [[1, 2, 3]]
    assert {key: value.tolist() for key, value in alone[:1].items()} == {"input_ids": [[1, 2, 3]]}
    assert not alone.is_fast
    for wrong in (lambda: alone.tokens(), lambda: a.char_to_token(0, -1), lambda: a.word_to_chars(0, 999), lambda: a.to("cpu")):
        with pytest.raises(russet.ArgumentError):
            wrong()
    with pytest.raises(KeyError):
        alone[0]
    with pytest.raises(AttributeError):
        _ = a.nothing


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "nothing"}, {"padding": None}, {"truncation": "nothing"}, {"return_tensors": "tf"}, {"return_tensors": "pt"}, {"padding_side": "up", "padding": True},
        {"truncation": True, "padding": True, "max_length": 10, "pad_to_multiple_of": 8}, {"truncation": True, "max_length": 4, "stride": 4},
        {"max_length": -1, "truncation": True}, {"stride": -1, "truncation": True, "max_length": 8}, {"max_length": "3", "truncation": True},
        {"tokenizer_kwargs": {"no_such_option": 1}},
    ],
)  # fmt: skip
def test_options_that_make_no_sense(pair: Pair, options: dict[str, Any]) -> None:
    with pytest.raises(russet.ArgumentError):
        pair[0](TEXTS, **options)
    if "tokenizer_kwargs" not in options:
        assert pretrained_cases.outcome(pair[1], pretrained_cases.Case(TEXTS, None, options)).values is None


@pytest.mark.parametrize(
    ("text", "second"),
    [
        (None, None), (3, None), ([3], None), ([], None), (b"bytes", None), ({"a": 1}, None), ([["a"], 3], None), (["a"], "b"), (["a", "b"], ["c"]),
        ("a", 3), ("a", ["b"]), (["a", 3], None), ([None], None),
    ],
)  # fmt: skip
def test_what_is_no_text(pair: Pair, text: Any, second: Any) -> None:
    with pytest.raises(russet.ArgumentError):
        pair[0](text, second)
    with pytest.raises((ValueError, TypeError, IndexError)):
        pair[1](text, second)
    with pytest.raises(russet.TextError):
        pair[0]("a\ud800b")


def test_padding_needs_a_token(tmp_path: Path) -> None:
    folder = pretrained_folders.write(tmp_path / "folder", "bpe-gpt2", "nothing")
    tokenizer = russet.AutoTokenizer.from_pretrained(folder)
    with pytest.raises(russet.ArgumentError, match=r"tokenizer\.eos_token"):
        tokenizer(TEXTS, padding=True)
    with pytest.raises(russet.ArgumentError):
        tokenizer.pad({"input_ids": [[1]]})
    tokenizer.pad_token = "no such token"
    with pytest.raises(russet.ArgumentError):
        tokenizer(TEXTS, padding=True)


def test_targets(pair: Pair) -> None:
    ours, theirs = pair
    for options in ({}, {"max_target_length": 5, "truncation": True}):
        given: dict[str, Any] = {"text_target": TEXTS[::-1], **options}
        assert dict(ours(TEXTS, **given)) == dict(theirs(TEXTS, **given))
        assert dict(ours(**given)) == dict(theirs(**given))


def test_ids_that_are_none(pair: Pair) -> None:
    ours, theirs = pair
    assert ours.decode(5) == theirs.decode(5)
    assert ours.decode([]) == theirs.decode([]) == ""
    assert ours.decode(np.int64(5)) == theirs.decode(np.int64(5))
    assert ours.decode(ours(TEXTS[0])) == theirs.decode(theirs(TEXTS[0]))
    assert ours.batch_decode(np.array([[5, 6], [7, 8]])) == theirs.batch_decode(np.array([[5, 6], [7, 8]]))
    assert ours.convert_ids_to_tokens(10**7) is theirs.convert_ids_to_tokens(10**7) is None
    for wrong in (-1, [-1], ["a"], None, [2**40], [[1], ["a"]]):
        with pytest.raises(russet.ArgumentError):
            ours.decode(wrong)
    for wrong in (-1, [-1], ["a"], 2**40):
        with pytest.raises(russet.ArgumentError):
            ours.convert_ids_to_tokens(wrong)


def test_special_tokens_around_ids(pair: Pair) -> None:
    ours, theirs = pair
    first, second = (theirs(text, add_special_tokens=False)["input_ids"] for text in TEXTS[:2])
    assert ours.build_inputs_with_special_tokens(first) == theirs(TEXTS[0])["input_ids"]
    assert ours.build_inputs_with_special_tokens(first, second) == theirs(*TEXTS[:2])["input_ids"]
    assert ours.create_token_type_ids_from_sequences(first, second) == theirs(*TEXTS[:2])["token_type_ids"]
    expected = theirs(*TEXTS[:2], return_special_tokens_mask=True)["special_tokens_mask"]
    assert ours.get_special_tokens_mask(first, second) == expected


def test_made_of_a_tokenizer() -> None:
    content = fixtures.content("wordpiece-bert-uncased")
    given: list[Any] = [tokenizers.Tokenizer.from_str(content), Tokenizer.from_str(content), russet.Tokenizer.from_str(content)]
    settings: dict[str, Any] = {
        "pad_token": "[PAD]",
        "padding_side": "left",
        "bos_token": tokenizers.AddedToken("<bos>", lstrip=True),
    }
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=given[0], **settings)
    for tokenizer in given:
        ours = russet.PreTrainedTokenizer(tokenizer_object=tokenizer, **settings)
        assert dict(ours(TEXTS, padding=True)) == dict(theirs(TEXTS, padding=True))
        assert ours.get_added_vocab() == theirs.get_added_vocab()
        ours.add_tokens(["<another>"])
    assert "<another>" not in given[1].get_vocab()
    for wrong in (
        {},
        {"tokenizer_object": 3},
        {"tokenizer_object": given[1], "padding_side": "up"},
        {"tokenizer_object": given[1], "encode": 3},
    ):
        with pytest.raises(russet.ArgumentError):
            russet.PreTrainedTokenizer(**wrong)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer_config.json", "[]"), ("tokenizer_config.json", "{"), ("tokenizer_config.json", "[" * 100_000), ("tokenizer_config.json", "\xff"),
        ("config.json", "3"), ("tokenizer_config.json", '{"added_tokens_decoder": []}'), ("tokenizer_config.json", '{"added_tokens_decoder": {"a": {"content": "x"}}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"1": "x"}}'), ("tokenizer_config.json", '{"added_tokens_decoder": {"1": {"content": 3}}}'),
        ("tokenizer_config.json", '{"padding_side": "up"}'), ("tokenizer_config.json", '{"extra_special_tokens": "x"}'), ("tokenizer_config.json", '{"pad_token": 3}'),
        ("tokenizer_config.json", '{"pad_token": {"__type": "AddedToken", "content": 3}}'), ("tokenizer_config.json", '{"model_max_length": "x"}'),
        ("tokenizer_config.json", '{"model_input_names": 3}'), ("tokenizer_config.json", '{"model_input_names": []}'), ("tokenizer_config.json", '{"decode": 3}'),
        ("tokenizer_config.json", '{"fast_tokenizer_files": ["../tokenizer.1.json"]}'), ("added_tokens.json", '{"x": "y"}'), ("special_tokens_map.json", '{"pad_token": {"content": []}}'),
        ("tokenizer_config.json", '{"chat_template": [3]}'), ("chat_template.jinja", "\xff"), ("tokenizer.json", "{}"),
    ],
)  # fmt: skip
def test_damaged_files(tmp_path: Path, file: str, content: str) -> None:
    folder = pretrained_folders.write(tmp_path / "folder", "bpe-gpt2", "nothing")
    (folder / file).write_bytes(content.encode("latin-1"))
    with pytest.raises(russet.RussetError):
        russet.AutoTokenizer.from_pretrained(folder)


def test_folders_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(russet.MissingFileError):
        russet.AutoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(russet.MissingFileError, match=r"vocab\.txt"):
        russet.AutoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    with pytest.raises(russet.UnsupportedModelError, match="ByT5Tokenizer"):
        russet.AutoTokenizer.from_pretrained(tmp_path)
    with pytest.raises(russet.ArgumentError):
        russet.AutoTokenizer()


def test_ways_to_load(tmp_path: Path) -> None:
    folder = pretrained_folders.write(tmp_path / "folder", "wordpiece-bert-uncased", "named")
    file = folder / "tokenizer.json"
    ours, theirs = russet.AutoTokenizer.from_pretrained(file), transformers.PreTrainedTokenizerFast.from_pretrained(file)
    assert dict(ours(TEXTS)) == dict(theirs(TEXTS))
    assert ours.special_tokens_map == theirs.special_tokens_map == {}
    assert dict(russet.AutoTokenizer.from_pretrained(tmp_path, subfolder="folder")(TEXTS)) == dict(theirs(TEXTS))
    made = russet.PreTrainedTokenizer.from_pretrained(
        folder, padding_side="left", pad_token="<mine>", use_fast=False, trust_remote_code=False
    )
    known = transformers.PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left", pad_token="<mine>")
    assert dict(made(TEXTS, padding=True)) == dict(known(TEXTS, padding=True))
    for settings in ({"add_bos_token": True, "bos_token": "<bos>"}, {"add_eos_token": True}, {"split_special_tokens": True}):
        one, other = (
            kind.from_pretrained(folder, **settings) for kind in (russet.AutoTokenizer, transformers.PreTrainedTokenizerFast)
        )
        assert dict(one(TEXTS, TEXTS)) == dict(other(TEXTS, TEXTS))
    bert = russet.AutoTokenizer.from_pretrained(folder, tokenizer_type="bert")
    assert bert.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]
    for config in ({"model_type": "fnet"}, SimpleNamespace(model_type="fnet")):
        assert russet.AutoTokenizer.from_pretrained(folder, config=config).model_input_names == ["input_ids", "token_type_ids"]
    with pytest.raises(russet.ArgumentError):
        russet.AutoTokenizer.from_pretrained(folder, gguf_file="x")
    file.rename(folder / "tokenizer.4.0.0.json")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"fast_tokenizer_files": ["tokenizer.4.0.0.json", "tokenizer.9.0.json", "tokenizer.json"]})
    )
    assert dict(russet.AutoTokenizer.from_pretrained(folder)(TEXTS)) == dict(theirs(TEXTS))


@pytest.mark.parametrize(
    ("name", "kind"), [("bpe-gpt2", "GPT2"), ("bpe-roberta", "Roberta"), ("bpe-qwen", "Qwen2"), ("bpe-llama2", "Llama")]
)
def test_prefix_space(name: str, kind: str, tmp_path: Path) -> None:
    """What a caller says of the space before a text is done in the file's parts, as transformers' classes do it."""
    folder = pretrained_folders.write(tmp_path / "folder", name, "nothing")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": f"{kind}Tokenizer"}))
    for spaced in (True, False):
        ours, theirs = (one.AutoTokenizer.from_pretrained(folder, add_prefix_space=spaced) for one in (russet, transformers))
        for text in ("the mill stands", "Größe", "a"):
            assert ours.tokenize(text) == theirs.tokenize(text), (spaced, text)
            ids = theirs.encode(text)
            assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)
        assert (
            ours.tokenize("the mill")[0]
            != russet.AutoTokenizer.from_pretrained(folder, add_prefix_space=not spaced).tokenize("the mill")[0]
        )


@pytest.mark.parametrize(
    ("stage", "model"),
    [
        ({"type": "Whitespace"}, {"model_type": "mistral"}), ({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, {}),
        ({"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits", "individual_digits": True}]}, {"transformers_version": "4.57.0"}),
        ({"type": "Whitespace"}, {"model_type": "mistral", "transformers_version": "5.0.0"}), ({"type": "Whitespace"}, {"model_type": "llama"}), ({"type": "Whitespace"}, None),
    ],
)  # fmt: skip
def test_pattern_of_mistral(stage: dict[str, Any], model: dict[str, Any] | None, tmp_path: Path) -> None:
    vocab = {
        "[UNK]": 0,
        **{
            text: id for id, text in enumerate(("don", "'", "t", "don't", "x/", "y", "Ġy", "12", "1", "2", "XMLHttp", "Request"), 1)
        },
    }
    vocab.update({f"w{number}": number + 20 for number in range(100_000)})
    saved = {
        **fixtures.config("wordlevel-whitespace"),
        "pre_tokenizer": stage,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps({**saved, "added_tokens": [], "post_processor": None}), encoding="utf-8")
    if model is not None:
        (tmp_path / "config.json").write_text(json.dumps(model))
    for fixed in (True, False):
        ours, theirs = (
            kind.from_pretrained(tmp_path, fix_mistral_regex=fixed)
            for kind in (russet.AutoTokenizer, transformers.PreTrainedTokenizerFast)
        )
        for text in ("don't y 12 x/ y", "XMLHttpRequest w7 w12"):
            assert ours(text, return_offsets_mapping=True) == dict(theirs(text, return_offsets_mapping=True)), (fixed, text)


def test_document(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    results = doctest.testfile(str(root / "docs" / "pretrained-tokenizers.md"), module_relative=False)
    assert results.attempted > 5
    assert results.failed == 0
    rows = (root / "docs" / "pretrained-tokenizers.md").read_text(encoding="utf-8").splitlines()
    for start, made in ("vocab.txt", components.WORDS), ("vocab.json", components.PAIRS), ("a SentencePiece", components.PIECES):
        (row,) = (row for row in rows if row.startswith(f"| {start}"))
        assert sorted(re.findall(r"`(\w+)`", row)) == sorted(made)


def test_saving(pair: Pair, tmp_path: Path) -> None:
    ours, _ = pair
    paths = ours.save_pretrained(tmp_path / "a" / "b", filename_prefix="mine")
    assert sorted(Path(path).name for path in paths) == ["mine-tokenizer.json", "mine-tokenizer_config.json"]
    with pytest.raises(russet.ArgumentError):
        ours.save_pretrained(tmp_path, legacy_format=True)
    with pytest.raises(russet.ArgumentError):
        ours.save_pretrained(tmp_path, no_such_option=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(russet.FileError):
        ours.save_pretrained(tmp_path / "file")
    with pytest.raises(russet.MissingFileError):
        ours.save_vocabulary(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("secret")
    folder = pretrained_folders.write(tmp_path / "folder", "bpe-gpt2", "nothing")
    (folder / "tokenizer_config.json").write_text(json.dumps({"vocab_file": str(elsewhere), "tokenizer_file": str(elsewhere)}))
    with pytest.raises(russet.MissingFileError):
        russet.AutoTokenizer.from_pretrained(folder).save_vocabulary(tmp_path / "a")


def test_arrays_are_lists(pair: Pair) -> None:
    """The way to arrays without lists gives what the way over lists gives."""
    ours, _ = pair
    core = ours.backend_tokenizer._ready().core
    encodings = core._encode_batch(["a b c d e f g h", "x y z"], False, True, False, russet.Truncation(4), russet.Padding(4), False)
    for bits in range(64):
        wanted = Wanted(*(bool(bits >> shift & 1) for shift in range(6)))
        lists, rows = to_lists(encodings, wanted)
        arrays = to_arrays(encodings, wanted)
        assert arrays is not None
        assert len(arrays[1]) == len(rows)
        assert {key: np.asarray(value).tolist() for key, value in lists.items()} == {
            key: value.tolist() for key, value in arrays[0].items()
        }
        assert all(value.dtype == np.int64 for value in arrays[0].values())


@pytest.mark.parametrize("framework", ["pt", "mlx", "jax"])
def test_other_frameworks(pair: Pair, framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in is used as the framework is: it gets arrays of int64, and nothing that is a tensor already."""

    class Tensor(np.ndarray[Any, Any]):
        def to(self, device: str, non_blocking: bool) -> Any:
            return self, device

    def make(array: Any) -> Any:
        assert array.dtype == np.int64
        return array.view(Tensor)

    module: Any = ModuleType("stand_in")
    names: dict[str, dict[str, Any]] = {
        "pt": {"is_tensor": lambda value: isinstance(value, Tensor), "from_numpy": make},
        "mlx": {"array": type("array", (Tensor,), {"__new__": lambda kind, value: make(value)})},
        "jax": {"asarray": make, "ndarray": Tensor},
    }
    module.__dict__.update(names[framework])
    if framework == "pt":
        monkeypatch.setitem(sys.modules, "torch", module)
    else:
        parent = "mlx" if framework == "mlx" else "jax"
        child = "mlx.core" if framework == "mlx" else "jax.numpy"
        monkeypatch.setitem(sys.modules, parent, SimpleNamespace(__path__=[]))
        monkeypatch.setitem(sys.modules, child, module)
    encoded = pair[0](TEXTS, padding=True, return_tensors=framework)
    expected = pair[0](TEXTS, padding=True, return_tensors="np")
    for key, value in encoded.items():
        assert isinstance(value, Tensor)
        assert np.asarray(value).tolist() == expected[key].tolist()
    encoded.convert_to_tensors(framework)
    with pytest.raises(russet.ArgumentError):
        pair[0](TEXTS, return_tensors=framework)
