"""Every form of every kind of checkpoint gives the logits that torch gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import NAMES, golden, manifest

import russet

#: How far a row may be off, as a share of its largest magnitude.
BOUND = 2e-3

FORMS: dict[str, dict[str, Any]] = {
    "range": {"shapes": "range", "logits": "all"},
    "multifunction": {"query_lengths": (1, 8), "logits": "all"},
    "fixed": {"cache": "none", "target": "iOS16", "logits": "all"},
    "enumerated": {"cache": "none", "shapes": "enumerated", "query_lengths": (8, 24), "logits": "all"},
    "enumerated-ids": {"cache": "none", "shapes": "enumerated", "query_lengths": (8, 24), "target": "iOS17", "logits": "all"},
}


def assert_close(actual: Any, expected: Any, bound: float = BOUND) -> None:
    """Row by row: near enough, and the same token is best unless the two best are as near to each other."""
    assert actual.shape == expected.shape
    limit = bound * np.abs(expected).max(axis=-1)
    off = np.abs(actual - expected).max(axis=-1)
    assert (off <= limit).all(), (off / limit).max()
    second, first = np.sort(expected, axis=-1)[:, -2:].T
    assert (actual.argmax(axis=-1) == expected.argmax(axis=-1))[first - second > limit].all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", NAMES)
def test_a_package_gives_what_torch_gives(case: str, form: str, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    entry = manifest()[case]
    options = dict(FORMS[form])
    if "query_lengths" in options:
        options["query_lengths"] = [length for length in options["query_lengths"] if length <= entry["context"]]
    russet.convert(checkpoint(case), tmp_path / "out", context_length=entry["context"], verify=False, **options)
    model = russet.LanguageModel.from_pretrained(tmp_path / "out", backend="portable")
    ids, logits = golden(case)
    context, prompt = model.new_context(), entry["prompt"]
    rows = [context.extend(ids[:prompt].tolist(), all_logits=True)]
    rows += [context.extend([id]) for id in ids[prompt:].tolist()]
    assert len(np.concatenate(rows)) == len(ids) >= 16
    assert_close(np.concatenate(rows), logits)
