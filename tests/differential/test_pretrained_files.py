"""Folders without a tokenizer.json are what `AutoTokenizer` of transformers converts them to, class by class."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_pretrained import CALLS, compare_calls, compare_decoding, compare_state

import fixtures
import russet
from russet.pretrained import components

transformers = pytest.importorskip("transformers", reason="the reference is the package transformers")
pytestmark = pytest.mark.filterwarnings("default")

MODELS = sorted(path.name for path in fixtures.SENTENCEPIECE.glob("*.model"))
#: Settings that change what classes make of a vocabulary.
SETTINGS: dict[str, dict[str, Any]] = {
    "": {},
    "words": {
        "do_lower_case": False,
        "strip_accents": True,
        "tokenize_chinese_chars": False,
        "model_max_length": 32,
        "mask_token": "[HOLE]",
    },
    "spaces": {"add_prefix_space": False, "trim_offsets": False, "legacy": True, "keep_accents": True, "split_by_punct": True},
    "ends": {"add_bos_token": True, "add_eos_token": True, "add_prefix_space": True, "bos_token": "<bos>", "eos_token": "<eos>"},
    "tokens": {"extra_special_tokens": ["<one>", "<two>"], "do_lower_case": True, "padding_side": "left"},
}


def compare(folder: Path, saved: Path) -> bool:
    """Compares what both make of a folder. Returns whether transformers makes something of it."""
    try:
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
    except BaseException as error:
        try:
            ours = russet.AutoTokenizer.from_pretrained(folder)
        except russet.RussetError:
            return False
        raise AssertionError(f"transformers raises {error!r} for {folder}, and russet gives {ours!r}") from error
    ours = russet.AutoTokenizer.from_pretrained(folder)
    assert ours.model_input_names == theirs.model_input_names
    theirs.padding_side = ours.padding_side  # a class may have its own, which the file does not say
    theirs.add_prefix_space = ours.add_prefix_space
    compare_state(ours, theirs, folder)
    words = [*list(theirs.get_vocab())[:600:5], *theirs.all_special_tokens]
    compare_calls(ours, theirs, words, 11, 12)
    compare_decoding(ours, theirs)
    return True


def write(folder: Path, kind: str, settings: dict[str, Any], *files: Path | tuple[Path, str]) -> Path:
    folder.mkdir()
    for file in files:
        path, name = file if isinstance(file, tuple) else (file, file.name)
        shutil.copy(path, folder / name)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind, **settings}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", components.WORDS)
@pytest.mark.parametrize("shape", SETTINGS)
def test_vocab_txt(kind: str, shape: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", f"{kind}Tokenizer", SETTINGS[shape], fixtures.VOCAB_FILES / "bert" / "vocab.txt")
    assert compare(folder, tmp_path)
    (tmp_path / "saved").mkdir()
    (saved,) = russet.AutoTokenizer.from_pretrained(folder, vocab_file=None).save_vocabulary(tmp_path / "saved", "mine")
    assert Path(saved).read_bytes() == (folder / "vocab.txt").read_bytes()
    assert Path(saved).name == "mine-vocab.txt"


@pytest.mark.parametrize("kind", components.PAIRS)
@pytest.mark.parametrize("shape", SETTINGS)
def test_vocab_json_and_merges(kind: str, shape: str, tmp_path: Path) -> None:
    files = fixtures.VOCAB_FILES / "bpe"
    folder = write(tmp_path / "folder", f"{kind}Tokenizer", SETTINGS[shape], files / "vocab.json", files / "merges.txt")
    compare(folder, tmp_path)


@pytest.mark.parametrize("kind", [*components.PIECES, "TokenizersBackend"])
@pytest.mark.parametrize("shape", SETTINGS)
def test_sentencepiece(kind: str, shape: str, tmp_path: Path) -> None:
    name = kind if kind == "TokenizersBackend" else f"{kind}Tokenizer"
    models = MODELS if CALLS >= 200 else MODELS[list(SETTINGS).index(shape) % 3 :: 3]
    for index, model in enumerate(models):
        folder = write(tmp_path / model, name, SETTINGS[shape], (fixtures.SENTENCEPIECE / model, "tokenizer.model"))
        compare(folder, tmp_path / f"{index}")


@pytest.mark.parametrize("kind", ["TokenizersBackend", "LlamaTokenizer"])
@pytest.mark.parametrize("added", [(), (0, 3), (0, 1, 2)])
def test_ranks(kind: str, added: tuple[int, ...], tmp_path: Path) -> None:
    """A tokenizer.model of tiktoken, with special tokens after its ranks, or with gaps between them."""
    file = fixtures.TIKTOKEN / "mill.tiktoken"
    size = len(file.read_text().splitlines())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokens = {str(size + id): {"content": f"<|special_{id}|>", **flags} for id in added}
    settings: dict[str, Any] = {"added_tokens_decoder": tokens} if added else {"bos_token": "<|bos|>"}
    assert compare(write(tmp_path / "folder", kind, settings, (file, "tokenizer.model")), tmp_path)


def test_other_files(tmp_path: Path) -> None:
    """Without a class, files are read as russet.Tokenizer reads them: transformers refuses them."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(fixtures.SENTENCEPIECE / "unigram-identity.model", folder / "spiece.model")
    text = "the miller's ledger"
    ids = russet.AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    assert ids == russet.Tokenizer.from_file(folder / "spiece.model").encode(text).ids
