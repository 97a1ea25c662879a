"""Tables from the results of `benches/peers.py`: Markdown, one a workload, the rivals in rows and the tokenizers in columns."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from documents import write_block

from rivals.environments import UNIT

ROOT = Path(__file__).parents[2]
OURS = "russet"
Cell = dict[str, Any]

# Metric -> (title, unit, whether more is better).
TITLES: dict[str, tuple[str, str, bool]] = {}
_KINDS = {"english": "English", "code": "code", "multilingual": "multilingual text", "cjk": "CJK text"}
for _state, _words in (("fresh", "Fresh"), ("hot", "Hot"), ("plain", "Plain, fresh"), ("cold", "First megabyte of a process,")):
    for _output, _name in (("numpy", "NumPy"), ("list", "list")):
        for _kind, _kind_words in _KINDS.items():
            TITLES[f"{_state}/{_kind}/{_output}"] = (f"{_words} {_kind_words} to {_name}", "MB/s", True)
for _threads in (1, 2):
    _plural = f"{_threads} thread{'s' * (_threads > 1)}"
    for _output, _name in (("list", "lists"), ("flat", "arrays")):
        for _clock, _clock_words in (("cpu", "CPU"), ("wall", "wall")):
            TITLES[f"batch{_threads}/{_output}/{_clock}"] = (
                f"Batch of 2-KB documents to {_name}, {_plural}, {_clock_words} time",
                "MB/s",
                True,
            )
    for _clock, _clock_words in (("cpu", "CPU"), ("wall", "wall")):
        TITLES[f"long{_threads}/document/{_clock}"] = (f"One document of 4 MB, {_plural}, {_clock_words} time", "MB/s", True)
TITLES |= {
    "overhead/list/2 threads over 1": ("Batch to lists: CPU time on 2 threads over that on 1", "x", False),
    "overhead/flat/2 threads over 1": ("Batch to arrays: CPU time on 2 threads over that on 1", "x", False),
    "overhead/document/2 threads over 1": ("One document of 4 MB: CPU time on 2 threads over that on 1", "x", False),
    "cold after a call/english/list": ("First megabyte after one tiny call, English to list", "MB/s", True),
    "chat/message/fresh": ("One fresh chat message (300 to 420 bytes) to list", "µs", False),
    "chat/message/hot": ("The same message again", "µs", False),
    "decode/english/text": ("Decode a list to str, English", "Mtok/s", True),
    "decode/multilingual/text": ("Decode a list to str, multilingual", "Mtok/s", True),
    "decode/english/array": ("Decode a NumPy array to str, English", "Mtok/s", True),
    "decode/multilingual/array": ("Decode a NumPy array to str, multilingual", "Mtok/s", True),
    "decode/message/microseconds": ("Decode one chat message", "µs", False),
    "count/english/number": ("Count the tokens of fresh English", "MB/s", True),
    "details/documents/all fields": ("Ids, tokens and offsets of 2-KB documents", "MB/s", True),
    "details/text/all fields": ("Ids, tokens and offsets of a text of 200 KB", "MB/s", True),
    "load/file/cpu ms": ("Load, CPU time", "ms", False),
    "load/file/wall ms": ("Load, wall time", "ms", False),
    "load/file/wall ms 2": ("Load, wall time, 2 threads", "ms", False),
    "load/first call/ms": ("First call", "ms", False),
    "compiled/load/ms": ("Load the rival's own compiled form", "ms", False),
    "memory/after load/MB": ("Resident memory after load", "MB", False),
    "memory/after 1 MB/MB": ("Resident memory after load and 1 MB encoded", "MB", False),
    "turns/whole again/microseconds": ("A turn of a 50,000-token chat, the whole encoded again", "µs", False),
    "turns/reuse/microseconds": ("A turn of a 50,000-token chat with prefix reuse", "µs", False),
}
for _shape in ("a", "letters", "digits", "spaces", "equals", "cjk"):
    TITLES[f"shapes/{_shape}/ms"] = (f"Adversarial, 1 MiB: {_shape}", "ms", False)
    TITLES[f"shapes/{_shape}/growth"] = (f"Adversarial, growth from 256 KiB to 1 MiB: {_shape}", "x", False)

README_METRICS = (
    "fresh/english/numpy",
    "fresh/english/list",
    "fresh/code/numpy",
    "fresh/multilingual/numpy",
    "hot/english/numpy",
    "cold/english/list",
    "chat/message/fresh",
    "details/documents/all fields",
    "decode/english/text",
    "load/file/cpu ms",
    "memory/after 1 MB/MB",
)
README_TOKENIZERS = ("gpt2", "llama3", "o200k", "llama2", "gemma", "bert", "t5", "unigram-250k")


def empty() -> Cell:
    return {"samples": {}, "wrong": {}, "missing": {}, "failed": []}


def add(cell: Cell, answer: dict[str, Any]) -> None:
    if "unsupported" in answer:
        cell["unsupported"] = answer["unsupported"]
    if "failed" in answer:
        cell["failed"].append(answer["failed"])
    for metric, values in answer.get("samples", {}).items():
        cell["samples"].setdefault(metric, []).extend(values)
    for metric, (wrong, total) in answer.get("wrong", {}).items():
        before = cell["wrong"].get(metric, [0, 0])
        cell["wrong"][metric] = [before[0] + wrong, before[1] + total]
    cell["missing"].update(answer.get("missing", {}))


def derive(results: dict[str, Any]) -> None:
    """Adds what follows from two metrics."""
    for cells in results["tokenizers"].values():
        for cell in cells.values():
            for output, metric in (("list", "batch{}/list/cpu"), ("flat", "batch{}/flat/cpu"), ("document", "long{}/document/cpu")):
                single, double = median(cell, metric.format(1)), median(cell, metric.format(2))
                if single and double:
                    cell["samples"][f"overhead/{output}/2 threads over 1"] = [single / double]


def median(cell: Cell, metric: str) -> float | None:
    values = cell["samples"].get(metric)
    return statistics.median(values) if values else None


def is_right(cell: Cell, metric: str) -> bool:
    """Whether the ids behind a metric were the reference's, as far as they were compared."""
    return not cell["wrong"].get(metric, [0, 0])[0] and not cell["wrong"].get("checks", [0, 0])[0]


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: float, unit_value: float | None, more_is_better: bool) -> float | None:
    if not unit_value or not value:
        return None
    return value / unit_value if more_is_better else unit_value / value


def _row(results: dict[str, Any], rival: str, metric: str, spread: bool) -> tuple[list[str], str]:
    _, _, more_is_better = TITLES[metric]
    columns, wrong = [], []
    for name, cells in results["tokenizers"].items():
        cell = cells.get(rival) or empty()
        value = median(cell, metric)
        if value is None:
            columns.append("—")
            continue
        text = number(value)
        times = ratio(value, median(cells[UNIT], metric), more_is_better)
        if rival != UNIT and times is not None and TITLES[metric][1] != "x":
            text += f" ({number(times) if times < 10 else f'{times:.0f}'}x)"
        if spread:
            values = cell["samples"][metric]
            text += f" [{number(min(values))}–{number(max(values))}]"
        differing, total = map(sum, zip(cell["wrong"].get(metric, [0, 0]), cell["wrong"].get("checks", [0, 0]), strict=True))
        if differing:
            text += " ✗"
            wrong.append(f"{name} {differing} of {total}")
        columns.append(text)
    return columns, "differs: " + ", ".join(wrong) if wrong else "yes"


def best_other(cells: dict[str, Cell], metric: str, exact_only: bool) -> tuple[str, float] | None:
    _, _, more_is_better = TITLES[metric]
    values = [
        (value, rival)
        for rival, cell in cells.items()
        if rival != OURS and (value := median(cell, metric)) is not None and (not exact_only or is_right(cell, metric))
    ]
    if not values:
        return None
    value, rival = max(values) if more_is_better else min(values)
    return rival, value


def _standing(results: dict[str, Any], metric: str, exact_only: bool = False) -> list[str]:
    """Russet over the best rival, a tokenizer a column."""
    columns = []
    for cells in results["tokenizers"].values():
        ours = median(cells.get(OURS) or empty(), metric)
        best = best_other(cells, metric, exact_only)
        times = ratio(ours, best[1], TITLES[metric][2]) if ours and best else None
        mark = " ✗" if best and not is_right(cells[best[0]], metric) else ""
        columns.append(f"**{times:.2f}x** {best[0]}{mark}" if times is not None and best else "—")
    return columns


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def table(results: dict[str, Any], metric: str, spread: bool = False) -> str:
    rivals = list(results["about"]["versions"])
    rows = []
    for rival in rivals:
        columns, correct = _row(results, rival, metric, spread)
        if any(column != "—" for column in columns):
            rows.append([rival, *columns, correct])
    rows.append(["russet / best rival", *_standing(results, metric), ""])
    title, unit, _ = TITLES[metric]
    return f"{title}, {unit}\n\n" + _table(["", *results["tokenizers"], "correct"], rows)


def metrics_in(results: dict[str, Any]) -> list[str]:
    present = {metric for cells in results["tokenizers"].values() for cell in cells.values() for metric in cell["samples"]}
    return [metric for metric in TITLES if metric in present]


def _absences(results: dict[str, Any]) -> str:
    lines = []
    for rival in results["about"]["versions"]:
        refused: dict[str, list[str]] = {}
        for name, cells in results["tokenizers"].items():
            cell = cells.get(rival) or empty()
            for reason in [cell["unsupported"]] if "unsupported" in cell else []:
                refused.setdefault(f"does not load: {reason}", []).append(name)
            for what, reason in cell["missing"].items():
                refused.setdefault(f"{what}: {reason}", []).append(name)
            for reason in cell["failed"]:
                refused.setdefault(f"failed: {reason.splitlines()[-1] if reason else ''}", []).append(name)
        lines += [f"- {rival}: {reason} ({', '.join(dict.fromkeys(names))})" for reason, names in refused.items()]
    return "\n".join(lines)


def heading(results: dict[str, Any]) -> str:
    about = results["about"]
    versions = ", ".join(requirement.replace("==", " ") for requirement in about["versions"].values())
    notes = "" if about["sources"] == "RUSSET_CORPUS" else f" Tokenizers and texts: {about['sources']}."
    notes += " A quick run, few samples." if about["quick"] else ""
    return (
        f"{about['date']}, {about['machine']}. {versions}.{notes} Medians, with the ratio to `tokenizers` 0.23.3 in brackets; "
        f"one thread and CPU time unless said. ✗: gives other ids than `tokenizers` 0.23.3 on some of the texts compared."
    )


def summary(results: dict[str, Any]) -> str:
    rows = [[TITLES[metric][0], *_standing(results, metric)] for metric in metrics_in(results)]
    return "Russet over the best rival (over 1: Russet is faster, smaller)\n\n" + _table(["", *results["tokenizers"]], rows)


def full(results: dict[str, Any]) -> str:
    derive(results)
    parts = [heading(results), *(table(results, metric) for metric in metrics_in(results)), summary(results)]
    absences = _absences(results)
    return "\n\n".join(parts + (["Not measured:\n\n" + absences] if absences else []))


def document(results: dict[str, Any]) -> str:
    """As `full`, the summary first and each table folded, with the least and the greatest value."""
    derive(results)
    parts = [heading(results) + " In square brackets: the least and the greatest value.", summary(results)]
    for metric in metrics_in(results):
        title, body = table(results, metric, spread=True).split("\n\n", 1)
        parts.append(f"<details><summary>{title}</summary>\n\n{body}\n\n</details>")
    return "\n\n".join([*parts, "Not measured:\n\n" + (_absences(results) or "nothing is left out")])


def short(results: dict[str, Any]) -> str:
    """Russet alone, a workload a row: the speed, its ratio to `tokenizers` 0.23.3 and to the best rival that gives the same ids."""
    names = [name for name in README_TOKENIZERS if name in results["tokenizers"]]
    rows = []
    for metric in (metric for metric in README_METRICS if metric in metrics_in(results)):
        title, unit, more_is_better = TITLES[metric]
        columns = []
        for name in names:
            cells = results["tokenizers"][name]
            ours, unit_value = median(cells.get(OURS) or empty(), metric), median(cells[UNIT], metric)
            best = best_other(cells, metric, exact_only=True)
            if ours is None:
                columns.append("—")
                continue
            times = ratio(ours, unit_value, more_is_better)
            ahead = ratio(ours, best[1], more_is_better) if best else None
            text = number(ours) + (f" ({times:.0f}x)" if times is not None else "")
            columns.append(text + (f", {ahead:.1f}x {best[0]}" if best and ahead is not None and best[0] != UNIT else ""))
        rows.append([f"{title}, {unit}", *columns])
    note = "In brackets: over `tokenizers` 0.23.3; then over the best other package that gives the same ids. One thread, medians."
    about = results["about"]
    return f"{about['machine']}, {about['date']}. {note}\n\n" + _table(["", *names], rows)


def write_documents(results: dict[str, Any]) -> None:
    write_block(ROOT / "README.md", "peers", short(results))
    write_block(ROOT / "docs" / "performance.md", "peers", document(results))
