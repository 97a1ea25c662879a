"""``weight.bin``: which arrays it holds and where, known before any of them is; and the writing of it, tensor by tensor.

The program is built over placeholders, and its references to this file are right because sizes follow from shapes alone. So no
more than one block of rows is in memory at a time, and functions of a package share what they both use.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from russet.conversion import quantize
from russet.conversion.checkpoint import Checkpoint
from russet.conversion.decoder import Decoder, Tensor
from russet.conversion.quantize import Encoding, Float, Palette, Part, Rules
from russet.conversion.rotary import Rotary
from russet.coreml.portable.weights import HEADER, SENTINEL, TYPES, bits

#: Of the file, of an array's header, and what both and arrays are aligned to.
ALIGNMENT_BYTES = 64
_VERSION = 2
#: The number of a type of elements in an array's header.
_NUMBERS = {dtype: number for number, dtype in TYPES.items()}


@dataclass(frozen=True)
class Weight:
    """A tensor of the checkpoint and how it is written, or an array that is computed."""

    key: str
    encoding: Encoding
    shape: tuple[int, ...]
    #: None of an array that is computed.
    tensor: Tensor | None = None
    compute: Callable[[], NDArray[np.float32]] | None = None

    def parts(self) -> dict[str, Part]:
        """Its arrays, by name."""
        return self.encoding.parts(self.shape)

    def declared(self, is_ios18: bool) -> dict[str, Part]:
        """Its arrays as the program takes them. Before iOS 18 there are vectors of scales and tables, and of bytes for indices."""
        parts = self.parts()
        if is_ios18 or set(parts) == {"data"}:
            return parts
        found = {name: Part(part.dtype, (math.prod(part.shape),)) for name, part in parts.items()}
        if parts["data"].dtype.startswith("uint"):
            return found | {"data": Part("uint8", (quantize.byte_count(parts["data"]),))}
        return found | {"data": parts["data"]}


class Weights:
    """The arrays of a package.

    Args:
        decoder: What is converted.
        rules: How matrices are written.
        precision: The type of what stays floats.
        context_length: The rows of tables of positions.
        is_ios18: Whether the target is iOS 18 or later.

    Raises:
        ArgumentError: if the target does not have a kind of the rules.
    """

    def __init__(self, decoder: Decoder, rules: Rules, precision: Float, context_length: int, is_ios18: bool) -> None:
        self.precision = precision
        self.is_ios18 = is_ios18
        self.context_length = context_length
        self._by_key: dict[str, Weight] = {}
        self._offsets: dict[tuple[str, str], int] = {}
        self._tables: dict[tuple[str, int], NDArray[Any]] = {}
        #: The bytes of the file.
        self.size = ALIGNMENT_BYTES
        plain = Encoding(precision)
        for tensor in decoder.tensors():
            key, shape = tensor.key, tensor.shape
            encoding = quantize.encoding_for(tensor, rules, precision, is_ios18)
            if tensor is decoder.positions:
                # Rows are cut out of it, which compressed matrices do not allow; those behind the context are never used.
                encoding, shape = plain, (min(context_length, shape[0]), shape[1])
                tensor = replace(tensor, shape=shape, rows=(0, shape[0]))
            self._add(Weight(key, encoding, shape, tensor))
        for size in sorted({linear.weight.shape[0] for linear in decoder.linears() if linear.bias is None}):
            # Linear maps always have a bias in a program; those without one share zeros.
            self._add(Weight(f"zeros.{size}", plain, (size,), None, partial(_zeros, size)))
        if decoder.rotary is not None:
            names: tuple[Literal["cos", "sin"], ...] = ("cos", "sin")
            for name in names:
                compute = partial(_table, decoder.rotary, name, context_length)
                self._add(Weight(f"rotary.{name}", plain, (context_length, decoder.rotary.width), None, compute))

    def declared(self, key: str, part: str) -> Part:
        """An array as the program takes it."""
        return self._by_key[key].declared(self.is_ios18)[part]

    def _add(self, weight: Weight) -> None:
        self._by_key[weight.key] = weight
        for name, part in weight.parts().items():
            self._offsets[weight.key, name] = self.size
            self.size += ALIGNMENT_BYTES + _aligned(quantize.byte_count(part))

    def __getitem__(self, key: str) -> Weight:
        return self._by_key[key]

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._by_key.values())

    def offset(self, key: str, part: str) -> int:
        """Where the header of an array lies in the file."""
        return self._offsets[key, part]

    def write(self, path: Path, checkpoint: Checkpoint, progress: Callable[[int, int], None] | None = None) -> None:
        """Writes the file. ``progress`` is told how many of its bytes are written, and how many there are.

        Raises:
            CheckpointError: if a tensor is missing, of another shape, or has elements that cannot be written.
        """
        for weight in self:
            if weight.tensor is not None:
                checkpoint.check(weight.tensor)
        with path.open("wb") as file:
            file.write(struct.pack("<II56x", len(self._offsets), _VERSION))
            for weight in self:
                self._write(file, weight, checkpoint)
                if progress is not None:
                    progress(file.tell(), self.size)
            file.truncate(self.size)

    def _write(self, file: BinaryIO, weight: Weight, checkpoint: Checkpoint) -> None:
        places = {}
        for name, part in weight.declared(self.is_ios18).items():
            offset, count = self._offsets[weight.key, name], quantize.byte_count(part)
            elements = math.prod(part.shape)
            file.seek(offset)
            padding_bits = count * 8 - elements * bits(part.dtype)
            header = HEADER.pack(SENTINEL, _NUMBERS[part.dtype], count, offset + ALIGNMENT_BYTES, padding_bits)
            file.write(header.ljust(ALIGNMENT_BYTES, b"\0"))
            places[name] = offset + ALIGNMENT_BYTES
        for arrays in self.encoded(weight, checkpoint):
            for name, part in weight.parts().items():
                data = quantize.packed(arrays[name], part.dtype)
                file.seek(places[name])
                file.write(data)
                places[name] += len(data)

    def encoded(self, weight: Weight, checkpoint: Checkpoint) -> Iterator[dict[str, NDArray[Any]]]:
        """The arrays of a weight, block of rows by block of rows. Tables are kept: finding them again would take as long."""
        encoding, key = weight.encoding, weight.key
        if weight.tensor is None:
            assert weight.compute is not None
            yield encoding.encode(weight.compute(), key)
            return
        blocks = [(0, checkpoint.rows(weight.tensor))] if encoding.is_whole else checkpoint.blocks(weight.tensor, encoding.multiple)
        for begin, rows in blocks:
            if not isinstance(encoding, Palette):
                yield encoding.encode(rows, key)
            elif (key, begin) in self._tables:
                yield encoding.assign(rows, self._tables[key, begin])
            else:
                arrays = encoding.encode(rows, key)
                self._tables[key, begin] = arrays["lut"]
                yield arrays


def _zeros(size: int) -> NDArray[np.float32]:
    return np.zeros(size, np.float32)


def _table(rotary: Rotary, name: Literal["cos", "sin"], context_length: int) -> NDArray[np.float32]:
    return rotary.table(name, context_length)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
