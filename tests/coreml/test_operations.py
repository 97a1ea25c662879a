"""Every operation of the portable runtime gives what coremltools' value inference gives, or a plain twin in NumPy."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

from mil_operations import Array, Suite, assert_declared, kinds

import russet.coreml
from russet.coreml.portable.compression import DECOMPRESSIONS
from russet.coreml.portable.graph import CONTROL
from russet.coreml.portable.operations import OPERATIONS

RANDOM = np.random.default_rng(7)
SUITES = {target: Suite(target) for target in ("iOS15", "iOS16", "iOS17", "iOS18")}
NEW = SUITES["iOS18"]


def floats(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


def halves(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float16)


def positive(*shape: int) -> Array:
    return (0.1 + np.abs(RANDOM.standard_normal(shape))).astype(np.float32)


def integers(low: int, high: int, *shape: int) -> Array:
    """From low to high, both included."""
    return RANDOM.integers(low, high + 1, shape).astype(np.int32)


def op(kind: str, **fixed: Any) -> Callable[..., Any]:
    """Builds an operation over its inputs x, y, in this order, with fixed arguments."""
    return lambda mb, *given: getattr(mb, kind)(**dict(zip(("x", "y"), given, strict=False)), **fixed)


# Elementwise.

SHAPES: tuple[tuple[int, ...], ...] = ((), (5,), (2, 1, 3, 1, 2))

for kind in ("abs", "ceil", "cos", "cosh", "erf", "exp", "exp2", "floor", "relu", "relu6", "sigmoid", "sign", "sin", "sinh",
             "softplus", "softsign", "square", "tan", "tanh", "atan"):  # fmt: skip
    for shape in SHAPES:
        NEW.add(f"{kind}_rank{len(shape)}", op(kind), 3 * floats(*shape))
    NEW.add(f"{kind}_half", op(kind), halves(2, 3), bound=4e-3)
for shape in SHAPES:
    NEW.add(f"silu_rank{len(shape)}", op("silu"), 3 * floats(*shape), twin=lambda x: x / (1 + np.exp(-x)))
for kind in ("acos", "asin", "atanh"):
    NEW.add(kind, op(kind), RANDOM.uniform(-0.9, 0.9, (2, 3)))
    NEW.add(f"{kind}_rank0", op(kind), 0.25)
for kind in ("sqrt", "rsqrt", "log", "inverse"):
    NEW.add(kind, op(kind), positive(2, 3))
    NEW.add(f"{kind}_rank0", op(kind), 0.25)
NEW.add("rsqrt_epsilon", op("rsqrt", epsilon=np.float32(0.5)), positive(2, 3))
NEW.add("log_epsilon", op("log", epsilon=np.float32(0.5)), positive(2, 3))
NEW.add("log_zero", op("log"), np.zeros((2, 2)))
NEW.add("inverse_epsilon", op("inverse", epsilon=np.float32(0.5)), positive(2, 3))
NEW.add("inverse_half", op("inverse"), halves(2, 3) + np.float16(5), bound=2e-3)
NEW.add("round_halves", op("round"), np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49]))
NEW.add("round_rank0", op("round"), 2.5)
for kind in ("abs", "exp2", "sign", "square"):
    NEW.add(f"{kind}_int", op(kind), integers(0 if kind == "exp2" else -4, 4, 2, 3), twin=lambda x, kind=kind: _unary_int(kind, x))
NEW.add("logical_not", op("logical_not"), np.array([True, False, True]))


def _unary_int(kind: str, x: Array) -> Array:
    function = {"abs": abs, "exp2": lambda it: 2**it, "sign": lambda it: (it > 0) - (it < 0), "square": lambda it: it * it}[kind]
    return np.array([function(int(it)) for it in x.flat]).reshape(x.shape)


PAIRS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((4, 1, 3), (2, 1)), ((), (2, 2)), ((2, 2), ()), ((1, 2, 1, 2, 1), (2, 1, 2, 1, 3)), ((), ()),
)  # fmt: skip
for kind in ("add", "sub", "mul", "maximum", "minimum", "real_div", "floor_div", "mod"):
    for index, (first, second) in enumerate(PAIRS):
        NEW.add(f"{kind}_{index}", op(kind), 3 * floats(*first), positive(*second) * RANDOM.choice([-1, 1]).astype(np.float32))
    y = halves(3)
    NEW.add(f"{kind}_half", op(kind), halves(2, 3), np.where(np.abs(y) < 0.1, np.float16(0.5), y), bound=4e-3)
    x, y = integers(-9, 9, 4, 5), integers(1, 4, 5) * np.int32([1, -1, 1, -1, 1])
    twin = (lambda x, y: np.trunc(x / y)) if kind == "real_div" else None
    NEW.add(f"{kind}_int", op(kind), x, y, twin=twin)
    NEW.add(f"{kind}_constant_second", lambda mb, x, kind=kind: getattr(mb, kind)(x=x, y=np.float32([0.5, -2, 3])), floats(2, 3))
    NEW.add(f"{kind}_constant_first", lambda mb, y, kind=kind: getattr(mb, kind)(x=np.float32(2.5), y=y), positive(2, 3))
NEW.add("pow", op("pow"), positive(2, 3), floats(3))
NEW.add("pow_negative", op("pow"), np.float32([-2, -2, -3]), np.float32([2, 3, -1]))
NEW.add("pow_int", op("pow"), integers(-3, 3, 2, 3), integers(0, 3, 3))
NEW.add(
    "pow_int_negative",
    op("pow"),
    np.int32([2, -1, 1]),
    np.int32([-1, -3, -2]),
    twin=lambda x, y: [np.int32([0, -1, 1])],
    folds=False,
)
for kind in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal"):
    NEW.add(kind, op(kind), np.float32([[1, 2, 3], [2, 2, 2]]), np.float32([1, 2, 2.5]))
    NEW.add(f"{kind}_int", op(kind), integers(0, 2, 3, 4), integers(0, 2, 4))
    NEW.add(f"{kind}_nan", op(kind), np.float32([np.nan, 1]), np.float32([np.nan, np.nan]))
for kind in ("logical_and", "logical_or", "logical_xor"):
    NEW.add(kind, op(kind), np.array([[True], [False]]), np.array([True, False, True]))

NEW.add("clip", lambda mb, x: mb.clip(x=x, alpha=np.float32(-0.5), beta=np.float32(0.75)), floats(3, 4))
NEW.add("threshold", lambda mb, x: mb.threshold(x=x, alpha=np.float32(0.2)), floats(3, 4))
NEW.add("threshold_int", lambda mb, x: mb.threshold(x=x, alpha=np.int32(1)), integers(-3, 3, 3, 4))
NEW.add("elu", lambda mb, x: mb.elu(x=x, alpha=np.float32(0.7)), floats(3, 4))
NEW.add("elu_great", lambda mb, x: mb.elu(x=x, alpha=np.float32(0.7)), np.float32([-300, 300, 0]))
NEW.add("leaky_relu", lambda mb, x: mb.leaky_relu(x=x, alpha=np.float32(0.1)), floats(3, 4))
NEW.add("linear_activation", lambda mb, x: mb.linear_activation(x=x, alpha=np.float32(2), beta=np.float32(-1)), floats(3, 4))
NEW.add("scaled_tanh", lambda mb, x: mb.scaled_tanh(x=x, alpha=np.float32(1.5), beta=np.float32(0.5)), floats(3, 4))
NEW.add("sigmoid_hard", lambda mb, x: mb.sigmoid_hard(x=x, alpha=np.float32(0.2), beta=np.float32(0.5)), 4 * floats(3, 4))
NEW.add("clamped_relu", lambda mb, x: mb.clamped_relu(x=x, alpha=np.float32(0.3), beta=np.float32(0.8)), floats(3, 4))
NEW.add("thresholded_relu", lambda mb, x: mb.thresholded_relu(x=x, alpha=np.float32(0.5)), np.float32([0.4, 0.5, 0.6, -1]),
        twin=lambda x: np.where(x >= 0.5, x, 0))  # fmt: skip
for shape in ((2, 3, 4), (2, 3, 4, 2), (2, 3, 1, 2, 2)):
    parameters = {"alpha": np.float32([0.1, -0.2, 0.3]), "beta": np.float32([1, 2, 0.5])}
    # coremltools refuses slopes by channel for other ranks than 4.
    slopes = np.float32([0.1, -0.2, 0.3] if len(shape) == 4 else [0.3] * 3)
    NEW.add(f"prelu_{len(shape)}", op("prelu", alpha=slopes), floats(*shape),
            twin=lambda x, slopes=slopes: np.where(x > 0, x, x * _by_channel(x, slopes)))  # fmt: skip
    NEW.add(f"softplus_parametric_{len(shape)}", lambda mb, x, p=parameters: mb.softplus_parametric(x=x, **p), floats(*shape),
            twin=lambda x, p=parameters: _by_channel(x, p["alpha"]) * np.log1p(np.exp(_by_channel(x, p["beta"]) * x)))  # fmt: skip
for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"):
    NEW.add(f"gelu_{mode}", lambda mb, x, mode=mode: mb.gelu(x=x, mode=mode), 2 * floats(3, 7), bound=1e-5)
NEW.add("gelu_default", op("gelu"), 2 * floats(2, 1, 3))
NEW.add("gelu_rank0", op("gelu"), 0.5)
NEW.add("softplus_great", op("softplus"), np.float32([-200, 0, 200]))
NEW.add("sigmoid_great", op("sigmoid"), np.float32([-100, 100, 0]), twin=lambda x: [np.float32([0, 1, 0.5])])
NEW.add("silu_great", op("silu"), np.float32([-100, 100, 0]), twin=lambda x: [np.float32([0, 100, 0])])


def _by_channel(x: Array, values: Array) -> Array:
    return values.reshape(-1, *[1] * (x.ndim - 2))


CASTS: dict[str, Array] = {
    "fp32": np.float32([-2.7, -0.5, 0.5, 2.7, 100]), "fp16": np.float16([-2.7, -0.5, 0.5, 2.7, 100]), "int32": np.int32([-3, 0, 7, 100, -100]),
    "bool": np.array([True, False]), "int8": np.int8([-128, 0, 127]), "uint8": np.uint8([0, 200, 255]), "int16": np.int16([-300, 0, 300]),
    "uint16": np.uint16([0, 300, 65535]),
}  # fmt: skip
for source, values in CASTS.items():
    for target in CASTS:
        if source == target or (target[0] == "u" and np.min(values) < 0):
            continue  # What negative numbers become without a sign is not told.
        values = values[values <= 65504] if target == "fp16" else values
        within = values if target in ("fp32", "fp16", "int32", "bool") else values[np.abs(values.astype(np.int64)) < 127]
        NEW.add(f"cast_{source}_{target}", lambda mb, x, target=target: mb.cast(x=x, dtype=target), within,
                twin=lambda x, target=target: x.astype({"fp16": "float16", "fp32": "float32"}.get(target, target)),
                bound=1e-3 if target == "fp16" else 0)  # fmt: skip
NEW.add("cast_rank0", lambda mb, x: mb.cast(x=x, dtype="int32"), -2.5, twin=lambda x: -2)
SUITES["iOS15"].add(
    "cast_old", lambda mb, x: mb.cast(x=x, dtype="int32"), np.float32([-2.5, 2.5]), twin=lambda x: np.int32([-2, 2])
)
NEW.add("select", lambda mb, c, a, b: mb.select(cond=c, a=a, b=b), np.array([[True], [False]]), floats(2, 3), floats(2, 3))
NEW.add("select_constant", lambda mb, a: mb.select(cond=np.array([True, False]), a=a, b=np.int32([7, 8])), np.int32([1, 2]))
NEW.add("identity", op("identity"), floats(2, 2))

# Reductions, order, cumulation, softmax.

AXES: tuple[Sequence[int] | None, ...] = (None, [0], [-1], [0, 2], [-2, -1])
for kind in ("l1_norm", "l2_norm", "log_sum", "log_sum_exp", "max", "mean", "min", "prod", "sum", "sum_square"):
    for (index, axes), keep in itertools.product(enumerate(AXES), (False, True)):
        arguments = {"keep_dims": keep} | ({} if axes is None else {"axes": axes})
        NEW.add(f"reduce_{kind}_{index}_{int(keep)}", op(f"reduce_{kind}", **arguments), positive(2, 3, 4))
    if not kind.startswith("log") and kind != "l2_norm":
        NEW.add(f"reduce_{kind}_int", op(f"reduce_{kind}", axes=[1]), integers(1, 4, 2, 3))
NEW.add("reduce_log_sum_exp_great", op("reduce_log_sum_exp", axes=[-1]), np.float32([[500, 501], [-500, -501]]))
NEW.add("reduce_mean_half", op("reduce_mean", axes=[-1], keep_dims=True), halves(2, 5), bound=4e-3)
for kind in ("argmax", "argmin"):
    for axis, keep in itertools.product((0, -1), (False, True)):
        NEW.add(f"reduce_{kind}_{axis}_{int(keep)}", op(f"reduce_{kind}", axis=axis, keep_dims=keep), floats(3, 4))
    NEW.add(f"reduce_{kind}_defaults", op(f"reduce_{kind}"), integers(0, 9, 3, 4))
    NEW.add(f"reduce_{kind}_uint16", op(f"reduce_{kind}", axis=0, output_dtype="uint16"), floats(3, 4))
    SUITES["iOS15"].add(f"reduce_{kind}_old", op(f"reduce_{kind}", axis=1), floats(3, 4))


def cumsum(x: Array, axis: int, exclusive: bool, reverse: bool) -> Array:
    found = np.zeros_like(x)
    places = range(x.shape[axis])[:: -1 if reverse else 1]
    total = np.zeros_like(np.take(x, 0, axis))
    for place in places:
        index = [slice(None)] * x.ndim
        index[axis] = place
        here = total if exclusive else total + x[tuple(index)]
        found[tuple(index)] = here
        total = total + x[tuple(index)]
    return found


for axis, exclusive, backwards in itertools.product((0, -1), (False, True), (False, True)):
    for name, values in (("float", floats(3, 4)), ("int", integers(-5, 5, 3, 4))):
        arguments = {"axis": axis, "exclusive": exclusive, "reverse": backwards}
        NEW.add(f"cumsum_{name}_{axis}_{int(exclusive)}_{int(backwards)}", op("cumsum", **arguments), values,
                twin=lambda x, a=arguments: cumsum(x, **a), folds=not exclusive)  # fmt: skip
NEW.add(
    "cumsum_infinite",
    op("cumsum", axis=0, exclusive=True),
    np.float32([1, np.inf, 2]),
    twin=lambda x: [np.float32([0, 1, np.inf])],
    folds=False,
)

TIES = np.float32([[3, 1, 3, 2, 1, 3], [0, 0, -1, -1, 5, 5]])


def ordered(x: Array, axis: int, ascending: bool) -> Array:
    """Of equals, the first comes first."""

    def order(row: Array) -> list[int]:
        return sorted(range(len(row)), key=lambda index: (float(row[index]) * (1 if ascending else -1), index))

    return np.apply_along_axis(order, axis, x)


def topk(x: Array, k: int, axis: int, ascending: bool) -> tuple[Array, Array]:
    order = np.take(ordered(x, axis, ascending), range(x.shape[axis] if k == -1 else k), axis)
    return np.take_along_axis(x, order, axis), order


for ascending, axis in itertools.product((False, True), (0, -1)):
    NEW.add(f"argsort_{int(ascending)}_{axis}", op("argsort", axis=axis, ascending=ascending), TIES,
            twin=lambda x, axis=axis, ascending=ascending: ordered(x, axis, ascending))  # fmt: skip
    arguments = {"k": 2, "axis": axis, "ascending": ascending}
    for name, values in (("float", TIES), ("int", TIES.astype(np.int32)), ("uint8", np.abs(TIES).astype(np.uint8))):
        NEW.add(f"topk_{name}_{int(ascending)}_{axis}", op("topk", **arguments), values, twin=lambda x, a=arguments: topk(x, **a))
    SUITES["iOS15"].add(
        f"topk_old_{int(ascending)}_{axis}", op("topk", **arguments), TIES, twin=lambda x, a=arguments: topk(x, **a)
    )
NEW.add("topk_defaults", op("topk"), TIES, twin=lambda x: topk(x, 1, -1, False))
NEW.add("topk_values", op("topk", k=3, return_indices=False), TIES, twin=lambda x: topk(x, 3, -1, False)[0])
NEW.add("topk_uint16", op("topk", k=3, output_indices_dtype="uint16"), TIES, twin=lambda x: topk(x, 3, -1, False))
NEW.add("topk_unsorted", op("topk", k=2, sort=False, axis=0), TIES, twin=lambda x: (x, np.int32([[0] * 6, [1] * 6])))
for axis in (0, 1, -1):
    NEW.add(f"softmax_{axis}", op("softmax", axis=axis), 5 * floats(2, 3, 4))
NEW.add("softmax_great", op("softmax"), np.float32([[1000, 1001], [-1000, -np.inf]]))
NEW.add("softmax_half", op("softmax", axis=-1), halves(2, 5), bound=4e-3)

# Layout.

NEW.add("reshape", op("reshape", shape=[3, -1]), floats(2, 3, 2))
NEW.add("reshape_zeros", op("reshape", shape=[0, 0, -1]), floats(2, 3, 4))
NEW.add("reshape_right", op("reshape", shape=[1, 0, -1, 0]), floats(2, 50))
NEW.add("reshape_fewer", op("reshape", shape=[-1, 0]), floats(2, 3, 4), twin=lambda x: x.reshape(6, 4))
NEW.add("reshape_scalar", op("reshape", shape=[1, 1]), 2.5)
NEW.add("reshape_dynamic", lambda mb, x, shape: mb.reshape(x=x, shape=shape), floats(2, 6), np.int32([3, 4]))
NEW.add("reshape_dynamic_zero", lambda mb, x, shape: mb.reshape(x=x, shape=shape), floats(2, 6), np.int32([0, -1, 2]),
        twin=lambda x, shape: x.reshape(1, 6, 2))  # fmt: skip
NEW.add("reshape_bool", op("reshape", shape=[2, 2]), np.array([True, False, False, True]))
SUITES["iOS15"].add("reshape_old", op("reshape", shape=[0, -1, 0]), floats(2, 3, 4))
SUITES["iOS16"].add("reshape_like_one", lambda mb, x, a: mb.reshape_like(x=x, ref_tensors=[a], begins=[0], ends=[3], end_masks=[False]),
                    floats(24), floats(2, 3, 4), twin=lambda x, a: x.reshape(2, 3, 4))  # fmt: skip
NEW.add("reshape_like", lambda mb, x, a, b: mb.reshape_like(x=x, ref_tensors=[a, b], begins=[0, 1], ends=[2, 0], end_masks=[False, True]),
        floats(6, 30), floats(2, 3, 4), floats(1, 5, 6), twin=lambda x, a, b: x.reshape(2, 3, 5, 6))  # fmt: skip
for index, perm in enumerate(([1, 0, 2], [-1, 0, 1], [2, 1, 0])):
    NEW.add(f"transpose_{index}", op("transpose", perm=perm), floats(2, 3, 4))
for index, axes in enumerate(([0], [-1], [0, 2], [1, -1])):
    NEW.add(f"expand_dims_{index}", op("expand_dims", axes=axes), integers(0, 9, 2, 3))
NEW.add("expand_dims_scalar", op("expand_dims", axes=[0, 1]), 1.5)
NEW.add("squeeze", op("squeeze"), floats(1, 2, 1, 3))
NEW.add("squeeze_axes", op("squeeze", axes=[-2, 0]), floats(1, 2, 1, 3))
NEW.add("squeeze_others", op("squeeze", axes=[0, 1]), floats(1, 2, 1, 3), twin=lambda x: x.reshape(2, 1, 3), folds=False)
NEW.add("squeeze_all", op("squeeze"), np.float32([[2]]), twin=lambda x: np.float32(2), folds=False)
for axis in (1, 3, -1, -3):
    NEW.add(f"flatten2d_{axis}", op("flatten2d", axis=axis), floats(2, 3, 2, 5))
for index, axes in enumerate(([0], [-1], [0, 1])):
    NEW.add(f"reverse_{index}", op("reverse", axes=axes), floats(2, 3, 2))
NEW.add("reverse_all", op("reverse"), floats(2, 3), twin=lambda x: x[::-1, ::-1])
NEW.add("split", op("split", num_splits=3, axis=1), floats(2, 6))
NEW.add("split_sizes", op("split", split_sizes=[1, 3, 2], axis=-1), floats(2, 6))
NEW.add("split_both", op("split", num_splits=2, split_sizes=[4, 2], axis=-1), integers(0, 9, 2, 6))
NEW.add("split_one", op("split", num_splits=1, axis=0), floats(2, 6), twin=lambda x: x)

SLICES: dict[str, dict[str, Any]] = {
    "plain": {"begin": [0, 1, 0], "end": [2, 3, 4]},
    "negative": {"begin": [-2, 0, -3], "end": [-1, -1, -1]},
    "beyond": {"begin": [0, 0, 1], "end": [9, 9, 9]},
    "strides": {"begin": [0, 0, 0], "end": [3, 3, 5], "stride": [2, 1, 2]},
    "backwards": {"begin": [2, 2, 4], "end": [0, 0, 1], "stride": [-1, -2, -1]},
    "backwards_all": {
        "begin": [0, 0, 0],
        "end": [0, 0, 0],
        "stride": [-1, -1, -2],
        "begin_mask": [True] * 3,
        "end_mask": [True] * 3,
    },
    "backwards_negative": {"begin": [-1, -1, -1], "end": [-3, -3, -4], "stride": [-1, -1, -2]},
    "masks": {"begin": [1, 1, 1], "end": [2, 2, 2], "begin_mask": [True, False, False], "end_mask": [False, True, False]},
    "squeeze": {"begin": [1, 0, -1], "end": [2, 3, 5], "squeeze_mask": [True, False, True]},
    "squeeze_end_ignored": {"begin": [1, 0, 2], "end": [0, 3, 0], "squeeze_mask": [True, False, True]},
    "squeeze_masked": {
        "begin": [2, 0, 0],
        "end": [3, 3, 5],
        "begin_mask": [True, False, False],
        "squeeze_mask": [True, False, False],
    },
}
for name, arguments in SLICES.items():
    NEW.add(f"slice_{name}", op("slice_by_index", **arguments), floats(3, 3, 5))
    dynamic = {key: value for key, value in arguments.items() if key not in ("begin", "end")}
    NEW.add(f"slice_dynamic_{name}", lambda mb, x, begin, end, d=dynamic: mb.slice_by_index(x=x, begin=begin, end=end, **d),
            integers(-9, 9, 3, 3, 5), np.int32(arguments["begin"]), np.int32(arguments["end"]))  # fmt: skip
    SUITES["iOS15"].add(f"slice_old_{name}", op("slice_by_index", **arguments), floats(3, 3, 5))

    def updated(x: Array, update: Array, arguments: dict[str, Any] = arguments) -> Array:
        found, index = x.copy(), []
        for axis in range(3):
            given = {key: arguments.get(key, [default] * 3)[axis] for key, default in
                     (("begin", 0), ("end", 0), ("stride", 1), ("begin_mask", False), ("end_mask", False), ("squeeze_mask", False))}  # fmt: skip
            begin, end = None if given["begin_mask"] else given["begin"], None if given["end_mask"] else given["end"]
            index.append((begin or 0) if given["squeeze_mask"] else slice(begin, end, given["stride"]))
        found[tuple(index)] = update
        return found

    x = floats(3, 3, 5)
    probe = updated(np.zeros_like(x), np.float32(1))
    shape = tuple(
        np.unique(where).size
        for where, is_squeezed in zip(np.nonzero(probe), arguments.get("squeeze_mask", [False] * 3), strict=True)
        if not is_squeezed
    )
    NEW.add(
        f"slice_update_{name}", lambda mb, x, u, a=arguments: mb.slice_update(x=x, update=u, **a), x, floats(*shape), twin=updated
    )
NEW.add("slice_scalar", op("slice_by_index", begin=[1, 2], end=[0, 0], squeeze_mask=[True, True]), floats(3, 3))
NEW.add("slice_by_size", op("slice_by_size", begin=[0, 1], size=[2, 2]), floats(3, 4))
NEW.add("slice_by_size_rest", op("slice_by_size", begin=[1, 0], size=[-1, 3]), floats(3, 4))
NEW.add("slice_by_size_negative", op("slice_by_size", begin=[-2, 0], size=[2, 4]), floats(3, 4))
NEW.add(
    "slice_by_size_dynamic", lambda mb, x, begin: mb.slice_by_size(x=x, begin=begin, size=[1, 2]), floats(3, 4), np.int32([2, 1])
)
NEW.add("slice_by_size_sizes", lambda mb, x, size: mb.slice_by_size(x=x, begin=[1, 1], size=size), floats(3, 4), np.int32([1, -1]))

for axis in (0, 1, -1):
    NEW.add(f"concat_{axis}", lambda mb, a, b, axis=axis: mb.concat(values=[a, b], axis=axis), floats(2, 3), floats(2, 3))
    NEW.add(f"concat_interleave_{axis}", lambda mb, a, b, axis=axis: mb.concat(values=[a, b, a], axis=axis, interleave=True),
            floats(2, 3), floats(2, 3), twin=lambda a, b, axis=axis: interleaved([a, b, a], axis))  # fmt: skip
    NEW.add(f"stack_{axis}", lambda mb, a, b, axis=axis: mb.stack(values=[a, b], axis=axis), floats(2, 3), floats(2, 3))
NEW.add("concat_one", lambda mb, a: mb.concat(values=[a], axis=0), floats(2, 3))
NEW.add("concat_mixed", lambda mb, a: mb.concat(values=[np.float32([[9]]), a, np.float32([[7, 8]])], axis=1), floats(1, 2))
NEW.add("concat_int", lambda mb, a, b: mb.concat(values=[a, b], axis=0), np.int32([1]), np.int32([2, 3]))
NEW.add("concat_bool", lambda mb, a, b: mb.concat(values=[a, b], axis=0), np.array([True]), np.array([False, True]))
NEW.add("concat_scalars", lambda mb, a, b: mb.concat(values=[a, b], axis=0), 1.5, 2.5)
NEW.add("stack_scalars", lambda mb, a, b: mb.stack(values=[a, b], axis=0), 1, 2)
NEW.add("stack_one", lambda mb, a: mb.stack(values=[a], axis=-1), floats(2))


def interleaved(values: list[Array], axis: int) -> Array:
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    found = np.zeros(shape, values[0].dtype)
    for first, value in enumerate(values):
        index: list[Any] = [slice(None)] * found.ndim
        index[axis] = slice(first, None, len(values))
        found[tuple(index)] = value
    return found


NEW.add("tile", op("tile", reps=[2, 1, 3]), floats(1, 2, 2))
NEW.add("tile_dynamic", lambda mb, x, reps: mb.tile(x=x, reps=reps), integers(0, 9, 2, 2), np.int32([1, 3]))
for kind, argument, shape in (("depth_to_space", "block_size", (2, 8, 2, 3)), ("pixel_shuffle", "upscale_factor", (2, 8, 2, 3))):
    NEW.add(kind, op(kind, **{argument: 2}), floats(*shape), twin=lambda x, kind=kind: to_space(x, kind))
for kind, argument in (("space_to_depth", "block_size"), ("pixel_unshuffle", "downscale_factor")):
    factor = np.uint32(2) if kind == "pixel_unshuffle" else 2
    NEW.add(kind, op(kind, **{argument: factor}), floats(2, 2, 4, 6), twin=lambda x, kind=kind: to_depth(x, kind))


def to_space(x: Array, kind: str) -> Array:
    batch, channels, height, width = x.shape
    found = np.zeros((batch, channels // 4, height * 2, width * 2), x.dtype)
    for n, c, h, w in np.ndindex(found.shape):
        place = (h % 2) * 2 + w % 2
        source = place * (channels // 4) + c if kind == "depth_to_space" else c * 4 + place
        found[n, c, h, w] = x[n, source, h // 2, w // 2]
    return found


def to_depth(x: Array, kind: str) -> Array:
    batch, channels, height, width = x.shape
    found = np.zeros((batch, channels * 4, height // 2, width // 2), x.dtype)
    for n, c, h, w in np.ndindex(x.shape):
        place = (h % 2) * 2 + w % 2
        target = place * channels + c if kind == "space_to_depth" else c * 4 + place
        found[n, target, h // 2, w // 2] = x[n, c, h, w]
    return found


for axis, length, stride in ((0, 2, 1), (1, 3, 2), (-1, 1, 1), (-2, 2, 3)):
    NEW.add(f"sliding_windows_{axis}_{length}_{stride}", op("sliding_windows", axis=axis, size=length, stride=stride), floats(3, 6, 2),
            twin=lambda x, axis=axis, length=length, stride=stride: np.stack(
                [np.take(x, range(first, first + length), axis) for first in range(0, x.shape[axis] - length + 1, stride)], axis % 3)
            )  # fmt: skip
PADS = {"last": [1, 2], "two": [0, 1, 2, 0], "all": [1, 0, 0, 1, 2, 1], "none": [0, 0]}
for (name, pads), mode in itertools.product(PADS.items(), ("constant", "reflect", "replicate")):
    arguments = {"pad": pads, "mode": mode} | ({"constant_val": np.float32(-1.5)} if mode == "constant" else {})
    NEW.add(f"pad_{name}_{mode}", op("pad", **arguments), floats(2, 3, 4))
NEW.add("pad_dynamic", lambda mb, x, pad: mb.pad(x=x, pad=pad), floats(2, 3), np.int32([0, 1, 2, 0]))
NEW.add("pad_half", op("pad", pad=[1, 1], mode="constant", constant_val=np.float16(2)), halves(2, 3))

# Tensors and shapes.

for shape in ((2, 3), (1, 2, 1, 2, 1)):
    NEW.add(f"shape_{len(shape)}", op("shape"), floats(*shape))
for name, value in (("float", np.float32(2.5)), ("half", np.float16(2.5)), ("int", np.int32(3)), ("bool", np.bool_(True))):
    NEW.add(f"fill_{name}", lambda mb, shape, value=value: mb.fill(shape=shape, value=value), np.int32([2, 3]))
    NEW.add(f"fill_like_{name}", lambda mb, x, value=value: mb.fill_like(ref_tensor=x, value=value), floats(2, 3))
NEW.add("fill_default", lambda mb, shape: mb.fill(shape=shape), np.int32([2]))
RANGES = {"int": (0, 5, 1), "steps": (2, 11, 3), "down": (5, -1, -2), "float": (0.0, 1.0, 0.1), "float_down": (1.5, -0.6, -0.25)}
for name, (first, last, step) in RANGES.items():
    NEW.add(f"range_1d_{name}", lambda mb, a, b, c: mb.range_1d(start=a, end=b, step=c), first, last, step)
NEW.add("range_1d_half", lambda mb, end: mb.range_1d(start=np.float16(0), end=end, step=np.float16(0.5)), np.float16(2), bound=2e-3)
NEW.add(
    "range_1d_empty",
    lambda mb, end: mb.shape(x=mb.range_1d(start=5, end=end, step=1)),
    5,
    twin=lambda end: np.int32([0]),
    folds=False,
)
for axis in (0, 1, -1, -2):
    NEW.add(f"one_hot_{axis}", lambda mb, i, axis=axis: mb.one_hot(indices=i, one_hot_vector_size=4, axis=axis), integers(0, 3, 2, 3),
            twin=lambda i, axis=axis: np.moveaxis(np.eye(4, dtype=np.int32)[i], -1, axis))  # fmt: skip
NEW.add("one_hot_values", lambda mb, i: mb.one_hot(indices=i, one_hot_vector_size=3, on_value=np.float32(2), off_value=np.float32(-1)),
        np.int32([2, 0, -1, 3]), twin=lambda i: np.float32([[-1, -1, 2], [2, -1, -1], [-1] * 3, [-1] * 3]))  # fmt: skip
NEW.add("one_hot_bool", lambda mb, i: mb.one_hot(indices=i, one_hot_vector_size=3, on_value=True, off_value=False),
        np.int32([2, 0]), twin=lambda i: np.int32([[0, 0, 1], [1, 0, 0]]))  # fmt: skip
NEW.add(
    "one_hot_dynamic",
    lambda mb, i, n: mb.one_hot(indices=i, one_hot_vector_size=n),
    np.int32([1]),
    3,
    twin=lambda i, n: [np.int32([[0, 1, 0]])],
)
for lower, upper in ((-1, -1), (0, -1), (-1, 0), (0, 0), (1, 2)):
    NEW.add(f"band_part_{lower}_{upper}", op("band_part", lower=lower, upper=upper), floats(2, 4, 5))
NEW.add("band_part_int", op("band_part", lower=0, upper=0), integers(1, 9, 3, 3))
NEW.add("band_part_bool", op("band_part", lower=-1, upper=0), np.ones((3, 3), bool))
NEW.add("non_zero", op("non_zero"), np.float32([[0, 1, 0], [2, 0, 3]]))
NEW.add("non_zero_bool", op("non_zero"), np.array([True, False, True]))
for name, arguments in (
    ("scalar", {"scale": np.float32(0.1)}), ("zero_point", {"scale": np.float32(0.1), "zero_point": np.int8(-3)}),
    ("axis", {"scale": np.float32([0.1, 0.2, 0.05]), "zero_point": np.int8([0, 5, -7]), "axis": 1}),
    ("axis_negative", {"scale": np.float32([0.1, 0.2]), "axis": -1}),
):  # fmt: skip
    NEW.add(f"quantize_{name}", lambda mb, x, a=arguments: mb.quantize(input=x, output_dtype="int8", **a), 20 * floats(2, 3, 2))
    NEW.add(f"dequantize_{name}", lambda mb, x, a=arguments: mb.dequantize(input=x, **a), RANDOM.integers(-128, 128, (2, 3, 2)).astype(np.int8),
            twin=lambda x, a=arguments: dequantized(x, **a))  # fmt: skip
NEW.add(
    "quantize_unsigned",
    lambda mb, x: mb.quantize(input=x, output_dtype="uint8", scale=np.float32(0.1), zero_point=np.uint8(128)),
    20 * floats(9),
)


def dequantized(x: Array, scale: Array, zero_point: Any = 0, axis: int = 0) -> Array:
    shape = [1] * x.ndim
    if np.ndim(scale):
        shape[axis] = -1
    return np.reshape(scale, shape) * (
        x.astype(np.float32) - np.reshape(np.float32(zero_point), shape if np.ndim(zero_point) else ())
    )


# Indices.

for axis in (0, 1, -1):
    NEW.add(
        f"gather_{axis}",
        lambda mb, x, i, axis=axis: mb.gather(x=x, indices=i, axis=axis),
        floats(3, 4, 5),
        np.int32([[0, 2], [1, 1]]),
    )
    SUITES["iOS15"].add(
        f"gather_old_{axis}",
        lambda mb, x, i, axis=axis: mb.gather(x=x, indices=i, axis=axis),
        floats(3, 4, 5),
        np.int32([0, -1, -3]),
    )
    NEW.add(f"gather_scalar_{axis}", lambda mb, x, i, axis=axis: mb.gather(x=x, indices=i, axis=axis), floats(3, 4, 5), 2)
    NEW.add(
        f"gather_along_axis_{axis}",
        lambda mb, x, i, axis=axis: mb.gather_along_axis(x=x, indices=i, axis=axis),
        floats(2, 3),
        integers(0, 1, 2, 3),
    )
for batch_dims, axis in ((1, 1), (1, 2), (2, 2)):
    indices = integers(0, 2, 2, 3)
    NEW.add(f"gather_batch_{batch_dims}_{axis}", lambda mb, x, i, b=batch_dims, axis=axis: mb.gather(x=x, indices=i, axis=axis, batch_dims=b),
            floats(2, 3, 3, 4), indices if batch_dims == 1 else integers(0, 2, 2, 3, 2))  # fmt: skip
NEW.add("gather_vector", lambda mb, x, i: mb.gather(x=x, indices=i), floats(5), 3, twin=lambda x, i: x[i])
NEW.add(
    "gather_table", lambda mb, i: mb.gather(x=np.arange(12, dtype=np.float32).reshape(6, 2), indices=i), np.int32([[5, 0], [-1, 2]])
)
NEW.add("gather_table_int", lambda mb, i: mb.gather(x=np.arange(6, dtype=np.int32), indices=i), np.int32([5, 0]))
NEW.add("gather_uint16", lambda mb, x, i: mb.gather(x=x, indices=i), floats(5, 2), np.uint16([4, 0]))


def gather_nd(x: Array, indices: Array, batch_dims: int = 0) -> Array:
    rows = [x[(*place[:batch_dims], *indices[place])] for place in np.ndindex(*indices.shape[:-1])]
    return np.stack(rows).reshape(*indices.shape[:-1], *rows[0].shape)


for name, shape, indices, batch_dims in (
    ("elements", (3, 4), np.int32([[0, 1], [2, 3], [-1, 0]]), 0), ("rows", (3, 4), np.int32([[0], [2]]), 0),
    ("deep", (3, 4, 2), np.int32([[[0, 1], [2, 3]]]), 0), ("batch", (2, 3, 4), np.int32([[[0], [2]], [[1], [1]]]), 1),
    ("batch2", (2, 2, 3), np.int32([[[0], [2]], [[1], [1]]]), 2),
):  # fmt: skip
    NEW.add(f"gather_nd_{name}", lambda mb, x, i, b=batch_dims: mb.gather_nd(x=x, indices=i, batch_dims=b), floats(*shape), indices,
            twin=lambda x, i, b=batch_dims: gather_nd(x, i, b))  # fmt: skip
SUITES["iOS15"].add(
    "gather_nd_old", lambda mb, x, i: mb.gather_nd(x=x, indices=i), floats(3, 4), np.int32([[0, 1], [2, 3]]), twin=gather_nd
)
SCATTERS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "max": max, "min": min,
    "update": lambda a, b: b,
}  # fmt: skip


def scatter(data: Array, places: list[tuple[Any, ...]], updates: Sequence[Any], mode: str) -> Array:
    found = data.copy()
    for place, update in zip(places, updates, strict=True):
        found[place] = (
            np.trunc(SCATTERS[mode](found[place], update)) if data.dtype.kind == "i" else SCATTERS[mode](found[place], update)
        )
    return found


def scatter_axis(data: Array, indices: Array, updates: Array, axis: int, mode: str) -> Array:
    places = list(np.ndindex(updates.shape))
    axis %= data.ndim
    return scatter(data, [(*p[:axis], indices[p[axis]], *p[axis + 1 :]) for p in places], [updates[p] for p in places], mode)


def scatter_along_axis(data: Array, indices: Array, updates: Array, axis: int, mode: str) -> Array:
    places = list(np.ndindex(indices.shape))
    axis %= data.ndim
    return scatter(data, [(*p[:axis], indices[p], *p[axis + 1 :]) for p in places], [updates[p] for p in places], mode)


def scatter_nd(data: Array, indices: Array, updates: Array, mode: str) -> Array:
    found = data.copy()
    for place in np.ndindex(*indices.shape[:-1]):
        target = tuple(indices[place])
        for inner in np.ndindex(found[target].shape):
            found = scatter(found, [(*target, *inner)], [updates[(*place, *inner)]], mode)
    return found


for mode in SCATTERS:
    for kind, data, updates in (
        ("float", floats(3, 4), positive(4, 4)),
        ("int", integers(-9, 9, 3, 4), integers(1, 3, 4, 4)),
    ):
        repeats = mode != "update"
        indices = np.int32([0, 2, 0, -1] if repeats else [0, 2, 1])
        rows = updates[: len(indices)]
        NEW.add(f"scatter_{mode}_{kind}", lambda mb, d, i, u, mode=mode: mb.scatter(data=d, indices=i, updates=u, axis=0, mode=mode),
                data, indices, rows, twin=lambda d, i, u, mode=mode: scatter_axis(d, i, u, 0, mode))  # fmt: skip
        NEW.add(f"scatter_last_{mode}_{kind}", lambda mb, d, i, u, mode=mode: mb.scatter(data=d, indices=i, updates=u, axis=-1, mode=mode),
                data, np.int32([3, 1]), updates[:3, :2], twin=lambda d, i, u, mode=mode: scatter_axis(d, i, u, -1, mode))  # fmt: skip
        along = np.int32([[0, 1, 2, 0], [1, 2, 0, 1]] if not repeats else [[0, 1, 2, 0], [0, 2, 2, 1]])
        NEW.add(f"scatter_along_{mode}_{kind}",
                lambda mb, d, i, u, mode=mode: mb.scatter_along_axis(data=d, indices=i, updates=u, axis=0, mode=mode),
                data, along, updates[:2], twin=lambda d, i, u, mode=mode: scatter_along_axis(d, i, u, 0, mode))  # fmt: skip
        NEW.add(f"scatter_nd_{mode}_{kind}", lambda mb, d, i, u, mode=mode: mb.scatter_nd(data=d, indices=i, updates=u, mode=mode),
                data, np.int32([[0, 1], [2, 3], [0, 1]] if repeats else [[0, 1], [2, 3], [0, 0]]), updates[:3, 0],
                twin=lambda d, i, u, mode=mode: scatter_nd(d, i, u, mode))  # fmt: skip
        NEW.add(f"scatter_nd_rows_{mode}_{kind}", lambda mb, d, i, u, mode=mode: mb.scatter_nd(data=d, indices=i, updates=u, mode=mode),
                data, np.int32([[2], [0]]), updates[:2], twin=lambda d, i, u, mode=mode: scatter_nd(d, i, u, mode))  # fmt: skip
SUITES["iOS15"].add("scatter_old", lambda mb, d, i, u: mb.scatter(data=d, indices=i, updates=u), floats(3, 2), np.int32([1]), floats(1, 2),
                    twin=lambda d, i, u: scatter_axis(d, i, u, 0, "add"))  # fmt: skip

# Products and attention.

for index, (first, second, arguments) in enumerate((
    ((2, 3), (3, 4), {}), ((3, 2), (3, 4), {"transpose_x": True}), ((2, 3), (4, 3), {"transpose_y": True}),
    ((2, 5, 3), (3, 4), {}), ((2, 1, 2, 3), (4, 3, 5), {}), ((3,), (3, 4), {}), ((3,), (4, 3), {"transpose_y": True}),
    ((2, 3, 2), (2, 4, 3), {"transpose_x": True, "transpose_y": True}), ((1, 1, 2, 2, 3), (1, 2, 1, 3, 2), {}),
)):  # fmt: skip
    NEW.add(f"matmul_{index}", op("matmul", **arguments), floats(*first), floats(*second), bound=1e-5)
    y = floats(*second)
    NEW.add(f"matmul_constant_{index}", lambda mb, x, y=y, a=arguments: mb.matmul(x=x, y=y, **a), floats(*first), bound=1e-5)
NEW.add("matmul_int", op("matmul"), integers(-5, 5, 2, 3), integers(-5, 5, 3, 4))
NEW.add("matmul_constant_first", lambda mb, y: mb.matmul(x=np.float32([[1, 2], [3, 4]]), y=y), floats(2, 3))
WEIGHT, BIAS = floats(4, 3), floats(4)
for shape in ((3,), (2, 3), (2, 1, 3), (2, 1, 2, 1, 3)):
    NEW.add(
        f"linear_{len(shape)}",
        lambda mb, x: mb.linear(x=x, weight=WEIGHT, bias=BIAS),
        floats(*shape),
        twin=lambda x: x @ WEIGHT.T + BIAS,
    )
NEW.add("linear_no_bias", lambda mb, x: mb.linear(x=x, weight=WEIGHT), floats(2, 3), twin=lambda x: x @ WEIGHT.T)
NEW.add("linear_half", lambda mb, x: mb.linear(x=x, weight=WEIGHT.astype(np.float16), bias=BIAS.astype(np.float16)), halves(2, 3),
        twin=lambda x: x.astype(np.float32) @ WEIGHT.astype(np.float16).T.astype(np.float32) + BIAS.astype(np.float16), bound=4e-3)  # fmt: skip
NEW.add("einsum_4", lambda mb, x, y: mb.einsum(values=[x, y], equation="nchw,nwhu->nchu"), floats(2, 3, 4, 5), floats(2, 5, 4, 6))
NEW.add(
    "einsum_4_broadcast",
    lambda mb, x, y: mb.einsum(values=[x, y], equation="nchw,nwhu->nchu"),
    floats(2, 3, 1, 5),
    floats(1, 5, 4, 6),
)
NEW.add("einsum_3", lambda mb, x, y: mb.einsum(values=[x, y], equation="chw,whr->chr"), floats(3, 4, 5), floats(5, 4, 6))
NEW.add("einsum_3_broadcast", lambda mb, x, y: mb.einsum(values=[x, y], equation="abc,cbd->abd"), floats(3, 1, 5), floats(5, 4, 6))


def attended(q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
    found = np.zeros((*q.shape[:-1], v.shape[-1]))
    shown = None if mask is None else np.broadcast_to(mask, (*q.shape[:-1], k.shape[-2]))
    for place in np.ndindex(*q.shape[:-1]):
        scores = k[place[:-1]].astype(np.float64) @ q[place] / math.sqrt(q.shape[-1])
        if shown is not None:
            scores = np.where(shown[place], scores, -np.inf) if shown.dtype == bool else scores + shown[place]
        weights = np.exp(scores - scores.max())
        found[place] = weights / weights.sum() @ v[place[:-1]]
    return found


SEEN = np.tril(np.ones((3, 5), bool), 2)
for name, batch, mask in (
    ("plain", (2,), None), ("heads", (1, 2), None), ("mask", (1, 2), np.where(SEEN, np.float32(0), np.float32(-np.inf))),
    ("mask_bool", (1, 2), SEEN), ("mask_row", (2, 2), floats(1, 5)), ("mask_batch", (2, 2), floats(2, 1, 3, 5)), ("deep", (2, 1, 2), floats(3, 5)),
):  # fmt: skip
    q, k, v = floats(*batch, 3, 4), floats(*batch, 5, 4), floats(*batch, 5, 4 if name != "plain" else 6)
    given = [] if mask is None else [mask]
    NEW.add(f"attention_{name}",
            lambda mb, q, k, v, *mask: mb.scaled_dot_product_attention(query=q, key=k, value=v, **({"attn_mask": mask[0]} if mask else {})),
            q, k, v, *given, twin=attended)  # fmt: skip

# Norms.


def layer_norm(x: Array, axes: Sequence[int], gamma: Array | None, beta: Array | None, epsilon: float) -> Array:
    along = tuple(axis % x.ndim for axis in axes)
    shape = [size if axis in along else 1 for axis, size in enumerate(x.shape)]
    wide = x.astype(np.float64)
    found = (wide - wide.mean(along, keepdims=True)) / np.sqrt(wide.var(along, keepdims=True) + epsilon)
    found = found if gamma is None else found * gamma.reshape(shape)
    return found if beta is None else found + beta.reshape(shape)


for name, axes, affine in (
    ("last", [-1], True),
    ("plain", [2], False),
    ("two", [1, 2], True),
    ("first", [0], True),
    ("apart", [0, 2], True),
):
    sizes = [(3, 4, 5)[axis] for axis in sorted(axis % 3 for axis in axes)]
    gamma, beta = (floats(*sizes), floats(*sizes)) if affine else (None, None)
    arguments = {"axes": axes, "epsilon": np.float32(1e-3)} | ({"gamma": gamma, "beta": beta} if affine else {})
    NEW.add(f"layer_norm_{name}", op("layer_norm", **arguments), floats(3, 4, 5),
            twin=lambda x, a=axes, g=gamma, b=beta: layer_norm(x, a, g, b, 1e-3))  # fmt: skip
NEW.add("layer_norm_gamma", op("layer_norm", axes=[-1], gamma=np.float32([1, 2, 3])), floats(2, 3),
        twin=lambda x: layer_norm(x, [1], np.float32([1, 2, 3]), None, 1e-5))  # fmt: skip
for shape in ((2, 3, 4), (2, 3, 2, 2), (2, 3, 2, 1, 2)):
    mean, variance, gamma, beta = floats(3), positive(3), floats(3), floats(3)
    NEW.add(f"batch_norm_{len(shape)}", op("batch_norm", mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=np.float32(1e-2)), floats(*shape),
            twin=lambda x, m=mean, v=variance, g=gamma, b=beta: (x - _by_channel(x, m)) / np.sqrt(_by_channel(x, v) + 1e-2) * _by_channel(x, g)
            + _by_channel(x, b))  # fmt: skip
    NEW.add(f"batch_norm_plain_{len(shape)}", op("batch_norm", mean=mean, variance=variance), floats(*shape),
            twin=lambda x, m=mean, v=variance: (x - _by_channel(x, m)) / np.sqrt(_by_channel(x, v) + 1e-5))  # fmt: skip
for shape in ((2, 3, 4), (2, 3, 2, 4)):
    gamma, beta = floats(3), floats(3)
    NEW.add(f"instance_norm_{len(shape)}", op("instance_norm", gamma=gamma, beta=beta, epsilon=np.float32(1e-2)), floats(*shape),
            twin=lambda x, g=gamma, b=beta: layer_norm(x, range(2, x.ndim), None, None, 1e-2) * _by_channel(x, g) + _by_channel(x, b))  # fmt: skip
    NEW.add(f"instance_norm_plain_{len(shape)}", op("instance_norm"), floats(*shape),
            twin=lambda x: layer_norm(x, range(2, x.ndim), None, None, 1e-5))  # fmt: skip
for shape in ((2, 3, 4), (2, 2, 3, 2), (2, 1, 2, 3, 2)):
    NEW.add(f"l2_norm_{len(shape)}", op("l2_norm", epsilon=np.float32(1e-2)), floats(*shape))


def local_response_norm(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    found = np.zeros(x.shape)
    for channel in range(x.shape[1]):
        near = x[:, max(0, channel - size // 2) : channel + (size - 1) // 2 + 1]
        found[:, channel] = x[:, channel] / (k + alpha / size * (near.astype(np.float64) ** 2).sum(1)) ** beta
    return found


for size, shape in ((3, (2, 5, 4)), (2, (1, 4, 2, 2)), (5, (1, 3, 2, 2))):
    NEW.add(f"local_response_norm_{size}", op("local_response_norm", size=size, alpha=np.float32(0.5), beta=np.float32(0.6), k=np.float32(2)),
            floats(*shape), twin=lambda x, size=size: local_response_norm(x, size, 0.5, 0.6, 2))  # fmt: skip
NEW.add(
    "local_response_norm_default",
    op("local_response_norm", size=3),
    floats(1, 4, 3),
    twin=lambda x: local_response_norm(x, 3, 1e-4, 0.75, 1),
)

# Convolutions and pools.


def same(sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int], more_before: bool) -> list[tuple[int, int]]:
    found = []
    for size, span, stride in zip(sizes, spans, strides, strict=True):
        total = max(stride * math.ceil(size / stride) - size + span - stride, 0)
        found.append(((total + more_before) // 2, total - (total + more_before) // 2))
    return found


def conv(x: Array, weight: Array, bias: Array | None = None, strides: Any = None, pad_type: str = "valid", pad: Any = None, dilations: Any = None,
         groups: int = 1) -> Array:  # fmt: skip
    rank = x.ndim - 2
    steps, spread = strides or [1] * rank, dilations or [1] * rank
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(weight.shape[2:], spread, strict=True)]
    pads = {"valid": [(0, 0)] * rank, "custom": list(zip((pad or [0] * 2 * rank)[::2], (pad or [0] * 2 * rank)[1::2], strict=True))}
    pairs = pads[pad_type] if pad_type in pads else same(x.shape[2:], spans, steps, pad_type == "same_lower")
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *pairs])
    sizes = [(size - span) // step + 1 for size, span, step in zip(padded.shape[2:], spans, steps, strict=True)]
    found = np.zeros((x.shape[0], weight.shape[0], *sizes))
    per_group = weight.shape[0] // groups
    for place in np.ndindex(*sizes):
        index = tuple(slice(at * step, at * step + span, d) for at, step, span, d in zip(place, steps, spans, spread, strict=True))
        for out in range(weight.shape[0]):
            first = out // per_group * weight.shape[1]
            window = padded[(slice(None), slice(first, first + weight.shape[1]), *index)]
            found[(slice(None), out, *place)] = (window * weight[out]).sum(tuple(range(1, x.ndim)))
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


CONVS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1d": ((2, 3, 9), (4, 3, 3), {}),
    "1d_same": ((2, 3, 9), (4, 3, 4), {"pad_type": "same", "strides": [2]}),
    "1d_same_lower": ((2, 3, 9), (4, 3, 4), {"pad_type": "same_lower", "strides": [2]}),
    "2d": ((1, 2, 6, 5), (3, 2, 3, 2), {"strides": [2, 1]}),
    "2d_custom": ((1, 2, 6, 5), (3, 2, 3, 2), {"pad_type": "custom", "pad": [1, 0, 2, 1]}),
    "2d_same": ((1, 2, 6, 5), (3, 2, 2, 3), {"pad_type": "same", "strides": [2, 2]}),
    "2d_dilated": ((1, 2, 7, 7), (3, 2, 3, 2), {"dilations": [2, 3]}),
    "2d_dilated_same": ((1, 2, 7, 7), (3, 2, 3, 2), {"dilations": [2, 3], "pad_type": "same"}),
    "2d_groups": ((2, 4, 5, 5), (6, 2, 3, 3), {"groups": 2}),
    "2d_depthwise": ((2, 4, 5, 5), (4, 1, 3, 3), {"groups": 4, "pad_type": "same"}),
    "3d": ((1, 2, 4, 4, 3), (2, 2, 2, 3, 2), {"strides": [1, 1, 2]}),
    "point": ((2, 3, 4, 5), (6, 3, 1, 1), {}),
    "point_same": ((2, 3, 4), (6, 3, 1), {"pad_type": "same"}),
    "point_strides": ((2, 3, 4, 5), (6, 3, 1, 1), {"strides": [2, 2]}),
    "point_pad": ((1, 3, 4, 5), (2, 3, 1, 1), {"pad_type": "custom", "pad": [1, 0, 0, 1]}),
    "point_groups": ((1, 4, 3), (2, 2, 1), {"groups": 2}),
    "patches": ((1, 3, 8, 8), (5, 3, 4, 4), {"strides": [4, 4]}),
}
for name, (shape, kernel, arguments) in CONVS.items():
    weight, bias = floats(*kernel), floats(kernel[0])
    NEW.add(f"conv_{name}", op("conv", weight=weight, bias=bias, **arguments), floats(*shape),
            twin=lambda x, w=weight, b=bias, a=arguments: conv(x, w, b, **a))  # fmt: skip
    if name.startswith("2d") and "dilations" not in arguments:
        NEW.add(f"conv_dynamic_{name}", lambda mb, x, w, a=arguments: mb.conv(x=x, weight=w, **a), floats(*shape), weight,
                twin=lambda x, w, a=arguments: conv(x, w, **a))  # fmt: skip


def conv_transpose(x: Array, weight: Array, bias: Array | None, strides: Any = None, pad_type: str = "valid", pad: Any = None, dilations: Any = None,
                   groups: int = 1, output_shape: Any = None) -> Array:  # fmt: skip
    """The gradient of a convolution: what it would take each element of its result from."""
    rank = x.ndim - 2
    steps, spread, kernel = strides or [1] * rank, dilations or [1] * rank, weight.shape[2:]
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, spread, strict=True)]
    full = [(size - 1) * step + span for size, step, span in zip(x.shape[2:], steps, spans, strict=True)]
    if output_shape is not None:
        sizes = list(output_shape[2:])
    elif pad_type == "same":
        sizes = [size * step for size, step in zip(x.shape[2:], steps, strict=True)]
    else:
        sizes = [size - sum((pad or [0] * 2 * rank)[2 * axis : 2 * axis + 2]) for axis, size in enumerate(full)]
    before = (
        [max(size - own, 0) // 2 for size, own in zip(full, sizes, strict=True)]
        if pad_type == "same"
        else (pad or [0] * 2 * rank)[::2]
    )
    found = np.zeros((x.shape[0], weight.shape[1] * groups, *sizes))
    for n, c in np.ndindex(x.shape[:2]):
        group = c // (x.shape[1] // groups)
        for place in np.ndindex(x.shape[2:]):
            for tap in np.ndindex(kernel):
                at = tuple(p * s + t * d - b for p, s, t, d, b in zip(place, steps, tap, spread, before, strict=True))
                if all(0 <= a < size for a, size in zip(at, sizes, strict=True)):
                    for out in range(weight.shape[1]):
                        found[(n, group * weight.shape[1] + out, *at)] += x[(n, c, *place)] * weight[(c, out, *tap)]
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1d": ((2, 3, 4), (3, 2, 3), {"strides": [2]}),
    "2d": ((1, 3, 3, 2), (3, 2, 3, 2), {"strides": [2, 3]}),
    "custom": ((1, 3, 3, 2), (3, 2, 3, 2), {"strides": [2, 3], "pad_type": "custom", "pad": [1, 0, 0, 1]}),
    "same": ((1, 2, 3, 2), (2, 2, 3, 4), {"strides": [2, 2], "pad_type": "same"}),
    "same_small": ((1, 2, 3), (2, 2, 1), {"strides": [3], "pad_type": "same"}),
    "same_output": ((1, 2, 3), (2, 2, 4), {"strides": [2], "pad_type": "same", "output_shape": [1, 2, 5]}),
    "valid_output": ((1, 2, 3), (2, 2, 3), {"strides": [2], "output_shape": [1, 2, 8]}),
    "custom_output": ((1, 2, 3), (2, 2, 3), {"strides": [2], "pad_type": "custom", "pad": [1, 1], "output_shape": [1, 2, 6]}),
    "groups": ((1, 4, 3), (4, 3, 2), {"groups": 2, "strides": [2]}),
    "dilated": ((1, 2, 3, 3), (2, 2, 2, 2), {"dilations": [2, 3], "strides": [2, 1]}),
    "3d": ((1, 2, 2, 2, 2), (2, 1, 2, 2, 2), {"strides": [2, 1, 1]}),
}
for name, (shape, kernel, arguments) in TRANSPOSED.items():
    weight, bias = floats(*kernel), floats(kernel[1] * arguments.get("groups", 1))
    NEW.add(f"conv_transpose_{name}", op("conv_transpose", weight=weight, bias=bias, **arguments), floats(*shape),
            twin=lambda x, w=weight, b=bias, a=arguments: conv_transpose(x, w, b, **a))  # fmt: skip


def pool(x: Array, kind: str, kernel_sizes: Sequence[int], pad_type: str, strides: Any = None, pad: Any = None, ceil_mode: bool = False,
         exclude_padding_from_average: bool = False) -> Array:  # fmt: skip
    """As PyTorch: with ceil_mode a window may go beyond the padding, and what is there does not count."""
    rank = x.ndim - 2
    steps = strides or [1] * rank
    pairs = {"valid": [(0, 0)] * rank, "custom": list(zip((pad or [])[::2], (pad or [])[1::2], strict=True))}.get(pad_type)
    pairs = pairs or same(x.shape[2:], kernel_sizes, steps, pad_type == "same_lower")
    sizes = []
    for size, length, step, (before, after) in zip(x.shape[2:], kernel_sizes, steps, pairs, strict=True):
        count = (size + before + after - length + (step - 1 if ceil_mode else 0)) // step + 1
        sizes.append(count - (ceil_mode and (count - 1) * step >= size + before))
    found = np.zeros((*x.shape[:2], *sizes))
    for place in np.ndindex(*sizes):
        begins = [at * step - before for at, step, (before, _) in zip(place, steps, pairs, strict=True)]
        inside = tuple(slice(max(b, 0), max(min(b + k, n), 0)) for b, k, n in zip(begins, kernel_sizes, x.shape[2:], strict=True))
        window = x[(slice(None), slice(None), *inside)].astype(np.float64).reshape(*x.shape[:2], -1)
        counted = [min(b + k, n + after) - b for b, k, n, (_, after) in zip(begins, kernel_sizes, x.shape[2:], pairs, strict=True)]
        whole = window.shape[-1] if exclude_padding_from_average else math.prod(counted)
        value = {
            "max": lambda w=window: w.max(-1),
            "avg": lambda w=window, c=whole: w.sum(-1) / c,
            "l2": lambda w=window: np.sqrt((w * w).sum(-1)),
        }
        found[(slice(None), slice(None), *place)] = value[kind]()
    return found


POOLS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "1d": ((2, 3, 9), {"kernel_sizes": [3], "pad_type": "valid"}),
    "1d_strides": ((2, 3, 9), {"kernel_sizes": [2], "strides": [3], "pad_type": "valid"}),
    "2d_custom": ((1, 2, 6, 5), {"kernel_sizes": [3, 2], "pad_type": "custom", "pad": [1, 1, 0, 1], "strides": [2, 1]}),
    "2d_same": ((1, 2, 6, 5), {"kernel_sizes": [3, 2], "pad_type": "same", "strides": [2, 2]}),
    "2d_same_lower": ((1, 2, 6, 5), {"kernel_sizes": [2, 2], "pad_type": "same_lower", "strides": [1, 2]}),
    "2d_ceil": ((1, 2, 6, 5), {"kernel_sizes": [3, 2], "pad_type": "valid", "strides": [2, 2], "ceil_mode": True}),
    "2d_ceil_pad": (
        (1, 2, 6, 7),
        {"kernel_sizes": [3, 3], "pad_type": "custom", "pad": [1, 1, 1, 1], "strides": [2, 3], "ceil_mode": True},
    ),
    "2d_ceil_dropped": (
        (1, 1, 5, 5),
        {"kernel_sizes": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1], "strides": [3, 3], "ceil_mode": True},
    ),
    "3d": ((1, 2, 4, 4, 3), {"kernel_sizes": [2, 3, 2], "pad_type": "valid", "strides": [2, 1, 1]}),
}
for name, (shape, arguments) in POOLS.items():
    for kind in ("max", "avg", "l2"):
        if kind == "l2" and len(shape) == 5:
            continue
        NEW.add(
            f"{kind}_pool_{name}",
            op(f"{kind}_pool", **arguments),
            floats(*shape),
            twin=lambda x, k=kind, a=arguments: pool(x, k, **a),
        )
    NEW.add(f"avg_pool_exclude_{name}", op("avg_pool", exclude_padding_from_average=True, **arguments), floats(*shape),
            twin=lambda x, a=arguments: pool(x, "avg", exclude_padding_from_average=True, **a))  # fmt: skip

# Resolution.


def resized(x: Array, sizes: Sequence[int], mode: str) -> Array:
    """Element by element, by the rules that coremltools documents for resize_bilinear."""

    def point(i: int, size: int, count: int) -> float:
        if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
            at = (size - 1) / 2 if count == 1 and mode == "ALIGN_CORNERS" else i * (size - 1) / max(count - 1, 1)
        elif mode == "DEFAULT":
            at = i * (size - size / count) / max(count - 1, 1)
        elif mode == "OFFSET_CORNERS":
            delta = max(1, size - 1) / count
            at = 0.5 * delta + i * delta
        else:
            at = i * size / count + 0.5 * size / count - 0.5
        return min(size - 1, max(0.0, at))

    found = np.zeros((*x.shape[:-2], *sizes))
    for h, w in np.ndindex(*sizes):
        y, z = point(h, x.shape[-2], sizes[0]), point(w, x.shape[-1], sizes[1])
        for (row, near), (column, close) in itertools.product(_around(y, x.shape[-2]), _around(z, x.shape[-1])):
            found[..., h, w] += x[..., row, column].astype(np.float64) * near * close
    return found


def _around(at: float, size: int) -> list[tuple[int, float]]:
    low = math.floor(at)
    return [(low, 1 - (at - low)), (min(low + 1, size - 1), at - low)]


def nearest(x: Array, sizes: Sequence[int]) -> Array:
    rows, columns = ([math.floor(i * size / count) for i in range(count)] for size, count in zip(x.shape[-2:], sizes, strict=True))
    return x[..., rows, :][..., columns]


for mode, sizes in itertools.product(
    ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"), ((5, 7), (2, 1), (3, 4))
):
    NEW.add(f"resize_bilinear_{mode}_{sizes[0]}", op("resize_bilinear", target_size_height=sizes[0], target_size_width=sizes[1], sampling_mode=mode),
            floats(1, 2, 3, 4), twin=lambda x, mode=mode, sizes=sizes: resized(x, sizes, mode))  # fmt: skip
    NEW.add(f"resize_{mode}_{sizes[0]}", lambda mb, x, mode=mode, sizes=sizes: mb.resize(
        x=x, shape=np.int32([9, *sizes]), resized_dims=np.uint32(2), interpolation_mode="LINEAR", sampling_mode=mode),
        floats(1, 2, 3, 4), twin=lambda x, mode=mode, sizes=sizes: resized(x, sizes, mode))  # fmt: skip
NEW.add("resize_bilinear_documented", op("resize_bilinear", target_size_height=1, target_size_width=5, sampling_mode="UNALIGN_CORNERS"),
        np.float32([[[0, 1]]]), twin=lambda x: np.float32([[[0, 0.1, 0.5, 0.9, 1]]]))  # fmt: skip
NEW.add("resize_zero", lambda mb, x: mb.resize(x=x, shape=np.int32([0, 6]), resized_dims=np.uint32(2)), floats(1, 3, 4),
        twin=lambda x: resized(x, (3, 6), "DEFAULT"))  # fmt: skip
NEW.add("resize_dynamic", lambda mb, x, shape: mb.resize(x=x, shape=shape, resized_dims=np.uint32(2)), floats(1, 3, 4), np.int32([4, 6]),
        twin=lambda x, shape: resized(x, tuple(shape), "DEFAULT"))  # fmt: skip
NEW.add("resize_nearest", lambda mb, x: mb.resize(x=x, shape=np.int32([5, 7]), resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"),
        integers(0, 9, 1, 3, 4), twin=lambda x: nearest(x, (5, 7)))  # fmt: skip
for sizes in ((5, 7), (2, 3), (6, 8)):
    NEW.add(f"resize_nearest_neighbor_{sizes[0]}", op("resize_nearest_neighbor", target_size_height=sizes[0], target_size_width=sizes[1]),
            floats(1, 2, 3, 4), twin=lambda x, sizes=sizes: nearest(x, sizes))  # fmt: skip
NEW.add("upsample_nearest_neighbor", op("upsample_nearest_neighbor", scale_factor_height=2, scale_factor_width=3), floats(1, 2, 3, 4),
        twin=lambda x: x.repeat(2, 2).repeat(3, 3))  # fmt: skip
NEW.add("upsample_nearest_fraction", op("upsample_nearest_neighbor", scale_factor_height=np.float32(1.5), scale_factor_width=np.float32(2.5)),
        floats(1, 2, 3, 4), twin=lambda x: nearest(x, (4, 10)))  # fmt: skip
for corners, half in ((True, None), (False, None), (False, False), (False, True)):
    mode = "STRICT_ALIGN_CORNERS" if corners else "DEFAULT" if half is False else "UNALIGN_CORNERS"
    arguments = {"align_corners": corners} | ({} if half is None else {"half_pixel_centers": half})
    NEW.add(f"upsample_bilinear_{int(corners)}_{half}", op("upsample_bilinear", scale_factor_height=2, scale_factor_width=3, **arguments),
            floats(1, 2, 3, 4), twin=lambda x, mode=mode: resized(x, (6, 12), mode))  # fmt: skip
SUITES["iOS15"].add("upsample_bilinear_old", op("upsample_bilinear", scale_factor_height=np.float32(1.5), scale_factor_width=np.float32(2)),
                    floats(1, 2, 3, 4), twin=lambda x: resized(x, (4, 8), "STRICT_ALIGN_CORNERS"))  # fmt: skip
NEW.add("crop", op("crop", crop_height=[1, 0], crop_width=[1, 2]), floats(2, 3, 4, 6), twin=lambda x: x[..., 1:, 1:-2])

# Branches and loops.


def branches(mb: Any, x: Any) -> Any:
    chosen = mb.greater(x=mb.reduce_sum(x=x), y=np.float32(0))
    inner = mb.greater(x=mb.reduce_max(x=x), y=np.float32(1))
    return mb.cond(
        pred=chosen,
        _true_fn=lambda: (mb.mul(x=x, y=np.float32(2)), mb.reduce_sum(x=x, keep_dims=True)),
        _false_fn=lambda: mb.cond(
            pred=inner,
            _true_fn=lambda: (mb.sub(x=x, y=np.float32(1)), mb.reduce_max(x=x, keep_dims=True)),
            _false_fn=lambda: (x, mb.fill(shape=[1], value=np.float32(7))),
        ),
    )


def branches_twin(x: Array) -> tuple[Array, Array]:
    if x.sum() > 0:
        return x * 2, x.sum(keepdims=True)
    return (x - 1, x.max(keepdims=True)) if x.max() > 1 else (x, np.float32([7]))


for index, values in enumerate(([1, 2, 3], [-9, 2, 3], [-1, -2, -3])):
    NEW.add(f"cond_{index}", branches, np.float32(values), twin=branches_twin, folds=False)


def loop(mb: Any, n: Any, x: Any) -> Any:
    """Doubles x n times; an inner loop counts to the outer one's number each time."""

    zero = mb.sub(x=n, y=n)

    def body(i: Any, total: Any, x: Any) -> Any:
        _, inner = mb.while_loop(
            _cond=lambda j, _: mb.less_equal(x=j, y=i),
            _body=lambda j, inner: (mb.add(x=j, y=1), mb.add(x=inner, y=j)),
            loop_vars=(mb.sub(x=i, y=i), total),
        )
        return mb.add(x=i, y=1), inner, mb.mul(x=x, y=np.float32(2))

    return mb.while_loop(_cond=lambda i, total, x: mb.less(x=i, y=n), _body=body, loop_vars=(zero, zero, x))


def loop_twin(n: Array, x: Array) -> tuple[Any, Any, Any]:
    total = sum(j for i in range(int(n)) for j in range(i + 1))
    return np.int32(n), np.int32(total), x * 2.0 ** int(n)


for count in (0, 1, 4):
    NEW.add(f"while_loop_{count}", loop, count, floats(2), twin=loop_twin, folds=False)

# The tests.


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, found = tmp_path_factory.mktemp("operations"), {}
    for target, suite in SUITES.items():
        if suite.cases:
            suite.convert(folder / f"{target}.mlpackage")
            found[target] = russet.coreml.load(folder / f"{target}.mlpackage", backend="portable")
    return found


@pytest.fixture(scope="session")
def results(models: dict[str, Any]) -> dict[tuple[str, str], list[Array]]:
    found = {}
    for target, model in models.items():
        outputs = model.predict(SUITES[target].inputs())
        found.update({(target, name): values for name, values in SUITES[target].results(outputs)})
    return found


CASES = [(target, case.name) for target, suite in SUITES.items() for case in suite.cases.values()]


@pytest.mark.parametrize(("target", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_an_operation_gives_what_it_should(target: str, name: str, results: dict[tuple[str, str], list[Array]]) -> None:
    case = SUITES[target].cases[name]
    for kind in (name, f"{name}_folded")[: 1 + case.folds]:
        for actual, expected in zip(results[target, kind], case.expected, strict=True):
            assert actual.shape == (expected.shape or (1,)), kind
            np.testing.assert_allclose(actual.astype(np.float64), expected.astype(np.float64), case.bound, case.bound, err_msg=kind)


@pytest.mark.parametrize("target", [target for target, suite in SUITES.items() if suite.cases])
def test_tensors_have_the_declared_types_and_shapes(target: str, models: dict[str, Any]) -> None:
    assert_declared(models[target], models[target].capture(SUITES[target].inputs()))


@pytest.mark.parametrize("target", [target for target, suite in SUITES.items() if suite.cases])
def test_outputs_share_no_memory_with_inputs(target: str, models: dict[str, Any]) -> None:
    inputs = SUITES[target].inputs()
    outputs = models[target].predict(inputs)
    bounds = [(array.__array_interface__["data"][0], array.nbytes) for array in inputs.values()]
    for name, output in outputs.items():
        begin = output.__array_interface__["data"][0]
        assert output.size == 0 or not any(begin < first + count and first < begin + output.nbytes for first, count in bounds), name


def test_every_operation_is_tested(models: dict[str, Any]) -> None:
    tested = {kind for model in models.values() for kind in kinds(model.package.program.functions["main"].block)}
    assert set(OPERATIONS) | CONTROL <= tested | {"read_state", "write_state"}


def test_operations_that_are_missing_are_listed() -> None:
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    text = (Path(__file__).parent.parent.parent / "docs" / "compatibility.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^\| not there \| (.*) \|$", text, re.MULTILINE)
    known = {kind for kind in SSAOpRegistry.core_ops if not kind.startswith("_")}
    assert set(re.findall(r"`(\w+)`", listed)) == known - set(OPERATIONS) - CONTROL - set(DECOMPRESSIONS) - {"const"}
