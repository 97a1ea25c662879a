"""Runs sessions (see `workloads.py`) of one rival on one tokenizer, in the rival's environment, and prints what it measured.

    python worker.py < job.json

A job has: adapter, sessions, tokenizer, texts, reference, quick. The answer, the last line of the output, has `samples` (metric ->
values), `wrong` (metric -> how many results differ from the reference's), `missing` (metric -> why), or `unsupported` (why the
rival does not load this tokenizer).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path


def hold_to_threads() -> None:
    """Some rivals start threads whatever the environment says: the process gets as many processors as it may use threads."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-int(os.environ["BENCH_THREADS"]) :])


def main() -> None:
    job = json.load(sys.stdin)
    hold_to_threads()
    sys.path[0] = str(Path(__file__).parents[1])
    from rivals import adapters, workloads
    from rivals.session import Unsupported

    answer = {}
    try:
        adapter = getattr(adapters, job["adapter"])()
        with contextlib.redirect_stdout(sys.stderr):
            answer = workloads.run(adapter, job)
    except Unsupported as error:
        answer = {"unsupported": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
