"""What Core ML allows as inputs of a function, checked before a call so that a message can say what is wrong.

Core ML itself converts silently, ignores inputs that it does not know, aborts the process on some shapes, and takes no integers
but those of 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from russet.coreml.backend import Feature, FunctionDescription
from russet.errors import ArgumentError, UnsupportedModelError

#: The type of the array that is given for a declared type. Core ML takes no arrays of float16; float32 holds them exactly.
_GIVEN: dict[str, np.dtype[Any]] = {
    "float16": np.dtype(np.float32),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "int32": np.dtype(np.int32),
    "int8": np.dtype(np.int8),
}


def check_function(function: FunctionDescription) -> None:
    """Raises for what Core ML refuses, or aborts on, when it loads the function or first runs it.

    Raises:
        UnsupportedModelError: if a state has flexible shapes, if a function with states has both inputs of ranged and of fixed or
            listed shapes, or if inputs list different numbers of shapes.
    """
    for state in function.states.values():
        if state.enumerated or state.ranges:
            raise UnsupportedModelError(
                f"{function.name}: the state {state.name!r} has flexible shapes {state.allowed()}, and states must have one shape"
            )
    inputs = function.inputs.values()
    ranged = next((feature for feature in inputs if feature.ranges), None)
    other = next((feature for feature in inputs if not feature.ranges), None)
    if function.states and ranged and other:
        kind = "listed shapes" if other.enumerated else "one fixed shape"
        raise UnsupportedModelError(
            f"{function.name}: {ranged.name!r} has ranged shapes and {other.name!r} has {kind}; with states Core ML allows no "
            "mixture and ends the process (coremltools issue 2548). Convert the model with ranges for every input, or with one "
            "function for each shape; or load it with backend='portable'"
        )
    listed = {feature.name: len(feature.enumerated) for feature in inputs if feature.enumerated}
    if len(set(listed.values())) > 1:
        counts = ", ".join(f"{name!r} {count}" for name, count in listed.items())
        raise UnsupportedModelError(f"{function.name}: inputs list different numbers of shapes: {counts}")


def check_inputs(function: FunctionDescription, inputs: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """The inputs as arrays that Core ML takes: a new dict of contiguous, writeable arrays, int32, int8, float32 or float64.

    An array that is so already is not copied: what is returned is a view, an object of its own over the same memory.

    Raises:
        ArgumentError: if an input is missing or unknown, if its values do not fit the declared type, or if its shape is not
            allowed: by itself, or together with the others', since listed shapes go together by their place in the lists.
    """
    unknown = [name for name in inputs if name not in function.inputs]
    if unknown:
        message = f"{function.name} has no input {unknown[0]!r}: its inputs are {_names(function.inputs)}"
        raise ArgumentError(message, argument=unknown[0])
    arrays: dict[str, NDArray[Any]] = {}
    for name, feature in function.inputs.items():
        if name in inputs:
            arrays[name] = _array(function, feature, inputs[name])
        elif not feature.is_optional:
            message = f"the input {name!r} of {function.name} is missing: its inputs are {_names(function.inputs)}"
            raise ArgumentError(message, argument=name)
    _check_listed(function, arrays)
    return arrays


def state_value(function: FunctionDescription, name: str, value: ArrayLike) -> NDArray[np.float32]:
    """A value for a state: rounded to the declared type, in float32.

    Raises:
        ArgumentError: if there is no such state, or the shape or a value does not fit.
    """
    feature = state_feature(function, name)
    array = np.asarray(value)
    if array.shape != feature.shape:
        raise ArgumentError(f"the state {name!r} has the shape {feature.allowed()}, not {_shape(array.shape)}", argument="value")
    converted = _convert(feature, array)
    if feature.dtype == "float16":
        with np.errstate(over="ignore"):
            rounded = converted.astype(np.float16)
        if np.isinf(rounded).sum() != np.isinf(converted).sum():
            raise ArgumentError(f"the state {name!r} is float16, and a value is greater than 65504", argument="value")
        converted = rounded
    return np.array(converted, np.float32, order="C")


def state_feature(function: FunctionDescription, name: str) -> Feature:
    """What is declared of a state.

    Raises:
        ArgumentError: if there is no such state.
    """
    if name not in function.states:
        raise ArgumentError(f"{function.name} has no state {name!r}: its states are {_names(function.states)}", argument="name")
    return function.states[name]


def _array(function: FunctionDescription, feature: Feature, value: ArrayLike) -> NDArray[Any]:
    array = np.asarray(value)
    if not feature.accepts(array.shape) or 0 in array.shape:
        message = f"the input {feature.name!r} of {function.name} has the shape {_shape(array.shape)}; allowed: {feature.allowed()}"
        raise ArgumentError(message, argument=feature.name)
    converted = _convert(feature, array)
    if not (converted.flags.c_contiguous and converted.flags.writeable and converted.flags.aligned):
        converted = np.array(converted, order="C")
    view: NDArray[Any] = converted.view()
    return view


def _convert(feature: Feature, array: NDArray[Any]) -> NDArray[Any]:
    """The array in the type that is given for the declared one. Only floating-point numbers may be rounded."""
    given = _GIVEN.get(feature.dtype)
    if given is None:
        raise UnsupportedModelError(f"{feature.name!r} is of the type {feature.dtype}, which Core ML takes no arrays of")
    # Types of another byte order are not equal.
    if array.dtype == given:
        return array
    if array.dtype.kind not in "biuf":
        message = f"{feature.name!r} is {feature.dtype}, and an array of {array.dtype} is no array of numbers"
        raise ArgumentError(message, argument=feature.name)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(given)
    if given.kind == "f" and array.dtype.kind == "f":
        exact = np.isinf(converted) == np.isinf(array)
    else:
        # Compared in both directions: 2**63 becomes the float that it is compared with.
        with np.errstate(invalid="ignore"):
            exact = (converted == array) & (converted.astype(array.dtype) == array)
    if not exact.all():
        place = tuple(int(index) for index in np.argwhere(~exact)[0])
        message = f"{feature.name!r} is {feature.dtype}, which cannot hold {array[place]!s} at {_shape(place)}"
        raise ArgumentError(message, argument=feature.name)
    return converted


def _check_listed(function: FunctionDescription, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Listed shapes go together: the first of each input, the second of each input, and so on."""
    places: set[int] | None = None
    for name, array in arrays.items():
        listed = function.inputs[name].enumerated
        if listed:
            own = {place for place, shape in enumerate(listed) if shape == array.shape}
            places = own if places is None else places & own
    if places is not None and not places:
        given = ", ".join(f"{name!r} {_shape(array.shape)}" for name, array in arrays.items() if function.inputs[name].enumerated)
        message = f"{function.name}: the listed shapes of inputs go together by their place, and these do not: {given}"
        raise ArgumentError(message, argument="inputs")


def _names(features: Mapping[str, Feature]) -> str:
    return ", ".join(map(repr, features)) or "none"


def _shape(sizes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sizes))})"
