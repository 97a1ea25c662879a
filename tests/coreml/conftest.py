"""Tests marked ``macos`` run where Core ML is."""

from __future__ import annotations

import sys

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform != "darwin":
        for item in items:
            if item.get_closest_marker("macos"):
                item.add_marker(pytest.mark.skip(reason="needs Core ML"))
