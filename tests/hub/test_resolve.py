"""Repositories of a Hub that does as it should: what is asked, what is kept, what is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_processes import Failed, World

import fixtures

WEIGHTS = bytes(range(256)) * 4096
FILES = {
    "config.json": b'{"model_type": "toy"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "tokenizer_config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickle",
    "empty.txt": b"",
    "folder/note with space.txt": "ünïcode".encode(),
}


def requests(world: World) -> list[str]:
    return [f"{it.method} {it.path}" for it in world.hub.requests]


def test_every_file_comes_right(world: World) -> None:
    commit = world.hub.put("owner/name", FILES)
    folder = world.resolve()
    world.check(folder)
    assert folder == world.root() / "snapshots" / commit
    assert len([it for it in requests(world) if "/large/" in it]) == 2
    # One request for the commit, one for the files, one for each file that holds something, one more where the host changes.
    assert len(requests(world)) == 2 + 6 + 2


def test_a_name_without_an_owner(world: World) -> None:
    world.hub.put("gpt2", FILES)
    world.check(world.resolve("gpt2"), "gpt2")


def test_a_warm_start_asks_once_and_by_commit_not_at_all(world: World) -> None:
    commit = world.hub.put("owner/name", FILES)
    folder = world.resolve()
    world.hub.forget_requests()
    assert world.resolve() == folder
    assert requests(world) == ["GET /api/models/owner/name/revision/main"]
    world.hub.forget_requests()
    assert world.resolve(revision=commit) == folder
    assert world.resolve(local_files_only=True) == folder
    assert requests(world) == []


def test_a_warm_start_reads_no_file_again(world: World) -> None:
    commit = world.hub.put("owner/name", FILES)
    folder = world.resolve()
    assert {path.name for path in (world.root() / ".russet" / "checked").iterdir()} == {
        path.resolve().name for path in folder.rglob("*") if path.is_file()
    }
    # Only what cannot be read again cannot be hashed again.
    assert world.run("resolve", revision=commit, prepare=["unreadable contents"]) == str(folder)
    assert world.run("resolve", prepare=["unreadable contents"]) == str(folder)


def test_a_new_commit_is_found_and_shares_what_is_the_same(world: World) -> None:
    world.hub.put("owner/name", FILES)
    first = world.resolve()
    world.hub.put("owner/name", {**FILES, "config.json": b'{"model_type": "other"}'})
    world.hub.forget_requests()
    second = world.resolve()
    assert first != second
    world.check(second)
    assert [it.path for it in world.hub.asked("/resolve/")] == [f"/owner/name/resolve/{second.name}/config.json"]
    assert (first / "config.json").read_bytes() == FILES["config.json"]
    assert (world.root() / "refs" / "main").read_text() == second.name


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/3", "a/branch"])
def test_branches_tags_and_pull_requests(world: World, revision: str) -> None:
    world.hub.put("owner/name", FILES)
    world.hub.put("owner/name", {"config.json": b"{}"}, branch=revision)
    world.check(world.resolve(revision=revision), revision=revision)
    world.hub.forget_requests()
    world.check(world.resolve(revision=revision, local_files_only=True), revision=revision)
    assert requests(world) == []


def test_a_short_hash(world: World) -> None:
    commit = world.hub.put("owner/name", FILES)
    assert world.resolve(revision=commit[:8]).name == commit


def test_only_the_files_that_are_needed(world: World) -> None:
    world.hub.put("owner/name", FILES)
    folder = world.resolve(allow_patterns=["*.json", "folder/"])
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"config.json", "tokenizer.json", "tokenizer_config.json", "folder/note with space.txt"}
    assert not world.hub.asked("safetensors")
    folder = world.resolve(allow_patterns="CHECKPOINT")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "pytorch_model.bin").exists()
    error = world.fails(allow_patterns="nothing*")
    assert error.name == "MissingFileError"
    assert "config.json" in error.message and "owner/name" in error.message


def test_a_listing_of_several_pages(world: World) -> None:
    world.hub.put("owner/name", {f"{number}.json": str(number) for number in range(30)})
    world.hub.page_size = 7
    world.check(world.resolve())
    assert len(world.hub.asked("/tree/")) == 5


def test_a_path_that_is_there_wins(world: World, tmp_path: Path) -> None:
    world.hub.put("owner/name", FILES)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    code = "import sys; from russet import hub; print(hub.resolve('owner/name')); assert 'huggingface_hub' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=world.hub.environment(tmp_path) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == Path("owner/name")
    assert requests(world) == []
    assert world.resolve(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    "path", ["./missing", "/no/such/folder", "a/b/c", "owner/na me", "a--b/c", "x" * 300, "owner/name/", "~/x"]
)
def test_what_is_neither_a_path_nor_an_id(world: World, path: str) -> None:
    error = world.fails(path)
    assert error.name == "MissingFileError"
    assert requests(world) == []


def test_nul_and_nothing_are_no_paths(world: World) -> None:
    assert world.fails("a\0b").name == "ArgumentError"
    assert world.fails("").name == "ArgumentError"


@pytest.mark.parametrize("revision", ["../../x", "a\\b", "a\0b", "/x", "a//b", "x" * 3000])
def test_revisions_that_would_leave_the_folder(world: World, revision: str) -> None:
    world.hub.put("owner/name", FILES)
    assert world.fails(revision=revision).name == "ArgumentError"
    assert requests(world) == []
    assert not world.cache.exists()


# What the Hub refuses.


def test_no_such_repository(world: World) -> None:
    error = world.fails("owner/nothing")
    assert error.name == "RepositoryNotFoundError"
    assert {"HubError", "FileNotFoundError"} <= set(error.bases)
    assert error.attributes["repo_id"] == "owner/nothing"
    assert "check the name" in error.message and "token" in error.message


def test_no_such_revision(world: World) -> None:
    world.hub.put("owner/name", FILES)
    error = world.fails(revision="nothing")
    assert error.name == "RevisionNotFoundError"
    assert "'nothing'" in error.message
    # Nor if the name is known from before.
    world.hub.put("owner/name", FILES, branch="gone")
    world.resolve(revision="gone")
    del world.hub.repositories["owner/name"].refs["gone"]
    assert world.fails(revision="gone").name == "RevisionNotFoundError"


def test_no_such_commit(world: World) -> None:
    world.hub.put("owner/name", FILES)
    assert world.fails(revision="0" * 40).name == "RevisionNotFoundError"


def test_a_private_repository(world: World) -> None:
    world.hub.put("owner/name", FILES, private=True)
    world.check(world.resolve())
    world.hub.put("owner/other", FILES, private=True)
    assert world.fails("owner/other", token=False).name == "RepositoryNotFoundError"
    assert world.fails("owner/other", token="hf_another").name == "RepositoryNotFoundError"
    world.check(world.resolve("owner/other", token=world.hub.token), "owner/other")


def test_a_gated_repository(world: World) -> None:
    world.hub.put("owner/name", FILES, gated="manual")
    error = world.fails(token=False)
    assert error.name == "GatedRepositoryError"
    assert "PermissionError" in error.bases
    assert f"{world.hub.endpoint}/owner/name" in error.message and "HF_TOKEN" in error.message
    world.check(world.resolve())


@pytest.mark.parametrize(("status", "words"), [(401, "token"), (403, "permission"), (418, "418")])
def test_other_refusals(world: World, status: int, words: str) -> None:
    world.hub.put("owner/name", FILES)
    world.hub.fault("/resolve/", status=status)
    error = world.fails()
    assert error.name in ("HubError", "RepositoryNotFoundError")
    assert words in error.message


def test_the_token_goes_to_the_endpoint_alone(world: World) -> None:
    world.hub.put("owner/name", FILES)
    world.resolve()
    told = {it.host.partition(":")[0]: it.headers.get("authorization") for it in world.hub.requests}
    assert told == {"127.0.0.1": f"Bearer {world.hub.token}", "localhost": None}
    world.hub.put("owner/other", FILES)
    world.hub.forget_requests()
    world.resolve("owner/other", token=False)
    assert not any("authorization" in it.headers for it in world.hub.requests)


# Offline.


def test_offline(world: World, start_processes: Any) -> None:
    world.hub.put("owner/name", FILES)
    folder = world.resolve()
    world.hub.forget_requests()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        world.processes = start_processes(**{name: "1"})
        assert world.resolve() == folder
        world.check(world.resolve())
        error = world.fails("owner/other")
        assert error.name == "OfflineError"
        assert "HF_HUB_OFFLINE" in error.message
        with pytest.raises(Failed, match="OfflineError"):
            world.processes.start("info", repo_id="owner/name").result()
    assert requests(world) == []


def test_offline_and_incomplete(world: World) -> None:
    world.hub.put("owner/name", FILES)
    world.resolve(allow_patterns="*.json")
    world.hub.forget_requests()
    assert world.resolve(allow_patterns=["config.json"], local_files_only=True)
    error = world.fails(local_files_only=True)
    assert error.name == "OfflineError"
    assert "empty.txt" in error.message and "local_files_only" in error.message
    assert world.fails(revision="other", local_files_only=True).name == "OfflineError"
    assert world.fails(revision="0" * 40, local_files_only=True).name == "OfflineError"
    assert requests(world) == []


@pytest.mark.parametrize("status", [None, 500, 503, 401])
def test_a_hub_that_cannot_be_reached_leaves_the_cache(world: World, status: int | None, start_processes: Any) -> None:
    world.hub.put("owner/name", FILES)
    folder = world.resolve()
    if status is None:
        world.processes = start_processes(HF_ENDPOINT="http://127.0.0.1:9")
    else:
        world.hub.fault("/api/", status=status)
    assert world.resolve() == folder
    error = world.fails("owner/other")
    assert "HubError" in error.bases
    assert error.name != "OfflineError"


def test_what_huggingface_hub_has_fetched_is_used(world: World) -> None:
    world.hub.put("owner/name", FILES)
    theirs = world.run("snapshot_download")
    world.hub.forget_requests()
    assert world.resolve() == Path(theirs)
    assert not world.hub.asked("/resolve/")
    # Also where it was never asked which files there are.
    shutil.rmtree(world.root() / ".russet")
    world.hub.forget_requests()
    assert world.resolve(local_files_only=True) == Path(theirs)
    assert requests(world) == []


def test_huggingface_hub_uses_what_was_fetched(world: World) -> None:
    world.hub.put("owner/name", FILES)
    folder = world.resolve()
    world.hub.forget_requests()
    assert world.run("snapshot_download") == str(folder)
    assert not [it for it in requests(world) if "/large/" in it or it.startswith("GET /owner")]
    assert world.run("snapshot_download", local_files_only=True) == str(folder)
    assert world.processes.start("scan_cache", cache_dir=str(world.cache)).result() == []


# Tokenizers and packages.


def test_a_tokenizer_by_id(world: World) -> None:
    path = fixtures.TOKENIZERS / "wordpiece-bert-uncased.json"
    world.hub.put("owner/name", {**FILES, "tokenizer.json": path.read_bytes()})
    assert Path(world.run("resolve_tokenizer")).read_bytes() == path.read_bytes()
    # Nothing else is fetched.
    assert [it.path.rpartition("/")[2] for it in world.hub.asked("/resolve/")] == ["tokenizer.json"]


def test_tokenizers_in_other_files(world: World) -> None:
    world.hub.put("owner/name", {"vocab.json": "{}", "merges.txt": "", "config.json": "{}"})
    path = Path(world.run("resolve_tokenizer"))
    assert path.name == "vocab.json"
    assert sorted(it.name for it in path.parent.iterdir()) == ["merges.txt", "vocab.json"]
    world.hub.put("owner/ranks", {"mill.tiktoken": "YQ== 0\n"})
    assert Path(world.run("resolve_tokenizer", "owner/ranks")).name == "mill.tiktoken"
    world.hub.put("owner/none", {"config.json": "{}"})
    with pytest.raises(Failed) as caught:
        world.run("resolve_tokenizer", "owner/none")
    assert caught.value.name == "MissingFileError"
    assert "tokenizer.json" in caught.value.message


def test_encoding_by_id(world: World) -> None:
    path = fixtures.TOKENIZERS / "wordpiece-bert-uncased.json"
    world.hub.put("owner/name", {"tokenizer.json": path.read_bytes()})
    import russet

    expected = russet.Tokenizer.from_file(path).encode("The mill").ids
    for more in ({}, {"revision": "main", "token": world.hub.token}):
        assert world.processes.start("encode", text="The mill", identifier="owner/name", **more).result() == expected


PACKAGES = {
    "Toy-int4.mlpackage/Manifest.json": "{}",
    "Toy-int4.mlpackage/Data/com.apple.CoreML/model.mlmodel": "int4",
    "Toy-int4.mlpackage/Data/com.apple.CoreML/weights/weight.bin": "4",
    "Toy.mlpackage/Manifest.json": "{}",
    "Toy.mlpackage/Data/com.apple.CoreML/model.mlmodel": "float",
    "tokenizer.json": "{}",
    "generation_config.json": "{}",
    "model.safetensors": "weights",
    "README.md": "card",
}


def test_one_package_with_its_folder(world: World) -> None:
    world.hub.put("owner/name", PACKAGES)
    path = Path(world.run("resolve_package", variant="int4"))
    assert path.name == "Toy-int4.mlpackage"
    found = {it.relative_to(path.parent).as_posix() for it in path.parent.rglob("*") if it.is_file()}
    assert found == {name for name in PACKAGES if name.startswith("Toy-int4")} | {"tokenizer.json", "generation_config.json"}
    assert Path(world.run("resolve_package", variant="Toy")).name == "Toy.mlpackage"
    assert Path(world.run("resolve_package", variant="Toy.mlpackage")).name == "Toy.mlpackage"


def test_which_package(world: World) -> None:
    world.hub.put("owner/name", PACKAGES)
    with pytest.raises(Failed, match=r"ArgumentError.*Toy-int4.mlpackage, Toy.mlpackage"):
        world.run("resolve_package")
    with pytest.raises(Failed, match=r"MissingFileError.*int8"):
        world.run("resolve_package", variant="int8")
    world.hub.put("owner/none", FILES)
    with pytest.raises(Failed, match=r"MissingFileError.*mlpackage"):
        world.run("resolve_package", "owner/none")
    world.hub.put("owner/deep", {"coreml/A.mlpackage/Manifest.json": "{}", "coreml/tokenizer.json": "{}", "tokenizer.json": "[]"})
    path = Path(world.run("resolve_package", "owner/deep"))
    assert path.relative_to(path.parent.parent).as_posix() == "coreml/A.mlpackage"
    assert (path.parent / "tokenizer.json").exists()


def test_a_model_by_id_generates_and_again_offline(world: World) -> None:
    import russet
    from russet import onboard

    folder = Path(onboard.__file__).parent / "model"
    world.hub.put_folder("owner/name", folder)
    expected = str(russet.LanguageModel.from_pretrained(folder).generate("It is a truth", max_new_tokens=8, temperature=0))
    arguments = {"prompt": "It is a truth", "repo_id": "owner/name", "cache_dir": str(world.cache)}
    assert world.processes.start("generate", **arguments).result() == expected
    world.hub.forget_requests()
    assert world.processes.start("generate", **arguments, local_files_only=True).result() == expected
    assert requests(world) == []


# Metadata.


def test_info_downloads_nothing(world: World) -> None:
    card = "---\nlicense: mit\n---\n# Toy\n"
    commit = world.hub.put("owner/name", {**FILES, "README.md": card}, tags=["coreml"], gated="auto")
    found = world.processes.start("info", repo_id="owner/name").result()
    assert len(requests(world)) == 1
    assert found["sha"] == commit and found["gated"] == "auto" and found["private"] is False and found["tags"] == ["coreml"]
    assert found["card"]["license"] == "mit"
    repository = world.hub.repositories["owner/name"]
    expected = {path: [len(content), repository.hash(path, content)] for path, content in world.hub.files("owner/name").items()}
    assert found["files"] == expected
    assert found["size"] == sum(size for size, _ in expected.values())
    with pytest.raises(Failed, match="RepositoryNotFoundError"):
        world.processes.start("info", repo_id="owner/nothing").result()
    with pytest.raises(Failed, match="ArgumentError"):
        world.processes.start("info", repo_id="../x").result()


# The command.


def command(world: World, *arguments: str) -> tuple[int, str, str]:
    code, out, errors = world.processes.start("command", arguments=["download", *arguments], cache_dir=str(world.cache)).result()
    return code, out, errors


def test_the_command_prints_the_folder(world: World) -> None:
    world.hub.put("owner/name", FILES)
    code, out, errors = command(world, "owner/name")
    assert (code, errors) == (0, "")
    world.check(Path(out.strip()))
    assert Path(out.strip()).is_relative_to(world.cache)


def test_the_command_selects_and_copies(world: World, tmp_path: Path) -> None:
    commit = world.hub.put("owner/name", FILES, branch="v1")
    code, out, _ = command(
        world, "owner/name", "empty.txt", "--include", "*.json", "--exclude", "tokenizer_*", "--revision", "v1",
        "--local-dir", str(tmp_path / "here"), "--json",
    )  # fmt: skip
    assert code == 0
    told = json.loads(out)
    assert told["commit"] == commit and told["folder"] == str(tmp_path / "here") and told["repo_id"] == "owner/name"
    assert [it["path"] for it in told["files"]] == ["config.json", "empty.txt", "tokenizer.json"]
    assert {it.name: it.read_bytes() for it in (tmp_path / "here").iterdir()} == {
        name: FILES[name] for name in ("config.json", "empty.txt", "tokenizer.json")
    }
    assert not any(it.is_symlink() for it in (tmp_path / "here").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["owner/nothing"], "check the name"), (["owner/name", "missing.txt"], "missing.txt"), (["./x"], "owner/name")],
)
def test_the_command_fails_in_one_line(world: World, arguments: list[str], words: str) -> None:
    world.hub.put("owner/name", FILES)
    code, out, errors = command(world, *arguments)
    assert (code, out) == (1, "")
    assert errors.count("\n") == 1 and errors.startswith("russet: ") and words in errors


# Progress.


def test_silent_where_nobody_looks(world: World) -> None:
    before = world.processes.log.read_text()
    world.hub.put("owner/name", FILES)
    world.resolve()
    world.hub.put("owner/other", FILES, xet={"model.safetensors"})
    world.resolve("owner/other", prepare=["by xet"])
    assert world.processes.log.read_text() == before


def test_silent_on_a_terminal_too_if_asked(world: World, start_processes: Any) -> None:
    world.hub.put("owner/name", FILES)
    with pytest.raises(AssertionError, match="something was written"):
        world.resolve(prepare=["terminal"])
    world.processes = start_processes(HF_HUB_DISABLE_PROGRESS_BARS="1")
    world.check(world.resolve(prepare=["terminal"]))


# What every process does the same way.


def test_symbolic_links_are_not_needed(world: World) -> None:
    commit = world.hub.put("owner/name", FILES)
    folder = world.resolve(prepare=["no links"])
    world.check(folder)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    world.hub.forget_requests()
    assert world.resolve(revision=commit, prepare=["no links"]) == folder
    assert requests(world) == []
    world.hub.put("owner/name", {**FILES, "config.json": b"{}"})
    world.check(world.resolve(prepare=["no links"]))


def test_the_environment_says_where(world: World, start_processes: Any, tmp_path: Path) -> None:
    world.hub.put("owner/name", FILES)
    for name, value, expected in (
        ("HF_HOME", tmp_path / "home", tmp_path / "home" / "hub"),
        ("HF_HUB_CACHE", tmp_path / "hub", tmp_path / "hub"),
    ):
        processes = start_processes(**{name: str(value)})
        folder = processes.start("resolve", repo_id="owner/name").result()
        assert Path(folder).is_relative_to(expected)
        world.check(Path(folder))


def test_huggingface_hub_is_imported_here_alone() -> None:
    import russet

    package = Path(russet.__file__).parent
    importing = re.compile(r"^\s*(?:import|from) huggingface_hub\b", re.MULTILINE)
    found = {path.relative_to(package).parts[0] for path in package.rglob("*.py") if importing.search(path.read_text())}
    assert found == {"hub"}
