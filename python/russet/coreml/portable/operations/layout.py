"""Operations that move elements and compute nothing. Most give views of their argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from russet.coreml.portable.operations.registry import Array, Ints, axes, check_size, ints, operation
from russet.errors import PackageError

Masks = Sequence[bool] | Array | None


@operation("reshape", is_layout=True)
def reshape(x: Array, shape: Ints) -> Array:
    # A size of 0 is that of the argument's dimension at the same place from the end, or 1 if it has none there.
    sizes = ints(shape)
    padded = (1,) * (len(sizes) - x.ndim) + x.shape[max(0, x.ndim - len(sizes)) :]
    return x.reshape([size or own for size, own in zip(sizes, padded, strict=True)])


@operation("reshape_like", is_layout=True)
def reshape_like(x: Array, ref_tensors: Sequence[Array], begins: Ints, ends: Ints, end_masks: Any) -> Array:
    sizes: list[int] = []
    masks = [bool(mask) for mask in np.atleast_1d(end_masks)]
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
    # Axes of other sizes than 1 stay.
    return x.squeeze(None if axes is None else tuple(axis for axis in ints(axes) if x.shape[axis] == 1))


@operation("flatten2d", is_layout=True)
def flatten2d(x: Array, axis: int = 1) -> Array:
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operation("reverse", is_layout=True)
def reverse(x: Array, axes: Ints | None = None) -> Array:
    return np.flip(x, None if axes is None else tuple(ints(axes)))


@operation("split", is_layout=True)
def split(x: Array, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None) -> list[Array]:
    if split_sizes is None:
        if num_splits is None:
            raise PackageError("split: neither the number of parts nor their sizes are told")
        return np.split(x, int(num_splits), int(axis))
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
            index.append(0 if no_begin[axis] else begins[axis])
            continue
        first = None if no_begin[axis] else begins[axis]
        last = None if no_end[axis] else ends[axis]
        index.append(slice(first, last, strides[axis]))
    return tuple(index)


@operation("slice_by_size", is_layout=True)
def slice_by_size(x: Array, begin: Ints, size: Ints) -> Array:
    index = []
    for whole, first, length in zip(x.shape, ints(begin), ints(size), strict=True):
        first = first + whole if first < 0 else first
        last = whole if length == -1 else first + length
        if not 0 <= first <= last <= whole:
            raise PackageError(f"elements {first} to {last} are taken of an axis of {whole}")
        index.append(slice(first, last))
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
    check_size([sum(value.size for value in values)])
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
    counts = ints(reps)
    check_size([size * count for size, count in zip(x.shape, counts, strict=True)])
    return np.tile(x, counts)


@operation("depth_to_space", "pixel_shuffle")
def depth_to_space(x: Array, block_size: int | None = None, upscale_factor: int | None = None) -> Array:
    batch, channels, height, width = x.shape
    if block_size is not None:
        size = int(block_size)
        parts = x.reshape(batch, size, size, channels // size**2, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        size = int(upscale_factor or 1)
        parts = x.reshape(batch, channels // size**2, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return np.array(parts).reshape(batch, channels // size**2, height * size, width * size)


@operation("space_to_depth", "pixel_unshuffle")
def space_to_depth(x: Array, block_size: int | None = None, downscale_factor: int | None = None) -> Array:
    batch, channels, height, width = x.shape
    size = int(block_size or downscale_factor or 1)
    parts = x.reshape(batch, channels, height // size, size, width // size, size)
    order = (0, 3, 5, 1, 2, 4) if block_size is not None else (0, 1, 3, 5, 2, 4)
    return np.array(parts.transpose(order)).reshape(batch, channels * size**2, height // size, width // size)


@operation("sliding_windows")
def sliding_windows(x: Array, axis: int, size: int, stride: int = 1) -> Array:
    (along,) = axes(axis, x.ndim)
    windows = np.lib.stride_tricks.sliding_window_view(x, int(size), along)
    check_size(list(windows.shape))
    return np.array(np.moveaxis(windows, -1, along + 1)[(slice(None),) * along + (slice(None, None, int(stride)),)])


@operation("pad")
def pad(x: Array, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Array:
    widths = ints(pad)
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + list(zip(widths[::2], widths[1::2], strict=True))
    check_size([size + before + after for size, (before, after) in zip(x.shape, pairs, strict=True)])
    if mode == "constant":
        return np.pad(x, pairs, constant_values=x.dtype.type(constant_val))
    if mode not in _PADDINGS:
        raise PackageError(f"pad: there is no mode {mode!r}")
    return np.pad(x, pairs, _PADDINGS[mode])


#: NumPy's names of the modes that take the padding from the tensor.
_PADDINGS: dict[str, Any] = {"reflect": "reflect", "replicate": "edge"}
