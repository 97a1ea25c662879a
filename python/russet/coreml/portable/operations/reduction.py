"""Operations along axes: sums, extremes, order, softmax and norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from russet.coreml.portable import kernels
from russet.coreml.portable.operations.registry import OPERATIONS, Array, Ints, axes, ints, operation


def _reduction(function: Any) -> Any:
    def reduce(x: Array, axes: Ints | None = None, keep_dims: bool = False) -> Array:
        along = None if axes is None else tuple(ints(axes))
        found = function(x, along, bool(keep_dims))
        return np.asarray(found, x.dtype)

    return reduce


def _log_sum_exp(x: Array, along: Any, keep: bool) -> Array:
    greatest = np.max(x, axis=along, keepdims=True)
    greatest = np.where(np.isfinite(greatest), greatest, np.float32(0))
    total: Array = np.log(np.sum(np.exp(x - greatest), axis=along, keepdims=True)) + greatest
    return total if keep else np.squeeze(total, along)


OPERATIONS.update(
    {
        "reduce_l1_norm": _reduction(lambda x, along, keep: np.sum(np.abs(x), axis=along, keepdims=keep)),
        "reduce_l2_norm": _reduction(lambda x, along, keep: np.sqrt(np.sum(x * x, axis=along, keepdims=keep))),
        "reduce_log_sum": _reduction(lambda x, along, keep: np.log(np.sum(x, axis=along, keepdims=keep))),
        "reduce_log_sum_exp": _reduction(_log_sum_exp),
        "reduce_max": _reduction(lambda x, along, keep: np.max(x, axis=along, keepdims=keep)),
        "reduce_mean": _reduction(lambda x, along, keep: np.mean(x, axis=along, keepdims=keep)),
        "reduce_min": _reduction(lambda x, along, keep: np.min(x, axis=along, keepdims=keep)),
        "reduce_prod": _reduction(lambda x, along, keep: np.prod(x, axis=along, keepdims=keep)),
        "reduce_sum": _reduction(lambda x, along, keep: np.sum(x, axis=along, keepdims=keep)),
        "reduce_sum_square": _reduction(lambda x, along, keep: np.sum(x * x, axis=along, keepdims=keep)),
    }
)


def _argument(function: Any) -> Any:
    def find(x: Array, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Array:
        return np.asarray(function(x, axis=int(axis), keepdims=bool(keep_dims))).astype(output_dtype)

    return find


OPERATIONS.update({"reduce_argmax": _argument(np.argmax), "reduce_argmin": _argument(np.argmin)})


@operation("cumsum")
def cumsum(x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    values = np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0)
    total = np.cumsum(values, 0, dtype=x.dtype)
    if exclusive:
        total = np.concatenate((np.zeros_like(total[:1]), total[:-1]))
    total = np.moveaxis(total, 0, axis)
    return np.flip(total, axis) if reverse else total


def _order(x: Array, axis: int, ascending: bool) -> Array:
    """Indices in order; of equals, the first comes first."""
    return np.argsort(x if ascending else -x.astype(np.float64), axis, kind="stable")


@operation("argsort")
def argsort(x: Array, axis: int = -1, ascending: bool = False) -> Array:
    return _order(x, int(axis), bool(ascending)).astype(np.int32)


@operation("topk")
def topk(
    x: Array,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> list[Array]:
    count = x.shape[axis] if int(k) == -1 else int(k)
    order = np.take(_order(x, int(axis), bool(ascending)), range(count), int(axis))
    if not sort:
        order = np.sort(order, int(axis))
    values = np.take_along_axis(x, order, int(axis))
    return [values, order.astype(output_indices_dtype)] if return_indices else [values]


@operation("softmax")
def softmax(x: Array, axis: int = -1) -> Array:
    if axis in (-1, x.ndim - 1):
        return kernels.softmax(x)
    return np.moveaxis(kernels.softmax(np.moveaxis(x, axis, -1)), -1, axis)


@operation("layer_norm")
def layer_norm(
    x: Array, axes: Ints | None = None, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5
) -> Array:
    along = _axes(axes, x.ndim)
    if along == (x.ndim - 1,):
        return kernels.layer_norm(x, gamma, beta, float(epsilon))
    centred = x - np.mean(x, axis=along, keepdims=True)
    found = centred / np.sqrt(np.mean(centred * centred, axis=along, keepdims=True) + np.float32(epsilon))
    shape = [size if axis in along else 1 for axis, size in enumerate(x.shape)]
    found = found if gamma is None else found * gamma.reshape(shape)
    return found if beta is None else found + beta.reshape(shape)


_axes = axes


def _channels(values: Array | None, rank: int) -> Array | None:
    return None if values is None else np.asarray(values, np.float32).reshape(-1, *[1] * (rank - 2))


@operation("batch_norm")
def batch_norm(
    x: Array, mean: Array, variance: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5
) -> Array:
    centre, spread, scale, shift = (_channels(values, x.ndim) for values in (mean, variance, gamma, beta))
    assert centre is not None and spread is not None
    found = (x - centre) / np.sqrt(spread + np.float32(epsilon))
    found = found if scale is None else found * scale
    return found if shift is None else found + shift


@operation("instance_norm")
def instance_norm(x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5) -> Array:
    along = tuple(range(2, x.ndim))
    centred = x - np.mean(x, axis=along, keepdims=True)
    found = centred / np.sqrt(np.mean(centred * centred, axis=along, keepdims=True) + np.float32(epsilon))
    scale, shift = _channels(gamma, x.ndim), _channels(beta, x.ndim)
    found = found if scale is None else found * scale
    return found if shift is None else found + shift


@operation("l2_norm")
def l2_norm(x: Array, epsilon: float = 1e-6) -> Array:
    along = tuple(range(max(x.ndim - 3, 0), x.ndim))
    return x / np.sqrt(np.sum(x * x, axis=along, keepdims=True) + np.float32(epsilon))


@operation("local_response_norm")
def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    squares = x * x
    padded = np.pad(squares, [(0, 0), (size // 2, (size - 1) // 2)] + [(0, 0)] * (x.ndim - 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, int(size), 1).sum(axis=-1, dtype=x.dtype)
    return x / np.power(np.float32(k) + np.float32(alpha / size) * windows, np.float32(beta))
