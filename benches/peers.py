"""Russet beside every fast tokenizer package, one table a workload: `make bench-peers`, or

    python benches/peers.py --quick                          about three minutes
    python benches/peers.py --only gpt2 llama2 --workloads fresh chat
    python benches/peers.py --write-readme                   and put the tables into README.md and docs/performance.md

Each rival runs in an environment of its own (benches/.peers, made on first use from PyPI), each measurement in a fresh process,
no two at once; the rivals take turns in every round, each round starting with another. Before a speed counts, ids are compared
with those of `tokenizers` 0.23.3: a cell of a rival that gives other ids is marked, and `correct` tells on how many texts.
Rates are CPU time on one thread unless a table says wall. Tokenizer files and texts: `rivals/vocabularies.py`, `rivals/texts.py`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from documents import processor
from rivals import report, texts, vocabularies
from rivals.environments import PEERS, RIVALS, UNIT, Rival, install, python_of, variables

HERE = Path(__file__).parent

# Workload -> (sessions that run in one process, threads, rounds).
PLAN: dict[str, list[tuple[tuple[str, ...], int, int]]] = {
    "checks": [(("checks",), 1, 1)],
    "fresh": [(("fresh",), 1, 4)],
    "cold": [(("cold_english",), 1, 5), (("cold_english_numpy",), 1, 5), (("cold_multilingual",), 1, 5)],
    "chat": [(("chat",), 1, 3)],
    "decode": [(("decode",), 1, 3)],
    "load": [(("load",), 1, 5), (("load",), 2, 3)],
    "compiled": [(("compiled",), 1, 2)],
    "batch": [(("batch",), 1, 3), (("batch",), 2, 3)],
    "shapes": [(("shapes",), 1, 2)],
    "details": [(("details",), 1, 2)],
    "count": [(("count",), 1, 2)],
    "turns": [(("turns",), 1, 2)],
}
QUICK: list[tuple[tuple[str, ...], int, int]] = [(("load", "fresh", "chat", "decode", "checks"), 1, 1)]
QUICK_KINDS = ["english", "multilingual"]
TIMEOUT_S = 900


def run_worker(rival: Rival, job: dict[str, Any], threads: int) -> dict[str, Any]:
    command = [python_of(rival), HERE / "rivals" / "worker.py"]
    try:
        done = subprocess.run(
            command, input=json.dumps(job), capture_output=True, text=True, timeout=TIMEOUT_S, env=variables(threads)
        )
    except subprocess.TimeoutExpired:
        return {"unsupported": f"no answer in {TIMEOUT_S} s"}
    if done.returncode or not done.stdout.strip():
        return {"failed": done.stderr.strip()[-400:] or f"exit status {done.returncode}"}
    answer: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return answer


def reference_of(name: str, tokenizer: Path, folder: Path) -> Path:
    output = tokenizer.with_name(f"{name}-{folder.name}.reference.json")
    if not output.is_file():
        script = HERE / "rivals" / "reference.py"
        subprocess.run([python_of(RIVALS[UNIT]), script, tokenizer, folder, output], check=True, env=variables(1))
    return output


def measure(arguments: argparse.Namespace, rivals: list[Rival]) -> dict[str, Any]:
    folder = texts.texts_folder(PEERS)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"tokenizers": {}, "about": about(arguments, rivals)}
    plan = QUICK if arguments.quick else [step for name in arguments.workloads or PLAN for step in PLAN[name]]
    for name in arguments.only or (vocabularies.QUICK if arguments.quick else vocabularies.SOURCES):
        tokenizer = vocabularies.prepare(name, PEERS, folder)
        if tokenizer is None:
            print(f"{name}: no file for it without RUSSET_CORPUS", file=sys.stderr)
            continue
        reference = reference_of(name, tokenizer, folder)
        cells = results["tokenizers"].setdefault(name, {rival.name: report.empty() for rival in rivals})
        turn = 0
        for sessions, threads, rounds in plan:
            for _ in range(min(rounds, arguments.rounds or rounds)):
                turn += 1
                for rival in rivals[turn % len(rivals) :] + rivals[: turn % len(rivals)]:
                    cell = cells[rival.name]
                    if "unsupported" in cell:
                        continue
                    job = {
                        "adapter": rival.adapter,
                        "sessions": sessions,
                        "tokenizer": str(tokenizer),
                        "texts": str(folder),
                        "reference": str(reference),
                        "quick": arguments.quick,
                        "kinds": QUICK_KINDS if arguments.quick else None,
                    }
                    started = time.monotonic()
                    answer = run_worker(rival, job, threads)
                    report.add(cell, answer)
                    print(
                        f"{name} {'+'.join(sessions)} x{threads} {rival.name}: {time.monotonic() - started:.1f} s", file=sys.stderr
                    )
                    if "failed" in answer:
                        print(answer["failed"], file=sys.stderr)
            arguments.output.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def about(arguments: argparse.Namespace, rivals: list[Rival]) -> dict[str, Any]:
    version = subprocess.run(
        [sys.executable, "-c", "import russet; print(russet.__version__)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {rival.name: rival.requirement or f"russet {version}" for rival in rivals},
        "sources": "RUSSET_CORPUS" if texts.corpus() else "the repository's fixtures",
        "quick": arguments.quick,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="five tokenizers, few samples")
    parser.add_argument("--only", nargs="+", choices=list(vocabularies.SOURCES), metavar="TOKENIZER")
    parser.add_argument("--workloads", nargs="+", choices=list(PLAN), metavar="WORKLOAD", help=", ".join(PLAN))
    parser.add_argument("--rivals", nargs="+", choices=list(RIVALS), metavar="RIVAL", help=", ".join(RIVALS))
    parser.add_argument("--rounds", type=int, help="at most so many rounds")
    parser.add_argument("--output", type=Path, default=PEERS / "results.json")
    parser.add_argument("--report", type=Path, help="only print the tables of an earlier run's results")
    parser.add_argument("--write-readme", action="store_true", help="put the tables into README.md and docs/performance.md")
    arguments = parser.parse_args()
    if arguments.report:
        results = json.loads(arguments.report.read_text(encoding="utf-8"))
    else:
        rivals = []
        for rival in RIVALS.values():
            if arguments.rivals and rival.name not in (*arguments.rivals, UNIT):
                continue
            failure = install(rival)
            if failure:
                print(f"{rival.name} does not install: {failure}", file=sys.stderr)
            else:
                rivals.append(rival)
        results = measure(arguments, rivals)
    print(report.full(results))
    if arguments.write_readme:
        report.write_documents(results)


if __name__ == "__main__":
    main()
