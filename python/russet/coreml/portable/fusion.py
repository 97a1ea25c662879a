"""Groups of nodes that one kernel does: norms, rotary positions, gated activations, attention with fewer heads of keys.

A group is replaced only where nothing else uses what lies within it, so that nobody misses a value. It computes the same
up to the rounding of sums in another order; a program that rounds every float16 operation is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.portable import kernels
from russet.coreml.portable.constants import Constant
from russet.coreml.portable.graph import CONTROL, Graph, Node, native
from russet.coreml.portable.lowering import constant_index
from russet.coreml.portable.operations.attention import scaled_dot_product_attention
from russet.coreml.program import ValueType

Array = NDArray[Any]


def fuse(graph: Graph, types: dict[str, ValueType], threads: int) -> None:
    """Replaces the groups in a graph, and drops nodes whose results nobody uses. O(nodes)."""
    for pattern in (_rms_norm, _rotary, _silu_product, _attention):
        view = _View(graph, types, threads)
        for node in list(graph.nodes):
            pattern(node, view)
    _drop_unused(graph)
    for node in graph.nodes:
        for block in node.blocks:
            fuse(block, types, threads)


class _View:
    """Who gives a name, and how often it is used."""

    def __init__(self, graph: Graph, types: dict[str, ValueType], threads: int) -> None:
        self.types = types
        self.threads = threads
        self._givers = {name: node for node in graph.nodes for name in node.outputs}
        self._uses: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.names():
                self._uses.setdefault(name, []).append(node)
        self._kept = {name for name in graph.outputs if isinstance(name, str)}

    def giver(self, name: Any, *kinds: str) -> Node | None:
        """The node that gives a name, if it is of one of these kinds and was not changed by another pass."""
        node = self._givers.get(name) if isinstance(name, str) else None
        return node if node is not None and node.kind in kinds and node.function is None else None

    def only_user(self, node: Node, *kinds: str) -> Node | None:
        """The node that alone uses what a node gives, once."""
        (name,) = node.outputs
        users = self._uses.get(name, [])
        return users[0] if len(users) == 1 and name not in self._kept and users[0].kind in kinds else None

    def is_used_once(self, node: Node) -> bool:
        """Whether what a node gives is used in one place alone."""
        return all(len(self._uses.get(name, [])) == 1 and name not in self._kept for name in node.outputs)

    def uncast(self, name: Any) -> Any:
        """The name before casts between float16 and float32, which are the same here."""
        while (node := self.giver(name, "cast")) is not None and self._is_float(node):
            name = node.inputs["x"]
        return name

    def _is_float(self, node: Node) -> bool:
        source = self.types.get(node.inputs["x"]) if isinstance(node.inputs["x"], str) else None
        return source is not None and source.dtype in ("float16", "float32") and node.types[0].dtype in ("float16", "float32")

    def becomes(self, node: Node, kind: str, inputs: dict[str, Any], function: Callable[..., Array]) -> None:
        """Makes a node one that calls a kernel. What lay before it is dropped if nobody else uses it."""
        node.kind, node.inputs, node.function = kind, inputs, function


def _other(node: Node, name: Any) -> Any:
    """The other argument of a node with two, or none if neither is ``name``."""
    x, y = node.inputs.get("x"), node.inputs.get("y")
    return y if x == name else x if y == name else None


def _pair(node: Node) -> tuple[Any, Any]:
    return node.inputs.get("x"), node.inputs.get("y")


def _scalar(value: Any) -> float | None:
    """A constant of one element."""
    return float(value.array().reshape(-1)[0]) if isinstance(value, Constant) and math.prod(value.shape) == 1 else None


def _rms_norm(node: Node, view: _View) -> None:
    """x * rsqrt(mean(x^2) + eps), and a weight times that."""
    if node.kind != "rsqrt" or not isinstance(node.inputs["x"], str):
        return
    epsilon = float(native(node.inputs["epsilon"])) if "epsilon" in node.inputs else 1e-12
    mean = view.giver(node.inputs["x"], "reduce_mean", "add")
    if mean is not None and mean.kind == "add":
        added = next((value for value in map(_scalar, _pair(mean)) if value is not None), None)
        name = next((part for part in _pair(mean) if isinstance(part, str)), None)
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
    other = _other(product, node.outputs[0])
    if view.uncast(other) != view.uncast(source):
        return
    last, weight = product, None
    scaled = view.only_user(product, "cast")
    scaled = view.only_user(scaled or product, "mul")
    if scaled is not None:
        given = next((part for part in _pair(scaled) if isinstance(part, Constant)), None)
        width = view.types[node.outputs[0]].shape
        if given is not None and len(given.shape) == 1 and given.shape[0] == view.types[str(source)].shape[-1] and width:
            last, weight = scaled, np.ascontiguousarray(given.array(), np.float32)

    threads = view.threads

    def rms_norm(x: Array) -> Array:
        return kernels.rms_norm(np.ascontiguousarray(x, np.float32), weight, epsilon, threads=threads)

    view.becomes(last, "rms_norm", {"x": source}, rms_norm)


def _squared(node: Node | None, view: _View) -> Any:
    """What a node is the square of."""
    if node is None or not view.is_used_once(node):
        return None
    x, y = _pair(node)
    if node.kind == "square" or (node.kind == "pow" and _scalar(y) == 2) or (node.kind == "mul" and x == y):
        return x if isinstance(x, str) else None
    return None


def _is_over_last(node: Node, view: _View) -> bool:
    source = view.types.get(node.inputs["x"])
    axes, keep = node.inputs.get("axes"), node.inputs.get("keep_dims")
    if source is None or not isinstance(axes, Constant) or keep is None or not native(keep):
        return False
    return np.atleast_1d(native(axes)).tolist() in ([-1], [len(source.shape) - 1])


def _rotary(node: Node, view: _View) -> None:
    """x * cos + concat(-second half of x, first half of x) * sin."""
    if node.kind != "add":
        return
    products = [view.giver(part, "mul") for part in _pair(node)]
    if products[0] is None or products[1] is None:
        return
    for plain, turned in (products, products[::-1]):
        assert plain is not None and turned is not None
        for sin_index in (0, 1):
            whole, sin = _pair(turned)[1 - sin_index], _pair(turned)[sin_index]
            source = _rotated(view.giver(whole, "concat"), view)
            cos = None if source is None else _other(plain, source)
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


def _rotated(node: Node | None, view: _View) -> Any:
    """The name x of concat(-x[half:], x[:half]) along the last axis."""
    if node is None or not view.is_used_once(node) or len(node.inputs.get("values") or []) != 2 or "axis" not in node.inputs:
        return None
    rank = len(node.types[0].shape)
    if native(node.inputs["axis"]) not in (-1, rank - 1):
        return None
    second, first = node.inputs["values"]
    negated = view.giver(second, "mul")
    if negated is None or not view.is_used_once(negated) or -1.0 not in map(_scalar, _pair(negated)):
        return None
    second = next((part for part in _pair(negated) if isinstance(part, str)), None)
    halves = [_half(part, view) for part in (first, second)]
    if None in halves or halves[0] is None or halves[1] is None or halves[0][0] != halves[1][0]:
        return None
    return halves[0][0] if (halves[0][1], halves[1][1]) == (0, 1) else None


def _half(name: Any, view: _View) -> tuple[str, int] | None:
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


def _silu_product(node: Node, view: _View) -> None:
    """silu(gate) * up."""
    if node.kind != "mul":
        return
    for gate, up in (_pair(node), _pair(node)[::-1]):
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


def _attention(node: Node, view: _View) -> None:
    """Attention, as one operation or as products around a softmax, over keys and values before they are repeated for queries."""
    parts = _attention_parts(node, view)
    if parts is None:
        return
    query, key, value, mask, scale = parts
    shape = view.types[query].shape
    if len(shape) != 4 or shape[0] != 1 or shape[1] <= 0:
        return
    keys, values = _before_repeat(key, shape[1], view), _before_repeat(value, shape[1], view)
    inputs = {"query": query, "key": keys.name, "value": values.name, "attn_mask": mask}
    inputs |= {"key_reps": keys.reps, "value_reps": values.reps}
    inputs = {name: part for name, part in inputs.items() if isinstance(part, str)}
    view.becomes(node, "attention", inputs, _attention_function(list(inputs), (keys, values), scale, view.threads))
    node.takes_halves = True


def _attention_function(
    names: list[str], repeats: tuple[_Repeat, _Repeat], scale: float | None, threads: int
) -> Callable[..., Array]:
    def attention(*given: Array) -> Array:
        arrays = dict(zip(names, given, strict=True))
        q, k, v, mask = arrays["query"], arrays["key"], arrays["value"], arrays.get("attn_mask")
        heads, length, width = q.shape[1:]
        counts = [it.count(arrays.get(name)) for it, name in zip(repeats, ("key_reps", "value_reps"), strict=True)]
        is_grouped = k.shape[1] * counts[0] == v.shape[1] * counts[1] == heads and k.shape[1] == v.shape[1]
        is_flat = mask is None or (mask.dtype != np.bool_ and mask.ndim == 4 and mask.shape[1] in (1, heads) and mask.shape[0] == 1)
        is_flat = is_flat and (mask is None or mask.shape[2:] == (length, k.shape[2]))
        if not (is_flat and is_grouped and k.shape[0] == v.shape[0] == 1 and k.shape[3] == v.shape[3] == width):
            keys, values = (
                it.repeated(part, arrays.get(name))
                for it, part, name in zip(repeats, (k, v), ("key_reps", "value_reps"), strict=True)
            )
            return scaled_dot_product_attention(q, keys, values, mask, scale)
        bias = None if mask is None else np.ascontiguousarray(mask[0], np.float32)
        return kernels.attention(np.ascontiguousarray(q[0], np.float32), k[0], v[0], bias, scale, threads=threads)[None]

    return attention


def _attention_parts(node: Node, view: _View) -> tuple[str, str, str, str | None, float | None] | None:
    """Query, key, value, mask and scale (none is that of the query's width) of the attention that a node ends."""
    if node.kind == "scaled_dot_product_attention":
        query, key, value = (node.inputs.get(name) for name in ("query", "key", "value"))
        mask, scale = node.inputs.get("attn_mask"), None
    else:
        softmax = view.giver(node.inputs.get("x"), "softmax") if node.kind == "matmul" and not _transposes(node) else None
        if softmax is None or not view.is_used_once(softmax) or not _is_last_axis(softmax, view):
            return None
        value, mask, scale = node.inputs.get("y"), None, 1.0
        scores = view.giver(view.uncast(softmax.inputs["x"]), "add", "mul", "real_div", "matmul")
        if scores is not None and scores.kind == "add":
            sides = [(part, other) for part, other in (_pair(scores), _pair(scores)[::-1]) if _is_product(part, view)]
            if not sides or not view.is_used_once(scores):
                return None
            (inner, mask) = sides[0]
            scores = view.giver(view.uncast(inner), "mul", "real_div", "matmul")
        if scores is not None and scores.kind in ("mul", "real_div"):
            factor = next((value for value in map(_scalar, _pair(scores)) if value is not None), None)
            inner = next((part for part in _pair(scores) if isinstance(part, str)), None)
            if not factor or not view.is_used_once(scores) or (scores.kind == "real_div" and inner != scores.inputs["x"]):
                return None
            scale = factor if scores.kind == "mul" else 1 / factor
            scores = view.giver(inner, "matmul")
        if scores is None or scores.kind != "matmul" or not view.is_used_once(scores) or _transposes(scores) != ["y"]:
            return None
        query, key = _pair(scores)
    if not all(isinstance(name, str) for name in (query, key, value)) or not isinstance(mask, str | None):
        return None
    return str(query), str(key), str(value), mask, scale


def _is_product(name: Any, view: _View) -> bool:
    """Whether a name is that of scores: a product of matrices, scaled or not."""
    node = view.giver(view.uncast(name), "mul", "real_div", "matmul")
    if node is not None and node.kind != "matmul":
        inner = next((part for part in _pair(node) if isinstance(part, str)), None)
        node = view.giver(inner, "matmul") if any(_scalar(part) is not None for part in _pair(node)) else None
    return node is not None


def _transposes(node: Node) -> list[str]:
    """Which arguments of a product are transposed."""
    return [name for name in ("x", "y") if f"transpose_{name}" in node.inputs and native(node.inputs[f"transpose_{name}"])]


def _is_last_axis(node: Node, view: _View) -> bool:
    axis = native(node.inputs["axis"]) if isinstance(node.inputs.get("axis"), Constant) else -1
    return axis in (-1, len(node.types[0].shape) - 1)


class _Repeat:
    """Keys or values, and how the program repeats each of their heads for a group of queries."""

    def __init__(self, name: str, heads: int, repeats: int = 1, reps: str | None = None) -> None:
        self.name = name
        #: The name of the list for ``tile``, where it is known only when the program runs.
        self.reps = reps
        self._heads = heads
        self._repeats = repeats

    def count(self, reps: Array | None) -> int:
        """How often each head is repeated in a row; 0 if the program does something else."""
        if reps is None:
            return self._repeats
        given = reps.tolist()
        return int(given[2]) if given[:2] == [1, 1] and given[3:] == [1, 1] else 0

    def repeated(self, x: Array, reps: Array | None) -> Array:
        """What the program would make of them."""
        full = x.astype(np.float32, copy=False)
        if reps is not None:
            return np.tile(full[:, :, None], reps.tolist()).reshape(1, self._heads, -1, x.shape[3])
        return full if self._repeats == 1 else np.repeat(full, self._repeats, 1).reshape(1, self._heads, -1, x.shape[3])


def _before_repeat(name: str, heads: int, view: _View) -> _Repeat:
    """What (1, heads, n, d) was before expand_dims, tile and reshape made it of (1, G, n, d)."""
    plain = _Repeat(name, heads)
    shaped = view.giver(name, "reshape")
    tiled = None if shaped is None else view.giver(shaped.inputs["x"], "tile")
    expanded = None if tiled is None else view.giver(tiled.inputs["x"], "expand_dims")
    if shaped is None or tiled is None or expanded is None or not isinstance(expanded.inputs["x"], str):
        return plain
    source, reps = expanded.inputs["x"], tiled.inputs["reps"]
    before, after, wide = view.types[source].shape, shaped.types[0].shape, expanded.types[0].shape
    if len(before) != 4 or len(after) != 4 or len(wide) != 5 or wide[2] != 1 or after[:2] != (1, heads) or after[3] <= 0:
        return plain
    if before[3] not in (-1, after[3]):
        return plain
    if isinstance(reps, str):
        return _Repeat(source, heads, 1, reps)
    repeats = native(reps)
    # What is not known of the shapes is looked at when the program runs.
    fits = repeats[:2] == [1, 1] and repeats[3:] == [1, 1] and heads % repeats[2] == 0 and before[1] in (-1, heads // repeats[2])
    return _Repeat(source, heads, repeats[2]) if fits else plain


def _drop_unused(graph: Graph) -> None:
    """Drops nodes whose results nobody uses, from the last one on."""
    used = {name for name in graph.outputs if isinstance(name, str)}
    kept = []
    for node in reversed(graph.nodes):
        if node.kind in CONTROL or any(name in used for name in node.outputs):
            used.update(node.names())
            kept.append(node)
    graph.nodes = kept[::-1]
