"""`russet.Conversation`: what it promises beyond the ids."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import fixtures

russet = pytest.importorskip("russet")

TURN = "The mill stands where two rivers meet, and its wheel turns. "


@pytest.fixture
def tokenizer() -> Any:
    return russet.Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-llama3.json")


def test_append_says_what_changed(tokenizer: Any) -> None:
    conversation = tokenizer.conversation()
    ids: list[int] = conversation.ids
    assert ids == tokenizer.encode("").ids
    for text in ["The mill", "stone", "", " stands", ".<|end|>", "<|begin|>Two", " rivers"]:
        first_changed, new_ids = conversation.append(text)
        assert first_changed <= len(ids)
        ids = ids[:first_changed] + new_ids
        assert ids == conversation.ids == tokenizer.encode(conversation.text).ids
        assert len(conversation) == len(ids)
    assert conversation.text == "The millstone stands.<|end|><|begin|>Two rivers"
    assert conversation.append("") == (len(ids), [])
    assert str(len(ids)) in repr(conversation)


def test_arguments(tokenizer: Any) -> None:
    text = "<|begin|>The mill<|end|>"
    for special in (True, False):
        for split in (True, False):
            conversation = tokenizer.conversation(add_special_tokens=special, split_special_tokens=split)
            conversation.append(text)
            assert conversation.ids == tokenizer.encode(text, add_special_tokens=special, split_special_tokens=split).ids


def test_ids_array_is_a_view_that_follows(tokenizer: Any) -> None:
    conversation = tokenizer.conversation()
    views = []
    for _ in range(200):
        conversation.append(TURN)
        array = conversation.ids_array
        assert array.dtype == np.uint32
        assert not array.flags.writeable
        assert array.tolist() == conversation.ids
        views.append(array)
    shared = [view for view in views if np.shares_memory(view, views[-1])]
    assert len(shared) > 50
    with pytest.raises(ValueError, match="read-only"):
        views[-1][0] = 1
    with pytest.raises(ValueError, match=r"writeable|WRITEABLE"):
        views[-1].flags.writeable = True
    certain = len(tokenizer.encode("").ids) - 1
    assert views[0][:certain].tolist() == conversation.ids[:certain]


def test_a_failed_append_changes_nothing(tokenizer: Any) -> None:
    conversation = tokenizer.conversation()
    conversation.append(TURN)
    ids, text = conversation.ids, conversation.text
    with pytest.raises(russet.TextError):
        conversation.append("\ud800")
    with pytest.raises(russet.ArgumentError):
        conversation.append("a", errors="ignore")
    with pytest.raises(TypeError):
        conversation.append(b"a")
    assert (conversation.ids, conversation.text) == (ids, text)
    conversation.append("\ud800", errors="replace")
    assert conversation.text == text + "\ufffd"


def test_what_cannot_be_kept_is_refused() -> None:
    dropout = russet.Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-dropout-one.json")
    with pytest.raises(russet.ArgumentError, match="dropout"):
        dropout.conversation()
    twice = russet.Tokenizer.from_file(fixtures.TOKENIZERS / "post_processor-template-twice.json")
    with pytest.raises(russet.ArgumentError, match="2 times"):
        twice.conversation()


def test_threads_take_turns(tokenizer: Any) -> None:
    conversation = tokenizer.conversation()
    long = TURN * 200  # enough to leave the interpreter

    def work() -> None:
        for _ in range(20):
            conversation.append(long)
            assert len(conversation.ids_array) <= len(conversation)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert conversation.text == long * 80
    assert conversation.ids == conversation.ids_array.tolist() == tokenizer.encode(conversation.text).ids
