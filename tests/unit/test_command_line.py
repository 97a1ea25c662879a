"""The command `russet`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fixtures

russet = pytest.importorskip("russet")
BERT = str(fixtures.TOKENIZERS / "wordpiece-bert-uncased.json")


def command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "russet", *arguments], input=stdin, capture_output=True, text=True, encoding="utf-8", check=False
    )


def test_encode_and_decode() -> None:
    tokenizer = russet.Tokenizer.from_file(BERT)
    done = command("encode", "--model", BERT, stdin="The mill\nÉ\n")
    assert done.returncode == 0, done.stderr
    rows = [[int(id) for id in line.split()] for line in done.stdout.splitlines()]
    assert rows == [tokenizer.encode("The mill").ids, tokenizer.encode("É").ids]
    back = command("decode", "-m", BERT, stdin=done.stdout)
    assert back.stdout.splitlines() == ["the mill", "e"]


def test_encode_a_file(tmp_path: Path) -> None:
    text = "The mill\nstands by the river.\n"
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    expected = [" ".join(map(str, russet.Tokenizer.from_file(BERT).encode(text).ids))]
    assert command("encode", "-m", BERT, "--file", str(tmp_path / "text.txt")).stdout.splitlines() == expected
    assert command("encode", "--file", "-", "-m", BERT, stdin=text).stdout.splitlines() == expected


def test_texts_on_both_sides_of_options() -> None:
    rows = command("encode", "The mill", "-m", BERT, "--no-special-tokens", "É").stdout.splitlines()
    assert rows == command("encode", "-m", BERT, "--no-special-tokens", "The mill", "É").stdout.splitlines()
    assert len(rows) == 2


def test_encode_as_json() -> None:
    tokenizer = russet.Tokenizer.from_file(BERT)
    done = command("encode", "--model", BERT, "--json", "The mill")
    found = json.loads(done.stdout)
    expected = tokenizer.encode("The mill")
    assert found["ids"] == expected.ids
    assert found["tokens"] == expected.tokens
    assert [tuple(pair) for pair in found["offsets"]] == expected.offsets


def test_inspect() -> None:
    done = command("inspect", "-m", str(fixtures.TOKENIZERS / "bpe-llama3.json"))
    assert done.returncode == 0, done.stderr
    for word in ("BPE", "ByteLevel", "<|endoftext|>", "TemplateProcessing"):
        assert word in done.stdout
    report = json.loads(command("inspect", "--json", "-m", str(fixtures.TOKENIZERS / "bpe-llama3.json")).stdout)
    assert report["model"] == "BPE"
    assert len(report["patterns"]) >= 1


def test_inspect_reports_ids_that_are_not_honoured() -> None:
    done = command("inspect", "-m", str(fixtures.TOKENIZERS / "added_tokens-holes.json"))
    assert done.returncode == 0, done.stderr
    assert "4000000000" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["encode", "-m", "/no/such/file", "x"], 1, "/no/such/file"),
        (["decode", "-m", BERT, "999999"], 1, "999999"),
        (["encode"], 2, "usage"),
        (["encode", "-m", BERT, "--file", BERT, "x"], 1, "TEXT and --file"),
        (["dance"], 2, "usage"),
    ],
)
def test_failures(arguments: list[str], status: int, message: str) -> None:
    done = command(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_version() -> None:
    assert command("--version").stdout.split()[1] == russet.__version__


def conversation(folder: Path, content: str | None, system: str | None = None, prompt: str | None = None) -> object:
    from russet.commands.conversation import read

    if content is not None:
        (folder / "chat.json").write_text(content, encoding="utf-8")
    chat = None if content is None else str(folder / "chat.json")
    return read(argparse.Namespace(chat=chat, system=system), prompt)


def test_options_make_a_conversation(tmp_path: Path) -> None:
    user, system = {"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}
    chat = json.dumps([user])
    assert conversation(tmp_path, None, prompt="x") == ("x", {})
    assert conversation(tmp_path, None, "Be brief.", "Hi") == ([system, user], {})
    assert conversation(tmp_path, chat) == ([user], {})
    assert conversation(tmp_path, chat, "Be brief.", "Hi") == ([system, user, user], {})
    # The option takes the place of the file's.
    assert conversation(tmp_path, json.dumps([{"role": "system", "content": "Be long."}, user]), "Be brief.") == (
        [system, user],
        {},
    )
    assert conversation(tmp_path, json.dumps({"messages": [user], "tools": [{}], "documents": None})) == ([user], {"tools": [{}]})


@pytest.mark.parametrize("content", ["{", "[1]", '{"message": []}', '[{"content": "x"}]', "[]", '"text"', "[" * 100_000])
def test_what_is_no_conversation_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(russet.ConfigError, match=r"chat\.json"):
        conversation(tmp_path, content)


def test_conversations_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    chat = str(tmp_path / "latin.json")
    assert "no UTF-8" in command("generate", "--chat", chat).stderr
    assert "no such file" in command("generate", "--chat", str(tmp_path / "none")).stderr
    done = command("generate", "--chat", "-", "--prompt", "-", stdin="[]")
    assert done.returncode == 1 and "both" in done.stderr
    assert command("generate", "--system", "x").returncode == 2


def test_encode_a_conversation() -> None:
    chat = json.dumps([{"role": "user", "content": "Where is Emma?"}])
    model = str(Path(russet.__file__).parent / "onboard" / "model")
    tokenizer = russet.AutoTokenizer.from_pretrained(model)
    expected = tokenizer.apply_chat_template(json.loads(chat), add_generation_prompt=True, return_dict=False)
    assert command("encode", "-m", model, "--chat", "-", stdin=chat).stdout.split() == list(map(str, expected))
