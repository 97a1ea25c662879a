"""The outputs that tests/coreml compares packages with are those of the models of tests/data/reference_models.py.

Packages themselves need coremltools and are not made again here. What was traced for them is run instead, with the packages' inputs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_packages

torch = pytest.importorskip("torch", reason="torch is not installed: see `make test-reference`")
pytest.importorskip("transformers", reason="transformers is not installed: see `make test-reference`")
sys.path.insert(0, str(Path(__file__).parent.parent / "data"))
import reference_models  # noqa: E402

#: Float32 on another processor and with another version of torch, as a share of a row's largest magnitude.
TOLERANCE = 1e-4

CASES = reference_packages.cases()


def assert_rows_close(actual: Any, expected: Any) -> None:
    assert actual.shape == expected.shape
    assert (np.abs(actual - expected) <= TOLERANCE * np.abs(expected).max(axis=-1, keepdims=True)).all()


@pytest.mark.parametrize("family", reference_models.FAMILIES)
def test_torch_gives_the_committed_outputs(family: str) -> None:
    computed, committed = reference_models.expected(family), reference_packages.expected(family)
    of_generate = {"prompt", "greedy", "beams", "beam_scores"} if family in reference_models.GENERATING else set()
    assert committed.keys() == computed.keys() | of_generate
    for name, array in computed.items():
        assert array.dtype == committed[name].dtype
        assert_rows_close(array, committed[name])


@pytest.mark.parametrize("family", reference_models.GENERATING)
def test_transformers_generates_the_committed_tokens(family: str) -> None:
    committed = reference_packages.expected(family)
    computed = reference_models.generated(reference_models.model_of(family), committed["prompt"])
    np.testing.assert_array_equal(computed["greedy"], committed["greedy"])
    np.testing.assert_array_equal(computed["beams"], committed["beams"])
    np.testing.assert_allclose(computed["beam_scores"], committed["beam_scores"], atol=1e-3)


def test_the_committed_steps_are_those_of_the_models() -> None:
    assert [(case.family, case.form, case.runs) for case in CASES] == [
        (family, form, [[list(step) for step in run] for run in runs])
        for family in reference_models.FAMILIES
        for form, runs in reference_models.forms_of(family)
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_traced_gives_the_committed_outputs(case: reference_packages.Case) -> None:
    model = reference_models.model_of(case.family)
    for run in case.runs:
        wrapper = reference_models.wrapper_of(case.family, case.form, model)
        for inputs, rows in case.steps(run):
            with torch.no_grad():
                output = wrapper(*(torch.from_numpy(array) for array in inputs.values()))
            assert_rows_close(output[0, : len(rows)].numpy(), rows)
