"""A language model of a few lines: its logits are a fixed function of the last ids, the same in NumPy and in torch.

The logits behind a text are a row of one table for its last id, and half of a row of another for the one before (``tables.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tables import tables

from russet.errors import ArgumentError, ContextLengthError, UnsupportedModelError


class TableModel:
    """Logits of the next token from the last two. ``reads`` counts the tokens that all its contexts have read."""

    def __init__(
        self, vocab_size: int = 32, seed: int = 0, context_length: int = 4096, sharpness: float = 1.0, all_logits: bool = True
    ) -> None:
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.fingerprint = f"table {vocab_size} {seed} {sharpness}"
        self.of_last, self.of_before = tables(vocab_size, seed, sharpness)
        self.gives_all_logits = all_logits
        self.reads = 0
        self.calls: list[int] = []

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Behind all of ``ids``, (V,)."""
        return self.of_last[ids[-1]] + (self.of_before[ids[-2]] if len(ids) > 1 else np.float32(0))

    def new_context(self) -> TableContext:
        return TableContext(self)


class TableContext:
    """The ids, and nothing else. What it is given is checked, so that a loop that breaks the rules fails."""

    def __init__(self, model: TableModel) -> None:
        self.model = model
        self._ids: list[int] = []

    @property
    def ids(self) -> Sequence[int]:
        return tuple(self._ids)

    def extend(self, ids: Sequence[int], *, all_logits: bool = False) -> NDArray[np.float32]:
        assert len(ids) > 0
        if len(self._ids) + len(ids) > self.model.context_length:
            raise ContextLengthError("too long")
        if all_logits and not self.model.gives_all_logits:
            raise UnsupportedModelError("the last token's logits alone")
        self.model.reads += len(ids)
        self.model.calls.append(len(ids))
        rows = []
        for each in ids:
            self._ids.append(each)
            if all_logits:
                rows.append(self.model.logits(self._ids))
        return np.stack(rows) if all_logits else self.model.logits(self._ids)[None].copy()

    def rewind(self, length: int) -> None:
        assert 0 <= length <= len(self._ids)
        del self._ids[length:]

    def fork(self) -> TableContext:
        other = TableContext(self.model)
        other._ids = self._ids.copy()
        return other

    def save(self) -> dict[str, NDArray[Any]]:
        return {"ids": np.array(self._ids, dtype=np.int64), "check": np.array([sum(self._ids)], dtype=np.float32)}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        if set(saved) != {"ids", "check"} or saved["ids"].sum() != saved["check"][0]:
            raise ArgumentError("it is not of this model")
        self._ids = saved["ids"].tolist()


class ScriptedModel(TableModel):
    """Greedy decoding gives the ids of a script, whatever the prompt of ``prompt_length`` ids is."""

    def __init__(self, script: Sequence[int], vocab_size: int, prompt_length: int = 1) -> None:
        super().__init__(vocab_size=2)
        self.vocab_size = vocab_size
        self.script = script
        self.prompt_length = prompt_length

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        row = np.zeros(self.vocab_size, dtype=np.float32)
        row[self.script[len(ids) - self.prompt_length]] = 1
        return row
