"""Compiled models: what an ``.mlmodelc`` folder says of itself, and the folder where they are kept.

Core ML compiles a package each time it is loaded. Here it is done once: the compiled model is kept by the hash of what the
package holds and the version of macOS, under ``RUSSET_CACHE``, or the user's folder for caches. The folder may be deleted
at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.errors import MissingFileError, PackageError, UnsupportedModelError

_GREATEST_METADATA_BYTES = 1 << 24
_READ_BYTES = 1 << 20
#: A folder that was begun and not finished is thrown away after this time.
_ABANDONED_SECONDS = 24 * 3600
_UNFINISHED = ".unfinished-"
#: The file that every compiled model has.
_ESSENTIAL = "coremldata.bin"
_NAME = "model.mlmodelc"


def cache_folder() -> Path:
    """Where Russet keeps what it can make again: ``RUSSET_CACHE``, or ``russet`` in the user's folder for caches."""
    if named := os.environ.get("RUSSET_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "russet"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "russet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "russet"


def content_hash(package: Path) -> str:
    """A hash of the names and contents of a package's files, 64 hexadecimal digits."""
    total = hashlib.sha256()
    buffer = memoryview(bytearray(_READ_BYTES))
    for path in sorted(path for path in package.rglob("*") if path.is_file()):
        own = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                own.update(buffer[:count])
        total.update(f"{path.relative_to(package).as_posix()}\0{own.hexdigest()}\n".encode())
    return total.hexdigest()


class CompiledModel:
    """The compiled form of a package, made when it is first asked for."""

    def __init__(self, package: Path, version: str, compile_package: Callable[[Path, Path], None]) -> None:
        self._package = package
        self._compile = compile_package
        self._entry = cache_folder() / "coreml" / f"{content_hash(package)}-{version}"
        # Holds the compiled model where nothing can be kept.
        self._temporary: Path | None = None
        #: Whether it was compiled just now, and not found.
        self.is_fresh = False

    def path(self) -> Path:
        """The ``.mlmodelc`` folder. What cannot be a compiled model is made again."""
        if self._temporary is not None:
            return self._temporary / _NAME
        compiled = self._entry / _NAME
        if (compiled / _ESSENTIAL).is_file():
            return compiled
        self.discard()
        self.is_fresh = True
        try:
            self._entry.parent.mkdir(parents=True, exist_ok=True)
            _sweep(self._entry.parent)
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._entry.parent))
        except OSError:
            temporary = Path(tempfile.mkdtemp(prefix="russet-"))
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
            self._compile(self._package, temporary / _NAME)
            self._temporary = temporary
            return temporary / _NAME
        try:
            self._compile(self._package, unfinished / _NAME)
            # Another process may have been first; a folder that is not empty is not replaced.
            with contextlib.suppress(OSError):
                os.replace(unfinished, self._entry)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        if not (compiled / _ESSENTIAL).is_file():
            raise MissingFileError(2, "compiling the package made no compiled model", str(compiled))
        return compiled

    def discard(self) -> None:
        """Throws the compiled model away, as one that cannot be loaded."""
        self._temporary = None
        shutil.rmtree(self._entry, ignore_errors=True)


def _sweep(folder: Path) -> None:
    for path in folder.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def describe_compiled(path: Path) -> ModelDescription:
    """What ``metadata.json`` of an ``.mlmodelc`` folder says.

    Raises:
        MissingFileError: if there is no such folder or file.
        PackageError: if the file is damaged.
        UnsupportedModelError: if an input, an output or a state is no array.
    """
    file = path / "metadata.json"
    try:
        with file.open("rb") as opened:
            data = opened.read(_GREATEST_METADATA_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(2, "a compiled model has a file metadata.json", str(file)) from error
    if len(data) > _GREATEST_METADATA_BYTES:
        raise PackageError(f"{path.name}/metadata.json: it has more than {_GREATEST_METADATA_BYTES} bytes")
    try:
        content = json.loads(data)
        content = content[0] if isinstance(content, list) else content
        return _description(content)
    except UnsupportedModelError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise PackageError(f"{path.name}/metadata.json: it is not as Core ML writes it: {error!r}") from None


def _description(content: Mapping[str, Any]) -> ModelDescription:
    functions = {str(entry["name"]): _function(str(entry["name"]), entry) for entry in content.get("functions") or ()}
    whole = _function("main", content)
    default = content.get("defaultFunctionName")
    if not functions:
        functions = {"main": whole}
        default = "main"
    elif default not in functions:
        # What the file says of the whole model is what it says of the default function.
        same = [name for name, own in functions.items() if (own.inputs, own.outputs) == (whole.inputs, whole.outputs)]
        default = (same or [name for name in functions if name == "main"] or list(functions))[0]
    metadata = content.get("userDefinedMetadata") or {}
    return ModelDescription(
        functions,
        str(default),
        {str(key): str(value) for key, value in metadata.items()},
        int(content.get("specificationVersion") or 0),
        *(str(content.get(key) or "") for key in ("shortDescription", "author", "license", "version")),
    )


def _function(name: str, entry: Mapping[str, Any]) -> FunctionDescription:
    parts = [
        {feature.name: feature for feature in map(_feature, entry.get(schema) or ())}
        for schema in ("inputSchema", "outputSchema", "stateSchema")
    ]
    return FunctionDescription(name, *parts)


_DTYPES = {"Float16": "float16", "Float32": "float32", "Double": "float64", "Int32": "int32", "Int8": "int8"}


def _feature(entry: Mapping[str, Any]) -> Feature:
    name, kind = str(entry["name"]), entry.get("type", "MultiArray")
    if kind not in ("MultiArray", "State"):
        raise UnsupportedModelError(f"{name!r} is of the type {kind}, and only arrays are supported")
    return Feature(
        name,
        _DTYPES[entry["dataType"]],
        _sizes(_list(entry.get("shape"))),
        tuple(map(_sizes, _list(entry.get("enumeratedShapes")))),
        tuple((low, high) for low, high in map(_sizes, _list(entry.get("shapeRange")))),
        str(entry.get("isOptional", "0")) == "1",
    )


def _list(text: Any) -> list[Any]:
    """A list, which this file writes as a string."""
    found = json.loads(text) if isinstance(text, str) and text else text or []
    if not isinstance(found, list):
        raise TypeError(f"{text!r} is no list")
    return found


def _sizes(values: Any) -> tuple[int, ...]:
    if not all(isinstance(value, int) for value in values):
        raise TypeError(f"{values!r} has other things than numbers")
    return tuple(values)
