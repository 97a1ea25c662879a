"""Where the fixtures are, and what can be derived from them without storing it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
TOKENIZERS = DATA / "tokenizers"
SENTENCEPIECE = DATA / "sentencepiece"
TIKTOKEN = DATA / "tiktoken"
VOCAB_FILES = DATA / "vocab_files"


def names(*prefixes: str) -> list[str]:
    """The names of the tokenizer.json fixtures, or of those whose name begins with one of `prefixes`."""
    found = sorted(path.stem for path in TOKENIZERS.glob("*.json"))
    return [name for name in found if not prefixes or name.startswith(prefixes)]


@cache
def content(name: str) -> str:
    """The text of a tokenizer.json fixture, or of one of `DERIVED`."""
    if name in DERIVED:
        return json.dumps(DERIVED[name]())
    return (TOKENIZERS / f"{name}.json").read_text(encoding="utf-8")


def config(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(content(name))
    return parsed


def protobuf_fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protobuf message: enough of the wire format for SentencePiece models."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            yield number, varint()
            continue
        length = {1: 8, 5: 4}.get(wire_type) or varint()
        yield number, message[position : position + length]
        position += length


def charsmap(model: bytes) -> bytes:
    """`normalizer_spec.precompiled_charsmap` of a SentencePiece model."""
    (normalizer,) = (value for number, value in protobuf_fields(model) if number == 3)
    assert isinstance(normalizer, bytes)
    return next((value for number, value in protobuf_fields(normalizer) if number == 2 and isinstance(value, bytes)), b"")


def _whole_charsmap() -> dict[str, Any]:
    model = (SENTENCEPIECE / "unigram-nmt-nfkc.model").read_bytes()
    normalizer = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(model)).decode()}
    return {**config("normalizer-precompiled"), "normalizer": normalizer}


DERIVED = {"normalizer-precompiled-nmt-nfkc": _whole_charsmap}
