"""Nodes whose constants are worth preparing: products with constant matrices, lookups in tables, slices and shapes that are known.

Each lowering looks at one node and gives it a function of what is left; where it does not apply, the node stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.portable import kernels
from russet.coreml.portable.constants import Constant, Stored
from russet.coreml.portable.graph import Graph, Node, native
from russet.coreml.portable.operations.layout import slices
from russet.errors import ArgumentError, PackageError

Array = NDArray[Any]


class Matrices:
    """Matrices of constants, each made once: tied embeddings are shared."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._found: dict[tuple[int, bool, tuple[int, int]], tuple[Constant, Any]] = {}

    def of(self, constant: Constant, shape: tuple[int, int], is_transposed: bool = False) -> Any:
        """The matrix of a constant, whose elements in order have this shape; transposed if the rows are the inputs."""
        key = (id(constant), is_transposed, shape)
        if key not in self._found:
            source = constant
            if is_transposed:
                turned = np.ascontiguousarray(constant.dense.reshape(shape).T)
                source, shape = Stored(turned, constant.dtype, turned.shape), (shape[1], shape[0])
            # The constant is kept, so that its id stays its own.
            self._found[key] = (constant, source.matrix(kernels, shape))
        return self._found[key][1]


def lower(graph: Graph, matrices: Matrices) -> None:
    """Gives functions to the nodes of a graph that one of the lowerings knows."""
    for node in graph.nodes:
        lowering = _LOWERINGS.get(node.kind)
        if lowering is not None and node.function is None:
            lowering(node, matrices)
        for block in node.blocks:
            lower(block, matrices)


def _is_float(constant: Any) -> bool:
    return isinstance(constant, Constant) and constant.dtype in ("float16", "float32")


def _becomes(node: Node, function: Callable[..., Any], *parameters: str) -> None:
    """Leaves a node with these arguments alone, in this order."""
    node.function = function
    node.inputs = {parameter: node.inputs[parameter] for parameter in parameters}


def _linear_function(matrix: Any, bias: Array | None, threads: int) -> Callable[[Array], Array]:
    outputs, inputs = matrix.shape
    product = matrix.linear

    def linear(x: Array) -> Array:
        if x.ndim == 2:
            return product(np.ascontiguousarray(x, np.float32), bias, threads=threads)
        flat = np.ascontiguousarray(x, np.float32).reshape(-1, inputs)
        return product(flat, bias, threads=threads).reshape(*x.shape[:-1], outputs)

    return linear


def _linear(node: Node, matrices: Matrices) -> None:
    weight, bias = node.inputs["weight"], node.inputs.get("bias")
    if not _is_float(weight) or len(weight.shape) != 2 or isinstance(bias, str) or not isinstance(node.inputs["x"], str):
        return
    offset = None if bias is None else np.ascontiguousarray(bias.array(), np.float32)
    if offset is not None and offset.shape != (weight.shape[0],):
        raise PackageError(f"linear {node.outputs[0]!r}: a bias {list(offset.shape)} for {weight.shape[0]} outputs")
    _becomes(node, _linear_function(matrices.of(weight, weight.shape), offset, matrices.threads), "x")


def _matmul(node: Node, matrices: Matrices) -> None:
    x, y = node.inputs["x"], node.inputs["y"]
    if not isinstance(x, str) or not _is_float(y) or len(y.shape) != 2 or _flag(node, "transpose_x"):
        return
    matrix = matrices.of(y, y.shape, is_transposed=not _flag(node, "transpose_y"))
    _becomes(node, _linear_function(matrix, None, matrices.threads), "x")


def _flag(node: Node, parameter: str) -> bool:
    value = node.inputs.get(parameter)
    return value is not None and bool(native(value))


def _conv(node: Node, matrices: Matrices) -> None:
    """A convolution with windows of one element is a product with a matrix."""
    weight, bias = node.inputs["weight"], node.inputs.get("bias")
    given = {name: value for name, value in node.inputs.items() if name not in ("x", "weight")}
    if not _is_float(weight) or not isinstance(node.inputs["x"], str) or any(isinstance(value, str) for value in given.values()):
        return
    options = {name: native(value) for name, value in given.items() if name != "bias"}
    is_plain = options.get("groups", 1) == 1 and not any(options.get("pad") or [0])
    if not is_plain or any(size != 1 for size in weight.shape[2:]) or any(step != 1 for step in options.get("strides") or [1]):
        return
    outputs, inputs = weight.shape[:2]
    offset = None if bias is None else np.ascontiguousarray(bias.array(), np.float32)
    matrix, threads = matrices.of(weight, (outputs, inputs)), matrices.threads

    def conv(x: Array) -> Array:
        batch, _, *places = x.shape
        rows = np.ascontiguousarray(np.moveaxis(x, 1, -1), np.float32).reshape(-1, inputs)
        return np.moveaxis(matrix.linear(rows, offset, threads=threads).reshape(batch, *places, outputs), -1, 1)

    _becomes(node, conv, "x")


def _gather(node: Node, matrices: Matrices) -> None:
    """Rows of a constant table, which stays as it is in memory: embeddings."""
    table, indices = node.inputs["x"], node.inputs["indices"]
    options = {name: native(node.inputs[name]) for name in ("axis", "batch_dims") if name in node.inputs}
    if not _is_float(table) or len(table.shape) != 2 or not isinstance(indices, str):
        return
    if options.get("axis", 0) not in (0, -2) or options.get("batch_dims", 0) != 0:
        return
    matrix, (count, width) = matrices.of(table, table.shape), table.shape

    def rows(indices: Array) -> Array:
        places = np.asarray(indices)
        flat = places.reshape(-1).astype(np.int64)
        # Negative indices count from the end, as everywhere in MIL.
        flat = np.where(flat < 0, flat + count, flat)
        try:
            return matrix.rows(flat).reshape(*places.shape, width)
        except ArgumentError as error:
            raise IndexError(f"index out of a table of {count} rows: {error}") from None

    _becomes(node, rows, "indices")


def constant_index(node: Node) -> tuple[slice | int, ...] | None:
    """The index of NumPy that a node ``slice_by_index`` means, if it is known."""
    options = {name: value for name, value in node.inputs.items() if name != "x"}
    if any(not isinstance(value, Constant) for value in options.values()):
        return None
    given = {name: native(value) for name, value in options.items()}
    names = ("begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask")
    begin, end, *rest = (given.get(name) for name in names)
    return slices(len(begin or []), begin or [], end or [], *rest)


def _slice_by_index(node: Node, matrices: Matrices) -> None:
    index = constant_index(node)
    if index is not None and isinstance(node.inputs["x"], str):
        _becomes(node, lambda x: x[index], "x")


def _reshape(node: Node, matrices: Matrices) -> None:
    if not isinstance(node.inputs["x"], str) or not isinstance(node.inputs["shape"], Constant):
        return
    sizes = tuple(int(size) for size in native(node.inputs["shape"]))
    if 0 not in sizes:
        _becomes(node, lambda x: x.reshape(sizes), "x")


def _expand_dims(node: Node, matrices: Matrices) -> None:
    rank = len(node.types[0].shape)
    if not isinstance(node.inputs["x"], str) or not isinstance(node.inputs["axes"], Constant) or rank == 0:
        return
    places = {axis % rank for axis in np.atleast_1d(native(node.inputs["axes"])).tolist()}
    index = tuple(None if axis in places else slice(None) for axis in range(rank))
    _becomes(node, lambda x: x[index], "x")


def _transpose(node: Node, matrices: Matrices) -> None:
    if isinstance(node.inputs["x"], str) and isinstance(node.inputs["perm"], Constant):
        order = tuple(native(node.inputs["perm"]))
        _becomes(node, lambda x: x.transpose(order), "x")


def _cast(node: Node, matrices: Matrices) -> None:
    """Casts between float16 and float32 change nothing here: both are held as float32."""
    kind = native(node.inputs["dtype"])
    if isinstance(node.inputs["x"], str) and kind in ("fp16", "fp32"):
        _becomes(node, lambda x: x if x.dtype == np.float32 else x.astype(np.float32), "x")


_LOWERINGS: dict[str, Callable[[Node, Matrices], None]] = {
    "cast": _cast,
    "conv": _conv,
    "expand_dims": _expand_dims,
    "gather": _gather,
    "linear": _linear,
    "matmul": _matmul,
    "reshape": _reshape,
    "slice_by_index": _slice_by_index,
    "transpose": _transpose,
}
