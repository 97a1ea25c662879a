"""Converts the checkpoint to the package that ships with Russet: `python examples/onboard/package.py`.

Needs coremltools. The folder `python/russet/onboard/model` is written anew.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from russet import convert, onboard
from russet.conversion import Report

CHECKPOINT = Path(__file__).parent / "checkpoint"


def build(out: Path) -> Report:
    """The package and what belongs to it, in a folder that is not there yet."""
    return convert(CHECKPOINT, out, quantize="palette4", context_length=512, name="Austen")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = build(Path(folder) / "model")
        assert report.parity is not None
        shutil.rmtree(onboard.path(), ignore_errors=True)
        shutil.copytree(report.folder, onboard.path())
    size = sum(path.stat().st_size for path in onboard.path().rglob("*") if path.is_file())
    print(
        f"{onboard.path()}: {size} bytes; logits differ from the quantized checkpoint's by {report.parity.difference:.1e} at most"
    )


if __name__ == "__main__":
    main()
