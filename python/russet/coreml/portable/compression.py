"""The ``constexpr_*`` operations, which describe weights in compressed form: each becomes a :class:`Constant`.

iOS 16 gives indices and masks as bytes and the shape beside them; iOS 18 has types of less than 8 bits, blocks and vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.portable.constants import Blockwise, Constant, Lazy, Palettized, Stored, look_up, sparse_to_dense
from russet.coreml.portable.weights import bits
from russet.errors import PackageError

#: What an operation takes, by parameter.
Parameters = Mapping[str, Constant]


def _integer(parameters: Parameters, name: str) -> int | None:
    return int(parameters[name].array().reshape(-1)[0]) if name in parameters else None


def _stored(constant: Constant) -> Stored:
    return constant if isinstance(constant, Stored) else Stored(constant.dense, constant.dtype, constant.shape)


def _shape(constant: Constant) -> tuple[int, ...]:
    return tuple(int(size) for size in constant.array().reshape(-1))


def _packed(constant: Constant, dtype: str, shape: tuple[int, ...]) -> Stored:
    """Bytes of iOS 16 as elements of less than 8 bits."""
    data = np.ascontiguousarray(constant.dense.reshape(-1)).view(np.uint8)
    if len(data) * 8 < math.prod(shape) * bits(dtype):
        raise PackageError(f"{len(data)} bytes are too few for {dtype}{list(shape)}")
    return Stored(data if bits(dtype) < 8 else data[: math.prod(shape)].reshape(shape), dtype, shape)


def _blockwise_shift_scale(parameters: Parameters) -> list[Constant]:
    return [Blockwise(_stored(parameters["data"]), parameters["scale"], parameters.get("offset"))]


def _affine_dequantize(parameters: Parameters) -> list[Constant]:
    data, scale, zero = parameters["quantized_data"], parameters["scale"], parameters["zero_point"]
    axis = (_integer(parameters, "axis") or 0) % len(data.shape)

    def along(constant: Constant) -> Stored:
        shape = [1] * len(data.shape)
        if constant.shape:
            shape[axis] = constant.shape[0]
            if math.prod(constant.shape) != data.shape[axis]:
                raise PackageError(f"{list(constant.shape)} values for {data.shape[axis]} indices of axis {axis}")
        return Stored(constant.dense.reshape(shape), constant.dtype, tuple(shape))

    return [Blockwise(_stored(data), along(scale), along(zero))]


def _lut_to_dense(parameters: Parameters) -> list[Constant]:
    indices, lut = parameters["indices"], parameters["lut"]
    if "shape" not in parameters:
        return [Palettized(_stored(indices), lut, _integer(parameters, "vector_axis"))]
    shape = _shape(parameters["shape"])
    width = (math.prod(lut.shape) - 1).bit_length()
    table = Stored(lut.dense.reshape((1,) * len(shape) + (-1, 1)), lut.dtype, (1,) * len(shape) + (math.prod(lut.shape), 1))
    return [Palettized(_packed(indices, f"uint{width}", shape), table, None)]


def _sparse_to_dense(parameters: Parameters) -> list[Constant]:
    nonzero, mask = parameters["nonzero_data"], parameters["mask"]
    if "shape" in parameters:
        mask = _packed(mask, "uint1", _shape(parameters["shape"]))
    return [Lazy(lambda: sparse_to_dense(nonzero.dense, mask.dense), nonzero.dtype, mask.shape)]


def _sparse(mask: Constant, dtype: str, repeated: tuple[int, int], dense: Callable[[], NDArray[Any]]) -> list[Constant]:
    """A mask, and the values of ``dense`` where it is set. The mask repeats along an axis where a value is a vector."""
    axis, count = repeated
    places = mask.dense if count == 1 else np.repeat(mask.dense, count, axis)
    shape = (int(np.count_nonzero(places)),)
    return [Stored(places, "uint8", places.shape), Lazy(lambda: dense()[places.astype(bool)], dtype, shape)]


def _lut_to_sparse(parameters: Parameters) -> list[Constant]:
    mask, indices, lut = parameters["indices_mask"], parameters["indices_nonzero_data"], parameters["lut"]
    axis = _integer(parameters, "vector_axis")

    def dense() -> NDArray[Any]:
        return look_up(sparse_to_dense(indices.dense, mask.dense), lut.dense, axis)

    return _sparse(mask, lut.dtype, (axis or 0, lut.shape[-1]), dense)


def _sparse_blockwise_shift_scale(parameters: Parameters) -> list[Constant]:
    mask, nonzero = parameters["data_mask"], parameters["nonzero_data"]
    scale = parameters["scale"]
    places = mask.dense

    def dense() -> NDArray[Any]:
        data = Stored(sparse_to_dense(nonzero.dense, places), "int8", mask.shape)
        return Blockwise(data, scale, parameters.get("offset")).dense

    return _sparse(mask, scale.dtype, (0, 1), dense)


def _cast(parameters: Parameters) -> list[Constant]:
    source = parameters["source_val"]
    return [Lazy(lambda: source.dense.astype(np.float32), "float32", source.shape)]


#: The constants that an operation gives, by its type.
DECOMPRESSIONS: Mapping[str, Callable[[Parameters], list[Constant]]] = {
    "constexpr_affine_dequantize": _affine_dequantize,
    "constexpr_blockwise_shift_scale": _blockwise_shift_scale,
    "constexpr_cast": _cast,
    "constexpr_lut_to_dense": _lut_to_dense,
    "constexpr_lut_to_sparse": _lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": _sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": _sparse_to_dense,
}
