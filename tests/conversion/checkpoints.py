"""Checkpoints in safetensors that tests convert: those of `data/checkpoints`, written anew from names and shapes."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent.parent / "data"
sys.path.insert(0, str(DATA))
from reference_checkpoints import CASES, weight  # noqa: E402

Array = np.ndarray[Any, Any]
NAMES = list(CASES)
_NUMPY = {"F32": "<f4", "F16": "<f2"}


@cache
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "checkpoints" / "manifest.json").read_text())
    return found


@cache
def golden(case: str) -> tuple[Array, Array]:
    """Ids, and torch's logits behind each."""
    with np.load(DATA / "checkpoints" / "logits.npz") as arrays:
        return arrays[f"{case}/ids"], arrays[f"{case}/logits"]


def tensors_of(case: str) -> dict[str, Array]:
    return {name: weight(name, shape) for name, shape in manifest()[case]["tensors"].items()}


def write_safetensors(path: Path, tensors: dict[str, Array], dtype: str = "BF16") -> None:
    """Writes a file as the package `safetensors` does."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        if dtype == "BF16":
            raw = (np.ascontiguousarray(tensor, np.float32).view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()
        else:
            raw = np.ascontiguousarray(tensor, _NUMPY[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write(folder: Path, case: str, *, dtype: str = "BF16", shards: int = 1, config: dict[str, Any] | None = None) -> Path:
    """Writes a checkpoint into a new folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(manifest()[case]["config"] | (config or {})))
    tensors = tensors_of(case)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, dtype)
        return folder
    names, weight_map = list(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard::shards]
        write_safetensors(folder / file, {name: tensors[name] for name in part}, dtype)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder
