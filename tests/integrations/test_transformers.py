"""Tokenizers of transformers give the same on Russet: the calls of `transformers_calls`, threads, and the way in and back."""

from __future__ import annotations

import copy
import doctest
import gc
import importlib
import pickle
import random
import shutil
import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

import comparison
import fixtures
import texts

transformers = pytest.importorskip("transformers")
pytest.importorskip("russet")

from transformers_calls import BATCH, CALLS, CHANGES, WIDE  # noqa: E402
from transformers_folders import KINDS, TEMPLATE, folder_of  # noqa: E402

from russet.errors import ArgumentError  # noqa: E402
from russet.integrations.transformers import Backend, BackendEncoding, accelerate, accelerated, restore  # noqa: E402


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    where = tmp_path_factory.mktemp("tokenizers")
    return {name: folder_of(name, where) for name in KINDS}


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, folders: dict[str, Path]) -> tuple[Any, Any]:
    """A tokenizer as transformers loads it, and another, accelerated."""
    original = transformers.AutoTokenizer.from_pretrained(folders[request.param])
    assert type(original).__name__.replace("TokenizersBackend", "PreTrainedTokenizerFast") == KINDS[request.param][0]
    return original, accelerate(transformers.AutoTokenizer.from_pretrained(folders[request.param]))


def plain(value: Any) -> Any:
    """A result in parts that can be compared."""
    if isinstance(value, tokenizers.Encoding):
        return comparison.view(value)
    if isinstance(value, transformers.BatchEncoding):
        return {"data": plain(dict(value.data)), "encodings": plain(value.encodings), "n_sequences": value.n_sequences}
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return ["objects", value.shape, [plain(row) for row in value]]
        return [str(value.dtype), value.shape, value.tolist()]
    if isinstance(value, tokenizers.AddedToken):
        return repr(value), type(value) is tokenizers.AddedToken
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def assert_same(call: Any, original: Any, ours: Any, what: str) -> None:
    expected, got = (comparison.outcome(lambda t: plain(call(t)), tokenizer) for tokenizer in (original, ours))
    comparison.assert_equal(expected, got, what)


def test_calls_are_many() -> None:
    assert len(CALLS) + len(CHANGES) >= 120


def test_calls_on_the_reference_itself(folders: dict[str, Path]) -> None:
    """Nearly all calls give a result: what they raise is compared too, but says little."""
    original = transformers.AutoTokenizer.from_pretrained(folders["bpe-llama3"])
    raised = [
        name
        for name, call in {**CALLS, **CHANGES}.items()
        if isinstance(comparison.outcome(lambda t, call=call: plain(call(t)), copy.deepcopy(original)), comparison.Raised)
    ]
    assert len(raised) < 30, raised


@pytest.mark.parametrize("name", CALLS)
def test_call(name: str, both: tuple[Any, Any]) -> None:
    original, ours = both
    assert_same(CALLS[name], original, ours, name)
    assert type(ours._tokenizer) is Backend


@pytest.mark.parametrize("name", CHANGES)
def test_change(name: str, both: tuple[Any, Any]) -> None:
    original, ours = (copy.deepcopy(tokenizer) for tokenizer in both)
    assert type(ours._tokenizer) is Backend
    assert_same(CHANGES[name], original, ours, name)


def test_tensors_are_those_of_transformers(both: tuple[Any, Any]) -> None:
    """The arrays that are made from arrays, beside those that `BatchEncoding` makes of the lists."""
    _, ours = both
    rng = random.Random(17)
    vocabulary = list(ours.get_vocab())
    for _ in range(60):
        batch: Any = list(texts.random_texts(rng, vocabulary, rng.randint(1, 300), 60))
        if rng.random() < 0.3:
            batch = batch[0]
        options = {
            "padding": rng.choice([True, "max_length", False]),
            "truncation": rng.random() < 0.5,
            "max_length": rng.choice([4, 9, 16]),
            "padding_side": rng.choice(["left", "right", None]),
            "add_special_tokens": rng.random() < 0.7,
            **{
                f"return_{name}": rng.random() < 0.4
                for name in ("overflowing_tokens", "special_tokens_mask", "offsets_mapping", "length", "token_type_ids")
            },
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = comparison.outcome(
                lambda options=options, batch=batch: plain(
                    type(ours)._encode_plus(ours, batch, return_tensors="np", **_plus(ours, options))
                )
            )
            got = comparison.outcome(lambda options=options, batch=batch: plain(ours(batch, return_tensors="np", **options)))
        comparison.assert_equal(expected, got, f"{batch!r} {options}")


def _plus(tokenizer: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options of `__call__` as `_encode_plus` takes them."""
    left = dict(options)
    named = {name: left.pop(name) for name in ("padding", "truncation", "max_length")}
    padding, truncation, max_length, _ = tokenizer._get_padding_truncation_strategies(verbose=False, **named)
    return {"padding_strategy": padding, "truncation_strategy": truncation, "max_length": max_length, **left}


def test_threads_do_not_share_settings(both: tuple[Any, Any]) -> None:
    """transformers writes each call's options into the backend; on Russet, a thread sees its own."""
    original, ours = both
    lengths = [None, 4, 5, 6, 7, 9, 12, 17]
    expected = [original(WIDE, truncation=n is not None, max_length=n)["input_ids"] for n in lengths]
    wrong: list[Any] = []
    start = threading.Barrier(len(lengths))

    def work(n: int | None, ids: list[int]) -> None:
        start.wait()
        for _ in range(150):
            got = ours(WIDE, truncation=n is not None, max_length=n)["input_ids"]
            padded = ours([WIDE, "a"], padding=True, truncation=n is not None, max_length=n, return_tensors="np")["input_ids"]
            if got != ids or padded[0].tolist() != ids:
                wrong.append((n, got))

    threads = [threading.Thread(target=work, args=each) for each in zip(lengths, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tokens_added_by_one_thread_are_there_for_all(both: tuple[Any, Any]) -> None:
    ours = copy.deepcopy(both[1])
    before = len(ours)
    stop = threading.Event()

    def encode() -> None:
        while not stop.is_set():
            ours(BATCH, padding=True)

    threads = [threading.Thread(target=encode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(40):
        ours.add_tokens([f"<added {n}>"])
    stop.set()
    for thread in threads:
        thread.join()
    assert len(ours) == before + 40
    assert ours.tokenize("<added 3><added 39>")[-2:] == ["<added 3>", "<added 39>"]


def test_accelerate_and_restore(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        original = transformers.AutoTokenizer.from_pretrained(folder)
        tokenizer = copy.deepcopy(original)
        assert accelerate(tokenizer) is tokenizer
        backend = tokenizer._tokenizer
        assert type(backend) is Backend
        assert accelerate(tokenizer)._tokenizer is backend
        for one in (original, tokenizer):
            one.add_tokens(["ller"])
            one(BATCH, padding=True, split_special_tokens=True)
        assert restore(tokenizer) is tokenizer
        assert type(tokenizer._tokenizer) is tokenizers.Tokenizer
        assert "_encode_plus" not in vars(tokenizer)
        assert tokenizer._tokenizer.to_str() == original._tokenizer.to_str()
        assert tokenizer._tokenizer.encode_special_tokens is True
        assert plain(tokenizer(BATCH)) == plain(original(BATCH))
        assert restore(tokenizer) is tokenizer


def test_it_passes_for_the_real_thing(both: tuple[Any, Any]) -> None:
    original, ours = both
    assert isinstance(ours._tokenizer, tokenizers.Tokenizer)
    encoding = ours(WIDE)[0]
    assert type(encoding) is BackendEncoding
    assert isinstance(encoding, tokenizers.Encoding)
    assert type(ours) is type(original)
    assert type(ours.backend_tokenizer.model).__name__ == type(original.backend_tokenizer.model).__name__
    assert original.added_tokens_decoder == ours.added_tokens_decoder
    again = pickle.loads(pickle.dumps(encoding))
    assert type(again) is BackendEncoding
    assert comparison.view(again) == comparison.view(encoding)


def test_streams_of_modules_that_have_imported_the_class(both: tuple[Any, Any]) -> None:
    """The class that was imported by its name before is replaced too, and takes tokenizers of both packages."""
    module = importlib.import_module("transformers.models.parakeet.processing_parakeet")
    for tokenizer in both:
        stream = module.DecodeStream(skip_special_tokens=True)
        assert "".join(stream.step(tokenizer._tokenizer, id) or "" for id in tokenizer.encode("a mill")).strip() == "a mill"
    with pytest.raises(TypeError):
        tokenizers.decoders.DecodeStream().step(None, 3)


def test_a_backend_assigned_later_is_used(folders: dict[str, Path]) -> None:
    tokenizer = accelerate(transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"]))
    other = transformers.AutoTokenizer.from_pretrained(folders["unigram-t5"])
    tokenizer._tokenizer = other._tokenizer
    assert tokenizer(BATCH)["input_ids"] == other(BATCH)["input_ids"]
    assert tokenizer(["a"], return_tensors="np")["input_ids"].tolist() == other(["a"])["input_ids"]


def test_an_accelerated_tokenizer_is_freed(folders: dict[str, Path]) -> None:
    tokenizer = accelerate(transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"]))
    tokenizer(BATCH)
    gone = weakref.ref(tokenizer._tokenizer)
    del tokenizer
    gc.collect()
    assert gone() is None


def test_what_cannot_be_accelerated(folders: dict[str, Path]) -> None:
    class Words:
        def pre_tokenize(self, text: Any) -> None:
            text.split(lambda _, piece: piece.split(" ", "removed"))

    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"])
    with pytest.raises(ArgumentError, match="str has no backend"):
        accelerate("a text")
    with pytest.raises(ArgumentError, match="NoneType has no backend"):
        restore(None)
    tokenizer._tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.PreTokenizer.custom(Words())
    before = tokenizer._tokenizer
    with pytest.raises(NotImplementedError, match="written in Python"):
        accelerate(tokenizer)
    assert tokenizer._tokenizer is before

    ours = accelerate(transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"]))
    with pytest.raises(NotImplementedError, match="written in Python"):
        ours._tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.PreTokenizer.custom(Words())
    with pytest.raises(NotImplementedError, match="training"):
        ours._tokenizer.train([])


def test_accelerated_block(folders: dict[str, Path]) -> None:
    original = transformers.AutoTokenizer.from_pretrained(folders["bpe-llama2"])
    method = transformers.PreTrainedTokenizerBase.__dict__["from_pretrained"]
    with accelerated():
        automatic = transformers.AutoTokenizer.from_pretrained(folders["bpe-llama2"])
        with accelerated(strict=True):
            by_class = transformers.PreTrainedTokenizerFast.from_pretrained(folders["bpe-llama2"])
        later = transformers.LlamaTokenizer.from_pretrained(folders["bpe-llama2"], padding_side="left")
    for tokenizer in (automatic, by_class, later):
        assert type(tokenizer._tokenizer) is Backend
    assert type(automatic) is type(original)
    assert later.padding_side == "left"
    assert plain(automatic(BATCH)) == plain(original(BATCH))
    assert transformers.PreTrainedTokenizerBase.__dict__["from_pretrained"] is method
    assert type(transformers.AutoTokenizer.from_pretrained(folders["bpe-llama2"])._tokenizer) is tokenizers.Tokenizer

    with pytest.raises(KeyError), accelerated():
        raise KeyError
    assert transformers.PreTrainedTokenizerBase.__dict__["from_pretrained"] is method


def test_accelerated_block_leaves_what_it_cannot_accelerate(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n", encoding="utf-8")
    with accelerated(strict=True):
        written_in_python = transformers.BertJapaneseTokenizer.from_pretrained(
            tmp_path, word_tokenizer_type="basic", subword_tokenizer_type="wordpiece"
        )
    assert written_in_python.tokenize("the") == ["the"]

    def refuse(*_: Any) -> None:
        raise ArgumentError("no")

    monkeypatch.setattr("russet.integrations.transformers._check_same_tokens", refuse)
    with accelerated(), pytest.warns(RuntimeWarning, match="GPT2Tokenizer is not accelerated by russet: no"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"])
    assert type(tokenizer._tokenizer) is tokenizers.Tokenizer
    with accelerated(strict=True), pytest.raises(ArgumentError, match="no"):
        transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"])


def test_added_tokens_that_the_saved_form_loses(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["bpe-gpt2"])
    tokens = dict(Backend.from_str(tokenizer._tokenizer.to_str()).get_added_tokens_decoder())
    moved = {id + 1: token for id, token in tokens.items()}
    monkeypatch.setattr(Backend, "get_added_tokens_decoder", lambda self: moved)
    with pytest.raises(ArgumentError, match="does not keep the added token '<|endoftext|>'".replace("|", r"\|")):
        accelerate(tokenizer)
    monkeypatch.undo()
    monkeypatch.setattr(Backend, "get_vocab_size", lambda self, with_added_tokens=True: 3)
    with pytest.raises(ArgumentError, match="3 tokens instead of"):
        accelerate(tokenizer)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    shutil.copy(fixtures.TOKENIZERS / "bpe-clip.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}', encoding="utf-8")
    return folder


def test_a_decode_of_its_own_is_kept(clip: Path) -> None:
    """CLIP's tokenizer puts a decode into its backend's dictionary."""
    original = transformers.AutoTokenizer.from_pretrained(clip)
    ours = accelerate(transformers.AutoTokenizer.from_pretrained(clip))
    original._tokenizer.note, ours._tokenizer.note = "kept", "kept"
    for tokenizer in (original, ours):
        tokenizer.add_tokens(["ller"])
    ids = original("The miller's mill ller dust")["input_ids"]
    assert ours("The miller's mill ller dust")["input_ids"] == ids
    for skip in (True, False):
        assert ours.decode(ids, skip_special_tokens=skip) == original.decode(ids, skip_special_tokens=skip)
    assert "</w>" not in ours.decode(ids)
    back = restore(ours)
    assert back._tokenizer.note == "kept"
    assert back.decode(ids) == original.decode(ids)


@pytest.fixture(params=KINDS)
def large(request: pytest.FixtureRequest, corpus: Path) -> Iterator[tuple[Any, Any]]:
    folder = corpus / "tokenizers" / KINDS[request.param][2]
    original, ours = (transformers.PreTrainedTokenizerFast.from_pretrained(folder) for _ in range(2))
    for tokenizer in (original, ours):
        tokenizer.chat_template = TEMPLATE
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(5)
    yield original, accelerate(ours)


def test_real_tokenizers(large: tuple[Any, Any]) -> None:
    original, ours = large
    for name, call in CALLS.items():
        assert_same(call, original, ours, name)


def test_document(monkeypatch: pytest.MonkeyPatch) -> None:
    root = fixtures.DATA.parent.parent
    monkeypatch.chdir(root)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    results = doctest.testfile(str(root / "docs" / "transformers.md"), module_relative=False, optionflags=options)
    assert results.attempted > 5
    assert results.failed == 0
