"""Decoding with drafts: several tokens are guessed, read at once, and those that hold are kept.

The text has the distribution that it has without drafts, whoever guesses.

- Where a guess is certain (prompt lookup, and greedy decoding with a small model), each token is taken from the model's logits as
  ever, and the guess holds as long as it is the same token. So the text is the same, for one seed, as without drafts.
- Where a small model draws its guesses, they are accepted by :func:`russet.accept_draft`, which keeps more of them: the text is
  another one for the same seed, of the same distribution. The same filters and processors apply to both models.

It pays where reading k tokens costs little more than reading one. It does not where guesses seldom hold: each costs a read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from russet import Sampler, accept_draft
from russet.generation.loop import History, Reading, Step
from russet.generation.protocol import LanguageModel

__all__ = ["assisted", "prompt_lookup"]

_Rows = NDArray[np.float32]
#: Guesses at most so many tokens, where so many were generated.
_Propose = Callable[[int, int], list[int]]
#: The tokens that come of a draft, each with whether the draft had it, from the logits behind its beginnings, (k + 1, V).
_Accept = Callable[[_Rows, list[int], int], Iterator[tuple[int, bool]]]

#: Rows of random numbers for a small model's draws, apart from those that accept them.
_DRAFT_ROWS = 1 << 31


def prompt_lookup(
    reading: Reading,
    logits: _Rows,
    sampler: Sampler,
    history: History,
    *,
    num_tokens: int,
    max_matching_ngram_size: int,
    row: int = 0,
    reads_history: bool = True,
) -> Iterator[Step]:
    """As :func:`russet.generation.loop.decode`, where what followed the last few ids before is guessed to follow again."""

    def propose(most: int, count: int) -> list[int]:
        return looked_up(history.view(), min(most, num_tokens), max_matching_ngram_size)

    return _speculate(reading, logits, history, propose, _by_comparison(sampler, history, row, reads_history))


def looked_up(ids: NDArray[np.int64], most: int, longest: int) -> list[int]:
    """What followed the last ids where they came before: of the longest run that did, the latest place. O(n) for each length."""
    if most < 1:
        return []
    for size in range(min(longest, len(ids) - 1), 0, -1):
        places = np.flatnonzero(ids[size - 1 : -1] == ids[-1])
        for back in range(1, size):
            places = places[ids[places + (size - 1 - back)] == ids[-1 - back]]
        if len(places):
            begin = int(places[-1]) + size
            return [int(each) for each in ids[begin : begin + most]]
    return []


def assisted(
    reading: Reading,
    logits: _Rows,
    sampler: Sampler,
    history: History,
    *,
    assistant: LanguageModel,
    draft_sampler: Sampler,
    draws: bool,
    num_tokens: int,
    row: int = 0,
    reads_history: bool = True,
) -> Iterator[Step]:
    """As :func:`russet.generation.loop.decode`, where a small model guesses. ``draft_sampler`` filters as ``sampler`` does."""
    drafter = _Drafter(assistant, draft_sampler, history, _DRAFT_ROWS + row, draws, reads_history)

    def propose(most: int, count: int) -> list[int]:
        return drafter.propose(min(most, num_tokens), count)

    def accept(rows: _Rows, draft: list[int], count: int) -> Iterator[tuple[int, bool]]:
        ids = np.concatenate((history.view(), np.array(draft, dtype=np.int64)))
        probs = [
            sampler.probs(rows[index], ids[: history.length + index] if reads_history else None, step=count + index, row=row)
            for index in range(len(draft) + 1)
        ]
        target = np.stack(probs)
        drafted = np.stack(drafter.probs) if draft else np.empty((0, target.shape[1]))
        accepted, follows = accept_draft(draft, drafted, target, seed=sampler.seed, step=count, row=row)
        for token in draft[:accepted]:
            yield token, True
        yield follows, False

    return _speculate(reading, logits, history, propose, accept if draws else _by_comparison(sampler, history, row, reads_history))


class _Drafter:
    """A small model that reads along and guesses ahead."""

    def __init__(
        self, model: LanguageModel, sampler: Sampler, history: History, row: int, draws: bool, reads_history: bool
    ) -> None:
        self._context = model.new_context()
        self._length = model.context_length
        self._sampler = sampler
        self._history = history
        self._row = row
        self._draws = draws
        self._reads_history = reads_history
        #: The last draft.
        self._draft: list[int] = []
        self._drafted_at = 0
        #: The probabilities that each token of the last draft was drawn with, (V,); none where the best is taken.
        self.probs: list[NDArray[np.float64]] = []

    def propose(self, most: int, count: int) -> list[int]:
        """Guesses tokens behind the history, as far as the context reaches."""
        history = self._history
        ids = history.view()
        most = min(most, self._length - history.length)
        self.probs = []
        if most < 1:
            self._forget(0)
            return []
        self._forget(self._known(ids))
        logits = self._context.extend(ids[len(self._context.ids) :].tolist())
        draft: list[int] = []
        while True:
            seen = np.concatenate((ids, np.array(draft, dtype=np.int64))) if self._reads_history else None
            step = count + len(draft)
            if self._draws:
                self.probs.append(self._sampler.probs(logits[0], seen, step=step, row=self._row))
            draft.append(self._sampler.sample(logits[0], seen, step=step, row=self._row))
            if len(draft) == most:
                break
            logits = self._context.extend((draft[-1],))
        self._draft, self._drafted_at = draft, history.length
        return draft

    def _known(self, ids: NDArray[np.int64]) -> int:
        """How many of ``ids`` the context has: those from before the last draft, and what of it held."""
        read = len(self._context.ids)
        known = min(self._drafted_at, read)
        while known < min(read, len(ids) - 1) and ids[known] == self._draft[known - self._drafted_at]:
            known += 1
        return known

    def _forget(self, length: int) -> None:
        self._draft, self._drafted_at = [], length
        self._context.rewind(length)


def _by_comparison(sampler: Sampler, history: History, row: int, reads_history: bool) -> _Accept:
    """Takes each token as without a draft, as long as the draft has the same."""

    def accept(rows: _Rows, draft: list[int], count: int) -> Iterator[tuple[int, bool]]:
        for index in range(len(draft) + 1):
            token = sampler.sample(rows[index], history.view() if reads_history else None, row=row)
            holds = index < len(draft) and token == draft[index]
            yield token, holds
            if not holds:
                return

    return accept


def _speculate(reading: Reading, logits: _Rows, history: History, propose: _Propose, accept: _Accept) -> Iterator[Step]:
    limits = reading.limits
    draft: list[int] = []
    count, token = 0, -1
    while (interrupted := limits.interrupted()) is None:
        if count:
            # The token that follows a draft is one more.
            draft = propose(min(reading.room - 1, limits.max_new_tokens - count - 1), count)
            logits = reading.extend_with(token, draft)
        steps: list[Step] = []
        index = 0
        for index, (token, holds) in enumerate(accept(logits, draft, count)):
            history.append(token)
            count += 1
            reason = limits.reason(token, count, history, logits[index : index + 1])
            steps.append(limits.step(token, reason, logits[index], holds))
            if reason is not None:
                break
        # Before anything is given: whoever takes it may end here.
        reading.forget(len(draft) - index)
        if steps[-1].finish_reason is None and reading.ends:
            steps[-1] = steps[-1]._replace(finish_reason="length")
        for step in steps:
            yield step
            if step.finish_reason is not None:
                return
            if step is not steps[-1] and (interrupted := limits.interrupted()) is not None:
                yield Step(None, interrupted)
                return
    yield Step(None, interrupted)
