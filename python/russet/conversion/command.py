"""``russet convert``: arguments, the progress bar, what is printed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from russet import hub
from russet.conversion import convert, plan
from russet.conversion.quantize import Rules
from russet.errors import ArgumentError

_BAR_WIDTH = 32


def run(options: argparse.Namespace) -> None:
    """Converts, or plans to, as the command's options say.

    Raises:
        ArgumentError: if they make no sense; and what :func:`russet.conversion.convert` raises.
    """
    arguments: dict[str, Any] = {
        "cache": options.cache,
        "query_lengths": _numbers(options.query_lengths),
        "context_length": options.context,
        "shapes": options.shapes,
        "precision": options.precision,
        "logits": options.logits,
        "quantize": rules(options.quantize),
        "target": options.target,
    }
    if options.plan:
        folder = hub.resolve(options.model, options.revision, allow_patterns=hub.CONFIG)
        report = plan.make(folder, **arguments).report()
        print(json.dumps(report) if options.json else _outline(report))
        return
    if options.out is None:
        raise ArgumentError("OUT: where shall the package come? Without it there is --plan")
    start, bar = time.perf_counter(), _Bar()
    try:
        made = convert(
            options.model,
            options.out,
            name=options.name,
            revision=options.revision,
            verify=not options.no_verify,
            progress=bar.show if sys.stderr.isatty() else None,
            **arguments,
        )
    finally:
        bar.clear()
    url = None
    if options.upload_repo is not None:
        url = hub.push_to_hub(made.folder, options.upload_repo, private=options.private or None).url
    parity = None if made.parity is None else made.parity.report()
    if options.json:
        found = {"package": str(made.package), "package_bytes": made.package_bytes, "parity": parity, "carried": made.carried}
        found |= {} if url is None else {"url": url}
        print(json.dumps(found | {"plan": made.plan.report()}))
        return
    print(f"package         {made.package}, {made.package_bytes / 1e6:.1f} MB, in {time.perf_counter() - start:.1f} s")
    if made.parity is not None:
        print(
            f"parity          {made.parity.rows} rows, at most {made.parity.difference:.1e} off; {made.parity.limit:g} is allowed"
        )
    print(f"beside it       {', '.join(made.carried)}")
    for name in made.plan.config.unread():
        print(f"not read        config.json: {name}")
    if url is not None:
        print(f"uploaded        {url}")


def rules(given: list[str] | None) -> Rules:
    """``["int4"]`` is one kind for all; ``["*embed*=int8", "int4"]`` are kinds by patterns, and one for the rest."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    found: dict[str, str] = {}
    for each in given:
        pattern, is_pattern, kind = each.rpartition("=")
        found[pattern if is_pattern else "*"] = kind
    return found


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(f"--query-lengths: {text!r} are no numbers with commas between") from None


def _outline(report: dict[str, Any]) -> str:
    lengths = ", ".join(map(str, report["lengths"]))
    form = f"{report['form']} ({lengths})" if lengths else report["form"]
    lines = [
        f"model           {report['model_type']}, {report['layers']} layers, {report['parameters'] / 1e6:.1f}M parameters",
        f"package         {form}, {report['target']}, {report['package_bytes'] / 1e6:.1f} MB",
        f"weights         {', '.join(f'{kind} {count / 1e6:.1f}M' for kind, count in report['encodings'].items())}",
        f"context         {report['context_length']} tokens, {report['state_bytes'] / 1e6:.1f} MB of states",
        f"memory          about {report['memory_bytes'] / 1e6:.0f} MB while converting",
    ]
    lines += [f"not read        config.json: {name}" for name in report["unread_fields"]]
    return "\n".join(lines)


class _Bar:
    """A line on stderr that shows how far the conversion is."""

    def __init__(self) -> None:
        self._last = 0.0
        self._is_shown = False

    def show(self, what: str, done: int, total: int) -> None:
        """Draws the line again, ten times a second at most."""
        now = time.monotonic()
        if done < total and now - self._last < 0.1:
            return
        self._last, self._is_shown = now, True
        filled = _BAR_WIDTH * done // max(1, total)
        sys.stderr.write(f"\r{what:<8} [{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {100 * done // max(1, total):>3} %")
        sys.stderr.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self._is_shown:
            sys.stderr.write("\r" + " " * (_BAR_WIDTH + 20) + "\r")
            sys.stderr.flush()
