"""Operations on each element alone: arithmetic, comparison, functions, activations, casts."""

from __future__ import annotations

import math

import numpy as np

from russet.coreml.portable import kernels
from russet.coreml.portable.operations.registry import OPERATIONS, Array, operation
from russet.errors import UnsupportedOperationError

# Operations that NumPy has, under MIL's names; x and y are given in this order.
OPERATIONS.update(
    {
        "abs": np.abs, "acos": np.arccos, "add": np.add, "asin": np.arcsin, "atan": np.arctan, "atanh": np.arctanh,
        "ceil": np.ceil, "cos": np.cos, "cosh": np.cosh, "equal": np.equal, "exp": np.exp, "floor": np.floor,
        "floor_div": np.floor_divide, "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less,
        "less_equal": np.less_equal, "logical_and": np.logical_and, "logical_not": np.logical_not, "logical_or": np.logical_or,
        "logical_xor": np.logical_xor, "maximum": np.maximum, "minimum": np.minimum, "mod": np.mod, "mul": np.multiply,
        "not_equal": np.not_equal, "round": np.rint, "sign": np.sign, "sin": np.sin, "sinh": np.sinh,
        "sqrt": np.sqrt, "square": np.square, "sub": np.subtract, "tan": np.tan, "tanh": np.tanh,
    }
)  # fmt: skip

#: The types of values that ``cast`` names.
CAST_TYPES = {
    "fp16": "float16", "fp32": "float32", "fp64": "float64", "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64", "bool": "bool",
}  # fmt: skip


@operation("real_div")
def real_div(x: Array, y: Array) -> Array:
    quotient = np.divide(x, y)
    # Integers divide to integers, towards zero.
    return quotient if x.dtype.kind == "f" else np.trunc(quotient).astype(x.dtype)


@operation("pow")
def pow(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f" or np.min(y, initial=0) >= 0:
        return np.power(x, y)
    # Negative powers of integers are fractions, which become integers towards zero.
    return np.trunc(np.power(x.astype(np.float64), y)).astype(x.dtype)


@operation("exp2")
def exp2(x: Array) -> Array:
    return np.exp2(x).astype(x.dtype)


@operation("rsqrt")
def rsqrt(x: Array, epsilon: float = 1e-12) -> Array:
    return np.reciprocal(np.sqrt(x + np.float32(epsilon)))


@operation("inverse")
def inverse(x: Array, epsilon: float = 1e-4) -> Array:
    return np.reciprocal(x + np.float32(epsilon))


@operation("log")
def log(x: Array, epsilon: float = 1e-45) -> Array:
    return np.log(x + np.float32(epsilon))


@operation("erf")
def erf(x: Array) -> Array:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x)).astype(np.float32)


@operation("cast")
def cast(x: Array, dtype: str) -> Array:
    if dtype not in CAST_TYPES:
        raise UnsupportedOperationError(f"cast: the type {dtype!r} is not supported")
    name = CAST_TYPES[dtype]
    return np.asarray(x).astype(np.float32 if name == "float16" else name)


@operation("identity", is_layout=True)
def identity(x: Array) -> Array:
    return x


@operation("select")
def select(cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


@operation("clip")
def clip(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(x, np.float32(alpha), np.float32(beta))


@operation("threshold")
def threshold(x: Array, alpha: float) -> Array:
    return np.maximum(x, x.dtype.type(alpha))


@operation("relu")
def relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


@operation("relu6")
def relu6(x: Array) -> Array:
    return np.clip(x, np.float32(0), np.float32(6))


@operation("clamped_relu")
def clamped_relu(x: Array, alpha: float, beta: float) -> Array:
    return np.minimum(np.where(x >= 0, x, np.float32(alpha) * x), np.float32(beta))


@operation("thresholded_relu")
def thresholded_relu(x: Array, alpha: float) -> Array:
    return np.where(x >= np.float32(alpha), x, np.float32(0))


@operation("leaky_relu")
def leaky_relu(x: Array, alpha: float) -> Array:
    return np.where(x >= 0, x, np.float32(alpha) * x)


@operation("prelu")
def prelu(x: Array, alpha: Array | list[float]) -> Array:
    slope = np.asarray(alpha, np.float32).reshape(-1, *[1] * (x.ndim - 2))
    return np.where(x >= 0, x, slope * x)


@operation("elu")
def elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0)))


@operation("linear_activation")
def linear_activation(x: Array, alpha: float, beta: float) -> Array:
    return np.float32(alpha) * x + np.float32(beta)


@operation("scaled_tanh")
def scaled_tanh(x: Array, alpha: float, beta: float) -> Array:
    return np.float32(alpha) * np.tanh(np.float32(beta) * x)


@operation("gelu")
def gelu(x: Array, mode: str = "EXACT") -> Array:
    return kernels.gelu(x, mode).reshape(x.shape)


@operation("silu")
def silu(x: Array) -> Array:
    return kernels.silu(x).reshape(x.shape)


@operation("sigmoid")
def sigmoid(x: Array) -> Array:
    # The exponential of a negative number does not overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, np.float32(1), small) / (1 + small)


@operation("sigmoid_hard")
def sigmoid_hard(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(np.float32(alpha) * x + np.float32(beta), np.float32(0), np.float32(1))


@operation("softplus")
def softplus(x: Array) -> Array:
    return np.logaddexp(x, np.float32(0))


@operation("softplus_parametric")
def softplus_parametric(x: Array, alpha: Array | list[float], beta: Array | list[float]) -> Array:
    shape = (-1, *[1] * (x.ndim - 2))
    return np.asarray(alpha, np.float32).reshape(shape) * softplus(np.asarray(beta, np.float32).reshape(shape) * x)


@operation("softsign")
def softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))
