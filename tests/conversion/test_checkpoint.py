"""Checkpoints are foreign data: what is damaged is refused by a typed error that names the place."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest

import russet
from russet.conversion.checkpoint import Checkpoint, read_header
from russet.conversion.decoder import Tensor


def written(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "no JSON"),
        (b"[]", "no object"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"a":1}', "no dtype"),
        (b"[" * 100_000, "no JSON"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "twice"),
        ({"a": entry(dtype="F31")}, "'F31' is not known"),
        ({"a": entry(dtype=[])}, "is not known"),
        ({"a": entry(shape="2")}, "no list"),
        ({"a": entry(shape=[2.0])}, "no list"),
        ({"a": entry(shape=[-2])}, "no list"),
        ({"a": entry(shape=[True])}, "no list"),
        ({"a": entry(shape=[1] * 9)}, "at most 8"),
        ({"a": entry(shape=[1 << 40, 1 << 40])}, "takes"),
        ({"a": entry(shape=[3])}, "takes 12 bytes"),
        ({"a": entry(offsets=[8, 0])}, "takes 8 bytes"),
        ({"a": entry(offsets=[-8, 0])}, "no two numbers"),
        ({"a": entry(offsets=[0])}, "no two numbers"),
        ({"a": entry(offsets=[8, 16])}, "takes 8 bytes"),
        ({"a": entry(), "b": entry()}, "overlaps 'a'"),
        ({"a": entry(shape=[1], offsets=[4, 8])}, "leaves a gap behind the header"),
        ({"a": entry(shape=[1], offsets=[0, 4])}, "4 bytes at its end"),
        ({}, "8 bytes at its end"),
    ],
)
def test_hostile_headers(header: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(russet.CheckpointError, match=message) as caught:
        read_header(written(tmp_path / "x.safetensors", header, b"\0" * 8))
    assert caught.value.place.startswith("x.safetensors")


@pytest.mark.parametrize("length", [9, 1 << 20, (1 << 64) - 1])
def test_lengths_that_lie(length: int, tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(russet.CheckpointError, match="header should have"):
        read_header(written(tmp_path / "x.safetensors", b"{}", b"\0" * 6, length))
    with pytest.raises(russet.CheckpointError, match="header should have"):
        (tmp_path / "x.safetensors").write_bytes(b"\1\2")
        read_header(tmp_path / "x.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_mutated_headers_are_read_or_refused(tmp_path: Path) -> None:
    checkpoints.write_safetensors(tmp_path / "x.safetensors", {"a": np.ones((2, 3)), "b": np.ones(4)}, "F32")
    whole = (tmp_path / "x.safetensors").read_bytes()
    random, refused = np.random.default_rng(3), 0
    for _ in range(300):
        data = bytearray(whole[: random.integers(0, len(whole) + 1)] if random.random() < 0.2 else whole)
        for place in random.integers(0, max(1, min(len(data), 170)), random.integers(1, 4)):
            if len(data):
                data[place] = random.integers(0, 256)
        (tmp_path / "x.safetensors").write_bytes(data)
        try:
            for stored in read_header(tmp_path / "x.safetensors").values():
                assert stored.offset + stored.size <= len(data)
        except russet.CheckpointError:
            refused += 1
    assert 150 < refused < 300


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("[]", "no index"),
        ("{}", "no index"),
        ('{"weight_map": {}}', "no object of 1"),
        ('{"weight_map": {"a": 1}}', "no name of a file"),
        ('{"weight_map": {"a": "../x.safetensors"}}', "no name of a file"),
        ('{"weight_map": {"a": "/etc/x.safetensors"}}', "no name of a file"),
        ('{"weight_map": {"a": "x.bin"}}', "no name of a file"),
        ('{"weight_map": {"b": "x.safetensors"}}', "'b' is not in x.safetensors"),
    ],
)
def test_hostile_indices(index: str, message: str, tmp_path: Path) -> None:
    checkpoints.write_safetensors(tmp_path / "x.safetensors", {"a": np.ones(2)}, "F32")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(russet.CheckpointError, match=message):
        Checkpoint(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(russet.MissingFileError, match=r"config\.json"):
        russet.convert(tmp_path, tmp_path / "out")
    (tmp_path / "config.json").write_text(json.dumps(checkpoints.manifest()["llama"]["config"]))
    with pytest.raises(russet.MissingFileError, match=r"no model\.safetensors.*none"):
        russet.convert(tmp_path, tmp_path / "out")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "x.safetensors"}}')
    with pytest.raises(russet.MissingFileError, match="names a file that is missing"):
        russet.convert(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("lm_head.weight"), "there is no tensor 'lm_head.weight'"),
        (lambda tensors: tensors.update({"model.norm.weight": np.ones(63)}), r"model.norm.weight: its shape is \[63\].*\[64\]"),
        (
            lambda tensors: tensors.update({"model.layers.1.mlp.up_proj.weight": np.ones((64, 128))}),
            r"its shape is \[64, 128\], and by config.json it is \[128, 64\]",
        ),
    ],
)
def test_weights_that_do_not_fit_the_configuration(change: Any, message: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "x", "llama")
    tensors = checkpoints.tensors_of("llama")
    change(tensors)
    checkpoints.write_safetensors(folder / "model.safetensors", tensors)
    with pytest.raises(russet.CheckpointError, match=message):
        russet.convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_elements_of_all_types_and_parts_of_tensors(tmp_path: Path) -> None:
    whole = checkpoints.weight("some.c_attn.weight", [6, 8])
    for dtype in ("F32", "F16", "BF16"):
        checkpoints.write_safetensors(tmp_path / "model.safetensors", {"a": np.ones(3), "w": whole}, dtype)
        checkpoint = Checkpoint(tmp_path)
        np.testing.assert_array_equal(checkpoint.rows(Tensor("w", (6, 8))), whole)
        np.testing.assert_array_equal(checkpoint.rows(Tensor("w", (2, 6), transposed=True, rows=(3, 5))), whole.T[3:5])
        np.testing.assert_array_equal(checkpoint.rows(Tensor("w", (6, 8)), 2, 4), whole[2:4])
        blocks = list(checkpoint.blocks(Tensor("w", (6, 8)), 4))
        assert [begin for begin, _ in blocks] == [0]
    # Checkpoints of bare models have names without the first part.
    np.testing.assert_array_equal(checkpoint.rows(Tensor("model.w", (6, 8))), whole)
    with pytest.raises(russet.CheckpointError, match=r"there is no tensor 'x\.y'"):
        checkpoint.find("x.y")
    checkpoint.tensors["w"] = checkpoint.tensors["w"].__class__(tmp_path / "model.safetensors", "I64", (6, 8), 0, 384)
    with pytest.raises(russet.CheckpointError, match="its elements are I64"):
        checkpoint.check(Tensor("w", (6, 8)))
