"""Plain generation: what comes, in which order, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest
from table_model import TableModel

import russet
from russet.generation import generate, stream_generate


def greedy(model: TableModel, prompt: list[int], count: int) -> list[int]:
    """The loop without anything around it."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model.logits(ids).argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_takes_the_greatest_logit(seed: int) -> None:
    model = TableModel(seed=seed)
    result = generate(model, [1, 2, 3], max_new_tokens=50)
    assert result.token_ids == greedy(model, [1, 2, 3], 50)
    assert result.finish_reason == "length"
    assert (result.usage.prompt_tokens, result.usage.completion_tokens, result.usage.total_tokens) == (3, 50, 53)
    # The prompt at once, then each token but the last.
    assert model.calls == [3] + [1] * 49


def test_256_tokens_are_made_where_nothing_else_is_said() -> None:
    assert len(generate(TableModel(), [1]).token_ids) == 256


@pytest.mark.parametrize("prompt", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), np.array([[1, 2, 3]], dtype=np.uint8)])
def test_ids_may_be_lists_and_arrays(prompt: object) -> None:
    model = TableModel()
    assert generate(model, prompt, max_new_tokens=5).token_ids == greedy(model, [1, 2, 3], 5)


def test_a_stream_gives_a_piece_for_each_token() -> None:
    model = TableModel()
    pieces = list(stream_generate(model, [1, 2], max_new_tokens=7))
    assert [piece.token for piece in pieces] == greedy(model, [1, 2], 7)
    assert [piece.generation_tokens for piece in pieces] == list(range(1, 8))
    assert [piece.finish_reason for piece in pieces] == [None] * 6 + ["length"]
    assert {piece.prompt_tokens for piece in pieces} == {2}
    assert all(piece.prompt_tps > 0 and piece.generation_tps > 0 for piece in pieces)


def test_text_needs_a_tokenizer() -> None:
    with pytest.raises(russet.MissingTokenizerError):
        generate(TableModel(), "text")
    with pytest.raises(russet.MissingTokenizerError):
        generate(TableModel(), [1], stop_strings="end")
    with pytest.raises(russet.MissingTokenizerError):
        str(generate(TableModel(), [1], max_new_tokens=1))
