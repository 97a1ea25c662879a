"""Folders of tokenizers as they are published: a fixture, and settings of many shapes around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixtures

Files = dict[str, Any]


def _flags(content: str, *names: str, special: bool = False) -> dict[str, Any]:
    flags = {name: name in names for name in ("single_word", "lstrip", "rstrip", "normalized")}
    return {"content": content, **flags, "special": special}


def _token(content: str, *names: str) -> dict[str, Any]:
    token = _flags(content, *names)
    del token["special"]
    return {"__type": "AddedToken", **token}


def _only(**config: Any) -> Callable[[list[str], int], Files]:
    return lambda words, size: {"tokenizer_config.json": config}


def _named(words: list[str], size: int) -> Files:
    names = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    return {"tokenizer_config.json": dict(zip(names, words, strict=False))}


def _decoder(words: list[str], size: int) -> Files:
    tokens = {
        str(size): _flags("<|new|>", special=True),
        str(size + 1): _flags("word", "single_word", "normalized"),
        str(size + 2): _flags("<left>", "lstrip", special=True),
        str(size + 3): _flags("<right>", "rstrip"),
        "0": _flags(words[0], "lstrip", special=True),
    }
    config = {
        "added_tokens_decoder": tokens,
        "bos_token": "<|new|>",
        "pad_token": "<left>",
        "eos_token": _token("<right>", "rstrip"),
    }
    return {"tokenizer_config.json": config}


def _older(words: list[str], size: int) -> Files:
    return {
        "tokenizer_config.json": {
            "model_max_length": 30,
            "padding_side": "left",
            "bos_token": words[1],
            "eos_token": "<eos-of-config>",
        },
        "special_tokens_map.json": {
            "eos_token": "</sentence>",
            "pad_token": _flags("[FILL]"),
            "mask_token": {**_flags("<hole>", "lstrip"), "special": False},
            "additional_special_tokens": ["<a>", "<b>"],
        },
        "added_tokens.json": {"</sentence>": size, "[FILL]": size + 1, "plain": size + 2},
    }


def _older_extra(words: list[str], size: int) -> Files:
    last = _flags("<z>", "rstrip")
    del last["special"]
    return {
        "tokenizer_config.json": {"extra_special_tokens": ["<x>"]},
        "special_tokens_map.json": {"extra_special_tokens": ["<x>", "<y>", last], "image_token": "<image>"},
    }


#: What is around a tokenizer.json, given the first tokens of its vocabulary and its size.
SHAPES: dict[str, Callable[[list[str], int], Files]] = {
    "nothing": lambda words, size: {},
    "named": _named,
    "sides": _only(padding_side="left", truncation_side="left", model_max_length=20, pad_token="[PAD]"),
    "new-tokens": _only(
        bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token=None, sep_token=_token("<sep>", "lstrip")
    ),
    "added-tokens-decoder": _decoder,
    "extra": _only(extra_special_tokens=["<e1>", "<e2>", _token("<e3>", "rstrip", "lstrip")], pad_token="<e1>"),
    "additional": _only(additional_special_tokens=["<|im_start|>", "<|im_end|>"], eos_token="<|im_end|>", pad_token="<|im_end|>"),
    "own-names": _only(
        extra_special_tokens={"image_token": "<image>", "boi_token": "<boi>"}, audio_token="<audio>", pad_token="<image>"
    ),
    "bos-eos": _only(
        add_bos_token=True, add_eos_token=True, legacy=False, bos_token="<s>", eos_token="</s>", add_prefix_space=True
    ),
    "clean-up": _only(clean_up_tokenization_spaces=True, pad_token="[PAD]"),
    "clean-up-bpe": _only(
        clean_up_tokenization_spaces=True, clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output=True
    ),
    "split-special": _only(split_special_tokens=True, bos_token="<bos>", pad_token="<bos>"),
    "older": _older,
    "older-extra": _older_extra,
    "inputs": _only(model_input_names=["input_ids", "token_type_ids", "attention_mask"], pad_token="[PAD]", max_len=18),
    "inputs-only": _only(model_input_names=["input_ids"], model_max_length=None, tokenizer_class="NoSuchTokenizer"),
    "templates": _only(
        chat_template=[{"name": "default", "template": "{{ messages }}"}, {"name": "rag", "template": "{{ documents }}"}],
        tokenizer_class="PreTrainedTokenizerFast",
        pad_token="[PAD]",
    ),
    "unknown-keys": _only(sp_model_kwargs={}, use_default_system_prompt=False, spaces_between_special_tokens=False, vocab_size=12),
}


def write(folder: Path, name: str, shape: str) -> Path:
    """Writes the folder of a fixture with a shape of settings. Returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = fixtures.content(name)
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    words = vocabulary(json.loads(content))
    added = json.loads(content).get("added_tokens") or []
    size = max([len(words), *(token["id"] + 1 for token in added)])
    for file, parsed in SHAPES[shape](words, size).items():
        (folder / file).write_text(json.dumps(parsed), encoding="utf-8")
    return folder


def vocabulary(config: dict[str, Any]) -> list[str]:
    """The tokens of a tokenizer.json, those that are added last."""
    vocab = config["model"]["vocab"]
    words = [word[0] for word in vocab] if isinstance(vocab, list) else sorted(vocab, key=vocab.__getitem__)
    return words + [token["content"] for token in config.get("added_tokens") or ()]
