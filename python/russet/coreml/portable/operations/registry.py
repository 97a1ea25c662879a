"""The table of operations, and the forms in which they take arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from russet.errors import LimitError

Array = NDArray[Any]
#: A list of integers: Python's if it is constant in the program, else an array.
Ints = Sequence[int] | Array | int
_Function = TypeVar("_Function", bound=Callable[..., Any])

#: The functions, by operation.
OPERATIONS: dict[str, Callable[..., Any]] = {}
#: Operations whose result may share memory with their first argument, and has its type.
LAYOUTS: set[str] = set()


def operation(*names: str, is_layout: bool = False) -> Callable[[_Function], _Function]:
    """Enters a function into the table under these names."""

    def enter(function: _Function) -> _Function:
        for name in names:
            OPERATIONS[name] = function
            if is_layout:
                LAYOUTS.add(name)
        return function

    return enter


def ints(values: Ints) -> list[int]:
    """A list of integers, whatever it was given as."""
    if isinstance(values, np.ndarray):
        return values.reshape(-1).tolist()
    return [int(values)] if isinstance(values, int | np.integer) else [int(value) for value in values]


def axes(values: Ints | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front; all of them if none are given."""
    return tuple(range(rank)) if values is None else tuple(axis % rank for axis in ints(values))


#: A tensor of more elements is not made: a damaged program could ask for it.
GREATEST_TENSOR = 1 << 33


def check_size(shape: list[int]) -> None:
    """Refuses a tensor that no model can mean.

    Raises:
        LimitError: if it has more than 2^33 elements.
    """
    count = math.prod(shape)
    if count > GREATEST_TENSOR:
        raise LimitError(f"a tensor {shape} of {count} elements; the limit is {GREATEST_TENSOR}")
