"""Convolution and pooling over tensors (batch, channels, *spatial)."""

from __future__ import annotations

from typing import Any

import numpy as np

from russet.coreml.portable.operations.registry import Array, Ints, check_size, ints, operation
from russet.errors import PackageError


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
    if pad_type not in ("same", "same_lower"):
        raise PackageError(f"there is no pad_type {pad_type!r}")
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
    check_size([batch, outputs, *full])
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
        befores = cut[::2]
        wanted = [size - sum(pair) for size, pair in zip(full, zip(befores, cut[1::2], strict=True), strict=True)]
    else:
        wanted = full if pad_type == "valid" else [size * step for size, step in zip(x.shape[2:], steps, strict=True)]
        befores = [0] * rank
    if output_shape is not None:
        wanted = ints(output_shape)[2:]
    if pad_type in ("same", "same_lower"):
        # What is too much is cut on both sides, one more behind, or before for same_lower.
        more = pad_type == "same_lower"
        befores = [(max(size - want, 0) + more) // 2 for size, want in zip(full, wanted, strict=True)]
    ends = [before + want for before, want in zip(befores, wanted, strict=True)]
    check_size([batch, outputs, *ends])
    found = np.pad(found, [(0, 0), (0, 0), *((0, max(end - size, 0)) for end, size in zip(ends, full, strict=True))])
    kept = (slice(before, end) for before, end in zip(befores, ends, strict=True))
    inside: tuple[Any, ...] = (slice(None), slice(None), *kept)
    found = found[inside]
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


def _pool(
    x: Array, fill: float, kernel_sizes: Ints, strides: Ints | None, pad_type: str, pad: Ints | None, ceil_mode: bool
) -> tuple[Array, Array]:
    """All windows, and how many elements of each lie in the tensor or its padding."""
    kernel = ints(kernel_sizes)
    steps, ones = _sizes(strides, len(kernel)), [1] * len(kernel)
    pairs = paddings(pad_type.lower(), pad, x.shape[2:], kernel, steps)
    missing = [0] * len(kernel)
    if ceil_mode:
        # What is missing to a whole last window is added behind, unless the window would begin behind the tensor.
        for axis, ((before, after), length, step) in enumerate(zip(pairs, kernel, steps, strict=True)):
            size = x.shape[2 + axis] + before + after
            more = -(size - length) % step
            begins_inside = size - length + more < x.shape[2 + axis] + before or before + after == 0
            missing[axis] = more if begins_inside else 0
    check_size([*x.shape[:2], *(size + sum(pair) for size, pair in zip(x.shape[2:], pairs, strict=True))])
    inside = [(0, 0), (0, 0), *pairs]
    behind = [(0, 0), (0, 0), *((0, more) for more in missing)]
    padded = np.pad(np.pad(x, inside, constant_values=x.dtype.type(fill)), behind, constant_values=x.dtype.type(fill))
    counted = np.pad(np.ones((1, 1, *(size + sum(pair) for size, pair in zip(x.shape[2:], pairs, strict=True))), x.dtype), behind)
    along = tuple(range(x.ndim, x.ndim + len(kernel)))
    return _windows(padded, kernel, steps, ones), _windows(counted, kernel, steps, ones).sum(axis=along)


@operation("max_pool")
def max_pool(
    x: Array, kernel_sizes: Ints, pad_type: str, strides: Ints | None = None, pad: Ints | None = None, ceil_mode: bool = False
) -> Array:
    windows, _ = _pool(x, -np.inf, kernel_sizes, strides, pad_type, pad, ceil_mode)
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
    windows, counts = _pool(x, 0, kernel_sizes, strides, pad_type, pad, ceil_mode)
    along = tuple(range(x.ndim, windows.ndim))
    if exclude_padding_from_average:
        counts = _pool(np.ones_like(x[:1, :1]), 0, kernel_sizes, strides, pad_type, pad, ceil_mode)[0].sum(axis=along)
    return windows.sum(axis=along) / counts


@operation("l2_pool")
def l2_pool(
    x: Array, kernel_sizes: Ints, pad_type: str, strides: Ints | None = None, pad: Ints | None = None, ceil_mode: bool = False
) -> Array:
    windows, _ = _pool(x * x, 0, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return np.sqrt(windows.sum(axis=tuple(range(x.ndim, windows.ndim))))
