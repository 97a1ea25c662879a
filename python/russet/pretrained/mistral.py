"""``fix_mistral_regex``: another pattern for large tokenizers of Mistral models, saved by transformers before version 5."""

from __future__ import annotations

import json
from typing import Any

from russet import _core

_MODELS = (None, "mistral", "mistral3", "voxtral", "ministral", "pixtral")
_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def with_fixed_pattern(core: _core.Tokenizer, model: dict[str, Any] | None) -> _core.Tokenizer:
    """The tokenizer with the pattern that the model was trained with, if it is one of those that were saved with another.

    Args:
        model: the content of config.json; ``None`` where there is none, and then nothing is changed.
    """
    saved = core._part("pre_tokenizer", False)
    if model is None or saved is None or core.get_vocab_size() <= 100_000:
        return core
    is_old = _major(model.get("transformers_version")) < 5 and model.get("model_type") in _MODELS
    if not is_old:
        return core
    stage = json.loads(saved)
    split = {"type": "Split", "pattern": {"Regex": _PATTERN}, "behavior": "Isolated", "invert": False}
    if stage["type"] == "Sequence":
        stages = [split, *stage["pretokenizers"][1:]]
    elif stage["type"] == "Metaspace":
        stages = [split, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]
    else:
        stages = [split, stage]
    return core._with_part("pre_tokenizer", json.dumps({"type": "Sequence", "pretokenizers": stages}))


def _major(version: object) -> int:
    digits = str(version or "0").partition(".")[0]
    return int(digits) if digits.isdecimal() else 0
