"""What a checkpoint gives, in NumPy: a decoder run over a whole text in float32, with the weights as the package holds them.

It is written from the formulas, not from the program: no calls of several sizes, no masks that come in. What a package stores as
float16 is rounded alike, so that what is left of a difference is an error: weights, cosines and sines, and keys and values where
there is a cache. Weights are read and encoded again tensor by tensor, and none is kept. O(n^2) attention, for texts of some hundred
tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from russet.conversion.checkpoint import Checkpoint
from russet.conversion.decoder import Attention, Decoder, FeedForward, Linear, Norm, Tensor
from russet.conversion.weights import Weights

Array = NDArray[np.float32]
#: Elements of a weight that are multiplied by at a time.
_PRODUCT_ELEMENTS = 1 << 22
#: Told the name of a part of the model and what it gives, (n, hidden).
Watch = Callable[[str, Array], None]


class Reference:
    """A checkpoint that can be run.

    Args:
        decoder: What it is.
        weights: How its weights are encoded.
        checkpoint: The weights.
        has_cache: Whether keys and values are kept, as float16.
    """

    def __init__(self, decoder: Decoder, weights: Weights, checkpoint: Checkpoint, has_cache: bool) -> None:
        self.decoder = decoder
        self.weights = weights
        self.checkpoint = checkpoint
        self.has_cache = has_cache

    def logits(self, ids: list[int], watch: Watch = lambda name, value: None) -> Array:
        """The logits behind each token, (n, V)."""
        decoder, positions = self.decoder, np.arange(len(ids))
        x = self._looked_up(decoder.embedding, np.array(ids))
        if decoder.positions is not None:
            x = x + self._looked_up(decoder.positions, positions)
        watch("embedding", x)
        for index, layer in enumerate(decoder.layers):
            x = x + self._attention(self._norm(x, layer.attention_norm), layer.attention)
            watch(f"layers.{index}.attention", x)
            x = x + self._feed_forward(self._norm(x, layer.feed_forward_norm), layer.feed_forward)
            watch(f"layers.{index}.feed_forward", x)
        x = self._norm(x, decoder.norm)
        watch("norm", x)
        found = self._linear(x, decoder.head)
        watch("head", found)
        return found

    def _blocks(self, tensor: Tensor) -> Iterator[Array]:
        """The rows of a weight, some megabytes at a time: few products of large matrices are faster than many of small ones."""
        weight, found = self.weights[tensor.key], list[Array]()
        for arrays in self.weights.encoded(weight, self.checkpoint):
            found.append(weight.encoding.decode(arrays))
            if sum(block.size for block in found) >= _PRODUCT_ELEMENTS:
                yield np.concatenate(found)
                found.clear()
        if found:
            yield np.concatenate(found)

    def _vector(self, tensor: Tensor) -> Array:
        return np.concatenate(list(self._blocks(tensor)))

    def _looked_up(self, tensor: Tensor, rows: NDArray[np.integer]) -> Array:
        found, begin = np.zeros((len(rows), tensor.shape[1]), np.float32), 0
        for block in self._blocks(tensor):
            is_here = (rows >= begin) & (rows < begin + len(block))
            found[is_here] = block[rows[is_here] - begin]
            begin += len(block)
        return found

    def _linear(self, x: Array, linear: Linear) -> Array:
        found = np.concatenate([x @ block.T for block in self._blocks(linear.weight)], axis=1)
        return found if linear.bias is None else found + self._vector(linear.bias)

    def _norm(self, x: Array, norm: Norm) -> Array:
        if norm.kind == "layer":
            x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(norm.epsilon)) * self._vector(norm.weight)
        return x if norm.bias is None else x + self._vector(norm.bias)

    def _attention(self, x: Array, attention: Attention) -> Array:
        count, width, times = len(x), attention.head_dim, attention.heads // attention.kv_heads
        q = self._linear(x, attention.q).reshape(count, attention.heads, width)
        k, v = (self._linear(x, of).reshape(count, attention.kv_heads, width) for of in (attention.k, attention.v))
        if attention.q_norm is not None and attention.k_norm is not None:
            q, k = self._norm(q, attention.q_norm), self._norm(k, attention.k_norm)
        if self.decoder.rotary is not None and attention.is_rotary:
            q, k = self._turned(q), self._turned(k)
        if self.has_cache:
            k, v = (part.astype(np.float16).astype(np.float32) for part in (k, v))
        distance = np.arange(count)[:, None] - np.arange(count)
        is_seen = (distance >= 0) & (distance < (attention.window or count))
        found = np.empty((count, attention.heads, width), np.float32)
        for head in range(attention.heads):
            scores = q[:, head] @ k[:, head // times].T * np.float32(attention.scale)
            scores = np.where(is_seen, scores, -np.inf)
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            found[:, head] = scores / scores.sum(axis=-1, keepdims=True) @ v[:, head // times]
        return self._linear(found.reshape(count, -1), attention.o)

    def _turned(self, x: Array) -> Array:
        """Each pair (i, i + half) of the turned elements as a complex number times e^(i angle)."""
        rotary = self.decoder.rotary
        assert rotary is not None
        frequencies, factor = rotary.frequencies(self.weights.context_length)
        frequencies = frequencies[: len(x)] if frequencies.ndim == 2 else frequencies
        turns = factor * np.exp(1j * np.arange(len(x))[:, None] * frequencies)
        turns = turns.real.astype(self.weights.precision) + 1j * turns.imag.astype(self.weights.precision)
        half = rotary.width // 2
        pairs = (x[..., :half] + 1j * x[..., half : rotary.width]) * turns[:, None]
        return np.concatenate([pairs.real, pairs.imag, x[..., rotary.width :]], axis=-1).astype(np.float32)

    def _feed_forward(self, x: Array, feed_forward: FeedForward) -> Array:
        up = self._linear(x, feed_forward.up)
        if feed_forward.gate is None:
            return self._linear(activated(up, feed_forward.activation), feed_forward.down)
        return self._linear(activated(self._linear(x, feed_forward.gate), feed_forward.activation) * up, feed_forward.down)


def activated(x: Array, activation: str) -> Array:
    """An activation, element by element."""
    found: Array
    with np.errstate(over="ignore"):
        if activation == "silu":
            found = x / (1 + np.exp(-x))
        elif activation == "relu":
            found = np.maximum(x, 0)
        elif activation == "gelu_tanh":
            found = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        else:
            error_function = np.vectorize(math.erf, otypes=[np.float32])
            found = 0.5 * x * (1 + error_function(x / math.sqrt(2)))
    return found
