"""`russet.Conversation` and long texts on several threads, beside the reference's ids of the whole text."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import fixtures
from comparison import reference_tests_itself
from texts import EDGES, lines, random_text

russet = pytest.importorskip("russet")
pytestmark = pytest.mark.skipif(reference_tests_itself, reason="it is russet's own")

NAMES = [*fixtures.names(), *fixtures.DERIVED]


def whole(tokenizer: Any, text: str, special: bool) -> list[int] | None:
    try:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=special).ids
    except Exception:
        return None
    return ids


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_the_whole_text(name: str, special: bool, reference: ModuleType) -> None:
    expected_tokenizer = reference.Tokenizer.from_str(fixtures.content(name))
    expected_tokenizer.no_truncation()
    expected_tokenizer.no_padding()
    subject = russet.Tokenizer.from_str(fixtures.content(name))
    try:
        subject.conversation(add_special_tokens=special)
    except russet.ArgumentError:
        assert name in ("bpe-dropout-one", "post_processor-template-twice")
        return
    rng = random.Random(f"conversation {name}")
    vocabulary = sorted(expected_tokenizer.get_vocab())
    for _ in range(3):
        conversation = subject.conversation(add_special_tokens=special)
        for _ in range(10):
            text = rng.choice([random_text(rng, vocabulary, rng.randint(1, 60)), rng.choice(EDGES), rng.choice(lines())[:80]])
            before = conversation.ids
            expected = whole(expected_tokenizer, conversation.text + text, special)
            if expected is None:
                with pytest.raises(russet.RussetError):
                    conversation.append(text)
                continue
            first_changed, new_ids = conversation.append(text)
            assert conversation.ids == expected, (conversation.text, text)
            assert before[:first_changed] + new_ids == expected, (conversation.text, text)


LONG = """
import json, sys
import russet
names, text = json.loads(sys.stdin.read())
ids = {}
for name, content in names.items():
    tokenizer = russet.Tokenizer.from_str(content)
    options = dict(truncation=False, padding=False)
    first = tokenizer.encode(text, **options).ids
    array, splits = tokenizer.encode_arrays(["a b", text, "c"], **options)
    assert array[splits[1] : splits[2]].tolist() == first, name
    assert tokenizer.count(text, **options) == len(first), name
    conversation = tokenizer.conversation()
    conversation.append(text)
    assert conversation.ids == first, name
    ids[name] = first
print(json.dumps(ids))
"""


def test_long_texts_on_two_threads(reference: ModuleType) -> None:
    names = [
        "bpe-gpt2",
        "bpe-llama2",
        "bpe-qwen",
        "bpe-o200k",
        "bpe-gemma",
        "wordpiece-bert-uncased",
        "unigram-albert",
        "bpe-falcon",
    ]
    rng = random.Random("long")
    parts: list[str] = []
    size = 0
    while size < 1 << 20:
        parts.append(
            random_text(rng, ["<|endoftext|>", "<s>", " the", "ing"], 300) if rng.random() < 0.1 else rng.choice(lines()) + "\n"
        )
        size += len(parts[-1].encode())
    text = "".join(parts)
    given = json.dumps([{name: fixtures.content(name) for name in names}, text])
    environment = {**os.environ, "RUSSET_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", LONG], input=given, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, ids in json.loads(done.stdout).items():
        expected = reference.Tokenizer.from_str(fixtures.content(name)).encode(text).ids
        assert ids == expected, name
