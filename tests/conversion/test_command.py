"""`russet convert`, and a folder that is enough to generate from."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import checkpoints
import pytest

import fixtures
import russet
from russet.cli import _parser
from russet.coreml.lint import lint

CONFIG = {"bos_token_id": None, "eos_token_id": [2, 3], "pad_token_id": 0}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "russet", *arguments], capture_output=True, text=True, encoding="utf-8", check=False
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkpoints.write(tmp_path_factory.mktemp("source") / "My Model", "llama-tied", config=CONFIG)
    tokenizer = json.loads((fixtures.TOKENIZERS / "bpe-gpt2.json").read_text())
    tokenizer["model"]["vocab"] = {token: id for token, id in tokenizer["model"]["vocab"].items() if id < 96}
    tokenizer["model"]["merges"], tokenizer["added_tokens"] = [], []
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 3], "temperature": 0.7, "do_sample": true}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "LICENSE").write_text("free")
    (folder / "train.py").write_text("")
    (folder / "tokenizer.json").chmod(0o600)
    return folder


def test_convert_generate_and_describe(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    # The folder may come behind options.
    arguments = ["--quantize", "*embed*=int8", "--quantize", "int4", "--query-lengths", "1,16", "--json"]
    done = command("convert", str(source), *arguments, str(out))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["parity"]["difference"] < 2e-3
    names = ["LICENSE", "chat_template.jinja", "config.json", "generation_config.json", "tokenizer.json"]
    assert report["carried"] == names
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "My Model.mlpackage", "parity.json"])
    made = command("generate", "--model", str(out), "--prompt", "ab", "-n", "5", "--seed", "3")
    assert made.returncode == 0, made.stderr
    model = russet.LanguageModel.from_pretrained(out)
    assert model.generation_config.eos_token_id == [2, 3]
    assert model.context_length == 64
    metadata = model.backend.describe().metadata
    assert metadata["co.huggingface.exporters.name"] == "My Model"
    assert metadata["co.huggingface.exporters.task"] == "text-generation"
    assert metadata["co.huggingface.exporters.precision"] == "float16"
    assert metadata["russet.context_length"] == "64"
    assert metadata["russet.pad_token_id"] == "0"
    assert json.loads(metadata["russet.quantize"]) == {"*embed*": "int8", "*": "int4"}
    # Others may read it, whatever the modes of the checkpoint's files.
    for path in (out, *out.rglob("*")):
        assert path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) == stat.S_IRGRP | stat.S_IROTH, path
    found = command("describe", str(out), "--lint")
    assert (found.returncode, found.stdout) == (0, "nothing found\n")


def test_plan(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    done = command("convert", str(tmp_path), "--plan", "--quantize", "int4", "--context", "32")
    assert done.returncode == 0, done.stderr
    assert "llama, 2 layers, 0.1M parameters" in done.stdout
    assert "context         32 tokens" in done.stdout
    options = _parser().parse_args(["convert", str(tmp_path), "--plan", "--json", "--cache", "none", "--target", "ios16"])
    options.run(options)
    report = json.loads(capsys.readouterr().out)
    assert report["form"] == "fixed" and report["target"] == "iOS16" and report["state_bytes"] == 0


def test_what_goes_wrong_is_one_line(source: Path, tmp_path: Path) -> None:
    done = command("convert", str(tmp_path), "--plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("russet: ") and "there is no config.json" in done.stderr and done.stderr.count("\n") == 1
    for arguments, message in (
        ((str(source),), "OUT: where shall the package come"),
        ((str(source), str(tmp_path / "x"), "--query-lengths", "a"), "'a' are no numbers"),
        ((str(source), str(tmp_path / "x"), "--quantize", "int3"), "'int3' is not one of"),
    ):
        options = _parser().parse_args(["convert", *arguments])
        with pytest.raises(russet.ArgumentError, match=message):
            options.run(options)
    assert not (tmp_path / "x").exists()


def test_progress_is_told(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    russet.convert(
        checkpoint("gpt2"),
        tmp_path / "out",
        query_lengths=(1, 8),
        progress=lambda what, done, total: told.append((what, done, total)),
    )
    for what in ("weights", "parity"):
        counts = [(done, total) for name, done, total in told if name == what]
        assert len({total for _, total in counts}) == 1
        assert counts == sorted(counts) and counts[-1][0] == counts[-1][1]
    assert [name for name, *_ in told] == sorted((name for name, *_ in told), reverse=True)


def test_packages_keep_to_core_mls_limits(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    from test_forms import FORMS

    for form, options in FORMS.items():
        russet.convert(checkpoint("qwen3"), tmp_path / form, **(options | {"logits": "last"}), verify=False)
        assert lint(tmp_path / form) == []


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    for out in ("one", "two"):
        russet.convert(checkpoint("llama"), tmp_path / out, quantize="palette4", query_lengths=(1, 8))
    one, two = tmp_path / "one", tmp_path / "two"
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert [name for name in files if (one / name).read_bytes() != (two / name).read_bytes()] == []
