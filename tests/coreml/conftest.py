"""Tests marked ``macos`` run where Core ML is. Where packages are unpacked."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("macos") and (sys.platform != "darwin" or not importlib.util.find_spec("coremltools")):
            item.add_marker(pytest.mark.skip(reason="needs Core ML, and coremltools"))


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that packages of `data/packages` are unpacked into."""
    return tmp_path_factory.mktemp("packages")
