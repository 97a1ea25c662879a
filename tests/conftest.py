"""What every test can ask for: the reference, the module under test, and the corpus."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import tokenizers
from stand_in_hub import StandInHub

import comparison

# Both are read by the reference when they are first needed: its threads would warn when a test forks, and its panics, which
# the tests provoke, would print long traces.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["RUST_BACKTRACE"] = "0"
# No test asks the real Hub: those of tests/hub speak to a stand-in, from processes of their own.
os.environ["HF_HUB_OFFLINE"] = "1"

REFERENCE_VERSION = "0.23.3"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--candidate",
        default=os.environ.get("RUSSET_CANDIDATE", "russet.tokenizers"),
        help="the module that is held equal to `tokenizers`; `--candidate tokenizers` tests the tests",
    )


def pytest_configure(config: pytest.Config) -> None:
    comparison.reference_tests_itself = config.getoption("candidate") == "tokenizers"


def pytest_report_header(config: pytest.Config) -> str:
    return f"candidate: {config.getoption('candidate')}, corpus: {os.environ.get('RUSSET_CORPUS', 'none')}"


def pytest_sessionstart(session: pytest.Session) -> None:
    if tokenizers.__version__ != REFERENCE_VERSION:
        raise pytest.UsageError(f"tokenizers {tokenizers.__version__} is installed; the reference is {REFERENCE_VERSION}")


@pytest.fixture(scope="session")
def candidate_name(request: pytest.FixtureRequest) -> str:
    name: str = request.config.getoption("candidate")
    return name


@pytest.fixture(scope="session")
def candidate(candidate_name: str) -> ModuleType:
    """The module under test: the interface of `tokenizers`."""
    return importlib.import_module(candidate_name)


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    return tokenizers


@pytest.fixture
def stand_in_hub() -> Iterator[StandInHub]:
    """A stand-in for the Hub: ``put`` repositories there, and give a sub-process its ``environment(cache)``."""
    with StandInHub() as hub:
        yield hub


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder that RUSSET_CORPUS names."""
    folder = os.environ.get("RUSSET_CORPUS")
    if not folder:
        pytest.skip("RUSSET_CORPUS is not set")
    path = Path(folder)
    if not (path / "conformance.py").is_file():
        pytest.fail(f"RUSSET_CORPUS={folder} has no conformance.py")
    return path
