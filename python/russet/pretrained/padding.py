"""Padding what is encoded already, as collators of batches do."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from russet.errors import ArgumentError
from russet.pretrained.tensors import plain


def columns_of(encoded: Any, main: str) -> tuple[dict[str, Any], str | None]:
    """What is to be padded as a dict of lists, and the framework of the arrays that were given.

    Raises:
        ArgumentError: if the main input is not there, or is of another kind.
    """
    if isinstance(encoded, (list, tuple)) and encoded and isinstance(encoded[0], Mapping):
        encoded = {key: [example[key] for example in encoded] for key in encoded[0]}
    if not isinstance(encoded, Mapping) or main not in encoded:
        keys = list(encoded) if isinstance(encoded, Mapping) else type(encoded).__name__
        raise ArgumentError(f"{main} is not among what is to be padded: {keys}", argument="encoded_inputs")
    columns = dict(encoded)
    first = columns[main]
    while isinstance(first, (list, tuple)) and first:
        first = next((item for item in first if not isinstance(item, (list, tuple)) or len(item)), first[0])
        if isinstance(first, (list, tuple)) and not first:
            break
    framework = None
    if not isinstance(first, (int, list, tuple)) and first is not None:
        module = type(first).__module__.partition(".")[0]
        framework = {"numpy": "np", "torch": "pt", "mlx": "mlx", "jax": "jax", "jaxlib": "jax"}.get(module)
        if framework is None:
            raise ArgumentError(f"{main} holds {type(first).__name__}: ids are whole numbers, or arrays of them", argument=main)
        columns = {key: plain(value) for key, value in columns.items()}
    return columns, framework


def pad_rows(
    columns: dict[str, Any], main: str, length: int | None, side: str, pad_id: int, type_id: int, with_mask: bool
) -> dict[str, Any]:
    """Pads each row of a batch to ``length``; rows that are as long stay."""
    rows = columns[main]
    if any(len(column) != len(rows) for column in columns.values()):
        sizes = {key: len(column) for key, column in columns.items()}
        raise ArgumentError(f"the values have different numbers of rows: {sizes}", argument="encoded_inputs")
    padded = [
        pad_row({key: column[index] for key, column in columns.items()}, main, length, side, pad_id, type_id, with_mask)
        for index in range(len(rows))
    ]
    return {key: [row[key] for row in padded] for key in padded[0]}


def pad_row(
    row: dict[str, Any], main: str, length: int | None, side: str, pad_id: int, type_id: int, with_mask: bool
) -> dict[str, Any]:
    """Pads one row to ``length``, or gives it its mask alone where that is ``None``."""
    row = dict(row)
    ids = list(row[main])
    if with_mask and "attention_mask" not in row:
        row["attention_mask"] = [1] * len(ids)
    if length is None or len(ids) == length:
        return row
    filling = {main: pad_id, "attention_mask": 0, "token_type_ids": type_id, "special_tokens_mask": 1}
    for key, value in filling.items():
        if key in row and (key != "attention_mask" or with_mask):
            more = [value] * (length - len(ids))
            row[key] = more + list(row[key]) if side == "left" else list(row[key]) + more
    return row


def longer(length: int, multiple: int | None) -> int:
    """The next multiple."""
    return length if multiple is None else -(-length // multiple) * multiple


def stacked(masks: Any) -> Any:
    """Attention masks of more than one dimension as one array, if they are that."""
    if isinstance(masks, list) and masks and getattr(masks[0], "ndim", 0) > 1:
        if type(masks[0]).__module__.partition(".")[0] == "torch":
            return importlib.import_module("torch").stack(masks)
        return np.stack(masks)
    return None
