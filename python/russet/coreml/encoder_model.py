"""Encoder models: vectors of texts, tokens for a mask, labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from russet import Tokenizer
from russet.coreml import load, settings
from russet.coreml.backend import Backend
from russet.coreml.encoder_batches import Encoded, EncoderBatches, Take, Text, first, names_of
from russet.errors import ArgumentError, ConfigError, MissingTokenError, PackageError, UnsupportedModelError
from russet.json_objects import read_object
from russet.pretrained import AutoTokenizer, PreTrainedTokenizer

__all__ = ["EncoderModel", "FilledMask", "Label"]

Pooling = Literal["auto", "mean", "cls", "last", "pooler"]
Rows = Mapping[str, NDArray[Any]]
T = TypeVar("T")

_HIDDEN = ("last_hidden_state", "lastHiddenState", "token_embeddings", "tokenEmbeddings", "hidden_states", "hiddenStates")
_POOLED = ("pooler_output", "poolerOutput", "sentence_embedding", "sentenceEmbedding", "embeddings", "embedding")
#: ``token_scores`` and ``class_scores`` are exporters' names.
_LOGITS = ("logits", "token_scores", "tokenScores", "class_scores", "classScores")
_PROBABILITIES = ("probabilities", "probs")
_MASK_TOKENS = ("[MASK]", "<mask>")


@dataclass(frozen=True)
class FilledMask:
    """A token for a mask."""

    #: The token's probability.
    score: float
    id: int
    #: The token, as text.
    token: str
    #: The whole text with the token in the mask's place.
    text: str


@dataclass(frozen=True)
class Label:
    """A label of a text."""

    label: str
    score: float


class EncoderModel:
    """A model that reads a whole text at once. Made by :meth:`from_pretrained`.

    ``model`` runs the package, ``config`` is what its ``config.json`` says.

    Raises:
        UnsupportedModelError: if the package takes other things than ids, a mask, types and positions, or has states.
    """

    def __init__(
        self,
        model: Backend,
        tokenizer: Tokenizer | PreTrainedTokenizer | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        missing_tokenizer: str | None = None,
    ) -> None:
        self.model = model
        self.config = dict(config or {})
        limits = [self.config.get(name) for name in ("max_seq_length", "max_position_embeddings")]
        known = [limit for limit in limits if isinstance(limit, int) and limit > 0]
        pad_id = self.config.get("pad_token_id")
        self._batches = EncoderBatches(
            model, tokenizer, min(known, default=None), pad_id if isinstance(pad_id, int) else None, missing_tokenizer
        )

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo_id: str | os.PathLike[str],
        tokenizer: Tokenizer | PreTrainedTokenizer | str | os.PathLike[str] | None = None,
        backend: Literal["auto", "coremltools", "portable"] = "auto",
        *,
        function: str | None = None,
        variant: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **options: Any,
    ) -> EncoderModel:
        """Loads a model from a package, from a folder that holds one, or from a repository on the Hub.

        Args:
            path_or_repo_id: An ``.mlpackage`` (on macOS also an ``.mlmodelc``), or a folder or repository with one and, beside it,
                the files of its tokenizer, ``config.json``, and what sentence-transformers keeps (``1_Pooling/config.json``,
                ``sentence_bert_config.json``). A path that is there wins.
            tokenizer: A tokenizer, its file, folder or repository, instead of the files beside the package. Without either, the
                tokenizer is that of the repository which the package's metadata names (``co.huggingface.exporters.name``).
            backend: What runs the package; see :func:`russet.coreml.load`.
            function: One of the package's functions, if not its default one.
            variant: Which package, where there are several: its name or a part of it, such as ``int4``.
            revision: A branch, tag or commit of the repository; ``token``, ``cache_dir`` and ``local_files_only`` as for
                :func:`russet.hub.resolve`.
            options: Options of the backend.

        Returns:
            The model; without a tokenizer its methods that take text raise :class:`MissingTokenizerError`.

        Raises:
            MissingFileError: if there is no package.
            FolderError: if there are several.
            PackageError: if it is damaged.
            UnsupportedModelError: if it is no encoder model.
            ConfigError: if a file beside it is damaged.
            HubError: if the repository cannot be had.
        """
        where: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        package = settings.find_package(path_or_repo_id, variant, where)
        model = load(package, backend, function, **options)
        reason = None
        if tokenizer is None:
            tokenizer, reason = settings.find_tokenizer(package.parent, model.describe().metadata, where)
        elif not isinstance(tokenizer, Tokenizer | PreTrainedTokenizer):
            tokenizer = AutoTokenizer.from_pretrained(tokenizer, **where)
        return cls(model, tokenizer, _config(package.parent), missing_tokenizer=reason)

    @property
    def tokenizer(self) -> Tokenizer | PreTrainedTokenizer | None:
        """The tokenizer, if there is one."""
        return self._batches.given

    @property
    def max_length(self) -> int:
        """The greatest number of tokens in a text, special tokens included; longer texts are cut."""
        return self._batches.max_length

    @property
    def labels(self) -> list[str] | None:
        """The labels: ``classes`` of the package's metadata, or ``id2label`` of its configuration.

        Raises:
            ConfigError: if ``id2label`` is damaged.
        """
        classes = self.model.describe().metadata.get("classes")
        if classes:
            return [label.strip() for label in classes.split(",")]
        named = self.config.get("id2label")
        if named is None:
            return None
        try:
            return [str(named[str(index)]) for index in range(len(named))]
        except (KeyError, TypeError):
            raise ConfigError("config.json: id2label does not name the labels 0, 1, 2 ...") from None

    def embed(
        self, texts: Text | Sequence[Text], *, pooling: Pooling = "auto", normalize: bool = True, truncation: bool = True
    ) -> NDArray[np.float32]:
        """A vector for each text.

        ``pooling`` is how it is made of the tokens' vectors: their ``"mean"``, the first's (``"cls"``), the ``"last"``'s, or the
        package's own (``"pooler"``). ``"auto"`` is what the package's files say; without, the mean, or its own if it gives no
        vectors of tokens. ``normalize`` makes the length 1.

        Returns:
            (d,) for a text or a pair, (n, d) for a list.

        Raises:
            ArgumentError: if the package cannot be pooled so.
            ContextLengthError: if a text is too long and ``truncation`` is off.
            MissingTokenizerError: if there is no tokenizer.
        """
        outputs = self.model.function.outputs
        hidden, pooled = first(outputs, _HIDDEN), first(outputs, _POOLED)
        if pooling == "auto":
            pooling = self.config.get("pooling") or ("pooler" if hidden is None and pooled is not None else "mean")
        if pooling not in ("mean", "cls", "last", "pooler"):
            message = f"pooling is {pooling!r}, and must be 'auto', 'mean', 'cls', 'last' or 'pooler'"
            raise ArgumentError(message, argument="pooling")
        name = pooled if pooling == "pooler" else hidden
        if name is None:
            message = f"the package has no output for pooling={pooling!r}: there are {names_of(outputs)}"
            raise ArgumentError(message, argument="pooling")

        def vector(rows: Rows, text: Encoded) -> NDArray[np.float32]:
            values = _row(rows, name, 1 if pooling == "pooler" else 2).astype(np.float64)
            if pooling != "pooler":
                values = values[: len(text.ids)]
                values = values[0] if pooling == "cls" else values[-1] if pooling == "last" else values.mean(axis=0)
            if normalize:
                values = values / max(float(np.linalg.norm(values)), 1e-12)
            return np.asarray(values, np.float32)

        found = self._run(texts, vector, truncation)
        if _is_one(texts):
            return found[0]
        shape = outputs[name].shape
        return np.stack(found) if found else np.zeros((0, shape[-1] if shape else 0), np.float32)

    @overload
    def token_embeddings(self, texts: Text, *, truncation: bool = True) -> NDArray[np.float32]: ...  # type: ignore[overload-overlap]
    @overload
    def token_embeddings(self, texts: Sequence[Text], *, truncation: bool = True) -> list[NDArray[np.float32]]: ...
    def token_embeddings(
        self, texts: Text | Sequence[Text], *, truncation: bool = True
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """The vectors of each text's tokens: special tokens are included, padding is not.

        Returns:
            (tokens, d) for a text or a pair, a list of them for a list.
        """
        name = self._output(_HIDDEN)

        def vectors(rows: Rows, text: Encoded) -> NDArray[np.float32]:
            values: NDArray[np.float32] = _row(rows, name, 2)[: len(text.ids)].astype(np.float32)
            return values

        found = self._run(texts, vectors, truncation)
        return found[0] if _is_one(texts) else found

    def fill_mask(
        self, text: str, *, top_k: int = 5, targets: Sequence[str] | None = None, mask_token: str | None = None
    ) -> list[list[FilledMask]]:
        """The likeliest tokens for each mask of a text, with their probabilities.

        ``targets`` limits them to some tokens. ``mask_token`` is ``[MASK]`` or ``<mask>``, whichever the tokenizer has.

        Returns:
            A list for each mask, the best first.

        Raises:
            ArgumentError: if the text has no mask, or a target is no token.
            MissingTokenError: if the tokenizer has no mask token.
            ContextLengthError: if the text is too long.
        """
        name, tokenizer = self._output(_LOGITS), self._batches.tokenizer
        names = _MASK_TOKENS if mask_token is None else (mask_token,)
        mask = next((id for id in map(tokenizer.token_to_id, names) if id is not None), None)
        if mask is None:
            raise MissingTokenError(f"the tokenizer has no token {' or '.join(names)}: pass mask_token=")
        _check_top_k(top_k)
        allowed = None if targets is None else np.unique([_target(tokenizer, target) for target in targets])
        if allowed is not None and not len(allowed):
            raise ArgumentError("targets is empty", argument="targets")
        encoded = self._batches.encode(text, truncation=False)
        places = np.flatnonzero(encoded.ids == mask)
        if not len(places):
            raise ArgumentError(f"the text has no {tokenizer.id_to_token(mask)}", argument="text")

        def choices(rows: Rows, text: Encoded) -> list[list[FilledMask]]:
            found = []
            for place, logits in zip(places, _row(rows, name, 2)[places].astype(np.float64), strict=True):
                scores = _softmax(logits)
                ids = np.arange(len(scores)) if allowed is None else allowed
                best = ids[np.argsort(-scores[ids], kind="stable")[:top_k]]
                found.append([FilledMask(float(scores[id]), int(id), *filled(int(place), int(id))) for id in best])
            return found

        def filled(place: int, id: int) -> tuple[str, str]:
            whole = encoded.ids.copy()
            whole[place] = id
            # Models have more logits than tokens, now and then. Other masks must be seen, and they are special tokens.
            token = tokenizer.decode([id], skip_special_tokens=False, on_unknown="skip")
            return token, tokenizer.decode(whole, skip_special_tokens=len(places) == 1, on_unknown="skip")

        return self._batches.run([encoded], choices)[0]

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, texts: Text, *, top_k: int | None = None, function: str | None = None, truncation: bool = True
    ) -> list[Label]: ...
    @overload
    def classify(
        self, texts: Sequence[Text], *, top_k: int | None = None, function: str | None = None, truncation: bool = True
    ) -> list[list[Label]]: ...
    def classify(
        self, texts: Text | Sequence[Text], *, top_k: int | None = None, function: str | None = None, truncation: bool = True
    ) -> list[Label] | list[list[Label]]:
        """The labels of each text with their scores, the best first; all, or ``top_k`` of them.

        ``function`` makes scores of logits: ``"softmax"``, ``"sigmoid"`` or ``"none"``. Without one it follows ``problem_type`` of
        the configuration, as in transformers: sigmoid for several labels at a time or a single one, none for regression, else
        softmax.

        Returns:
            A list for a text or a pair, a list of lists for a list.

        Raises:
            PackageError: if there are more or fewer labels than logits.
        """
        ready = first(self.model.function.outputs, _PROBABILITIES)
        name = ready or self._output(_LOGITS)
        if function not in (None, "softmax", "sigmoid", "none"):
            raise ArgumentError(f"function is {function!r}, and must be 'softmax', 'sigmoid' or 'none'", argument="function")
        _check_top_k(top_k)
        labels = self.labels

        def classified(rows: Rows, _: Encoded) -> list[Label]:
            logits = _row(rows, name, 1).astype(np.float64)
            names = labels or [f"LABEL_{index}" for index in range(len(logits))]
            if len(names) != len(logits):
                raise PackageError(f"there are {len(names)} labels, and the output {name!r} has {len(logits)} values")
            scores = _scores(logits, function or ("none" if ready else self._default_function(len(logits))))
            return [Label(names[index], float(scores[index])) for index in np.argsort(-scores, kind="stable")[:top_k]]

        found = self._run(texts, classified, truncation)
        return found[0] if _is_one(texts) else found

    def _default_function(self, count: int) -> str:
        kind = self.config.get("problem_type")
        if kind == "regression":
            return "none"
        return "sigmoid" if kind == "multi_label_classification" or count == 1 else "softmax"

    def _run(self, texts: Text | Sequence[Text], take: Take[T], truncation: bool) -> list[T]:
        """What ``take`` makes of each text; a text or a pair by itself is a list of one."""
        given: Sequence[Any] = [texts] if _is_one(texts) else texts
        return self._batches.run([self._batches.encode(text, truncation=truncation) for text in given], take)

    def _output(self, names: Sequence[str]) -> str:
        outputs = self.model.function.outputs
        name = first(outputs, names)
        if name is None:
            raise UnsupportedModelError(f"no output is called {' or '.join(names[:2])}: there are {names_of(outputs)}")
        return name


def _is_one(texts: Text | Sequence[Text]) -> bool:
    return isinstance(texts, str | tuple)


def _row(rows: Rows, name: str, dimensions: int) -> NDArray[Any]:
    if name not in rows or rows[name].ndim != dimensions:
        raise UnsupportedModelError(f"the output {name!r} has not {dimensions} dimensions for each text")
    return rows[name]


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    scores: NDArray[np.float64] = weights / weights.sum()
    return scores


def _scores(logits: NDArray[np.float64], function: str) -> NDArray[np.float64]:
    if function == "softmax":
        return _softmax(logits)
    if function == "sigmoid":
        # By tanh, which does not overflow.
        return 0.5 * (1 + np.tanh(0.5 * logits))
    return logits


def _check_top_k(top_k: int | None) -> None:
    if top_k is not None and top_k < 1:
        raise ArgumentError(f"top_k is {top_k}, and must be at least 1", argument="top_k")


def _target(tokenizer: Tokenizer, target: str) -> int:
    id = tokenizer.token_to_id(target)
    if id is None:
        raise ArgumentError(f"{target!r} is no token of the vocabulary", argument="targets")
    return id


def _config(folder: Path) -> dict[str, Any]:
    config = read_object(folder / "config.json") or {}
    pooling = read_object(folder / "1_Pooling" / "config.json") or {}
    if pooling:
        config["pooling"] = _pooling(pooling)
    sentence = read_object(folder / "sentence_bert_config.json") or {}
    if "max_seq_length" in sentence:
        config["max_seq_length"] = sentence["max_seq_length"]
    return config


def _pooling(config: Mapping[str, Any]) -> str:
    """The pooling that sentence-transformers' file names; one that is not known stays as it is, and is refused when it is used."""
    if "pooling_mode" in config:
        return {"lasttoken": "last"}.get(str(config["pooling_mode"]), str(config["pooling_mode"]))
    names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
    chosen = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    return "+".join(names.get(key, key.removeprefix("pooling_mode_")) for key in chosen) or "mean"
