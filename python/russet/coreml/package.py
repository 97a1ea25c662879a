"""An ``.mlpackage`` folder: its manifest, its model file and the files of weights beside it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from russet.coreml import program
from russet.coreml.program import Program
from russet.errors import FileError, MissingFileError, PackageError

#: A manifest or a model file that is larger is not read. protobuf has the second limit too.
_GREATEST_MANIFEST_BYTES = 1 << 24
_GREATEST_MODEL_BYTES = 1 << 31


class Package:
    """An opened package. Its program is read at once, its weights are not.

    Raises:
        MissingFileError: if the folder, its manifest or its model file is not there.
        PackageError: if the manifest or the model file is damaged, or leads out of the folder.
        UnsupportedModelError: if the model is no ML Program over arrays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.model_path = _model_path(self.path)
        self.program: Program = program.read(_read(self.model_path, _GREATEST_MODEL_BYTES))

    def file(self, name: str) -> Path:
        """The path of a file that the program names, such as ``@model_path/weights/weight.bin``."""
        return self.model_path.parent / _inside(name.removeprefix("@model_path/"), "a file of weights")

    @cached_property
    def fingerprint(self) -> str:
        """What tells the package from others: a hash of its model file and of samples of its weights, 64 hexadecimal digits.

        Weights are gigabytes; of each file of them its size and 64 blocks are taken, which those of another training do not share.
        """
        total = hashlib.sha256(self.model_path.read_bytes())
        for path in sorted((self.model_path.parent / "weights").glob("*")):
            size = path.stat().st_size
            total.update(f"{path.name} {size}".encode())
            with path.open("rb") as file:
                for block in range(64):
                    file.seek(size * block // 64)
                    total.update(file.read(16384))
        return total.hexdigest()

    def size(self) -> int:
        """The bytes of all files of the package."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def _model_path(folder: Path) -> Path:
    if folder.is_file() and folder.suffix == ".mlmodel":
        return folder
    if not folder.is_dir():
        raise MissingFileError(2, "there is no package", str(folder))
    manifest = _manifest(folder / "Manifest.json")
    try:
        path = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (KeyError, TypeError):
        raise PackageError(f"{folder.name}/Manifest.json: it does not say which item is the model") from None
    return folder / "Data" / _inside(path, "the model")


def _manifest(path: Path) -> Any:
    try:
        return json.loads(_read(path, _GREATEST_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path.parent.name}/Manifest.json: it is no JSON: {error}") from None


def _inside(name: Any, what: str) -> PurePosixPath:
    """A relative path that does not leave the folder it is relative to."""
    # A lone surrogate is no character. A colon could name a drive.
    is_text = isinstance(name, str) and "\0" not in name and "\\" not in name and not any("\ud800" <= it <= "\udfff" for it in name)
    path = PurePosixPath(name) if is_text else None
    if path is None or path.is_absolute() or not path.parts or ".." in path.parts or ":" in path.parts[0]:
        raise PackageError(f"the path of {what} leads out of the package: {name!r}")
    return path


def _read(path: Path, limit: int) -> bytes:
    try:
        status = path.stat()
        # A pipe or a device might never end.
        if not stat.S_ISREG(status.st_mode):
            raise MissingFileError(2, "the package is not whole, there is no file", str(path))
        if status.st_size > limit:
            raise PackageError(f"{path.name}: it has more than {limit} bytes")
        with path.open("rb") as file:
            return file.read(status.st_size)
    except FileError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(2, "the package is not whole, a file is missing", str(path)) from error
    except OSError as error:
        raise FileError(error.errno or 0, "a file of the package cannot be read", str(path)) from error
