"""Seeded calls of a tokenizer as transformers has it, and the comparison of what two tokenizers make of them."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import texts


class Case(NamedTuple):
    """A call: the texts, and the options by name."""

    text: Any
    pair: Any
    options: dict[str, Any]


def cases(seed: int, count: int, words: list[str]) -> Iterator[Case]:
    """Calls with mixed options over edge cases and words of the vocabulary.

    Half of the calls are of a batch, a quarter of pairs, an eighth of words.
    """
    draw = random.Random(seed)

    def text() -> str:
        kind = draw.random()
        if kind < 0.4:
            return draw.choice(texts.EDGES)
        parts = [draw.choice(words) if draw.random() < 0.6 else draw.choice(texts.EDGES)[:20] for _ in range(draw.randrange(1, 9))]
        return draw.choice(("", " ", " ")).join(parts)

    def one(is_split: bool) -> Any:
        return text().split()[: draw.randrange(1, 12)] or ["a"] if is_split else text()

    for _ in range(count):
        is_split = draw.random() < 0.125
        is_batch = draw.random() < 0.5
        size = draw.randrange(1, 5)
        first = [one(is_split) for _ in range(size)] if is_batch else one(is_split)
        pair = None
        if draw.random() < 0.25:
            pair = [one(is_split) for _ in range(size)] if is_batch else one(is_split)
        options: dict[str, Any] = {}

        def maybe(name: str, share: float, *values: Any, options: dict[str, Any] = options) -> None:
            if draw.random() < share:
                options[name] = draw.choice(values)

        if is_split:
            options["is_split_into_words"] = True
        maybe("add_special_tokens", 0.25, False, True)
        maybe("padding", 0.5, True, "longest", "max_length", False, "do_not_pad")
        maybe("truncation", 0.5, True, "longest_first", "only_first", "only_second", False, "do_not_truncate")
        maybe("max_length", 0.5, 4, 7, 12, 24, 64)
        maybe("stride", 0.15, 1, 2, 5)
        maybe("pad_to_multiple_of", 0.15, 2, 8)
        maybe("padding_side", 0.25, "left", "right")
        maybe("return_tensors", 0.3, "np")
        maybe("split_special_tokens", 0.1, True, False)
        for name in ("token_type_ids", "attention_mask"):
            maybe(f"return_{name}", 0.25, True, False)
        for name in ("overflowing_tokens", "special_tokens_mask", "offsets_mapping", "length"):
            maybe(f"return_{name}", 0.2, True)
        yield Case(first, pair, options)


class Outcome(NamedTuple):
    """What a call gave: its values in plain lists with the types of arrays, or the error's class."""

    values: dict[str, Any] | None
    error: str


def outcome(tokenizer: Any, case: Case, keys: list[str] | None = None) -> Outcome:
    """Calls. ``keys`` replaces the names of inputs that the tokenizer's class would give."""
    options = dict(case.options)
    if keys is not None:
        for name in ("token_type_ids", "attention_mask"):
            options.setdefault(f"return_{name}", name in keys)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = tokenizer(case.text, case.pair, **options)
    except BaseException as error:  # a panic of the reference is none of Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return Outcome(None, f"{type(error).__name__}: {error}")
    return Outcome({key: described(value) for key, value in result.items()}, "")


def described(value: Any) -> Any:
    """A value in lists, with the type of an array beside it.

    Empty rows among rows of other lengths have no type here: transformers makes float64 of them, Russet int64.
    """
    if isinstance(value, np.ndarray):
        if not value.size and value.ndim == 1:
            return ("empty", value.shape, [])
        rows = [described(row) for row in value] if value.dtype.kind == "O" else value.tolist()
        return (value.dtype.str, value.shape, rows)
    return value


def positions(encoded: Any) -> list[Any]:
    """What the rows of a result say about where tokens come from."""
    told = []
    for index, encoding in enumerate(encoded.encodings):
        size = len(encoding.ids)
        told.append(
            (
                encoded.tokens(index),
                encoded.word_ids(index),
                encoded.sequence_ids(index),
                [encoded.token_to_chars(index, position) for position in range(size)],
                [encoded.token_to_word(index, position) for position in range(size)],
                [encoded.char_to_token(index, position) for position in range(12)],
                [encoded.word_to_tokens(index, position) for position in range(4)],
            )
        )
    return told
