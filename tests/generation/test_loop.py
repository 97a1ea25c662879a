"""The decode loop: seeds, ends, cancelling, full contexts, probabilities."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from table_model import TableModel

import russet
from russet.generation import CancelToken, generate, stream_generate
from russet.generation.loop import History, greatest, logprobs_of

# Seeds


@pytest.mark.parametrize(
    "values", [{"temperature": 0.9}, {"top_k": 5}, {"top_p": 0.8, "min_p": 0.01}, {"mirostat": 2, "temperature": 1.0}]
)
def test_a_seed_gives_a_text(values: dict[str, Any]) -> None:
    model = TableModel()
    one, again, other = (generate(model, [1], max_new_tokens=40, seed=seed, **values).token_ids for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_seed_that_was_not_given_is_told() -> None:
    model = TableModel()
    one = generate(model, [1], max_new_tokens=20, temperature=1.0)
    assert generate(model, [1], max_new_tokens=20, temperature=1.0, seed=one.seed).token_ids == one.token_ids
    assert len({generate(model, [1], max_new_tokens=20, temperature=1.0).seed for _ in range(5)}) == 5


def test_sequences_share_the_prompt_and_differ() -> None:
    model = TableModel()
    sequences = generate(model, [1, 2, 3, 4], max_new_tokens=10, temperature=1.0, seed=7, num_return_sequences=3)
    assert model.calls == [4] + [1] * 27
    assert len({tuple(each.token_ids) for each in sequences}) == 3
    # Each is what its row of random numbers gives, however many there are.
    fewer = generate(model, [1, 2, 3, 4], max_new_tokens=10, temperature=1.0, seed=7, num_return_sequences=2)
    assert [each.token_ids for each in fewer] == [each.token_ids for each in sequences[:2]]
    assert generate(model, [1, 2, 3, 4], max_new_tokens=10, temperature=1.0, seed=7).token_ids == sequences[0].token_ids
    pieces = list(stream_generate(model, [1, 2, 3, 4], max_new_tokens=10, temperature=1.0, seed=7, num_return_sequences=3))
    for index, sequence in enumerate(sequences):
        assert [piece.token for piece in pieces if piece.index == index] == sequence.token_ids


def test_greedy_sequences_would_be_the_same() -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], num_return_sequences=2)
    assert caught.value.argument == "num_return_sequences"


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.7, "top_k": 7, "top_p": 0.9, "min_p": 0.02},
        {"temperature": 1.0, "repetition_penalty": 1.4, "presence_penalty": 0.3, "no_repeat_ngram_size": 3},
        {"temperature": 0.0, "dry_multiplier": 0.8},
        {"xtc_probability": 0.5, "xtc_threshold": 0.1},
        {"typical_p": 0.6},
        {"mirostat": 1},
        {"logit_bias": {3: 2.0}, "suppress_tokens": [4], "temperature": 1.0},
        {"begin_suppress_tokens": list(range(20)), "temperature": 1.0},
        {"min_new_tokens": 9, "eos_token_id": [1, 2, 3, 4, 5], "temperature": 1.0},
        {"logits_processor": lambda ids, scores: scores - ids.shape[1]},
        {"prefix_allowed_tokens_fn": lambda batch, ids: [int(ids[-1] + 1) % 32, 5]},
        {"forced_eos_token_id": 3, "eos_token_id": 3},
        {"order": "llama.cpp", "temperature": 0.8, "top_p": 0.7},
    ],
)
def test_the_sampler_is_given_what_it_takes(values: dict[str, Any]) -> None:
    """Beside a sampler that is driven by hand."""
    model, prompt, count = TableModel(), [1, 2, 3], 30
    asks = [name for name in ("temperature", "xtc_probability", "typical_p", "mirostat") if values.get(name)]
    sampler = russet.Sampler(seed=5, prompt_length=3, max_length=3 + count, **({} if asks else {"temperature": 0.0}) | values)
    ids = list(prompt)
    for _ in range(count):
        ids.append(sampler.sample(model.logits(ids), ids))
        if ids[-1] in np.atleast_1d(values.get("eos_token_id", -1)):
            break
    assert generate(model, prompt, seed=5, max_new_tokens=count, **values).token_ids == ids[3:]


def test_guidance_leads_away_from_the_last_token_alone_or_a_negative_prompt() -> None:
    model, count = TableModel(), 20
    for negative in (None, [9, 8, 7]):
        sampler = russet.Sampler(temperature=0.0, guidance_scale=1.5)
        ids, without = [1, 2, 3], [3] if negative is None else list(negative)
        for _ in range(count):
            token = sampler.sample(model.logits(ids), ids, unconditional_logits=model.logits(without))
            ids.append(token)
            without.append(token)
        result = generate(model, [1, 2, 3], guidance_scale=1.5, negative_prompt=negative, max_new_tokens=count)
        assert result.token_ids == ids[3:]
    assert result.token_ids != generate(model, [1, 2, 3], max_new_tokens=count).token_ids
    with pytest.raises(russet.ArgumentError, match="negative_prompt"):
        generate(model, [1], negative_prompt=[2])
    several = generate(
        model,
        [1, 2, 3],
        guidance_scale=1.5,
        negative_prompt=[9, 8, 7],
        max_new_tokens=9,
        temperature=1.0,
        seed=1,
        num_return_sequences=2,
    )
    one = generate(model, [1, 2, 3], guidance_scale=1.5, negative_prompt=[9, 8, 7], max_new_tokens=9, temperature=1.0, seed=1)
    assert several[0].token_ids == one.token_ids != several[1].token_ids


# Ends


def test_each_of_several_ids_ends_a_text() -> None:
    model = TableModel()
    free = generate(model, [1], max_new_tokens=60).token_ids
    for end in set(free):
        result = generate(model, [1], max_new_tokens=60, eos_token_id=[31 if end != 31 else 30, end])
        stopped = min(free.index(each) for each in {end, 31 if end != 31 else 30} & set(free))
        assert (result.token_ids, result.finish_reason) == (free[: stopped + 1], "stop")


def test_a_criterion_ends_a_text() -> None:
    model = TableModel()
    seen: list[tuple[Any, Any]] = []

    def criterion(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        seen.append((ids.shape, logits.shape))
        assert logits[0].argmax() == ids[0, -1]
        return np.array([ids.shape[1] == 7])

    result = generate(model, [1, 2], max_new_tokens=60, stopping_criteria=[lambda *_: False, criterion])
    assert (len(result.token_ids), result.finish_reason) == (5, "stop")
    assert seen == [((1, 2 + count), (1, 32)) for count in range(1, 6)]


def test_the_length_of_a_text_with_its_prompt() -> None:
    assert len(generate(TableModel(), [1, 2, 3], max_length=10).token_ids) == 7
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1, 2, 3], max_length=3)
    assert caught.value.argument == "max_length"
    # Both: the number of new tokens counts.
    assert len(generate(TableModel(), [1, 2, 3], max_length=10, max_new_tokens=20).token_ids) == 20


def test_time_ends_a_text() -> None:
    result = generate(TableModel(), [1], max_time=0.05, max_new_tokens=10**9, on_context_end="slide")
    assert result.finish_reason == "time"
    assert result.timings.generation < 5


# Cancelling


@pytest.mark.parametrize("make", [CancelToken, threading.Event])
@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize("way", [{}, {"prompt_lookup_num_tokens": 4}, {"assistant_model": TableModel()}])
def test_cancel_at_any_step_leaves_the_model_usable(make: Any, after: int, way: dict[str, Any]) -> None:
    model, cancel = TableModel(), make()
    whole = generate(model, [1, 2], max_new_tokens=20).token_ids
    model.calls.clear()
    pieces = []
    if after == 0:
        (cancel.cancel if isinstance(cancel, CancelToken) else cancel.set)()
    for piece in stream_generate(model, [1, 2], max_new_tokens=20, cancel=cancel, **way):
        pieces.append(piece)
        if len(pieces) == after:
            (cancel.cancel if isinstance(cancel, CancelToken) else cancel.set)()
    assert [piece.token for piece in pieces] == [*whole[:after], None]
    assert pieces[-1].finish_reason == "cancelled"
    assert pieces[-1].generation_tokens == after
    if not way:
        # The model does not run again.
        assert model.calls == ([2] + [1] * (after - 1) if after else [])
    assert generate(model, [1, 2], max_new_tokens=20).token_ids == whole


def test_a_function_can_cancel_from_another_thread() -> None:
    reached, cancelled = threading.Event(), threading.Event()

    class Waits(TableModel):
        def logits(self, ids: Any) -> Any:
            if len(ids) == 5:
                reached.set()
                assert cancelled.wait(60)
            return super().logits(ids)

    def cancel() -> None:
        assert reached.wait(60)
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    result = generate(Waits(), [1], cancel=lambda: cancelled.is_set())
    thread.join()
    # The step that ran gives its token.
    assert (result.finish_reason, len(result.token_ids)) == ("cancelled", 5)


def test_a_long_prompt_can_be_cancelled_between_its_parts() -> None:
    model = TableModel()
    result = generate(model, [1] * 100, prefill_chunk_size=8, cancel=lambda: len(model.calls) == 3)
    assert (result.token_ids, result.finish_reason, model.calls) == ([], "cancelled", [8, 8, 8])
    assert (
        generate(model, [1] * 21, prefill_chunk_size=8, max_new_tokens=4).token_ids
        == generate(model, [1] * 21, max_new_tokens=4).token_ids
    )
    assert model.calls[3:6] == [8, 8, 5]


def test_what_cannot_cancel_is_refused() -> None:
    with pytest.raises(TypeError, match="cancel"):
        generate(TableModel(), [1], cancel=3)


def test_closing_a_stream_ends_it() -> None:
    model = TableModel()
    pieces = stream_generate(model, [1], max_new_tokens=50)
    next(pieces)
    pieces.close()
    assert model.calls == [1]


def test_a_model_that_fails_leaves_the_next_call_alone() -> None:
    class Fails(TableModel):
        fails = True

        def logits(self, ids: Any) -> Any:
            if self.fails and len(ids) == 5:
                raise OSError("gone")
            return super().logits(ids)

    model = Fails()
    with pytest.raises(OSError, match="gone"):
        generate(model, [1, 2])
    model.fails = False
    assert generate(model, [1, 2], max_new_tokens=9).token_ids == generate(TableModel(), [1, 2], max_new_tokens=9).token_ids


# The context's end


WAYS: list[dict[str, Any]] = [{}, {"prompt_lookup_num_tokens": 5}, {"assistant_model": TableModel(), "num_assistant_tokens": 4}]


@pytest.mark.parametrize("way", WAYS)
def test_a_full_context_ends_a_text(way: dict[str, Any]) -> None:
    free = generate(TableModel(), [1, 2, 3], max_new_tokens=40).token_ids
    result = generate(TableModel(context_length=20), [1, 2, 3], max_new_tokens=40, **way)
    # The last token is made and not read.
    assert (result.token_ids, result.finish_reason) == (free[:18], "length")
    assert len(generate(TableModel(context_length=20), [1] * 20, **way).token_ids) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_full_context_is_an_error_if_asked_for(way: dict[str, Any]) -> None:
    pieces = stream_generate(TableModel(context_length=20), [1, 2, 3], max_new_tokens=40, on_context_end="error", **way)
    tokens: list[int] = []
    with pytest.raises(russet.ContextLengthError) as caught:
        tokens.extend(piece.token for piece in pieces)
    assert len(tokens) == 18
    assert (caught.value.value, caught.value.limit) == (21, 20)
    assert len(generate(TableModel(context_length=20), [1, 2, 3], max_new_tokens=18, on_context_end="error", **way).token_ids) == 18


@pytest.mark.parametrize("on_context_end", ["stop", "error", None])
def test_a_prompt_that_does_not_fit_is_an_error(on_context_end: str | None) -> None:
    with pytest.raises(russet.ContextLengthError) as caught:
        generate(TableModel(context_length=20), [1] * 21, on_context_end=on_context_end)
    assert (caught.value.value, caught.value.limit) == (21, 20)


class Windowed(TableModel):
    """Logits depend on all ids of the context, so that what was forgotten shows."""

    def logits(self, ids: Any) -> Any:
        return self.of_last[sum((index + 1) * each for index, each in enumerate(ids)) % 32]


@pytest.mark.parametrize("num_keep", [0, 1, 4, 18])
@pytest.mark.parametrize("way", [*WAYS[:2], {"assistant_model": Windowed(), "num_assistant_tokens": 4}])
@pytest.mark.parametrize("prompt_length", [3, 20, 45])
def test_a_context_that_slides(num_keep: int, way: dict[str, Any], prompt_length: int) -> None:
    """Beside a loop that keeps a list."""
    length, prompt = 20, [(7 * index) % 32 for index in range(prompt_length)]

    def slid(ids: list[int]) -> list[int]:
        return ids[:num_keep] + ids[len(ids) - max(1, (length - num_keep) // 2) :]

    model = Windowed(context_length=length)
    read = prompt if prompt_length <= length else slid(prompt)
    expected: list[int] = []
    for _ in range(100):
        expected.append(int(model.logits(read).argmax()))
        read = [*read, expected[-1]]
        if len(read) > length:
            read = slid(read)
    result = generate(model, prompt, max_new_tokens=100, on_context_end="slide", num_keep=num_keep, **way)
    assert (result.token_ids, result.finish_reason) == (expected, "length")


def test_penalties_see_what_was_forgotten() -> None:
    values = {"max_new_tokens": 30, "no_repeat_ngram_size": 1, "on_context_end": "slide"}
    ids = generate(TableModel(context_length=8), [1], **values).token_ids
    assert len({1, *ids}) == 31


# Probabilities


def test_logprobs_are_those_of_the_model() -> None:
    model = TableModel()
    result = generate(model, [1, 2], max_new_tokens=12, temperature=0.5, top_k=3, seed=1, logprobs=True, top_logprobs=4)
    assert result.logprobs is not None and result.top_logprobs is not None
    ids = [1, 2]
    for token, logprob, top in zip(result.token_ids, result.logprobs, result.top_logprobs, strict=True):
        logits = model.logits(ids).astype(np.float64)
        expected = logits - np.log(np.exp(logits).sum())
        assert logprob == pytest.approx(expected[token], abs=1e-12)
        order = np.argsort(-expected, kind="stable")[:4]
        assert [each for each, _ in top] == order.tolist()
        assert [each for _, each in top] == pytest.approx(expected[order], abs=1e-12)
        ids.append(token)
    plain = generate(model, [1, 2], max_new_tokens=2, top_k=3)
    assert plain.logprobs is None and plain.top_logprobs is None
    assert generate(model, [1, 2], max_new_tokens=2, logprobs=True).top_logprobs is None
    pieces = list(stream_generate(model, [1, 2], max_new_tokens=12, temperature=0.5, top_k=3, seed=1, top_logprobs=4))
    assert [piece.logprob for piece in pieces] == result.logprobs


def test_the_greatest_of_equals_is_the_first() -> None:
    values = np.array([1.0, 3.0, 3.0, -np.inf, 3.0, 2.0])
    assert greatest(values, 2).tolist() == [1, 2]
    assert greatest(values, 6).tolist() == [1, 2, 4, 5, 0, 3]
    assert logprobs_of(np.array([0.0, -np.inf], dtype=np.float32), 0, 2) == (0.0, [(0, 0.0), (1, -np.inf)])


@pytest.mark.parametrize("top_logprobs", [-1, 33, True])
def test_top_logprobs_has_a_range(top_logprobs: int) -> None:
    with pytest.raises(russet.ArgumentError, match="top_logprobs"):
        generate(TableModel(), [1], top_logprobs=top_logprobs)


def test_a_history_grows() -> None:
    history = History([1, 2])
    for each in range(5000):
        history.append(each)
    assert history.view().tolist() == [1, 2, *range(5000)]


# Prompts


@pytest.mark.parametrize(
    "prompt", [[], np.array([], dtype=np.int64), [1.5], [[1], [2]], [32], [-1], None, [None], np.array(3), ["a"]]
)
def test_what_is_no_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), prompt)
    assert caught.value.argument == "prompt"


def test_an_empty_prompt_begins_with_the_first_token() -> None:
    assert (
        generate(TableModel(), [], bos_token_id=4, max_new_tokens=5).token_ids
        == generate(TableModel(), [4], max_new_tokens=5).token_ids
    )


def test_invalid_logits_are_an_error() -> None:
    model = TableModel()
    model.of_last[5] = np.nan
    with pytest.raises(russet.InvalidLogitsError):
        generate(model, [5])
    assert len(generate(model, [5], remove_invalid_values=True, max_new_tokens=3).token_ids) == 3
