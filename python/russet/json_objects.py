"""Small JSON files with an object in them, as models' folders have them: foreign, and so checked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from russet.errors import ConfigError, FileError, ForbiddenFileError, LimitError

#: Of a file.
BYTES_LIMIT = 64 << 20


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a file; ``None`` where there is no such file.

    Raises:
        ConfigError: if it is no JSON object.
        FileError: if it cannot be read.
        LimitError: above 64 MB.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(BYTES_LIMIT + 1)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        return None
    except PermissionError as error:
        raise ForbiddenFileError(error.errno, error.strerror, os.fspath(path)) from error
    except OSError as error:
        raise FileError(error.errno, error.strerror, os.fspath(path)) from error
    if len(content) > BYTES_LIMIT:
        raise LimitError(f"{path} is above 64 MB", value=len(content), limit=BYTES_LIMIT)
    try:
        parsed = json.loads(content)
        if b"\\u" in content:
            json.dumps(parsed, ensure_ascii=False).encode()  # half a character, which JSON can write, is none
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no JSON: {error}", place=path.name) from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"{path}: an object is expected, not {type(parsed).__name__}", place=path.name)
    return parsed
