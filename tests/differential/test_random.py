"""A small slice of `random_run.py`, whose whole takes minutes; `tests/README.md` has the command."""

from __future__ import annotations

import random_run


def test_a_slice_of_the_random_run(candidate_name: str) -> None:
    found = []
    characters = 0
    for name in random_run.sources([], None):
        _, size, mismatches = random_run.random_job(name, candidate_name, 600, 2)
        characters += size
        found += mismatches
    assert characters > 100_000
    assert not found, "\n".join(found[:5])


def test_a_slice_of_the_code_points(candidate_name: str) -> None:
    found = []
    for n, name in enumerate(random_run.sources(["normalizer-", "pre_tokenizer-", "wordpiece-bert"], None)):
        _, _, mismatches = random_run.code_point_job(name, candidate_name, 2003, n)
        found += mismatches
    assert not found, "\n".join(found[:5])
