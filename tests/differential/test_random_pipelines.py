"""Stages put together at random: pipelines that no fixture has, held to the reference."""

from __future__ import annotations

import json
import random
from types import ModuleType
from typing import Any

import pytest

import fixtures
from comparison import assert_equal, assert_same, decoded, encoded, outcome
from texts import EDGES, random_texts

NAMES = fixtures.names("bpe-", "unigram-", "wordpiece-", "normalizer-", "pre_tokenizer-", "decoder-", "post_processor-")


def pipeline(rng: random.Random) -> dict[str, Any]:
    config = fixtures.config(rng.choice(fixtures.names("bpe-", "unigram-", "wordpiece-", "normalizer-", "wordlevel-")))
    donors: dict[str, list[Any]] = {"normalizer": [], "pre_tokenizer": [], "decoder": [], "post_processor": []}
    for key, found in donors.items():
        found += [part for part in (fixtures.config(name)[key] for name in rng.sample(NAMES, 40)) if part]
        choice = rng.random()
        if choice < 0.2:
            config[key] = None
        elif choice < 0.6 or key == "post_processor":
            config[key] = rng.choice(found)
        else:
            inner = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}[key]
            config[key] = {"type": "Sequence", inner: rng.sample(found, min(len(found), rng.randint(1, 3)))}
    return config


@pytest.mark.parametrize("seed", range(120))
def test_random_pipelines(seed: int, reference: ModuleType, candidate: ModuleType) -> None:
    rng = random.Random(f"pipelines {seed}")
    content = json.dumps(pipeline(rng))
    both = [outcome(module.Tokenizer.from_str, content) for module in (reference, candidate)]
    assert_equal(*(isinstance(t, reference.Tokenizer | candidate.Tokenizer) for t in both), f"loads: {content[:300]} {both}")
    if not isinstance(both[0], reference.Tokenizer):
        return
    texts = [*rng.sample(EDGES, 20), *random_texts(rng, sorted(both[0].get_vocab()), 1500)]
    sections = {key: json.loads(content)[key] for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder")}
    what = f"seed {seed}: {json.dumps(sections, ensure_ascii=False)[:1500]}"
    assert_same(*both, texts, encoded, what)
    assert_same(*both, texts[::3], decoded, what)
