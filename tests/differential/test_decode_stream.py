"""`decoders.DecodeStream`, step by step."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import fixtures
from comparison import assert_equal, outcome
from texts import EDGES

Load = Callable[[str], tuple[Any, Any]]


@pytest.mark.parametrize("name", fixtures.names("bpe-", "unigram-", "wordpiece-", "decoder-"))
@pytest.mark.parametrize("skip", [True, False])
def test_steps(name: str, skip: bool, load: Load, reference: ModuleType, candidate: ModuleType) -> None:
    both = load(name)
    rng = random.Random(f"stream {name}")
    size = both[0].get_vocab_size()
    texts = EDGES[:2] if name == "unigram-no-unk" else EDGES
    sequences = [both[0].encode(text).ids for text in texts[7::3]] + [[rng.randrange(size) for _ in range(20)] for _ in range(20)]
    for ids in sequences:
        steps = []
        for tokenizer, module in zip(both, (reference, candidate), strict=True):
            stream = module.decoders.DecodeStream(skip_special_tokens=skip)
            steps.append([outcome(stream.step, tokenizer, id) for id in ids])
        assert_equal(*steps, f"{name}: DecodeStream(skip_special_tokens={skip}) over {ids}")
