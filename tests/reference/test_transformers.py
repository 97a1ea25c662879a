"""`russet.Sampler` and `russet.LogitsProcessors` beside the real transformers, on a processor: `make test-reference`.

Elsewhere the same rows and keywords are tried with the formulas of tests/differential/sampling_reference.py.
"""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sampling_cases as cases
import sampling_keywords as keywords_of
from sampling_cases import Tally
from sampling_reference import Scores

import russet

torch = pytest.importorskip("torch", reason="torch is not installed: see `make test-reference`")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: see `make test-reference`")
    from transformers.generation import GenerationMixin, logits_process

FILTERS = ["top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"]
ALONE, CHAINED = 4_000, 72_000
BATCH = 200
#: The softmax and the entropy of torch are sums of 32 bits: on long flat rows its limits move by more than one rounding.
SLACK = 16


def warper(name: str, order: str, scores: Scores, settings: dict[str, Any]) -> Scores:
    """One filter of transformers, as `sampling_reference.apply`."""
    value, keep = settings[name], settings.get("min_tokens_to_keep", 1)
    made = {
        "temperature": lambda: logits_process.TemperatureLogitsWarper(value),
        "top_h": lambda: logits_process.TopHLogitsWarper(value),
        "top_k": lambda: logits_process.TopKLogitsWarper(value, min_tokens_to_keep=keep),
        "top_p": lambda: logits_process.TopPLogitsWarper(value, min_tokens_to_keep=keep),
        "min_p": lambda: logits_process.MinPLogitsWarper(value, min_tokens_to_keep=keep),
        "typical_p": lambda: logits_process.TypicalLogitsWarper(value, min_tokens_to_keep=keep),
        "epsilon_cutoff": lambda: logits_process.EpsilonLogitsWarper(value, min_tokens_to_keep=keep),
        "eta_cutoff": lambda: logits_process.EtaLogitsWarper(value, min_tokens_to_keep=keep),
    }[name]()
    changed: Scores = made(torch.zeros((len(scores), 1), dtype=torch.long), torch.from_numpy(scores.copy())).numpy()
    return changed


def without_typical_ties(settings: dict[str, Any]) -> dict[str, Any]:
    """Of equally typical tokens transformers fills up to a least number with any."""
    return {name: value for name, value in settings.items() if name != "min_tokens_to_keep" or "typical_p" not in settings}


def test_at_least_100_000_rows_are_compared() -> None:
    assert len(FILTERS) * ALONE + CHAINED >= 100_000


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_alone_keeps_what_transformers_keeps(name: str) -> None:
    rng = np.random.default_rng([11, FILTERS.index(name)])
    tally = Tally()
    while tally.rows < ALONE:
        length = int(rng.integers(1, 301))
        settings = without_typical_ties(cases.alone(rng, name, "transformers", length))
        cases.compare("transformers", settings, cases.rows(rng, BATCH, length), tally, warper, SLACK)


def test_a_chain_keeps_what_that_of_transformers_keeps() -> None:
    rng = np.random.default_rng(12)
    tally = Tally()
    while tally.rows < CHAINED:
        length = int(rng.integers(1, 301))
        settings = without_typical_ties(cases.several(rng, "transformers", length, FILTERS))
        cases.compare("transformers", settings, cases.rows(rng, BATCH, length), tally, warper, SLACK)


@pytest.mark.parametrize("length", [1_000, 32_000, 128_256, 256_000])
def test_long_rows_keep_what_transformers_keeps(length: int) -> None:
    rng = np.random.default_rng([13, length])
    tally = Tally()
    for name in FILTERS:
        for settings in (cases.alone(rng, name, "transformers", length), cases.several(rng, "transformers", length, FILTERS)):
            rows = cases.rows(rng, max(1_000_000 // length, 1), length)
            cases.compare("transformers", without_typical_ties(settings), rows, tally, warper, SLACK)


# Processors, made and ordered by `generate` itself


def processors_of_generate(keywords: dict[str, Any], prompt_length: int) -> Any:
    """What `generate` makes of a generation config, but for what needs a model."""
    keywords = dict(keywords)
    eos = keywords.pop("eos_token_id", None)
    prefix_allowed = keywords.pop("prefix_allowed_tokens_fn", None)
    config = transformers.GenerationConfig(do_sample=False, num_beams=1)
    for name, value in keywords.items():  # afterwards: some combinations are refused, as of no use
        setattr(config, name, value)
    config._eos_token_tensor = None if eos is None else torch.tensor(eos, dtype=torch.long)
    model = SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=False))
    model._merge_criteria_processor_list = lambda default, custom: default
    return GenerationMixin._get_logits_processor(
        model,
        config,
        input_ids_seq_length=prompt_length,
        prefix_allowed_tokens_fn=prefix_allowed and (lambda row, history: prefix_allowed(row, history.numpy())),
        device="cpu",
        model_kwargs={},
    )


def assert_as_generate(keywords: dict[str, Any], history: list[int], scores: Scores) -> None:
    prompt_length = keywords.get("prompt_length", 0)
    of_generate = {name: value for name, value in keywords.items() if name != "prompt_length"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about an empty prompt
        processors = processors_of_generate(of_generate, prompt_length)
    expected = processors(torch.tensor([history], dtype=torch.long), torch.from_numpy(scores.copy())[None])[0].numpy()
    if np.isnan(expected).any():
        return
    actual = russet.LogitsProcessors(**keywords)(history, scores)
    usual = np.abs(expected[np.abs(expected) < 1e4])
    atol = 1e-6 * max(10.0, float(usual.max(initial=0))) if "renormalize_logits" in keywords else 0
    rtol = 1e-6 if "renormalize_logits" in keywords else 0
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=str((keywords, history)))


# What transformers has, but for guidance, which asks a model.
PROCESSORS = [
    name
    for name in ("repetition_penalty", *keywords_of.IN_ORDER)
    if name not in ("guidance", "logit_bias", "llama.cpp's penalties", "dry", "callables", "mask")
]


def keywords_for(rng: np.random.Generator, name: str, history: list[int], length: int) -> dict[str, Any]:
    """Without ids that the logits do not have and lists without ids, which transformers does not always take."""
    keywords, _ = keywords_of.MAKERS[name](rng, history, length)
    for key in ("eos_token_id", "suppress_tokens", "forced_eos_token_id"):
        if isinstance(keywords.get(key), list):
            keywords[key] = [id for id in keywords[key] if id < length] or [0]
    return keywords


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_processor_alone_changes_logits_as_transformers(name: str) -> None:
    rng = np.random.default_rng([14, PROCESSORS.index(name)])
    for _ in range(300):
        length = int(rng.choice([2, 7, 64, 300]))
        history = keywords_of.history_of(rng, length) or [0]
        assert_as_generate(keywords_for(rng, name, history, length), history, keywords_of.gaussian(rng, length))


def test_all_processors_together_act_as_in_generate() -> None:
    rng = np.random.default_rng(15)
    for _ in range(1_000):
        length = int(rng.choice([7, 64, 300]))
        history = keywords_of.history_of(rng, length, beyond=0) or [0]
        keywords: dict[str, Any] = {"eos_token_id": keywords_of.ids(rng, length)}
        for name in PROCESSORS:
            if rng.random() < (0.1 if name in ("forced_bos", "forced_eos", "prefix_allowed") else 0.5):
                keywords |= keywords_for(rng, name, history, length)
        keywords["prompt_length"] = int(rng.choice([len(history), int(rng.integers(0, len(history) + 1))]))
        assert_as_generate(keywords, history, keywords_of.gaussian(rng, length))
