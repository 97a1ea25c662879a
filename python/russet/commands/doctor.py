"""The command ``russet doctor``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from russet.commands.models import as_json


def add_to(commands: Any) -> None:
    """Adds the command to a parser's."""
    doctor = commands.add_parser(
        "doctor",
        help="find what is wrong with a tokenizer",
        description="Checks a tokenizer's files, and finds which stage differs from tokenizers and transformers where they are "
        "installed. The exit code is 0 if nothing is wrong, 1 if something is, 2 if there is nothing to examine.",
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("path", metavar="PATH", help="the tokenizer's folder, or its file, or a repository on the Hub")
    doctor.add_argument(
        "--text", action="append", default=[], metavar="TEXT", help="compare on this too; may be given several times"
    )
    doctor.add_argument("--file", action="append", default=[], type=Path, metavar="FILE", help="compare on each line of FILE too")
    doctor.add_argument("--json", action="store_true", help="print one object")


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Keeps other packages from writing to stderr: what transformers logs, and what tokenizers tells of its panics."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _doctor(options: argparse.Namespace) -> int:
    from russet.doctor.examination import examine

    try:
        lines = [line for file in options.file for line in file.read_text(encoding="utf-8").split("\n") if line]
        with _muted():
            report = examine(options.path, [*options.text, *lines])
    except (OSError, UnicodeDecodeError) as error:
        print(f"russet doctor: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(as_json(report.plain()))
        return 1 if report.findings else 0
    for finding in report.findings:
        print(f"wrong  {finding}")
        for stage, forms in finding.details.get("forms", {}).items():
            print(f"         {stage} there: {forms['expected']}\n         {stage} here:  {forms['got']}")
    for note in report.notes:
        print(f"note   {note}")
    compared = f"compared with {' and '.join(report.references)} on {report.texts} texts" if report.references else "not compared"
    count = len(report.findings)
    print(f"{'nothing is' if not count else 'one thing is' if count == 1 else f'{count} things are'} wrong; {compared}")
    return 1 if report.findings else 0
