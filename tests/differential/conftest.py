from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import fixtures

Pair = tuple[Any, Any]


@pytest.fixture(scope="session")
def load(reference: ModuleType, candidate: ModuleType) -> Callable[[str], Pair]:
    """Loads a fixture by name: the reference's tokenizer and the candidate's. Each call gives objects of its own."""

    def both(name: str) -> Pair:
        content = fixtures.content(name)
        return reference.Tokenizer.from_str(content), candidate.Tokenizer.from_str(content)

    return both
