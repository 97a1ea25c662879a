"""`AutoTokenizer` by an id: the files that it needs are fetched, and nothing the second time, or offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from stand_in_hub import StandInHub

import fixtures
import russet

CODE = """
import json, russet
tokenizer = russet.AutoTokenizer.from_pretrained("owner/miller", {options})
pushed = {push!r} and tokenizer.push_to_hub({push!r})
print(json.dumps([dict(tokenizer(["The mill", "stands"], padding=True)), tokenizer.padding_side, tokenizer.chat_template, tokenizer.name_or_path]))
"""
SETTINGS = {"padding_side": "left", "pad_token": "[PAD]", "tokenizer_class": "BertTokenizer"}


def run(hub: StandInHub, home: Path, options: str = "", push: str = "", **more: str) -> list[object]:
    environment = hub.environment(home, token=hub.token, HF_HUB_DISABLE_XET="1", **more)
    paths = os.pathsep.join(path for path in sys.path if path)
    hub.forget_requests()
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(options=options, push=push)], env=environment | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parsed: list[object] = json.loads(done.stdout.splitlines()[-1])
    return parsed


def test_a_tokenizer_by_its_id(tmp_path: Path) -> None:
    content = fixtures.content("wordpiece-bert-uncased")
    files = {
        "tokenizer.json": content,
        "tokenizer_config.json": json.dumps(SETTINGS),
        "chat_template.jinja": "{{ messages }}",
        "model.safetensors": "x" * 1000,
        "sub/tokenizer.json": content,
    }
    with StandInHub() as hub:
        commit = hub.put("owner/miller", files)
        expected = dict(
            russet.PreTrainedTokenizer(tokenizer_object=russet.Tokenizer.from_str(content), **SETTINGS)(
                ["The mill", "stands"], padding=True
            )
        )
        got = run(hub, tmp_path / "home", push="owner/copy")
        assert got == [
            {**expected, "token_type_ids": [[0] * len(row) for row in expected["input_ids"]]},
            "left",
            "{{ messages }}",
            "owner/miller",
        ]
        assert not hub.asked("model.safetensors")
        assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} <= set(hub.files("owner/copy"))
        assert run(hub, tmp_path / "home", f"revision={commit!r}") == got
        assert not hub.requests
        for offline in (run(hub, tmp_path / "home", HF_HUB_OFFLINE="1"), run(hub, tmp_path / "home", "local_files_only=True")):
            assert offline == got
            assert not hub.requests
        assert run(hub, tmp_path / "home", 'subfolder="sub", pad_token="[PAD]"')[1] == "right"
        assert hub.leaks == []
