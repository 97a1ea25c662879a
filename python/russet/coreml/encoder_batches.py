"""Runs an encoder package over texts: cut and padded to its shapes, in batches where it takes several texts at a time.

Texts are sorted by length, and each batch is given the smallest shape that it fits into, so that little is computed on padding.
Padding is on the right, where it changes neither positions nor, behind the mask, results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from russet import Tokenizer, Truncation
from russet.coreml.backend import Backend, Feature
from russet.errors import ArgumentError, ContextLengthError, MissingTokenizerError, UnsupportedModelError
from russet.pretrained import PreTrainedTokenizer

#: A text, or a pair of texts.
Text = str | tuple[str, str]
T = TypeVar("T")

_IDS = ("input_ids", "inputIds")
_MASKS = ("attention_mask", "attentionMask")
_TYPES = ("token_type_ids", "tokenTypeIds")
_POSITIONS = ("position_ids", "positionIds")
_PAD_TOKENS = ("[PAD]", "<pad>")

#: So many texts are run at a time at most, where a package takes any number.
_GREATEST_BATCH = 32
#: A batch is made larger while it costs at most so many times what the cheapest one costs for each token.
_WASTE = 1.25
_UNBOUNDED = 1 << 31


class Encoded(NamedTuple):
    """A text's ids and types (0, or 1 for a pair's second text), special tokens included."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]


class _Shape(NamedTuple):
    """The least and the greatest number of texts and of tokens in each."""

    texts: tuple[int, int]
    tokens: tuple[int, int]


#: What is made of a text: its outputs by name, without padding of texts but with that of tokens; and the text.
Take = Callable[[Mapping[str, NDArray[Any]], Encoded], T]


class EncoderBatches:
    """A package with a tokenizer.

    ``greatest_length`` is a limit on tokens besides the package's own; ``pad_id`` is used if the tokenizer names none;
    ``missing_tokenizer`` says why there is no tokenizer.
    """

    def __init__(
        self,
        model: Backend,
        tokenizer: Tokenizer | PreTrainedTokenizer | None,
        greatest_length: int | None = None,
        pad_id: int | None = None,
        missing_tokenizer: str | None = None,
    ) -> None:
        self.model = model
        self.given = tokenizer
        self._missing_tokenizer = missing_tokenizer
        self._pad_id = pad_id
        inputs = model.function.inputs
        if model.function.states:
            raise UnsupportedModelError("the package has states: it is no encoder model")
        found = {role: first(inputs, names) for role, names in zip(("ids", "mask", "types", "places"), _ROLES, strict=True)}
        self._inputs: dict[str, str] = {role: name for role, name in found.items() if name is not None}
        if "ids" not in self._inputs:
            raise UnsupportedModelError(f"no input is called {' or '.join(_IDS)}: there are {names_of(inputs)}")
        for name, feature in inputs.items():
            if name not in self._inputs.values():
                if not feature.is_optional:
                    raise UnsupportedModelError(f"the input {name!r} is not known: there may be ids, mask, types and positions")
            elif len(feature.shape) != 2:
                raise UnsupportedModelError(f"the input {name!r} has the shape {feature.allowed()}, and not two dimensions")
        self._shapes = _shapes(inputs[self._inputs["ids"]])
        limit = max(shape.tokens[1] for shape in self._shapes)
        #: The greatest number of tokens in a text, special tokens included.
        self.max_length = limit if greatest_length is None else min(limit, greatest_length)

    @property
    def tokenizer(self) -> Tokenizer:
        """What makes ids of texts.

        Raises:
            MissingTokenizerError: if there is none.
        """
        if self.given is None:
            raise MissingTokenizerError(self._missing_tokenizer or "the model has no tokenizer: pass tokenizer= when it is loaded")
        return self.given.core if isinstance(self.given, PreTrainedTokenizer) else self.given

    def encode(self, text: Text, *, truncation: bool) -> Encoded:
        """The ids of a text or a pair, at most :attr:`max_length`.

        Raises:
            ContextLengthError: if there are more, and ``truncation`` is off.
            ArgumentError: if there are none.
        """
        first_text, pair = text if isinstance(text, tuple) else (text, None)
        own = self.tokenizer.truncation
        direction: Any = own.direction if own else getattr(self.given, "truncation_side", "right")
        limit: Truncation | bool = Truncation(self.max_length, direction=direction) if truncation else False
        encoding = self.tokenizer.encode(first_text, pair, truncation=limit, padding=False, keep_text=True)
        ids = encoding.ids_array.astype(np.int64)
        if len(ids) > self.max_length:
            message = f"the text has {len(ids)} tokens, and the model takes {self.max_length} at most"
            raise ContextLengthError(message, value=len(ids), limit=self.max_length)
        if not len(ids):
            raise ArgumentError("a text has no tokens", argument="texts")
        types = np.array(encoding.type_ids, np.int64) if "types" in self._inputs else np.zeros(len(ids), np.int64)
        return Encoded(ids, types)

    def run(self, texts: Sequence[Encoded], take: Take[T]) -> list[T]:
        """What ``take`` makes of each text's outputs, in the order of the texts."""
        results: dict[int, T] = {}
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index].ids))
        lengths = [len(texts[index].ids) for index in order]
        done = 0
        while done < len(order):
            count, (batch, width) = self._batch(lengths[done:])
            indices = order[done : done + count]
            outputs = self._predict([texts[index] for index in indices], batch, width)
            for row, index in enumerate(indices):
                rows = {name: value[row] for name, value in outputs.items() if value.ndim and value.shape[0] == batch}
                results[index] = take(rows, texts[index])
            done += count
        return [results[index] for index in range(len(texts))]

    def _batch(self, lengths: Sequence[int]) -> tuple[int, tuple[int, int]]:
        """How many of the texts, the longest first, are run now, and the sizes of the arrays."""
        options = []
        for shape in self._shapes:
            if shape.tokens[1] < lengths[0]:
                continue
            width = max(lengths[0], shape.tokens[0])
            total = 0
            for count, length in enumerate(lengths[: min(shape.texts[1], _GREATEST_BATCH)], start=1):
                total += length
                batch = max(count, shape.texts[0])
                options.append((batch * width / total, count, (batch, width)))
        cheapest = min(cost for cost, _, _ in options)
        _, count, sizes = max(
            (option for option in options if option[0] <= cheapest * _WASTE), key=lambda option: (option[1], -option[0])
        )
        return count, sizes

    def _predict(self, texts: Sequence[Encoded], batch: int, width: int) -> dict[str, NDArray[Any]]:
        arrays = {role: np.zeros((batch, width), np.int64) for role in self._inputs}
        padding = self.tokenizer.padding
        arrays["ids"][:] = padding.pad_id if padding else self._default_pad_id()
        for row in range(batch):
            # A batch that must be larger than there are texts has the last one several times.
            ids, types = texts[min(row, len(texts) - 1)]
            arrays["ids"][row, : len(ids)] = ids
            if "types" in arrays:
                arrays["types"][row, : len(ids)] = types
                arrays["types"][row, len(ids) :] = padding.pad_type_id if padding else 0
            if "mask" in arrays:
                arrays["mask"][row, : len(ids)] = 1
            elif len(ids) < width:
                raise UnsupportedModelError(
                    f"the package has no attention mask, so {len(ids)} tokens cannot be padded to the {width} that it takes"
                )
        if "places" in arrays:
            arrays["places"][:] = np.arange(width)
            if not self.model.function.inputs[self._inputs["places"]].accepts((batch, width)):
                arrays["places"] = arrays["places"][:1]
        return self.model.predict({name: arrays[role] for role, name in self._inputs.items()})

    def _default_pad_id(self) -> int:
        if self._pad_id is not None:
            return self._pad_id
        named = getattr(self.given, "pad_token_id", None)
        found = (id for id in (named, *map(self.tokenizer.token_to_id, _PAD_TOKENS)) if id is not None)
        return next(found, 0)


_ROLES = (_IDS, _MASKS, _TYPES, _POSITIONS)


def _shapes(feature: Feature) -> list[_Shape]:
    if feature.enumerated:
        return [_Shape((texts, texts), (tokens, tokens)) for texts, tokens in feature.enumerated]
    if feature.ranges:
        return [_Shape(*((low, _UNBOUNDED if high < 0 else high) for low, high in feature.ranges))]
    texts, tokens = feature.shape
    return [_Shape((texts, texts), (tokens, tokens))]


def first(features: Mapping[str, Feature], names: Sequence[str]) -> str | None:
    """The first of the names that there is a feature of."""
    return next((name for name in names if name in features), None)


def names_of(features: Mapping[str, Feature]) -> str:
    """The names, for people."""
    return ", ".join(map(repr, features)) or "none"
