"""Checkpoints in safetensors: one file, or several with an index. A tensor is read when it is asked for, and not kept.

A file begins with 8 bytes, the length of a JSON header that says the type, the shape and the place of each tensor. It is foreign
data: lengths, offsets, overlaps and names are checked before anything is read by them. A tensor's bytes are mapped into memory
while they are converted and let go afterwards, so that a checkpoint larger than the memory is no obstacle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.conversion.decoder import Tensor
from russet.errors import CheckpointError, MissingFileError

INDEX_NAME = "model.safetensors.index.json"
FILE_NAME = "model.safetensors"
#: The length of a header that the reference implementation takes, and of an index.
_GREATEST_HEADER_BYTES = 100_000_000
_GREATEST_COUNT = 1_000_000
_GREATEST_RANK = 8
#: Types of elements and the types of NumPy that hold their bits. bfloat16 is the upper half of a float32.
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1",
    "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "u1", "F8_E4M3": "u1", "F8_E5M2": "u1",
}  # fmt: skip
_FLOATS = ("F32", "F16", "BF16")
#: Elements that are converted at a time: they stay in the processor's cache from one pass to the next.
_BLOCK_ELEMENTS = 1 << 18


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    #: In the file, in bytes.
    offset: int
    size: int


class Checkpoint:
    """The tensors of a folder, by name.

    Raises:
        MissingFileError: if the folder has no safetensors, or a file that its index names is missing.
        CheckpointError: if a file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tensors: dict[str, Stored] = {}
        for path, names in _files(folder).items():
            found = read_header(path)
            for name in names or found:
                if name not in found:
                    raise _error(f"{INDEX_NAME}: weight_map", f"{name!r} is not in {path.name}")
                if name in self.tensors:
                    raise _error(path.name, f"{name!r} is in {self.tensors[name].path.name} too")
                self.tensors[name] = found[name]

    def find(self, name: str) -> Stored:
        """A tensor by its name, or by its name without the first part, which checkpoints of bare models leave out.

        Raises:
            CheckpointError: if there is none.
        """
        found = self.tensors.get(name) or self.tensors.get(name.partition(".")[2])
        if found is None:
            raise _error(self.folder.name, f"there is no tensor {name!r}")
        return found

    def check(self, tensor: Tensor) -> None:
        """Raises unless the tensor is there, of floats, and in the shape that the configuration tells.

        Raises:
            CheckpointError: if it is not.
        """
        found = self.find(tensor.name)
        if found.dtype not in _FLOATS:
            raise _error(tensor.name, f"its elements are {found.dtype}, and not one of {', '.join(_FLOATS)}")
        shape = found.shape[::-1] if tensor.transposed else found.shape
        fits = len(shape) == len(tensor.shape) and shape[1:] == tensor.shape[1:]
        if not fits or (shape[0] != tensor.shape[0] if tensor.rows is None else shape[0] < tensor.rows[1]):
            raise _error(tensor.name, f"its shape is {list(found.shape)}, and by config.json it is {_expected(tensor)}")

    def rows(self, tensor: Tensor, begin: int = 0, end: int | None = None) -> NDArray[np.float32]:
        """Rows of a tensor as it is used, or elements of a vector, as float32."""
        stored, first = self.find(tensor.name), 0 if tensor.rows is None else tensor.rows[0]
        end = tensor.shape[0] if end is None else end
        mapped = np.memmap(stored.path, _TYPES[stored.dtype], "r", stored.offset, stored.shape)
        whole: NDArray[Any] = np.asarray(mapped)
        part = (whole.T if tensor.transposed else whole)[first + begin : first + end]
        part = np.ascontiguousarray(part)
        if stored.dtype == "BF16":
            wide: NDArray[np.uint32] = part.astype(np.uint32) << np.uint32(16)
            return wide.view(np.float32)
        return part.astype(np.float32)

    def blocks(self, tensor: Tensor, multiple: int = 16) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """All rows of a tensor in blocks, each with its first row's number, a multiple of ``multiple``."""
        width = max(1, math.prod(tensor.shape[1:]))
        step = max(multiple, _BLOCK_ELEMENTS // width // multiple * multiple)
        for begin in range(0, tensor.shape[0], step):
            yield begin, self.rows(tensor, begin, min(begin + step, tensor.shape[0]))


def _expected(tensor: Tensor) -> str:
    shape = list(tensor.shape)
    if tensor.rows is not None:
        shape[0] = tensor.rows[1]
    return str(shape[::-1] if tensor.transposed else shape) + ("" if tensor.rows is None else " at least")


def _files(folder: Path) -> dict[Path, list[str] | None]:
    """The files of a checkpoint, each with the names that are taken from it, or none for all."""
    index = folder / INDEX_NAME
    if not index.is_file():
        only = folder / FILE_NAME
        if only.is_file():
            return {only: None}
        found = sorted(folder.glob("*.safetensors"))
        if len(found) == 1:
            return {found[0]: None}
        several = "several, and no index" if found else "none"
        raise MissingFileError(2, f"there is no {FILE_NAME}; of other .safetensors files there are {several}", str(folder))
    if index.stat().st_size > _GREATEST_HEADER_BYTES:
        raise _error(INDEX_NAME, f"it has more than {_GREATEST_HEADER_BYTES} bytes")
    try:
        weight_map = json.loads(index.read_bytes())["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _error(INDEX_NAME, f"it is no index: {error!r}") from None
    if not isinstance(weight_map, dict) or not weight_map or len(weight_map) > _GREATEST_COUNT:
        raise _error(f"{INDEX_NAME}: weight_map", f"it is no object of 1 to {_GREATEST_COUNT} names")
    files: dict[Path, list[str] | None] = {}
    for name, file in weight_map.items():
        if not isinstance(file, str) or not file.endswith(".safetensors") or set(file) & set("/\\:\0") or file.startswith("."):
            raise _error(f"{INDEX_NAME}: weight_map[{name!r}]", f"{file!r} is no name of a file beside it")
        names = files.setdefault(folder / file, [])
        assert names is not None
        names.append(name)
    for path in files:
        if not path.is_file():
            raise MissingFileError(2, f"{INDEX_NAME} names a file that is missing", str(path))
    return files


def read_header(path: Path) -> dict[str, Stored]:
    """The tensors of a file, by name.

    Raises:
        CheckpointError: if the header is damaged, or what it says does not fit the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > size - 8:
            raise _error(path.name, f"its header should have {length} bytes, and the file has {size}")
        if length > _GREATEST_HEADER_BYTES:
            raise _error(path.name, f"its header has {length} bytes; the limit is {_GREATEST_HEADER_BYTES}")
        raw = file.read(length)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise _error(path.name, f"its header is no JSON: {error}") from None
    if not isinstance(header, dict) or len(header) > _GREATEST_COUNT:
        raise _error(path.name, f"its header is no object of at most {_GREATEST_COUNT} tensors")
    header.pop("__metadata__", None)
    begin, room = 8 + length, size - 8 - length
    found = {name: _stored(path, name, entry, begin, room) for name, entry in header.items()}
    _check_places(path, found, begin, room)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} is there twice")
    return found


def _stored(path: Path, name: str, entry: Any, begin: int, room: int) -> Stored:
    place = f"{path.name}: {name}"
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise _error(place, "it has no dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise _error(place, f"the type {dtype!r} is not known")
    if not _are_sizes(shape) or len(shape) > _GREATEST_RANK:
        raise _error(place, f"the shape {shape!r} is no list of at most {_GREATEST_RANK} sizes")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise _error(place, f"the offsets {offsets!r} are no two numbers")
    needed = math.prod(shape) * np.dtype(_TYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != needed or offsets[1] > room:
        raise _error(place, f"{dtype}{shape} takes {needed} bytes, and its bytes are {offsets[0]} to {offsets[1]} of {room}")
    return Stored(path, dtype, tuple(shape), begin + offsets[0], needed)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and 0 <= each < 1 << 48 for each in value)


def _check_places(path: Path, tensors: dict[str, Stored], begin: int, room: int) -> None:
    """Tensors lie one behind the other, without gaps."""
    end, before = begin, "the header"
    for name, stored in sorted(tensors.items(), key=lambda entry: (entry[1].offset, entry[1].size)):
        if stored.offset != end:
            what = "overlaps" if stored.offset < end else "leaves a gap behind"
            raise _error(f"{path.name}: {name}", f"it {what} {before}")
        end, before = stored.offset + stored.size, repr(name)
    if end != begin + room:
        raise _error(path.name, f"{begin + room - end} bytes at its end belong to no tensor")


def _error(place: str, message: str) -> CheckpointError:
    return CheckpointError(f"{place}: {message}", place=place)
