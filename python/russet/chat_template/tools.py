"""A Python function as the JSON schema of a tool: names and types from its hints, descriptions from its Google-style docstring.

The result equals that of transformers' ``get_json_schema``.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from russet.errors import ArgumentError

Schema = dict[str, Any]

_SCALAR_TYPES: dict[type, str] = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_CONTAINER_TYPES: dict[type, str] = {list: "array", tuple: "array", dict: "object"}
#: Media, by module and name: the packages need not be installed.
_MEDIA_TYPES = {("PIL.Image", "Image"): "image", ("torch", "Tensor"): "audio"}
_SECTIONS = ("Args:", "Returns:", "Raises:")
_ENTRY = re.compile(r"([ \t]*)(\w+):\s*")
_CHOICES = re.compile(r"\(choices:\s*(.*?)\)\s*$", re.IGNORECASE)
_LINE_BREAK = re.compile(r"\s*\n+\s*")


def get_json_schema(function: Callable[..., Any]) -> Schema:
    """The schema of a function: ``{"type": "function", "function": {"name", "description", "parameters"[, "return"]}}``.

    An argument's description may end with ``(choices: ["a", "b"])``, which becomes its ``enum``. Raises
    :class:`russet.ArgumentError` where the docstring, a hint or a description is missing, or a hint has no counterpart in JSON.
    """
    name = getattr(function, "__name__", "operation")
    doc = (inspect.getdoc(function) or "").strip()
    if not doc:
        raise _refused(name, "it has no docstring")
    parameters = _parameters(function, name)
    descriptions = _arguments(doc)
    returned: Schema | None = parameters["properties"].pop("return", None)
    for argument, schema in parameters["properties"].items():
        if argument not in descriptions:
            raise _refused(name, f"its docstring does not describe the argument {argument!r}")
        description = descriptions[argument]
        choices = _CHOICES.search(description)
        if choices is not None:
            schema["enum"] = _choices(name, argument, choices.group(1))
            description = description[: choices.start()].strip()
        schema["description"] = description
    described: Schema = {"name": name, "description": _description(doc), "parameters": parameters}
    if returned is not None:
        explained = _returns(doc)
        if explained is not None:
            returned["description"] = explained
        described["return"] = returned
    return {"type": "function", "function": described}


def _refused(name: str, reason: str) -> ArgumentError:
    return ArgumentError(f"{name} cannot be described as a tool: {reason}", argument="tools")


def _choices(name: str, argument: str, text: str) -> list[Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _refused(name, f"the choices of {argument!r} are not JSON: {error}") from error
    return [value.strip() if isinstance(value, str) else value for value in values]


# Hints


def _parameters(function: Callable[..., Any], name: str) -> Schema:
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError) as error:
        raise _refused(name, f"its type hints cannot be read: {error}") from error
    signature = inspect.signature(function).parameters
    # The receiver of a method is no argument of the tool.
    first = next(iter(signature), None)
    receiver = first if first in ("self", "cls") and signature[first].annotation is inspect.Parameter.empty else None
    required = []
    for argument, parameter in signature.items():
        if argument == receiver:
            continue
        if parameter.annotation is inspect.Parameter.empty:
            raise _refused(name, f"the argument {argument!r} has no type hint")
        if parameter.default is inspect.Parameter.empty:
            required.append(argument)
    properties: dict[str, Schema] = {}
    for argument, hint in hints.items():
        if argument == receiver:
            continue
        try:
            properties[argument] = _schema(hint)
        except _HintError as error:
            # What comes back is the program's business, not the model's.
            if argument != "return":
                raise _refused(name, f"the hint of {argument!r} {error}") from None
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


class _HintError(Exception):
    """A hint with no counterpart in JSON."""


def _schema(hint: Any) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None:
        return _plain_schema(hint)
    if origin is Union or origin is types.UnionType:
        return _union(arguments)
    if origin is Literal:
        if any(type(value) not in _SCALAR_TYPES for value in arguments):
            raise _HintError(f"has values that JSON does not have: {hint}")
        return _enumeration(list(arguments))
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])} if arguments else {"type": "array"}
    if origin is tuple:
        if len(arguments) == 1 or ... in arguments:
            raise _HintError(f"is a tuple of one item or of any length, {hint}; take a list")
        return {"type": "array", "prefixItems": [_schema(item) for item in arguments]} if arguments else {"type": "array"}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])} if len(arguments) == 2 else {"type": "object"}
    raise _HintError(f"has no counterpart in JSON: {hint}")


def _plain_schema(hint: Any) -> Schema:
    if hint is Any:
        return {}
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            values = [member.value for member in hint]
            if not values or any(type(value) not in _SCALAR_TYPES for value in values):
                raise _HintError(f"is an Enum without members, or with values that JSON does not have: {hint.__name__}")
            return _enumeration(values)
        found = _SCALAR_TYPES.get(hint) or _CONTAINER_TYPES.get(hint) or _MEDIA_TYPES.get((hint.__module__, hint.__name__))
        if found is not None:
            return {"type": found}
    raise _HintError(f"has no counterpart in JSON: {hint!r}; write the tool's schema by hand")


def _union(options: tuple[Any, ...]) -> Schema:
    schemas = [_schema(option) for option in options if option is not type(None)]
    merged: Schema
    if len(schemas) == 1:
        (merged,) = schemas
    elif all(schema.keys() == {"type"} and isinstance(schema["type"], str) for schema in schemas):
        names = sorted({schema["type"] for schema in schemas})
        merged = {"type": names[0] if len(names) == 1 else names}
    else:
        merged = {"anyOf": schemas}
    if type(None) in options:
        merged["nullable"] = True
    return merged


def _enumeration(values: list[Any]) -> Schema:
    names = list(dict.fromkeys(_SCALAR_TYPES[type(value)] for value in values))
    return {"type": names[0] if len(names) == 1 else names, "enum": values}


# Docstrings


def _description(doc: str) -> str:
    return doc[: _first(doc, _SECTIONS)].strip()


def _first(text: str, names: tuple[str, ...]) -> int:
    """Where the first of `names` begins, or the end."""
    return min((found for name in names if (found := text.find(name)) >= 0), default=len(text))


def _section(doc: str, name: str) -> str | None:
    """What follows a line with `name` alone, which is not the first."""
    _, *lines = doc.split("\n")
    for number, line in enumerate(lines[:-1]):
        if line.lstrip() == name:
            return "\n".join(lines[number + 1 :])
    return None


def _returns(doc: str) -> str | None:
    section = _section(doc, "Returns:")
    return None if section is None else section[: _first(section, ("Raises:",))].strip()


def _arguments(doc: str) -> dict[str, str]:
    """The descriptions of arguments by name. One may go on over lines that are indented deeper, or that name no argument."""
    section = _section(doc, "Args:")
    if section is None:
        return {}
    section = section[: _first(section, ("Returns:", "Raises:"))].rstrip()
    text = "\n".join(line for line in section.split("\n") if line.strip())
    return {name: _LINE_BREAK.sub(" ", description.strip()) for name, description in _entries(text)}


def _entries(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        entry = _ENTRY.match(text, position)
        if entry is None:
            position = _next_line(text, position)
            continue
        deeper = (entry.group(1) + " ", entry.group(1) + "\t")
        begin = end = entry.end()
        while True:
            end = _next_line(text, end)
            if end >= len(text) or (_ENTRY.match(text, end) and not text.startswith(deeper, end)):
                break
        yield entry.group(2), text[begin:end]
        position = end


def _next_line(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1
