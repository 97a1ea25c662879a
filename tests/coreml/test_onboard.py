"""The model on board: it runs without a network, and is what its checkpoint gives."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fixtures
import russet
from russet import LanguageModel, Tokenizer, onboard

EXAMPLE = fixtures.DATA.parents[1] / "examples" / "onboard"
CHECKPOINT = EXAMPLE / "checkpoint"
#: The begin of Northanger Abbey, which it was trained on.
TEXT = (
    "No one who had ever seen Catherine Morland in her infancy would have supposed her born to be an heroine. Her situation in "
    "life, the character of her father and mother, her own person and disposition, were all equally against her. Her father was a "
    "clergyman, without being neglected, or poor, and a very respectable man, though his name was Richard--and he had never been "
    "handsome."
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel.from_pretrained(onboard.path(), backend="portable")


def example(name: str) -> Any:
    """A module of the example, whose modules import each other by plain names."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLE))


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def bits_per_byte(model: Any, text: str) -> float:
    return float(example("evaluate").bits(model, text)) / len(text.encode())


def test_sizes() -> None:
    assert bytes_of(onboard.path()) <= 3_000_000
    assert (CHECKPOINT / "model.safetensors").stat().st_size <= 8_000_000
    tensors = example("numpy_llama").tensors(CHECKPOINT / "model.safetensors")
    assert 1_000_000 <= sum(tensor.size for tensor in tensors.values()) <= 4_000_000


def test_the_command_generates_without_a_network(model: LanguageModel) -> None:
    code = """
import socket, sys
class NoNetwork(socket.socket):
    def __init__(self, *arguments, **keywords):
        raise AssertionError("a socket is opened")
socket.socket = NoNetwork
from russet.cli import main
sys.exit(main(["generate", "--prompt", "The carriage", "-n", "24", "--seed", "5", "--stats"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "generation: 24 tokens" in done.stderr
    expected = LanguageModel.from_pretrained(onboard.path()).generate("The carriage", max_new_tokens=24, seed=5)
    assert done.stdout == f"{expected}\n"
    assert len(done.stdout.split()) > 8


def test_settings(model: LanguageModel) -> None:
    assert model.context_length == 512
    assert model.generation_config.eos_token_id == 1
    assert model.tokenizer is not None
    assert model.tokenizer("Emma")["input_ids"][0] == model.generation_config.bos_token_id == 0
    chat_template = json.loads((onboard.path() / "tokenizer_config.json").read_text())["chat_template"]
    assert "add_generation_prompt" in chat_template


def test_the_tokenizer_is_equal_to_tokenizers() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    path = onboard.path() / "tokenizer.json"
    subject, reference = Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))
    text = (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")
    for line in [TEXT, *text.splitlines(keepends=True)]:
        ids = subject.encode(line).ids
        assert ids == reference.encode(line).ids
        assert subject.decode(ids) == line


def test_all_logits_are_those_of_single_steps(model: LanguageModel) -> None:
    assert model.tokenizer is not None
    ids = model.tokenizer(TEXT)["input_ids"][:12]
    context = model.new_context()
    steps = np.concatenate([context.extend([id]) for id in ids])
    np.testing.assert_array_equal(model.new_context().extend(ids, all_logits=True), steps)


def test_quantizing_costs_little(model: LanguageModel) -> None:
    """The checkpoint predicts, by far better than chance, what it was trained on; and the package nearly as well."""
    checkpoint = bits_per_byte(example("numpy_llama").NumpyLlama(CHECKPOINT), TEXT)
    package = bits_per_byte(model, TEXT)
    assert checkpoint < 2.2
    assert abs(package - checkpoint) < 0.08


def test_the_checkpoint_converts_to_what_ships(model: LanguageModel, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    report = example("package").build(tmp_path / "again")
    assert report.parity is not None and report.parity.difference < report.parity.limit
    names = sorted(path.relative_to(onboard.path()).as_posix() for path in onboard.path().rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(report.folder).as_posix() for path in report.folder.rglob("*") if path.is_file())
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (onboard.path() / name).read_bytes() == (report.folder / name).read_bytes()
    again = LanguageModel.from_pretrained(report.folder, backend="portable")
    assert again.describe() == model.describe()
    assert model.tokenizer is not None
    ids = model.tokenizer(TEXT)["input_ids"]
    shipped, expected = model.logits(ids), again.logits(ids)
    # Centres of clusters may differ in their last digit between versions of NumPy.
    assert np.abs(shipped - expected).max() <= 2e-3 * np.abs(expected).max()


def test_the_example_is_documented() -> None:
    """The numbers of the README are of the files that are here."""
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert f"{bytes_of(onboard.path()):,} bytes" in readme
    assert russet.onboard.path().name in readme
