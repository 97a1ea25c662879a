"""The numeric kernels that operations use."""

from __future__ import annotations

from russet.coreml.portable.numpy_kernels import Matrix, attention, gelu, layer_norm, rms_norm, rotary, silu, silu_product, softmax

__all__ = ["Matrix", "attention", "gelu", "layer_norm", "rms_norm", "rotary", "silu", "silu_product", "softmax"]
