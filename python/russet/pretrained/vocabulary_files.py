"""Vocabularies that are no tokenizer.json: vocab.txt, vocab.json with merges.txt, and SentencePiece models.

They hold a vocabulary and say little about the rest, which transformers has in its classes; see ``components``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from russet.errors import ConfigError, FileError, LimitError, MissingFileError
from russet.json_objects import read_object

_BYTES_LIMIT = 256 << 20
#: What Rust's ``trim_end`` takes off, which is not what Python's ``rstrip`` does.
_WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def read_bytes(path: Path) -> bytes:
    """A file's content, up to 256 MB."""
    try:
        with open(path, "rb") as file:
            content = file.read(_BYTES_LIMIT + 1)
    except FileNotFoundError as error:
        raise MissingFileError(error.errno, error.strerror, os.fspath(path)) from error
    except OSError as error:
        raise FileError(error.errno, error.strerror, os.fspath(path)) from error
    if len(content) > _BYTES_LIMIT:
        raise LimitError(f"{path} is above 256 MB", value=len(content), limit=_BYTES_LIMIT)
    return content


def _lines(path: Path) -> list[str]:
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8: {error}", place=path.name) from error
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


def word_pieces(path: Path) -> dict[str, int]:
    """The tokens of a vocab.txt, one in a line."""
    return {line.rstrip(_WHITE_SPACE): id for id, line in enumerate(_lines(path))}


def ranked_pairs(vocab: Path, merges: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The tokens of a vocab.json, and the pairs of a merges.txt in their order."""
    tokens = read_object(vocab)
    if tokens is None:
        raise MissingFileError(2, "No such file", os.fspath(vocab))
    if not all(type(id) is int and id >= 0 for id in tokens.values()):
        raise ConfigError(f"{vocab}: ids are whole numbers from 0", place=vocab.name)
    pairs = []
    for number, line in enumerate(_lines(merges), 1):
        if line.startswith("#version"):
            continue
        parts = line.rstrip("\r").split(" ")
        if len(parts) != 2:
            raise ConfigError(f"{merges}, line {number}: {line!r} is no pair", place=f"{merges.name}[{number}]")
        pairs.append((parts[0], parts[1]))
    return tokens, pairs


class SentencePiece(NamedTuple):
    """What a SentencePiece model says."""

    #: Text, score and type (2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte) of each piece.
    pieces: list[tuple[str, float, int]]
    is_unigram: bool
    byte_fallback: bool
    unk_id: int
    #: The unknown piece, and those of the beginning and end where there are any.
    unk_piece: str
    bos_piece: str | None
    eos_piece: str | None
    charsmap: bytes


def sentencepiece(path: Path) -> SentencePiece:
    """Reads a SentencePiece model.

    Raises:
        ConfigError: if it is none.
    """
    content = read_bytes(path)
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, Any] = {}
    charsmap = b""
    try:
        for number, value in _fields(content):
            if number == 1:
                piece = dict(_fields(_bytes(value)))
                score = struct.unpack("<f", piece.get(2, bytes(4)))[0]
                pieces.append((_bytes(piece.get(1, b"")).decode(), score, piece.get(3, 1)))
            elif number == 2:
                trainer = dict(_fields(_bytes(value)))
            elif number == 3:
                charsmap = _bytes(dict(_fields(_bytes(value))).get(2, b""))
        if not pieces:
            raise ValueError("there are no pieces")

        def special(id_field: int, id: int, text_field: int, text: str) -> str | None:
            number = trainer.get(id_field, id)
            return None if number >= 1 << 63 else _bytes(trainer.get(text_field, text.encode())).decode() or text

        unknown = special(40, 0, 45, "<unk>")
        return SentencePiece(
            pieces,
            trainer.get(3, 1) == 1,
            bool(trainer.get(35, 0)),
            trainer.get(40, 0),
            unknown or "<unk>",
            special(41, 1, 46, "<s>"),
            special(42, 2, 47, "</s>"),
            charsmap,
        )
    except (ValueError, IndexError, struct.error, TypeError) as error:
        raise ConfigError(f"{path} is no SentencePiece model: {error}", place=path.name) from error


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field has another type")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: numbers, and bytes of fixed or given length."""
    position, end = 0, len(message)

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("a number is too long")

    while position < end:
        key = number()
        kind = key & 7
        if kind == 0:
            yield key >> 3, number()
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            if kind != 2:
                raise ValueError("a field has an unknown type")
            length = number()
        if length > end - position:
            raise ValueError("it is cut off")
        yield key >> 3, message[position : position + length]
        position += length


def merges_of(vocab: dict[str, int]) -> list[tuple[str, str]]:
    """The pairs that make each token of a vocabulary whose ids are ranks, in order: SentencePiece keeps no merges."""
    ranked: list[tuple[int, int, int, str, str]] = []
    for text, rank in vocab.items():
        pairs = [(text[:index], text[index:]) for index in range(1, len(text)) if text[:index] in vocab and text[index:] in vocab]
        pairs.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        ranked += [(rank, len(left), len(right), left, right) for left, right in pairs]
    ranked.sort(key=lambda pair: pair[:3])
    return [(left, right) for *_, left, right in ranked]
