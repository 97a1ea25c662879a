"""``add_prefix_space`` of a caller: whether a text is encoded as if a space came before it.

A tokenizer.json says it in several parts. They are changed together, as transformers' classes do where they make the parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from russet import _core

Json = dict[str, Any]

_LISTS = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors", "decoder": "decoders"}


def with_prefix_space(core: _core.Tokenizer, wanted: bool) -> _core.Tokenizer:
    """The same tokenizer with or without the space. One without a stage that could add it stays what it is."""

    def pre_tokenizer(stage: Json) -> Json | None:
        if stage["type"] == "ByteLevel":
            return {**stage, "add_prefix_space": wanted}
        return metaspace(stage)

    def metaspace(stage: Json) -> Json | None:
        if stage["type"] != "Metaspace":
            return stage
        scheme = stage.get("prepend_scheme", "always")
        return {**stage, "prepend_scheme": ("always" if scheme == "never" else scheme) if wanted else "never"}

    def post_processor(stage: Json) -> Json | None:
        return {**stage, "add_prefix_space": wanted} if stage["type"] == "RobertaProcessing" else stage

    def normalizer(stage: Json) -> Json | None:
        return None if not wanted and stage["type"] == "Prepend" and stage.get("prepend") == "▁" else stage

    def decoder(stage: Json) -> Json | None:
        if not wanted and stage["type"] == "Strip" and (stage.get("content"), stage.get("start")) == (" ", 1):
            return None
        return metaspace(stage)

    changes = (
        ("normalizer", normalizer),
        ("pre_tokenizer", pre_tokenizer),
        ("post_processor", post_processor),
        ("decoder", decoder),
    )
    for part, change in changes:
        saved = core._part(part, False)
        if saved is not None:
            before = json.loads(saved)
            after = _changed(before, _LISTS[part], change)
            if after != before:
                core = core._with_part(part, None if after is None else json.dumps(after))
    return core


def _changed(stage: Json, key: str, change: Callable[[Json], Json | None]) -> Json | None:
    if stage["type"] != "Sequence":
        return change(stage)
    stages = [changed for one in stage[key] if (changed := _changed(one, key, change)) is not None]
    return {**stage, key: stages}
