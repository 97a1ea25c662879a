"""The decode loop: sample, read, again, until something ends it. It knows ids alone; text is made of them in ``text.py``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from russet import Sampler
from russet.errors import ContextLengthError
from russet.generation.protocol import Context, LanguageModel

__all__ = ["Criterion", "FinishReason", "History", "Limits", "Reading", "Step", "common_prefix", "decode", "logprobs_of"]

#: Why a generation ended: an id, a string or a criterion that was named; the number of tokens or the context's end; ``max_time``;
#: ``cancel``.
FinishReason = Literal["stop", "length", "time", "cancelled"]

#: Says whether to end, from the ids so far, (1, n), and the logits that the last one was taken from, (1, V).
Criterion = Callable[[NDArray[np.int64], NDArray[np.float32]], Any]


class Step(NamedTuple):
    """What one step of the loop gives."""

    #: The id; ``None`` where the generation was ended before there was one.
    token: int | None
    finish_reason: FinishReason | None = None
    #: The natural logarithm of the token's probability in the model's own distribution, if asked for.
    logprob: float | None = None
    #: The most probable tokens with theirs, if asked for.
    top_logprobs: list[tuple[int, float]] | None = None
    #: Whether the token was drafted.
    from_draft: bool = False


class History:
    """The ids of a prompt and of what follows, as an array that grows. A view of it costs no copy."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.length = len(ids)
        self._ids = np.empty(max(1024, 2 * self.length), dtype=np.int64)
        self._ids[: self.length] = ids

    def append(self, token: int) -> None:
        """Adds an id."""
        if self.length == len(self._ids):
            self._ids = np.concatenate((self._ids, np.empty_like(self._ids)))
        self._ids[self.length] = token
        self.length += 1

    def drop(self, count: int) -> None:
        """Takes the last ids away."""
        self.length -= count

    def view(self) -> NDArray[np.int64]:
        """The ids, (n,). It holds until the next change."""
        return self._ids[: self.length]


@dataclass(slots=True)
class Limits:
    """What ends a generation, and what is told of it."""

    max_new_tokens: int
    eos_ids: frozenset[int] = frozenset()
    criteria: tuple[Criterion, ...] = ()
    cancelled: Callable[[], bool] | None = None
    #: A time of ``time.perf_counter``.
    deadline: float | None = None
    on_context_end: Literal["stop", "error", "slide"] = "stop"
    num_keep: int = 0
    logprobs: bool = False
    top_logprobs: int = 0

    def interrupted(self) -> FinishReason | None:
        """Why no further token is to be made, if so."""
        if self.cancelled is not None and self.cancelled():
            return "cancelled"
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            return "time"
        return None

    def reason(self, token: int, count: int, history: History, logits: NDArray[np.float32]) -> FinishReason | None:
        """Why the ``count``-th token is the last one, if it is."""
        if token in self.eos_ids:
            return "stop"
        if self.criteria:
            ids = history.view()[None]
            # All are asked: they may count.
            asked = [bool(np.all(criterion(ids, logits))) for criterion in self.criteria]
            if any(asked):
                return "stop"
        return "length" if count >= self.max_new_tokens else None

    def step(self, token: int, reason: FinishReason | None, logits: NDArray[np.float32], from_draft: bool = False) -> Step:
        """What is told of a token that was taken from ``logits``, (V,)."""
        if not self.logprobs:
            return Step(token, reason, from_draft=from_draft)
        logprob, top = logprobs_of(logits, token, self.top_logprobs)
        return Step(token, reason, logprob, top or None, from_draft)


def logprobs_of(logits: NDArray[np.float32], token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """The log-probability of a token in the softmax of logits, (V,), and the ``top`` greatest, of equals the lower id first."""
    wide = logits.astype(np.float64)
    shift = wide.max()
    wide -= shift + np.log(np.exp(wide - shift).sum())
    if top == 0:
        return float(wide[token]), []
    return float(wide[token]), [(int(each), float(wide[each])) for each in greatest(wide, top)]


def greatest(values: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """The places of the ``count`` greatest of n values, the greatest first, of equals the lower place first."""
    least = np.partition(values, len(values) - count)[len(values) - count]
    among = np.flatnonzero(values >= least)
    best: NDArray[np.int64] = among[np.argsort(-values[among], kind="stable")][:count]
    return best


def context_length_error(value: int, limit: int) -> ContextLengthError:
    """Of a text of ``value`` tokens."""
    way_out = "pass a shorter prompt, or on_context_end='slide' to forget the oldest"
    message = f"{value} tokens do not fit the context, which has {limit}: {way_out}"
    return ContextLengthError(message, value=value, limit=limit)


class Reading:
    """A context, and what is done when it is full."""

    def __init__(self, context: Context, model: LanguageModel, limits: Limits) -> None:
        self.context = context
        self.limits = limits
        self.model = model
        self.length = model.context_length
        #: How many tokens fit still.
        self.room = self.length - len(context.ids)
        #: How many tokens of the prompt the context had already.
        self.cached = 0

    def branch(self) -> Reading:
        """A reading that goes its own way from here."""
        return Reading(self.context.fork(), self.model, self.limits)

    @property
    def ends(self) -> bool:
        """Whether no further token can be read, and that ends the generation."""
        return self.limits.on_context_end == "stop" and self.room <= 0

    def extend(self, token: int) -> NDArray[np.float32]:
        """Reads one token, and makes room for it if that is allowed.

        Raises:
            ContextLengthError: if there is no room.
        """
        if self.room > 0:
            self.room -= 1
            return self.context.extend((token,))
        if self.limits.on_context_end != "slide":
            raise context_length_error(self.length + 1, self.length)
        kept = self._slid([*self.context.ids, token])
        self.context.rewind(self.limits.num_keep)
        self.room = self.length - len(kept)
        return self.context.extend(kept[self.limits.num_keep :])

    def extend_with(self, token: int, draft: Sequence[int]) -> NDArray[np.float32]:
        """Reads a token and a draft behind it, for which there is room, and gives the logits behind each of them, (1 + k, V)."""
        if not draft:
            return self.extend(token)
        self.room -= 1 + len(draft)
        return self.context.extend((token, *draft), all_logits=True)

    def forget(self, count: int) -> None:
        """Forgets the last tokens."""
        if count:
            self.context.rewind(len(self.context.ids) - count)
            self.room += count

    def read(self, ids: Sequence[int], chunk: int | None = None) -> NDArray[np.float32] | None:
        """Reads a prompt, less what the context has of it already, and gives the logits behind it, (1, V).

        At most ``chunk`` tokens are read at once. If the generation is cancelled meanwhile, nothing is given.

        Raises:
            ContextLengthError: if there is no room, and nothing may be forgotten.
        """
        if len(ids) > self.length:
            if self.limits.on_context_end != "slide":
                raise context_length_error(len(ids), self.length)
            ids = self._slid(ids)
        # The last token is read in any case: its logits are needed.
        self.cached = min(common_prefix(self.context.ids, ids), len(ids) - 1)
        self.context.rewind(self.cached)
        logits = None
        for begin in range(self.cached, len(ids), chunk or len(ids)):
            if self.limits.interrupted():
                return None
            logits = self.context.extend(ids[begin : begin + (chunk or len(ids))])
        self.room = self.length - len(ids)
        return logits

    def _slid(self, ids: Sequence[int]) -> list[int]:
        """What goes on of ids that do not fit: the first ``num_keep``, and of the last as many as fill half of the rest."""
        num_keep = self.limits.num_keep
        return [*ids[:num_keep], *ids[len(ids) - max(1, (self.length - num_keep) // 2) :]]


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids are the same at the beginning of both."""
    length = min(len(one), len(other))
    return next((index for index in range(length) if one[index] != other[index]), length)


def decode(
    reading: Reading,
    logits: NDArray[np.float32],
    sampler: Sampler,
    history: History,
    *,
    row: int = 0,
    reads_history: bool = True,
    unconditional: tuple[Reading, NDArray[np.float32]] | None = None,
) -> Iterator[Step]:
    """Generates one token at a time from the logits behind a prompt, (1, V).

    ``sampler`` is at its beginning, and serves this sequence alone. ``history`` begins with the prompt. Where ``reads_history`` is
    false the sampler is not shown it, which saves a copy. ``unconditional`` is for ``guidance_scale``. The last step has a
    reason; closing the iterator ends the generation too. The last token is not read.
    """
    limits = reading.limits
    sample, extend = sampler.sample, reading.extend
    other, other_logits = unconditional or (None, None)
    count, token = 0, -1
    while (interrupted := limits.interrupted()) is None:
        if count:
            logits = extend(token)
            if other is not None:
                other_logits = other.extend(token)
        ids = history.view() if reads_history else None
        if other_logits is None:
            token = sample(logits[0], ids, row=row)
        else:
            token = sample(logits[0], ids, row=row, unconditional_logits=other_logits[0])
        history.append(token)
        count += 1
        reason = limits.reason(token, count, history, logits)
        if reason is None and reading.ends:
            reason = "length"
        yield limits.step(token, reason, logits[0])
        if reason is not None:
            return
    yield Step(None, interrupted)
