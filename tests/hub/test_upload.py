"""Folders that go to the Hub, with a card, and come back."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_processes import Failed, World


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as ``russet.convert`` leaves it."""
    from russet import onboard

    folder = tmp_path / "out"
    shutil.copytree(Path(onboard.__file__).parent / "model", folder)
    (folder / "README.md").unlink(missing_ok=True)
    report = {"difference": 3.2e-4, "limit": 2e-3, "rows": 57, "rounded_difference": 1.1e-3, "runs": []}
    (folder / "parity.json").write_text(json.dumps(report))
    config = json.loads((folder / "config.json").read_text()) if (folder / "config.json").exists() else {}
    (folder / "config.json").write_text(json.dumps({**config, "_name_or_path": "austen/base"}))
    (folder / ".hidden").write_text("not for others")
    (folder / "Half.mlpackage.partial").mkdir()
    (folder / "Half.mlpackage.partial" / "model.mlmodel").write_text("not finished")
    return folder


def push(world: World, folder: Path, **arguments: Any) -> dict[str, Any]:
    found = world.processes.start("push", folder=str(folder), repo_id="someone/toy", **arguments).result()
    assert isinstance(found, dict)
    return found


def front_matter(card: str) -> dict[str, Any]:
    found = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.DOTALL)
    assert found is not None
    fields = yaml.safe_load(found.group(1))
    assert isinstance(fields, dict)
    return fields


def uploaded(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".hidden" and "partial" not in str(path)
    }


def test_a_folder_is_uploaded_whole_with_a_card(world: World, folder: Path) -> None:
    before = uploaded(folder)
    made = push(world, folder, private=True)
    files = world.hub.files("someone/toy")
    assert made["wrote_card"] and made["pull_request"] is None
    assert made["sha"] == world.hub.repositories["someone/toy"].refs["main"] and made["sha"] in made["url"]
    assert {path: content for path, content in files.items() if path not in (".gitattributes", "README.md")} == before
    assert files["README.md"] == (folder / "README.md").read_bytes()
    assert world.hub.repositories["someone/toy"].private
    # Large files went as such, the others in the commit itself.
    assert len(world.hub.objects) == sum(path.endswith((".bin", ".mlmodel")) for path in before)


def test_the_card(world: World, folder: Path) -> None:
    push(world, folder)
    card = (folder / "README.md").read_text()
    fields = front_matter(card)
    assert fields["library_name"] == "russet"
    assert {"coreml", "russet"} <= set(fields["tags"])
    assert fields["base_model"] == "austen/base"
    assert fields["pipeline_tag"] == "text-generation"
    assert 'LanguageModel.from_pretrained("someone/toy")' in card
    assert "57 rows" in card and "3.2e-04" in card and "1.1e-03" in card
    (package,) = folder.glob("*.mlpackage")
    assert f"`{package.name}`" in card and " MB |" in card
    assert "None" not in card and "not told" not in card


def test_a_card_that_is_there_is_kept(world: World, folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    assert not push(world, folder)["wrote_card"]
    assert world.hub.files("someone/toy")["README.md"] == b"mine"


def test_what_a_card_does_not_know_it_leaves_out(world: World, folder: Path) -> None:
    (folder / "parity.json").unlink()
    (folder / "config.json").write_text('{"_name_or_path": "/home/someone/checkpoint: \\"x\\""}')
    push(world, folder)
    card = (folder / "README.md").read_text()
    assert "base_model" not in front_matter(card)
    assert "How exact" not in card and "/home/" not in card


def test_the_card_of_a_tokenizer(world: World, folder: Path) -> None:
    for package in folder.glob("*.mlpackage"):
        shutil.rmtree(package)
    push(world, folder)
    card = (folder / "README.md").read_text()
    assert front_matter(card) == {"library_name": "russet", "tags": ["russet"], "base_model": "austen/base"}
    assert 'AutoTokenizer.from_pretrained("someone/toy")' in card and "LanguageModel" not in card


def test_damaged_files_are_not_uploaded(world: World, folder: Path) -> None:
    (folder / "parity.json").write_text("{")
    with pytest.raises(Failed, match="ConfigError"):
        push(world, folder)
    (folder / "parity.json").unlink()
    next(folder.rglob("model.mlmodel")).write_bytes(b"\xff" * 100)
    with pytest.raises(Failed, match="PackageError"):
        push(world, folder)
    assert "someone/toy" not in world.hub.repositories
    assert not (folder / "README.md").exists()


def test_what_is_uploaded_generates_by_id(world: World, folder: Path) -> None:
    import russet

    expected = str(russet.LanguageModel.from_pretrained(folder).generate("It is a truth", max_new_tokens=8, temperature=0))
    push(world, folder)
    assert world.run("generate", "someone/toy", prompt="It is a truth") == expected
    world.hub.forget_requests()
    assert world.run("generate", "someone/toy", prompt="It is a truth", local_files_only=True) == expected
    assert world.hub.requests == []


def test_a_pull_request_leaves_the_branch(world: World, folder: Path) -> None:
    world.hub.put("someone/toy", {"config.json": "{}"})
    before = world.hub.files("someone/toy")
    made = push(world, folder, create_pr=True, commit_message="Add a package")
    assert made["pull_request"] == f"{world.hub.endpoint}/someone/toy/discussions/1"
    assert world.hub.files("someone/toy") == before
    assert "README.md" in world.hub.files("someone/toy", "refs/pr/1")


def test_a_second_upload_changes_what_is_other(world: World, folder: Path) -> None:
    push(world, folder)
    (folder / "config.json").write_text('{"changed": true}')
    push(world, folder)
    assert world.hub.files("someone/toy")["config.json"] == b'{"changed": true}'


def test_another_branch(world: World, folder: Path) -> None:
    world.hub.put("someone/toy", {"config.json": "{}"}, branch="int4")
    world.hub.put("someone/toy", {"config.json": "{}"})
    push(world, folder, revision="int4")
    assert "README.md" in world.hub.files("someone/toy", "int4")
    assert "README.md" not in world.hub.files("someone/toy")
    with pytest.raises(Failed, match="RevisionNotFoundError"):
        push(world, folder, revision="nothing")


def test_refusals(world: World, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"HubError.*token"):
        push(world, folder, token="hf_another")
    world.hub.fault("/commit/", method="POST", status=403)
    with pytest.raises(Failed, match=r"HubError.*permission"):
        push(world, folder)
    world.hub.faults.clear()
    world.hub.fault("/objects/", method="PUT", status=403)
    with pytest.raises(Failed, match=r"HubError.*permission"):
        push(world, folder)
    world.hub.faults.clear()
    world.hub.fault("/commit/", method="POST", status=500)
    with pytest.raises(Failed, match=r"HubError.*500"):
        push(world, folder)
    with pytest.raises(Failed, match="MissingFileError"):
        push(world, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Failed, match="MissingFileError"):
        push(world, tmp_path / "empty")
    with pytest.raises(Failed, match="ArgumentError"):
        world.processes.start("push", folder=str(folder), repo_id="a/b/c").result()
    (folder / "con.txt").write_text("x")
    with pytest.raises(Failed, match=r"HubError.*con.txt"):
        push(world, folder)


def test_the_document_runs(world: World, folder: Path, tmp_path: Path) -> None:
    document = (Path(__file__).parent.parent.parent / "docs" / "hub.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", document, re.DOTALL))
    (folder / "model.safetensors").write_bytes(b"weights")
    world.hub.put_folder("owner/name", folder)
    files = {path: content for path, content in world.hub.files("owner/name").items() if not path.startswith(".")}
    files |= {path.replace("Austen.", "Austen-int4."): files[path] for path in files if path.startswith("Austen.")}
    world.hub.put("owner/name", files)
    world.hub.put("owner/name", files, branch="v1.0")
    shutil.move(folder, tmp_path / "folder of russet.convert")
    out = world.processes.start("run_code", code=code, cache_dir=str(world.cache), folder=str(tmp_path)).result()
    assert world.hub.repositories["owner/name"].refs["main"] in out
    assert world.hub.repositories["owner/toy-coreml"].refs["main"] in out
