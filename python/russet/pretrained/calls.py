"""How a call's options become those of the core, and what the core gives becomes a dict.

The core takes truncation and padding as arguments, so that nothing of a call is kept on the tokenizer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from russet import _core
from russet.errors import ArgumentError
from russet.pretrained.batch_encoding import rows_of
from russet.pretrained.settings import LARGE_INTEGER

_PADDING = ("longest", "max_length", "do_not_pad")
_TRUNCATION = ("only_first", "only_second", "longest_first", "do_not_truncate")


class Limits(NamedTuple):
    """What a call does about lengths: the names are transformers' strategies."""

    padding: str
    truncation: str
    max_length: int | None


def limits_of(
    padding: Any, truncation: Any, max_length: int | None, pad_to_multiple_of: int | None, model_max_length: int, verbose: bool
) -> Limits:
    """Reads ``padding``, ``truncation`` and ``max_length`` together, as transformers does.

    Raises:
        ArgumentError: for a strategy that does not exist, and a ``max_length`` that is no multiple of ``pad_to_multiple_of``.
    """
    if padding is False and not truncation:
        # By far the most calls.
        if max_length is None:
            return Limits("do_not_pad", "do_not_truncate", None)
        if truncation is None:
            truncation = "longest_first"
    if padding is True:
        if verbose and max_length is not None and (not truncation or truncation == "do_not_truncate"):
            warnings.warn(
                "max_length counts for nothing with padding=True and without truncation: padding='max_length' pads to it",
                stacklevel=4,
            )
        padding = "longest"
    padding = _strategy("" if padding is None else padding, "do_not_pad", _PADDING, "padding")
    truncation = _strategy("longest_first" if truncation is True else truncation, "do_not_truncate", _TRUNCATION, "truncation")
    if max_length is None:
        endless = model_max_length > LARGE_INTEGER
        if padding == "max_length":
            padding, max_length = ("do_not_pad", None) if endless else (padding, model_max_length)
        if truncation != "do_not_truncate":
            truncation, max_length = ("do_not_truncate", max_length) if endless else (truncation, model_max_length)
    if (
        pad_to_multiple_of is not None
        and truncation != "do_not_truncate"
        and padding != "do_not_pad"
        and max_length is not None
        and max_length % pad_to_multiple_of
    ):
        raise ArgumentError(
            f"max_length={max_length} is no multiple of pad_to_multiple_of={pad_to_multiple_of}, so that no text can be both "
            "cut and padded",
            argument="max_length",
        )
    return Limits(padding, truncation, max_length)


def _strategy(value: Any, none: str, names: Sequence[str], argument: str) -> str:
    if value is False or value is None:
        return none
    name = getattr(value, "value", value)
    if name not in names:
        raise ArgumentError(f"{argument}={value!r}: the choices are True, False, {', '.join(names)}", argument=argument)
    return str(name)


def truncation_of(limits: Limits, stride: int, side: str) -> _core.Truncation | None:
    """The core's truncation."""
    if limits.truncation == "do_not_truncate":
        return None
    assert limits.max_length is not None
    cut: _core.Truncation = _checked(_core.Truncation, limits.max_length, stride, limits.truncation, side)
    return cut


def padding_of(
    limits: Limits, side: str, pad_token: object, id_of: Callable[[str], int | None], multiple: int | None, type_id: int
) -> _core.Padding | None:
    """The core's padding.

    Raises:
        ArgumentError: without a token to pad with.
    """
    if limits.padding == "do_not_pad":
        return None
    pad_id = None if pad_token is None else id_of(str(pad_token))
    if pad_id is None:
        raise ArgumentError(
            "there is no token to pad with: say which, as in tokenizer.pad_token = tokenizer.eos_token, or add one with "
            "tokenizer.add_special_tokens({'pad_token': '[PAD]'})",
            argument="padding",
        )
    length = limits.max_length if limits.padding == "max_length" else None
    fill: _core.Padding = _checked(_core.Padding, length, side, pad_id, type_id, str(pad_token), multiple)
    return fill


def _checked(kind: Any, *options: Any) -> Any:
    try:
        return kind(*options)
    except (TypeError, OverflowError) as error:
        raise ArgumentError(f"{kind.__name__.lower()}: {error}") from error


class Inputs(NamedTuple):
    """The texts of a call as the core takes them."""

    items: Sequence[Any]
    is_batch: bool


def inputs_of(text: Any, pair: Any, is_split_into_words: bool) -> Inputs:
    """Finds out whether one text or many were given, and joins pairs.

    Raises:
        ArgumentError: for what is no text, no list of texts and no list of words, and for batches that do not fit each other.
    """
    if isinstance(text, str) and not is_split_into_words and (pair is None or isinstance(pair, str)):
        return Inputs([(text, pair) if pair else text], False)
    for given, name in (text, "text"), (pair, "text_pair"):
        if not (given is None and name == "text_pair") and not _is_text(given):
            raise ArgumentError(
                f"{name} is {type(given).__name__}: it is a text, a list of texts, or with is_split_into_words=True a list of "
                "words or a list of such lists",
                argument=name,
            )
    if isinstance(text, (list, tuple)) and (not is_split_into_words or (text and isinstance(text[0], (list, tuple)))):
        if not text:
            raise ArgumentError("there is no text in the batch", argument="text")
        if pair is None:
            return Inputs(text, True)
        if isinstance(pair, str) or len(pair) != len(text):
            number = "one text" if isinstance(pair, str) else f"{len(pair)} texts"
            raise ArgumentError(f"text_pair is {number} beside a batch of {len(text)}", argument="text_pair")
        return Inputs(list(zip(text, pair, strict=True)), True)
    return Inputs([(text, pair) if pair else text], False)


def _is_text(given: Any) -> bool:
    """Whether the first texts of what is given are texts, three lists deep at most."""
    for _ in range(4):
        if isinstance(given, str):
            return True
        if not isinstance(given, (list, tuple)):
            return False
        if not given:
            return True
        given = given[0]
    return False


class Wanted(NamedTuple):
    """The keys of a result."""

    token_type_ids: bool
    attention_mask: bool
    overflowing: bool
    special_tokens_mask: bool
    offsets: bool
    length: bool


def to_lists(encodings: Sequence[_core.Encoding], wanted: Wanted) -> tuple[dict[str, Any], list[_core.Encoding]]:
    """The dict of a result in lists, and the rows that it is of."""
    rows = rows_of(encodings, wanted.overflowing)
    data: dict[str, Any] = {"input_ids": [row.ids for row in rows]}
    if wanted.token_type_ids:
        data["token_type_ids"] = [row.type_ids for row in rows]
    if wanted.attention_mask:
        data["attention_mask"] = [row.attention_mask for row in rows]
    _fill_rest(data, encodings, rows, wanted)
    return data, rows


def to_arrays(encodings: Sequence[_core.Encoding], wanted: Wanted) -> tuple[dict[str, Any], list[_core.Encoding]] | None:
    """The same as NumPy arrays, ids and masks without the way over lists; ``None`` where rows are of several lengths."""
    rows = rows_of(encodings, wanted.overflowing)
    length = len(rows[0])
    if not length or any(len(row) != length for row in rows):
        return None
    ids = np.empty((len(rows), length), np.int64)
    for index, row in enumerate(rows):
        ids[index] = row.ids_array
    data: dict[str, Any] = {"input_ids": ids}
    if wanted.token_type_ids:
        data["token_type_ids"] = array_of_small([row.type_ids for row in rows])
    if wanted.attention_mask:
        data["attention_mask"] = array_of_small([row.attention_mask for row in rows])
    _fill_rest(data, encodings, rows, wanted)
    for name, value in data.items():
        if isinstance(value, list):
            data[name] = np.asarray(value)
    return data, rows


def array_of_small(rows: Sequence[list[int]]) -> NDArray[np.int64]:
    """Rows of one length as an array, mostly of numbers below 256: as bytes, over twice as fast as number by number."""
    try:
        joined = b"".join(map(bytes, rows))
    except ValueError:  # above 255
        return np.asarray(rows, np.int64)
    return np.frombuffer(joined, np.uint8).reshape(len(rows), -1).astype(np.int64)


def _fill_rest(data: dict[str, Any], encodings: Sequence[_core.Encoding], rows: list[_core.Encoding], wanted: Wanted) -> None:
    if wanted.special_tokens_mask:
        data["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
    if wanted.offsets:
        data["offset_mapping"] = [row.offsets for row in rows]
    if wanted.length:
        data["length"] = [len(row) for row in rows]
    if wanted.overflowing:
        counts = [1 + len(encoding.overflowing) for encoding in encodings]
        data["overflow_to_sample_mapping"] = [index for index, count in enumerate(counts) for _ in range(count)]
