"""The packages that tests/data/make_packages.py made with coremltools from torch models, and what torch gives for them.

A case is a package: a family (`llama`) in a form (`stateful-range`). It has runs, each with a state of its own, and a run has steps: the
inputs of one prediction and the rows that torch gives. Of a padded input only the rows of real tokens are compared.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = Path(__file__).parent.parent / "data" / "packages"
#: Tokens that the stateful packages' caches hold: the columns of an enumerated package's mask.
CONTEXT = 64
#: Real tokens of the source that a T5 decoder attends to.
SOURCE_REAL = 10

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    family: str
    form: str
    #: Lists of steps: tokens before, tokens, length of the input.
    runs: list[list[list[int]]]

    def __str__(self) -> str:
        return f"{self.family}-{self.form}"

    @property
    def is_stateful(self) -> bool:
        return self.form.startswith("stateful")

    @property
    def output(self) -> str:
        return {"bert": "token_scores", "t5-encoder": "last_hidden_state"}.get(self.family, "logits")

    def path(self, folder: Path) -> Path:
        """Unpacks the family into a folder, unless it is there, and tells where the package is."""
        unpacked = folder / self.family
        if not unpacked.exists():
            with tarfile.open(PACKAGES / f"{self.family}.tar.xz") as archive:
                archive.extractall(unpacked, filter="data")
        return unpacked / f"{self.form}.mlpackage"

    def steps(self, run: list[list[int]]) -> Iterator[tuple[dict[str, Array], Array]]:
        """Inputs, and the rows of the output that they give, float32."""
        arrays = expected(self.family)
        for begin, real, padded in run:
            rows = arrays["output"][begin : begin + real] if "output" in arrays else arrays[f"output-{real}"]
            yield (self.stateful_inputs(begin, real) if self.is_stateful else self.inputs(real, padded)), rows

    def inputs(self, real: int, padded: int) -> dict[str, Array]:
        """Inputs of a package without states: tokens, then padding that the mask hides."""
        arrays = expected(self.family)
        ids = np.zeros((1, padded), np.int32)
        ids[0, :real] = arrays["ids"][:real]
        mask = (np.arange(padded) < real).astype(np.int32)[None]
        if self.family == "t5-decoder":
            return {"decoder_input_ids": ids, "decoder_attention_mask": mask, **self.source()}
        if self.family == "bert":
            return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return {"input_ids": ids, "attention_mask": mask}

    def stateful_inputs(self, begin: int, count: int) -> dict[str, Array]:
        columns = begin + count if self.form == "stateful-range" else CONTEXT
        seen = np.arange(columns) <= np.arange(begin, begin + count)[:, None]
        inputs: dict[str, Array] = {
            "inputIds": expected(self.family)["ids"][None, begin : begin + count],
            "causalMask": np.where(seen, np.float32(0), np.float32(-np.inf))[None, None],
        }
        if self.form == "stateful-enumerated":
            inputs["position"] = np.array([begin], np.int32)
        return inputs | (self.source() if self.family == "t5-decoder" else {})

    def source(self) -> dict[str, Array]:
        """What a T5 decoder reads of an encoder."""
        hidden = expected(self.family)["source"][None]
        return {"encoder_outputs": hidden, "attention_mask": (np.arange(hidden.shape[1]) < SOURCE_REAL).astype(np.int32)[None]}


@cache
def expected(family: str) -> dict[str, Array]:
    """The arrays that make_packages.py's `expected` gave."""
    with np.load(PACKAGES / f"{family}.npz") as arrays:
        return dict(arrays)


def cases() -> list[Case]:
    manifest = json.loads((PACKAGES / "manifest.json").read_text())
    return [Case(family, form, runs) for family, forms in manifest.items() for form, runs in forms.items()]


def assert_close(actual: Array, expected: Array, bound: float) -> None:
    """Row by row: near enough, and the same token is best unless the two best are as near to each other."""
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    limit = bound * np.abs(expected).max(axis=-1)
    np.testing.assert_array_less(np.abs(actual - expected).max(axis=-1), limit)
    second, first = np.sort(expected, axis=-1)[:, -2:].T
    decided = first - second > limit
    assert (actual.argmax(axis=-1) == expected.argmax(axis=-1))[decided].all()
