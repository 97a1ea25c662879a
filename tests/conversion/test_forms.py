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


#: Cases that differ from others in numbers alone, such as scalings of positions: a form with a cache and one without.
SCALINGS = {"llama3", "llama-tied", "llama-linear", "llama-dynamic", "llama-yarn", "phi3-short"}


@pytest.mark.parametrize(
    ("case", "form"), [(case, form) for case in NAMES for form in FORMS if case not in SCALINGS or form in ("range", "fixed")]
)
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


@pytest.mark.parametrize("form", FORMS)
def test_the_last_logits_alone(form: str, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    options = FORMS[form] | {"logits": "last"}
    russet.convert(checkpoint("llama"), tmp_path / "out", context_length=64, verify=False, **options)
    model = russet.LanguageModel.from_pretrained(tmp_path / "out", backend="portable")
    ids, logits = golden("llama")
    context = model.new_context()
    rows = [context.extend(ids[:20].tolist()), *(context.extend([id]) for id in ids[20:].tolist())]
    assert_close(np.concatenate(rows), logits[19:])
    # Nothing but the last row is computed.
    assert {row.shape for row in rows} == {(1, 96)}
    assert model.contract.is_last_only
    assert (model.contract.last_index is not None) == (form not in ("range", "multifunction"))


def test_calls_that_are_padded_say_which_token_is_the_last(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    russet.convert(checkpoint("llama"), tmp_path / "out", context_length=64, query_lengths=(8,))
    model = russet.LanguageModel.from_pretrained(tmp_path / "out", backend="portable")
    assert model.contract.last_index == "lastIndex"
    ids, logits = golden("llama")
    assert_close(model.new_context().extend(ids[:13].tolist()), logits[12:13])


def test_float32(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    for form in ("fixed", "range"):
        russet.convert(checkpoint("qwen2"), tmp_path / form, context_length=64, precision="float32", **FORMS[form])
        model = russet.LanguageModel.from_pretrained(tmp_path / form, backend="portable")
        ids, logits = golden("qwen2")
        # States are float16 all the same.
        assert_close(model.logits(ids), logits, 1e-5 if form == "fixed" else 1e-3)


def test_padding_is_hidden_where_only_padding_has_its_id(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    import checkpoints

    checkpoints.write(tmp_path / "padded", "llama", config={"pad_token_id": 5})
    options = FORMS["enumerated-ids"]
    russet.convert(tmp_path / "padded", tmp_path / "hides", context_length=64, **options)
    russet.convert(checkpoint("llama"), tmp_path / "plain", context_length=64, **options)
    hides, plain = (russet.coreml.load(next((tmp_path / name).glob("*.mlpackage")), "portable") for name in ("hides", "plain"))
    ids = np.array([[7, 5, 9, 11, 5, 5, 5, 5]], np.int32)
    without = np.array([[7, 8, 9, 11, 5, 5, 5, 5]], np.int32)
    changed = np.abs(hides.predict({"input_ids": ids})["logits"] - plain.predict({"input_ids": ids})["logits"])[0, :4].max(axis=-1)
    assert (changed[[0]] < 1e-5).all() and (changed[[2, 3]] > 1e-2).all()
    same = np.abs(hides.predict({"input_ids": without})["logits"] - plain.predict({"input_ids": without})["logits"])[0, :4]
    assert same.max() < 1e-5


def test_coremltools_loads_what_is_written(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    """The model file passes coremltools' own loader, which makes a program of it again."""
    from russet.coreml.coremltools_import import coremltools

    for form in ("multifunction", "range", "fixed"):
        russet.convert(checkpoint("llama"), tmp_path / form, context_length=64, verify=False, quantize="int8", **FORMS[form])
        with coremltools() as ct:
            from coremltools.converters.mil.frontend.milproto import load

            (path,) = (tmp_path / form).glob("*.mlpackage")
            model = ct.models.MLModel(str(path), skip_model_load=True)
            program = load.load(model.get_spec(), model.get_spec().specificationVersion, model.weights_dir)
        assert set(program.functions) == ({"q1", "q8"} if form == "multifunction" else {"main"})
        model = russet.LanguageModel.from_pretrained(tmp_path / form, backend="portable")
        assert model.contract.cache == ("none" if form == "fixed" else "states")
