"""Packages made from torch models, driven as language models: logits of torch, tokens and beams of transformers' `generate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_packages import Case, assert_close, cases, expected

from russet import LanguageModel

DECODERS = [case for case in cases() if case.family not in ("bert", "t5-encoder", "t5-decoder")]

everywhere = pytest.mark.parametrize("case", DECODERS, ids=str)


@everywhere
def test_logits_of_prompts_are_those_of_torch(case: Case, unpacked: Path) -> None:
    model = LanguageModel.from_pretrained(case.path(unpacked), backend="portable")
    ids, rows = expected(case.family)["ids"], expected(case.family)["output"]
    lengths = [length for length in (1, 3, 8, 9, 16, 17, 27, 32) if length <= model.context_length]
    assert len(lengths) >= 5
    for length in lengths:
        assert_close(model.logits(ids[:length]), rows[:length], 1e-3)


@everywhere
def test_greedy_search_gives_the_tokens_of_transformers(case: Case, unpacked: Path) -> None:
    model = LanguageModel.from_pretrained(case.path(unpacked), backend="portable")
    prompt, tokens = (expected(case.family)[name].tolist() for name in ("prompt", "greedy"))
    count = min(len(tokens), model.context_length - len(prompt))
    assert model.generate(prompt, max_new_tokens=count).token_ids == tokens[:count]


@everywhere
def test_beam_search_gives_the_sequences_of_transformers(case: Case, unpacked: Path) -> None:
    model = LanguageModel.from_pretrained(case.path(unpacked), backend="portable")
    arrays = expected(case.family)
    values = {"num_beams": 4, "num_return_sequences": 2, "max_new_tokens": arrays["beams"].shape[1]}
    found = model.generate(arrays["prompt"].tolist(), **values)
    assert [each.token_ids for each in found] == arrays["beams"].tolist()
    # A step's logits are wrong by at most 0.1 % of the largest, the score is their mean.
    np.testing.assert_allclose([each.score for each in found], arrays["beam_scores"], atol=2e-3 * np.abs(arrays["output"]).max())
