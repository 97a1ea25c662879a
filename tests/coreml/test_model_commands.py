"""The commands that run models: generate, describe, bench."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fixtures
from russet import LanguageModel

mil_packages = pytest.importorskip("mil_packages")
pytest.importorskip("coremltools")

from mil_packages import stateful  # noqa: E402

PROMPT = "The mill stands by the river"


def command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "russet", *arguments], input=stdin, capture_output=True, text=True, encoding="utf-8", check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(stateful("multifunction"), folder / "Toy.mlpackage")
    shutil.copy(fixtures.TOKENIZERS / "bpe-gpt2.json", folder / "tokenizer.json")
    return folder


def test_generate_prints_the_text(folder: Path) -> None:
    expected = LanguageModel.from_pretrained(folder).generate(PROMPT, max_new_tokens=8)
    done = command("generate", "--model", str(folder), "--prompt", PROMPT, "--max-new-tokens", "8", "--stats")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{expected}\n"
    assert "generation: 8 tokens" in done.stderr
    assert "tokens/s" in done.stderr


def test_generate_reads_stdin_and_prints_json(folder: Path) -> None:
    arguments = [
        "generate",
        "-m",
        str(folder),
        "--prompt",
        "-",
        "-n",
        "8",
        "--temperature",
        "0.9",
        "--top-k",
        "20",
        "--seed",
        "3",
        "--json",
    ]
    done = command(*arguments, stdin=PROMPT)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    expected = LanguageModel.from_pretrained(folder).generate(PROMPT, max_new_tokens=8, temperature=0.9, top_k=20, seed=3)
    assert report["token_ids"] == expected.token_ids
    assert report["text"] == expected.text
    assert report["seed"] == 3
    assert report["usage"]["completion_tokens"] == 8
    assert report["finish_reason"] == "length"
    assert json.loads(command(*arguments, stdin=PROMPT).stdout)["token_ids"] == report["token_ids"]


def test_generate_stops_before_a_stop_string(folder: Path) -> None:
    whole = str(LanguageModel.from_pretrained(folder).generate(PROMPT, max_new_tokens=12))
    stop = whole[len(whole) // 2 :][:3]
    done = command("generate", "-m", str(folder), "--prompt", PROMPT, "-n", "12", "--stop", stop)
    assert done.stdout == whole[: whole.index(stop)] + "\n"


def test_describe(folder: Path) -> None:
    report = json.loads(command("describe", str(folder), "--json").stdout)
    assert [function["name"] for function in report["functions"]] == ["q1", "q16", "q64", "q128"] or len(report["functions"]) == 4
    function = next(function for function in report["functions"] if function["name"] == "q16")
    assert function["inputs"][0] == {"name": "inputIds", "dtype": "int32", "shape": "(1, 16)", "optional": False}
    assert [state["name"] for state in function["states"]] == ["keyCache", "valueCache"]
    assert function["operations"]["linear"] == 15
    assert function["missing_operations"] == []
    assert function["language_model"]["context_length"] == 192
    assert report["weights"]["float16"]["bytes"] == 2 * report["weights"]["float16"]["elements"]
    text = command("describe", str(folder / "Toy.mlpackage")).stdout
    for word in ("keyCache", "linear 15", "float16", "language model", "CoreML8"):
        assert word in text


def test_bench(folder: Path) -> None:
    done = command("bench", str(folder), "--prompt-tokens", "32", "--generation-tokens", "8", "--rounds", "2", "--json")
    report = json.loads(done.stdout)
    assert report["backend"] == "portable" or sys.platform == "darwin"
    for name in (
        "prompt_tokens_per_second",
        "generation_tokens_per_second",
        "time_to_first_token_seconds",
        "peak_memory_megabytes",
    ):
        assert report[name] > 0
    assert "tokens/s" in command("bench", str(folder), "--prompt-tokens", "8", "--generation-tokens", "4", "--rounds", "1").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["generate", "--model", "nowhere", "--prompt", "x"], 1, "nowhere"),
        (["generate"], 2, "--prompt"),
        (["generate", "--model", "FOLDER", "--prompt", "x", "--temperature", "-1"], 1, "temperature"),
        (["generate", "--model", "FOLDER", "--prompt", "x " * 400], 1, "192"),
        (["describe", "nowhere"], 1, "nowhere"),
        (["bench", "FOLDER", "--prompt-tokens", "0"], 1, "at least 1"),
        (["bench", "FOLDER", "--prompt-tokens", "500"], 1, "192"),
    ],
)
def test_errors(folder: Path, arguments: list[str], status: int, message: str) -> None:
    done = command(*(str(folder) if argument == "FOLDER" else argument for argument in arguments))
    assert done.returncode == status
    assert message in done.stderr
    assert status == 2 or done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_the_first_token_comes_within_a_second(folder: Path) -> None:
    """From the command to a token: interpreter, imports, package, prompt, one step. CPU time, the machine may be busy."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = command("generate", "-m", str(folder), "--prompt", PROMPT, "-n", "1")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 1.0
