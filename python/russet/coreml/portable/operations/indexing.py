"""Operations that take and put elements by index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from russet.coreml.portable.operations.registry import Array, operation
from russet.errors import PackageError


@operation("gather")
def gather(x: Array, indices: Array, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Array:
    places = np.asarray(indices)
    if batch_dims == 0:
        return np.take(x, places, int(axis))
    along = int(axis) % x.ndim
    shape = (*x.shape[:along], *places.shape[batch_dims:], *x.shape[along + 1 :])
    batches = x.shape[:batch_dims]
    found = np.empty(shape, x.dtype)
    for batch in np.ndindex(*batches):
        found[batch] = np.take(x[batch], places[batch], along - batch_dims)
    return found


@operation("gather_along_axis")
def gather_along_axis(x: Array, indices: Array, axis: int = 0, validate_indices: bool = False) -> Array:
    return np.take_along_axis(x, np.asarray(indices), int(axis))


@operation("gather_nd")
def gather_nd(x: Array, indices: Array, batch_dims: int = 0, validate_indices: bool = False) -> Array:
    if batch_dims == 0:
        return np.array(x[tuple(np.moveaxis(indices, -1, 0))])
    batches = x.shape[:batch_dims]
    parts = [x[batch][tuple(np.moveaxis(indices[batch], -1, 0))] for batch in np.ndindex(*batches)]
    return np.stack(parts).reshape(*batches, *parts[0].shape)


def _divide_at(data: Array, index: Any, updates: Array) -> None:
    if data.dtype.kind == "f":
        np.divide.at(data, index, updates)
    else:
        # Integers divide to integers, towards zero.
        quotients = data.astype(np.float64)
        np.divide.at(quotients, index, updates)
        data[...] = np.trunc(quotients)


#: What a scattered value does to the one that is there.
_MODES: dict[str, Callable[[Array, Any, Array], None]] = {
    "add": np.add.at,
    "sub": np.subtract.at,
    "mul": np.multiply.at,
    "div": _divide_at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}


def _scatter(data: Array, index: Any, updates: Array, mode: str) -> Array:
    found = data.copy()
    if mode == "update":
        found[index] = updates
    elif mode in _MODES:
        _MODES[mode](found, index, updates)
    else:
        raise PackageError(f"scatter: there is no mode {mode!r}")
    return found


@operation("scatter")
def scatter(data: Array, indices: Array, updates: Array, axis: int = 0, mode: str = "add", validate_indices: bool = False) -> Array:
    along = int(axis) % data.ndim
    return _scatter(data, (slice(None),) * along + (np.asarray(indices),), updates, mode)


@operation("scatter_along_axis")
def scatter_along_axis(
    data: Array, indices: Array, updates: Array, axis: int = 0, mode: str = "add", validate_indices: bool = False
) -> Array:
    index: list[Any] = list(np.ogrid[tuple(slice(size) for size in indices.shape)])
    index[int(axis)] = indices
    return _scatter(data, tuple(index), updates, mode)


@operation("scatter_nd")
def scatter_nd(data: Array, indices: Array, updates: Array, mode: str = "add", validate_indices: bool = False) -> Array:
    return _scatter(data, tuple(np.moveaxis(indices, -1, 0)), updates, mode)
