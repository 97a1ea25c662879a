"""The Python interface beside `tokenizers`: `make bench`. Results are compared before anything is timed.

Small tokenizers on a text that repeats: these follow changes of the code, not the speed on published models.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers

import russet

DATA = Path(__file__).parent.parent / "tests" / "data"
NAMES = ["bpe-gpt2", "bpe-llama3", "bpe-llama2", "unigram-t5", "wordpiece-bert-uncased"]
TEXT = (DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")
PROSE = TEXT * 20
MESSAGE = TEXT[:400]

Pair = tuple[Any, Any]


@pytest.fixture(params=NAMES)
def both(request: pytest.FixtureRequest) -> Pair:
    path = str(DATA / "tokenizers" / f"{request.param}.json")
    pair = russet.Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(path)
    ours, theirs = (tokenizer.encode(PROSE) for tokenizer in pair)
    assert ours.ids == theirs.ids
    assert ours.offsets == theirs.offsets
    return pair


@pytest.fixture(params=["russet", "tokenizers"])
def subject(request: pytest.FixtureRequest, both: Pair) -> Any:
    return both[request.param == "tokenizers"]


def test_text_to_ids(benchmark: Any, subject: Any) -> None:
    benchmark.extra_info["bytes"] = len(PROSE.encode())
    benchmark(lambda: subject.encode(PROSE).ids)


def test_message_to_ids(benchmark: Any, subject: Any) -> None:
    benchmark(lambda: subject.encode(MESSAGE).ids)


def test_text_to_offsets(benchmark: Any, subject: Any) -> None:
    def fields() -> Any:
        encoding = subject.encode(PROSE)
        return encoding.ids, encoding.tokens, encoding.offsets

    benchmark(fields)


def test_decode(benchmark: Any, both: Pair, subject: Any) -> None:
    ids = both[0].encode(PROSE).ids
    assert both[0].decode(ids) == both[1].decode(ids)
    benchmark(lambda: subject.decode(ids))


@pytest.mark.parametrize("package", ["russet", "tokenizers"])
@pytest.mark.parametrize("name", NAMES[:1])
def test_load(benchmark: Any, name: str, package: str) -> None:
    content = (DATA / "tokenizers" / f"{name}.json").read_text(encoding="utf-8")
    benchmark(lambda: sys.modules[package].Tokenizer.from_str(content))
