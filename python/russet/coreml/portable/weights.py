"""Files of weights: tensors behind headers of 64 bytes, mapped into memory and read in place.

The file begins with 64 bytes of its own. A tensor's header: 0xDEADBEEF, the type of its elements, the number of its bytes, where
they begin in the file, and how many bits of the last byte are padding. Everything is checked against the file before it is used.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.program import Blob, Tensor
from russet.errors import FileError, MissingFileError, PackageError

#: Sentinel, type, bytes, where they begin, bits of padding. A header takes 64 bytes; the rest of it is zeros.
HEADER = struct.Struct("<IIQQQ")
SENTINEL = 0xDEADBEEF
#: Types of elements by the number in a header.
TYPES = {
    1: "float16", 2: "float32", 3: "uint8", 4: "int8", 6: "int16", 7: "uint16", 8: "int4", 9: "uint1", 10: "uint2", 11: "uint4",
    12: "uint3", 13: "uint6", 14: "int32", 15: "uint32",
}  # fmt: skip


def bits(dtype: str) -> int:
    """The bits of an element of a type that a tensor of numbers can have."""
    return 8 if dtype == "bool" else int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz"))


class WeightFile:
    """A file of weights, mapped read-only."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        try:
            # A pipe would never be opened.
            if path.exists() and not path.is_file():
                raise MissingFileError(2, "the package is not whole, its weights are no file", str(path))
            self._bytes: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")
        except FileError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFileError(2, "the package is not whole, its weights are missing", str(path)) from error
        except OSError as error:
            raise FileError(error.errno or 0, "the weights cannot be read", str(path)) from error
        except ValueError:
            raise PackageError(f"{path.name}: the file is empty") from None

    def read(self, blob: Blob) -> NDArray[Any]:
        """The elements of a tensor as they lie in the file: in its shape, or packed bytes for types of less than 8 bits."""
        place = f"{self._name}, byte {blob.offset}"
        header = self._bytes[blob.offset : blob.offset + HEADER.size].tobytes()
        if len(header) < HEADER.size:
            raise PackageError(f"{place}: a tensor begins here, and the file has {len(self._bytes)} bytes")
        sentinel, kind, size, start, _padding = HEADER.unpack(header)
        if sentinel != SENTINEL:
            raise PackageError(f"{place}: no tensor begins here")
        if TYPES.get(kind) != blob.dtype:
            raise PackageError(f"{place}: a tensor of {TYPES.get(kind, f'type {kind}')}, and the program takes it for {blob.dtype}")
        count = 1
        for length in blob.shape:
            count *= length
        needed = (count * bits(blob.dtype) + 7) // 8
        if size != needed:
            raise PackageError(f"{place}: a tensor of {size} bytes, and {blob.dtype}{list(blob.shape)} takes {needed}")
        if start + size > len(self._bytes):
            raise PackageError(f"{place}: the tensor's bytes {start} to {start + size} are beyond the file's {len(self._bytes)}")
        data = self._bytes[start : start + size]
        return data if bits(blob.dtype) < 8 else _view(data, blob.dtype).reshape(blob.shape)


def _view(data: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """The same bytes as elements of a type; a copy where they are not aligned for it."""
    kind = np.dtype(dtype).newbyteorder("<")
    return data.view(kind) if data.ctypes.data % kind.itemsize == 0 else data.copy().view(kind)


def elements(tensor: Tensor) -> NDArray[Any]:
    """The elements of a tensor in the program's file, as :meth:`WeightFile.read` gives them."""
    if isinstance(tensor.elements, list):
        raise PackageError("a tensor of texts is used as numbers")
    if bits(tensor.dtype) < 8:
        if tensor.elements.dtype != np.uint8:
            raise PackageError(f"elements of {tensor.dtype} are not packed in bytes")
        return tensor.elements
    if tensor.elements.dtype == np.uint8 and tensor.dtype != "bool":
        return _view(tensor.elements, tensor.dtype).reshape(tensor.shape)
    return tensor.elements.astype(tensor.dtype, copy=False).reshape(tensor.shape)


def unpack(data: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Elements of less than 8 bits, one a byte; others as they are.

    They are packed from the lowest bit on, one behind the other over the whole tensor.
    """
    width = bits(dtype)
    if width >= 8:
        return data
    count = 1
    for length in shape:
        count *= length
    if width in (1, 2, 4):
        shifts = np.arange(0, 8, width, dtype=np.uint8)
        values = (data[:, None] >> shifts) & np.uint8((1 << width) - 1)
    else:
        split = np.unpackbits(data, bitorder="little")[: count * width].reshape(-1, width)
        values = (split << np.arange(width, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    values = values.reshape(-1)[:count].reshape(shape)
    if dtype == "int4":
        return ((values ^ 8).astype(np.int8) - 8).astype(np.int8)
    return values
