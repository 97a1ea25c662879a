"""The state of a model behind a text: kept between calls that share a beginning, and saved to a file."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from russet.errors import ArgumentError, ConfigError, FileError, MissingFileError
from russet.generation.protocol import Context, LanguageModel

__all__ = ["PromptCache"]

_FORMAT = "russet prompt cache 1"
_HEADER = "header"
_PROBE = "probe"
_ARRAYS = "state/"


class PromptCache:
    """What a model has read, for ``generate(..., prompt_cache=cache)``.

    A call reads of its prompt only what comes after the tokens that it shares with those here, and leaves here what it has read and
    generated. Not for two calls at once. With ``num_return_sequences`` the prompt alone is left.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.context: Context = model.new_context()

    @property
    def ids(self) -> Sequence[int]:
        """The ids of the tokens that were read."""
        return self.context.ids

    def __len__(self) -> int:
        return len(self.context.ids)

    def clear(self) -> None:
        """Forgets all tokens."""
        self.context.rewind(0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state to a file, an ``.npz`` without pickled objects, which takes the place of one that is there.

        Raises:
            FileError: if it cannot be written.
        """
        told = fingerprint(self.model)
        arrays: dict[str, NDArray[Any]] = {
            _HEADER: np.frombuffer(json.dumps({"format": _FORMAT, "model": told}).encode(), dtype=np.uint8)
        }
        if told["fingerprint"] is None:
            arrays[_PROBE] = _probe(self.model)
        arrays.update({_ARRAYS + name: array for name, array in self.context.save().items()})
        target = Path(path)
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, delete=False) as file:
                temporary = file.name
                _write(file, arrays)
            os.replace(temporary, target)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise FileError(error.errno or 0, error.strerror or str(error), os.fspath(path)) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: LanguageModel) -> PromptCache:
        """What :meth:`save` wrote, of the same model.

        Raises:
            MissingFileError: if there is no such file.
            ConfigError: if the file is damaged, or no prompt cache.
            ArgumentError: if it is of another model.
        """
        arrays = _read(path)
        header = _header(arrays.pop(_HEADER, None))
        told = fingerprint(model)
        if header.get("model") != told:
            raise _of_another(f"it is of {header.get('model')}, not of {told}")
        if told["fingerprint"] is None and not _is_close(arrays.pop(_PROBE, None), _probe(model)):
            raise _of_another("its model gave other logits for the same token")
        cache = cls(model)
        state = {name.removeprefix(_ARRAYS): array for name, array in arrays.items() if name.startswith(_ARRAYS)}
        if len(state) != len(arrays):
            raise _damaged(next(name for name in arrays if not name.startswith(_ARRAYS)), "is not known")
        cache.context.restore(state)
        return cache


def fingerprint(model: LanguageModel) -> dict[str, Any]:
    """What tells a model from others: its attribute ``fingerprint`` if it has one, and its sizes."""
    own = getattr(model, "fingerprint", None)
    return {
        "fingerprint": None if own is None else str(own),
        "vocab_size": model.vocab_size,
        "context_length": model.context_length,
    }


def _probe(model: LanguageModel) -> NDArray[np.float32]:
    """What a model without a fingerprint is known by: its logits behind the first id, (V,)."""
    logits: NDArray[np.float32] = model.new_context().extend((0,))[0]
    return logits


def _is_close(saved: NDArray[Any] | None, probe: NDArray[np.float32]) -> bool:
    """Whether logits are the same but for the rounding of other machines and runtimes."""
    if saved is None or saved.shape != probe.shape or saved.dtype.kind != "f":
        return False
    finite = np.isfinite(probe)
    bound = 0.02 * float(np.abs(probe, where=finite, out=np.zeros_like(probe)).max())
    return bool(np.array_equal(finite, np.isfinite(saved)) and (np.abs(saved[finite] - probe[finite]) <= bound).all())


def _of_another(message: str) -> ArgumentError:
    return ArgumentError(f"model: the prompt cache is of another model: {message}", argument="model")


def _write(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Arrays as ``numpy.savez`` writes them, none of objects."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def _read(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` whose members are not compressed and do not overlap, so that all are no larger than the file."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
                raise _damaged(os.fspath(path), "has members that are larger than the file")
            arrays = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if member.compress_type != zipfile.ZIP_STORED:
                    raise _damaged(name, "is compressed")
                arrays[name] = _array(name, archive.read(member))
            return arrays
    except FileNotFoundError:
        raise MissingFileError(2, "there is no such file", os.fspath(path)) from None
    except ConfigError:
        raise
    except OSError as error:
        # A place before the file's beginning.
        if error.errno == errno.EINVAL:
            raise _damaged(os.fspath(path), f"is damaged, or no prompt cache: {error}") from error
        raise FileError(error.errno or 0, error.strerror or str(error), os.fspath(path)) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise _damaged(os.fspath(path), f"is damaged, or no prompt cache: {error}") from error


def _array(name: str, content: bytes) -> NDArray[Any]:
    """The array of an ``.npy``; memory is taken for what is there, not for what its header promises."""
    file = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("its version is not 1.0")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise _damaged(name, f"is no array: {error}") from error
    rest = len(content) - file.tell()
    size = dtype.itemsize
    for length in shape:
        size *= length
    if dtype.hasobject or dtype.kind not in "biuf" or min(shape, default=0) < 0 or size != rest:
        raise _damaged(name, f"has {rest} bytes, which is no {shape} of {dtype}")
    flat: NDArray[Any] = np.frombuffer(content, dtype=dtype, offset=file.tell())
    array: NDArray[Any] = flat.reshape(shape, order="F" if is_fortran else "C").copy()
    return array


def _header(array: NDArray[Any] | None) -> dict[str, Any]:
    try:
        header = json.loads(b"" if array is None else array.tobytes())
    except (ValueError, RecursionError) as error:
        raise _damaged(_HEADER, f"is missing or damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise _damaged(_HEADER, f"is not that of a {_FORMAT}")
    return header


def _damaged(place: str, message: str) -> ConfigError:
    return ConfigError(f"{place}: {message}", place=place)
