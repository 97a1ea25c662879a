"""Beam search finds what transformers finds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from table_model import TableModel

import fixtures
import russet
from russet.generation import CancelToken, PromptCache, generate, stream_generate

CASES: list[dict[str, Any]] = json.loads((fixtures.DATA / "beam_search.json").read_text(encoding="utf-8"))


def found(case: dict[str, Any], **values: Any) -> list[russet.generation.Generation]:
    result = generate(TableModel(**case["model"]), case["prompt"], **{**case["values"], **values})
    return result if isinstance(result, list) else [result]


@pytest.mark.parametrize("index", range(len(CASES)))
def test_sequences_and_scores_are_those_of_transformers(index: int) -> None:
    case = CASES[index]
    sequences = found(case)
    assert [each.token_ids for each in sequences] == [each["ids"] for each in case["sequences"]]
    assert [each.score for each in sequences] == pytest.approx([each["score"] for each in case["sequences"]], rel=1e-6, abs=1e-6)


def naive(model: TableModel, prompt: list[int], num_beams: int, count: int) -> list[list[int]]:
    """Beam search without ends: all continuations of all beams, sorted."""
    beams = [(0.0, [])]
    for _ in range(count):
        following = []
        for score, ids in beams:
            logits = model.logits([*prompt, *ids]).astype(np.float64)
            log_probs = logits - np.log(np.exp(logits).sum())
            following += [(score + float(each), [*ids, token]) for token, each in enumerate(log_probs)]
        beams = sorted(following, reverse=True)[:num_beams]
    return [ids for _, ids in beams]


@pytest.mark.parametrize("seed", range(5))
def test_without_ends_it_is_the_plain_search(seed: int) -> None:
    model = TableModel(seed=seed, sharpness=0.5)
    sequences = generate(model, [1, 2], num_beams=4, num_return_sequences=4, max_new_tokens=9)
    assert [each.token_ids for each in sequences] == naive(model, [1, 2], 4, 9)
    assert {each.finish_reason for each in sequences} == {"length"}


def test_each_beam_reads_one_token_for_each_step() -> None:
    model = TableModel(sharpness=0.5)
    generate(model, [1, 2, 3], num_beams=3, max_new_tokens=10)
    assert model.calls == [3] + [1] * 27


def test_a_context_of_few_tokens_ends_the_search() -> None:
    model = TableModel(context_length=8)
    assert len(generate(model, [1, 2, 3], num_beams=3, max_new_tokens=100).token_ids) == 6
    with pytest.raises(russet.ContextLengthError):
        generate(model, [1, 2, 3], num_beams=3, max_new_tokens=100, on_context_end="error")


def test_a_cancelled_search_gives_what_it_has() -> None:
    model = TableModel(sharpness=0.5)
    token = CancelToken()

    def after_four_steps(ids: np.ndarray, logits: np.ndarray) -> bool:
        if ids.shape[1] == 6:
            token.cancel()
        return False

    whole = generate(model, [1, 2], num_beams=3, max_new_tokens=4)
    cancelled = generate(model, [1, 2], num_beams=3, max_new_tokens=50, cancel=token, stopping_criteria=after_four_steps)
    assert cancelled.token_ids == whole.token_ids
    assert cancelled.finish_reason == "cancelled"
    assert cancelled.score == whole.score
    # Before there is anything.
    none = generate(model, [1, 2], num_beams=3, num_return_sequences=2, cancel=lambda: True)
    assert [(each.token_ids, each.finish_reason) for each in none] == [([], "cancelled")] * 2


def test_a_criterion_ends_a_beam() -> None:
    model = TableModel(sharpness=0.5)
    by_id = generate(model, [1, 2], num_beams=3, num_return_sequences=3, max_new_tokens=20, eos_token_id=7)
    by_criterion = generate(
        model, [1, 2], num_beams=3, num_return_sequences=3, max_new_tokens=20, stopping_criteria=lambda ids, _: ids[0, -1] == 7
    )
    assert [each.token_ids for each in by_criterion] == [each.token_ids for each in by_id]
    assert "stop" in {each.finish_reason for each in by_criterion}


def test_where_there_are_fewer_sequences_than_beams_there_are_fewer() -> None:
    model = TableModel()
    sequences = generate(
        model, [1, 2], num_beams=4, num_return_sequences=4, max_new_tokens=1, prefix_allowed_tokens_fn=lambda *_: [3, 5]
    )
    assert sorted(each.token_ids for each in sequences) == [[3], [5]]


def test_allowed_tokens_are_asked_for_as_for_one_text() -> None:
    asked = []

    def allowed(batch: int, ids: np.ndarray) -> list[int]:
        asked.append((batch, len(ids)))
        return list(range(8))

    generate(TableModel(), [1, 2], num_beams=2, max_new_tokens=2, prefix_allowed_tokens_fn=allowed)
    assert asked == [(0, 2), (0, 2), (0, 3), (0, 3)]


def test_a_prompt_cache_is_left_with_the_prompt() -> None:
    model = TableModel()
    cache = PromptCache(model)
    one = generate(model, [1, 2, 3], num_beams=3, max_new_tokens=9, prompt_cache=cache)
    assert list(cache.ids) == [1, 2, 3]
    again = generate(model, [1, 2, 3], num_beams=3, max_new_tokens=9, prompt_cache=cache)
    assert (again.token_ids, again.usage.cached_tokens) == (one.token_ids, 2)


@pytest.mark.parametrize(
    ("values", "argument"),
    [
        ({"num_return_sequences": 4}, "num_return_sequences"),
        ({"temperature": 0.7}, "do_sample"),
        ({"do_sample": True}, "do_sample"),
        ({"prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens"),
        ({"assistant_model": TableModel()}, "assistant_model"),
        ({"logprobs": True}, "logprobs"),
        ({"guidance_scale": 2.0}, "guidance_scale"),
        ({"on_context_end": "slide"}, "on_context_end"),
        ({"early_stopping": "always"}, "early_stopping"),
        ({"num_beam_groups": 3}, "num_beam_groups"),
        ({"diversity_penalty": 0.5}, "diversity_penalty"),
    ],
)
def test_what_is_not_supported_is_refused(values: dict[str, Any], argument: str) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], **{"num_beams": 3, **values})
    assert caught.value.argument == argument


def test_no_stream_of_beams() -> None:
    with pytest.raises(russet.ArgumentError, match="num_beams"):
        stream_generate(TableModel(), [1], num_beams=2)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "no token is left")])
def test_invalid_logits_are_an_error(value: float, kind: str) -> None:
    model = TableModel()
    model.of_last[2] = value
    with pytest.raises(russet.InvalidLogitsError) as caught:
        generate(model, [1, 2], num_beams=2)
    assert caught.value.kind == kind
