"""What generation asks of a language model.

A :class:`Context` is the tokens that a model has read, with whatever it keeps of them (keys and values, or nothing but the ids).
It grows by :meth:`Context.extend` and shrinks by :meth:`Context.rewind`; nothing else is needed to sample, to stream, to check
drafts and to go on from a prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Context(Protocol):
    """The tokens that a model has read. Not for two threads at once."""

    @property
    def ids(self) -> Sequence[int]:
        """The ids of the tokens that were read, in order."""

    def extend(self, ids: Sequence[int], *, all_logits: bool = False) -> NDArray[np.float32]:
        """Reads more tokens: one (a step) or many (a prompt, a draft).

        Returns:
            Logits of the token that follows the last one, ``(1, V)``; with ``all_logits`` those behind every given token,
            ``(len(ids), V)``. The array is the caller's.

        Raises:
            ContextLengthError: if the context would grow past the model's. Nothing is read then.
            UnsupportedModelError: if all logits are asked of a model that gives the last token's alone, and cannot be run
                token by token.
        """

    def rewind(self, length: int) -> None:
        """Forgets all tokens but the first ``length``."""

    def fork(self) -> Context:
        """A copy that goes its own way."""

    def save(self) -> dict[str, NDArray[Any]]:
        """What is kept of the tokens, by name, ``ids`` among it."""

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Takes what :meth:`save` gave, of the same model.

        Raises:
            ArgumentError: if it is of another model or damaged.
        """


@runtime_checkable
class LanguageModel(Protocol):
    """A model that gives logits of the next token."""

    @property
    def context_length(self) -> int:
        """The greatest number of tokens in a context."""

    @property
    def vocab_size(self) -> int:
        """The number of logits in a row, V."""

    def new_context(self) -> Context:
        """A context without tokens."""
