"""Mutated files with fixed seeds: a typed error or success, each within 20 s, together within 4 GB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutation.py")
BATCHES = [
    *[("russet", "json", seed, 700) for seed in range(3)],
    ("russet.tokenizers", "json", 10, 700),
    ("russet", "sentencepiece", 1, 700),
    ("russet", "tiktoken", 1, 500),
]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")


@pytest.mark.parametrize(("module", "kind", "seed", "count"), BATCHES)
def test_mutated_files(module: str, kind: str, seed: int, count: int, tmp_path: Path) -> None:
    log = tmp_path / "last"
    command = [sys.executable, str(SCRIPT), module, kind, str(seed), str(count), str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, errors="replace")
    if done.returncode:
        last = log.read_bytes() if log.exists() else b""
        pytest.fail(f"exit status {done.returncode} on {last[:3000]!r} ({len(last)} bytes)\n{done.stdout}{done.stderr[-2000:]}")
    assert done.stdout.startswith(f"{count} files")
