"""An ML Program as its file holds it: functions, blocks, operations, values.

The file is read by the core (``russet._core.read_mlmodel``), which checks every length against what is there. Here the parts get
names. Nothing is resolved yet: values in a weight file are its name and an offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from russet import _core
from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.errors import ConfigError, PackageError, UnsupportedModelError


class ValueType(NamedTuple):
    """The type of a value: ``tensor`` or ``state`` with its elements' type and sizes (-1: not known), or a kind without them."""

    kind: str
    dtype: str | None
    shape: tuple[int, ...]


class Tensor(NamedTuple):
    """A constant in the file. Elements of less than 8 bits are packed, from the lowest bit on."""

    dtype: str
    shape: tuple[int, ...]
    #: One-dimensional; bytes for types that protobuf has no list of; a list for strings.
    elements: NDArray[Any] | list[str]


class Blob(NamedTuple):
    """A constant in a weight file, whose header begins at ``offset``."""

    dtype: str
    shape: tuple[int, ...]
    file: str
    offset: int


#: A constant of an operation; lists and dictionaries are plain Python's.
Value = Tensor | Blob | list[Any]


class Operation(NamedTuple):
    """An operation: arguments by parameter, each a list of names and values."""

    kind: str
    inputs: Mapping[str, list[str | Value]]
    outputs: list[tuple[str, ValueType]]
    blocks: list[Block]
    attributes: Mapping[str, Value]


class Block(NamedTuple):
    """Operations in order, each of which uses what is given before it."""

    inputs: list[tuple[str, ValueType]]
    outputs: list[str]
    operations: list[Operation]


class Function(NamedTuple):
    """A function of a program."""

    inputs: list[tuple[str, ValueType]]
    opset: str
    block: Block


class Program(NamedTuple):
    """A program and what its file says of it."""

    description: ModelDescription
    functions: Mapping[str, Function]


def read(data: bytes) -> Program:
    """Reads the bytes of an ``.mlmodel`` file.

    Raises:
        PackageError: if the file is damaged.
        UnsupportedModelError: if it has inputs or outputs that are no arrays.
    """
    try:
        version, interfaces, default, about, metadata, functions = _core.read_mlmodel(data)
    except ConfigError as error:
        raise PackageError(str(error), place=error.place) from None
    found = {name: _function(*parts) for name, parts in functions}
    only = next(iter(found))
    described = {}
    for name, inputs, outputs, states in interfaces:
        name = name or only
        if name not in found:
            raise PackageError(f"description: the program has no function {name!r}", place="description")
        described[name] = FunctionDescription(name, *(_features(name, list_) for list_ in (inputs, outputs, states)))
    default = default or next(iter(described), "")
    if default not in described:
        raise PackageError(f"description: the default function {default!r} is not described", place="description")
    short_description, model_version, author, license = about
    description = ModelDescription(described, default, dict(metadata), version, short_description, author, license, model_version)
    return Program(description, found)


def _features(function: str, features: list[Any]) -> dict[str, Feature]:
    for name, dtype, *_ in features:
        if dtype is None:
            raise UnsupportedModelError(f"{function}: {name!r} is no array; images, texts and dictionaries are not supported")
    return {name: Feature(name, *rest) for name, *rest in features}


def _function(inputs: list[Any], opset: str, block: Any) -> Function:
    return Function(_named(inputs), opset, _block(*block))


def _block(inputs: list[Any], outputs: list[str], operations: list[Any]) -> Block:
    return Block(_named(inputs), outputs, [_operation(*operation) for operation in operations])


def _operation(kind: str, inputs: Any, outputs: list[Any], blocks: list[Any], attributes: Any) -> Operation:
    arguments = {
        name: [binding if isinstance(binding, str) else _value(*binding) for binding in bindings] for name, bindings in inputs
    }
    constants = {name: _value(*value) for name, value in attributes}
    return Operation(kind, arguments, _named(outputs), [_block(*block) for block in blocks], constants)


def _named(types: list[Any]) -> list[tuple[str, ValueType]]:
    return [(name, ValueType(*of_type)) for name, of_type in types]


def _value(kind: str, *parts: Any) -> Any:
    if kind == "tensor":
        return Tensor(*parts)
    if kind == "blob":
        return Blob(*parts)
    if kind == "list":
        return [_value(*value) for value in parts[0]]
    return [(_value(*key), _value(*value)) for key, value in parts[0]]
