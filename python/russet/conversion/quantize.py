"""How the elements of a weight are written: as floats, or in fewer bits. A tensor is encoded block of rows by block of rows.

- ``float16``, ``float32``: as they are.
- ``int8``: a whole number from -128 to 127 times a scale for each row.
- ``int4``: a whole number from -8 to 7 times a scale for each 32 elements of a row.
- ``palette4``, ``palette6``: an index into 16 or 64 values, a table of them for each 16 rows. The values are those of k-means,
  which in one dimension needs no drawing of lots: over sorted elements a cluster is a range, its mean a difference of two sums.

Rows that do not divide so are encoded in the nearest way that fits, see :func:`encoding_for`. Vectors stay floats.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from russet.conversion.decoder import Tensor
from russet.coreml.portable.weights import bits
from russet.errors import ArgumentError, CheckpointError

#: What a caller may ask for.
KINDS = ("float16", "float32", "int8", "int4", "palette4", "palette6")
#: One kind for all matrices, or kinds by patterns of names, the first that fits wins.
Rules = str | Mapping[str, str] | None

Float = Literal["float16", "float32"]
Array = NDArray[Any]

BLOCK = 32
GROUP = 16
_ROUNDS = 100
_CHUNK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Part:
    """An array of an encoded tensor as it is written: elements of less than 8 bits are packed."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Encoding:
    """Floats: the elements as they are."""

    #: The type of floats: of elements, scales and tables.
    float: Float

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return self.float

    #: Rows in a block are a multiple of this.
    multiple = 1
    #: Whether a tensor is encoded as a whole, and not by blocks of rows.
    is_whole = False

    def parts(self, shape: tuple[int, ...]) -> dict[str, Part]:
        """The arrays of a tensor of this shape, by name."""
        return {"data": Part(self.float, shape)}

    def encode(self, rows: NDArray[np.float32], place: str) -> dict[str, Array]:
        """The arrays of some rows, unpacked.

        Raises:
            CheckpointError: if an element is not finite, or too large for float16.
        """
        return {"data": as_float(rows, self.float, place)}

    def decode(self, parts: Mapping[str, Array]) -> NDArray[np.float32]:
        """The elements that arrays stand for."""
        return parts["data"].astype(np.float32)


def as_float(values: NDArray[Any], dtype: str, place: str) -> Array:
    """Values in a type of floats; ``place`` names them in the error."""
    with np.errstate(over="ignore"):
        found = values.astype(dtype)
    if not np.isfinite(found).all():
        what = "an element is not finite" if not np.isfinite(values).all() else f"an element is too large for {dtype}"
        raise CheckpointError(f"{place}: {what}", place=place)
    return found


@dataclass(frozen=True)
class Linear(Encoding):
    """Whole numbers of ``bits`` bits times a scale for each ``block`` elements of a row; a block of 0 is the row."""

    bits: int
    block: int

    @property
    def kind(self) -> str:
        return f"int{self.bits}"

    def parts(self, shape: tuple[int, ...]) -> dict[str, Part]:
        rows, columns = shape
        return {"data": Part(f"int{self.bits}", shape), "scale": Part(self.float, (rows, columns // self._width(columns)))}

    def _width(self, columns: int) -> int:
        return self.block or columns

    def encode(self, rows: NDArray[np.float32], place: str) -> dict[str, Array]:
        count, columns = rows.shape
        blocks = rows.reshape(count, -1, self._width(columns))
        limit = 1 << (self.bits - 1)
        # With few steps it pays to make them shorter and cut the largest element by half of one; with many it does not.
        steps = limit - (0.5 if self.bits == 4 else 1)
        scale = as_float(np.abs(blocks).max(axis=2) / np.float32(steps), self.float, place)
        # Below the least number of float16 a block is all zeros.
        divisor = np.where(scale == 0, np.float32(np.inf), scale.astype(np.float32))
        data = np.rint(blocks / divisor[:, :, None])
        np.clip(data, -limit, limit - 1, out=data)
        return {"data": data.astype(np.int8).reshape(rows.shape), "scale": scale}

    def decode(self, parts: Mapping[str, Array]) -> NDArray[np.float32]:
        data, scale = parts["data"], parts["scale"].astype(np.float32)
        blocks = data.reshape(len(data), scale.shape[1], -1).astype(np.float32)
        found: NDArray[np.float32] = (blocks * scale[:, :, None]).reshape(data.shape)
        return found


@dataclass(frozen=True)
class Palette(Encoding):
    """Indices into tables of 2^bits values, a table for each ``group`` rows; a group of 0 is the tensor."""

    bits: int
    group: int

    @property
    def kind(self) -> str:
        return f"palette{self.bits}"

    @property
    def multiple(self) -> int:  # type: ignore[override]
        return max(1, self.group)

    @property
    def is_whole(self) -> bool:  # type: ignore[override]
        return not self.group

    def parts(self, shape: tuple[int, ...]) -> dict[str, Part]:
        groups = shape[0] // self.group if self.group else 1
        return {"data": Part(f"uint{self.bits}", shape), "lut": Part(self.float, (groups, 1, 1 << self.bits, 1))}

    def encode(self, rows: NDArray[np.float32], place: str) -> dict[str, Array]:
        as_float(rows, self.float, place)
        return self.assign(rows, self.tables(rows))

    def tables(self, rows: NDArray[np.float32]) -> Array:
        """The table of each group of rows, (groups, 1, 2^bits, 1): most of the work."""
        groups = rows.reshape(len(rows) // (self.group or len(rows)), -1)
        values, counts = _distinct(groups) if self.is_whole else (groups, None)
        return k_means(values, 1 << self.bits, counts).astype(self.float)[:, None, :, None]

    def assign(self, rows: NDArray[np.float32], lut: Array) -> dict[str, Array]:
        """The nearest values of tables that are there."""
        groups = rows.reshape(len(lut), -1)
        data = np.empty(groups.shape, np.uint8)
        for index, group in enumerate(groups):
            table = lut[index, 0, :, 0].astype(np.float32)
            data[index] = np.searchsorted((table[1:] + table[:-1]) / 2, group)
        return {"data": data.reshape(rows.shape), "lut": lut}

    def decode(self, parts: Mapping[str, Array]) -> NDArray[np.float32]:
        data, lut = parts["data"], parts["lut"].astype(np.float32)[:, 0, :, 0]
        groups = data.reshape(len(lut), -1)
        return np.take_along_axis(lut, groups.astype(np.intp), axis=1).reshape(data.shape)


def k_means(groups: NDArray[np.float32], count: int, counts: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """The centres of ``count`` clusters of each row's numbers, in order, by Lloyd's rounds.

    All rows go through a round at once: each is moved to [0, 1], and then to a place of its own on one line, where a single search
    finds the ends of all clusters. O(n log n) for the order, and O(count log n) a row and round.

    The first centres are halfway between those that divide the elements evenly and those that divide their range evenly: the
    first ones alone leave the large elements, which matter most, to few of them.

    Args:
        groups: (rows, n).
        count: Clusters of a row.
        counts: How often each number counts, (rows, n); once if none.

    Returns:
        (rows, count).
    """
    rows, n = groups.shape
    if counts is not None:
        order = np.argsort(groups, axis=1, kind="stable")
        groups, counts = np.take_along_axis(groups, order, 1), np.take_along_axis(counts, order, 1)
    ordered = (np.sort(groups, axis=1) if counts is None else groups).astype(np.float64)
    low = ordered[:, :1].copy()
    span = ordered[:, -1:] - low
    ordered = (ordered - low) / np.where(span == 0, 1, span)
    if counts is None:
        sums, totals = _running(ordered), np.broadcast_to(np.arange(n + 1.0), (rows, n + 1))
    else:
        sums, totals = _running(ordered * counts), _running(counts.astype(np.float64))
    starts = np.arange(rows)[:, None]
    line = (ordered + 2 * starts).reshape(-1)
    steps = (np.arange(count) + 0.5) / count
    # The number that a share of all elements lies below.
    shares = [np.searchsorted(totals[row], steps * totals[row, -1], "right") - 1 for row in range(rows)]
    centres = (np.take_along_axis(ordered, np.minimum(shares, n - 1), 1) + steps) / 2
    ends = np.zeros((rows, count + 1), np.intp)
    ends[:, -1] = n
    for _ in range(_ROUNDS):
        between = (centres[:, 1:] + centres[:, :-1]) / 2 + 2 * starts
        within = np.searchsorted(line, between.reshape(-1)).reshape(rows, -1) - n * starts
        if (within == ends[:, 1:-1]).all():
            break
        ends[:, 1:-1] = within
        sizes = np.diff(np.take_along_axis(totals, ends, 1))
        means = np.diff(np.take_along_axis(sums, ends, 1)) / np.maximum(sizes, 1e-300)
        # A cluster without elements stays where it is.
        centres = np.where(sizes > 0, means, centres)
    found: NDArray[np.float32] = (low + centres * span).astype(np.float32)
    return found


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the first 0, 1, ... n elements of each row."""
    found = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=found[:, 1:])
    return found


def _distinct(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The numbers of one long row, rounded to float16, and how often each is there: 65,536 at most."""
    counts = np.zeros(1 << 16, np.int64)
    for begin in range(0, rows.shape[1], _CHUNK_ELEMENTS):
        bits_of = rows[0, begin : begin + _CHUNK_ELEMENTS].astype(np.float16).view(np.uint16)
        counts += np.bincount(bits_of, minlength=1 << 16)
    is_there = counts > 0
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)[is_there]
    return values.astype(np.float32)[None], counts[is_there][None]


def check_rules(rules: Rules, precision: Float) -> None:
    """Raises for rules with a kind that is not known, or floats that are not those of the package.

    Raises:
        ArgumentError: naming it.
    """
    for kind in [] if rules is None else [rules] if isinstance(rules, str) else rules.values():
        if kind not in KINDS:
            raise _wrong(f"{kind!r} is not one of {', '.join(KINDS)}")
        if kind.startswith("float") and kind != precision:
            raise _wrong(f"{kind!r} in a package whose floats are {precision}")


def kind_for(name: str, rules: Rules) -> str | None:
    """What the rules say of a tensor; none if they say nothing."""
    if rules is None or isinstance(rules, str):
        return rules
    return next((kind for pattern, kind in rules.items() if fnmatch.fnmatchcase(name, pattern)), None)


def encoding_for(tensor: Tensor, rules: Rules, precision: Float, is_ios18: bool) -> Encoding:
    """The encoding of a tensor.

    A row that blocks of 32 do not divide has blocks of the greatest power of two that does and is 8 at least, or else is int8. Rows
    that groups of 16 do not divide share one table, and so do all before iOS 18, which has no more.

    Raises:
        ArgumentError: if the target does not have the kind.
    """
    kind = kind_for(tensor.name, rules)
    if len(tensor.shape) != 2 or kind is None or kind.startswith("float"):
        return Encoding(precision)
    rows, columns = tensor.shape
    if kind == "int8":
        return Linear(precision, 8, 0)
    if kind == "int4":
        if not is_ios18:
            raise _wrong("'int4' needs the target iOS18; before it there are int8, palette4 and palette6")
        block = min(BLOCK, columns & -columns)
        return Linear(precision, 4, block) if block >= 8 else Linear(precision, 8, 0)
    group = GROUP if rows % GROUP == 0 and is_ios18 else 0
    return Palette(precision, int(kind[-1]), group)


def _wrong(message: str) -> ArgumentError:
    return ArgumentError(f"quantize: {message}", argument="quantize")


def byte_count(part: Part) -> int:
    """The bytes of an array as it is written."""
    count = 1
    for size in part.shape:
        count *= size
    return (count * bits(part.dtype) + 7) // 8


def packed(values: Array, dtype: str) -> bytes:
    """An array as it is written: elements of less than 8 bits one behind the other, from the lowest bit on."""
    width = bits(dtype)
    if width >= 8:
        return np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<")).tobytes()
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    if width == 4:
        if len(flat) % 2:
            flat = np.append(flat, np.uint8(0))
        return ((flat[0::2] & 15) | (flat[1::2] << 4)).astype(np.uint8).tobytes()
    each = (flat[:, None] >> np.arange(width, dtype=np.uint8)) & np.uint8(1)
    return np.packbits(each, axis=None, bitorder="little").tobytes()
