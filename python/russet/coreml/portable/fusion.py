"""Groups of nodes that one kernel does: norms, rotary positions, gated activations, attention with fewer heads of keys.

A group is replaced only where nothing else uses what lies within it, so that nobody misses a value. It computes the same
up to the rounding of sums in another order; a program that rounds every float16 operation is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from russet.coreml.portable import kernels
from russet.coreml.portable.attention_fusion import fuse_attention
from russet.coreml.portable.constants import Constant
from russet.coreml.portable.graph import CONTROL, Graph, Node, native
from russet.coreml.portable.lowering import constant_index
from russet.coreml.portable.patterns import Array, View, other, pair, scalar
from russet.coreml.program import ValueType


def fuse(graph: Graph, types: dict[str, ValueType], threads: int) -> None:
    """Replaces the groups in a graph, and drops nodes whose results nobody uses. O(nodes)."""
    for pattern in (_rms_norm, _rotary, _silu_product, fuse_attention):
        view = View(graph, types, threads)
        for node in list(graph.nodes):
            pattern(node, view)
    _drop_unused(graph)
    for node in graph.nodes:
        for block in node.blocks:
            fuse(block, types, threads)


def _rms_norm(node: Node, view: View) -> None:
    """x * rsqrt(mean(x^2) + eps), and a weight times that."""
    if node.kind != "rsqrt" or not isinstance(node.inputs["x"], str):
        return
    epsilon = float(native(node.inputs["epsilon"])) if "epsilon" in node.inputs else 1e-12
    mean = view.giver(node.inputs["x"], "reduce_mean", "add")
    if mean is not None and mean.kind == "add":
        added = next((value for value in map(scalar, pair(mean)) if value is not None), None)
        name = next((part for part in pair(mean) if isinstance(part, str)), None)
        if added is None or not view.is_used_once(mean):
            return
        epsilon += added
        mean = view.giver(name, "reduce_mean")
    if mean is None or not _is_over_last(mean, view) or not view.is_used_once(mean):
        return
    source = _squared(view.giver(mean.inputs["x"], "mul", "square", "pow"), view)
    product = view.only_user(node, "mul")
    if source is None or product is None:
        return
    factor = other(product, node.outputs[0])
    if view.uncast(factor) != view.uncast(source):
        return
    last, weight = product, None
    cast = view.only_user(product, "cast")
    scaled = view.only_user(cast if cast is not None and view.is_float_cast(cast) else product, "mul")
    if scaled is not None:
        given = next((part for part in pair(scaled) if isinstance(part, Constant)), None)
        if given is not None and given.shape == view.types[str(source)].shape[-1:]:
            last, weight = scaled, np.ascontiguousarray(given.array(), np.float32)
    threads = view.threads

    def rms_norm(x: Array) -> Array:
        return kernels.rms_norm(np.ascontiguousarray(x, np.float32), weight, epsilon, threads=threads)

    view.becomes(last, "rms_norm", {"x": source}, rms_norm)


def _squared(node: Node | None, view: View) -> Any:
    """What a node is the square of."""
    if node is None or not view.is_used_once(node):
        return None
    x, y = pair(node)
    if node.kind == "square" or (node.kind == "pow" and scalar(y) == 2) or (node.kind == "mul" and x == y):
        return x if isinstance(x, str) else None
    return None


def _is_over_last(node: Node, view: View) -> bool:
    source = view.types.get(node.inputs["x"])
    axes, keep = node.inputs.get("axes"), node.inputs.get("keep_dims")
    if source is None or not isinstance(axes, Constant) or keep is None or not native(keep):
        return False
    return np.atleast_1d(native(axes)).tolist() in ([-1], [len(source.shape) - 1])


def _rotary(node: Node, view: View) -> None:
    """x * cos + concat(-second half of x, first half of x) * sin."""
    if node.kind != "add":
        return
    products = [view.giver(part, "mul") for part in pair(node)]
    if products[0] is None or products[1] is None:
        return
    for plain, turned in (products, products[::-1]):
        assert plain is not None and turned is not None
        for sin_index in (0, 1):
            whole, sin = pair(turned)[1 - sin_index], pair(turned)[sin_index]
            source = _rotated(view.giver(whole, "concat"), view)
            cos = None if source is None else other(plain, source)
            if cos is None or isinstance(source, Constant) or not view.is_used_once(plain) or not view.is_used_once(turned):
                continue
            tables = {name: part for name, part in (("cos", cos), ("sin", sin)) if isinstance(part, str)}
            fixed = {name: part.array() for name, part in (("cos", cos), ("sin", sin)) if isinstance(part, Constant)}
            view.becomes(node, "rotary", {"x": source, **tables}, _rotary_function(list(tables), fixed, view.threads))
            return


def _rotary_function(names: list[str], fixed: dict[str, Array], threads: int) -> Callable[..., Array]:
    def rotary(x: Array, *given: Array) -> Array:
        tables = {**fixed, **dict(zip(names, given, strict=True))}
        cos, sin = tables["cos"], tables["sin"]
        length, width = x.shape[-2:]
        if cos.size == sin.size == length * width and x.ndim >= 3:
            heads = np.ascontiguousarray(x, np.float32).reshape(-1, length, width)
            cos, sin = (np.ascontiguousarray(table, np.float32).reshape(length, width) for table in (cos, sin))
            return kernels.rotary(heads, cos, sin, threads=threads).reshape(x.shape)
        half = width // 2
        return x * cos + np.concatenate((-x[..., half:], x[..., :half]), -1) * sin

    return rotary


def _rotated(node: Node | None, view: View) -> Any:
    """The name x of concat(-x[half:], x[:half]) along the last axis."""
    if node is None or not view.is_used_once(node) or len(node.inputs.get("values") or []) != 2 or "axis" not in node.inputs:
        return None
    rank = len(node.types[0].shape)
    if native(node.inputs["axis"]) not in (-1, rank - 1):
        return None
    second, first = node.inputs["values"]
    negated = view.giver(second, "mul")
    if negated is None or not view.is_used_once(negated) or -1.0 not in map(scalar, pair(negated)):
        return None
    second = next((part for part in pair(negated) if isinstance(part, str)), None)
    halves = [_half(part, view) for part in (first, second)]
    if None in halves or halves[0] is None or halves[1] is None or halves[0][0] != halves[1][0]:
        return None
    return halves[0][0] if (halves[0][1], halves[1][1]) == (0, 1) else None


def _half(name: Any, view: View) -> tuple[str, int] | None:
    """The name that this is the first (0) or the second half (1) of, along the last axis."""
    node = view.giver(name, "split", "slice_by_index")
    if node is None or not isinstance(node.inputs["x"], str):
        return None
    source = view.types.get(node.inputs["x"])
    if source is None or not source.shape or source.shape[-1] <= 0 or source.shape[-1] % 2:
        return None
    rank, half = len(source.shape), source.shape[-1] // 2
    if node.kind == "split":
        axis = node.inputs.get("axis")
        is_last = isinstance(axis, Constant) and native(axis) in (-1, rank - 1)
        shapes = [of_type.shape[-1] for of_type in node.types]
        return (node.inputs["x"], node.outputs.index(name)) if is_last and shapes == [half, half] else None
    index = constant_index(node)
    if index is None or len(index) != rank or any(part != slice(None, None, 1) for part in _whole(index, source)[:-1]):
        return None
    last = index[-1]
    if not isinstance(last, slice) or last.step != 1:
        return None
    begin, end, _ = last.indices(source.shape[-1])
    return {(0, half): (node.inputs["x"], 0), (half, 2 * half): (node.inputs["x"], 1)}.get((begin, end))


def _whole(index: tuple[Any, ...], source: ValueType) -> list[Any]:
    """An index, in which slices that take all of an axis are written alike."""
    found = []
    for part, size in zip(index, source.shape, strict=True):
        takes_all = (
            isinstance(part, slice) and part.step == 1 and part.start in (None, 0) and (part.stop is None or part.stop == size)
        )
        found.append(slice(None, None, 1) if takes_all else part)
    return found


def _silu_product(node: Node, view: View) -> None:
    """silu(gate) * up."""
    if node.kind != "mul":
        return
    for gate, up in (pair(node), pair(node)[::-1]):
        silu = view.giver(gate, "silu")
        if silu is None or not view.is_used_once(silu) or not isinstance(up, str) or gate == up:
            continue
        gated = silu.inputs["x"]
        if not isinstance(gated, str) or view.types[gated].shape != view.types[up].shape:
            continue
        view.becomes(node, "silu_product", {"gate": gated, "up": up}, _silu_product_function(view.threads))
        return


def _silu_product_function(threads: int) -> Callable[..., Array]:
    def silu_product(gate: Array, up: Array) -> Array:
        if gate.shape != up.shape:
            return kernels.silu(gate) * up
        gate, up = (np.ascontiguousarray(part, np.float32) for part in (gate, up))
        return kernels.silu_product(gate, up, threads=threads)

    return silu_product


def _drop_unused(graph: Graph) -> None:
    """Drops nodes whose results nobody uses, from the last one on."""
    used = {name for name in graph.outputs if isinstance(name, str)}
    kept = []
    for node in reversed(graph.nodes):
        if node.kind in CONTROL or any(name in used for name in node.outputs):
            used.update(node.names())
            kept.append(node)
    graph.nodes = kept[::-1]
