"""The portable runtime gives what torch gives, for packages that coremltools made from torch models."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_packages import PACKAGES, Case, assert_close, cases

import russet.coreml

#: How far a row may be from torch's, as a share of its largest magnitude; and with every float16 operation rounded.
BOUND, BOUND_ROUNDED = 1e-3, 5e-3

FAMILIES = [
    "gpt2",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "phi3",
    "gpt_neox",
    "gptj",
    "falcon",
    "gpt_bigcode",
    "bert",
    "t5-encoder",
    "t5-decoder",
]
FORMS = ["fixed", "range", "enumerated", "stateful-range", "stateful-enumerated"]


def test_every_family_is_there_in_every_form() -> None:
    encoders = ["bert", "t5-encoder"]
    assert [(case.family, case.form) for case in cases()] == [
        (family, form) for family in FAMILIES for form in FORMS if family not in encoders or not form.startswith("stateful")
    ]
    assert sum(path.stat().st_size for path in PACKAGES.iterdir()) < 3_000_000


@pytest.mark.parametrize("rounded", [False, True], ids=["exact", "rounded"])
@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_package_gives_what_torch_gives(case: Case, rounded: bool, unpacked: Path) -> None:
    model = russet.coreml.load(case.path(unpacked), backend="portable", round_fp16=rounded)
    compared = 0
    for run in case.runs:
        state = model.make_state()
        for inputs, rows in case.steps(run):
            output = model.predict(inputs, state)[case.output]
            assert_close(output[0, : len(rows)], rows, BOUND_ROUNDED if rounded else BOUND)
            compared += len(rows)
    assert compared == {"fixed": 13, "range": 33, "enumerated": 51}.get(case.form, 14)
