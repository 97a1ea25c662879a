"""What filters are tried on: rows of logits of many shapes, settings for one filter and for chains; and the comparison of kept sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sampling_reference as reference
from numpy.typing import NDArray
from sampling_reference import Kept, Scores

import russet

FILTERS = list(reference.FILTERS)


def peaked(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    rows = rng.normal(0, 2, shape)
    rows[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] += rng.uniform(4, 20, shape[0])
    return rows


def zipf(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    ranks = rng.permuted(np.tile(np.arange(1, shape[1] + 1), (shape[0], 1)), axis=1)
    return -rng.uniform(0.8, 1.6, (shape[0], 1)) * np.log(ranks) + rng.normal(0, 0.05, shape) + 10


def gauss(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return rng.normal(0, rng.uniform(0.5, 5, (shape[0], 1)), shape)


def broad(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return rng.uniform(-1.5, 1.5, shape)


def flat(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return 3 + rng.uniform(-1e-3, 1e-3, shape)


def equal(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return np.full(shape, rng.normal(0, 5, (shape[0], 1)))


def few_values(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return rng.integers(0, rng.integers(2, 6, (shape[0], 1)), shape).astype(np.float64)


def quarters(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return np.round(rng.normal(0, 3, shape) * 4) / 4


def half_removed(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    rows = np.where(rng.random(shape) < 0.5, -np.inf, rng.normal(0, 3, shape))
    rows[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] = 1
    return rows


def one_hot(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    rows = np.zeros(shape)
    rows[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] = rng.uniform(1, 30, shape[0])
    return rows


def of_16_bits(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
    return rng.normal(0, 3, shape).astype(np.float16)


SHAPES = [peaked, zipf, gauss, broad, flat, equal, few_values, quarters, half_removed, one_hot, of_16_bits]


def rows(rng: np.random.Generator, count: int, length: int) -> Scores:
    """Rows of all shapes in turn, from one picked at random on."""
    matrix = np.empty((count, length), np.float32)
    begin = int(rng.integers(len(SHAPES)))
    for place in range(min(count, len(SHAPES))):
        part = matrix[place :: len(SHAPES)]
        part[:] = SHAPES[(begin + place) % len(SHAPES)](rng, part.shape)
    return matrix


def setting(rng: np.random.Generator, name: str, length: int) -> float | int:
    """A value for a filter, sometimes one at the end of its range."""

    def one_of(usual: float, *ends: float) -> float:
        return usual if rng.random() < 0.6 else float(rng.choice([usual, *ends]))

    match name:
        case "top_k":
            return max(int(one_of(float(np.exp(rng.uniform(0, np.log(2 * length)))), 1, 50, length)), 1)
        case "top_p":
            return one_of(rng.uniform(0.01, 0.999), 0.1, 0.5, 0.9, 0.95, 0.99)
        case "min_p":
            return one_of(float(10 ** rng.uniform(-3, 0)), 1.0, 0.05)
        case "typical_p":
            return one_of(rng.uniform(0.05, 0.98), 0.5, 0.9)
        case "epsilon_cutoff" | "eta_cutoff":
            return one_of(float(10 ** rng.uniform(-5, -0.5)), 3e-4)
        case "top_h":
            return one_of(rng.uniform(0.05, 0.98), 0.4)
        case "top_n_sigma":
            return one_of(rng.uniform(0.1, 4), 1.0)
        case "xtc_threshold":
            return one_of(float(10 ** rng.uniform(-3, np.log10(0.5))), 0.1, 0.5)
        case _:
            return float(rng.uniform(0.3, 2.5))


def alone(rng: np.random.Generator, name: str, order: str, length: int) -> dict[str, Any]:
    """Settings for one filter."""
    settings: dict[str, Any] = {name: setting(rng, name, length)}
    # mlx-lm keeps a least number in min-p only.
    if name not in ("top_h", "top_n_sigma") and (order != "mlx-lm" or name == "min_p") and rng.random() < 0.3:
        settings["min_tokens_to_keep"] = int(rng.integers(1, 40))
    if name == "xtc_threshold" and order == "mlx-lm" and rng.random() < 0.5:
        settings["xtc_special_tokens"] = rng.integers(length, size=3).tolist()
    return settings


def several(rng: np.random.Generator, order: str, length: int, filters: Sequence[str] = FILTERS) -> dict[str, Any]:
    """Settings for two to five filters, half of the time with a temperature."""
    names = rng.choice(filters, size=rng.integers(2, 6), replace=False).tolist()
    settings = {name: setting(rng, name, length) for name in names}
    if rng.random() < 0.5:
        settings["temperature"] = setting(rng, "temperature", length)
    if order != "mlx-lm" and rng.random() < 0.2:
        settings["min_tokens_to_keep"] = int(rng.integers(1, 40))
    return settings


def sampler(order: str, settings: dict[str, Any]) -> russet.Sampler:
    xtc = {"xtc_probability": 1.0} if "xtc_threshold" in settings else {}
    return russet.Sampler(order=order, seed=1, **xtc, **settings)


def kept_by(sampler: russet.Sampler, scores: Scores) -> Kept:
    kept = sampler.kept(scores)
    mask = np.zeros(scores.shape, dtype=bool)
    mask[np.repeat(np.arange(len(kept)), [len(ids) for ids in kept]), np.concatenate(kept)] = True
    assert mask.sum() == sum(len(ids) for ids in kept)
    return mask


@dataclass
class Tally:
    """How many rows were compared, and in how many of them rounding or the order of equal scores made a difference."""

    rows: int = 0
    rounded: int = 0


def nudge_of(scores: Scores) -> float:
    """How far rounding in float32 moves a limit: by 1e-6, and by what scores and log-probabilities are rounded to."""
    return 1e-6 + 2**-23 * float(np.abs(scores[np.isfinite(scores)]).max() + np.log(scores.shape[1]))


def agrees_at_limit(name: str, order: str, before: Scores, kept: Kept, settings: dict[str, Any], slack: float = 1) -> bool:
    """Whether what is kept of a row lies between the results for a slightly higher and a slightly lower limit.

    Of scores that only the division by the temperature made equal any may be kept: then the kept scores are the same, or the greatest.
    """
    if name in ("top_k", "temperature"):
        few = many = reference.apply(name, order, before, settings) > -np.inf
    else:
        nudge = slack * nudge_of(before)
        few = reference.apply(name, order, before, settings, nudge) > -np.inf
        many = reference.apply(name, order, before, settings, -nudge) > -np.inf
        few, many = few & many, few | many
    if not (few & ~kept).any() and not (kept & ~many).any():
        return True
    count, exact = int(kept.sum()), reference.apply(name, order, before, settings) > -np.inf
    values = np.sort(before[kept])[::-1]
    if np.array_equal(values, np.sort(before[exact])[::-1]):
        return True
    return bool(few.sum() <= count <= many.sum() and (values == np.sort(before[0])[::-1][:count]).all())


def compare(
    order: str,
    settings: dict[str, Any],
    scores: Scores,
    tally: Tally,
    source: Callable[..., Scores] = reference.apply,
    slack: float = 1,
) -> None:
    """The kept sets are the source's; where one differs, filter by filter, what both keep of what Russet had before is right.

    With `slack` the source's limits may be moved by so many times as much by rounding.
    """
    names = reference.chain(order, settings)
    expected = scores
    for name in names:
        expected = source(name, order, expected, settings)
    actual = kept_by(sampler(order, settings), scores)
    tally.rows += len(scores)
    for row in np.flatnonzero((actual != (expected > -np.inf)).any(axis=1)):
        tally.rounded += 1
        before = scores[row : row + 1]
        others = {name: settings[name] for name in ("min_tokens_to_keep", "xtc_special_tokens") if name in settings}
        for count, name in enumerate(names, 1):
            some = {name: settings[name] for name in names[:count]} | others
            kept = kept_by(sampler(order, some), scores[row : row + 1])
            if name == "temperature":
                assert (kept == (before > -np.inf)).all()
                before = reference.temperature(before, settings[name])
                continue
            for found, allowed in ((kept, 1.0), (source(name, order, before, settings) > -np.inf, slack)):
                assert agrees_at_limit(name, order, before, found, settings, allowed), explain(
                    order, name, settings, scores[row], before, found
                )
            before = reference.masked(before, kept)


def explain(order: str, name: str, settings: dict[str, Any], scores: Scores, before: Scores, kept: Kept) -> str:
    expected = reference.apply(name, order, before, settings)[0] > -np.inf
    missing, added = np.flatnonzero(expected & ~kept[0]), np.flatnonzero(kept[0] & ~expected)
    return (
        f"{name} in the order of {order} with {settings}: {expected.sum()} ids are to be kept, {kept.sum()} are;"
        f" missing {missing[:8].tolist()}, added {added[:8].tolist()}; of {len(scores)} logits {scores[:40].tolist()}"
    )
