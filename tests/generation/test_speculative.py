"""Drafts change how fast a text comes, and nothing of the text or its distribution."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_model import TableModel

import russet
from russet.generation import PromptCache, generate, stream_generate
from russet.generation.speculative import looked_up

SETTINGS = [
    {},
    {"repetition_penalty": 1.3},
    {"no_repeat_ngram_size": 3},
    {"min_new_tokens": 20, "eos_token_id": [3, 5]},
    {"eos_token_id": list(range(0, 32, 7))},
    {"on_context_end": "slide", "num_keep": 2},
]


def models(drift: float = 0.0, context_length: int = 64) -> tuple[TableModel, TableModel]:
    """A model, and another one like it: the more alike the smaller ``drift`` is."""
    model, assistant = TableModel(context_length=context_length), TableModel(context_length=context_length)
    assistant.of_last = assistant.of_last + np.float32(drift) * TableModel(seed=9).of_last
    return model, assistant


@pytest.mark.parametrize("drift", [0.0, 0.3, 10.0])
@pytest.mark.parametrize("values", SETTINGS)
@pytest.mark.parametrize("num_assistant_tokens", [1, 3, 8])
def test_greedy_text_is_the_same_with_a_draft_model(drift: float, values: dict, num_assistant_tokens: int) -> None:
    model, assistant = models(drift)
    plain = generate(model, [1, 2, 3], max_new_tokens=100, **values)
    drafted = generate(
        model, [1, 2, 3], assistant_model=assistant, num_assistant_tokens=num_assistant_tokens, max_new_tokens=100, **values
    )
    assert drafted.token_ids == plain.token_ids
    assert drafted.finish_reason == plain.finish_reason


@pytest.mark.parametrize("values", SETTINGS)
@pytest.mark.parametrize(
    "draws",
    [
        {},
        {"temperature": 0.8, "seed": 3},
        {"temperature": 1.0, "mirostat": 2, "seed": 1},
        {"xtc_probability": 0.5, "xtc_threshold": 0.1, "seed": 2, "temperature": 0.5},
    ],
)
@pytest.mark.parametrize("most", [(1, 1), (4, 2), (10, 3)])
def test_text_is_the_same_with_prompt_lookup(values: dict, draws: dict, most: tuple[int, int]) -> None:
    model = TableModel(context_length=80, sharpness=3.0)
    prompt = [1, 2, 3, 4, 1, 2, 5, 1, 2]
    plain = generate(model, prompt, max_new_tokens=120, **values, **draws)
    looked = generate(
        model, prompt, prompt_lookup_num_tokens=most[0], max_matching_ngram_size=most[1], max_new_tokens=120, **values, **draws
    )
    assert looked.token_ids == plain.token_ids
    assert looked.finish_reason == plain.finish_reason


def test_guesses_that_hold_save_steps() -> None:
    model, assistant = models()
    pieces = list(stream_generate(model, [1, 2, 3], assistant_model=assistant, num_assistant_tokens=4, max_new_tokens=41))
    # The first token comes with the prompt, then each step of the model gives five.
    assert model.calls == [3] + [5] * 8
    assert [piece.from_draft for piece in pieces] == [False] + [True, True, True, True, False] * 8

    # A text that repeats itself: greedy decoding of a table runs in circles.
    model = TableModel()
    pieces = list(stream_generate(model, [1, 2, 3], prompt_lookup_num_tokens=8, max_new_tokens=256))
    assert len(model.calls) < 100
    assert sum(piece.from_draft for piece in pieces) > 156


def test_a_draft_model_reads_each_token_once() -> None:
    model, assistant = models(0.3)
    generate(model, [1, 2, 3], assistant_model=assistant, num_assistant_tokens=3, max_new_tokens=60)
    drafted = 3 * assistant.calls.count(1)
    assert assistant.reads <= 63 + drafted


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """How far counts are from what is expected, in standard deviations of the statistic; rare outcomes are taken together."""
    order = np.argsort(expected)
    counts, expected = counts[order], expected[order]
    rare = np.searchsorted(np.cumsum(expected), 8.0) + 1
    counts = np.concatenate(([counts[:rare].sum()], counts[rare:]))
    expected = np.concatenate(([expected[:rare].sum()], expected[rare:]))
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    return float((statistic - freedom) / np.sqrt(2 * freedom))


def exact(model: TableModel, prompt: list[int], length: int, **values: object) -> np.ndarray:
    """The probability of each continuation of ``length`` tokens."""
    vocabulary = range(model.vocab_size)
    result = []
    for continuation in product(vocabulary, repeat=length):
        probability = 1.0
        for index, token in enumerate(continuation):
            ids = [*prompt, *continuation[:index]]
            sampler = russet.Sampler(prompt_length=len(prompt), **values)
            probability *= sampler.probs(model.logits(ids), ids)[token]
        result.append(probability)
    return np.array(result)


@pytest.mark.parametrize("drift", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("values", [{"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.5}])
def test_drawn_text_has_the_models_distribution(drift: float, values: dict) -> None:
    length, draws = 4, 4000
    model, assistant = TableModel(vocab_size=4, sharpness=0.4), TableModel(vocab_size=4, sharpness=0.4)
    assistant.of_last = assistant.of_last + np.float32(drift) * TableModel(vocab_size=4, seed=7).of_last
    expected = exact(model, [1, 2], length, **values) * draws
    counts = np.zeros(len(expected))
    for seed in range(draws):
        ids = generate(
            model, [1, 2], assistant_model=assistant, num_assistant_tokens=2, max_new_tokens=length, seed=seed, **values
        ).token_ids
        counts[int("".join(map(str, ids)), 4)] += 1
    assert counts[expected == 0].sum() == 0
    assert abs(chi_square(counts[expected > 0], expected[expected > 0])) < 5


def test_the_distribution_test_finds_a_wrong_distribution() -> None:
    model, other = TableModel(vocab_size=4, sharpness=0.4), TableModel(vocab_size=4, sharpness=0.45)
    counts = np.zeros(256)
    for seed in range(6000):
        counts[int("".join(map(str, generate(model, [1, 2], max_new_tokens=4, temperature=1.0, seed=seed).token_ids)), 4)] += 1
    assert abs(chi_square(counts, exact(model, [1, 2], 4, temperature=1.0) * 6000)) < 5
    assert chi_square(counts, exact(other, [1, 2], 4, temperature=1.0) * 6000) > 5


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 6), st.integers(1, 4))
def test_what_is_looked_up_is_what_followed_before(ids: list[int], most: int, longest: int) -> None:
    """Beside the plain way: every length, every place."""
    expected: list[int] = []
    for size in range(min(longest, len(ids) - 1), 0, -1):
        places = [begin for begin in range(len(ids) - size) if ids[begin : begin + size] == ids[-size:]]
        if places and most:
            expected = ids[places[-1] + size :][:most]
            break
    assert looked_up(np.array(ids), most, longest) == expected


def test_one_seed_gives_one_text() -> None:
    model, assistant = models(0.5)
    values = {"assistant_model": assistant, "temperature": 1.0, "max_new_tokens": 40, "num_return_sequences": 3}
    one, again = (generate(model, [1, 2], seed=5, **values) for _ in range(2))
    assert [each.token_ids for each in one] == [each.token_ids for each in again]
    assert len({tuple(each.token_ids) for each in one}) == 3
    assert [each.token_ids for each in generate(model, [1, 2], seed=6, **values)] != [each.token_ids for each in one]


def test_a_stream_that_is_left_in_a_draft_leaves_a_cache_that_goes_on() -> None:
    model, assistant = models()
    cache = PromptCache(model)
    for piece in stream_generate(model, [1, 2, 3], prompt_cache=cache, assistant_model=assistant, max_new_tokens=50):
        if piece.generation_tokens == 8:
            break
    plain = generate(model, [1, 2, 3], max_new_tokens=50).token_ids
    after = generate(model, [1, 2, 3, *plain[:8]], prompt_cache=cache, max_new_tokens=42)
    assert after.token_ids == plain[8:]
    assert after.usage.cached_tokens == 10


@pytest.mark.parametrize(
    ("values", "argument"),
    [
        ({"assistant_model": TableModel(vocab_size=31)}, "assistant_model"),
        ({"assistant_model": TableModel(), "prompt_lookup_num_tokens": 3}, "prompt_lookup_num_tokens"),
        ({"assistant_model": TableModel(), "mirostat": 2, "temperature": 1.0}, "mirostat"),
        ({"assistant_model": TableModel(), "guidance_scale": 2.0}, "guidance_scale"),
        ({"prompt_lookup_num_tokens": 0}, "prompt_lookup_num_tokens"),
        ({"assistant_model": TableModel(), "num_assistant_tokens": 0}, "num_assistant_tokens"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict, argument: str) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], **values)
    assert caught.value.argument == argument


def test_a_model_that_gives_the_last_logits_alone_cannot_check_a_draft() -> None:
    model = TableModel(all_logits=False)
    with pytest.raises(russet.UnsupportedModelError):
        generate(model, [1, 2, 1], prompt_lookup_num_tokens=3)
