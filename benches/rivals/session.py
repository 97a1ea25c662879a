"""What every workload shares: the clocks, the texts, and the notes of what was measured, differed or is missing."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rivals.adapters import Adapter
from rivals.reference import digest, read
from rivals.texts import KINDS

SLOW_BYTES_PER_SECOND = 6e6
"""Below this a rival needs no long warm-up and gets fewer samples: it would take most of the bench's time."""


class Unsupported(Exception):
    pass


def resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def cpu(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    start = time.process_time_ns()
    result = call(*arguments)
    return result, (time.process_time_ns() - start) / 1e9


def both_clocks(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    wall, start = time.perf_counter_ns(), time.process_time_ns()
    result = call(*arguments)
    return result, (time.process_time_ns() - start) / 1e9, (time.perf_counter_ns() - wall) / 1e9


class Session:
    def __init__(self, adapter: Adapter, job: dict[str, Any]) -> None:
        self.adapter = adapter
        self.folder = Path(job["texts"])
        self.path = Path(job["tokenizer"])
        self.reference: dict[str, Any] = json.loads(Path(job["reference"]).read_text())
        self.arrays_path = Path(job["reference"]).with_suffix(".npz")
        self.quick: bool = job["quick"]
        self.kinds: list[str] = job.get("kinds") or list(KINDS)
        self.samples: dict[str, list[float]] = defaultdict(list)
        self.wrong: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.missing: dict[str, str] = {}

    def text(self, key: str) -> str:
        return read(self.folder / f"{key}.txt")

    def texts(self, key: str) -> list[str]:
        texts: list[str] = json.loads(read(self.folder / f"{key}.json"))
        return texts

    def load(self) -> None:
        try:
            self.adapter.load(self.path)
        except BaseException as error:
            raise Unsupported(str(error).split("\n")[0][:200]) from error

    def check(self, metric: str, right: bool) -> None:
        self.wrong[metric][0] += not right
        self.wrong[metric][1] += 1

    def guard(self, what: str, work: Callable[..., None], *arguments: Any) -> None:
        """Runs `work`; what it raises is noted. A panic of a Rust extension is a BaseException only."""
        try:
            work(self, *arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.missing[what] = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"

    def is_slow(self) -> bool:
        sample = self.text("english-warm")[:60_000]
        self.adapter.encode_list(sample[:5000])
        _, seconds = cpu(self.adapter.encode_list, sample)
        return len(sample) / seconds < SLOW_BYTES_PER_SECOND

    def outputs(self) -> dict[str, Callable[[str], Any]]:
        every = {"numpy": self.adapter.encode_numpy, "list": self.adapter.encode_list}
        return {name: call for name, call in every.items() if call is not None}

    def time_text(self, metric: str, call: Callable[[str], Any], key: str, text: str) -> None:
        ids, seconds = cpu(call, text)
        self.samples[metric].append(len(text.encode()) / 1e6 / seconds)
        if key in self.reference:
            ids = self.adapter.content(ids) if metric.endswith("numpy") else ids
            self.check(metric, digest(ids) == self.reference[key])
