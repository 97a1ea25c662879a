"""Errors in a package are found and named; a conversion that fails leaves nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest

import russet
from russet import conversion
from russet.conversion import blocks, parity, weights

FORMS: dict[str, dict[str, Any]] = {
    "multifunction": {"query_lengths": (1, 8)},
    "range": {"shapes": "range"},
    "fixed": {"cache": "none", "target": "iOS16"},
    "enumerated": {"cache": "none", "shapes": "enumerated", "query_lengths": (8,)},
}


def assert_nothing_is_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "layer"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("model.layers.0.self_attn.k_proj.weight", "layers.0.attention"),
        ("model.layers.1.self_attn.o_proj.weight", "layers.1.attention"),
        ("model.layers.1.mlp.down_proj.weight", "layers.1.feed_forward"),
        ("model.layers.1.post_attention_layernorm.weight", "layers.1.feed_forward"),
        ("model.norm.weight", "norm"),
        ("lm_head.weight", "head"),
    ],
)
def test_a_changed_weight_is_found(
    key: str, layer: str, checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = weights.Weights.write

    def damaged(self: weights.Weights, path: Path, *rest: Any) -> None:
        write(self, path, *rest)
        begin = self.offset(key, "data") + 64
        data = np.memmap(path, np.float16, "r+", begin, self[key].shape)
        # A row: of the embedding that of a token of the text.
        data[parity_ids()[0] if "embed" in key else 0] += np.float16(1)
        data.flush()

    monkeypatch.setattr(weights.Weights, "write", damaged)
    form = list(FORMS)[len(key) % len(FORMS)]
    with pytest.raises(russet.ParityError, match=f"the first part that differs is {layer}$") as caught:
        russet.convert(checkpoint("llama"), tmp_path / "out", context_length=64, logits="all", **FORMS[form])
    assert caught.value.layer == layer
    assert caught.value.difference > caught.value.limit == parity.LIMIT
    assert_nothing_is_left(tmp_path)


def parity_ids() -> list[int]:
    found: list[int] = np.random.default_rng(20260).integers(0, 96, 16).tolist()
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_rotary_base_is_found(
    form: str, checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = weights._table

    def of_another_base(rotary: Any, *rest: Any) -> Any:
        return table(replace(rotary, theta=500000.0), *rest)

    monkeypatch.setattr(weights, "_table", of_another_base)
    with pytest.raises(russet.ParityError) as caught:
        russet.convert(checkpoint("llama"), tmp_path / "out", context_length=64, **FORMS[form])
    assert caught.value.layer == "layers.0.attention"
    assert_nothing_is_left(tmp_path)


def test_a_missing_window_is_found(checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.Blocks, "windowed", lambda self, mask, window, places: mask)
    with pytest.raises(russet.ParityError) as caught:
        russet.convert(checkpoint("qwen2"), tmp_path / "out", context_length=64, shapes="range")
    assert caught.value.layer == "layers.1.attention"


def test_the_report(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    for form, options in FORMS.items():
        report = russet.convert(checkpoint("gpt2"), tmp_path / form, context_length=64, **options)
        assert report.parity is not None
        assert report.parity.difference < 1e-4
        assert report.parity.rounded_difference is not None and 1e-5 < report.parity.rounded_difference < 2e-2
        saved = json.loads((tmp_path / form / "parity.json").read_text())
        assert saved == json.loads(json.dumps(report.parity.report()))
        runs = {tuple(run["tokens"]) for run in saved["runs"]}
        assert (
            runs
            == {
                "multifunction": {(1, 1, 1, 1, 1), (8, 1, 1, 1, 1)},
                "range": {(1, 1, 1, 1, 1), (13, 1, 1, 1, 1), (40, 1, 1, 1, 1)},
                "fixed": {(24, 1)},
                "enumerated": {(7, 1), (63, 1)},
            }[form]
        )


@pytest.mark.parametrize("where", ["weights", "parity", "publish"])
def test_what_is_interrupted_leaves_nothing(
    where: str, checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    target = {
        "weights": (weights.Weights, "_write"),
        "parity": (conversion.parity, "check"),
        "publish": (conversion.package, "carry"),
    }
    monkeypatch.setattr(*target[where], interrupted)
    with pytest.raises(KeyboardInterrupt):
        russet.convert(checkpoint("llama"), tmp_path / "out", query_lengths=(1,))
    assert_nothing_is_left(tmp_path)


def test_what_is_killed_leaves_nothing_that_loads(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    code = """
import sys, time, russet
def progress(what, done, total):
    if what == 'parity':
        print("there", flush=True)
        time.sleep(60)
russet.convert(sys.argv[1], sys.argv[2], query_lengths=(1, 8), progress=progress)
"""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(checkpoint("llama")), str(out)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None and process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(russet.MissingFileError):
        russet.LanguageModel.from_pretrained(out)
    left = list(out.parent.iterdir())
    assert [path.name.startswith(".out.") and path.name.endswith(".partial") for path in left] == [True]
    with pytest.raises(russet.MissingFileError):
        russet.LanguageModel.from_pretrained(left[0])
    # It is in nobody's way.
    russet.convert(checkpoint("llama"), out, query_lengths=(1,), verify=False)


def test_a_folder_that_is_not_empty_is_left_as_it_is(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(russet.ArgumentError, match="is there already, and not empty"):
        russet.convert(checkpoint("llama"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    (tmp_path / "out" / "mine").unlink()
    russet.convert(checkpoint("llama"), tmp_path / "out", query_lengths=(1,), verify=False)


def test_numbers_that_are_too_large_for_float16_are_found(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "in", "llama")
    tensors = checkpoints.tensors_of("llama")
    # The product of gate and up is some 1e5, and down makes it small again.
    for name, factor in (("gate_proj", 2.0**8), ("up_proj", 2.0**8), ("down_proj", 2.0**-16)):
        tensors[f"model.layers.1.mlp.{name}.weight"] = tensors[f"model.layers.1.mlp.{name}.weight"] * np.float32(factor)
    checkpoints.write_safetensors(folder / "model.safetensors", tensors)
    with pytest.raises(russet.ParityError, match=r"layers\.1\.feed_forward: with float16 operations a number is too large"):
        russet.convert(folder, tmp_path / "out", query_lengths=(1, 8))
    report = russet.convert(folder, tmp_path / "out", query_lengths=(1, 8), precision="float32")
    assert report.parity is not None and report.parity.rounded_difference is None
