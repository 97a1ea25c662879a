"""Changes of resolution: the last two axes, or as many as are named, cropped or sampled at other places."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from russet.coreml.portable.operations.registry import Array, Ints, check_size, ints, operation
from russet.errors import PackageError, UnsupportedOperationError


def places(mode: str, size: int, wanted: int) -> Array:
    """Where ``wanted`` samples lie on an axis of ``size`` elements, float64: the modes of ``resize_bilinear``."""
    steps = np.arange(wanted, dtype=np.float64)
    if mode in ("ALIGN_CORNERS", "STRICT_ALIGN_CORNERS"):
        found = steps * ((size - 1) / max(wanted - 1, 1))
        if mode == "ALIGN_CORNERS" and wanted == 1:
            found = found + (size - 1) / 2
    elif mode == "DEFAULT":
        found = steps * (size / wanted)
    elif mode == "UNALIGN_CORNERS":
        found = (steps + 0.5) * (size / wanted) - 0.5
    elif mode == "OFFSET_CORNERS":
        found = (steps + 0.5) * (max(1, size - 1) / wanted)
    else:
        raise PackageError(f"there is no sampling mode {mode!r}")
    return np.clip(found, 0, size - 1)


def _linear(x: Array, wanted: Sequence[int], mode: str) -> Array:
    """The last axes in the wanted sizes, each interpolated between two elements."""
    check_size([*x.shape[: x.ndim - len(wanted)], *wanted])
    for axis, count in zip(range(-len(wanted), 0), wanted, strict=True):
        at = places(mode, x.shape[axis], count)
        low = np.floor(at).astype(np.intp)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        share = (at - low).astype(np.float32).reshape(-1, *[1] * (-1 - axis))
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


def _nearest(x: Array, wanted: Sequence[int]) -> Array:
    """The last axes in the wanted sizes, each sample the element that lies before it."""
    check_size([*x.shape[: x.ndim - len(wanted)], *wanted])
    for axis, count in zip(range(-len(wanted), 0), wanted, strict=True):
        x = np.take(x, np.arange(count) * x.shape[axis] // count, axis)
    return x


def _scaled(x: Array, height: float, width: float) -> list[int]:
    return [math.floor(x.shape[-2] * height), math.floor(x.shape[-1] * width)]


@operation("upsample_nearest_neighbor")
def upsample_nearest_neighbor(x: Array, scale_factor_height: float = 1, scale_factor_width: float = 1) -> Array:
    return _nearest(x, _scaled(x, scale_factor_height, scale_factor_width))


@operation("upsample_bilinear")
def upsample_bilinear(
    x: Array,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Array:
    is_half = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and is_half:
        raise PackageError("upsample_bilinear: align_corners and half_pixel_centers exclude each other")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if is_half else "DEFAULT"
    return _linear(x, _scaled(x, scale_factor_height, scale_factor_width), mode)


@operation("resize_nearest_neighbor")
def resize_nearest_neighbor(x: Array, target_size_height: int, target_size_width: int) -> Array:
    return _nearest(x, [int(target_size_height), int(target_size_width)])


@operation("resize_bilinear")
def resize_bilinear(x: Array, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT") -> Array:
    return _linear(x, [int(target_size_height), int(target_size_width)], sampling_mode)


@operation("resize")
def resize(x: Array, shape: Ints, resized_dims: int, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT") -> Array:
    count, sizes = int(resized_dims), ints(shape)
    if not 0 < count <= len(sizes) <= x.ndim:
        raise PackageError(f"resize: {count} of {len(sizes)} sizes for a tensor of {x.ndim} dimensions")
    # A size of 0 is that of the argument.
    wanted = [size or x.shape[axis] for axis, size in zip(range(-count, 0), sizes[-count:], strict=True)]
    if interpolation_mode == "LINEAR" and x.dtype.kind == "f":
        return _linear(x, wanted, sampling_mode)
    if interpolation_mode == "NEAREST_NEIGHBOR" and sampling_mode == "DEFAULT":
        return _nearest(x, wanted)
    raise UnsupportedOperationError(f"resize: {interpolation_mode} with {sampling_mode} over {x.dtype} is not supported")


@operation("crop", is_layout=True)
def crop(x: Array, crop_height: Ints, crop_width: Ints) -> Array:
    (top, bottom), (left, right) = ints(crop_height), ints(crop_width)
    height, width = x.shape[-2:]
    if min(top, bottom, left, right) < 0 or top + bottom > height or left + right > width:
        raise PackageError(f"crop: {top} and {bottom} of {height} rows, {left} and {right} of {width} columns")
    return x[..., top : height - bottom, left : width - right]
