"""`russet.AutoTokenizer` is `PreTrainedTokenizerFast` of transformers, whose rule is that the file decides, in every call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pretrained_cases
import pretrained_folders
import pytest

import fixtures
import russet

transformers = pytest.importorskip("transformers", reason="the reference is the package transformers")
pytestmark = pytest.mark.filterwarnings("default")

#: How many calls a folder gets; the whole count is 200.
CALLS = int(os.environ.get("RUSSET_PRETRAINED_CALLS", "8"))
ATTRIBUTES = (
    "padding_side", "truncation_side", "model_max_length", "special_tokens_map", "all_special_tokens", "all_special_ids", "extra_special_tokens",
    "extra_special_tokens_ids", "vocab_size", "clean_up_tokenization_spaces", "split_special_tokens", "name_or_path", "pad_token_type_id", "is_fast",
    "add_bos_token", "add_eos_token", "max_len_single_sentence", "max_len_sentences_pair", "chat_template", "SPECIAL_TOKENS_ATTRIBUTES",
    "bos_token_id", "eos_token_id", "unk_token_id", "pad_token_id", "mask_token", "add_prefix_space",
)  # fmt: skip

SHAPES = list(pretrained_folders.SHAPES)


def shapes_of(index: int) -> list[str]:
    """Some of the shapes in turn; all of them in a whole run."""
    return SHAPES if CALLS >= 200 else [SHAPES[(2 * index + step) % len(SHAPES)] for step in range(2)]


@pytest.mark.parametrize("name", fixtures.names())
def test_fixture_with_settings(name: str, tmp_path: Path) -> None:
    for shape in shapes_of(fixtures.names().index(name)):
        folder = pretrained_folders.write(tmp_path / shape, name, shape)
        compare_folder(folder, tmp_path / f"{shape}-saved", seed=len(name), calls=CALLS)


def test_corpus(corpus: Path, tmp_path: Path) -> None:
    folders = sorted(path.parent for path in corpus.glob("tokenizers/*/tokenizer.json"))
    if CALLS >= 200:
        for packed in sorted(corpus.glob("big/tokenizers/*/tokenizer.json.zst")):
            folders.append(tmp_path / "unpacked" / packed.parent.name)
            shutil.copytree(packed.parent, folders[-1])
            subprocess.run(["zstd", "-dq", "--rm", folders[-1] / packed.name], check=True)
    else:
        # Small ones with settings around them, and some of the others: the whole run takes minutes.
        small = [folder for folder in folders if (folder / "tokenizer.json").stat().st_size < 2_500_000]
        folders = [folder for index, folder in enumerate(small) if len(list(folder.iterdir())) > 1 or index % 8 == 0]
    compared = sum(compare_folder(folder, tmp_path / folder.name, seed=7, calls=CALLS) for folder in folders)
    assert compared >= len(folders) - 1


def compare_folder(folder: Path, tmp_path: Path, seed: int, calls: int) -> bool:
    """Compares everything about a folder. Returns whether the reference loads it."""
    try:
        theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    except Exception as error:
        with pytest.raises(russet.RussetError):
            print(folder, "loads, and not in transformers:", repr(error), russet.AutoTokenizer.from_pretrained(folder))
        return False
    ours = russet.AutoTokenizer.from_pretrained(folder)
    named = {name: text for name, text in ours.special_tokens_map.items() if name not in theirs.special_tokens_map}
    if named:
        # Names that transformers' class has and the file has not: the same tokens, which are in the vocabulary already.
        assert list(named.values()) == theirs.convert_ids_to_tokens(theirs.convert_tokens_to_ids(list(named.values())))
        for name, text in named.items():
            setattr(theirs, name, text)
    compare_state(ours, theirs, folder)
    config = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = [*pretrained_folders.vocabulary(config)[:3000:7], *theirs.all_special_tokens, *theirs.get_added_vocab()]
    compare_calls(ours, theirs, words, seed, calls)
    compare_decoding(ours, theirs)
    compare_saved(ours, theirs, tmp_path, words, seed)
    return True


def compare_state(ours: Any, theirs: Any, folder: Path) -> None:
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(theirs, name), (folder, name)
    assert len(ours) == len(theirs)
    assert ours.get_vocab() == theirs.get_vocab() == ours.vocab
    assert ours.get_added_vocab() == theirs.get_added_vocab()
    added = {id: token.__getstate__() for id, token in ours.added_tokens_decoder.items()}
    assert added == {id: token.__getstate__() for id, token in theirs.added_tokens_decoder.items()}, folder
    for pair in (False, True):
        assert ours.num_special_tokens_to_add(pair) == theirs.num_special_tokens_to_add(pair)


def compare_calls(ours: Any, theirs: Any, words: list[str], seed: int, calls: int) -> None:
    for case in pretrained_cases.cases(seed, calls, words):
        got = pretrained_cases.outcome(ours, case)
        expected = pretrained_cases.outcome(theirs, case, ours.model_input_names)
        assert got.values == expected.values, (theirs.name_or_path, case, got.error, expected.error)
        if got.values is None:
            assert hasattr(russet, got.error.partition(":")[0]), (case, got.error)


def compare_decoding(ours: Any, theirs: Any) -> None:
    text = ["The miller's ledger , isn't it ?", "Größe <s> [CLS] \U0001f600 x"]
    try:
        b = theirs(text)
    except Exception:
        with pytest.raises(russet.RussetError):
            ours(text)
        return
    a = ours(text)
    assert pretrained_cases.positions(a) == pretrained_cases.positions(b)
    assert a.n_sequences == b.n_sequences
    ids = a["input_ids"]
    for skip in (False, True):
        expected = None
        for clean in (None, True, False):
            options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
            try:
                expected = theirs.decode(ids, **options)
            except BaseException as error:
                assert type(error).__name__ == "PanicException"
                continue
            assert ours.decode(ids, **options) == expected == ours.batch_decode(ids, **options)
            assert ours.decode(ids[0], **options) == theirs.decode(ids[0], **options)
        if expected is None:
            continue
        row = np.array([*ids[1][:5], 10**6])
        assert ours.decode(row, skip_special_tokens=skip) == theirs.decode(row, skip_special_tokens=skip)
        tokens = ours.convert_ids_to_tokens(ids[0], skip_special_tokens=skip)
        assert tokens == theirs.convert_ids_to_tokens(ids[0], skip_special_tokens=skip)
        tokens = [token for token in tokens if token is not None]
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)
        assert ours.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
    assert ours.tokenize(text[0]) == theirs.tokenize(text[0])
    assert ours.encode(*text) == theirs.encode(*text)
    masks = [one.get_special_tokens_mask(ids[1], already_has_special_tokens=True) for one in (ours, theirs)]
    assert masks[0] == masks[1]


def compare_saved(ours: Any, theirs: Any, tmp_path: Path, words: list[str], seed: int) -> None:
    """What either saves gives the same in the other."""
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    for loaded in (
        transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path / "ours"),
        transformers.AutoTokenizer.from_pretrained(tmp_path / "ours"),
    ):
        assert loaded.model_input_names == ours.model_input_names
        assert loaded.chat_template == theirs.chat_template
        compare_calls(ours, loaded, words, seed + 1, 4)
    compare_calls(russet.AutoTokenizer.from_pretrained(tmp_path / "theirs"), theirs, words, seed + 2, 4)
    again = russet.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert again.get_vocab() == ours.get_vocab()
    assert again.special_tokens_map == ours.special_tokens_map
    compare_calls(again, theirs, words, seed + 3, 4)
