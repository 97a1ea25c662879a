"""Whether a package gives what its checkpoint gives: it is run in the portable runtime, in every shape, beside :class:`Reference`.

A text of random tokens is read through each of the package's shapes, and token by token behind it. Rows of logits may be off by a
share of their largest magnitude; the best token has to be the same unless the two best are as near to each other. When a
row is off, the call is run again with what the layers give in view, and the first one that differs is named.

The runtime keeps float16 values in float32, where hardware rounds each: so some tokens are read once more with every float16
operation rounded. That shows numbers that are too large for float16, which are an error, and how much rounding changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from russet.conversion.blocks import stages
from russet.conversion.checkpoint import Checkpoint
from russet.conversion.plan import Plan
from russet.conversion.programs import Form
from russet.conversion.reference import Reference
from russet.conversion.weights import Weights
from russet.coreml.backend import FunctionDescription, ModelDescription
from russet.coreml.language_model import LanguageModel
from russet.coreml.portable import PortableModel
from russet.errors import ParityError

#: How far a row may be off, as a share of its largest magnitude.
LIMIT = 2e-3
#: Single tokens after the first call.
STEPS = 4
_RANGE_LENGTHS = (1, 13, 40)
_FIXED_LENGTH = 24
#: Tokens that are read with rounding, if a call takes so many.
_ROUNDED_LENGTH = 8

Array = NDArray[Any]


@dataclass(frozen=True)
class Parity:
    """How a package compares."""

    #: The greatest difference of a row, as a share of its largest magnitude.
    difference: float
    limit: float
    rows: int
    #: With every float16 operation rounded; none in float32.
    rounded_difference: float | None = None
    #: Each run: the numbers of tokens of its calls, and the greatest difference.
    runs: list[tuple[list[int], float]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """What ``parity.json`` holds."""
        runs = [{"tokens": tokens, "difference": difference} for tokens, difference in self.runs]
        return {
            "difference": self.difference,
            "limit": self.limit,
            "rows": self.rows,
            "rounded_difference": self.rounded_difference,
            "runs": runs,
        }


def check(
    path: Path, plan: Plan, weights: Weights, checkpoint: Checkpoint, progress: Callable[[int, int], None] | None = None
) -> Parity:
    """Compares a package with its checkpoint.

    Raises:
        ParityError: if a row is off, naming the first part of the model that is; if a number is too large for float16.
    """
    runs = list(_runs(plan.form))
    ids = _ids(plan, max(sum(run) for run in runs))
    reference = Reference(plan.decoder, weights, checkpoint, plan.form.is_stateful)
    expected = reference.logits(ids)
    model = LanguageModel(PortableModel(path), context_length=plan.form.context_length)
    found, rows = [], 0
    for index, run in enumerate(runs):
        worst = 0.0
        for end, given in _calls(model, run, ids, plan.form):
            wanted = expected[end - len(given) : end]
            off = differences(given, wanted)
            rows += len(off)
            worst = max(worst, float(off.max()))
            if not worst <= LIMIT or not are_best_equal(given, wanted, LIMIT):
                raise _error(path, plan, reference, run, ids, end, worst)
        found.append((run, worst))
        if progress is not None:
            progress(index + 1, len(runs))
    rounded = _rounded_difference(path, plan, ids, expected) if plan.precision == "float16" else None
    return Parity(max(worst for _, worst in found), LIMIT, rows, rounded, found)


def _rounded_difference(path: Path, plan: Plan, ids: list[int], expected: Array) -> float:
    """How far the first call's last row is off when every float16 operation is rounded."""
    named = stages(plan.decoder)
    watched = _Watched(PortableModel(path, round_fp16=True), {name for _, name in named}, {})
    model = LanguageModel(watched, context_length=plan.form.context_length)
    run = min(_runs(plan.form), key=lambda run: (run[0] < _ROUNDED_LENGTH, run[0]))[:1]
    ((end, given),) = _calls(model, run, ids, plan.form)
    for stage, name in named:
        if not np.isfinite(watched.seen[name]).all():
            message = f"{stage}: with float16 operations a number is too large; precision='float32' holds it"
            raise ParityError(message, layer=stage, difference=float("inf"), limit=LIMIT)
    return float(differences(given[-1:], expected[end - 1 : end])[0])


def differences(given: Array, expected: Array) -> Array:
    """The greatest difference of each row, as a share of its largest expected magnitude."""
    off = np.abs(given - expected).max(axis=-1) / np.maximum(np.abs(expected).max(axis=-1), 1e-30)
    return np.where(np.isfinite(off), off, np.inf)


def are_best_equal(given: Array, expected: Array, limit: float) -> bool:
    """Whether the best token of each row is the same, unless the two best are nearer to each other than rows may be off."""
    second, first = np.sort(expected, axis=-1)[:, -2:].T
    is_decided = first - second > limit * np.abs(expected).max(axis=-1)
    return bool((given.argmax(axis=-1) == expected.argmax(axis=-1))[is_decided].all())


def _runs(form: Form) -> Iterator[list[int]]:
    """The numbers of tokens of each run's calls."""
    context = form.context_length
    if form.shapes == "fixed":
        first = min(_FIXED_LENGTH, max(1, context - 1))
        yield [first, 1] if context > 1 else [1]
        return
    if form.shapes == "enumerated":
        for length in form.lengths:
            # The shape itself, and padded.
            yield [length - 1, 1] if length > 1 else [1]
        return
    lengths = _RANGE_LENGTHS if form.shapes == "range" else form.lengths
    for length in sorted({min(length, context) for length in lengths}):
        yield [length, *[1] * min(STEPS, context - length)]


def _ids(plan: Plan, count: int) -> list[int]:
    """Random tokens without those that padding uses."""
    random = np.random.default_rng(20260)
    found: list[int] = random.integers(0, plan.decoder.vocab_size, count).tolist()
    pad = plan.form.pad_id
    return [id if id != pad else (id + 1) % plan.decoder.vocab_size for id in found]


def _calls(model: LanguageModel, run: list[int], ids: list[int], form: Form) -> Iterator[tuple[int, Array]]:
    """The rows that each part of a run gives, and how many tokens were read then."""
    context, end = model.new_context(), 0
    for count in run:
        part = ids[end : end + count]
        end += count
        yield end, context.extend(part, all_logits=form.logits == "all")


class _Watched:
    """A backend that keeps what parts of the model gave in the last call."""

    name = "portable"

    def __init__(self, model: PortableModel, names: set[str], seen: dict[str, Array]) -> None:
        self._model = model
        self._names = names
        self.seen = seen

    @property
    def function(self) -> FunctionDescription:
        return self._model.function

    def describe(self) -> ModelDescription:
        return self._model.describe()

    def with_function(self, name: str) -> _Watched:
        return _Watched(self._model.with_function(name), self._names, self.seen)

    def make_state(self) -> Any:
        return self._model.make_state()

    def predict(self, inputs: Mapping[str, ArrayLike], state: Any = None) -> dict[str, Array]:
        found = self._model.capture(inputs, state, self._names)
        self.seen.clear()
        self.seen.update(found)
        return {name: found[name] for name in self.function.outputs}

    def read_state(self, state: Any, name: str) -> Array:
        return self._model.read_state(state, name)

    def write_state(self, state: Any, name: str, value: ArrayLike) -> None:
        self._model.write_state(state, name, value)


def _error(path: Path, plan: Plan, reference: Reference, run: list[int], ids: list[int], end: int, worst: float) -> ParityError:
    """Runs the calls again up to the one that ends at ``end``, and looks for the first part that differs."""
    named = stages(plan.decoder)
    watched = _Watched(PortableModel(path, fuse=False), {name for _, name in named}, {})
    model = LanguageModel(watched, context_length=plan.form.context_length)
    expected: dict[str, Array] = {}
    reference.logits(ids[:end], lambda name, value: expected.update({name: value}))
    for done, _ in _calls(model, run, ids, plan.form):
        if done == end:
            break
    layer = "head"
    for stage, name in named[:-1]:
        given = watched.seen[name][0]
        # The last call may have read a part of the tokens, and have padding behind them.
        real = _real_rows(plan.form, len(given), end)
        if not float(differences(given[:real], expected[stage][end - real : end]).max()) <= LIMIT:
            layer = stage
            break
    message = (
        f"the package gives other logits than the checkpoint: after {end} tokens a row is off by {worst:.2g} of its largest "
        f"magnitude, and {LIMIT:g} is allowed; the first part that differs is {layer}"
    )
    return ParityError(message, layer=layer, difference=worst, limit=LIMIT)


def _real_rows(form: Form, rows: int, end: int) -> int:
    return rows if form.is_stateful else min(rows, end)
