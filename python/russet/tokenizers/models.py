"""Models: how a piece becomes tokens."""

from __future__ import annotations

import json
import os
import struct
import warnings
from typing import Any, NoReturn, cast

from russet import _core
from russet.tokenizers._component import Component, field
from russet.tokenizers._strings import Token, missing

__all__ = ["BPE", "Model", "Unigram", "WordLevel", "WordPiece"]


class Model(Component):
    """The base of all models."""

    _part = "model"
    _family = "Model"

    @classmethod
    def _of(cls, core: _core.Tokenizer) -> Model:
        """The model of a tokenizer. Its saved form is large, and made when needed."""
        view = object.__new__(cast("type[Model]", cls._classes[core._model_type]))
        view._compiled = core
        return view

    def __getattr__(self, name: str) -> Any:
        if name != "_saved":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._saved = self._core._part("model", False) or ""
        return self._saved

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        object.__setattr__(self, name, value)

    def tokenize(self, sequence: str) -> list[Token]:
        """The tokens of a piece."""
        return [Token(*token) for token in self._core._tokenize(sequence)]

    def token_to_id(self, token: str) -> int | None:
        """The id of a token."""
        return self._core._model_token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """The token of an id."""
        return self._core._model_id_to_token(id)

    def save(self, folder: str, prefix: str | None = None, name: str | None = None) -> list[str]:
        """Writes the model's own files to a folder, and returns their paths."""
        if name is not None:
            message = "Deprecated in 0.10.0: Parameter `name` of Model.save has been renamed `prefix`"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            prefix = name if prefix is None else prefix
        paths = []
        for file, text in self._files().items():
            paths.append(os.path.join(folder, file if prefix is None else f"{prefix}-{file}"))
            with open(paths[-1], "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
        return paths

    def _files(self) -> dict[str, str]:
        raise NotImplementedError

    def _tokens_by_id(self) -> dict[int, str]:
        return {id: token for token, id in sorted(self._field("vocab").items(), key=lambda entry: entry[1])}

    def get_trainer(self) -> NoReturn:
        """The trainer for such a model."""
        missing("training", "train with the package tokenizers, save, and load the file here")

    def _clear_cache(self) -> None:
        """Does nothing: the model keeps no cache."""

    def _resize_cache(self, capacity: int) -> None:
        """Does nothing: the model keeps no cache."""


def _single(value: float | None) -> float | None:
    """The number as single precision has it, in which it is kept."""
    return None if value is None else struct.unpack("f", struct.pack("f", value))[0]


class BPE(Model):
    """Byte-pair encoding: adjacent symbols are merged by rank."""

    dropout = field("dropout", "The probability of skipping a merge.", _single)
    unk_token = field("unk_token", "The token for what is not in the vocabulary.")
    continuing_subword_prefix = field("continuing_subword_prefix", "Put before every symbol of a piece but its first.")
    end_of_word_suffix = field("end_of_word_suffix", "Put after the last symbol of a piece.")
    fuse_unk = field("fuse_unk", "Whether adjacent unknown characters become one token.")
    byte_fallback = field("byte_fallback", "Whether unknown characters become the tokens of their bytes.")
    ignore_merges = field("ignore_merges", "Whether a piece that is in the vocabulary is taken whole.")

    def _files(self) -> dict[str, str]:
        merges = "".join(f"{left} {right}\n" for left, right in self._field("merges"))
        return {"vocab.json": _vocab_json(self._tokens_by_id()), "merges.txt": f"#version: 0.2\n{merges}"}


class Unigram(Model):
    """Unigram: the most probable way to cut a piece."""

    alpha = property(lambda self: None, doc="The smoothing of sampling, which a file does not keep.")
    nbest_size = property(lambda self: None, doc="The number of candidates of sampling, which a file does not keep.")

    def _files(self) -> dict[str, str]:
        return {"unigram.json": self._core._part("model", True) or ""}


class WordLevel(Model):
    """A token for each word."""

    unk_token = field("unk_token", "The token for what is not in the vocabulary.")

    def _files(self) -> dict[str, str]:
        return {"vocab.json": _vocab_json(self._tokens_by_id())}


class WordPiece(Model):
    """The longest token first."""

    unk_token = field("unk_token", "The token for words that cannot be tokenized.")
    continuing_subword_prefix = field("continuing_subword_prefix", "Put before every token of a word but its first.")
    max_input_chars_per_word = field("max_input_chars_per_word", "Longer words become the unknown token.")

    def _files(self) -> dict[str, str]:
        return {"vocab.txt": "".join(f"{token}\n" for token in self._tokens_by_id().values())}


def _vocab_json(tokens: dict[int, str]) -> str:
    return json.dumps({token: id for id, token in tokens.items()}, ensure_ascii=False, separators=(",", ":"))


Model._classes = {kind.__name__: kind for kind in Model.__subclasses__()}
