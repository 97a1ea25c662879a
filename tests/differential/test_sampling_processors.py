"""`russet.LogitsProcessors` changes logits by its sources' formulas: to the bit where these are the same operations on float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sampling_reference as reference
from sampling_cases import SHAPES
from sampling_keywords import IN_ORDER, MAKERS, dry, gaussian, history_of, ids
from sampling_reference import Scores

import russet

# Sums and powers that the sources take in another order, or in float32 where Russet takes them in float64.
ROUNDED = {"guidance", "renormalize", "dry", "mlx-lm's penalties", "all"}
OF_CALL = ("mask", "unconditional_logits")


def processed(keywords: dict[str, Any], history: list[int], scores: Scores) -> Scores:
    of_call = {name: keywords[name] for name in OF_CALL if name in keywords}
    processors = russet.LogitsProcessors(**{name: value for name, value in keywords.items() if name not in of_call})
    given = scores.copy()
    result = processors(history, given, **of_call)
    assert result.dtype == np.float32
    assert result.shape == scores.shape
    np.testing.assert_array_equal(given, scores)
    return result


def assert_equal(name: str, actual: Scores, expected: Scores, context: Any) -> None:
    if name in ROUNDED:
        usual = np.abs(expected[np.abs(expected) < 1e4])
        atol = 1e-6 * max(10.0, float(usual.max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=atol, err_msg=str(context))
    else:
        np.testing.assert_array_equal(actual, expected, err_msg=str(context))


@pytest.mark.parametrize("name", MAKERS)
def test_a_processor_alone_changes_logits_by_its_formula(name: str) -> None:
    rng = np.random.default_rng([1, list(MAKERS).index(name)])
    for round in range(400):
        length = int(rng.choice([1, 2, 7, 60, 64, 65, 300]))
        history = history_of(rng, length)
        keywords, formula = MAKERS[name](rng, history, length)
        scores = SHAPES[round % len(SHAPES)](rng, (1, length))[0].astype(np.float32)
        if name in ("guidance", "renormalize", "exponential_decay"):  # their infinities have a test of their own
            scores = np.maximum(scores, np.float32(-50))
        assert_equal(name, processed(keywords, history, scores), formula(history, scores), (keywords, history))


def test_all_processors_together_act_in_the_order_of_transformers() -> None:
    rng = np.random.default_rng(2)
    changed = 0
    for _ in range(1_500):
        length = int(rng.choice([5, 64, 300]))
        history = history_of(rng, length, beyond=0)
        prompt, eos = int(rng.integers(0, len(history) + 1)), ids(rng, length)
        shared = {"prompt_length": prompt, "eos_token_id": eos}
        used = [
            name for name in IN_ORDER if rng.random() < (0.1 if name in ("forced_bos", "forced_eos", "prefix_allowed") else 0.5)
        ]
        keywords: dict[str, Any] = {}
        for name in used:
            keywords |= IN_ORDER[name](rng, history, length)[0]
        if rng.random() < 0.5:
            keywords["prompt_length"] = prompt
        keywords = {**shared, **keywords}
        if rng.random() < 0.5:
            keywords["prompt_length"] = len(history)  # the first token after the prompt
        scores = gaussian(rng, length)
        with np.errstate(over="ignore", invalid="ignore"):  # decay past what a number can be: not of interest here
            expected = together(keywords, history, scores)
        if not np.isfinite(expected).any() or np.isnan(expected).any():
            continue
        changed += 1
        assert_equal("all", processed(keywords, history, scores), expected, (keywords, history))
    assert changed > 1_000


def together(keywords: dict[str, Any], history: list[int], scores: Scores) -> Scores:
    """All that keywords name, in the order of `_get_logits_processor` in generation/utils.py of transformers."""
    value, length, prompt, eos = keywords.get, len(history), keywords["prompt_length"], keywords["eos_token_id"]

    def window(name: str) -> int | None:
        return None if value(name, -1) == -1 else keywords[name]

    if "guidance_scale" in keywords:
        scores = reference.guidance(scores, keywords["unconditional_logits"], keywords["guidance_scale"])
    if "sequence_bias" in keywords:
        given = keywords["sequence_bias"]
        scores = reference.sequence_bias(history, scores, given if isinstance(given, dict) else {tuple(i): b for i, b in given})
    if "logit_bias" in keywords:
        scores = reference.logit_bias(scores, keywords["logit_bias"])
    amounts = (value("repetition_penalty", 1), value("presence_penalty", 0), value("frequency_penalty", 0))
    scores = reference.penalties_of_llama(history, scores, *amounts, window("penalty_last_n"))
    if "dry_multiplier" in keywords:
        amounts = (keywords["dry_multiplier"], keywords["dry_base"], keywords["dry_allowed_length"])
        scores = reference.dry(history, scores, *amounts, keywords["dry_sequence_breakers"], window("dry_penalty_last_n"))
    if "no_repeat_ngram_size" in keywords:
        scores = reference.no_repeat_ngram(history, scores, keywords["no_repeat_ngram_size"])
    if "bad_words_ids" in keywords:
        scores = reference.bad_words(history, scores, keywords["bad_words_ids"], eos)
    if length < value("min_length", 0) or length - prompt < value("min_new_tokens", 0):
        scores = reference.without(scores, eos)
    if "prefix_allowed_tokens_fn" in keywords:
        scores = reference.prefix_allowed(scores, keywords["prefix_allowed_tokens_fn"](0, np.array(history, np.int64)))
    if "forced_bos_token_id" in keywords and length == 1:
        scores = reference.forced(scores, [keywords["forced_bos_token_id"]])
    if "forced_eos_token_id" in keywords and length == keywords["max_length"] - 1:
        scores = reference.forced(scores, np.atleast_1d(keywords["forced_eos_token_id"]).tolist())
    if "remove_invalid_values" in keywords:
        scores = reference.remove_invalid(scores)
    if "exponential_decay_length_penalty" in keywords:
        inside = [id for id in eos if id < len(scores)]
        scores = reference.exponential_decay(history, scores, *keywords["exponential_decay_length_penalty"], inside, prompt)
    scores = reference.without(scores, value("suppress_tokens", []))
    if length == prompt + (prompt <= 1 and "forced_bos_token_id" in keywords):
        scores = reference.without(scores, value("begin_suppress_tokens", []))
    for function in value("logits_processor", []):
        scores = function(np.array([history]), scores[None])[0].astype(np.float32)
    if "mask" in keywords:
        scores = np.where(keywords["mask"], scores, np.float32(-np.inf))
    return reference.log_softmax(scores) if "renormalize_logits" in keywords else scores


def test_a_batch_is_processed_as_its_rows_are() -> None:
    rng = np.random.default_rng(3)
    length = 130
    histories = [history_of(rng, length) for _ in range(40)]
    scores = rng.normal(0, 4, (40, length)).astype(np.float32)
    keywords: dict[str, Any] = {
        "repetition_penalty": 1.3,
        "frequency_penalty": 0.2,
        "no_repeat_ngram_size": 2,
        "dry_multiplier": 0.7,
    }
    processors = russet.LogitsProcessors(**keywords, suppress_tokens=[3, 129])
    expected = np.stack([processors(history, row) for history, row in zip(histories, scores, strict=True)])
    np.testing.assert_array_equal(processors(histories, scores), expected)


def test_a_sampler_processes_before_it_filters() -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        length = int(rng.choice([5, 64, 300]))
        history = history_of(rng, length)
        keywords: dict[str, Any] = {}
        for name in ("sequence_bias", "llama.cpp's penalties", "dry", "no_repeat_ngram", "suppress"):
            keywords |= IN_ORDER[name](rng, history, length)[0] if rng.random() < 0.5 else {}
        scores = gaussian(rng, length)
        changed = processed(keywords, history, scores)
        if not np.isfinite(changed).any():
            continue
        filters = {"temperature": 0.7, "top_k": 20, "top_p": 0.8}
        expected = russet.Sampler(**filters).kept(changed).tolist()
        assert russet.Sampler(**filters, **keywords).kept(scores, history).tolist() == expected


# The edges


@pytest.mark.parametrize("name", MAKERS)
def test_one_logit_and_no_history_are_processed(name: str) -> None:
    rng = np.random.default_rng([5, list(MAKERS).index(name)])
    for _ in range(20):
        keywords, formula = MAKERS[name](rng, [], 1)
        scores = gaussian(rng, 1)
        assert_equal(name, processed(keywords, [], scores), formula([], scores), keywords)
        assert_equal(name, processed(keywords, [0], scores), formula([0], scores), keywords) if name != "prefix_allowed" else None


def test_no_history_is_an_empty_one() -> None:
    scores = np.array([1, -2, 3], np.float32)
    processors = russet.LogitsProcessors(repetition_penalty=2.0, no_repeat_ngram_size=1, min_length=1, eos_token_id=2)
    np.testing.assert_array_equal(processors(None, scores), processors([], scores))
    np.testing.assert_array_equal(processors(None, scores), np.array([1, -2, -np.inf], np.float32))


def test_an_id_that_is_often_in_the_history_is_penalized_once_and_ids_beyond_the_logits_not_at_all() -> None:
    scores = np.array([1, -2, 3], np.float32)
    changed = russet.LogitsProcessors(repetition_penalty=2.0)([0, 1, 0, 1, 1, 7, 4_000_000_000], scores)
    np.testing.assert_array_equal(changed, np.array([0.5, -4, 3], np.float32))


def test_sequences_longer_than_the_history_have_no_bias() -> None:
    scores = np.zeros(4, np.float32)
    biases = {(0, 1, 2): 5.0, (1, 2): 3.0, (2,): 1.0, (3, 3, 3, 3, 3): 9.0}
    processors = russet.LogitsProcessors(sequence_bias=biases)
    assert [processors(history, scores)[2] for history in ([], [1], [0, 1], [1, 0])] == [1, 4, 9, 1]
    processors = russet.LogitsProcessors(bad_words_ids=[[0, 1, 2]])
    assert [processors(history, scores)[2] for history in ([], [1], [0, 1])] == [0, 0, -np.inf]


def test_the_end_is_no_bad_word_but_a_sequence_with_it_is() -> None:
    processors = russet.LogitsProcessors(bad_words_ids=[[2], [1], [0, 2]], eos_token_id=[2, 3])
    np.testing.assert_array_equal(processors([1], np.zeros(4, np.float32)), np.array([0, -np.inf, 0, 0], np.float32))
    np.testing.assert_array_equal(processors([0], np.zeros(4, np.float32)), np.array([0, -np.inf, -np.inf, 0], np.float32))


def test_biased_ids_beyond_the_logits_are_refused() -> None:
    for keywords in ({"sequence_bias": {(0, 4): 1.0}}, {"logit_bias": {4: 1.0}}, {"bad_words_ids": [[4, 0]]}):
        with pytest.raises(ValueError, match=next(iter(keywords))):
            russet.LogitsProcessors(**keywords)([0], np.zeros(4, np.float32))


def test_begin_suppress_acts_on_the_first_token_alone_one_later_with_a_forced_first_one() -> None:
    scores = np.zeros(3, np.float32)

    def acts(history: list[int], **keywords: Any) -> bool:
        return russet.LogitsProcessors(begin_suppress_tokens=[1], **keywords)(history, scores)[1] == -np.inf

    assert [acts(history, prompt_length=2) for history in ([], [0], [0, 0], [0, 0, 0])] == [False, False, True, False]
    assert [acts(history) for history in ([], [0])] == [True, False]
    forced = {"prompt_length": 1, "forced_bos_token_id": 1}
    assert [acts(history, **forced) for history in ([0, 0], [0, 0, 0])] == [True, False]
    np.testing.assert_array_equal(
        russet.LogitsProcessors(begin_suppress_tokens=[1], **forced)([0], scores), np.array([-np.inf, 0, -np.inf], np.float32)
    )


def test_the_first_and_the_last_token_are_forced_at_their_lengths_alone() -> None:
    scores = np.array([4, 5, 6], np.float32)
    infinity = np.inf
    processors = russet.LogitsProcessors(forced_bos_token_id=0, forced_eos_token_id=[1, 2], max_length=3)
    expected = [[4, 5, 6], [0, -infinity, -infinity], [-infinity, 0, 0], [4, 5, 6]]
    assert [processors([0] * length, scores).tolist() for length in range(4)] == expected


def test_allowed_tokens_that_are_all_removed_are_given_a_logit_of_zero() -> None:
    scores = np.array([1, -np.inf, -np.inf, 2], np.float32)
    for allowed, expected in (([1, 2], [-np.inf, 0, 0, -np.inf]), ([1, 0], [1, -np.inf, -np.inf, -np.inf])):
        processors = russet.LogitsProcessors(prefix_allowed_tokens_fn=lambda row, history, allowed=allowed: allowed)
        assert processors([], scores).tolist() == expected
    with pytest.raises(ValueError, match="allows nothing"):
        russet.LogitsProcessors(prefix_allowed_tokens_fn=lambda row, history: [])([], scores)


def test_exponential_decay_leaves_infinities_and_acts_past_its_start() -> None:
    scores = np.array([np.inf, -np.inf, np.nan, -2, 3], np.float32)
    processors = russet.LogitsProcessors(exponential_decay_length_penalty=(2, 1.5), eos_token_id=[0, 1, 2, 3], prompt_length=1)
    np.testing.assert_array_equal(processors([0, 0, 0], scores), scores)
    np.testing.assert_array_equal(processors([0, 0, 0, 0], scores), np.array([np.inf, -np.inf, np.nan, -1, 3], np.float32))
    np.testing.assert_array_equal(processors([0] * 5, scores), np.array([np.inf, -np.inf, np.nan, 0.5, 3], np.float32))


def test_invalid_values_become_numbers() -> None:
    limits = np.finfo(np.float32)
    scores = np.array([np.nan, np.inf, -np.inf, -0.0, 1], np.float32)
    expected = np.array([0, limits.max, limits.min, 0, 1], np.float32)
    np.testing.assert_array_equal(russet.LogitsProcessors(remove_invalid_values=True)([], scores), expected)


def test_guidance_and_renormalizing_keep_removed_tokens_removed() -> None:
    scores, other = np.array([1, -np.inf, 2], np.float32), np.array([0.5, 1, 3], np.float32)
    changed = russet.LogitsProcessors(guidance_scale=1.5)([], scores, unconditional_logits=other)
    np.testing.assert_allclose(changed, reference.guidance(scores, other, 1.5), rtol=1e-6)
    np.testing.assert_allclose(
        russet.LogitsProcessors(renormalize_logits=True)([], scores), reference.log_softmax(scores), rtol=1e-6
    )


def test_renormalizing_divides_the_mass_among_equal_logits_however_great_they_are() -> None:
    for logit in (0.0, -1e30, 1e30, float(np.finfo(np.float32).min)):
        changed = russet.LogitsProcessors(renormalize_logits=True)([], np.full(2, logit, np.float32))
        np.testing.assert_allclose(changed, np.log([0.5, 0.5]), rtol=1e-6)


def test_biases_are_taken_as_a_mapping_and_as_pairs_in_tuples_or_lists() -> None:
    scores = np.zeros(3, np.float32)
    for biases in ({(2,): 1.5, (0, 1): -1.0}, [((2,), 1.5), ((0, 1), -1.0)], [[[2], 1.5], [[0, 1], -1.0]]):
        assert russet.LogitsProcessors(sequence_bias=biases)([0], scores).tolist() == [0, -1, 1.5]


def test_dry_finds_the_repetitions_that_comparing_finds_in_long_histories() -> None:
    rng = np.random.default_rng(8)
    for _ in range(150):
        history = rng.integers(rng.integers(2, 6), size=int(rng.integers(1, 300))).tolist()
        if rng.random() < 0.5:
            begin = int(rng.integers(len(history)))
            history += history[begin : begin + 40]
        keywords, formula = dry(rng, history, 8)
        # No longer repetitions than a number can hold the penalty of.
        scores = gaussian(rng, 8)
        assert_equal("dry", processed(keywords, history, scores), formula(history, scores), (keywords, history))
