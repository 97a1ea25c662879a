"""Where a package is, what lies beside it (tokenizer, generation settings, configuration), and what its metadata says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from russet import Tokenizer, hub
from russet.coreml.backend import ModelDescription
from russet.errors import FolderError, HubError, MissingFileError
from russet.generation import GenerationConfig
from russet.hub import selection
from russet.json_objects import read_object
from russet.pretrained import AutoTokenizer, PreTrainedTokenizer

#: Metadata of packages that Russet writes.
CONTEXT_LENGTH_KEY = "russet.context_length"
PAD_TOKEN_KEY = "russet.pad_token_id"
EOS_TOKEN_KEY = "russet.eos_token_id"
VERSION_KEY = "russet.version"
#: Metadata of packages that exporters writes, and Russet too: what was converted.
NAME_KEY = "co.huggingface.exporters.name"

#: How a repository on the Hub is asked: ``revision``, ``token``, ``cache_dir``, ``local_files_only``.
Where = Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """What was found."""

    tokenizer: Tokenizer | PreTrainedTokenizer | None
    #: Why there is none, if it was looked for on the Hub.
    missing_tokenizer: str | None
    generation_config: GenerationConfig
    context_length: int | None
    pad_id: int | None


def find_package(path_or_repo_id: str | os.PathLike[str], variant: str | None, where: Where) -> Path:
    """The package at a path or in a repository, fetched with what is beside it.

    Raises:
        MissingFileError: if there is none.
        FolderError: if a folder has several; and what :func:`russet.hub.resolve_package` raises.
    """
    return package_in(hub.resolve_package(path_or_repo_id, variant=variant, **where), variant)


def package_in(path: Path, variant: str | None = None) -> Path:
    """The package at a path: itself, or the only one in the folder that is called so.

    Raises:
        MissingFileError: if there is none.
        FolderError: if there are several.
    """
    if path.suffix in (".mlpackage", ".mlmodelc", ".mlmodel"):
        return path
    if not path.is_dir():
        raise MissingFileError(2, "there is no package and no folder with one", str(path))
    for suffix in (".mlpackage", ".mlmodelc"):
        found = selection.called(sorted(each.name for each in path.glob(f"*{suffix}")), variant)
        if len(found) > 1:
            raise FolderError(21, f"there are several packages, name one: {', '.join(found)}", str(path))
        if found:
            return path / found[0]
    name = "" if variant is None else f" called {variant!r}"
    raise MissingFileError(2, f"there is no .mlpackage{name} in the folder", str(path))


def read(
    package: Path,
    description: ModelDescription,
    tokenizer: Tokenizer | PreTrainedTokenizer | str | os.PathLike[str] | None = None,
    where: Where | None = None,
) -> Settings:
    """Everything that is beside a package, in its metadata, or where that points. What is not there is left out.

    Args:
        package: Its path.
        description: What it says of itself.
        tokenizer: A tokenizer, its file, folder or repository, instead of one that is found.
        where: How the Hub is asked; None asks nothing.

    Raises:
        ConfigError: if a file is damaged.
    """
    folder = package.parent
    config = read_object(folder / "config.json") or {}
    metadata = description.metadata
    reason = None
    if tokenizer is None:
        tokenizer, reason = find_tokenizer(folder, metadata, where)
    elif not isinstance(tokenizer, Tokenizer | PreTrainedTokenizer):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer, **(where or {}))
    return Settings(
        tokenizer,
        reason,
        _generation_config(folder, config, metadata.get(EOS_TOKEN_KEY), tokenizer),
        _integer(metadata.get(CONTEXT_LENGTH_KEY)) or _integer(config.get("max_position_embeddings")),
        # An id of 0 is one.
        _integer(metadata.get(PAD_TOKEN_KEY, config.get("pad_token_id"))),
    )


def find_tokenizer(
    folder: Path, metadata: Mapping[str, str], where: Where | None
) -> tuple[Tokenizer | PreTrainedTokenizer | None, str | None]:
    """The tokenizer beside a package, or the one of the repository that its metadata names; or why there is none."""
    try:
        return AutoTokenizer.from_pretrained(folder), None
    except MissingFileError:
        name = metadata.get(NAME_KEY, "")
    # What Russet converts is called as its folder if nothing else is said: that is no repository.
    if where is None or not hub.is_repo_id(name) or (VERSION_KEY in metadata and "/" not in name):
        return None, None
    # The revision is that of the package's repository.
    asked = {key: value for key, value in where.items() if key != "revision"}
    try:
        return AutoTokenizer.from_pretrained(name, **asked), None
    except (HubError, MissingFileError) as error:
        return None, f"none is beside the package, and the one of {name} cannot be had: {error}"


def _generation_config(
    folder: Path, config: dict[str, Any], eos: str | None, tokenizer: Tokenizer | PreTrainedTokenizer | None
) -> GenerationConfig:
    """generation_config.json; ids of ends that it does not tell come from the package, config.json, the tokenizer."""
    found = GenerationConfig()
    if (folder / "generation_config.json").is_file():
        found = GenerationConfig.from_pretrained(folder)
    known: dict[str, Any] = {}
    if found.eos_token_id is None:
        ends = _integer(eos) if eos is not None else config.get("eos_token_id", getattr(tokenizer, "eos_token_id", None))
        if ends is not None:
            known["eos_token_id"] = ends
    if found.bos_token_id is None:
        begin = config.get("bos_token_id", getattr(tokenizer, "bos_token_id", None))
        if begin is not None:
            known["bos_token_id"] = begin
    return found.updated(known)


def _integer(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None
