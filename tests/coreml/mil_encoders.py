"""Small encoder packages, made with coremltools' MIL builder: a BERT with random weights and three heads, and its twin in NumPy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mil_packages import convert, coremltools, kept
from numpy.typing import NDArray

HEADS = ("features", "fill-mask", "classification")


@dataclass(frozen=True)
class Encoder:
    """A BERT: learned positions, types, layer norms after each part, GELU. Weights are random, and float16."""

    layers: int = 2
    heads: int = 4
    head_dim: int = 8
    feed_forward: int = 64
    vocab: int = 512
    #: The greatest number of tokens.
    positions: int = 64
    labels: int = 3
    seed: int = 0

    @property
    def hidden(self) -> int:
        return self.heads * self.head_dim

    def weights(self) -> dict[str, NDArray[np.float16]]:
        random = np.random.default_rng(self.seed)
        hidden, wide = self.hidden, self.feed_forward
        shapes = {"word": (self.vocab, hidden), "position": (self.positions, hidden), "type": (2, hidden)}
        found = {name: random.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}

        def linear(name: str, rows: int, columns: int, scale: float = 2.0) -> None:
            found[f"{name}.w"] = (scale * random.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float16)
            found[f"{name}.b"] = (0.1 * random.standard_normal(rows)).astype(np.float16)

        def norm(name: str) -> None:
            found[f"{name}.w"] = (1 + 0.1 * random.standard_normal(hidden)).astype(np.float16)
            found[f"{name}.b"] = (0.1 * random.standard_normal(hidden)).astype(np.float16)

        norm("norm")
        for layer in range(self.layers):
            for name in ("q", "k", "v", "o"):
                linear(f"{layer}.{name}", hidden, hidden)
            norm(f"{layer}.norm1")
            linear(f"{layer}.up", wide, hidden)
            linear(f"{layer}.down", hidden, wide)
            norm(f"{layer}.norm2")
        linear("pooler", hidden, hidden, 1)
        linear("classifier", self.labels, hidden)
        found["vocab.b"] = random.standard_normal(self.vocab).astype(np.float16)
        return found

    def run(self, ids: NDArray[Any], mask: NDArray[Any], types: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        """(b, n) ids, mask and types give ``last_hidden_state``, ``pooler_output``, ``token_scores`` and ``class_scores``."""
        weights = {name: value.astype(np.float64) for name, value in self.weights().items()}
        batch, count = ids.shape

        def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
            centred = x - x.mean(-1, keepdims=True)
            scaled: NDArray[np.float64] = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
            return scaled * weights[f"{name}.w"] + weights[f"{name}.b"]

        def linear(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
            return x @ weights[f"{name}.w"].T + weights[f"{name}.b"]

        def by_head(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return x.reshape(batch, count, self.heads, self.head_dim).transpose(0, 2, 1, 3)

        x = norm(weights["word"][ids] + weights["position"][:count] + weights["type"][types], "norm")
        unseen = (1 - mask.astype(np.float64))[:, None, None] * -30000
        for layer in range(self.layers):
            q, k, v = (by_head(linear(x, f"{layer}.{name}")) for name in "qkv")
            scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(self.head_dim) + unseen
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (scores / scores.sum(-1, keepdims=True)) @ v
            x = norm(x + linear(attended.transpose(0, 2, 1, 3).reshape(batch, count, self.hidden), f"{layer}.o"), f"{layer}.norm1")
            wide = linear(x, f"{layer}.up")
            wide = 0.5 * wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
            x = norm(x + linear(wide, f"{layer}.down"), f"{layer}.norm2")
        pooled = np.tanh(linear(x[:, 0], "pooler"))
        return {
            "last_hidden_state": x,
            "pooler_output": pooled,
            "token_scores": x @ weights["word"].T + weights["vocab.b"],
            "class_scores": linear(pooled, "classifier"),
        }


def encoder(
    head: str = "features",
    shapes: str | tuple[int, int] = (1, 64),
    *,
    sizes: Sequence[tuple[int, int]] = ((1, 8), (1, 16), (1, 64)),
    inputs: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
    outputs: Sequence[str] | None = None,
    metadata: dict[str, str] | None = None,
    model: Encoder | None = None,
) -> Path:
    """``inputs`` (b, n) int32 give what the head gives: ``last_hidden_state`` and ``pooler_output``, ``token_scores`` or ``logits``.

    ``shapes`` is one shape, "enumerated" (``sizes``), "range" (1 to 64 tokens) or "batches" (1 to 4 texts of 1 to 64 tokens).
    ``inputs`` may leave out types, or mask and types, and may be in camel case. ``outputs`` renames the outputs.
    """
    model = model or Encoder()
    names = (
        outputs
        or {"features": ("last_hidden_state", "pooler_output"), "fill-mask": ("token_scores",), "classification": ("logits",)}[head]
    )
    key = repr((head, shapes, sizes, inputs, names, metadata, model))

    def build(path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil import Function
        from coremltools.converters.mil.mil import get_new_symbol, types

        weights = model.weights()
        hidden = model.hidden
        if isinstance(shapes, tuple):
            sizes_of_dims: tuple[Any, Any] = shapes
        else:
            varies = shapes == "batches" or (shapes == "enumerated" and len({size[0] for size in sizes}) > 1)
            sizes_of_dims = (get_new_symbol() if varies else sizes[0][0] if shapes == "enumerated" else 1, get_new_symbol())
        placeholders = {name: mb.placeholder(sizes_of_dims, dtype=types.int32) for name in inputs}

        def linear(x: Any, part: str, **how: Any) -> Any:
            return mb.linear(x=x, weight=weights[f"{part}.w"], bias=weights[f"{part}.b"], **how)

        def norm(x: Any, part: str, **how: Any) -> Any:
            scale, shift = weights[f"{part}.w"], weights[f"{part}.b"]
            return mb.layer_norm(x=x, axes=[-1], gamma=scale, beta=shift, epsilon=np.float16(1e-5), **how)

        def shaped(x: Any, *sizes: int) -> Any:
            """The last dimensions in other sizes; texts and tokens stay."""
            if all(isinstance(size, (int, np.integer)) for size in sizes_of_dims):
                return mb.reshape(x=x, shape=[*sizes_of_dims, *sizes])
            return mb.reshape(x=x, shape=mb.concat(values=[mb.shape(x=given[0]), list(sizes)], axis=0))

        def by_head(x: Any) -> Any:
            return mb.transpose(x=shaped(x, model.heads, model.head_dim), perm=[0, 2, 1, 3])

        with Function(placeholders, opset_version=ct.target.iOS18) as function:
            given = [function.inputs[name] for name in inputs]
            count = mb.gather(x=mb.shape(x=given[0]), indices=[1], axis=0)
            table = mb.slice_by_index(x=weights["position"], begin=[0, 0], end=mb.concat(values=[count, [hidden]], axis=0))
            x = mb.add(x=mb.gather(x=weights["word"], indices=given[0], axis=0), y=table)
            x = mb.add(x=x, y=mb.gather(x=weights["type"], indices=given[2], axis=0) if len(given) > 2 else weights["type"][0])
            x = norm(x, "norm")
            unseen = None
            if len(given) > 1:
                seen = mb.expand_dims(x=mb.cast(x=given[1], dtype="fp16"), axes=[1, 2])
                unseen = mb.mul(x=mb.sub(x=np.float16(1), y=seen), y=np.float16(-30000))
            for layer in range(model.layers):
                q, k, v = (by_head(linear(x, f"{layer}.{name}")) for name in "qkv")
                scores = mb.mul(x=mb.matmul(x=q, y=k, transpose_y=True), y=np.float16(model.head_dim**-0.5))
                scores = scores if unseen is None else mb.add(x=scores, y=unseen)
                attended = mb.transpose(x=mb.matmul(x=mb.softmax(x=scores, axis=-1), y=v), perm=[0, 2, 1, 3])
                attended = linear(shaped(attended, hidden), f"{layer}.o")
                x = norm(mb.add(x=x, y=attended), f"{layer}.norm1")
                wide = mb.gelu(x=linear(x, f"{layer}.up"), mode="TANH_APPROXIMATION")
                last = head == "features" and layer == model.layers - 1
                x = norm(mb.add(x=x, y=linear(wide, f"{layer}.down")), f"{layer}.norm2", **({"name": names[0]} if last else {}))
            first = mb.slice_by_index(
                x=x, begin=[0, 0, 0], end=[0, 1, hidden], end_mask=[True, False, False], squeeze_mask=[False, True, False]
            )
            if head == "features":
                pooled = [mb.tanh(x=linear(first, "pooler"), name=names[1])] if len(names) > 1 else []
                function.set_outputs([x, *pooled])
            elif head == "fill-mask":
                function.set_outputs([mb.linear(x=x, weight=weights["word"], bias=weights["vocab.b"], name=names[0])])
            else:
                function.set_outputs([linear(mb.tanh(x=linear(first, "pooler")), "classifier", name=names[0])])
        features = None
        if not isinstance(shapes, tuple):
            tokens = ct.RangeDim(1, model.positions, default=8)
            shape = {
                "enumerated": ct.EnumeratedShapes(shapes=[list(size) for size in sizes]),
                "range": (1, tokens),
                "batches": (ct.RangeDim(1, 4, default=1), tokens),
            }[shapes]
            features = [ct.TensorType(name=name, shape=shape, dtype=np.int32) for name in inputs]
        convert(function, path, inputs=features, metadata=metadata)

    return kept(f"encoder-{hashlib.sha256(key.encode()).hexdigest()[:12]}", build)
