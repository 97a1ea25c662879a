"""The kept sets of `russet.Sampler` are those of its sources' formulas, on more than 100,000 rows of logits.

What rounding in float32 decides is the only exception: there the kept set lies between those for limits that differ by some 1e-6.
"""

from __future__ import annotations

import numpy as np
import pytest
import sampling_cases as cases
import sampling_reference as reference
from sampling_cases import FILTERS, Tally

import russet

ORDERS = list(reference.ORDERS)
# Rows for a filter alone in an order, and for chains in an order.
ALONE, CHAINED = 1_600, 20_000
BATCH = 100
# The share of rows that rounding may decide. Terms of the entropy are rounded where a probability is near one; what is nearly as
# typical changes places.
ROUNDED = {"top_h": 0.1, "typical_p": 0.02}


def lengths(rng: np.random.Generator) -> int:
    """Of a row: one in ten has fewer than ten logits."""
    return int(rng.integers(1, 10) if rng.random() < 0.1 else rng.integers(1, 301))


def test_at_least_100_000_rows_are_compared() -> None:
    assert len(ORDERS) * (len(FILTERS) * ALONE + CHAINED) >= 100_000


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_alone_keeps_what_its_formula_keeps(name: str, order: str) -> None:
    rng = np.random.default_rng([1, FILTERS.index(name), ORDERS.index(order)])
    tally = Tally()
    while tally.rows < ALONE:
        length = lengths(rng)
        cases.compare(order, cases.alone(rng, name, order, length), cases.rows(rng, BATCH, length), tally)
    assert tally.rows == ALONE
    assert tally.rounded <= ALONE * ROUNDED.get(name, 0.01), f"{tally.rounded} of {tally.rows} rows are decided by rounding"


@pytest.mark.parametrize("order", ORDERS)
def test_a_chain_keeps_what_the_formulas_in_that_order_keep(order: str) -> None:
    rng = np.random.default_rng([2, ORDERS.index(order)])
    tally = Tally()
    while tally.rows < CHAINED:
        length = lengths(rng)
        cases.compare(order, cases.several(rng, order, length), cases.rows(rng, BATCH, length), tally)
    assert tally.rows == CHAINED
    assert tally.rounded <= CHAINED * 0.02, f"{tally.rounded} of {tally.rows} rows are decided by rounding"


@pytest.mark.parametrize("order", ORDERS)
def test_long_rows_keep_what_the_formulas_keep(order: str) -> None:
    rng = np.random.default_rng([3, ORDERS.index(order)])
    tally = Tally()
    while tally.rows < 1_000:
        length = int(np.exp(rng.uniform(np.log(1_000), np.log(50_000))))
        name = FILTERS[tally.rows // 22 % len(FILTERS)]
        settings = cases.alone(rng, name, order, length) if rng.random() < 0.5 else cases.several(rng, order, length)
        cases.compare(order, settings, cases.rows(rng, 22, length), tally)


@pytest.mark.parametrize("length", [128_256, 256_000])
@pytest.mark.parametrize("order", ORDERS)
def test_rows_as_long_as_the_largest_vocabularies_keep_what_the_formulas_keep(order: str, length: int) -> None:
    rng = np.random.default_rng([4, ORDERS.index(order), length])
    tally = Tally()
    for name in FILTERS:
        cases.compare(order, cases.alone(rng, name, order, length), cases.rows(rng, 1, length), tally)
        cases.compare(order, cases.several(rng, order, length), cases.rows(rng, 1, length), tally)


@pytest.mark.parametrize("order", ORDERS)
def test_probabilities_are_the_softmax_of_what_is_kept(order: str) -> None:
    rng = np.random.default_rng([5, ORDERS.index(order)])
    for _ in range(60):
        length = lengths(rng)
        settings = cases.several(rng, order, length)
        sampler, logits = cases.sampler(order, settings), cases.rows(rng, 44, length)
        kept = cases.kept_by(sampler, logits)
        scaled = np.where(kept, logits.astype(np.float64) / np.float32(settings.get("temperature", 1.0)), -np.inf)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = weights / weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(sampler.probs(logits), expected, rtol=2e-6, atol=1e-14)


def test_equal_logits_are_kept_as_the_order_says() -> None:
    logits = np.array([1, 3, 2, 2, 0, 2], np.float32)
    kept = {order: russet.Sampler(top_k=2, order=order).kept(logits).tolist() for order in ORDERS}
    assert kept == {"transformers": [1, 2, 3, 5], "mlx-lm": [1, 2], "llama.cpp": [1, 2]}
    kept = {order: russet.Sampler(top_p=0.55, order=order).kept(logits).tolist() for order in ORDERS}
    assert kept == {"transformers": [1, 2], "mlx-lm": [1, 2, 3, 5], "llama.cpp": [1, 2]}
    # The four in the middle are equally typical.
    logits = np.array([4, 1, 1, 1, 1, -3], np.float32) / 4
    kept = {order: len(russet.Sampler(typical_p=0.3, order=order).kept(logits)) for order in ORDERS}
    assert kept == {"transformers": 4, "mlx-lm": 4, "llama.cpp": 2}


def test_logits_that_the_temperature_makes_equal_are_equal_to_a_cutoff_above_them() -> None:
    logits = np.array([3, np.nextafter(np.float32(3), np.float32(0)), 0], np.float32)
    temperatures = [
        value for value in np.linspace(1.1, 1.9, 60).tolist() if len(set((logits[:2] / np.float32(value)).tolist())) == 1
    ]
    assert len(temperatures) > 5
    for value in temperatures:
        for name in ("epsilon_cutoff", "eta_cutoff"):
            for keep in (1, 2):
                sampler = russet.Sampler(temperature=value, min_tokens_to_keep=keep, **{name: 0.9})
                assert sampler.kept(logits).tolist() == [0, 1], (name, value)


def test_mirostat_2_keeps_one_token_where_all_are_too_surprising() -> None:
    logits = np.array([1, 3, 3, 2], np.float32)
    assert russet.Sampler(mirostat=2, mirostat_tau=0.0).kept(logits).tolist() == [1]
    assert russet.Sampler(mirostat=2, mirostat_tau=0.7).kept(logits).tolist() == [1, 2]


def test_a_temperature_of_zero_keeps_the_greatest_logit_with_the_lowest_id() -> None:
    rng = np.random.default_rng(6)
    for order in ORDERS:
        logits = cases.rows(rng, 220, 97)
        kept = russet.Sampler(temperature=0, top_p=0.3, order=order).kept(logits)
        assert np.concatenate(kept).tolist() == logits.argmax(axis=1).tolist()


def test_boundaries_of_top_p_are_inclusive() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    assert russet.Sampler(top_p=0.5).kept(logits).tolist() == [0]
    assert russet.Sampler(top_p=0.75).kept(logits).tolist() == [0, 1]
    assert russet.Sampler(top_p=0.0).kept(logits).tolist() == [0]
    assert russet.Sampler(top_p=1.0).kept(logits).tolist() == [0, 1, 2]
    assert russet.Sampler(top_p=0.0, order="llama.cpp").kept(logits).tolist() == [0]
    assert russet.Sampler(top_p=0.0, order="mlx-lm").kept(logits).tolist() == [0, 1, 2]  # off


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_keeps_and_learns_what_llama_cpp_does(version: int) -> None:
    rng = np.random.default_rng([7, version])
    rounded = 0
    for count in range(400):
        tau, rate, length = float(rng.uniform(0.5, 8)), float(rng.uniform(0.01, 0.5)), int(rng.integers(2, 400))
        sampler = russet.Sampler(mirostat=version, mirostat_tau=tau, mirostat_eta=rate, temperature=0.8, seed=count)
        assert sampler.state == {"step": 0, "mu": 2 * tau}
        for _ in range(4):
            mu = sampler.state["mu"]
            logits = cases.SHAPES[rng.integers(4)](rng, (1, length)).astype(np.float32)
            scores = reference.temperature(logits, 0.8)
            kept = cases.kept_by(sampler, logits)
            if version == 1:
                expected = reference.mirostat_1(scores, mu) > -np.inf
                # The number that is kept is rounded down.
                rounded += int((kept != expected).any())
                assert abs(int(kept.sum()) - int(expected.sum())) <= 1
                assert (kept == reference.greatest(scores, int(kept.sum()))).all()
            else:
                few = reference.mirostat_2(scores, mu, nudge=-1e-5) > -np.inf
                many = reference.mirostat_2(scores, mu, nudge=1e-5) > -np.inf
                rounded += int((few != many).any())
                assert not (few & ~kept).any() and not (kept & ~many).any()
            token = sampler.sample(logits[0])
            probability = float(reference.softmax(reference.masked(scores, kept))[0, token])
            assert sampler.state["mu"] == pytest.approx(reference.mirostat_mu(mu, probability, tau, rate), rel=1e-5, abs=1e-5)
    assert rounded <= 16
