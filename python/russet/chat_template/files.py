"""Where a model's folder keeps its chat templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from russet.errors import ConfigError, FileError, LimitError

#: Bytes of a file with templates.
MAX_BYTES = 4 << 20


def load_chat_templates(
    folder: str | PathLike[str], tokenizer_config: Mapping[str, Any] | None = None
) -> str | dict[str, str] | None:
    """The chat templates of a model: one, several by name, or None.

    The first of these that is there: ``chat_template.jinja`` (named ``default``) with ``additional_chat_templates/*.jinja``;
    ``chat_template.json``; ``chat_template`` of `tokenizer_config`, the content of ``tokenizer_config.json``. Raises
    :class:`russet.ConfigError` for a file that has no template in it, :class:`russet.LimitError` for one that is too large.
    """
    folder = Path(folder)
    templates: dict[str, str] = {}
    default = folder / "chat_template.jinja"
    if default.is_file():
        templates["default"] = _read(default)
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        templates[path.name.removesuffix(".jinja")] = _read(path)
    if templates:
        return templates["default"] if list(templates) == ["default"] else templates
    legacy = folder / "chat_template.json"
    if legacy.is_file():
        try:
            content = json.loads(_read(legacy))
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{legacy} is not valid JSON: {error}", place=legacy.name) from error
        if not isinstance(content, dict):
            raise ConfigError(f"{legacy} is no JSON object", place=legacy.name)
        found = chat_templates_of(content, legacy.name)
        if found is not None:
            return found
    return chat_templates_of(tokenizer_config or {}, "tokenizer_config.json")


def chat_templates_of(config: Mapping[str, Any], place: str = "") -> str | dict[str, str] | None:
    """``chat_template`` of a configuration: a string, or a list of ``{"name": ..., "template": ...}``."""
    found = config.get("chat_template")
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, list):
        found = {
            entry.get("name") if isinstance(entry, dict) else None: entry.get("template") if isinstance(entry, dict) else None
            for entry in found
        }
    if isinstance(found, dict) and all(isinstance(name, str) and isinstance(template, str) for name, template in found.items()):
        return found
    raise ConfigError("chat_template is neither a template nor a list of named templates", place=place)


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise LimitError(f"{path} has {size} bytes; the limit is {MAX_BYTES}", value=size, limit=MAX_BYTES)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", place=path.name) from error
