"""What a decoder is made of, as plain data: :class:`Decoder` names every weight and every number that a result depends on.

An architecture (``architectures/``) turns a ``config.json`` into one. The program (``blocks.py``), its plan (``plan.py``) and the
reference that it is held equal to (``reference.py``) are all made from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from russet.conversion.rotary import Rotary

Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]


@dataclass(frozen=True)
class Tensor:
    """A weight, or rows of one: where it lies in the checkpoint, and its shape as it is used."""

    name: str
    #: (out, in) for a matrix.
    shape: tuple[int, ...]
    #: Whether the checkpoint holds (in, out), as GPT-2's.
    transposed: bool = False
    #: The rows of the whole matrix, or the elements of the whole bias, that are used: begin and end. All of them if none.
    rows: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """What tells it from others: the name, and the rows of a part."""
        return self.name if self.rows is None else f"{self.name}[{self.rows[0]}:{self.rows[1]}]"

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Linear:
    """weight x + bias."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True)
class Norm:
    """Over the last axis: ``rms`` is x / sqrt(mean(x^2) + epsilon) weight; ``layer`` takes the mean away first and adds a bias."""

    kind: Literal["rms", "layer"]
    weight: Tensor
    epsilon: float
    bias: Tensor | None = None


@dataclass(frozen=True)
class Attention:
    """Causal attention. Each head of keys and values serves ``heads / kv_heads`` heads of queries."""

    heads: int
    kv_heads: int
    head_dim: int
    q: Linear
    k: Linear
    v: Linear
    o: Linear
    #: Of each head of queries and of keys, before positions.
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    #: What scores are multiplied with.
    scale: float = 1.0
    #: How many tokens a token sees, itself among them; none is all before it.
    window: int | None = None
    #: Whether queries and keys are turned by their positions.
    is_rotary: bool = True


@dataclass(frozen=True)
class FeedForward:
    """down(activation(gate x) * up x), or without a gate down(activation(up x))."""

    up: Linear
    down: Linear
    activation: Activation
    gate: Linear | None = None


@dataclass(frozen=True)
class Layer:
    """x + attention(norm x), and that plus feed_forward(norm of that)."""

    attention_norm: Norm
    attention: Attention
    feed_forward_norm: Norm
    feed_forward: FeedForward


@dataclass(frozen=True)
class Decoder:
    """A decoder: embedding, layers, norm, head."""

    architecture: str
    vocab_size: int
    hidden_size: int
    embedding: Tensor
    #: Learned positions that are added to the embedding, (positions, hidden).
    positions: Tensor | None
    rotary: Rotary | None
    layers: tuple[Layer, ...]
    norm: Norm
    head: Linear
    #: The greatest number of tokens that the checkpoint was made for.
    context_length: int

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """Layers, heads of keys, elements of a head: what a cache has besides its places."""
        attention = self.layers[0].attention
        return len(self.layers), attention.kv_heads, attention.head_dim

    def linears(self) -> Iterator[Linear]:
        """Every linear map, in the order of use."""
        for layer in self.layers:
            attention, feed_forward = layer.attention, layer.feed_forward
            yield from (attention.q, attention.k, attention.v, attention.o)
            if feed_forward.gate is not None:
                yield feed_forward.gate
            yield from (feed_forward.up, feed_forward.down)
        yield self.head

    def norms(self) -> Iterator[Norm]:
        """Every norm."""
        for layer in self.layers:
            every = (layer.attention_norm, layer.attention.q_norm, layer.attention.k_norm, layer.feed_forward_norm)
            yield from (norm for norm in every if norm is not None)
        yield self.norm

    def tensors(self) -> Iterator[Tensor]:
        """Every weight: matrices in the order of use, then what norms have. One that is used twice comes once."""
        parts: list[Tensor | None] = [self.embedding, self.positions]
        for linear in self.linears():
            parts += (linear.weight, linear.bias)
        for norm in self.norms():
            parts += (norm.weight, norm.bias)
        seen = set()
        for tensor in parts:
            if tensor is not None and tensor.key not in seen:
                seen.add(tensor.key)
                yield tensor
