"""Models by their ids: a checkpoint on the Hub is converted, uploaded, and talks from there; and then again without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_in_hub import StandInHub

pytest.importorskip("coremltools", reason="converting needs coremltools, which has no wheel here")
CHECKPOINT = Path(__file__).parent.parent.parent / "examples" / "onboard" / "checkpoint"
GENERATE = ["--max-new-tokens", "12", "--temperature", "0"]
CHAT = {"messages": [{"role": "user", "content": "Where is Emma?"}]}


class Machine:
    """A machine whose cache is empty at first."""

    def __init__(self, hub: StandInHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        folder.mkdir()

    def run(self, *command: str, offline: bool = False) -> subprocess.CompletedProcess[str]:
        # The stand-in takes large files as plain LFS.
        more = {"HF_HUB_DISABLE_XET": "1"} | ({"HF_HUB_OFFLINE": "1"} if offline else {})
        environment = self.hub.environment(self.folder / "home", token=self.hub.token, **more)
        paths = os.pathsep.join(path for path in sys.path if path)
        self.hub.forget_requests()
        return subprocess.run(
            [sys.executable, *command], env=environment | {"PYTHONPATH": paths}, capture_output=True, text=True, encoding="utf-8",
            check=False, cwd=self.folder,
        )  # fmt: skip

    def russet(self, *arguments: str, offline: bool = False) -> str:
        """What a command prints; offline, and in a second run, nothing is asked."""
        done = self.run("-m", "russet", *arguments, offline=offline)
        assert done.returncode == 0, done.stderr
        assert not (offline and self.hub.requests)
        return done.stdout


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInHub]:
    """A Hub with a checkpoint, what was made of it, and the package of that alone."""
    with StandInHub() as hub:
        hub.put_folder("owner/austen", CHECKPOINT)
        maker = Machine(hub, tmp_path_factory.mktemp("maker") / "machine")
        options = ["--quantize", "int8", "--context", "128", "--query-lengths", "1,32", "--upload-repo", "owner/austen-coreml"]
        made = json.loads(maker.russet("convert", "owner/austen", "out", *options, "--json"))
        assert "owner/austen-coreml" in made["url"]
        (package,) = (maker.folder / "out").glob("*.mlpackage")
        shutil.copytree(package, maker.folder / "bare" / "Model.mlpackage")
        hub.put_folder("owner/bare", maker.folder / "bare")
        yield hub
        assert hub.leaks == []


@pytest.fixture
def machine(hub: StandInHub, tmp_path: Path) -> Machine:
    return Machine(hub, tmp_path / "machine")


def test_what_was_pushed(hub: StandInHub) -> None:
    files = hub.files("owner/austen-coreml")
    assert {"README.md", "tokenizer.json", "tokenizer_config.json", "parity.json", "config.json"} <= set(files)
    card = files["README.md"].decode()
    assert "library_name: russet" in card and "base_model: owner/austen" in card
    metadata = next(content for path, content in files.items() if path.endswith("model.mlmodel"))
    assert b"co.huggingface.exporters.name" in metadata and b"owner/austen" in metadata


@pytest.mark.parametrize("repo_id", ["owner/austen-coreml", "owner/bare"])
def test_it_generates_and_chats_by_id_and_then_offline(machine: Machine, repo_id: str) -> None:
    (machine.folder / "chat.json").write_text(json.dumps(CHAT))
    commands = (
        ["generate", "--model", repo_id, "--prompt", "It was a fine morning", *GENERATE],
        ["generate", "--model", repo_id, "--chat", "chat.json", "--system", "Emma sat down.", *GENERATE],
        ["encode", "--model", "owner/austen", "--chat", "chat.json"],
    )
    online = [machine.russet(*command) for command in commands]
    assert all(text.strip() for text in online) and online[0] != online[1]
    assert [machine.russet(*command, offline=True) for command in commands] == online


def test_a_model_takes_messages(machine: Machine) -> None:
    code = (
        "import russet, json\n"
        "lm = russet.LanguageModel.from_pretrained('owner/bare')\n"
        "messages = [{'role': 'user', 'content': 'Where is Emma?'}]\n"
        "values = {'max_new_tokens': 12, 'temperature': 0}\n"
        "text = str(lm.generate(messages, **values))\n"
        "ids = lm.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)\n"
        "pieces = ''.join(piece.text for piece in lm.stream_generate(messages, **values))\n"
        "print(json.dumps([text, str(lm.generate(ids, **values)), pieces, ids]))"
    )
    done = machine.run("-c", code)
    assert done.returncode == 0, done.stderr
    of_messages, of_ids, of_pieces, ids = json.loads(done.stdout)
    assert of_messages == of_ids == of_pieces and of_messages
    # One token of beginning, though the template writes it and the tokenizer would add it.
    assert ids.count(0) == 1


def test_a_plan_fetches_the_configuration_alone(machine: Machine) -> None:
    report = json.loads(machine.russet("convert", "owner/austen", "--plan", "--json"))
    assert report["model_type"] == "llama"
    assert machine.hub.asked(r"config\.json") and not machine.hub.asked("safetensors|tokenizer")


def test_what_cannot_be_converted_is_told_before_weights_are_fetched(machine: Machine) -> None:
    files: dict[str, Any] = {"config.json": json.dumps({"model_type": "unheard"}), "model.safetensors": b"x"}
    machine.hub.put("owner/unheard", files)
    done = machine.run("-m", "russet", "convert", "owner/unheard", "out")
    assert done.returncode == 1 and "unheard" in done.stderr and "llama" in done.stderr
    assert not machine.hub.asked("safetensors")


def test_one_of_several_packages_is_named(machine: Machine) -> None:
    package = {f"Model-{kind}.mlpackage/{path.partition('/')[2]}": content for kind in ("int4", "int8")
               for path, content in machine.hub.files("owner/bare").items()}  # fmt: skip
    machine.hub.put("owner/both", package)
    done = machine.run("-m", "russet", "describe", "owner/both")
    assert done.returncode == 1 and "Model-int4.mlpackage" in done.stderr
    assert "Model-int8" in machine.russet("describe", "owner/both", "--variant", "int8")
    assert machine.hub.asked("Model-int8") and not machine.hub.asked("resolve.*Model-int4")


def test_a_tokenizer_that_cannot_be_had_is_told_where_text_is_needed(machine: Machine) -> None:
    machine.russet("download", "owner/bare")
    code = (
        "import russet\n"
        "lm = russet.LanguageModel.from_pretrained('owner/bare')\n"
        "assert len(lm.generate([1, 2, 3], max_new_tokens=4).token_ids) == 4\n"
        "try: lm.generate('text')\n"
        "except russet.MissingTokenizerError as error: print(error)"
    )
    done = machine.run("-c", code, offline=True)
    assert done.returncode == 0, done.stderr
    assert "owner/austen" in done.stdout and machine.hub.requests == []


def test_an_encoder_by_its_id(machine: Machine, tmp_path: Path) -> None:
    import mil_encoders

    import fixtures

    package = mil_encoders.encoder(shapes="range")
    folder = tmp_path / "encoder"
    shutil.copytree(package, folder / "Encoder.mlpackage")
    shutil.copy(fixtures.TOKENIZERS / "wordpiece-bert-uncased.json", folder / "tokenizer.json")
    machine.hub.put_folder("owner/encoder", folder)
    code = "import russet; print(russet.EncoderModel.from_pretrained('owner/encoder').embed(['The mill']).tolist())"
    online, offline = machine.run("-c", code), machine.run("-c", code, offline=True)
    assert online.returncode == 0, online.stderr
    assert json.loads(online.stdout) == json.loads(offline.stdout)
    assert machine.hub.requests == []
