"""Operations that make tensors, and those that ask for shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from russet.coreml.portable.operations.registry import Array, Ints, check_size, ints, operation
from russet.errors import PackageError


@operation("shape")
def shape(x: Array) -> Array:
    return np.array(x.shape, np.int32)


@operation("fill")
def fill(shape: Ints, value: Any = 0.0) -> Array:
    sizes = ints(shape)
    check_size(sizes)
    return np.full(sizes, value, _type(value))


@operation("fill_like")
def fill_like(ref_tensor: Array, value: Any = 0.0) -> Array:
    return np.full(ref_tensor.shape, value, _type(value))


def _type(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype
    return np.bool_ if isinstance(value, bool) else np.int32 if isinstance(value, int) else np.float32


@operation("range_1d")
def range_1d(end: Any, start: Any, step: Any) -> Array:
    first, last, by = (np.asarray(bound).item() for bound in (start, end, step))
    count = (last - first) / by if by else math.nan
    if not math.isfinite(count):
        raise PackageError(f"range_1d: no range goes from {first} to {last} by {by}")
    length = max(math.ceil(count), 0)
    check_size([length])
    is_integer = all(isinstance(bound, int) for bound in (first, last, by))
    return (first + by * np.arange(length)).astype(np.int32 if is_integer else np.float32)


@operation("one_hot")
def one_hot(indices: Array, one_hot_vector_size: int, axis: int = -1, on_value: Any = 1, off_value: Any = 0) -> Array:
    size = int(one_hot_vector_size)
    check_size([indices.size, size])
    hits = np.asarray(indices)[..., None] == np.arange(size)
    return np.moveaxis(np.where(hits, on_value, off_value).astype(_type(on_value)), -1, int(axis))


@operation("band_part")
def band_part(x: Array, lower: int = -1, upper: int = -1) -> Array:
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = np.ones(x.shape[-2:], bool)
    if lower >= 0:
        kept &= rows - columns <= lower
    if upper >= 0:
        kept &= columns - rows <= upper
    return np.where(kept, x, x.dtype.type(0))


@operation("non_zero")
def non_zero(x: Array) -> Array:
    return np.argwhere(x).astype(np.int32)


@operation("dequantize")
def dequantize(input: Array, scale: Array | float, zero_point: Array | int | None = None, axis: int | None = None) -> Array:
    zero = 0 if zero_point is None else _along(zero_point, axis, input.ndim)
    return (input.astype(np.float32) - zero) * _along(scale, axis, input.ndim)


@operation("quantize")
def quantize(
    input: Array, scale: Array | float, output_dtype: str, zero_point: Array | int | None = None, axis: int | None = None
) -> Array:
    zero = 0 if zero_point is None else _along(zero_point, axis, input.ndim)
    limits = np.iinfo(output_dtype)
    return np.clip(np.rint(input / _along(scale, axis, input.ndim)) + zero, limits.min, limits.max).astype(output_dtype)


def _along(values: Array | float, axis: int | None, rank: int) -> Array:
    """A number, or one for each index along an axis."""
    found = np.asarray(values, np.float32)
    if found.ndim == 0 or axis is None:
        return found
    sizes = [1] * rank
    sizes[axis] = -1
    return found.reshape(sizes)
