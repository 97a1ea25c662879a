"""Lists of ids as arrays of a framework.

NumPy is always there. torch, mlx and jax are imported when an array of theirs is asked for, and not otherwise.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from russet.errors import ArgumentError

#: The names that ``return_tensors`` takes, and the module that each needs.
FRAMEWORKS = {"np": "numpy", "pt": "torch", "mlx": "mlx.core", "jax": "jax.numpy"}

_RAGGED = (
    "the rows are not of one length: pad and cut them with padding=True and truncation=True to make an array, "
    "or leave return_tensors out"
)


def framework_of(value: Any) -> str:
    """The name of a framework, from a text or a member of transformers' ``TensorType``.

    Raises:
        ArgumentError: for another name, or a framework that is not installed.
    """
    name = getattr(value, "value", value)
    if name not in FRAMEWORKS:
        raise ArgumentError(
            f"return_tensors={value!r}: the choices are {', '.join(map(repr, FRAMEWORKS))}", argument="return_tensors"
        )
    if name != "np":
        try:
            importlib.import_module(FRAMEWORKS[name])
        except ImportError as error:
            module = FRAMEWORKS[name].partition(".")[0]
            raise ArgumentError(f"return_tensors={name!r} needs the package {module}, which cannot be imported: {error}") from error
    return str(name)


def to_framework(framework: str) -> Callable[[str, Any], Any]:
    """A function that makes an array of the value of a key; what is an array of the framework already stays what it is."""
    if framework == "np":
        return to_numpy
    module: Any = importlib.import_module(FRAMEWORKS[framework])
    if framework == "pt":
        is_tensor, tensor = module.is_tensor, module.from_numpy
    else:
        kind = module.array if framework == "mlx" else module.ndarray
        is_tensor, tensor = (lambda value: isinstance(value, kind)), (module.array if framework == "mlx" else module.asarray)

    def convert(key: str, value: Any) -> Any:
        if is_tensor(value):
            return value
        array = to_numpy(key, value)
        if array.dtype.kind == "O":
            raise ArgumentError(f"{key}: {_RAGGED}", argument="return_tensors")
        return tensor(array)

    return convert


def to_numpy(key: str, value: Any) -> Any:
    """An int64 array of nested lists of ints; of rows of several lengths, an array of arrays.

    Raises:
        ArgumentError: for what is no array of numbers.
    """
    if isinstance(value, np.ndarray):
        return value
    if (
        isinstance(value, (list, tuple))
        and value
        and isinstance(value[0], (list, tuple, np.ndarray))
        and len(set(map(len, value))) > 1
    ):
        rows = np.empty(len(value), object)
        for index, row in enumerate(value):
            rows[index] = to_numpy(key, row)
        return rows
    try:
        return np.asarray(value) if _size(value) else np.asarray(value, np.int64)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{key}: {_RAGGED}", argument="return_tensors") from error


def _size(value: Any) -> int:
    while isinstance(value, (list, tuple)):
        if not value:
            return 0
        value = value[0]
    return 1


def plain(value: Any) -> Any:
    """Arrays and tensors of any framework, alone or in lists and dicts, as lists of ints."""
    if isinstance(value, (int, str)):
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return value if not value or type(value[0]) is int else [plain(item) for item in value]
    if hasattr(value, "items"):
        return {key: plain(item) for key, item in value.items()}
    return value
