"""That draws have the distribution that they should have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import russet

GOLDEN = Path(__file__).parent.parent / "data" / "sampling.json"
SEEDS = range(8)
#: Of 8 seeds and the tests here, one in a million runs fails by chance.
ALPHA = 1e-8


def chi_square_limit(freedom: int) -> float:
    """The value that is passed with probability ALPHA (Wilson and Hilferty 1931)."""
    z = 5.612  # of ALPHA
    return freedom * (1 - 2 / (9 * freedom) + z * (2 / (9 * freedom)) ** 0.5) ** 3


def statistic(counts: NDArray[np.int64], probs: NDArray[np.float64]) -> tuple[float, int]:
    """Chi-square over ids that are expected five times and more, the others together."""
    expected = probs * counts.sum()
    many = expected >= 5
    observed = np.append(counts[many], counts[~many].sum())
    expected = np.append(expected[many], expected[~many].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    return float(((observed - expected) ** 2 / expected).sum()), len(expected) - 1


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.3},
        {"temperature": 0.8, "top_k": 12},
        {"top_p": 0.9},
        {"min_p": 0.05, "order": "llama.cpp", "temperature": 2.0},
    ],
    ids=str,
)
def test_tokens_come_as_often_as_their_probabilities_say(options: dict[str, Any]) -> None:
    row = np.random.default_rng(1).normal(0, 2, 300).astype(np.float32)
    batch = np.broadcast_to(row, (1000, 300))
    for seed in SEEDS:
        sampler = russet.Sampler(seed=seed, **options)
        probs = sampler.probs(row)
        tokens = np.concatenate([sampler.sample(batch) for _ in range(20)])
        counts = np.bincount(tokens, minlength=300)
        assert not counts[probs == 0].any()
        value, freedom = statistic(counts, probs)
        assert value < chi_square_limit(freedom), (seed, value, freedom)


def test_tokens_of_following_steps_and_rows_are_independent() -> None:
    row = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    batch = np.broadcast_to(row, (500, 4))
    for seed in SEEDS:
        sampler = russet.Sampler(seed=seed)
        probs = sampler.probs(row)
        tokens = np.stack([sampler.sample(batch) for _ in range(60)])
        for first, second in ((tokens[:-1], tokens[1:]), (tokens[:, :-1], tokens[:, 1:])):
            pairs = np.bincount((first * 4 + second).ravel(), minlength=16)
            value, freedom = statistic(pairs, np.outer(probs, probs).ravel())
            assert value < chi_square_limit(freedom), (seed, value)


def test_rare_tokens_come_at_their_rate() -> None:
    # One of ten thousand in all, spread over 20 ids: each comes five times of a million.
    weights = np.full(21, 1e-4 / 20)
    weights[10] = 1 - 1e-4
    row = np.log(weights).astype(np.float32)
    sampler = russet.Sampler(seed=3)
    probs = sampler.probs(row)
    assert probs[np.arange(21) != 10].sum() == pytest.approx(1e-4, rel=1e-5)
    # Where the draw goes over to other tokens, exactly: the distribution has no holes at its ends.
    below, above = probs[:10].sum(), probs[:11].sum()
    for u, expected in ((0.0, 0), (below * (1 - 1e-9), 9), (below * (1 + 1e-9), 10), (above - 1e-12, 10), (above + 1e-12, 11)):
        assert sampler.sample_with_uniform(row, u) == expected
    batch = np.broadcast_to(row, (10_000, 21))
    counts = sum(np.bincount(sampler.sample(batch), minlength=21) for _ in range(100))
    rare = np.delete(counts, 10)
    assert 40 <= rare.sum() <= 170  # 100 are expected
    assert (rare > 0).sum() >= 15 and rare.max() <= 25


@pytest.mark.parametrize("size", [5, 300, 5000, 70_000])
def test_a_draw_changes_just_where_the_probabilities_add_up_to_the_number(size: int) -> None:
    rng = np.random.default_rng(size)
    row = rng.normal(0, 3, size).astype(np.float32)
    for options in ({"temperature": 0.7}, {"top_k": 40}, {"top_p": 0.8}):
        sampler = russet.Sampler(**options)
        probs = sampler.probs(row)
        kept = np.flatnonzero(probs)
        edges = np.cumsum(probs)[kept]
        for index in rng.choice(len(kept) - 1, min(len(kept) - 1, 40), replace=False):
            # The sums here are made in another order, so the edge is known to 1e-12, far below any probability that counts.
            edge, width = edges[index], min(probs[kept[index]], probs[kept[index + 1]])
            if width > 1e-11:
                assert sampler.sample_with_uniform(row, edge - 2e-12) == kept[index]
                assert sampler.sample_with_uniform(row, edge + 2e-12) == kept[index + 1]


def test_an_edge_is_passed_between_neighbouring_numbers() -> None:
    # Probabilities that are exact: the edges are known to the last bit.
    row = np.log2(np.array([4, 2, 1, 1], np.float32)) * np.float32(np.log(2))
    sampler = russet.Sampler()
    for edge, token in ((0.5, 0), (0.75, 1), (0.875, 2)):
        probs = sampler.probs(row)
        edge = float(probs[: token + 1].sum())
        drawn = [sampler.sample_with_uniform(row, u) for u in (np.nextafter(edge, 0) - 2**-52, np.nextafter(edge, 1) + 2**-52)]
        assert drawn == [token, token + 1]


def golden_tokens() -> list[int]:
    """Tokens for the cases of the golden file: rows by integer arithmetic, so that no other library has a part in them."""
    cases = json.loads(GOLDEN.read_text())["cases"]
    tokens = []
    for size, spread, options in cases:
        state = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(29)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(32)
        row = (state >> np.uint64(44)).astype(np.float32) * np.float32(spread / 2**20)
        sampler = russet.Sampler(**options)
        tokens += [sampler.sample(row) for _ in range(100)]
    return tokens


def test_the_golden_tokens_are_drawn_at_every_level_of_instructions() -> None:
    golden = json.loads(GOLDEN.read_text())["tokens"]
    assert len(golden) == 10_000
    assert golden_tokens() == golden
    code = "import test_sampler_draws, json; print(json.dumps(test_sampler_draws.golden_tokens()))"
    levels = ["scalar"]
    for level in levels:
        environment = {**os.environ, "RUSSET_SIMD": level, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == golden, level
