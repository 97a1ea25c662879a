"""Arguments and texts made to do harm."""

from __future__ import annotations

import re

import pytest
from isolated import run

BERT = 'tokenizer = fixture("wordpiece-bert-uncased")\n'
GPT2 = 'tokenizer = fixture("bpe-gpt2")\n'

# name: (code, a class that the error has, what its message says)
RUSSET: dict[str, tuple[str, str, str]] = {
    "surrogate": (GPT2 + r'tokenizer.encode("a\ud800b")', "UnicodeEncodeError", r"1"),
    "surrogate-pair-text": (GPT2 + r'tokenizer.encode("a", "b\udfff")', "UnicodeEncodeError", r""),
    "surrogate-count": (GPT2 + r'tokenizer.count("\ud800")', "UnicodeEncodeError", r""),
    "surrogate-arrays": (GPT2 + r'tokenizer.encode_arrays(["fine", "\ud800"])', "UnicodeEncodeError", r""),
    "surrogate-batch": (GPT2 + r'tokenizer.encode_batch(["fine", "\ud800"])', "UnicodeEncodeError", r""),
    "surrogate-words": (GPT2 + r'tokenizer.encode(["fine", "\ud800"], is_pretokenized=True)', "UnicodeEncodeError", r""),
    "unknown-id": (GPT2 + "tokenizer.decode([5, 999_999, 6])", "ValueError", r"ids\[1\].*999999"),
    "unknown-id-batch": (GPT2 + "tokenizer.decode_batch([[5], [6, 999_999]])", "ValueError", r"999999"),
    "negative-id": (GPT2 + "tokenizer.decode([5, -1])", "ValueError", r"-1"),
    "id-beyond-32-bits": (GPT2 + "tokenizer.decode([2**40])", "ValueError", r"1099511627776"),
    "id-beyond-64-bits": (GPT2 + "tokenizer.decode([2**80])", "ValueError", r""),
    "max-length-below-special-tokens": (BERT + 'tokenizer.encode("a", truncation=1)', "ValueError", r"1"),
    "stride-too-long": (BERT + 'tokenizer.encode("a" * 9, truncation={"max_length": 5, "stride": 5})', "ValueError", r"stride"),
    "stride-too-long-for-pair": (BERT + 'tokenizer.encode("a b c d e f", "a b c d e f", truncation={"max_length": 5, "stride": 3})', "ValueError", r"stride"),
    "max-length-negative": (BERT + 'tokenizer.encode("a", truncation=-1)', "ValueError", r""),
    "truncation-unknown-name": (BERT + 'tokenizer.encode("a", truncation={"max_lenght": 3})', "Exception", r"max_lenght"),
    "padding-beyond-memory": (BERT + 'tokenizer.encode("a", padding=2**62)', "ValueError", r""),
    "padding-batch-beyond-memory": (BERT + 'tokenizer.encode_arrays(["a"] * 1000, padding=2**24)', "ValueError", r""),
    "padding-of-eight-gigabytes": (BERT + 'tokenizer.encode("a", padding=2_000_000_000).ids_array', "Exception", r""),
    "padded-beyond-memory": (BERT + 'tokenizer.encode("a").padded(2**62)', "ValueError", r""),
    "truncated-stride": (BERT + 'tokenizer.encode("a b c d").truncated(2, stride=2)', "ValueError", r"stride"),
    "strategy-unknown": (BERT + 'tokenizer.encode("a", truncation={"max_length": 9, "strategy": "both"})', "ValueError", r"both"),
    "text-is-bytes": (GPT2 + 'tokenizer.encode(b"abc")', "TypeError", r""),
    "text-is-none": (GPT2 + "tokenizer.encode(None)", "TypeError", r""),
    "batch-is-str": (GPT2 + 'tokenizer.encode_batch("abc")', "TypeError", r""),
    "words-without-flag": (GPT2 + 'tokenizer.encode(["a", "b"])', "TypeError", r""),
    "ids-are-floats": (GPT2 + "tokenizer.decode([1.5])", "TypeError", r""),
    "ids-are-text": (GPT2 + 'tokenizer.decode("abc")', "TypeError", r""),
    "token-beyond-end": (GPT2 + 'value = tokenizer.encode("a").token_to_chars(10**9); raise KeyError(value)', "KeyError", r"None"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUSSET)
def test_russet(name: str) -> None:
    code, expected, message = RUSSET[name]
    ending = run(code)
    assert ending.typed_error, ending
    assert expected in ending.classes, ending
    assert re.search(message, ending.message, re.DOTALL), ending


DROP_IN: dict[str, tuple[str, str]] = {
    "surrogate": (GPT2 + r'tokenizer.encode("a\ud800b")', "Exception"),
    "pad-beyond-memory": (BERT + 'tokenizer.encode("a").pad(2**62)', "ValueError"),
    "pad-eight-gigabytes": (BERT + 'tokenizer.encode("a").pad(2_000_000_000)', "Exception"),
    "enable-padding-beyond-memory": (BERT + 'tokenizer.enable_padding(length=2**40); tokenizer.encode("a")', "ValueError"),
    "truncate-stride": (BERT + 'tokenizer.encode("a b c d").truncate(2, stride=2)', "ValueError"),
    "stride-too-long-for-pair": (
        BERT + 'tokenizer.enable_truncation(5, stride=3); tokenizer.encode("a b c d e f", "a b c d e f")',
        "ValueError",
    ),
    "negative-id": (GPT2 + "tokenizer.decode([-1])", "OverflowError"),
    "id-beyond-32-bits": (GPT2 + "tokenizer.decode([2**40])", "OverflowError"),
    "direction-unknown": (BERT + 'tokenizer.enable_padding(direction="up")', "ValueError"),
}


@pytest.mark.parametrize("name", DROP_IN)
def test_drop_in(name: str) -> None:
    code, expected = DROP_IN[name]
    ending = run(code, "russet.tokenizers")
    assert ending.typed_error, ending
    assert expected in ending.classes, ending


RESULTS: dict[str, tuple[str, str, str]] = {
    "surrogate-replaced": ("russet", GPT2 + r'value = tokenizer.encode("a\ud800b", errors="replace").ids == tokenizer.encode("a\ufffdb").ids', "True"),
    "unknown-id-skipped": ("russet", GPT2 + 'ids = tokenizer.encode("Hello").ids; value = tokenizer.decode([999_999, *ids], on_unknown="skip")', "'Hello'"),
    "unknown-id-drop-in": ("russet.tokenizers", GPT2 + 'ids = tokenizer.encode("Hello").ids; value = tokenizer.decode([999_999, *ids])', "'Hello'"),
    "limit-below-special-tokens-drop-in": (
        "russet.tokenizers", BERT + 'tokenizer.enable_truncation(max_length=1); value = len(tokenizer.encode("the").ids)', "3",
    ),
    "million-spaces": ("russet", 'value = fixture("bpe-llama3").count(" " * 1_000_000 + "x") > 0', "True"),
    "one-long-word": ("russet", 'value = fixture("bpe-llama2").count("a" * 1_000_000) > 0', "True"),
    "combining-marks": ("russet", r'value = fixture("normalizer-nfc").count("a" + "\u0301\u0316" * 200_000) > 0', "True"),
    "3000-added-tokens": (
        "russet.tokenizers",
        GPT2 + 'start = time.process_time()\nfor n in range(3000): tokenizer.add_tokens([f"<{n}>"])\n'
        'value = (tokenizer.token_to_id("<2999>") == tokenizer.encode("<2999>").ids[0], time.process_time() - start < 2.0)',
        "(True, True)",
    ),
    "nul-characters": ("russet", GPT2 + r'value = tokenizer.decode(tokenizer.encode("a\0b\0").ids)', r"'a\x00b\x00'"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_results(name: str) -> None:
    module, code, value = RESULTS[name]
    ending = run(code, module)
    assert ending.status == "ok", ending
    assert ending.value == value, ending


KINDS = {
    "a": "'a' * n",
    "letters": "''.join(random.Random(1).choices('abcdefghijklmnopqrstuvwxyz', k=n))",
    "digits": "'7' * n",
    "carets": "'^' * n",
    "spaces": "' ' * n + 'x'",
    "line-ends": "'\\n' * n + 'x'",
    "mixed-space": "' \\n' * (n // 2) + 'x'",
    "apostrophes": '"\'" * n',
    "cjk": "''.join(map(chr, random.Random(1).choices(range(0x4E00, 0x9F00), k=n)))",
    "emoji": "'👩\\u200d🌾' * (n // 3)",
    "marks": "'e' + '\\u0301\\u0316' * (n // 2)",
    "special-tokens": "'<s>[CLS]<|endoftext|>' * (n // 21)",
    "almost-special": "'<|endoftext' * (n // 11)",
}
SHAPES = [
    "bpe-gpt2",
    "bpe-llama3",
    "bpe-o200k",
    "bpe-llama2",
    "bpe-mistral",
    "bpe-clip",
    "unigram-t5",
    "unigram-whole-text",
    "wordpiece-bert-uncased",
]


@pytest.mark.parametrize("name", SHAPES)
def test_time_grows_with_the_text_and_no_faster(name: str) -> None:
    """Four times the text takes less than eight times the time; the kinds share a process, each is measured three times."""
    code = f"""
import random
tokenizer = fixture({name!r})
tokenizer.count("warm up")
value = []
for kind, text in {KINDS!r}.items():
    small, large = (seconds(lambda text=eval(text, dict(n=n, random=random)): tokenizer.count(text)) for n in (32_000, 128_000))
    if large > 8 * small + 0.02: value.append((kind, small, large))
"""
    ending = run(code, seconds=100)
    assert ending.status == "ok", ending
    assert ending.value == "[]", ending
