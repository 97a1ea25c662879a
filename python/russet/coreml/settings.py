"""What lies beside a package: tokenizer, generation settings, configuration; and what its metadata says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from russet import Tokenizer, hub
from russet.coreml.backend import ModelDescription
from russet.errors import ConfigError, FolderError, MissingFileError
from russet.generation import GenerationConfig

#: Metadata of packages that Russet writes.
CONTEXT_LENGTH_KEY = "russet.context_length"
PAD_TOKEN_KEY = "russet.pad_token_id"
EOS_TOKEN_KEY = "russet.eos_token_id"


@dataclass(frozen=True)
class Settings:
    """What was found."""

    tokenizer: Tokenizer | None
    generation_config: GenerationConfig
    context_length: int | None
    pad_id: int | None


def package_in(path: Path) -> Path:
    """The package at a path: itself, or the only one in the folder.

    Raises:
        MissingFileError: if there is none.
        FolderError: if there are several.
    """
    if path.suffix in (".mlpackage", ".mlmodelc", ".mlmodel"):
        return path
    if not path.is_dir():
        raise MissingFileError(2, "there is no package and no folder with one", str(path))
    for suffix in (".mlpackage", ".mlmodelc"):
        found = sorted(path.glob(f"*{suffix}"))
        if len(found) > 1:
            raise FolderError(21, f"there are several packages, pass one: {', '.join(each.name for each in found)}", str(path))
        if found:
            return found[0]
    raise MissingFileError(2, "there is no .mlpackage in the folder", str(path))


def read(package: Path, description: ModelDescription) -> Settings:
    """Everything that is beside a package or in its metadata. What is not there is left out.

    Raises:
        ConfigError: if a file is damaged.
    """
    folder = package.parent
    config = read_json(folder / "config.json")
    metadata = description.metadata
    tokenizer = tokenizer_in(folder)
    return Settings(
        tokenizer,
        _generation_config(folder, config, metadata.get(EOS_TOKEN_KEY), tokenizer),
        _integer(metadata.get(CONTEXT_LENGTH_KEY)) or _integer(config.get("max_position_embeddings")),
        # An id of 0 is one.
        _integer(metadata.get(PAD_TOKEN_KEY, config.get("pad_token_id"))),
    )


def tokenizer_in(folder: Path) -> Tokenizer | None:
    """The tokenizer of a folder, if it holds one."""
    try:
        return Tokenizer.from_file(hub.resolve_tokenizer(folder))
    except MissingFileError:
        return None


def tokenizer_at(path: Path) -> Tokenizer:
    """The tokenizer in a file or a folder."""
    return Tokenizer.from_file(hub.resolve_tokenizer(path) if path.is_dir() else path)


def _generation_config(folder: Path, config: dict[str, Any], eos: str | None, tokenizer: Tokenizer | None) -> GenerationConfig:
    """generation_config.json; ids of ends that it does not tell come from the package, config.json, tokenizer_config.json."""
    found = GenerationConfig()
    if (folder / "generation_config.json").is_file():
        found = GenerationConfig.from_pretrained(folder)
    known: dict[str, Any] = {}
    if found.eos_token_id is None:
        ends = _integer(eos) if eos is not None else config.get("eos_token_id", _named_id(folder, "eos_token", tokenizer))
        if ends is not None:
            known["eos_token_id"] = ends
    if found.bos_token_id is None:
        begin = config.get("bos_token_id", _named_id(folder, "bos_token", tokenizer))
        if begin is not None:
            known["bos_token_id"] = begin
    return found.updated(known)


def _named_id(folder: Path, name: str, tokenizer: Tokenizer | None) -> int | None:
    """The id of a token that tokenizer_config.json names."""
    token = read_json(folder / "tokenizer_config.json").get(name)
    content = token.get("content") if isinstance(token, dict) else token
    return tokenizer.token_to_id(content) if tokenizer is not None and isinstance(content, str) else None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file, or an empty one if there is no file.

    Raises:
        ConfigError: if the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path.name}: it is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path.name}: it holds no object")
    return found


def _integer(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None
