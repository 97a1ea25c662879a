"""Matrix products. Where one factor is a constant of the program, the compiler takes ``kernels.Matrix`` instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from russet.coreml.portable.operations.registry import Array, operation


@operation("matmul")
def matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    return np.matmul(x.swapaxes(-1, -2) if transpose_x else x, y.swapaxes(-1, -2) if transpose_y else y)


@operation("linear")
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    product = np.matmul(x, weight.T)
    return product if bias is None else product + bias


@operation("einsum")
def einsum(values: Sequence[Array], equation: str) -> Array:
    return np.einsum(equation, *values, optimize=True)
