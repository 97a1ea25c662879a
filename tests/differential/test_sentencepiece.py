"""SentencePiece models, held to `sentencepiece`: ids and decoded text."""

from __future__ import annotations

import random
from typing import Any

import fixtures
import pytest
import sentencepiece
from comparison import assert_same
from texts import EDGES, lines, random_texts

russet = pytest.importorskip("russet")
MODELS = sorted(path.stem for path in fixtures.SENTENCEPIECE.glob("*.model"))


class Reference:
    """`sentencepiece` with the calls that the comparison makes."""

    def __init__(self, name: str) -> None:
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(fixtures.SENTENCEPIECE / f"{name}.model"))

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.processor.encode(text)
        return found

    def text(self, ids: list[int]) -> str:
        found: str = self.processor.decode(ids)
        return found


class Candidate:
    def __init__(self, name: str) -> None:
        self.tokenizer = russet.Tokenizer.from_file(fixtures.SENTENCEPIECE / f"{name}.model")

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True).ids
        return found

    def text(self, ids: list[int]) -> str:
        found: str = self.tokenizer.decode(ids)
        return found


def encoded_ids(subject: Any, text: str) -> Any:
    return subject.ids(text)


def models(*differing: str) -> list[Any]:
    """All models; the differing ones are expected to fail, and docs/compatibility.md says why."""
    marks = pytest.mark.xfail(strict=True, reason="white space at the edges of symbols, see docs/compatibility.md")
    return [pytest.param(name, marks=marks if name in differing else ()) for name in MODELS]


@pytest.mark.parametrize("name", models("bpe-user-symbols"))
def test_ids(name: str) -> None:
    reference, candidate = Reference(name), Candidate(name)
    rng = random.Random(f"sentencepiece {name}")
    pieces = [reference.processor.id_to_piece(n).replace("▁", " ") for n in range(reference.processor.get_piece_size())]
    texts = [*EDGES, *lines(), *random_texts(rng, pieces, 20_000)]
    # A control symbol or a byte's piece in a text is ordinary text to `sentencepiece`, and a piece to `transformers`' converted file and to Russet.
    control = [
        reference.processor.id_to_piece(n)
        for n in range(reference.processor.get_piece_size())
        if reference.processor.is_control(n) or reference.processor.is_unknown(n) or reference.processor.is_byte(n)
    ]
    texts = [text for text in texts if not any(symbol in text for symbol in control)]
    # NUL ends a text in the C++ library's own fixtures of normalization; everything else is compared.
    assert_same(reference, candidate, [text.replace("\0", "") for text in texts], encoded_ids, f"{name}: ids")


@pytest.mark.parametrize("name", models("bpe-whitespace-suffix"))
def test_decoded_text(name: str) -> None:
    reference, candidate = Reference(name), Candidate(name)

    def there_and_back(subject: Any, text: str) -> Any:
        return subject.text(reference.ids(text))

    # `sentencepiece` writes an unknown piece as U+2047; here it is a special token, which decoding leaves out.
    unknown = reference.processor.unk_id()
    texts = [text for text in lines() if unknown not in reference.ids(text)]
    assert texts
    assert_same(reference, candidate, texts, there_and_back, f"{name}: decode")
