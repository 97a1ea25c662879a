"""The operations that the portable runtime has, by the names of Core ML's Model Intermediate Language.

An operation is a function whose arguments have MIL's names. Arrays are NumPy's; what the program declares as float16 is held
as float32. Arguments that are lists or numbers by their nature (axes, shapes, modes) are Python's own if the program gives
constants, else arrays: :func:`ints` takes both. Semantics are those of coremltools' documentation of the operations.
"""

from __future__ import annotations

from russet.coreml.portable.operations import (
    attention,
    convolution,
    elementwise,
    indexing,
    layout,
    linear,
    reduction,
    resizing,
    tensors,
)
from russet.coreml.portable.operations.registry import LAYOUTS, OPERATIONS

__all__ = [
    "LAYOUTS",
    "OPERATIONS",
    "attention",
    "convolution",
    "elementwise",
    "indexing",
    "layout",
    "linear",
    "reduction",
    "resizing",
    "tensors",
]
