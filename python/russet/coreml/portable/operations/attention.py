"""Attention as one operation."""

from __future__ import annotations

import math

import numpy as np

from russet.coreml.portable import kernels
from russet.coreml.portable.operations.registry import Array, operation


@operation("scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None, scale: float | None = None
) -> Array:
    """Softmax(query key^T scale + mask) value; the scale is 1 / sqrt(E), and a mask of booleans says which keys are seen."""
    mask = attn_mask
    if mask is not None and mask.dtype == np.bool_:
        mask = np.where(mask, np.float32(0), np.float32(-np.inf))
    factor = np.float32(1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    scores = np.matmul(query * factor, key.swapaxes(-1, -2))
    if mask is not None:
        scores = scores + mask
    return np.matmul(kernels.softmax(scores), value)
