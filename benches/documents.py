"""What benches write into documents: on which processor, and the block between their marks."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write_block(path: Path, name: str, text: str) -> None:
    """Puts a text in place of what `benches/NAME.py` wrote into a document before, or at its end."""
    content = path.read_text(encoding="utf-8")
    block = f"<!-- {name}: begin, written by benches/{name}.py -->\n{text}\n<!-- {name}: end -->"
    replaced, found = re.subn(rf"<!-- {name}: begin.*?<!-- {name}: end -->", lambda _: block, content, flags=re.DOTALL)
    path.write_text(replaced if found else f"{content.rstrip()}\n\n{block}\n", encoding="utf-8")
