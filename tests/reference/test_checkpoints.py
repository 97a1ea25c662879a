"""The logits that tests/conversion compares packages with are those of the models of tests/data/reference_checkpoints.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: see `make test-reference`")
pytest.importorskip("transformers", reason="transformers is not installed: see `make test-reference`")
DATA = Path(__file__).parent.parent / "data"
sys.path.insert(0, str(DATA))
import reference_checkpoints  # noqa: E402

#: Float32 on another processor and with another version of torch, as a share of a row's largest magnitude.
TOLERANCE = 1e-4
MANIFEST = json.loads((DATA / "checkpoints" / "manifest.json").read_text())


def test_every_case_is_committed() -> None:
    assert list(MANIFEST) == list(reference_checkpoints.CASES)


@pytest.mark.parametrize("case", MANIFEST)
def test_torch_gives_the_committed_logits(case: str) -> None:
    entry, logits = reference_checkpoints.expected(case)
    assert entry == MANIFEST[case]
    with np.load(DATA / "checkpoints" / "logits.npz") as arrays:
        np.testing.assert_array_equal(arrays[f"{case}/ids"], reference_checkpoints.ids_of(case))
        committed = arrays[f"{case}/logits"]
    assert (np.abs(logits - committed) <= TOLERANCE * np.abs(committed).max(axis=-1, keepdims=True)).all()
