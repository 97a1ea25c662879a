"""Small Core ML packages, made with coremltools' MIL builder: one causal decoder with random weights, in every contract.

All packages of a :class:`Decoder` have the same weights, so they give the same greedy text. :meth:`Decoder.logits` is the same
model in NumPy. Packages are built once and kept under ``.pytest_cache``, by the hash of this file.

    stateless(...)   input_ids, attention_mask -> logits                      no cache; fixed, enumerated or range
    stateful(...)    inputIds, causalMask -> logits                           states keyCache, valueCache; range, enumerated, multifunction
    cached(...)      inputIds, causalMask, keyCache, valueCache -> logits, presentKeys, presentValues

Two traps of coremltools 9.0 that this file goes around: a state is read once and the value that its update gives is passed on
(two reads are merged across the update between them, which makes a stale cache); and packages are converted with
``compute_precision=FLOAT32``, which keeps the types as written here (else norms overflow in float16).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml import coremltools_import

#: Numbers of tokens in a call that the packages with listed shapes take.
SIZES = (1, 16, 64, 128)

_FOLDER = Path(__file__).parent.parent.parent / ".pytest_cache" / "packages"


@cache
def coremltools() -> Any:
    """The package, imported without the lines that it prints off macOS."""
    with coremltools_import.coremltools("coremltools.optimize", otherwise="the tests need coremltools") as found:
        pass
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return found


def kept(name: str, build: Callable[[Path], None]) -> Path:
    """The package of this name, built if this file changed since it was."""
    digest = hashlib.sha256(Path(build.__code__.co_filename).read_bytes() + Path(__file__).read_bytes())
    digest.update(importlib.metadata.version("coremltools").encode())
    path = _FOLDER / digest.hexdigest()[:16] / f"{name}.mlpackage"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                build(temporary / path.name)
            os.replace(temporary / path.name, path)
        except OSError:
            # Another process was first: a folder that is not empty is not replaced.
            if not path.exists():
                raise
        finally:
            shutil.rmtree(temporary)
    return path


def convert(
    function: Any, path: Path, *, inputs: list[Any] | None = None, target: str = "iOS18", metadata: dict[str, str] | None = None
) -> None:
    """Writes a package whose only function, ``main``, is this one."""
    ct = coremltools()
    from coremltools.converters.mil import Program

    program = Program()
    program.add_function("main", function)
    model = ct.convert(
        program,
        convert_to="mlprogram",
        inputs=inputs,
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.user_defined_metadata.update(metadata or {})
    model.save(str(path))


def plain(
    inputs: dict[str, tuple[Any, str]],
    states: dict[str, tuple[int, ...]] | None = None,
    *,
    target: str = "iOS18",
    dtype: str = "fp16",
) -> Path:
    """``y``, of the type ``dtype``: the sum of all inputs' elements, (1,), after it was added to each state.

    An input's shape is a tuple, an ``EnumeratedShapes``, or a tuple with ``RangeDim``; its type "fp16", "fp32" or "int32".
    """
    states = states or {}

    def build(path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil import Function
        from coremltools.converters.mil.mil import get_new_symbol, types

        of_type = {"fp16": types.fp16, "fp32": types.fp32, "int32": types.int32}
        numpy_type = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32}
        placeholders = {}
        for name, (shape, kind) in inputs.items():
            sizes = shape.shapes[0].shape if isinstance(shape, ct.EnumeratedShapes) else shape
            is_listed = isinstance(shape, ct.EnumeratedShapes)
            symbols = tuple(get_new_symbol() if is_listed or isinstance(size, ct.RangeDim) else size for size in sizes)
            placeholders[name] = mb.placeholder(symbols, dtype=of_type[kind])
        for name, shape in states.items():
            placeholders[name] = mb.state_tensor_placeholder(shape, dtype=types.fp16)
        with Function(placeholders, opset_version=getattr(ct.target, target)) as function:
            total = None
            for name in inputs:
                flat = mb.reshape(x=mb.cast(x=function.inputs[name], dtype="fp16"), shape=[-1])
                part = mb.reduce_sum(x=flat, axes=[0], keep_dims=True)
                total = part if total is None else mb.add(x=total, y=part)
            for name in states:
                state = function.inputs[name]
                mb.coreml_update_state(state=state, value=mb.add(x=mb.read_state(input=state), y=total))
            function.set_outputs([mb.cast(x=total, dtype=dtype, name="y") if dtype != "fp16" else mb.identity(x=total, name="y")])
        given = [ct.TensorType(name=name, shape=shape, dtype=numpy_type[kind]) for name, (shape, kind) in inputs.items()]
        convert(function, path, inputs=given, target=target)

    return kept(
        f"plain-{_key({'inputs': [(n, _written(s), k) for n, (s, k) in inputs.items()], 'states': states, 'target': target, 'dtype': dtype})}",
        build,
    )


def _written(shape: Any) -> str:
    if isinstance(shape, tuple):
        return str([size if isinstance(size, int) else (size.lower_bound, size.upper_bound) for size in shape])
    return str([list(entry.shape) for entry in shape.shapes])


def join(parts: dict[str, Path], path: Path, default: str) -> None:
    """Writes a package with a function for each of the given ones; equal weights are stored once."""
    ct = coremltools()
    descriptor = ct.utils.MultiFunctionDescriptor()
    for name, part in parts.items():
        descriptor.add_function(str(part), src_function_name="main", target_function_name=name)
    descriptor.default_function_name = default
    ct.utils.save_multifunction(descriptor, str(path))


@dataclass(frozen=True)
class Decoder:
    """A small Llama: RMS norms, rotary positions, grouped query heads, SwiGLU. Weights are random, and float16."""

    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    feed_forward: int = 192
    vocab: int = 512
    #: The greatest number of tokens.
    context: int = 192
    seed: int = 0
    #: Whether the embedding is the head's matrix too.
    is_tied: bool = False

    @property
    def hidden(self) -> int:
        return self.heads * self.head_dim

    @property
    def cache_shape(self) -> tuple[int, ...]:
        return (self.layers, 1, self.kv_heads, self.context, self.head_dim)

    def weights(self) -> dict[str, NDArray[np.float16]]:
        random = np.random.default_rng(self.seed)

        def matrix(rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float16]:
            return (random.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float16)

        kv = self.kv_heads * self.head_dim
        found = {"embedding": matrix(self.vocab, self.hidden, np.sqrt(self.hidden))}
        for layer in range(self.layers):
            found[f"{layer}.norm1"] = (1 + 0.1 * random.standard_normal(self.hidden)).astype(np.float16)
            found[f"{layer}.q"] = matrix(self.hidden, self.hidden, 2)
            found[f"{layer}.k"] = matrix(kv, self.hidden, 2)
            found[f"{layer}.v"] = matrix(kv, self.hidden)
            found[f"{layer}.o"] = matrix(self.hidden, self.hidden, 2)
            found[f"{layer}.norm2"] = (1 + 0.1 * random.standard_normal(self.hidden)).astype(np.float16)
            found[f"{layer}.gate"] = matrix(self.feed_forward, self.hidden)
            found[f"{layer}.up"] = matrix(self.feed_forward, self.hidden)
            found[f"{layer}.down"] = matrix(self.hidden, self.feed_forward, 2)
        found["norm"] = np.ones(self.hidden, np.float16)
        found["head"] = found["embedding"] if self.is_tied else matrix(self.vocab, self.hidden, 3)
        return found

    def rotary(self) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Cosines and sines, (context, head_dim)."""
        frequencies = 10000.0 ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        angles = np.outer(np.arange(self.context), frequencies)
        angles = np.concatenate([angles, angles], axis=1)
        return np.cos(angles).astype(np.float16), np.sin(angles).astype(np.float16)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """The logits behind each token, (n, vocab), in float64."""
        weights = {name: value.astype(np.float64) for name, value in self.weights().items()}
        count, heads, group = len(ids), self.heads, self.heads // self.kv_heads
        cos, sin = (table[:count].astype(np.float64) for table in self.rotary())

        def norm(x: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
            return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * scale

        def rotate(x: NDArray[np.float64]) -> NDArray[np.float64]:
            half = self.head_dim // 2
            return x * cos + np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sin

        def by_head(x: NDArray[np.float64], number: int) -> NDArray[np.float64]:
            return x.reshape(count, number, self.head_dim).transpose(1, 0, 2)

        x = weights["embedding"][list(ids)]
        hidden = np.triu(np.ones((count, count), bool), 1)
        for layer in range(self.layers):
            normed = norm(x, weights[f"{layer}.norm1"])
            q = rotate(by_head(normed @ weights[f"{layer}.q"].T, heads))
            k = rotate(by_head(normed @ weights[f"{layer}.k"].T, self.kv_heads)).repeat(group, axis=0)
            v = by_head(normed @ weights[f"{layer}.v"].T, self.kv_heads).repeat(group, axis=0)
            scores = np.where(hidden, -np.inf, q @ k.transpose(0, 2, 1) / np.sqrt(self.head_dim))
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            attended = (scores / scores.sum(axis=-1, keepdims=True)) @ v
            x = x + attended.transpose(1, 0, 2).reshape(count, self.hidden) @ weights[f"{layer}.o"].T
            normed = norm(x, weights[f"{layer}.norm2"])
            gate = normed @ weights[f"{layer}.gate"].T
            x = x + (gate / (1 + np.exp(-gate)) * (normed @ weights[f"{layer}.up"].T)) @ weights[f"{layer}.down"].T
        result: NDArray[np.float64] = norm(x, weights["norm"]) @ weights["head"].T
        return result

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The next ``count`` ids, each the one with the greatest logit."""
        ids = list(prompt)
        for _ in range(count):
            ids.append(int(self.logits(ids)[-1].argmax()))
        return ids[len(prompt) :]


class _Builder:
    """Writes the decoder's operations into the function that is being built."""

    def __init__(self, decoder: Decoder, *, fused_attention: bool) -> None:
        from coremltools.converters.mil import Builder

        self.mb = Builder
        self.decoder = decoder
        self.weights = decoder.weights()
        self.fused_attention = fused_attention

    def norm(self, x: Any, scale: str) -> Any:
        mb = self.mb
        wide = mb.cast(x=x, dtype="fp32")
        mean = mb.reduce_mean(x=mb.mul(x=wide, y=wide), axes=[-1], keep_dims=True)
        normed = mb.mul(x=wide, y=mb.rsqrt(x=mean, epsilon=np.float32(1e-5)))
        return mb.mul(x=mb.cast(x=normed, dtype="fp16"), y=self.weights[scale])

    def heads(self, x: Any, number: int) -> Any:
        """(1, n, heads * head_dim) -> (1, heads, n, head_dim)"""
        mb = self.mb
        return mb.transpose(x=mb.reshape(x=x, shape=[1, -1, number, self.decoder.head_dim]), perm=[0, 2, 1, 3])

    def rotate(self, x: Any, cos: Any, sin: Any) -> Any:
        mb = self.mb
        first, second = mb.split(x=x, num_splits=2, axis=-1)
        turned = mb.concat(values=[mb.mul(x=second, y=np.float16(-1)), first], axis=-1)
        return mb.add(x=mb.mul(x=x, y=cos), y=mb.mul(x=turned, y=sin))

    def repeat(self, x: Any) -> Any:
        """(1, kv_heads, n, head_dim) -> (1, heads, n, head_dim)"""
        mb, decoder = self.mb, self.decoder
        x = mb.tile(x=mb.expand_dims(x=x, axes=[2]), reps=[1, 1, decoder.heads // decoder.kv_heads, 1, 1])
        return mb.reshape(x=x, shape=[1, decoder.heads, -1, decoder.head_dim])

    def attention(self, q: Any, k: Any, v: Any, mask: Any) -> Any:
        mb = self.mb
        if self.fused_attention:
            return mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=mask)
        scores = mb.mul(x=mb.matmul(x=q, y=k, transpose_y=True), y=np.float16(self.decoder.head_dim**-0.5))
        return mb.matmul(x=mb.softmax(x=mb.add(x=scores, y=mask), axis=-1), y=v)

    def run(self, ids: Any, mask: Any, cos: Any, sin: Any, remember: Callable[[int, Any, Any], tuple[Any, Any]] | None) -> Any:
        """(1, n) ids -> (1, n, hidden), normed. ``remember`` takes keys and values of a layer and gives all of the cache."""
        mb, decoder = self.mb, self.decoder
        x = mb.gather(x=self.weights["embedding"], indices=ids, axis=0)
        for layer in range(decoder.layers):

            def linear(x: Any, name: str, layer: int = layer) -> Any:
                return mb.linear(x=x, weight=self.weights[f"{layer}.{name}"])

            normed = self.norm(x, f"{layer}.norm1")
            q = self.rotate(self.heads(linear(normed, "q"), decoder.heads), cos, sin)
            k = self.rotate(self.heads(linear(normed, "k"), decoder.kv_heads), cos, sin)
            v = self.heads(linear(normed, "v"), decoder.kv_heads)
            if remember:
                k, v = remember(layer, k, v)
            attended = mb.transpose(x=self.attention(q, self.repeat(k), self.repeat(v), mask), perm=[0, 2, 1, 3])
            x = mb.add(x=x, y=linear(mb.reshape(x=attended, shape=[1, -1, decoder.hidden]), "o"))
            normed = self.norm(x, f"{layer}.norm2")
            x = mb.add(x=x, y=linear(mb.mul(x=mb.silu(x=linear(normed, "gate")), y=linear(normed, "up")), "down"))
        return self.norm(x, "norm")

    def head(self, x: Any, name: str) -> Any:
        return self.mb.linear(x=x, weight=self.weights["head"], name=name)

    def table(self, values: NDArray[np.float16], begin: Any, count: Any) -> Any:
        """``count`` rows from ``begin`` on; either may be a number or of the program."""
        mb = self.mb
        if isinstance(count, int):
            if isinstance(begin, int):
                return values[begin : begin + count]
            size = [count, values.shape[1]]
            return mb.slice_by_size(x=values, begin=mb.concat(values=[begin, [0]], axis=0), size=size)
        end = mb.add(x=begin, y=count) if not isinstance(begin, int) else count
        begin = mb.concat(values=[[0] if isinstance(begin, int) else begin, [0]], axis=0)
        return mb.slice_by_index(x=values, begin=begin, end=mb.concat(values=[end, [values.shape[1]]], axis=0))

    def size(self, x: Any, axis: int) -> Any:
        """The size of a dimension, (1,): a number if it is known."""
        mb = self.mb
        if isinstance(x.shape[axis], (int, np.integer)):
            return int(x.shape[axis])
        axis = axis % len(x.shape)
        return mb.slice_by_size(x=mb.shape(x=x), begin=[axis], size=[1])


def _enumerated(shapes: Sequence[tuple[int, ...]]) -> Any:
    return coremltools().EnumeratedShapes(shapes=[list(shape) for shape in shapes], default=list(shapes[0]))


def stateless(
    shapes: str = "fixed",
    *,
    decoder: Decoder | None = None,
    sizes: Sequence[int] = (*SIZES, 192),
    camel_case: bool = False,
    mask: bool = True,
    last_token: bool = False,
    target: str | None = None,
) -> Path:
    """``input_ids`` (1, n) and ``attention_mask`` (1, n), int32, give ``logits`` (1, n, V), float32.

    ``shapes`` is "fixed" (n = context), "enumerated" (n in ``sizes``) or "range" (1 to context). Names are those of exporters,
    or ``inputIds`` and ``attentionMask``. Without ``mask`` there are the ids alone. With ``last_token`` the logits are those
    behind the last place, (1, 1, V). ``target`` is iOS17, but for two inputs with enumerated shapes iOS18.
    """
    decoder = decoder or Decoder()
    target = target or ("iOS18" if shapes == "enumerated" and mask else "iOS17")
    key = _key(locals())
    names = ("inputIds", "attentionMask") if camel_case else ("input_ids", "attention_mask")
    context = decoder.context

    def build(path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil import Function
        from coremltools.converters.mil.mil import get_new_symbol, types

        length = context if shapes == "fixed" else get_new_symbol()
        placeholders = {name: mb.placeholder((1, length), dtype=types.int32) for name in names[: 1 + mask]}
        with Function(placeholders, opset_version=getattr(ct.target, target)) as function:
            builder = _Builder(decoder, fused_attention=False)
            ids = function.inputs[names[0]]
            count = builder.size(ids, 1)
            zeros = [0, 0]
            square = np.triu(np.full((context, context), -30000, np.float16), 1)
            if not isinstance(count, int):
                square = mb.slice_by_index(x=square, begin=zeros, end=mb.concat(values=[count, count], axis=0))
            if mask:
                seen = mb.cast(x=function.inputs[names[1]], dtype="fp16")
                unseen = mb.mul(x=mb.sub(x=np.float16(1), y=mb.expand_dims(x=seen, axes=[1, 2])), y=np.float16(-30000))
                square = mb.add(x=square, y=unseen)
            cos, sin = (builder.table(values, 0, count) for values in decoder.rotary())
            x = builder.run(ids, square, cos, sin, None)
            if last_token:
                x = mb.slice_by_index(x=x, begin=[0, -1, 0], end=[1, 0, decoder.hidden], end_mask=[False, True, False])
            function.set_outputs([mb.cast(x=builder.head(x, "logits16"), dtype="fp32", name="logits")])
        inputs = None
        if shapes != "fixed":
            shape = (
                _enumerated([(1, size) for size in sizes]) if shapes == "enumerated" else (1, ct.RangeDim(1, context, default=16))
            )
            inputs = [ct.TensorType(name=name, shape=shape, dtype=np.int32) for name in placeholders]
        convert(function, path, inputs=inputs, target=target)

    return kept(f"stateless-{key}", build)


def stateful(
    shapes: str = "range",
    *,
    decoder: Decoder | None = None,
    sizes: Sequence[int] = SIZES,
    snake_case: bool = False,
    position: bool = False,
    logits: str = "all",
) -> Path:
    """``inputIds`` (1, q) int32 and ``causalMask`` (1, 1, q, k) float16 give ``logits`` (1, q, V) float16; states ``keyCache`` and
    ``valueCache`` (layers, 1, kv_heads, context, head_dim).

    ``shapes``: "range" has q and k up to context, and writes at k - q. "enumerated" and "multifunction" (functions q1, q16 ...)
    have k = context, and write where the input ``position`` (1,) int32 says, or without it behind what the mask's first row sees.
    ``logits`` is "all", "last" (of the last place, (1, 1, V)) or "lastIndex" (an input (1,) int32 says which place).
    """
    decoder = decoder or Decoder()
    name = f"stateful-{_key(locals())}"
    if shapes != "multifunction":
        return kept(name, lambda path: _write(path, decoder, shapes, sizes, True, snake_case, position, logits))

    def build(path: Path) -> None:
        parts = {f"q{size}": path.with_name(f"q{size}.mlpackage") for size in sizes}
        for size, part in zip(sizes, parts.values(), strict=True):
            _write(part, decoder, "fixed", [size], True, snake_case, position, logits)
        join(parts, path, default=f"q{sizes[-1]}")

    return kept(name, build)


def cached(
    shapes: str = "range",
    *,
    decoder: Decoder | None = None,
    sizes: Sequence[int] = SIZES,
    position: bool = False,
    logits: str = "all",
) -> Path:
    """As :func:`stateful`, but ``keyCache`` and ``valueCache`` are inputs, and ``presentKeys`` and ``presentValues``, of the same
    shape, outputs. ``shapes`` may be "fixed" too: q is the first of ``sizes``."""
    decoder = decoder or Decoder()
    return kept(f"cached-{_key(locals())}", lambda path: _write(path, decoder, shapes, sizes, False, False, position, logits))


def _write(
    path: Path, decoder: Decoder, shapes: str, sizes: Sequence[int], states: bool, snake_case: bool, position: bool, logits: str
) -> None:
    ct = coremltools()
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil import Function
    from coremltools.converters.mil.mil import get_new_symbol, types

    context = decoder.context
    tokens = sizes[0] if shapes == "fixed" else get_new_symbol()
    seen = get_new_symbol() if shapes == "range" else context
    camel = ("inputIds", "causalMask", "keyCache", "valueCache")
    ids_name, mask_name, *caches = ("input_ids", "causal_mask", "key_cache", "value_cache") if snake_case else camel
    placeholders = {
        ids_name: mb.placeholder((1, tokens), dtype=types.int32),
        mask_name: mb.placeholder((1, 1, tokens, seen), dtype=types.fp16),
    }
    if position:
        placeholders["position"] = mb.placeholder((1,), dtype=types.int32)
    if logits == "lastIndex":
        placeholders["lastIndex"] = mb.placeholder((1,), dtype=types.int32)
    for name in caches:
        make = mb.state_tensor_placeholder if states else mb.placeholder
        placeholders[name] = make(decoder.cache_shape, dtype=types.fp16)
    with Function(placeholders, opset_version=ct.target.iOS18) as function:
        builder = _Builder(decoder, fused_attention=True)
        ids, mask = function.inputs[ids_name], function.inputs[mask_name]
        count, keys = builder.size(ids, 1), builder.size(mask, 3)
        if position:
            begin = function.inputs["position"]
        elif shapes == "range":
            begin = mb.sub(x=keys, y=count)
        else:
            # The first row sees what was written before, and itself.
            row = mb.slice_by_index(x=mask, begin=[0, 0, 0, 0], end=[1, 1, 1, context])
            visible = mb.cast(x=mb.greater(x=row, y=np.float16(-1)), dtype="int32")
            begin = mb.sub(x=mb.reshape(x=mb.reduce_sum(x=visible, axes=[3], keep_dims=False), shape=[1]), y=[1])
        end = mb.add(x=begin, y=[count] if isinstance(count, int) else count)
        cos, sin = (builder.table(values, begin, count) for values in decoder.rotary())
        whole = [mb.read_state(input=function.inputs[name]) if states else function.inputs[name] for name in caches]

        def remember(layer: int, *parts: Any) -> tuple[Any, Any]:
            given = []
            for index, part in enumerate(parts):
                updated = mb.slice_update(
                    x=whole[index],
                    update=mb.expand_dims(x=part, axes=[0]),
                    begin=mb.concat(values=[[layer, 0, 0], begin, [0]], axis=0),
                    end=mb.concat(values=[[layer + 1, 1, decoder.kv_heads], end, [decoder.head_dim]], axis=0),
                )
                if states:
                    updated = mb.coreml_update_state(state=function.inputs[caches[index]], value=updated)
                whole[index] = updated
                stop = [context] if isinstance(keys, int) else keys
                given.append(
                    mb.slice_by_index(
                        x=updated,
                        begin=[layer, 0, 0, 0, 0],
                        end=mb.concat(values=[[layer + 1, 1, decoder.kv_heads], stop, [decoder.head_dim]], axis=0),
                        squeeze_mask=[True, False, False, False, False],
                    )
                )
            return given[0], given[1]

        x = builder.run(ids, mask, cos, sin, remember)
        if logits == "last":
            x = mb.slice_by_index(x=x, begin=[0, -1, 0], end=[1, 0, decoder.hidden], end_mask=[False, True, False])
        elif logits == "lastIndex":
            x = mb.gather(x=x, indices=function.inputs["lastIndex"], axis=1)
        outputs = [builder.head(x, "logits")]
        if not states:
            outputs += [mb.identity(x=whole[0], name="presentKeys"), mb.identity(x=whole[1], name="presentValues")]
        function.set_outputs(outputs)
    inputs = None
    if shapes != "fixed":
        ids_shape: Any = (1, ct.RangeDim(1, context, default=1))
        mask_shape: Any = (1, 1, ct.RangeDim(1, context, default=1), ct.RangeDim(1, context, default=1))
        if shapes == "enumerated":
            ids_shape = _enumerated([(1, size) for size in sizes])
            mask_shape = _enumerated([(1, 1, size, context) for size in sizes])
        inputs = [
            ct.TensorType(name=ids_name, shape=ids_shape, dtype=np.int32),
            ct.TensorType(name=mask_name, shape=mask_shape, dtype=np.float16),
        ]
        inputs += [
            ct.TensorType(name=name, shape=(1,), dtype=np.int32) for name in placeholders if name in ("position", "lastIndex")
        ]
        if not states:
            inputs += [ct.TensorType(name=name, shape=decoder.cache_shape, dtype=np.float16) for name in caches]
    convert(function, path, inputs=inputs)


def _key(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted((name, repr(value)) for name, value in arguments.items())).encode()).hexdigest()[:12]
