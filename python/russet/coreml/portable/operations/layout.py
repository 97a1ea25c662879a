"""Operations that move elements and compute nothing. Most give views of their argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from russet.coreml.portable.operations.registry import Array, Ints, axes, ints, operation
from russet.errors import PackageError

Masks = Sequence[bool] | Array | None


@operation("reshape", is_layout=True)
def reshape(x: Array, shape: Ints) -> Array:
    # A size of 0 is that of the argument.
    sizes = [size or x.shape[axis] for axis, size in enumerate(ints(shape))]
    return x.reshape(sizes)


@operation("reshape_like", is_layout=True)
def reshape_like(x: Array, ref_tensors: Sequence[Array], begins: Ints, ends: Ints, end_masks: Masks) -> Array:
    sizes: list[int] = []
    masks = [False] * len(ref_tensors) if end_masks is None else [bool(mask) for mask in end_masks]
    for tensor, begin, end, to_end in zip(ref_tensors, ints(begins), ints(ends), masks, strict=True):
        sizes += tensor.shape[begin : None if to_end else end]
    return x.reshape(sizes)


@operation("transpose", is_layout=True)
def transpose(x: Array, perm: Ints) -> Array:
    return x.transpose(ints(perm))


@operation("expand_dims", is_layout=True)
def expand_dims(x: Array, axes: Ints) -> Array:
    return np.expand_dims(x, tuple(ints(axes)))


@operation("squeeze", is_layout=True)
def squeeze(x: Array, axes: Ints | None = None) -> Array:
    return x.squeeze(None if axes is None else tuple(ints(axes)))


@operation("flatten2d", is_layout=True)
def flatten2d(x: Array, axis: int = 1) -> Array:
    rows = 1
    for size in x.shape[: axis if axis >= 0 else x.ndim + axis]:
        rows *= size
    return x.reshape(rows, -1)


@operation("reverse", is_layout=True)
def reverse(x: Array, axes: Ints | None = None) -> Array:
    return np.flip(x, None if axes is None else tuple(ints(axes)))


@operation("split", is_layout=True)
def split(x: Array, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None) -> list[Array]:
    if split_sizes is None:
        return np.split(x, int(num_splits or 1), int(axis))
    sizes = ints(split_sizes)
    if sum(sizes) != x.shape[axis]:
        raise PackageError(f"{x.shape[axis]} elements are split into parts of {sizes}")
    return np.split(x, np.cumsum(sizes)[:-1], int(axis))


@operation("slice_by_index", is_layout=True)
def slice_by_index(
    x: Array,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Masks = None,
    end_mask: Masks = None,
    squeeze_mask: Masks = None,
) -> Array:
    return x[slices(x.ndim, begin, end, stride, begin_mask, end_mask, squeeze_mask)]


def slices(
    rank: int, begin: Ints, end: Ints, stride: Ints | None, begin_mask: Masks, end_mask: Masks, squeeze_mask: Masks
) -> tuple[slice | int, ...]:
    """The index of NumPy that a slice of MIL means."""
    begins, ends = ints(begin), ints(end)
    strides = [1] * rank if stride is None else ints(stride)
    no_begin, no_end, squeezed = (
        [False] * rank if mask is None else [bool(value) for value in mask] for mask in (begin_mask, end_mask, squeeze_mask)
    )
    index: list[slice | int] = []
    for axis in range(rank):
        if squeezed[axis]:
            index.append(begins[axis])
            continue
        first = None if no_begin[axis] else begins[axis]
        last = None if no_end[axis] else ends[axis]
        # An end of -1 with a negative stride would be the last element for NumPy too.
        index.append(slice(first, last, strides[axis]))
    return tuple(index)


@operation("slice_by_size", is_layout=True)
def slice_by_size(x: Array, begin: Ints, size: Ints) -> Array:
    index = []
    for axis, (first, length) in enumerate(zip(ints(begin), ints(size), strict=True)):
        first = first % x.shape[axis] if first < 0 else first
        index.append(slice(first, None if length == -1 else first + length))
    return x[tuple(index)]


@operation("slice_update")
def slice_update(
    x: Array,
    update: Array,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Masks = None,
    end_mask: Masks = None,
    squeeze_mask: Masks = None,
) -> Array:
    return slice_update_in_place(x.copy(), update, begin, end, stride, begin_mask, end_mask, squeeze_mask)


def slice_update_in_place(
    x: Array,
    update: Array,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Masks = None,
    end_mask: Masks = None,
    squeeze_mask: Masks = None,
) -> Array:
    """``slice_update`` where nobody needs the old value any more."""
    index = slices(x.ndim, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    target = x[index]
    if target.shape != update.shape:
        raise PackageError(f"a slice of the shape {target.shape} is updated by an array of the shape {update.shape}")
    x[index] = update
    return x


@operation("concat")
def concat(values: Sequence[Array], axis: int, interleave: bool = False) -> Array:
    if interleave:
        stacked = np.stack(values, int(axis) % values[0].ndim + 1)
        shape = list(values[0].shape)
        shape[axis] *= len(values)
        return stacked.reshape(shape)
    # Scalars become a list of numbers.
    return np.concatenate([np.atleast_1d(value) for value in values], int(axis))


@operation("stack")
def stack(values: Sequence[Array], axis: int) -> Array:
    return np.stack(values, int(axis))


@operation("tile")
def tile(x: Array, reps: Ints) -> Array:
    return np.tile(x, ints(reps))


@operation("depth_to_space", "pixel_shuffle")
def depth_to_space(x: Array, block_size: int | None = None, upscale_factor: int | None = None) -> Array:
    batch, channels, height, width = x.shape
    if block_size is not None:
        size = int(block_size)
        parts = x.reshape(batch, size, size, channels // size**2, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        size = int(upscale_factor or 1)
        parts = x.reshape(batch, channels // size**2, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(batch, channels // size**2, height * size, width * size)


@operation("space_to_depth", "pixel_unshuffle")
def space_to_depth(x: Array, block_size: int | None = None, downscale_factor: int | None = None) -> Array:
    batch, channels, height, width = x.shape
    size = int(block_size or downscale_factor or 1)
    parts = x.reshape(batch, channels, height // size, size, width // size, size)
    order = (0, 3, 5, 1, 2, 4) if block_size is not None else (0, 1, 3, 5, 2, 4)
    return parts.transpose(order).reshape(batch, channels * size**2, height // size, width // size)


@operation("sliding_windows")
def sliding_windows(x: Array, axis: int, size: int, stride: int = 1) -> Array:
    (along,) = axes(axis, x.ndim)
    windows = np.lib.stride_tricks.sliding_window_view(x, int(size), along)
    return np.ascontiguousarray(np.moveaxis(windows, -1, along + 1)[(slice(None),) * along + (slice(None, None, int(stride)),)])


@operation("pad")
def pad(x: Array, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Array:
    widths = ints(pad)
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + list(zip(widths[::2], widths[1::2], strict=True))
    if mode == "constant":
        return np.pad(x, pairs, constant_values=x.dtype.type(constant_val))
    how: Any = {"reflect": "reflect", "replicate": "edge"}[mode]
    return np.pad(x, pairs, how)
