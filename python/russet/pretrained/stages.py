"""Parts of a tokenizer.json, as they are written there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from russet.errors import ArgumentError

Json = dict[str, Any]
#: The id of a token.
Ids = Callable[[str], int | None]


def bpe(vocab: dict[str, int], merges: Sequence[tuple[str, str]], **options: Any) -> Json:
    """A BPE model. ``options`` are other fields than the usual ones."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocab,
        "merges": [list(pair) for pair in merges],
        **options,
    }


def unigram(vocab: Sequence[tuple[str, float]], unk_id: int, byte_fallback: bool = False) -> Json:
    """A Unigram model."""
    return {"type": "Unigram", "unk_id": unk_id, "vocab": [list(piece) for piece in vocab], "byte_fallback": byte_fallback}


def sequence(key: str, *stages: Json | None) -> Json:
    """Stages one after the other; those that are ``None`` are left out. ``key`` is the name of their list."""
    return {"type": "Sequence", key: [stage for stage in stages if stage is not None]}


def replace(pattern: Json, content: str) -> Json:
    """A normalizer or decoder that puts ``content`` in place of a pattern."""
    return {"type": "Replace", "pattern": pattern, "content": content}


def metaspace(scheme: str, split: bool = True) -> Json:
    """A pre-tokenizer or decoder that writes spaces as U+2581."""
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}


def byte_level(prefix_space: bool, use_regex: bool = True, trim_offsets: bool = True) -> Json:
    """A pre-tokenizer, decoder or post-processor of bytes."""
    return {"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": trim_offsets, "use_regex": use_regex}


def precompiled(charsmap: bytes) -> Json | None:
    """The normalizer of a SentencePiece model, if it has one."""
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()} if charsmap else None


def template(pieces: str, pair: str, ids: Ids) -> Json:
    """A template in the notation of ``tokenizers``: ``[CLS]:0 $A:0 [SEP]:0``."""
    tokens: Json = {}

    def read(text: str) -> list[Json]:
        made = []
        for piece in text.split(" "):
            name, _, number = piece.rpartition(":") if piece[-2:-1] == ":" and piece[-1:].isdigit() else (piece, "", "0")
            if name in ("$A", "$B"):
                made.append({"Sequence": {"id": name[1], "type_id": int(number)}})
                continue
            id = ids(name)
            if id is None:
                raise ArgumentError(f"{name!r} is put around texts, and is no token")
            tokens[name] = {"id": name, "ids": [id], "tokens": [name]}
            made.append({"SpecialToken": {"id": name, "type_id": int(number)}})
        return made

    return {"type": "TemplateProcessing", "single": read(pieces), "pair": read(pair), "special_tokens": tokens}
