"""The interface of `russet.Sampler`, `russet.LogitsProcessors` and `russet.accept_draft`."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import russet

RNG = np.random.default_rng(5)
ROW = RNG.normal(0, 3, 1000).astype(np.float32)
BATCH = RNG.normal(0, 3, (6, 1000)).astype(np.float32)


def test_one_row_gives_an_int_and_a_batch_an_array() -> None:
    sampler = russet.Sampler(top_k=5, seed=1)
    assert type(sampler.sample(ROW)) is int
    tokens = sampler.sample(BATCH)
    assert (tokens.dtype, tokens.shape) == (np.int64, (6,))
    assert sampler.sample(ROW[None]).shape == (1,)
    assert sampler.sample(np.empty((0, 5), np.float32)).shape == (0,)


def test_a_row_of_a_batch_is_as_the_row_alone() -> None:
    sampler = russet.Sampler(temperature=1.5, top_p=0.99, seed=3)
    for step in range(20):
        tokens = sampler.sample(BATCH, step=step)
        assert [sampler.sample(row, step=step, row=number) for number, row in enumerate(BATCH)] == tokens.tolist()
    for number, row in enumerate(BATCH):
        assert np.array_equal(sampler.kept(BATCH)[number], sampler.kept(row))
        assert np.array_equal(sampler.probs(BATCH)[number], sampler.probs(row))


def test_seed_and_step_say_what_is_drawn() -> None:
    first, second, other = (russet.Sampler(seed=seed) for seed in (7, 7, 8))
    tokens = [first.sample(ROW) for _ in range(50)]
    assert tokens == [second.sample(ROW, step=step) for step in range(50)]
    assert tokens != [other.sample(ROW) for _ in range(50)]
    assert (first.state["step"], second.state["step"]) == (50, 0)
    assert russet.Sampler().seed != russet.Sampler().seed


def test_a_state_can_be_saved_and_set_again() -> None:
    sampler = russet.Sampler(mirostat=2, seed=4)
    [sampler.sample(ROW) for _ in range(10)]
    saved = pickle.loads(pickle.dumps(sampler.state))
    ahead = [sampler.sample(ROW) for _ in range(10)]
    again = russet.Sampler(mirostat=2, seed=4)
    again.state = saved
    assert [again.sample(ROW) for _ in range(10)] == ahead
    again.reset()
    assert again.state == {"step": 0, "mu": 10.0}
    with pytest.raises(ValueError, match=r"mu.* is missing"):
        again.state = {"step": 1}


def test_temperature_zero_takes_the_greatest_and_the_lowest_id_of_equals() -> None:
    sampler = russet.Sampler(temperature=0, top_p=0.5)
    assert sampler.sample(ROW) == int(np.argmax(ROW))
    assert sampler.sample(np.array([1, 5, 5, 2], np.float32)) == 1
    assert sampler.kept(np.array([1, 5, 5, 2], np.float32)).tolist() == [1]
    assert sampler.probs(np.array([1, 5, 5, 2], np.float32)).tolist() == [0, 1, 0, 0]


def test_logits_of_16_bits_are_as_their_float32_numbers() -> None:
    sampler = russet.Sampler(temperature=0.7, top_p=0.9, seed=2)
    half = ROW.astype(np.float16)
    assert np.array_equal(sampler.probs(half), sampler.probs(half.astype(np.float32)))
    brain = (ROW.view(np.uint32) >> 16).astype(np.uint16)
    wide = (brain.astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(sampler.probs(brain, dtype="bfloat16"), sampler.probs(wide))
    assert np.array_equal(sampler.probs(ROW.astype(np.float64)), sampler.probs(ROW))


@pytest.mark.parametrize(
    "of",
    [
        lambda row: np.repeat(row, 3)[::3],
        lambda row: row[::-1][::-1],
        lambda row: np.asfortranarray(np.stack([row, row]))[1],
        lambda row: np.frombuffer(b"\0" + row.tobytes(), np.uint8)[1:].view(np.float32),
        lambda row: row.astype(">f4"),
    ],
    ids=["strided", "reversed twice", "a row of Fortran order", "misaligned", "big-endian"],
)
def test_where_logits_lie_makes_no_difference(of: Any) -> None:
    sampler = russet.Sampler(temperature=0.9, top_p=0.9, seed=2)
    row = of(ROW)
    assert np.array_equal(sampler.probs(row), sampler.probs(ROW))
    assert sampler.sample(row, step=3) == sampler.sample(ROW, step=3)


def test_a_reversed_row_is_read_backwards() -> None:
    sampler = russet.Sampler(top_k=7)
    assert np.array_equal(np.sort(len(ROW) - 1 - sampler.kept(ROW[::-1])), sampler.kept(ROW))


def test_logits_stay_as_they_are() -> None:
    row = ROW.copy()
    row.flags.writeable = False
    processors = russet.LogitsProcessors(repetition_penalty=2.0, suppress_tokens=[1])
    processed = processors([3, 4], row)
    assert np.array_equal(row, ROW) and not np.array_equal(processed, ROW)
    sampler = russet.Sampler(repetition_penalty=2.0, suppress_tokens=[1], top_k=3)
    sampler.sample(row, [3, 4])
    assert np.array_equal(row, ROW)


def test_histories_can_be_lists_and_arrays() -> None:
    sampler = russet.Sampler(repetition_penalty=5.0, seed=1)
    history = [3, 1, 4, 1, 5]
    expected = sampler.probs(ROW, history)
    assert not np.array_equal(expected, sampler.probs(ROW))
    for same in (np.array(history), np.array(history, np.uint32), np.array(history, np.int32), tuple(history)):
        assert np.array_equal(sampler.probs(ROW, same), expected)
    of_rows = [history, [], [7], [8], [9], [9, 9]]
    for number, row in enumerate(BATCH):
        assert np.array_equal(sampler.probs(BATCH, of_rows)[number], sampler.probs(row, of_rows[number]))
    assert np.array_equal(sampler.probs(BATCH, np.array([history] * 6))[2], sampler.probs(BATCH[2], history))


def test_a_mask_leaves_what_it_names() -> None:
    sampler = russet.Sampler(seed=1)
    flags = np.zeros(1000, bool)
    flags[[3, 64, 999]] = True
    assert sampler.kept(ROW, mask=flags).tolist() == [3, 64, 999]
    words = np.packbits(np.pad(flags, (0, 24)), bitorder="little").view(np.int32)
    assert words.shape == (32,)
    assert sampler.kept(ROW, mask=words).tolist() == [3, 64, 999]
    assert sampler.kept(BATCH, mask=np.stack([flags] * 6))[5].tolist() == [3, 64, 999]


def test_what_is_chosen_is_told() -> None:
    sampler = russet.Sampler(temperature=0.8, top_k=20, seed=11)
    probs = sampler.probs(ROW)
    choice = sampler.choose(ROW, top_n=3, step=4)
    assert choice.id == sampler.sample(ROW, step=4)
    assert choice.kept == len(sampler.kept(ROW)) == 20
    assert choice.logprob == pytest.approx(np.log(probs[choice.id]), abs=1e-12)
    kept = probs[probs > 0]
    assert choice.entropy == pytest.approx(-(kept * np.log(kept)).sum(), abs=1e-12)
    best = np.argsort(-probs)[:3]
    assert [id for id, _ in choice.top] == best.tolist()
    assert [logprob for _, logprob in choice.top] == pytest.approx(np.log(probs[best]).tolist(), abs=1e-12)
    assert [one.id for one in sampler.choose(BATCH, step=4)] == sampler.sample(BATCH, step=4).tolist()


def test_a_number_of_the_callers_is_used() -> None:
    sampler = russet.Sampler()
    row = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    assert [sampler.sample_with_uniform(row, u) for u in (0.0, 0.49, 0.51, 0.74, 0.76, 1 - 2**-53)] == [0, 0, 1, 1, 2, 2]
    assert sampler.state["step"] == 0
    for u in (1.0, -0.1, float("nan")):
        with pytest.raises(russet.ArgumentError, match="not from 0 to below 1"):
            sampler.sample_with_uniform(row, u)


def test_own_processors_come_before_filters() -> None:
    seen: list[Any] = []

    def favour(ids: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append((ids.tolist(), ids.dtype, scores.shape, scores.dtype))
        scores = scores.copy()
        scores[0, 17] = 1000.0
        return scores

    sampler = russet.Sampler(top_k=1, logits_processor=favour)
    assert sampler.sample(ROW, [1, 2]) == 17
    assert seen == [([[1, 2]], np.int64, (1, 1000), np.float32)]
    assert russet.Sampler(top_k=1, logits_processor=[favour, lambda ids, scores: -scores]).sample(ROW) == int(np.argmin(ROW))
    allowed = russet.Sampler(prefix_allowed_tokens_fn=lambda row, ids: [row, 500 + len(ids)])
    assert [kept.tolist() for kept in allowed.kept(BATCH[:2], [[], [9]])] == [[0, 500], [1, 501]]


def test_an_error_of_an_own_processor_comes_through_and_changes_nothing() -> None:
    def fail(ids: Any, scores: Any) -> Any:
        raise ZeroDivisionError("mine")

    sampler = russet.Sampler(logits_processor=[fail])
    with pytest.raises(ZeroDivisionError, match="mine"):
        sampler.sample(ROW)
    assert sampler.state["step"] == 0
    with pytest.raises(russet.ArgumentError, match=r"shape \[1, 2\]"):
        russet.Sampler(logits_processor=lambda ids, scores: scores[:, :2]).sample(ROW)
    with pytest.raises(russet.ArgumentError, match="allows nothing in row 1"):
        russet.Sampler(prefix_allowed_tokens_fn=lambda row, ids: [3][row:]).sample(BATCH)


def test_a_processor_may_call_another_sampler() -> None:
    inner = russet.Sampler(top_k=3)

    def keep(ids: Any, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        kept = np.full_like(scores, -np.inf)
        kept[0, inner.kept(scores[0])] = 0
        return kept

    assert np.array_equal(russet.Sampler(logits_processor=keep).kept(ROW), inner.kept(ROW))


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_invalid_logits_are_an_error_that_says_where(value: float, kind: str) -> None:
    batch = BATCH.copy()
    batch[4, 123] = value
    for options in ({}, {"temperature": 0}, {"top_k": 5}, {"top_p": 0.5}):
        sampler = russet.Sampler(**options)
        with pytest.raises(russet.InvalidLogitsError, match=r"logits\[4, 123\]") as raised:
            sampler.sample(batch)
        assert (raised.value.row, raised.value.index, raised.value.kind) == (4, 123, kind)
        assert sampler.state["step"] == 0
    masked = russet.Sampler(on_invalid="mask")
    assert masked.probs(batch)[4, 123] == 0
    assert russet.Sampler(temperature=0, on_invalid="mask").sample(batch[4]) != 123


def test_a_row_without_a_choice_is_an_error() -> None:
    nothing = np.full(70, -np.inf, np.float32)
    for row, options in ((nothing, {}), (np.zeros(3, np.float32), {"suppress_tokens": [0, 1, 2]})):
        with pytest.raises(russet.InvalidLogitsError, match="no token is left"):
            russet.Sampler(**options).sample(row)
    assert russet.Sampler(remove_invalid_values=True, temperature=0).sample(nothing) == 0


@pytest.mark.parametrize(
    "row",
    [
        np.array([3.0], np.float32),
        np.array([1e-45, 2e-45, 0.0, -0.0], np.float32),
        np.array([3.4e38, -3.4e38, 0], np.float32),
        np.array([-np.inf, 5, -np.inf], np.float32),
        np.full(64, 7.0, np.float32),
        np.full(65, -3e38, np.float32),
    ],
    ids=["one", "denormal", "far apart", "one left", "a block of equals", "a block and one"],
)
def test_odd_rows_give_probabilities(row: NDArray[np.float32]) -> None:
    for options in ({}, {"top_k": 100}, {"top_p": 0.7}, {"min_p": 1.0}, {"typical_p": 0.5}, {"top_h": 0.5}, {"top_n_sigma": 1.0}):
        sampler = russet.Sampler(seed=1, temperature=0.5, **options)
        probs = sampler.probs(row)
        assert probs.sum() == pytest.approx(1, abs=1e-12)
        assert set(np.flatnonzero(probs)) <= set(sampler.kept(row))
        assert all(probs[sampler.sample(row)] > 0 for _ in range(20))


def test_limits_at_their_ends() -> None:
    assert len(russet.Sampler(top_p=0.0).kept(ROW)) == 1
    assert len(russet.Sampler(top_p=1.0).kept(ROW)) == 1000
    assert len(russet.Sampler(top_k=0).kept(ROW)) == 1000
    assert len(russet.Sampler(top_k=5000).kept(ROW)) == 1000
    assert len(russet.Sampler(top_p=0.0, min_tokens_to_keep=12).kept(ROW)) == 12
    assert len(russet.Sampler(min_p=1.0, min_tokens_to_keep=5000).kept(ROW)) == 1000
    # All that equal the k-th stay; the nucleus takes the lowest ids of equals.
    ties = np.array([1, 3, 2, 2, 0], np.float32)
    assert russet.Sampler(top_k=2).kept(ties).tolist() == [1, 2, 3]
    assert russet.Sampler(top_k=2, order="llama.cpp").kept(ties).tolist() == [1, 2]
    assert russet.Sampler(top_p=0.5).kept(np.zeros(8, np.float32)).tolist() == [0, 1, 2, 3]
    assert russet.Sampler(top_p=0.5, order="mlx-lm").kept(np.zeros(8, np.float32)).tolist() == list(range(8))


def test_the_order_decides_what_filters_see() -> None:
    row = np.array([2.0, 1.0, 0.0, -1.0], np.float32)
    hot = {"temperature": 3.0, "min_p": 0.3}
    assert len(russet.Sampler(**hot).kept(row)) == 4
    assert len(russet.Sampler(**hot, order="llama.cpp").kept(row)) == 2
    assert len(russet.Sampler(**hot, order=["min_p", "temperature"]).kept(row)) == 2
    with pytest.raises(russet.ArgumentError, match="min_p is set and has no place"):
        russet.Sampler(**hot, order=["temperature"])
    with pytest.raises(russet.ArgumentError, match="twice"):
        russet.Sampler(**hot, order=["min_p", "temperature", "min_p"])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"temperature": -1}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 1.5}, "top_p"),
        ({"typical_p": 0}, "typical_p"),
        ({"min_tokens_to_keep": 0}, "min_tokens_to_keep"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"mirostat": 3}, "mirostat"),
        ({"mirostat": 2, "top_k": 4}, "mirostat"),
        ({"order": "alphabetical"}, "order"),
        ({"on_invalid": "ignore"}, "on_invalid"),
        ({"min_length": 3}, "min_length"),
        ({"forced_eos_token_id": 3}, "forced_eos_token_id"),
        ({"seed": -1}, "seed"),
        ({"bad_words_ids": [[]]}, "bad_words_ids"),
    ],
)
def test_values_out_of_range_are_refused_by_name(options: dict[str, Any], name: str) -> None:
    with pytest.raises((russet.ArgumentError, OverflowError), match=name) as raised:
        russet.Sampler(**options)
    assert isinstance(raised.value, russet.ArgumentError) and raised.value.argument == name


def test_keywords_that_are_not_known_are_refused() -> None:
    with pytest.raises(TypeError, match="tempreature"):
        russet.Sampler(tempreature=1.0)
    with pytest.raises(TypeError, match="top_k"):
        russet.LogitsProcessors(top_k=3)
    with pytest.raises(TypeError, match="temperature"):
        russet.Sampler(temperature="hot")
    with pytest.raises(TypeError, match="top_k"):
        russet.Sampler(top_k=True)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: russet.Sampler().sample(np.zeros((2, 2, 2), np.float32)), "3 dimensions"),
        (lambda: russet.Sampler().sample(np.zeros(0, np.float32)), "at least one"),
        (lambda: russet.Sampler().sample(np.zeros(4, np.int64)), "floating-point"),
        (lambda: russet.Sampler().sample(np.zeros(4, np.float32), dtype="bfloat16"), "bfloat16"),
        (lambda: russet.Sampler().sample(np.zeros((2, 4), np.float32), [[1]]), "1 sequences of ids for 2 rows"),
        (lambda: russet.Sampler().sample(np.zeros(40, np.float32), mask=np.zeros(3, bool)), "each row must have 40"),
        (lambda: russet.Sampler().sample(np.zeros(40, np.float32), mask=np.zeros(3, np.int32)), "each row must have 2"),
        (lambda: russet.Sampler().sample(np.zeros(40, np.float32), mask=np.zeros(40, np.float32)), "booleans"),
        (lambda: russet.Sampler(logit_bias={9: 1.0}).sample(np.zeros(4, np.float32)), "9 is not among 4"),
        (lambda: russet.Sampler(guidance_scale=2.0).sample(np.zeros(4, np.float32)), "needs unconditional_logits"),
        (lambda: russet.Sampler(mirostat=1).sample(BATCH), "one row"),
    ],
)
def test_calls_that_do_not_go_together_are_refused(call: Any, match: str) -> None:
    with pytest.raises(russet.ArgumentError, match=match):
        call()


def test_threads_share_a_sampler_by_steps() -> None:
    sampler = russet.Sampler(temperature=1.2, top_p=0.95, seed=9)
    row = RNG.normal(0, 2, 70_000).astype(np.float32)
    expected = [sampler.sample(row, step=step) for step in range(40)]
    found: dict[int, int] = {}

    def work(steps: range) -> None:
        found.update({step: sampler.sample(row, step=step) for step in steps})

    threads = [threading.Thread(target=work, args=(range(begin, 40, 4),)) for begin in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert [found[step] for step in range(40)] == expected


def test_mirostat_holds_the_surprise_near_its_target() -> None:
    row = RNG.normal(0, 2, 5000).astype(np.float32)
    for version in (1, 2):
        sampler = russet.Sampler(mirostat=version, mirostat_tau=4.0, mirostat_eta=0.1, seed=3)
        surprises = [-sampler.choose(row).logprob / np.log(2) for _ in range(600)]
        assert abs(np.mean(surprises[200:]) - 4.0) < 0.3
    assert sampler.state["step"] == 600


def test_drafts_are_accepted_as_far_as_the_target_goes() -> None:
    draft = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    target = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert russet.accept_draft([1, 1], draft, target, seed=1) == (1, 0)
    assert russet.accept_draft([1], draft[:1], target[:2], seed=1) == (1, 0)
    assert russet.accept_draft([0, 1], draft.astype(np.float32), target[[0, 0, 2]], seed=1)[0] in (1, 2)
    with pytest.raises(russet.ArgumentError, match="draft_ids"):
        russet.accept_draft([7], draft[:1], target[:2], seed=1)
    with pytest.raises(russet.ArgumentError, match="columns"):
        russet.accept_draft([1], draft[:1, :2], target[:2], seed=1)


def test_help_shows_the_keywords() -> None:
    assert "temperature=None" in str(russet.Sampler.__text_signature__)
    assert (
        repr(russet.Sampler(top_k=1).choose(np.array([1, 2], np.float32))) == "Choice(id=1, logprob=0.0000, entropy=0.0000, kept=1)"
    )
