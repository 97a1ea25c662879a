"""Conversion needs coremltools. Checkpoints are written once."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import checkpoints
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and not importlib.util.find_spec("coremltools"):
            item.add_marker(pytest.mark.skip(reason="conversion needs coremltools"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a case of `data/checkpoints`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    formats = {"mistral": "F16", "qwen3": "F32"}

    def of(case: str) -> Path:
        path = folder / case
        if not path.exists():
            checkpoints.write(path, case, dtype=formats.get(case, "BF16"), shards=3 if case == "llama3" else 1)
        return path

    return of
