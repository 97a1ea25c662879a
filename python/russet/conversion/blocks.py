"""The parts of a decoder as operations of coremltools' MIL builder: norms, rotary positions, attention, feed-forward.

Weights are placeholders whose elements take no memory (see :mod:`russet.conversion.weights`). No pass of coremltools changes the
program, so it is written here as it runs. Norms compute in float32, because the square of a float16 above 255 is infinite; the
rest in the package's precision. What a layer gives has a name, by which the parity check finds the first one that differs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from russet.conversion.decoder import Attention, Decoder, FeedForward, Linear, Norm
from russet.conversion.quantize import Linear as LinearEncoding
from russet.conversion.quantize import Palette
from russet.conversion.weights import Weights

#: Added to the scores of what is not seen: the least number of float16.
HIDDEN = -65504.0
#: Takes keys and values of a layer, remembers them, and gives those of all tokens so far.
Remember = Callable[[int, Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Places:
    """Where the tokens of a call stand: the first one's position, and how many tokens there are and keys are seen.

    Each is a number, or a value of the program, (1,).
    """

    begin: Any
    count: Any
    keys: Any


class Blocks:
    """Writes a decoder into the function that is being built.

    Args:
        builder: coremltools' ``Builder``.
        decoder: What is written.
        weights: Its arrays.
        has_fused_attention: Whether the target has ``scaled_dot_product_attention``.
    """

    def __init__(self, builder: Any, decoder: Decoder, weights: Weights, has_fused_attention: bool) -> None:
        self.mb = builder
        self.decoder = decoder
        self.weights = weights
        self.has_fused_attention = has_fused_attention
        self.float = np.dtype(weights.precision).type
        self.dtype = "fp16" if weights.precision == "float16" else "fp32"
        self._known: dict[str, Any] = {}
        self._masks: dict[int | None, Any] = {}

    # Weights

    def weight(self, key: str) -> Any:
        """A weight as a value of the program; the same one each time."""
        if key not in self._known:
            self._known[key] = self._decompressed(key)
        return self._known[key]

    def _decompressed(self, key: str) -> Any:
        mb, weight, name = self.mb, self.weights[key], _plain(key)
        encoding = weight.encoding
        if not isinstance(encoding, LinearEncoding | Palette):
            return self._placeholder(key, "data", name)
        data = self._placeholder(key, "data", f"{name}_data")
        if isinstance(encoding, LinearEncoding):
            scale = self._placeholder(key, "scale", f"{name}_scale")
            if self.weights.is_ios18:
                return mb.constexpr_blockwise_shift_scale(data=data, scale=scale, name=name)
            return mb.constexpr_affine_dequantize(quantized_data=data, zero_point=np.int8(0), scale=scale, axis=0, name=name)
        lut = self._placeholder(key, "lut", f"{name}_lut")
        if self.weights.is_ios18:
            return mb.constexpr_lut_to_dense(indices=data, lut=lut, name=name)
        return mb.constexpr_lut_to_dense(indices=data, lut=lut, shape=np.array(weight.shape, np.uint32), name=name)

    def _placeholder(self, key: str, part: str, name: str) -> Any:
        """A constant without elements of its own, which stands for an array of ``weight.bin``."""
        numbers = importlib.import_module("coremltools.converters.mil.mil.types.type_mapping")
        array = self.weights.declared(key, part)
        small = {"int4": numbers.np_int4_dtype, "uint4": numbers.np_uint4_dtype, "uint6": numbers.np_uint6_dtype}
        zero = np.zeros((), small.get(array.dtype, array.dtype))
        var = self.mb.const(val=np.broadcast_to(zero, array.shape), name=name)
        # By this the exporter tells it from constants that lie in the program.
        var.op.russet_blob = (key, part)
        return var

    # Parts

    def linear(self, x: Any, linear: Linear, name: str | None = None) -> Any:
        """weight x + bias."""
        bias = linear.bias.key if linear.bias is not None else f"zeros.{linear.weight.shape[0]}"
        named = {} if name is None else {"name": name}
        return self.mb.linear(x=x, weight=self.weight(linear.weight.key), bias=self.weight(bias), **named)

    def norm(self, x: Any, norm: Norm, name: str | None = None) -> Any:
        """A norm over the last axis, in float32 but for its weight."""
        mb = self.mb
        named = {} if name is None else {"name": name}
        wide = self._cast(x, "fp32")
        if norm.kind == "rms":
            mean = mb.reduce_mean(x=mb.mul(x=wide, y=wide), axes=[-1], keep_dims=True)
            normed = mb.mul(x=wide, y=mb.rsqrt(x=mean, epsilon=np.float32(norm.epsilon)))
        else:
            normed = mb.layer_norm(x=wide, axes=[-1], epsilon=np.float32(norm.epsilon))
        normed = self._cast(normed, self.dtype)
        if norm.bias is None:
            return mb.mul(x=normed, y=self.weight(norm.weight.key), **named)
        return mb.add(x=mb.mul(x=normed, y=self.weight(norm.weight.key)), y=self.weight(norm.bias.key), **named)

    def _cast(self, x: Any, dtype: str) -> Any:
        return x if self.dtype == dtype == "fp32" else self.mb.cast(x=x, dtype=dtype)

    def table(self, key: str, places: Places) -> Any:
        """The rows of a table at the places of the tokens, (n, width)."""
        mb, table = self.mb, self.weight(key)
        width = table.shape[1]
        if isinstance(places.begin, int) and isinstance(places.count, int):
            return mb.slice_by_size(x=table, begin=[places.begin, 0], size=[places.count, width])
        begin = [places.begin, 0] if isinstance(places.begin, int) else mb.concat(values=[places.begin, [0]], axis=0)
        if isinstance(places.count, int):
            return mb.slice_by_size(x=table, begin=begin, size=[places.count, width])
        end = places.count if places.begin == 0 else mb.add(x=places.begin, y=places.count)
        return mb.slice_by_index(x=table, begin=begin, end=mb.concat(values=[end, [width]], axis=0))

    def rotate(self, x: Any, cos: Any, sin: Any) -> Any:
        """Turns the first elements of each head by its position; (1, heads, n, head_dim)."""
        assert self.decoder.rotary is not None
        mb, width, head_dim = self.mb, self.decoder.rotary.width, self.decoder.cache_shape[2]
        rest = None
        if width < head_dim:
            x, rest = mb.split(x=x, split_sizes=[width, head_dim - width], axis=-1)
        first, second = mb.split(x=x, num_splits=2, axis=-1)
        turned = mb.concat(values=[mb.mul(x=second, y=self.float(-1)), first], axis=-1)
        x = mb.add(x=mb.mul(x=x, y=cos), y=mb.mul(x=turned, y=sin))
        return x if rest is None else mb.concat(values=[x, rest], axis=-1)

    def heads(self, x: Any, count: int, width: int) -> Any:
        """(1, n, count * width) -> (1, n, count, width)"""
        return self.mb.reshape(x=x, shape=[1, -1, count, width])

    def attention(
        self, x: Any, attention: Attention, layer: int, mask: Any, tables: tuple[Any, Any] | None, remember: Remember | None
    ) -> Any:
        """What a layer's attention gives, (1, n, hidden)."""
        mb, width = self.mb, attention.head_dim
        q = self.heads(self.linear(x, attention.q), attention.heads, width)
        k, v = (self.heads(self.linear(x, of), attention.kv_heads, width) for of in (attention.k, attention.v))
        if attention.q_norm is not None and attention.k_norm is not None:
            q, k = self.norm(q, attention.q_norm), self.norm(k, attention.k_norm)
        q, k, v = (mb.transpose(x=part, perm=[0, 2, 1, 3]) for part in (q, k, v))
        if tables is not None and attention.is_rotary:
            q, k = self.rotate(q, *tables), self.rotate(k, *tables)
        if remember is not None:
            k, v = remember(layer, k, v)
        k, v = (self._repeat(part, attention) for part in (k, v))
        attended = mb.transpose(x=self._attend(q, k, v, mask, attention), perm=[0, 2, 1, 3])
        return self.linear(mb.reshape(x=attended, shape=[1, -1, attention.heads * width]), attention.o)

    def _repeat(self, x: Any, attention: Attention) -> Any:
        """Each head of keys for the heads of queries that it serves."""
        mb, times = self.mb, attention.heads // attention.kv_heads
        if times == 1:
            return x
        x = mb.tile(x=mb.expand_dims(x=x, axes=[2]), reps=[1, 1, times, 1, 1])
        return mb.reshape(x=x, shape=[1, attention.heads, -1, attention.head_dim])

    def _attend(self, q: Any, k: Any, v: Any, mask: Any, attention: Attention) -> Any:
        mb = self.mb
        usual = attention.head_dim**-0.5
        if self.has_fused_attention:
            if attention.scale != usual:
                q = mb.mul(x=q, y=self.float(attention.scale / usual))
            return mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=mask)
        # Before the product, whose sums are then smaller.
        q = mb.mul(x=q, y=self.float(attention.scale))
        scores = mb.add(x=mb.matmul(x=q, y=k, transpose_y=True), y=mask)
        return mb.matmul(x=mb.softmax(x=scores, axis=-1), y=v)

    def feed_forward(self, x: Any, feed_forward: FeedForward) -> Any:
        """What a layer's feed-forward gives, (1, n, hidden)."""
        mb = self.mb
        if feed_forward.gate is None:
            return self.linear(self._activated(self.linear(x, feed_forward.up), feed_forward), feed_forward.down)
        gate = self._activated(self.linear(x, feed_forward.gate), feed_forward)
        return self.linear(mb.mul(x=gate, y=self.linear(x, feed_forward.up)), feed_forward.down)

    def _activated(self, x: Any, feed_forward: FeedForward) -> Any:
        mb = self.mb
        if feed_forward.activation == "silu":
            return mb.silu(x=x)
        if feed_forward.activation == "relu":
            return mb.relu(x=x)
        return mb.gelu(x=x, mode="EXACT" if feed_forward.activation == "gelu" else "TANH_APPROXIMATION")

    def windowed(self, mask: Any, window: int | None, places: Places) -> Any:
        """The mask of a layer that sees ``window`` tokens."""
        if window is None or window >= self.weights.context_length:
            return mask
        if window not in self._masks:
            mb = self.mb
            rows, columns = self.positions(places), self.positions(Places(0, places.keys, places.keys))
            distance = mb.sub(x=mb.expand_dims(x=rows, axes=[1]), y=mb.expand_dims(x=columns, axes=[0]))
            is_far = mb.expand_dims(x=mb.greater_equal(x=distance, y=np.int32(window)), axes=[0, 1])
            self._masks[window] = mb.minimum(x=mask, y=self.hiding(is_far))
        return self._masks[window]

    def hiding(self, condition: Any) -> Any:
        """What is added to scores: nothing, or the least number where the condition holds."""
        return self.mb.mul(x=self.mb.cast(x=condition, dtype=self.dtype), y=self.float(HIDDEN))

    def positions(self, places: Places) -> Any:
        """The positions of the tokens, (n,) int32."""
        mb = self.mb
        if isinstance(places.begin, int) and isinstance(places.count, int):
            return np.arange(places.begin, places.begin + places.count, dtype=np.int32)
        begin = places.begin if isinstance(places.begin, int) else mb.squeeze(x=places.begin, axes=[0])
        count = places.count if isinstance(places.count, int) else mb.squeeze(x=places.count, axes=[0])
        end = count if places.begin == 0 else mb.add(x=begin, y=count)
        return mb.range_1d(start=begin, end=end, step=1)

    # All of it

    def hidden(self, ids: Any, mask: Any, places: Places, remember: Remember | None) -> Any:
        """The normed output of the last layer, (1, n, hidden), for ids (1, n)."""
        mb, decoder = self.mb, self.decoder
        x = mb.gather(
            x=self.weight(decoder.embedding.key), indices=ids, axis=0, name="looked_up" if decoder.positions else "embedding"
        )
        if decoder.positions is not None:
            x = mb.add(x=x, y=self.table(decoder.positions.key, places), name="embedding")
        tables = None
        if decoder.rotary is not None:
            tables = self.table("rotary.cos", places), self.table("rotary.sin", places)
        for index, layer in enumerate(decoder.layers):
            seen = self.windowed(mask, layer.attention.window, places)
            given = self.attention(self.norm(x, layer.attention_norm), layer.attention, index, seen, tables, remember)
            x = mb.add(x=x, y=given, name=f"layers_{index}_attention")
            given = self.feed_forward(self.norm(x, layer.feed_forward_norm), layer.feed_forward)
            x = mb.add(x=x, y=given, name=f"layers_{index}_feed_forward")
        return self.norm(x, decoder.norm, "norm")


def stages(decoder: Decoder) -> list[tuple[str, str]]:
    """The parts of a decoder that are looked at when a package differs: what people call them, and their names in the program."""
    found = [("embedding", "embedding")]
    for index in range(len(decoder.layers)):
        found += [(f"layers.{index}.{part}", f"layers_{index}_{part}") for part in ("attention", "feed_forward")]
    return [*found, ("norm", "norm"), ("head", "logits")]


def _plain(key: str) -> str:
    return re.sub(r"\W", "_", key)
