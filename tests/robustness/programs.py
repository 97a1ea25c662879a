"""Writes Core ML packages by hand, whole or damaged: the few protobuf messages that an ML Program is made of.

program = model([operation("relu", {"x": "x"}, [("y", FLOAT, (4,))])], [("x", FLOAT, (4,))], [("y", FLOAT, (4,))])
package(folder, program)
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

BOOL, STRING, HALF, FLOAT, INT, INT8, INT4, UINT1 = 1, 2, 10, 11, 23, 21, 25, 37
#: The numbers of types in the description of inputs and outputs; others cannot be told there.
_FEATURES = {HALF: 65552, FLOAT: 65568, INT: 131104, INT8: 131080}

#: A name, the number of its type, its sizes: none is not known.
Named = tuple[str, int, Sequence[int | None]]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def entry(name: str, value: bytes) -> bytes:
    return field(1, name) + field(2, value)


def tensor_type(dtype: int, shape: Sequence[int | None]) -> bytes:
    sizes = (field(2, b"") if size is None else field(1, field(1, size)) for size in shape)
    return field(1, field(1, dtype) + field(2, len(shape)) + b"".join(field(3, size) for size in sizes))


def named(name: str, dtype: int, shape: Sequence[int | None], is_state: bool = False) -> bytes:
    of_type = tensor_type(dtype, shape)
    return field(1, name) + field(2, field(5, field(1, of_type)) if is_state else of_type)


def tensor(dtype: int, shape: Sequence[int], elements: Sequence[Any] | bytes) -> bytes:
    """A value that lies in the program."""
    if isinstance(elements, bytes):
        data = field(7, field(1, elements))
    elif dtype == FLOAT:
        data = field(1, field(1, struct.pack(f"<{len(elements)}f", *elements)))
    elif dtype == STRING:
        data = field(4, b"".join(field(1, text) for text in elements))
    elif dtype == BOOL:
        data = field(3, field(1, b"".join(varint(int(it)) for it in elements)))
    else:
        data = field(2, field(1, b"".join(varint(it) for it in elements)))
    return field(2, tensor_type(dtype, shape)) + field(3, field(1, data))


def blob(dtype: int, shape: Sequence[int], file: str, offset: int) -> bytes:
    """A value that lies in a file of weights."""
    return field(2, tensor_type(dtype, shape)) + field(5, field(1, file) + field(2, offset))


def value(given: Any) -> bytes:
    """A value of Python's as a tensor: numbers, texts, and lists of one kind of them."""
    elements = list(given) if isinstance(given, list | tuple) else [given]
    shape = (len(elements),) if isinstance(given, list | tuple) else ()
    first = elements[0] if elements else 0
    dtype = BOOL if isinstance(first, bool) else INT if isinstance(first, int) else STRING if isinstance(first, str) else FLOAT
    return tensor(dtype, shape, elements)


class Name(str):
    """The name of a tensor, where a text would be a constant."""


def argument(given: Any) -> bytes:
    """A name, a value as bytes, a constant of Python's, or a tuple of such."""
    parts = given if isinstance(given, tuple) else (given,)
    bindings = (
        field(1, part) if isinstance(part, Name) else field(2, part if isinstance(part, bytes) else value(part)) for part in parts
    )
    return b"".join(field(1, binding) for binding in bindings)


def operation(
    kind: str,
    inputs: Mapping[str, Any],
    outputs: Iterable[Named],
    blocks: Iterable[bytes] = (),
    attributes: Mapping[str, bytes] | None = None,
) -> bytes:
    found = field(1, kind) + b"".join(field(2, entry(name, argument(given))) for name, given in inputs.items())
    found += b"".join(field(3, named(*output)) for output in outputs) + b"".join(field(4, block) for block in blocks)
    return found + b"".join(field(5, entry(name, given)) for name, given in (attributes or {}).items())


def constant(name: str, dtype: int, shape: Sequence[int], given: bytes) -> bytes:
    return operation("const", {}, [(name, dtype, shape)], attributes={"val": given})


def block(operations: Iterable[bytes], outputs: Iterable[str], inputs: Iterable[Named] = ()) -> bytes:
    found = b"".join(field(1, named(*it)) for it in inputs) + b"".join(field(2, name) for name in outputs)
    return found + b"".join(field(3, it) for it in operations)


def feature(name: str, dtype: int, shape: Sequence[int | None], is_state: bool = False) -> bytes:
    array = field(1, b"".join(varint(size or 1) for size in shape)) + field(2, _FEATURES.get(dtype, _FEATURES[FLOAT]))
    return field(1, name) + field(3, field(8, field(1, array)) if is_state else field(5, array))


def model(
    operations: Iterable[bytes],
    inputs: Sequence[Named],
    outputs: Sequence[Named],
    states: Sequence[Named] = (),
    names: Sequence[str] | None = None,
) -> bytes:
    """A program of one function, ``main``, and its description."""
    description = b"".join(field(1, feature(*it)) for it in inputs) + b"".join(field(10, feature(*it)) for it in outputs)
    description += b"".join(field(13, feature(*it, is_state=True)) for it in states)
    body = block(operations, [name for name, *_ in outputs] if names is None else names)
    given = b"".join(field(1, named(*it)) for it in inputs) + b"".join(field(1, named(*it, is_state=True)) for it in states)
    function = given + field(2, "CoreML8") + field(3, entry("CoreML8", body))
    return field(1, 9) + field(2, description) + field(502, field(1, 1) + field(2, entry("main", function)))


def weights(*tensors: tuple[int, bytes]) -> bytes:
    """A file of weights: types by their number in the header, and their bytes. The first header is at byte 64."""
    found = struct.pack("<II", len(tensors), 2).ljust(64, b"\0")
    for kind, data in tensors:
        found += struct.pack("<IIQQQ", 0xDEADBEEF, kind, len(data), len(found) + 64, 0).ljust(64, b"\0") + data.ljust(
            -(-len(data) // 64) * 64, b"\0"
        )
    return found


def package(folder: Path, program: bytes, files: Mapping[str, bytes] | None = None, manifest: Any = None) -> Path:
    """Writes a package; ``manifest`` is its JSON, or bytes, if it is not the usual one."""
    data = folder / "Data" / "com.apple.CoreML"
    data.mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(program)
    for name, content in (files or {}).items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    if manifest is None:
        manifest = {"itemInfoEntries": {"m": {"path": "com.apple.CoreML/model.mlmodel"}}, "rootModelIdentifier": "m"}
    (folder / "Manifest.json").write_bytes(manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode())
    return folder
