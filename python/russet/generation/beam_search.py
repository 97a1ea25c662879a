"""Beam search, equal to transformers' 5.23: the same sequences, in the same order, with the same scores.

Each step takes the best ``max(2, 1 + n) * num_beams`` continuations of all beams, n the number of ids that end a text. Those of
the best ``num_beams`` that end are finished, with the sum of their log-probabilities over the length to the power of
``length_penalty``; the best ``num_beams`` of those that do not end go on. Processors change log-probabilities, not logits. Sums
are float32, as there.

A step reads one token for each beam, and sorts num_beams * V numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from russet import LogitsProcessors
from russet.errors import InvalidLogitsError
from russet.generation.loop import FinishReason, Reading, greatest

__all__ = ["Beam", "beam_search"]

#: What stands for minus infinity in scores, and what no sum of log-probabilities is below.
_FAR_BELOW = np.float32(-1e9)
_POSSIBLE = np.float32(-5e8)


class Beam(NamedTuple):
    """A sequence that was found."""

    ids: list[int]
    score: float
    finish_reason: FinishReason
    #: Whether it can be at all: where there are fewer sequences than beams, some stand for none.
    is_possible: bool = True


def beam_search(
    reading: Reading,
    logits: NDArray[np.float32],
    processors: LogitsProcessors,
    prompt_ids: Sequence[int],
    *,
    num_beams: int,
    count: int,
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
) -> list[Beam]:
    """The ``count`` best sequences behind a prompt, the best first, from the logits behind it, (1, V); fewer if there are fewer.

    Where the search is cancelled or its time is over, the beams as they are count as sequences.
    """
    search = _Search(reading, prompt_ids, num_beams, length_penalty, early_stopping)
    readings = [reading] * num_beams
    rows = np.repeat(logits, num_beams, axis=0)
    while True:
        parents, tokens = search.step(log_softmax(rows), processors, rows)
        if search.is_over:
            return [beam for beam in search.finished if beam.is_possible][:count]
        interrupted = reading.limits.interrupted()
        if interrupted is not None:
            return [beam for beam in search.so_far(interrupted) if beam.is_possible][:count]
        readings = _branches([readings[parent] for parent in parents])
        rows = np.concatenate([each.extend(int(token)) for each, token in zip(readings, tokens, strict=True)])


def _branches(readings: list[Reading]) -> list[Reading]:
    """A reading for each beam: the one of its parent, or a copy where several go on from it."""
    last = {id(each): index for index, each in enumerate(readings)}
    return [each if last[id(each)] == index else each.branch() for index, each in enumerate(readings)]


class _Search:
    """The beams that go on, and those that are finished."""

    def __init__(
        self,
        reading: Reading,
        prompt_ids: Sequence[int],
        num_beams: int,
        length_penalty: float,
        early_stopping: bool | Literal["never"],
    ) -> None:
        limits = reading.limits
        self._limits = limits
        self._num_beams = num_beams
        self._length_penalty = length_penalty
        self._early_stopping = early_stopping
        self._prompt_length = len(prompt_ids)
        self._most = limits.max_new_tokens
        if limits.on_context_end == "stop":
            # The last token is not read.
            self._most = min(self._most, reading.room + 1)
        self._kept = max(2, 1 + len(limits.eos_ids)) * num_beams
        #: How many tokens are generated.
        self._length = 0
        #: The ids of the beams that go on, (num_beams, n), and their scores, the best first. Only one counts at the beginning.
        self._ids = np.tile(np.asarray(prompt_ids, dtype=np.int64), (num_beams, 1))
        self._scores = np.full(num_beams, _FAR_BELOW)
        self._scores[0] = 0
        #: The best that are finished; fewer than ``num_beams`` until so many are.
        self.finished: list[Beam] = []
        self._could_improve = True
        self.is_over = False

    def step(
        self, log_probs: NDArray[np.float32], processors: LogitsProcessors, logits: NDArray[np.float32]
    ) -> tuple[list[int], list[int]]:
        """Takes the best continuations; gives the beams that go on: which one each comes from, and its token."""
        all_scores = processors(self._ids, log_probs)
        _check(all_scores, logits)
        vocab_size = all_scores.shape[1]
        all_scores = (all_scores + self._scores[:, None]).ravel()
        best = greatest(all_scores, min(self._kept, len(all_scores)))
        parents, tokens, scores = best // vocab_size, best % vocab_size, all_scores[best]
        ids = np.concatenate((self._ids[parents], tokens[:, None]), axis=1)
        self._length += 1
        reasons = [self._reason(each, logits[parent : parent + 1]) for each, parent in zip(ids, parents, strict=True)]
        ends = np.array([reason is not None for reason in reasons])
        self._finish(ids, scores, reasons)

        running: NDArray[np.float32] = np.where(ends, scores + _FAR_BELOW, scores)
        onward = greatest(running, self._num_beams)
        self._ids, self._scores = ids[onward], running[onward]
        self._could_improve = self._could_improve and self._improves()
        is_full = len(self.finished) == self._num_beams
        self.is_over = not self._could_improve or (is_full and self._early_stopping is True) or bool(ends.all())
        return parents[onward].tolist(), tokens[onward].tolist()

    def so_far(self, reason: FinishReason) -> list[Beam]:
        """The best of what is finished and what is not."""
        scores = self._scores / self._penalty(self._length)
        running = [
            Beam(ids[self._prompt_length :].tolist(), float(score), reason, bool(raw > _POSSIBLE))
            for ids, score, raw in zip(self._ids, scores, self._scores, strict=True)
        ]
        return sorted([*self.finished, *running], key=lambda beam: -beam.score)

    def _reason(self, ids: NDArray[np.int64], logits: NDArray[np.float32]) -> FinishReason | None:
        if int(ids[-1]) in self._limits.eos_ids:
            return "stop"
        asked = [bool(np.all(criterion(ids[None], logits))) for criterion in self._limits.criteria]
        if any(asked):
            return "stop"
        return "length" if self._length >= self._most else None

    def _finish(self, ids: NDArray[np.int64], scores: NDArray[np.float32], reasons: Sequence[FinishReason | None]) -> None:
        """Takes those of the best continuations that end, if they are better than what is finished already."""
        if not self._could_improve or (len(self.finished) == self._num_beams and self._early_stopping is True):
            return
        penalized = scores / self._penalty(self._length)
        ended = [
            Beam(ids[index, self._prompt_length :].tolist(), float(penalized[index]), reason, bool(scores[index] > _POSSIBLE))
            for index, reason in enumerate(reasons[: self._num_beams])
            if reason is not None
        ]
        # Sorting is stable: of equals the one that was first stays first.
        self.finished = sorted([*self.finished, *ended], key=lambda beam: -beam.score)[: self._num_beams]

    def _improves(self) -> bool:
        """Whether the best beam that goes on could be better than the worst that is finished, as transformers guesses it."""
        if len(self.finished) < self._num_beams:
            return True
        length = self._most if self._early_stopping == "never" and self._length_penalty > 0 else self._length
        return bool(self._scores[0] / self._penalty(length) > np.float32(self.finished[-1].score))

    def _penalty(self, length: int) -> np.float32:
        penalty: np.float32 = np.float32(math.pow(length, self._length_penalty))
        return penalty


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each row, by sums in float64."""
    with np.errstate(invalid="ignore"):  # what is invalid stays so, and is looked at after processors
        shifted = logits - logits.max(axis=1, keepdims=True)
        sums = np.exp(shifted, dtype=np.float64).sum(axis=1, keepdims=True)
        result: NDArray[np.float32] = (shifted - np.log(sums)).astype(np.float32)
    return result


def _check(scores: NDArray[np.float32], logits: NDArray[np.float32]) -> None:
    """Raises an error for scores that cannot be compared, and where no token is left for any beam."""
    if np.isfinite(scores.max()):
        return
    if not np.isfinite(logits.max()):
        scores = logits
    best = scores.max()
    wrong = np.isnan(scores) if np.isnan(best) else scores == best
    row, index = (int(each) for each in np.argwhere(wrong)[0])
    kind = "NaN" if np.isnan(best) else "infinity" if best > 0 else "no token is left"
    error = InvalidLogitsError(f"row {row}, index {index}: {kind}")
    error.row, error.index, error.kind = row, index, kind
    raise error
