"""tiktoken ranks, held to `tiktoken`."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
import tiktoken

import fixtures
from comparison import assert_same
from texts import EDGES, lines, random_texts

russet = pytest.importorskip("russet")


def ranks() -> dict[bytes, int]:
    pairs = (line.split() for line in (fixtures.TIKTOKEN / "mill.tiktoken").read_text().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


class Reference:
    def __init__(self) -> None:
        pattern = (fixtures.TIKTOKEN / "pattern.txt").read_text(encoding="utf-8")
        self.encoding = tiktoken.Encoding("mill", pat_str=pattern, mergeable_ranks=ranks(), special_tokens={})

    def ids(self, text: str) -> list[int]:
        return self.encoding.encode_ordinary(text)

    def text(self, ids: list[int]) -> str:
        return self.encoding.decode(ids)


class Candidate:
    def __init__(self) -> None:
        pattern = (fixtures.TIKTOKEN / "pattern.txt").read_text(encoding="utf-8")
        self.tokenizer = russet.Tokenizer.from_tiktoken(fixtures.TIKTOKEN / "mill.tiktoken", pattern)

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True).ids
        return found

    def text(self, ids: list[int]) -> str:
        found: str = self.tokenizer.decode(ids)
        return found


def both_ways(subject: Any, text: str) -> Any:
    ids = subject.ids(text)
    return ids, subject.text(ids), subject.text(ids[1:])


def test_ids_and_text() -> None:
    rng = random.Random("tiktoken")
    vocabulary = [token.decode("utf-8", "ignore") for token in ranks()]
    texts = [*EDGES, *lines(), *random_texts(rng, vocabulary, 40_000)]
    assert_same(Reference(), Candidate(), texts, both_ways, "tiktoken")
