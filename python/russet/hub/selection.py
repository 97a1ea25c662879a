"""Which files of a repository are fetched.

Patterns are those of huggingface_hub: ``*`` stands for any text, slashes too. Where patterns cannot say it, a selection is a
function from all paths to those that are needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from russet.errors import ArgumentError, MissingFileError

Select = Callable[[Collection[str]], Iterable[str]]
Selection = str | Sequence[str] | Select | None

#: The files that a tokenizer can be read from, the first that is there wins.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt")
#: Everything that a tokenizer, its settings and its chat templates are made of.
TOKENIZER = (
    *TOKENIZER_FILES, "sentencepiece.model", "spm.model", "source.spm", "target.spm", "*.tiktoken", "tekken.json", "merges.txt",
    "bpe.codes", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
    "chat_template.json", "additional_chat_templates/*.jinja", "config.json",
)  # fmt: skip
#: What a checkpoint is described by.
CONFIG = ("config.json",)
#: What belongs to a checkpoint besides its weights.
CHECKPOINT = (*TOKENIZER, "generation_config.json", "LICENSE*", "NOTICE*")
_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_SHARD = re.compile(r".+-\d+-of-\d+\.safetensors")
_PACKAGE = re.compile(r"((?:.*/)?[^/]+\.mlpackage)/.+")


def selected(paths: Collection[str], selection: Selection, repo_id: str = "") -> list[str]:
    """The paths that a selection takes, in order.

    Raises:
        ArgumentError: if the selection is of no such kind.
        MissingFileError: if a function finds what it needs missing.
    """
    if selection is None:
        return sorted(paths)
    if callable(selection):
        try:
            return sorted(set(selection(paths)))
        except MissingFileError as error:
            raise MissingFileError(2, error.strerror, repo_id) from None
    patterns = [selection] if isinstance(selection, str) else list(selection)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise ArgumentError("allow_patterns: it is a pattern, or a list of patterns, or a function", argument="allow_patterns")
    return sorted(path for path in paths if fits(path, patterns))


def fits(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits one of the patterns; one that ends with a slash stands for all of a folder."""
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)


def without(patterns: Sequence[str] | None, excluded: Sequence[str]) -> Select:
    """What patterns take (everything, if there are none) but for what others take."""
    return lambda paths: [path for path in selected(paths, patterns) if not fits(path, excluded)]


def tokenizer_file(paths: Collection[str]) -> list[str]:
    """The one file that a tokenizer is read from, and what that file needs beside it."""
    for name in TOKENIZER_FILES:
        if name in paths:
            return [name, *(other for other in ("merges.txt",) if name == "vocab.json" and other in paths)]
    ranks = sorted(path for path in paths if path.endswith(".tiktoken") and "/" not in path)
    if not ranks:
        raise MissingFileError(2, f"none of {', '.join(TOKENIZER_FILES)}, *.tiktoken is in the repository")
    return ranks[:1]


def checkpoint(paths: Collection[str]) -> list[str]:
    """A checkpoint: its safetensors, config.json, and the files of its tokenizer. Not the same weights in other formats."""
    weights = sorted(path for path in paths if path.endswith(".safetensors") and "/" not in path)
    if _INDEX in paths:
        weights = [_INDEX, *([path for path in weights if _SHARD.fullmatch(path)] or weights)]
    elif _WHOLE in weights:
        weights = [_WHOLE]
    elif len(weights) != 1:
        raise MissingFileError(2, f"there is no {_WHOLE} and no {_INDEX} in the repository; other safetensors: {len(weights)}")
    return [*weights, *selected(paths, CHECKPOINT)]


def packages(paths: Collection[str]) -> list[str]:
    """The ``.mlpackage`` folders among paths."""
    return sorted({found.group(1) for path in paths if (found := _PACKAGE.fullmatch(path))})


def the_package(paths: Collection[str], variant: str | None = None) -> str:
    """The one ``.mlpackage`` folder that fits.

    Args:
        paths: All paths of a repository.
        variant: Its name, with or without ``.mlpackage``, or a part of it that only one has, such as ``int4``.

    Raises:
        MissingFileError: if there is none.
        ArgumentError: if there are several.
    """
    found = packages(paths)
    if not found:
        raise MissingFileError(2, "there is no .mlpackage in the repository; russet.convert makes one of a checkpoint")
    fitting = called(found, variant)
    if not fitting:
        raise MissingFileError(2, f"no package is called {variant!r}; there are {', '.join(found)}")
    if len(fitting) > 1:
        raise ArgumentError(f"there are several packages, name one: {', '.join(fitting)}", argument="variant")
    return fitting[0]


def called(found: Sequence[str], variant: str | None) -> list[str]:
    """The packages of this path or name, with or without its suffix, else those with it as a part of their names; all, if None."""
    if variant is None:
        return list(found)
    paths = {path: PurePosixPath(path) for path in found}
    exact = [text for text, path in paths.items() if variant in (text, str(path.with_suffix("")), path.name, path.stem)]
    return exact or [text for text, path in paths.items() if variant.lower() in path.stem.lower()]


def package(variant: str | None = None) -> Select:
    """One ``.mlpackage`` with its folder, and what is needed beside it: tokenizer, settings, configuration."""

    def select(paths: Collection[str]) -> list[str]:
        chosen = the_package(paths, variant)
        folder = chosen.rpartition("/")[0]
        beside = [f"{folder}/{name}" if folder else name for name in (*TOKENIZER, "generation_config.json")]
        return [path for path in paths if path.startswith(f"{chosen}/") or fits(path, beside)]

    return select
