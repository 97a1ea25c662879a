"""The numeric kernels that operations use: the core's, over float32 arrays in C order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet import _core
from russet._core import Matrix, attention, rms_norm, rotary, silu_product

__all__ = ["Matrix", "attention", "gelu", "layer_norm", "rms_norm", "rotary", "silu", "silu_product", "softmax"]

_Array = NDArray[Any]


def _floats(x: _Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(x, np.float32)


def softmax(x: _Array) -> NDArray[np.float32]:
    """Over the last axis."""
    return _core.softmax(_floats(x))


def layer_norm(x: _Array, weight: _Array | None, bias: _Array | None, eps: float) -> NDArray[np.float32]:
    """``(x - mean(x)) / sqrt(variance(x) + eps) * weight + bias`` over the last axis."""
    scale, shift = (None if part is None else _floats(part) for part in (weight, bias))
    return _core.layer_norm(_floats(x), scale, shift, eps)


def silu(x: _Array) -> NDArray[np.float32]:
    """``x / (1 + exp(-x))``."""
    return _core.silu(_floats(x))


def gelu(x: _Array, mode: str = "EXACT") -> NDArray[np.float32]:
    """``EXACT``, ``TANH_APPROXIMATION`` or ``SIGMOID_APPROXIMATION``."""
    return _core.gelu(_floats(x), mode.removesuffix("_APPROXIMATION").lower())
