"""The tables of classes are those of transformers: whose inputs, whose special tokens, and which class a folder gets."""

from __future__ import annotations

import inspect
import json
import random
from pathlib import Path
from typing import Any

import pytest

from russet.pretrained import classes
from russet.pretrained.special_tokens import NAMES

transformers = pytest.importorskip("transformers", reason="the reference is the package transformers")
pytestmark = pytest.mark.filterwarnings("default")

PLAIN = ("TokenizersBackend", "PythonBackend", "PreTrainedTokenizerBase", "SentencePieceBackend", "MistralCommonBackend")


def published() -> dict[str, Any]:
    """The classes by name, without Fast and Tokenizer at the end."""
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

    names = {name for name in dir(transformers) if "Tokenizer" in name} | {
        name for name in TOKENIZER_MAPPING_NAMES.values() if name
    }
    found = {}
    for name in names:
        try:
            kind = tokenizer_class_from_name(name)
        except Exception:  # a class whose own requirements are not installed
            continue
        if inspect.isclass(kind) and issubclass(kind, transformers.PreTrainedTokenizerBase) and kind.__name__ not in PLAIN:
            found[name.removesuffix("Fast").removesuffix("Tokenizer")] = kind
    return found


def tokens_of(kind: Any) -> dict[str, str]:
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters
            if any(name in parameters for name in NAMES):
                defaults = {name: parameters[name].default for name in NAMES if name in parameters}
                return {name: str(token) for name, token in defaults.items() if token not in (None, inspect.Parameter.empty)}
    return {}


def test_classes() -> None:
    found = published()
    assert len(found) > 80
    for name, kind in found.items():
        names = [key for key in kind.model_input_names if key != "bbox"]
        assert classes.input_names(name) == names, name
        assert classes.special_tokens(name) == tokens_of(kind), name


def test_class_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `AutoTokenizer` would make of a folder, for 250 pairs of settings and models."""
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    made: list[str] = []

    def from_pretrained(cls: Any, *args: Any, **kwargs: Any) -> str:
        made.append(cls.__name__)
        return cls.__name__

    monkeypatch.setattr(transformers.PreTrainedTokenizerBase, "from_pretrained", classmethod(from_pretrained))
    draw = random.Random(5)
    kinds = sorted(TOKENIZER_MAPPING_NAMES)
    names = [
        *(f"{name}Tokenizer" for name in published() if "Tokenizer" not in name),
        "PreTrainedTokenizerFast",
        "TokenizersBackend",
        "NoSuchTokenizer",
        "BertTokenizerFast",
    ]
    names += ["LlamaTokenizerFast", "LlamaTokenizer"] * 5
    byte_level = '{"pre_tokenizer": {"type": "ByteLevel"}, "added_tokens": []}'
    compared = 0
    for index in range(250):
        folder = tmp_path / str(index)
        folder.mkdir()
        settings = {"tokenizer_class": draw.choice(names)} if draw.random() < 0.8 else {}
        model = {"model_type": draw.choice(kinds)} if draw.random() < 0.8 else {}
        is_byte_level = draw.random() < 0.5
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        (folder / "config.json").write_text(json.dumps(model))
        (folder / "tokenizer.json").write_text(byte_level if is_byte_level else "{}")
        made.clear()
        try:
            transformers.AutoTokenizer.from_pretrained(folder)
        except Exception:
            continue
        if len(made) != 1 or made[0] in ("RagTokenizer",):
            continue
        compared += 1
        expected = made[0].removesuffix("Fast").removesuffix("Tokenizer")
        got = classes.class_of(settings, model, is_byte_level)
        same = {name: (classes.input_names(name), classes.special_tokens(name)) for name in (got, expected)}
        assert same[got] == same[expected], (settings, model, is_byte_level, got, expected)
    assert compared > 150
