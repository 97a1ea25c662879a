"""Convolution, pooling and changes of resolution over tensors (batch, channels, *spatial)."""

from __future__ import annotations

from typing import Any

import numpy as np

from russet.coreml.portable.operations.registry import Array, Ints, ints, operation
from russet.errors import UnsupportedOperationError


def _sizes(values: Ints | None, rank: int) -> list[int]:
    return [1] * rank if values is None else ints(values)


def paddings(
    pad_type: str, pad: Ints | None, sizes: tuple[int, ...], kernel: list[int], strides: list[int]
) -> list[tuple[int, int]]:
    """What is added before and behind each spatial axis; ``kernel`` is with its dilation."""
    if pad_type == "valid":
        return [(0, 0)] * len(kernel)
    if pad_type == "custom":
        given = [0] * 2 * len(kernel) if pad is None else ints(pad)
        return list(zip(given[::2], given[1::2], strict=True))
    pairs = []
    for size, length, stride in zip(sizes, kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + length - size, 0)
        less, more = total // 2, total - total // 2
        pairs.append((more, less) if pad_type == "same_lower" else (less, more))
    return pairs


def _windows(x: Array, kernel: list[int], strides: list[int], dilations: list[int]) -> Array:
    """Views of all windows: (batch, channels, *places, *kernel)."""
    rank = len(kernel)
    spans = [(length - 1) * dilation + 1 for length, dilation in zip(kernel, dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, tuple(range(2, 2 + rank)))
    index: tuple[Any, ...] = (slice(None), slice(None), *(slice(None, None, stride) for stride in strides))
    return windows[index + tuple(slice(None, None, dilation) for dilation in dilations)]


@operation("conv")
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Ints | None = None,
    pad_type: str = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Array:
    rank = x.ndim - 2
    kernel, steps, spread = list(weight.shape[2:]), _sizes(strides, rank), _sizes(dilations, rank)
    spans = [(length - 1) * dilation + 1 for length, dilation in zip(kernel, spread, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *paddings(pad_type, pad, x.shape[2:], spans, steps)])
    windows = _windows(padded, kernel, steps, spread)
    batch, places, groups = x.shape[0], windows.shape[2 : 2 + rank], int(groups)
    # (batch, groups, places, channels of a group and kernel) times (groups, channels of a group and kernel, outputs of a group)
    columns = windows.reshape(batch, groups, x.shape[1] // groups, *windows.shape[2:])
    columns = np.moveaxis(columns, 2, 2 + rank).reshape(batch, groups, int(np.prod(places)), -1)
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    found = np.matmul(columns, filters.swapaxes(1, 2)).swapaxes(2, 3).reshape(batch, weight.shape[0], *places)
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


@operation("conv_transpose")
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    pad: Ints | None = None,
    output_shape: Ints | None = None,
    pad_type: str = "valid",
    strides: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Array:
    rank, groups = x.ndim - 2, int(groups)
    kernel, steps, spread = list(weight.shape[2:]), _sizes(strides, rank), _sizes(dilations, rank)
    batch, outputs = x.shape[0], weight.shape[1] * groups
    spans = [(length - 1) * dilation + 1 for length, dilation in zip(kernel, spread, strict=True)]
    full = [(size - 1) * step + span for size, step, span in zip(x.shape[2:], steps, spans, strict=True)]
    found = np.zeros((batch, outputs, *full), np.float32)
    parts = x.reshape(batch, groups, x.shape[1] // groups, -1)
    filters = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], *kernel)
    for place in np.ndindex(*kernel):
        at: tuple[Any, ...] = (..., *place)
        product = np.matmul(filters[at].swapaxes(1, 2), parts).reshape(batch, outputs, *x.shape[2:])
        spots = (
            slice(first * dilation, first * dilation + (size - 1) * step + 1, step)
            for first, dilation, size, step in zip(place, spread, x.shape[2:], steps, strict=True)
        )
        index: tuple[Any, ...] = (slice(None), slice(None), *spots)
        found[index] += product
    if pad_type == "custom":
        cut = [0] * 2 * rank if pad is None else ints(pad)
        pairs = list(zip(cut[::2], cut[1::2], strict=True))
    elif pad_type == "valid":
        pairs = [(0, 0)] * rank
    else:
        wanted = [size * step for size, step in zip(x.shape[2:], steps, strict=True)]
        extra = [max(size - want, 0) for size, want in zip(full, wanted, strict=True)]
        pairs = [((total + (pad_type == "same_lower")) // 2, 0) for total in extra]
        pairs = [(before, total - before) for (before, _), total in zip(pairs, extra, strict=True)]
    ends = [size - after for size, (_, after) in zip(full, pairs, strict=True)]
    if output_shape is not None:
        ends = [before + size for (before, _), size in zip(pairs, ints(output_shape)[2:], strict=True)]
        found = np.pad(found, [(0, 0), (0, 0), *((0, max(end - size, 0)) for end, size in zip(ends, full, strict=True))])
    kept = (slice(before, end) for (before, _), end in zip(pairs, ends, strict=True))
    inside: tuple[Any, ...] = (slice(None), slice(None), *kept)
    found = found[inside]
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


def _pool(
    x: Array, fill: float, kernel_sizes: Ints, strides: Ints | None, pad_type: str, pad: Ints | None, ceil_mode: bool
) -> Array:
    kernel = ints(kernel_sizes)
    steps = _sizes(strides, len(kernel))
    pairs = paddings(pad_type, pad, x.shape[2:], kernel, steps)
    if ceil_mode:
        # What is missing to a whole last window is added behind, unless the window would lie in the padding alone.
        for axis, ((before, after), length, step) in enumerate(zip(pairs, kernel, steps, strict=True)):
            size = x.shape[2 + axis] + before + after
            missing = -(size - length) % step
            starts_inside = size - length + missing < x.shape[2 + axis] + before
            pairs[axis] = (before, after + (missing if starts_inside else 0))
    padded = np.pad(x, [(0, 0), (0, 0), *pairs], constant_values=x.dtype.type(fill))
    return _windows(padded, kernel, steps, [1] * len(kernel))


@operation("max_pool")
def max_pool(
    x: Array, kernel_sizes: Ints, pad_type: str, strides: Ints | None = None, pad: Ints | None = None, ceil_mode: bool = False
) -> Array:
    windows = _pool(x, -np.inf, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return windows.max(axis=tuple(range(x.ndim, windows.ndim)))


@operation("avg_pool")
def avg_pool(
    x: Array,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Array:
    windows = _pool(x, 0, kernel_sizes, strides, pad_type, pad, ceil_mode)
    along = tuple(range(x.ndim, windows.ndim))
    if not exclude_padding_from_average:
        return windows.mean(axis=along)
    counts = _pool(np.ones_like(x[:1, :1]), 0, kernel_sizes, strides, pad_type, pad, ceil_mode).sum(axis=along)
    return windows.sum(axis=along) / counts


@operation("l2_pool")
def l2_pool(
    x: Array, kernel_sizes: Ints, pad_type: str, strides: Ints | None = None, pad: Ints | None = None, ceil_mode: bool = False
) -> Array:
    windows = _pool(x * x, 0, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return np.sqrt(windows.sum(axis=tuple(range(x.ndim, windows.ndim))))


@operation("upsample_nearest_neighbor")
def upsample_nearest_neighbor(x: Array, scale_factor_height: float = 1, scale_factor_width: float = 1) -> Array:
    if scale_factor_height != int(scale_factor_height) or scale_factor_width != int(scale_factor_width):
        message = "upsample_nearest_neighbor: a scale that is no integer is not supported"
        raise UnsupportedOperationError(message)
    return x.repeat(int(scale_factor_height), axis=-2).repeat(int(scale_factor_width), axis=-1)
