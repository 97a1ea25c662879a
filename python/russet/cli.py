"""The command ``russet``: encode, decode, inspect, doctor, generate, describe, bench, convert, download.

Results go to stdout, one line per text (a JSON object with ``--json``). An error is one line on stderr. The exit code is 0 on
success, 1 if something is wrong with a file or a text, 2 if the command itself is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from russet import RussetError, __version__
from russet.commands import doctor, generate, models, tokenizers
from russet.hub import command as hub_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    # argparse takes no positional arguments behind an option that follows others: they come here.
    if more and hasattr(options, "texts") and not any(argument.startswith("-") for argument in more):
        options.texts += more
    elif more and hasattr(options, "ids") and all(argument.isdecimal() for argument in more):
        options.ids += [int(argument) for argument in more]
    elif len(more) == 1 and getattr(options, "out", more) is None and not more[0].startswith("-"):
        options.out = Path(more[0])
    elif more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="\n")  # type: ignore[union-attr]
    try:
        code = options.run(options)
        sys.stdout.flush()
    except (RussetError, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            # The reader has enough. Python would complain when it flushes stdout at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"russet: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code or 0


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="russet", description="Exact and fast tokenizers, and language models that run anywhere.")
    parser.add_argument("--version", action="version", version=f"russet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    for each in (tokenizers, doctor, generate, models, hub_command):
        each.add_to(commands)
    return parser
