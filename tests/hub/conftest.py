"""A stand-in Hub, processes that speak to it, and an empty cache for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_processes import Processes, World
from stand_in_hub import StandInHub

pytest.importorskip("russet")
if not hasattr(os, "fork"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def server() -> Iterator[StandInHub]:
    with StandInHub() as hub:
        yield hub


@pytest.fixture(scope="session")
def start_processes(server: StandInHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function from environment variables to processes that have them."""
    started: dict[tuple[tuple[str, str], ...], Processes] = {}

    def start(**environment: str) -> Processes:
        key = tuple(sorted(environment.items()))
        if key not in started:
            folder = tmp_path_factory.mktemp("processes")
            started[key] = Processes(folder, server.environment(folder / "home", token=server.token, **environment))
        return started[key]

    yield start
    for processes in started.values():
        processes.close()


@pytest.fixture
def world(server: StandInHub, start_processes: Any, tmp_path: Path) -> Iterator[World]:
    server.reset()
    world = World(server, tmp_path / "cache", start_processes())
    yield world
    world.processes.forget()
    leaks = server.leaks
    server.reset()
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert leaks == [], "the token left the endpoint's host"
