"""Language models in every contract over Core ML: what they ask keeps Core ML's rules, and they give one greedy text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

import stand_in
from mil_packages import Decoder, cached, stateful, stateless

from russet.coreml.language_model import LanguageModel

CONTRACTS: dict[str, Callable[[], Path]] = {
    "fixed": lambda: stateless("fixed"),
    "enumerated": lambda: stateless("enumerated"),
    "range": lambda: stateless("range"),
    "range, camel case, last token": lambda: stateless("range", camel_case=True, last_token=True),
    "range, no mask": lambda: stateless("range", mask=False),
    "states, range": lambda: stateful("range"),
    "states, range, snake case, last token": lambda: stateful("range", snake_case=True, logits="last"),
    "states, enumerated": lambda: stateful("enumerated"),
    "states, enumerated, position, last index": lambda: stateful("enumerated", position=True, logits="lastIndex"),
    "states, functions": lambda: stateful("multifunction"),
    "states, functions, position, last token": lambda: stateful("multifunction", position=True, logits="last"),
    "cache, range": lambda: cached("range"),
    "cache, enumerated": lambda: cached("enumerated"),
}
PROMPT = [5, 6, 7, 300, 42, 9, 17, 256, 3, 11, 99, 100, 101, 511, 0, 1, 2, 33, 77]
EXPECTED = Decoder().greedy(PROMPT, 12)


def greedy(model: LanguageModel) -> list[int]:
    context = model.new_context()
    logits = context.extend(PROMPT)
    found: list[int] = []
    while True:
        found.append(int(logits[-1].argmax()))
        if len(found) == len(EXPECTED):
            return found
        logits = context.extend(found[-1:])


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_contract_gives_the_same_text(contract: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUSSET_CACHE", str(tmp_path))
    package = CONTRACTS[contract]()
    stand_in.install(monkeypatch, stand_in.portable_compute(package))
    model = LanguageModel.from_pretrained(package)
    assert model.backend.name == "coremltools"
    assert greedy(model) == EXPECTED


@pytest.mark.macos
@pytest.mark.parametrize("units", ["cpuOnly", "cpuAndGPU"])
@pytest.mark.parametrize("contract", CONTRACTS)
def test_core_ml_gives_the_same_text(contract: str, units: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUSSET_CACHE", str(tmp_path))
    model = LanguageModel.from_pretrained(CONTRACTS[contract](), compute_units=units)
    context = model.new_context()
    rows = [context.extend(PROMPT)[-1]]
    rows += [context.extend([id])[-1] for id in EXPECTED[:-1]]
    expected: np.ndarray[Any, Any] = Decoder().logits(PROMPT + EXPECTED[:-1])[len(PROMPT) - 1 :]
    assert np.abs(np.array(rows) - expected).max() < 0.1
