"""SentencePiece models written piece by piece: of shapes that training does not give, or not soon."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from fixtures import protobuf_fields

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE, CHAR = 1, 2, 4


@dataclass(frozen=True)
class Piece:
    text: str
    score: float = 0.0
    kind: int = NORMAL


@dataclass(frozen=True)
class Normalizer:
    """`NormalizerSpec`."""

    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True

    def encoded(self) -> bytes:
        flags = [self.add_dummy_prefix, self.remove_extra_whitespaces, self.escape_whitespaces]
        numbered = b"".join(_number(n, flag) for n, flag in enumerate(flags, 3))
        return _bytes(2, self.charsmap) + numbered if self.charsmap else numbered


@dataclass(frozen=True)
class Model:
    """`ModelProto`."""

    kind: int
    pieces: list[Piece]
    byte_fallback: bool = False
    treat_whitespace_as_suffix: bool = False
    unk_surface: str | None = None
    normalizer: Normalizer = field(default_factory=Normalizer)
    denormalizer: Normalizer | None = None

    def encoded(self) -> bytes:
        trainer = _number(3, self.kind) + _number(24, self.treat_whitespace_as_suffix) + _number(35, self.byte_fallback)
        if self.unk_surface is not None:
            trainer += _bytes(44, self.unk_surface.encode())
        made = b"".join(_piece(piece) for piece in self.pieces) + _bytes(2, trainer) + _bytes(3, self.normalizer.encoded())
        return made if self.denormalizer is None else made + _bytes(5, self.denormalizer.encoded())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _piece(piece: Piece) -> bytes:
    score = _varint(2 << 3 | 5) + struct.pack("<f", piece.score)
    return _bytes(1, _bytes(1, piece.text.encode()) + score + _number(3, piece.kind))


def pieces_of(model: bytes) -> list[Piece]:
    """The pieces of a model file."""
    found = []
    for number, content in protobuf_fields(model):
        if number == 1 and isinstance(content, bytes):
            fields = dict(protobuf_fields(content))
            text, score, kind = fields[1], fields.get(2, b"\0\0\0\0"), fields.get(3, NORMAL)
            assert isinstance(text, bytes) and isinstance(score, bytes) and isinstance(kind, int)
            found.append(Piece(text.decode(), struct.unpack("<f", score)[0], kind))
    return found


def _message(fields: Iterable[tuple[int, bytes | int]]) -> bytes:
    return b"".join(_bytes(*field) if isinstance(field[1], bytes) else _number(*field) for field in fields)  # type: ignore[arg-type]


def with_pieces(model: bytes, pieces: list[Piece]) -> bytes:
    """A model file with other pieces."""
    return b"".join(map(_piece, pieces)) + _message(field for field in protobuf_fields(model) if field[0] != 1)


def without_rules_path(model: bytes) -> bytes:
    """A model file that does not say where its normalization rules were."""
    fields = []
    for number, content in protobuf_fields(model):
        if number == 3 and isinstance(content, bytes):
            content = _message(field for field in protobuf_fields(content) if field[0] != 6)
        fields.append((number, content))
    return _message(fields)


_LETTERS = "ab c▁éxy"


def _word(rng: random.Random, letters: str, longest: int) -> str:
    return "".join(rng.choice(letters) for _ in range(rng.randint(1, longest)))


def random_model(rng: random.Random, kind: int, charsmaps: list[bytes]) -> Model:
    """A model of a few pieces over a small alphabet, with any settings: nothing in it is rare."""
    byte_fallback = rng.random() < 0.4
    found: dict[str, Piece] = {}

    def add(text: str, score: float, kind: int) -> None:
        found.setdefault(text, Piece(text, score, kind))

    add(rng.choice(["<unk>", "<unk>", "[UNK]", "?"]), 0, UNKNOWN)
    for text in rng.sample(["<s>", "</s>", "<pad>", "x", "ab"], rng.randint(0, 4)):
        add(text, 0, CONTROL)
    for byte in range(256 if byte_fallback else 0):
        add(f"<0x{byte:02X}>", 0, BYTE)
    for _ in range(rng.choice([0, 0, 1, 2, 4])):
        add(_word(rng, rng.choice([_LETTERS, "ab ", "<s>ab▁"]), 3), 0, USER_DEFINED)
    parts = [letter for letter in "ab▁cxyé<0>41s/" if rng.random() < 0.85]
    for letter in parts:
        add(letter, -8 * rng.random(), NORMAL)
    for _ in range(rng.randint(0, 25) if len(parts) > 1 else 0):
        text = rng.choice(parts) + rng.choice(parts)
        if len(text) < 9:
            parts.append(text)
            add(text, -12 * rng.random(), NORMAL)
    pieces = list(found.values())
    if rng.random() < 0.5:
        rng.shuffle(pieces)
    pieces = _with_scores(rng, kind, pieces)
    normalizer = Normalizer(rng.choice(charsmaps), rng.random() < 0.7, rng.random() < 0.6, rng.random() < 0.85)
    denormalizer = Normalizer(rng.choice(charsmaps), rng.random() < 0.3, rng.random() < 0.3, rng.random() < 0.3)
    return Model(
        kind,
        pieces,
        byte_fallback,
        treat_whitespace_as_suffix=rng.random() < 0.25,
        unk_surface=rng.choice([None, None, "", "?!"]),
        normalizer=normalizer,
        denormalizer=denormalizer if rng.random() < 0.1 else None,
    )


def _with_scores(rng: random.Random, kind: int, pieces: list[Piece]) -> list[Piece]:
    """BPE's scores differ from each other, if not made equal; Unigram's can be so large that their sums start again."""
    ties, unused, large = rng.random() < 0.3, rng.random() < 0.3, rng.random() < 0.05
    ranks = rng.sample(range(len(pieces)), len(pieces))
    made = []
    for piece, rank in zip(pieces, ranks, strict=True):
        if piece.kind != NORMAL:
            made.append(piece)
            continue
        score = float(-rng.randint(0, 3)) if ties else piece.score if kind == UNIGRAM else float(-rank)
        score *= 3000 if large and kind == UNIGRAM else 1
        is_unused = unused and rng.random() < 0.2
        made.append(replace(piece, score=score, kind=UNUSED if is_unused else NORMAL))
    return made


def random_texts_for(rng: random.Random, pieces: list[Piece], count: int) -> list[str]:
    """Texts of a model's pieces, of its alphabet, and of what the charsmaps and the loader treat in ways of their own."""
    odd = ["  ", "   ", " ", "\t", "\u3000", "e\u0301", "ﬁ", "中", "😀", "\u00a8", "\n", "A", "É", "\0", "<0x41>", "<s>", "<unk>"]
    texts = ["", " ", "  ", "▁", " ▁ "]
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 8)):
            choice = rng.random()
            if choice < 0.4:
                parts.append(rng.choice(pieces).text.replace("▁", rng.choice("▁ ")))
            elif choice < 0.7:
                parts.append(_word(rng, _LETTERS, 6))
            elif choice < 0.8:
                parts.append(rng.choice(odd))
            else:
                parts.append(_word(rng, "ab ", 12))
        texts.append("".join(parts))
    return texts
