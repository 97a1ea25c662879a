"""One tokenizer with the interface of transformers, called with mixed options and changed, by 16 threads at once."""

from __future__ import annotations

import os

from isolated import run

#: How many calls 16 threads make together; the whole run is 100,000 (it takes minutes).
CALLS = int(os.environ.get("RUSSET_THREAD_CALLS", "12800"))

PRELUDE = """
import random, threading
from russet import PreTrainedTokenizer
names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=20)
tokenizer = PreTrainedTokenizer(tokenizer_object=fixture("wordpiece-bert-uncased"), model_input_names=["input_ids", "token_type_ids", "attention_mask"], **names)
texts = [line for line in (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8").split("\\n") if line]
def plain(value):
    return value.tolist() if hasattr(value, "tolist") else value
"""

MIXED_OPTIONS = """
options = [dict(), dict(max_length=8), dict(truncation=True, max_length=12, stride=3, return_overflowing_tokens=True), dict(padding=True),
           dict(padding="max_length", max_length=40), dict(padding=True, padding_side="left", return_tensors="np"),
           dict(truncation=True, padding="max_length", return_tensors="np"), dict(add_special_tokens=False, return_offsets_mapping=True),
           dict(split_special_tokens=True, return_special_tokens_mask=True), dict(padding=True, pad_to_multiple_of=8, return_length=True),
           dict(truncation="only_first", max_length=9, return_token_type_ids=False), dict(return_attention_mask=False)]
def call(n):
    try: return called(n)
    except Exception as error: return type(error).__name__
def called(n):
    first, option = texts[n % len(texts)], options[n % len(options)]
    kind = n % 7
    if kind == 0: return tokenizer.decode(tokenizer(first)["input_ids"], skip_special_tokens=True)
    if kind == 1: return tokenizer.tokenize(first)
    if kind == 2: return {key: plain(value) for key, value in tokenizer(first, texts[n % 5], **option).items()}
    if kind == 3: return tokenizer.encode(first, max_length=5 + n % 30, truncation=True)
    batch = [first, first[: n % 50], texts[(n + 1) % len(texts)]]
    encoded = tokenizer(batch, **option)
    if kind == 4: return encoded.word_ids(1), encoded.char_to_token(0, 3)
    return {key: str(plain(value)) for key, value in encoded.items()}
expected = [call(n) for n in range(2520)]
wrong = []
def work(seed):
    rng = random.Random(seed)
    for _ in range(CALLS // 16):
        n = rng.randrange(len(expected))
        if call(n) != expected[n]: wrong.append(n)
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
value = (len(wrong), wrong[:5])
"""

CHANGES = """
text = ["the mill stands where two rivers meet", "a river"]
stop, wrong = threading.Event(), []
known = []
for side in ("left", "right"):
    tokenizer.padding_side = side
    for token in ("[PAD]", "[MASK]"):
        tokenizer.pad_token = token
        known.append(tokenizer(text, padding=True)["input_ids"])
def encode():
    while not stop.is_set():
        ids = tokenizer(text, padding=True)["input_ids"]
        if ids not in known: wrong.append(ids)
def change(seed):
    rng = random.Random(seed)
    while not stop.is_set():
        tokenizer.padding_side = rng.choice(("left", "right"))
        tokenizer.truncation_side = rng.choice(("left", "right"))
        tokenizer.pad_token = rng.choice(("[PAD]", "[MASK]"))
def add(seed):
    for number in range(150):
        tokenizer.add_tokens([f"<new{seed}-{number}>"])
        name = f"<pad{seed}-{number % 3}>"
        tokenizer.add_special_tokens({"eos_token": name, "extra_special_tokens": [name]})
        if tokenizer.eos_token_id is None or None in tokenizer.all_special_ids: wrong.append(name)
        if stop.is_set(): break
threads = [threading.Thread(target=work, args=args, daemon=True) for work, args in
           [(encode, ())] * 6 + [(change, (1,)), (change, (2,)), (add, (1,)), (add, (2,))]]
for thread in threads: thread.start()
time.sleep(2); stop.set()
for thread in threads: thread.join(10)
value = (sum(thread.is_alive() for thread in threads), wrong[:3])
"""


def test_16_threads_with_mixed_options() -> None:
    ending = run(PRELUDE + f"CALLS = {CALLS}\n" + MIXED_OPTIONS, seconds=150 + CALLS / 100, memory=0)
    assert ending.status == "ok", ending
    assert ending.value == "(0, [])", ending


def test_changes_while_threads_call() -> None:
    """A call sees the pad token and the side of one moment each, and a name's token always has an id."""
    ending = run(PRELUDE + CHANGES, seconds=60, memory=0)
    assert ending.status == "ok", ending
    assert ending.value == "(0, [])", ending
