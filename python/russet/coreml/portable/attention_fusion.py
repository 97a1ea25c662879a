"""Attention as one kernel: as one operation, or spelled out as products around a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from russet.coreml.portable import kernels
from russet.coreml.portable.constants import Constant
from russet.coreml.portable.graph import Node, native
from russet.coreml.portable.operations.attention import scaled_dot_product_attention
from russet.coreml.portable.patterns import Array, View, pair, scalar


def fuse_attention(node: Node, view: View) -> None:
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


def _attention_parts(node: Node, view: View) -> tuple[str, str, str, str | None, float | None] | None:
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
            sides = [(part, other) for part, other in (pair(scores), pair(scores)[::-1]) if _is_product(part, view)]
            if not sides or not view.is_used_once(scores):
                return None
            (inner, mask) = sides[0]
            scores = view.giver(view.uncast(inner), "mul", "real_div", "matmul")
        if scores is not None and scores.kind in ("mul", "real_div"):
            factor = next((value for value in map(scalar, pair(scores)) if value is not None), None)
            inner = next((part for part in pair(scores) if isinstance(part, str)), None)
            if not factor or not view.is_used_once(scores) or (scores.kind == "real_div" and inner != scores.inputs["x"]):
                return None
            scale = factor if scores.kind == "mul" else 1 / factor
            scores = view.giver(inner, "matmul")
        if scores is None or scores.kind != "matmul" or not view.is_used_once(scores) or _transposes(scores) != ["y"]:
            return None
        query, key = pair(scores)
    if not all(isinstance(name, str) for name in (query, key, value)) or not isinstance(mask, str | None):
        return None
    return str(query), str(key), str(value), mask, scale


def _is_product(name: Any, view: View) -> bool:
    """Whether a name is that of scores: a product of matrices, scaled or not."""
    node = view.giver(view.uncast(name), "mul", "real_div", "matmul")
    if node is not None and node.kind != "matmul":
        inner = next((part for part in pair(node) if isinstance(part, str)), None)
        node = view.giver(inner, "matmul") if any(scalar(part) is not None for part in pair(node)) else None
    return node is not None


def _transposes(node: Node) -> list[str]:
    """Which arguments of a product are transposed."""
    return [name for name in ("x", "y") if f"transpose_{name}" in node.inputs and native(node.inputs[f"transpose_{name}"])]


def _is_last_axis(node: Node, view: View) -> bool:
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


def _before_repeat(name: str, heads: int, view: View) -> _Repeat:
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
