"""Folders of tokenizers whose settings and vocabularies were changed at random: each loads, or raises an error of Russet.

`python tests/robustness/test_pretrained_folders.py SEED COUNT` goes further (with `PYTHONPATH=tests:tests/differential`).
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pretrained_folders
import pytest

import fixtures
import russet

VALUES: list[Any] = [
    None, True, False, 0, -1, 3.5, 10**30, "x", "", [], {}, ["a"], [None], [3], {"a": 1}, {"content": "q"}, {"__type": "AddedToken"},
    {"__type": "AddedToken", "content": "z", "special": 3}, "<|x|>", [{"name": "a", "template": "t"}], {"1": {"content": "k"}}, "\ud800", float("nan"),
]  # fmt: skip
KEYS = [
    "padding_side",
    "truncation_side",
    "model_max_length",
    "max_len",
    "pad_token",
    "bos_token",
    "unk_token",
    "image_token",
    "extra_special_tokens",
    "additional_special_tokens",
    "added_tokens_decoder",
    "model_input_names",
    "clean_up_tokenization_spaces",
    "split_special_tokens",
    "chat_template",
    "add_bos_token",
    "add_eos_token",
    "tokenizer_class",
    "model_specific_special_tokens",
    "add_prefix_space",
    "legacy",
    "name_or_path",
    "verbose",
    "fast_tokenizer_files",
    "auto_map",
    "fix_mistral_regex",
    "do_lower_case",
    "strip_accents",
    "extra_ids",
    "offset",
    "trim_offsets",
    "tokenizer_file",
    "vocab_file",
    "response_template",
    "chat_control_tokens",
    "model_type",
    "unk_id",
]
KINDS = {
    "bpe-gpt2": (), "wordpiece-bert-uncased": (), "unigram-t5": (), "vocab.txt": ("Bert", "Funnel", "MPNet"),
    "merges.txt": ("GPT2", "Roberta", "CLIP", "Qwen2", "Deberta", "Herbert"), "unigram-nmt-nfkc.model": ("T5", "Albert", "XLMRoberta", "XLNet", "Pegasus", ""),
    "bpe-byte-fallback.model": ("Llama", "Gemma", "Camembert", "DebertaV2", "Barthez", ""),
}  # fmt: skip


def changed(draw: random.Random, value: Any) -> Any:
    if isinstance(value, dict):
        value = dict(value)
        for _ in range(draw.randrange(1, 4)):
            if value and draw.random() < 0.5:
                key = draw.choice(list(value))
                value[key] = changed(draw, value[key]) if draw.random() < 0.5 else draw.choice(VALUES)
            else:
                value[draw.choice(KEYS)] = draw.choice(VALUES)
        return value
    if isinstance(value, list) and value:
        return [*value[:-1], draw.choice(VALUES)]
    return draw.choice(VALUES)


def damaged(draw: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(draw.randrange(1, 6) if data else 0):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data[: draw.randrange(len(data) + 1)] if draw.random() < 0.2 else data)


def write(draw: random.Random, folder: Path) -> None:
    kind = draw.choice(list(KINDS))
    pretrained_folders.write(folder, "bpe-gpt2" if "." in kind else kind, draw.choice(list(pretrained_folders.SHAPES)))
    if KINDS[kind]:
        (folder / "tokenizer.json").unlink()
        source = {"vocab.txt": fixtures.VOCAB_FILES / "bert", "merges.txt": fixtures.VOCAB_FILES / "bpe"}.get(kind)
        files = list(source.iterdir()) if source else [fixtures.SENTENCEPIECE / kind]
        for file in files:
            content = file.read_bytes()
            name = file.name if source else "tokenizer.model"
            (folder / name).write_bytes(damaged(draw, content) if draw.random() < 0.2 else content)
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"):
        file = folder / name
        config = json.loads(file.read_text()) if file.exists() else {}
        if name == "tokenizer_config.json" and KINDS[kind]:
            config["tokenizer_class"] = f"{draw.choice(KINDS[kind])}Tokenizer"
        if file.exists() or draw.random() < 0.3:
            file.write_text(json.dumps(changed(draw, config)))


def used(folder: Path) -> str:
    """Loads, calls, saves and loads again. The class of an error of Russet, or "loads"; other errors go on."""
    try:
        tokenizer = russet.AutoTokenizer.from_pretrained(folder)
        tokenizer(["hello <x> world", "a"], padding=tokenizer.pad_token_id is not None, return_tensors="np")
        assert isinstance(tokenizer.decode([1, 2, 3]), str)
        assert repr(tokenizer)
        assert len(tokenizer.all_special_ids) == len(tokenizer.all_special_tokens)
        tokenizer.save_pretrained(folder / "saved")
        again = russet.AutoTokenizer.from_pretrained(folder / "saved")
        assert again.special_tokens_map == tokenizer.special_tokens_map
    except russet.RussetError as error:
        return type(error).__name__
    return "loads"


def run(seed: int, count: int, folder: Path) -> Counter[str]:
    draw = random.Random(seed)
    endings: Counter[str] = Counter()
    for _ in range(count):
        write(draw, folder)
        endings[used(folder)] += 1
        shutil.rmtree(folder)
    return endings


@pytest.mark.parametrize("seed", range(4))
def test_changed_folders(seed: int, tmp_path: Path) -> None:
    endings = run(seed, 80, tmp_path / "folder")
    assert endings["loads"] >= 5
    assert sum(endings.values()) - endings["loads"] >= 5


if __name__ == "__main__":
    print(run(int(sys.argv[1]), int(sys.argv[2]), Path(tempfile.mkdtemp()) / "folder").most_common())
