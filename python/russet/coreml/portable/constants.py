"""Constants of a program: plain tensors, and those that ``constexpr_*`` operations describe in compressed form.

A :class:`Constant` gives its elements in two forms: :meth:`Constant.array`, dense, as operations take them (float16 becomes
float32), and :meth:`Constant.matrix`, which stays compressed in memory and is read in place by ``linear``, ``matmul`` and
``gather``. Both are made when first asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.portable.operations.registry import check_size
from russet.coreml.portable.weights import bits, unpack
from russet.errors import PackageError

#: The types of NumPy that values of the program's types have while it runs.
_RUNTIME = {"float16": np.float32, "int4": np.int8, "uint1": np.uint8, "uint2": np.uint8, "uint3": np.uint8, "uint4": np.uint8,
            "uint6": np.uint8}  # fmt: skip


def runtime_dtype(dtype: str) -> np.dtype[Any]:
    """The type that a value has while the program runs: float16 is held as float32, small integers as bytes."""
    return np.dtype(_RUNTIME.get(dtype, dtype))


class Constant:
    """A tensor of numbers that is known before the program runs."""

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape

    @cached_property
    def dense(self) -> NDArray[Any]:
        """All elements in the type they are stored in (float16 as float16)."""
        raise NotImplementedError

    def array(self) -> NDArray[Any]:
        """All elements as operations take them."""
        return self.dense.astype(runtime_dtype(self.dtype), copy=False)

    def matrix(self, kernels: Any, shape: tuple[int, int]) -> Any:
        """The elements as a matrix of this shape, which has as many."""
        dense = np.ascontiguousarray(self.dense.reshape(shape))
        return kernels.Matrix.dense(dense if dense.dtype == np.float16 else dense.astype(np.float32, copy=False))


class Stored(Constant):
    """A tensor that lies in a file, or was computed from such."""

    def __init__(self, data: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> None:
        super().__init__(dtype, shape)
        #: In its shape; one-dimensional and packed for elements of less than 8 bits.
        self.data = data

    @cached_property
    def dense(self) -> NDArray[Any]:
        return unpack(self.data, self.dtype, self.shape)


class Lazy(Constant):
    """A tensor that is computed when its elements are needed."""

    def __init__(self, compute: Callable[[], NDArray[Any]], dtype: str, shape: tuple[int, ...]) -> None:
        super().__init__(dtype, shape)
        self._compute = compute

    @cached_property
    def dense(self) -> NDArray[Any]:
        found = self._compute()
        if found.shape != self.shape:
            raise PackageError(f"a constant has the shape {list(self.shape)}, and its parts give {list(found.shape)}")
        return found.astype(self.dtype, copy=False)


class Blockwise(Lazy):
    """``scale * (data - offset)``, a scale and an offset for each block."""

    def __init__(self, data: Stored, scale: Constant, offset: Constant | None) -> None:
        self.data, self.scale, self.offset = data, scale, offset
        for part in (scale,) if offset is None else (scale, offset):
            _check_blocks(data.shape, part.shape)
        super().__init__(self._dequantized, scale.dtype, data.shape)

    def _dequantized(self) -> NDArray[Any]:
        kind = self.scale.dense.dtype
        data, scale = self.data.dense.astype(kind), _repeated(self.scale.dense, self.shape)
        if self.offset is not None:
            data = data - _repeated(self.offset.dense, self.shape).astype(kind)
        return scale * data

    def matrix(self, kernels: Any, shape: tuple[int, int]) -> Any:
        parts = (self.scale,) if self.offset is None else (self.scale, self.offset)
        if self.data.dtype not in ("int4", "uint4", "int8", "uint8") or any(not _is_flat(part.shape) for part in parts):
            return super().matrix(kernels, shape)
        rows, columns = self.scale.shape[:2]
        scale = np.ascontiguousarray(self.scale.dense.reshape(rows, columns))
        offset = None
        if self.offset is not None:
            if self.offset.shape != self.scale.shape:
                return super().matrix(kernels, shape)
            offset = np.ascontiguousarray(self.offset.array().reshape(rows, columns), np.float32)
        data = self.data.data.reshape(-1).view(np.int8 if self.data.dtype == "int8" else np.uint8)
        return kernels.Matrix.blockwise(data, bits(self.data.dtype), self.data.dtype.startswith("int"), shape, scale, offset)


class Palettized(Lazy):
    """Indices into tables of values, a table for each block; each value may be a vector along one axis."""

    def __init__(self, indices: Stored, lut: Constant, vector_axis: int | None) -> None:
        self.indices, self.lut, self.vector_axis = indices, lut, vector_axis
        rank = len(indices.shape)
        if len(lut.shape) != rank + 2 or lut.shape[-2] != 1 << bits(indices.dtype) or not indices.dtype.startswith("uint"):
            raise PackageError(f"tables {list(lut.shape)} do not fit indices {indices.dtype}{list(indices.shape)}")
        _check_blocks(indices.shape, lut.shape[:-2])
        self.vector = lut.shape[-1]
        shape = list(indices.shape)
        if self.vector != 1:
            if vector_axis is None or not -rank <= vector_axis < rank:
                raise PackageError(f"values of {self.vector} elements need an axis, and it is {vector_axis}")
            shape[vector_axis] *= self.vector
        check_size(shape)
        super().__init__(self._looked_up, lut.dtype, tuple(shape))

    def _looked_up(self) -> NDArray[Any]:
        return look_up(self.indices.dense, self.lut.dense, self.vector_axis)

    def matrix(self, kernels: Any, shape: tuple[int, int]) -> Any:
        is_float = self.lut.dtype in ("float16", "float32")
        if self.vector != 1 or not is_float or not _is_flat(self.lut.shape[:-2]) or self.lut.shape[-2] > 256:
            return super().matrix(kernels, shape)
        rows, columns = self.lut.shape[:2]
        lut = np.ascontiguousarray(self.lut.dense.reshape(rows, columns, -1))
        data = self.indices.data.reshape(-1).view(np.uint8)
        return kernels.Matrix.palettized(data, bits(self.indices.dtype), shape, lut, None)


def look_up(indices: NDArray[Any], lut: NDArray[Any], vector_axis: int | None) -> NDArray[Any]:
    """The values that indices point to, each in the table of its block."""
    blocks = [np.arange(size) // (size // groups) for size, groups in zip(indices.shape, lut.shape, strict=False)]
    index: tuple[Any, ...] = (*np.ix_(*blocks), indices)
    found = lut[index]
    if lut.shape[-1] == 1:
        return found[..., 0]
    assert vector_axis is not None
    axis = vector_axis % indices.ndim
    shape = [size * (lut.shape[-1] if index == axis else 1) for index, size in enumerate(indices.shape)]
    return np.moveaxis(found, -1, axis + 1).reshape(shape)


def _check_blocks(shape: tuple[int, ...], groups: tuple[int, ...]) -> None:
    fits = len(shape) == len(groups) and all(count > 0 and size % count == 0 for size, count in zip(shape, groups, strict=True))
    if not fits:
        raise PackageError(f"{list(shape)} elements cannot be divided into {list(groups)} blocks")


def _repeated(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    for axis, size in enumerate(shape):
        if values.shape[axis] not in (1, size):
            values = np.repeat(values, size // values.shape[axis], axis)
    return values


def _is_flat(shape: tuple[int, ...]) -> bool:
    """Whether blocks lie along the first two axes alone."""
    return len(shape) >= 2 and math.prod(shape[2:]) == 1


def sparse_to_dense(nonzero: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """Values where the mask says so, in order, and zeros elsewhere."""
    found = np.zeros(mask.shape, nonzero.dtype)
    where = mask.astype(bool)
    if int(where.sum()) != nonzero.size:
        raise PackageError(f"a mask of {int(where.sum())} places and {nonzero.size} values")
    found[where] = nonzero.reshape(-1)
    return found
