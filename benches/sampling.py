"""Russet's sampler beside NumPy and `transformers`, one table: `make bench-sampling`, or

    python benches/sampling.py --rounds 31
    python benches/sampling.py --only "top-p 0.9" --rows peaked flat
    python benches/sampling.py --write                     and put the tables into docs/performance.md

One process, one thread, one core. In every round each method does an untimed call on the row and then the timed one, so the row
is warm; the methods take turns, and `np.max` of the row, the floor, is one of them. The cold figures evict 64 MB before the call.
Medians. Before anything is timed, the ids that are kept and the tokens for some uniform numbers are compared with those of NumPy.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from documents import processor, write_block
from numpy.typing import NDArray

import russet

ROOT = Path(__file__).parent.parent
V = 128_256
SIZES = [32_000, 50_257, V, 151_936, 256_000]
BATCH = 8
TEMPERATURE = 0.8
HISTORY = 512
EVICTED_BYTES = 64 << 20
UNIFORMS = [0.0, 0.123456, 0.5, 0.87654, 0.999]
# Where the sum of the probabilities is so near to its limit, rounding of single weights may decide.
NEAR = 1e-6
FLOOR = "np.max"


@dataclass(frozen=True)
class Workload:
    name: str
    options: dict[str, float] = field(default_factory=dict)
    temperature: float = TEMPERATURE

    @property
    def penalizes(self) -> bool:
        return "repetition_penalty" in self.options

    def sampler(self) -> russet.Sampler:
        return russet.Sampler(temperature=self.temperature, seed=7, **self.options)


CHAIN = {"top_k": 50, "top_p": 0.95, "min_p": 0.05}
WORKLOADS = [
    Workload("greedy", temperature=0.0),
    Workload("top-k 50", {"top_k": 50}),
    Workload("top-k 50, top-p, min-p", CHAIN),
    Workload("the same, penalty", {**CHAIN, "repetition_penalty": 1.1}),
    Workload("min-p 0.05", {"min_p": 0.05}),
    Workload("top-p 0.9", {"top_p": 0.9}),
    Workload("temperature"),
]


def rows(length: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(0)
    peaked = random.standard_normal(length) * 3
    peaked[random.integers(0, length, 20)] += 12
    zipf = (5 - 1.2 * np.log(np.arange(1, length + 1)))[random.permutation(length)]
    gauss = random.standard_normal(length) * 2
    half = peaked.copy()
    half[random.permutation(length)[: length // 2]] = -np.inf
    made = {
        "peaked": peaked,
        "zipf": zipf,
        "gauss": gauss,
        "broad": random.standard_normal(length) * 0.5,
        "flat": random.standard_normal(length) * 0.01,
        "equal": np.ones(length),
        "ties": np.round(zipf * 4) / 4,
        "-inf half": half,
    }
    return {name: row.astype(np.float32) for name, row in made.items()}


class NumPy:
    """What one writes with NumPy: partitions instead of sorts, and the rest on the survivors."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.temperature = np.float32(workload.temperature)

    def kept(self, logits: NDArray[Any], history: NDArray[np.int64]) -> tuple[NDArray[np.int64] | None, NDArray[Any]]:
        """The ids, none for all of them, and their weights."""
        options = self.workload.options
        if logits.dtype != np.float32:
            logits = logits.astype(np.float32)
        if self.workload.penalizes:
            logits = logits.copy()
            ids = np.unique(history)
            penalty = np.float32(options["repetition_penalty"])
            logits[ids] = np.where(logits[ids] < 0, logits[ids] * penalty, logits[ids] / penalty)
        ids = None
        if "top_k" in options:
            place = len(logits) - int(options["top_k"])
            ids = np.flatnonzero(logits >= np.partition(logits, place)[place])
        elif "min_p" in options:
            ids = np.flatnonzero(logits >= logits.max() + self.temperature * np.float32(np.log(options["min_p"])))
        if ids is not None:
            logits = logits[ids]
        weights = np.exp((logits - logits.max()) / self.temperature)
        if "top_p" in options:
            chosen = self.nucleus(weights, options["top_p"])
            ids, weights = chosen if ids is None else ids[chosen], weights[chosen]
        if "min_p" in options:
            chosen = np.flatnonzero(weights >= options["min_p"] * weights.max())
            ids, weights = chosen if ids is None else ids[chosen], weights[chosen]
        return ids, weights

    @staticmethod
    def nucleus(weights: NDArray[Any], share: float) -> NDArray[np.int64]:
        """The fewest greatest with that share of the mass, of equal ones those with the lowest ids, ascending."""
        target = share * weights.sum(dtype=np.float64)
        count = min(1024, len(weights))
        while True:
            some = np.arange(len(weights))
            if count < len(weights):
                least = np.partition(weights, len(weights) - count)[len(weights) - count]
                some = np.flatnonzero(weights >= least)
            some = some[np.argsort(-weights[some], kind="stable")]
            sums = np.cumsum(weights[some], dtype=np.float64)
            if sums[-1] >= target or count == len(weights):
                return np.sort(some[: np.searchsorted(sums, target) + 1])
            count = min(8 * count, len(weights))

    def sample(self, logits: NDArray[Any], history: NDArray[np.int64], uniform: float) -> int:
        if self.workload.temperature == 0:
            return int(logits.argmax())
        ids, weights = self.kept(logits, history)
        sums = np.cumsum(weights, dtype=np.float64)
        place = min(int(np.searchsorted(sums, uniform * sums[-1], side="right")), len(sums) - 1)
        return place if ids is None else int(ids[place])


def transformers_chain(workload: Workload) -> Callable[[NDArray[Any], NDArray[np.int64]], int] | None:
    """What `generate` does with the logits of a step; none where torch and transformers are not installed."""
    try:
        import torch
        import transformers
    except ImportError:
        return None
    torch.set_num_threads(1)
    options = workload.options
    chain = transformers.LogitsProcessorList()
    if workload.penalizes:
        chain.append(transformers.RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    if workload.temperature not in (0.0, 1.0):
        chain.append(transformers.TemperatureLogitsWarper(workload.temperature))
    if "top_k" in options:
        chain.append(transformers.TopKLogitsWarper(int(options["top_k"])))
    if "top_p" in options:
        chain.append(transformers.TopPLogitsWarper(options["top_p"]))
    if "min_p" in options:
        chain.append(transformers.MinPLogitsWarper(options["min_p"]))

    def sample(logits: NDArray[Any], history: NDArray[np.int64]) -> int:
        scores = torch.from_numpy(logits).to(torch.float32)[None]
        if workload.temperature == 0:
            return int(scores.argmax(-1))
        scores = chain(torch.from_numpy(history)[None], scores)
        return int(torch.multinomial(torch.softmax(scores, -1), 1))

    return sample


def check(workload: Workload, name: str, row: NDArray[Any], history: NDArray[np.int64]) -> str:
    """Compares with NumPy: "equal", or "edge" where what differs lies within rounding of a limit. Else it fails."""
    sampler, rival = workload.sampler(), NumPy(workload)
    ids_so_far = history if workload.penalizes else None
    if workload.temperature == 0:
        if sampler.sample(row, ids_so_far) != rival.sample(row, history, 0.0):
            raise SystemExit(f"{workload.name} on {name}: not the greatest")
        return "equal"
    kept = sampler.kept(row, ids_so_far)
    ids, weights = rival.kept(row, history)
    ids = np.arange(len(row)) if ids is None else ids
    found = weights > 0
    ids, weights = ids[found], weights[found].astype(np.float64)
    result = "equal"
    probabilities = sampler.probs(row, ids_so_far)
    different = np.setxor1d(kept, ids)
    if len(different):
        # Each that differs is one of the least, and they do not matter to the mass.
        if np.array_equal(np.sort(kept), kept) and len(different) <= 8 and probabilities[kept].min() * len(different) < NEAR * 100:
            result = "edge"
        else:
            raise SystemExit(f"{workload.name} on {name}: kept {len(kept)}, NumPy {len(ids)}, {len(different)} differ")
    sums = np.cumsum(weights) / weights.sum()
    for uniform in UNIFORMS:
        token = sampler.sample_with_uniform(row, uniform, ids_so_far)
        expected = rival.sample(row, history, uniform)
        if token != expected:
            place = np.searchsorted(ids, token)
            ends = (sums[place - 1] if place else 0.0, sums[place])
            if not ends[0] - NEAR <= uniform <= ends[1] + NEAR:
                raise SystemExit(f"{workload.name} on {name}: token {token} for {uniform}, NumPy {expected}")
            result = "edge"
    return result


Call = Callable[[], object]


def timed(call: Call) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1000


def medians(calls: dict[str, Call], rounds: int, evict: Call | None = None) -> dict[str, float]:
    """Microseconds of each: in turns, each round beginning with another; after an untimed call, or after an eviction."""
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            (evict or calls[name])()
            times[name].append(timed(calls[name]))
    return {name: statistics.median(of_name) for name, of_name in times.items()}


def calls_of(workload: Workload, row: NDArray[Any], history: NDArray[np.int64], rivals: bool = True) -> dict[str, Call]:
    sampler, rival = workload.sampler(), NumPy(workload)
    uniforms = np.random.default_rng(1).random(1024).tolist()
    calls: dict[str, Call] = {FLOOR: row.max}
    calls["russet"] = (lambda: sampler.sample(row, history)) if workload.penalizes else (lambda: sampler.sample(row))
    if rivals:
        turns = iter(range(1 << 30))
        calls["NumPy"] = lambda: rival.sample(row, history, uniforms[next(turns) % 1024])
        chain = transformers_chain(workload)
        if chain is not None:
            calls["transformers"] = lambda: chain(row, history)
    return calls


@dataclass
class Measured:
    workload: str
    row: str
    warm: dict[str, float]
    cold: dict[str, float]
    half: float
    checked: str

    def over(self, rival: str) -> float | None:
        return self.warm[rival] / self.warm["russet"] if rival in self.warm else None

    @property
    def over_floor(self) -> float:
        return self.warm["russet"] / self.warm[FLOOR]


def evictor() -> Call:
    other = np.zeros(EVICTED_BYTES // 8)

    def evict() -> None:
        other[::8] += 1.0

    return evict


def measure(workload: Workload, name: str, row: NDArray[Any], rounds: int, evict: Call) -> Measured:
    history = np.random.default_rng(2).integers(0, len(row), HISTORY)
    checked = check(workload, name, row, history)
    narrow = row.astype(np.float16)
    check(workload, f"{name}, float16", narrow, history)
    calls = calls_of(workload, row, history)
    calls["float16"] = calls_of(workload, narrow, history, rivals=False)["russet"]
    warm = medians(calls, rounds)
    cold = medians({rival: calls[rival] for rival in (FLOOR, "russet")}, 7, evict)
    return Measured(workload.name, name, warm, cold, warm["float16"] / warm["russet"], checked)


def number(value: float | None, suffix: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}{suffix}"


def table(measured: list[Measured]) -> Iterator[str]:
    yield "| workload | row | µs | x np.max | NumPy | transformers | float16 | cold, µs (np.max) | ids |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in measured:
        cells = [
            one.workload,
            one.row,
            number(one.warm["russet"]),
            number(one.over_floor),
            number(one.over("NumPy"), "x"),
            number(one.over("transformers"), "x"),
            number(one.half),
            f"{number(one.cold['russet'])} ({number(one.cold[FLOOR])})",
            one.checked,
        ]
        yield "| " + " | ".join(cells) + " |"


def scaling(workloads: list[Workload], rounds: int) -> tuple[list[str], dict[str, float]]:
    """A table of microseconds by size, and how far each workload is from linear, of what it costs for each logit."""
    lines = ["| workload, peaked row | " + " | ".join(f"{size:,}" for size in SIZES) + " | from linear |"]
    lines.append("|---|" + "---|" * (len(SIZES) + 1))
    worst = {}
    for workload in workloads:
        calls: dict[str, Call] = {}
        for size in SIZES:
            history = np.random.default_rng(2).integers(0, size, HISTORY)
            calls[str(size)] = calls_of(workload, rows(size)["peaked"], history, rivals=False)["russet"]
        times = medians(calls, rounds)
        per_logit = [times[str(size)] / size for size in SIZES]
        worst[workload.name] = max(per_logit[1:]) / per_logit[0] - 1
        cells = " | ".join(number(times[str(size)]) for size in SIZES)
        lines.append(f"| {workload.name} | {cells} | {worst[workload.name]:+.0%} |")
    return lines, worst


def batch_calls(workload: Workload) -> dict[str, Call]:
    sampler = workload.sampler()
    random = np.random.default_rng(3)
    batch = np.stack([random.permutation(rows(V)["peaked"]) for _ in range(BATCH)])
    histories = random.integers(0, V, (BATCH, HISTORY)) if workload.penalizes else None

    def one_by_one() -> None:
        for index in range(BATCH):
            sampler.sample(batch[index], None if histories is None else histories[index])

    return {"one": one_by_one, "all": lambda: sampler.sample(batch, histories)}


def batches(workloads: list[Workload], rounds: int) -> tuple[list[str], dict[str, float]]:
    lines = [f"| workload, peaked rows | one row, µs | {BATCH} rows, µs | times |", "|---|---|---|---|"]
    found = {}
    for workload in workloads:
        times = medians(batch_calls(workload), rounds)
        one, many = times["one"] / BATCH, times["all"]
        found[workload.name] = many / one
        lines.append(f"| {workload.name} | {number(one)} | {number(many)} | {number(many / one)} |")
    return lines, found


def call_cost(rounds: int) -> dict[str, float]:
    """Microseconds of a call on eight logits: what is not the kernel."""
    row = np.zeros(8, np.float32)

    def hundred(sampler: russet.Sampler) -> Call:
        return lambda: [sampler.sample(row) for _ in range(100)]

    found = {}
    for workload in WORKLOADS:
        if not workload.penalizes:
            call = hundred(workload.sampler())
            found[workload.name] = statistics.median(timed(call) / 100 for _ in range(rounds))
    return found


def bars(
    measured: list[Measured], linear: dict[str, float], batch: dict[str, float], call: dict[str, float]
) -> Iterator[tuple[str, bool | None, str]]:
    """What the project asks of itself, whether it is met, and the figure that says so."""
    by = {(one.workload, one.row): one for one in measured}

    def limit(name: str, workload: str, floor: float, numpy: float | None = None, transformers: float | None = None) -> Any:
        one = by.get((workload, "peaked"))
        if one is None:
            return
        yield f"{name}: at most {floor:g}x np.max", one.over_floor <= floor, number(one.over_floor)
        for rival, least in (("NumPy", numpy), ("transformers", transformers)):
            ratio = one.over(rival)
            if least is not None:
                yield f"{name}: at least {least:g}x {rival}", None if ratio is None else ratio >= least, number(ratio)

    yield from limit("greedy", "greedy", 1.5)
    yield from limit("top-k 50", "top-k 50", 2.2, 12, 200)
    yield from limit("top-k 50, top-p, min-p", "top-k 50, top-p, min-p", 2.2, 12, 200)
    yield from limit(f"with a penalty on {HISTORY} ids", "the same, penalty", 3)
    yield from limit("min-p", "min-p 0.05", 1.8)
    yield from limit("top-p, peaked", "top-p 0.9", 10, 5)
    yield from limit("top-p, peaked, aim", "top-p 0.9", 4)
    peaked = by.get(("top-p 0.9", "peaked"))
    shapes = [by[key] for key in by if key[0] == "top-p 0.9" and key[1] in ("flat", "equal", "broad")]
    if peaked and shapes:
        worst = max(shapes, key=lambda one: one.warm["russet"])
        # Both bars together: six times what the peaked row may cost.
        yield f"top-p, {worst.row}: at most 60x np.max", worst.over_floor <= 60, number(worst.over_floor)
        ratio = worst.warm["russet"] / peaked.warm["russet"]
        yield f"top-p, {worst.row}: at most 6x the peaked row", ratio <= 6, number(ratio)
    yield from limit("temperature", "temperature", 9)
    wide = [one for one in measured if one.row == "peaked"]
    if wide:
        worst = max(wide, key=lambda one: one.half)
        yield f"float16, {worst.workload}: at most 1.2x float32", worst.half <= 1.2, number(worst.half)
    if batch:
        name = max(batch, key=lambda name: batch[name])
        yield f"batch of {BATCH}, {name}: at most {BATCH}x one row", batch[name] <= BATCH, number(batch[name])
    if linear:
        name = max(linear, key=lambda name: linear[name])
        yield f"32k to 256k, {name}: within 20 % of linear", linear[name] <= 0.2, f"{linear[name]:+.0%}"
    if call:
        name = max(call, key=lambda name: call[name])
        yield f"a call on 8 logits, {name}: at most 1 µs", call[name] <= 1, f"{number(call[name])} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in WORKLOADS], metavar="WORKLOAD")
    parser.add_argument("--rows", nargs="+", choices=list(rows(64)), metavar="ROW")
    parser.add_argument("--no-more", action="store_true", help="neither sizes nor batches nor the cost of a call")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    workloads = [one for one in WORKLOADS if not arguments.only or one.name in arguments.only]
    evict = evictor()
    measured = []
    for workload in workloads:
        for name, row in rows(V).items():
            if not arguments.rows or name in arguments.rows:
                measured.append(measure(workload, name, row, arguments.rounds, evict))
                print(f"{workload.name}, {name}", file=sys.stderr)
    linear, batch, call = {}, {}, {}
    lines = list(table(measured))
    if not arguments.no_more:
        sizes, linear = scaling(workloads, arguments.rounds)
        of_batch, batch = batches(workloads, arguments.rounds)
        call = call_cost(arguments.rounds)
        lines += ["", *sizes, "", *of_batch]
    lines += ["", "| bar | met | measured |", "|---|---|---|"]
    verdicts = {True: "yes", False: "no", None: "not measured"}
    lines += [f"| {bar} | {verdicts[met]} | {figure} |" for bar, met, figure in bars(measured, linear, batch, call)]
    versions = f"russet {russet.__version__}, NumPy {np.__version__}, Python {platform.python_version()}"
    about = f"{time.strftime('%Y-%m-%d')}, {processor()}, {platform.system()}; {versions}."
    text = "\n".join(
        [
            f"{about} {V:,} logits, temperature {TEMPERATURE}, one thread; medians of {arguments.rounds} rounds, in turns.",
            "µs: a warm call of `Sampler.sample` from Python; NumPy and transformers: times as long as Russet; float16: its time",
            "over that of float32; ids: equal to NumPy's, or differing within rounding of a limit (edge).",
            "",
            *lines,
        ]
    )
    print(text)
    if arguments.write:
        write_block(ROOT / "docs" / "performance.md", "sampling", text)


if __name__ == "__main__":
    main()
