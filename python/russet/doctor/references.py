"""The packages that a tokenizer is compared with, where they are installed."""

from __future__ import annotations

import importlib.util
import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from russet.tokenizers import Tokenizer


@dataclass(frozen=True)
class Reference:
    """A tokenizer of another package, and Russet's that is to be equal to it.

    ``render``: turns messages into text with a chat template, where the package can.
    """

    name: str
    tokenizer: Any
    candidate: Any
    render: Any = None


def installed(path: Path, file: Path, notes: list[str]) -> list[Reference]:
    """The references for a folder, or a file alone, and the tokenizer's file; why one is missing is noted."""
    found: list[Reference] = []
    for package, make in (("tokenizers", _of_tokenizers), ("transformers", _of_transformers)):
        if importlib.util.find_spec(package) is None:
            notes.append(f"not compared with {package}: it is not installed")
            continue
        try:
            found += make(path, file, notes)
        except _Left as reason:
            notes.append(f"not compared with {package}: {reason}")
        except Exception as error:
            notes.append(f"not compared with {package}, which does not load it: {_one_line(error)}")
    return found


class _Left(Exception):
    """Why there is nothing to compare with."""


def _of_tokenizers(_: Path, file: Path, notes: list[str]) -> list[Reference]:
    if file.suffix != ".json" or file.name == "vocab.json":
        raise _Left(f"it does not read {file.name} by itself")
    import tokenizers

    name = f"tokenizers {tokenizers.__version__}"
    return [Reference(name, tokenizers.Tokenizer.from_file(str(file)), Tokenizer.from_file(str(file)))]


def _of_transformers(folder: Path, file: Path, notes: list[str]) -> list[Reference]:
    """What the file says, and what the class that the folder names builds, if that is another."""
    if not folder.is_dir():
        raise _Left("that takes a folder")
    if file.name == "tokenizer.json" and not (folder / "tokenizer_config.json").is_file():
        raise _Left("there is no tokenizer_config.json")
    import transformers

    from russet.pretrained import PreTrainedTokenizer

    general = transformers.PreTrainedTokenizerFast
    ours = PreTrainedTokenizer.from_pretrained(folder)._tokenizer
    name = f"transformers {transformers.__version__}"
    found = []
    with warnings.catch_warnings(), _quiet("transformers"):
        warnings.simplefilter("ignore")
        if file.name == "tokenizer.json":
            made = general.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
            found.append(Reference(f"{name}, PreTrainedTokenizerFast", made._tokenizer, ours, made.apply_chat_template))
        try:
            made = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:
            notes.append(f"not compared with {name}, AutoTokenizer, which does not load it: {_one_line(error)}")
            return found
    if getattr(made, "_tokenizer", None) is None:
        notes.append(f"not compared with {name}, {type(made).__name__}, which is written in Python")
    elif type(made) is not general:
        found.append(Reference(f"{name}, {type(made).__name__}", made._tokenizer, ours))
    return found


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")[:200]


class _quiet:
    """Keeps a package from writing to its log."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self._before = self._logger.level
        self._logger.setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._before)
