"""`vocab.json` + `merges.txt` and `vocab.txt`: the same tokenizers as the tokenizer.json fixtures that they were taken from."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

import fixtures
from texts import EDGES, lines

russet = pytest.importorskip("russet")


def test_vocab_json_and_merges(reference: ModuleType) -> None:
    expected = reference.Tokenizer.from_str(fixtures.content("bpe-gpt2"))
    got = russet.Tokenizer.from_file(fixtures.VOCAB_FILES / "bpe" / "vocab.json")
    for text in [*EDGES, *lines()]:
        if "<|endoftext|>" not in text:
            ids = expected.encode(text).ids
            assert got.encode(text).ids == ids, text
            assert got.decode(ids) == expected.decode(ids), text


def test_vocab_txt(reference: ModuleType) -> None:
    expected = reference.Tokenizer.from_str(fixtures.content("wordpiece-bert-uncased"))
    got = russet.Tokenizer.from_file(fixtures.VOCAB_FILES / "bert" / "vocab.txt")
    for text in [*EDGES, *lines()]:
        encoding = expected.encode(text, "pair")
        again = got.encode(text, "pair")
        assert again.ids == encoding.ids, text
        assert again.offsets == encoding.offsets, text
        assert again.type_ids == encoding.type_ids, text
        assert got.decode(encoding.ids) == expected.decode(encoding.ids), text


def test_vocab_json_without_merges_says_what_is_missing(tmp_path: Path) -> None:
    shutil.copy(fixtures.VOCAB_FILES / "bpe" / "vocab.json", tmp_path)
    with pytest.raises((ValueError, OSError), match="merges"):
        russet.Tokenizer.from_file(tmp_path / "vocab.json")
