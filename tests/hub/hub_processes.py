"""Processes that speak to a stand-in Hub, and what a test says about them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from stand_in_hub import StandInHub

SERVER = Path(__file__).parent / "fork_server.py"
#: Long enough for a machine that is busy with other things.
_GREATEST_SECONDS = 60


class Killed(Exception):
    """The process ended without an answer."""


class Failed(Exception):
    """What the job raised, as the process described it."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['class']}: {error['message']}\n{error['trace']}")
        self.name: str = error["class"]
        self.bases: list[str] = error["bases"]
        self.message: str = error["message"]
        self.attributes: dict[str, Any] = error["attributes"]
        #: Nothing of huggingface_hub or its HTTP library gets out.
        assert error["module"] == "russet", error["trace"]
        assert "RussetError" in error["bases"], error["trace"]


class Running:
    """A process at its job."""

    def __init__(self, path: Path, job: str, arguments: dict[str, Any]) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_GREATEST_SECONDS)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self.pid = int(self._file.readline())
        self._file.write(json.dumps({"job": job, "arguments": arguments}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Listens no more."""
        self._file.close()
        self._socket.close()

    def result(self) -> Any:
        """What the job gave."""
        try:
            line = self._file.readline()
        except ConnectionError:
            line = ""
        finally:
            self.close()
        if not line:
            raise Killed
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["value"]


class Processes:
    """A fork server with one environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._path = folder / "socket"
        self._started: list[Running] = []
        self.log = folder / "stderr"
        paths = [str(SERVER.parent), *(path for path in sys.path if path)]
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, str(SERVER), str(self._path)],
                env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._server.stdout is not None
        if self._server.stdout.readline() != b"ready\n":
            self.close()
            pytest.fail(self.log.read_text())

    def close(self) -> None:
        assert self._server.stdout is not None
        self._server.kill()
        self._server.wait()
        self._server.stdout.close()

    def start(self, job: str, **arguments: Any) -> Running:
        running = Running(self._path, job, arguments)
        self._started.append(running)
        return running

    def forget(self) -> None:
        """Listens no more to what was started."""
        for running in self._started:
            running.close()
        self._started.clear()


@dataclass
class World:
    """One test's Hub, cache and processes."""

    hub: StandInHub
    cache: Path
    processes: Processes
    #: Passed on to each job that resolves.
    options: dict[str, Any] = field(default_factory=dict)

    def start(self, job: str, repo_id: str = "owner/name", **arguments: Any) -> Running:
        return self.processes.start(job, repo_id=repo_id, cache_dir=str(self.cache), **self.options, **arguments)

    def run(self, job: str, repo_id: str = "owner/name", **arguments: Any) -> Any:
        return self.start(job, repo_id, **arguments).result()

    def resolve(self, repo_id: str = "owner/name", revision: str | None = None, **arguments: Any) -> Path:
        return Path(self.run("resolve", repo_id, revision=revision, **arguments))

    def fails(self, repo_id: str = "owner/name", revision: str | None = None, **arguments: Any) -> Failed:
        """What resolving raises."""
        with pytest.raises(Failed) as caught:
            self.resolve(repo_id, revision, **arguments)
        return caught.value

    def check(self, folder: Path, repo_id: str = "owner/name", revision: str = "main") -> None:
        """Fails unless a folder has all files of a commit, as they are there."""
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        expected = self.hub.files(repo_id, revision)
        assert sorted(found) == sorted(expected)
        for path, content in expected.items():
            assert found[path] == content, path

    def unfinished(self) -> list[Path]:
        return sorted(self.cache.rglob("*.incomplete"))

    def root(self, repo_id: str = "owner/name") -> Path:
        return self.cache / f"models--{repo_id.replace('/', '--')}"
