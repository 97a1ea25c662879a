"""Every kernel in NumPy: what the core's kernels are held equal to, plain and slow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.portable.weights import unpack
from russet.errors import ArgumentError

Array = NDArray[Any]


class Matrix:
    """A constant matrix, N rows (outputs) and K columns (inputs), dense here."""

    def __init__(self, dense: Array) -> None:
        self._dense = dense
        self.shape: tuple[int, int] = dense.shape

    @staticmethod
    def dense(weights: Array) -> Matrix:
        """float16 or float32, (N, K)."""
        return Matrix(weights.astype(np.float32))

    @staticmethod
    def blockwise(
        data: Array, bits: int, is_signed: bool, shape: tuple[int, int], scale: Array, offset: Array | None = None
    ) -> Matrix:
        """``scale * (data - offset)``: data packed, scale and offset for each block, (N / block, K / block)."""
        values = unpack(data, f"{'' if is_signed else 'u'}int{bits}", shape)
        if bits == 8:
            values = data.view(np.int8 if is_signed else np.uint8).reshape(shape)
        repeat = shape[0] // scale.shape[0], shape[1] // scale.shape[1]

        def spread(blocks: Array) -> Array:
            return np.repeat(np.repeat(blocks.astype(np.float32), repeat[0], 0), repeat[1], 1)

        centred = values.astype(np.float32) - (0 if offset is None else spread(offset))
        return Matrix(spread(scale) * centred)

    @staticmethod
    def palettized(data: Array, bits: int, shape: tuple[int, int], lut: Array, scale: Array | None = None) -> Matrix:
        """Values of tables: indices packed, a table for each block, (N / block, K / block, 2^bits)."""
        indices = unpack(data, f"uint{bits}", shape).reshape(shape)
        rows = np.arange(shape[0])[:, None] // (shape[0] // lut.shape[0])
        columns = np.arange(shape[1])[None, :] // (shape[1] // lut.shape[1])
        dense = lut[rows, columns, indices].astype(np.float32)
        return Matrix(dense if scale is None else dense * scale.astype(np.float32))

    def linear(self, x: Array, bias: Array | None = None, threads: int = 0) -> Array:
        """``x @ W.T + bias``: (M, K) to (M, N)."""
        product = x @ self._dense.T
        return product if bias is None else product + bias

    def rows(self, indices: Array) -> Array:
        """The rows at indices (n,): (n, K)."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < self.shape[0]:
            raise ArgumentError(f"indices: {indices.min()} to {indices.max()}, and the matrix has {self.shape[0]} rows")
        return self._dense[indices]


def attention(q: Array, k: Array, v: Array, mask: Array | None = None, scale: float | None = None, threads: int = 0) -> Array:
    """Softmax(q k^T scale + mask) v: q (H, L, D), k and v (G, S, D), mask (L, S) or (H or 1, L, S); H is a multiple of G."""
    heads, _, width = q.shape
    repeat = heads // k.shape[0]
    keys, values = np.repeat(k.astype(np.float32), repeat, 0), np.repeat(v.astype(np.float32), repeat, 0)
    scores = np.matmul(q, keys.swapaxes(1, 2)) * np.float32(1 / math.sqrt(width) if scale is None else scale)
    return np.matmul(softmax(scores if mask is None else scores + mask), values)


def softmax(x: Array) -> Array:
    """Over the last axis."""
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def rms_norm(x: Array, weight: Array | None, eps: float) -> Array:
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last axis."""
    found = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(eps))
    return found if weight is None else found * weight


def layer_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    """``(x - mean(x)) / sqrt(variance(x) + eps) * weight + bias`` over the last axis."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    found = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + np.float32(eps))
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def rotary(x: Array, cos: Array, sin: Array) -> Array:
    """``x cos + rotate_half(x) sin``: x (H, L, D), cos and sin (L, D)."""
    half = x.shape[-1] // 2
    return x * cos + np.concatenate((-x[..., half:], x[..., :half]), -1) * sin


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``; the exponential of a negative number does not overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, np.float32(1), small) / (1 + small)


def silu(x: Array) -> Array:
    """``x / (1 + exp(-x))``."""
    return x * sigmoid(x)


def silu_product(gate: Array, up: Array) -> Array:
    """``silu(gate) * up``."""
    return silu(gate) * up


def gelu(x: Array, mode: str = "EXACT") -> Array:
    """``EXACT``, ``TANH_APPROXIMATION`` or ``SIGMOID_APPROXIMATION``."""
    if mode == "EXACT":
        erf = np.asarray(np.frompyfunc(math.erf, 1, 1)(x * np.float64(math.sqrt(0.5)))).astype(np.float64)
        return (0.5 * x * (1 + erf)).astype(np.float32)
    if mode == "TANH_APPROXIMATION":
        return np.float32(0.5) * x * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)))
    return x * sigmoid(np.float32(1.702) * x)
