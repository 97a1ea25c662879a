"""Text as it comes: pieces are the whole, and nothing from a stop string on is given."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_model import ScriptedModel, TableModel

import fixtures
import russet
from russet.generation import Generation, GenerationPiece, generate, stream_generate
from russet.generation.stopping import StopStrings

#: Byte-level, SentencePiece (BPE with and without bytes, Unigram with and without) and WordPiece.
TOKENIZERS = ["bpe-gpt2", "bpe-llama3", "bpe-llama2", "bpe-gemma", "unigram-t5", "unigram-byte-fallback", "wordpiece-bert-uncased"]


@cache
def tokenizer(name: str) -> russet.Tokenizer:
    return russet.Tokenizer.from_str(fixtures.content(name))


def scripted(name: str, ids: list[int], **values: object) -> list[GenerationPiece]:
    model = ScriptedModel(ids, tokenizer(name).get_vocab_size() + 8)
    return list(stream_generate(model, [1], tokenizer(name), max_new_tokens=len(ids), **values))


@pytest.mark.parametrize("skip_special_tokens", [True, False])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_pieces_joined_are_the_decoded_whole(name: str, skip_special_tokens: bool) -> None:
    some = random.Random(name)
    size = tokenizer(name).get_vocab_size()
    for _ in range(60):
        ids = [some.randrange(size) for _ in range(some.randint(1, 60))]
        pieces = scripted(name, ids, skip_special_tokens=skip_special_tokens)
        assert [piece.token for piece in pieces] == ids
        assert "".join(piece.text for piece in pieces) == tokenizer(name).decode(ids, skip_special_tokens=skip_special_tokens)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_text_of_a_prompt_is_not_part_of_what_follows(name: str) -> None:
    model = TableModel(tokenizer(name).get_vocab_size())
    result = generate(model, "the quick brown fox", tokenizer(name), max_new_tokens=30)
    assert result.usage.prompt_tokens == len(tokenizer(name).encode("the quick brown fox").ids)
    assert result.text == str(result) == tokenizer(name).decode(result.token_ids)
    assert result.text == "".join(
        piece.text for piece in stream_generate(model, "the quick brown fox", tokenizer(name), max_new_tokens=30)
    )


@pytest.mark.parametrize("name", TOKENIZERS)
def test_special_tokens_of_a_prompt_can_be_left_out(name: str) -> None:
    model = TableModel(tokenizer(name).get_vocab_size())
    result = generate(model, "fox", tokenizer(name), max_new_tokens=1, add_special_tokens=False)
    assert result.usage.prompt_tokens == len(tokenizer(name).encode("fox", add_special_tokens=False).ids)


def test_ids_that_no_token_has_are_no_text() -> None:
    size = tokenizer("bpe-gpt2").get_vocab_size()
    pieces = scripted("bpe-gpt2", [70, size + 3, 71])
    assert [piece.token for piece in pieces] == [70, size + 3, 71]
    assert "".join(piece.text for piece in pieces) == tokenizer("bpe-gpt2").decode([70, 71])


@pytest.mark.parametrize("skip_special_tokens", [True, False])
def test_the_id_that_ends_a_text_is_no_text(skip_special_tokens: bool) -> None:
    """Whether it is a special token or not; its id is told."""
    for end in (0, 80):
        pieces = scripted("bpe-gpt2", [70, 71, end, 72], eos_token_id=[end, 99], skip_special_tokens=skip_special_tokens)
        assert [piece.token for piece in pieces] == [70, 71, end]
        assert pieces[-1].finish_reason == "stop"
        assert "".join(piece.text for piece in pieces) == tokenizer("bpe-gpt2").decode([70, 71])


# Stop strings


def naive_cut(texts: list[str], stops: list[str]) -> tuple[str, int]:
    """What may be given of a text that comes in parts, and how many parts there are to come: no part after the first stop string."""
    text = ""
    for count, part in enumerate(texts, 1):
        text += part
        if any(stop in text for stop in stops):
            return text[: min(text.find(stop) for stop in stops if stop in text)], count
    return text, len(texts)


letters = st.text("abc", min_size=1, max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text("abc", max_size=4), max_size=12), st.lists(letters, min_size=1, max_size=4))
def test_stop_strings_of_a_text_in_parts(texts: list[str], stops: list[str]) -> None:
    whole, count = naive_cut(texts, stops)
    found = StopStrings(stops)
    passed = ""
    for part in texts[:count]:
        assert not any(stop in passed for stop in stops)
        passed += found.push(part)
    assert (found.found is not None) == any(stop in "".join(texts) for stop in stops)
    assert passed + found.finish() == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=12), st.lists(letters, min_size=1, max_size=3))
def test_no_more_is_held_back_than_could_begin_a_stop_string(texts: list[str], stops: list[str]) -> None:
    found = StopStrings(stops)
    passed, given_text = "", ""
    for part in texts:
        given_text += part
        passed += found.push(part)
        if found.found is not None:
            return
        held = given_text[len(passed) :]
        longest = next(
            (length for length in range(len(given_text), 0, -1) if any(s.startswith(given_text[-length:]) for s in stops)), 0
        )
        assert len(held) == longest


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", TOKENIZERS)
def test_nothing_from_a_stop_string_on_is_given(name: str, data: st.DataObject) -> None:
    size = tokenizer(name).get_vocab_size()
    ids = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=25))
    whole = tokenizer(name).decode(ids)
    stops = []
    for _ in range(data.draw(st.integers(1, 3))):
        # Mostly what is there, across whatever borders; sometimes with another end.
        begin = data.draw(st.integers(0, max(0, len(whole) - 1)))
        stops.append((whole[begin : begin + data.draw(st.integers(1, 12))] or "x") + data.draw(st.sampled_from(["", "", "x"])))
    pieces = scripted(name, ids, stop_strings=stops)

    stream = tokenizer(name).decode_stream(on_unknown="skip")
    parts = [stream.step(each) for each in ids]
    # What the stream holds back to its end is looked at only if nothing was found before.
    if not any(stop in "".join(parts) for stop in stops):
        parts[-1] += stream.finish()
    expected, count = naive_cut(parts, stops)
    is_found = any(stop in "".join(parts) for stop in stops)
    # The stream is ended with what it holds back where a string is found before.
    texts = [piece.text for piece in pieces]
    assert "".join(texts) == expected
    assert len(pieces) == count
    assert pieces[-1].finish_reason == ("stop" if is_found else "length")
    given_text = ""
    for text in texts:
        given_text += text
        assert expected.startswith(given_text)


def test_what_stopped_is_told() -> None:
    ids = tokenizer("bpe-gpt2").encode("one two three four", add_special_tokens=False).ids
    model = ScriptedModel(ids, tokenizer("bpe-gpt2").get_vocab_size())
    result = generate(model, [1], tokenizer("bpe-gpt2"), stop_strings=["xyz", "wo th"], max_new_tokens=len(ids))
    assert isinstance(result, Generation)
    assert (result.text, result.stop_string, result.finish_reason) == ("one t", "wo th", "stop")
    assert result.token_ids == ids[: len(result.token_ids)]
    assert "wo th" in tokenizer("bpe-gpt2").decode(result.token_ids)


def test_what_is_held_back_comes_at_the_end() -> None:
    ids = tokenizer("bpe-gpt2").encode("one two", add_special_tokens=False).ids
    model = ScriptedModel(ids, tokenizer("bpe-gpt2").get_vocab_size())
    assert generate(model, [1], tokenizer("bpe-gpt2"), stop_strings="two three", max_new_tokens=len(ids)).text == "one two"


@pytest.mark.parametrize("skip_special_tokens", [True, False])
def test_a_special_token_can_be_a_stop_string(skip_special_tokens: bool) -> None:
    end = tokenizer("bpe-llama3").token_to_id("<|end|>")
    assert end is not None
    pieces = scripted("bpe-llama3", [70, 71, end, 72], stop_strings=["<|end|>"], skip_special_tokens=skip_special_tokens)
    assert [piece.token for piece in pieces] == [70, 71, end]
    assert pieces[-1].finish_reason == "stop"
    assert "".join(piece.text for piece in pieces) == tokenizer("bpe-llama3").decode([70, 71])


@pytest.mark.parametrize("stops", ["", [""], ["a", ""], [1]])
def test_stop_strings_have_characters(stops: object) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], tokenizer("bpe-gpt2"), stop_strings=stops)
    assert caught.value.argument == "stop_strings"
