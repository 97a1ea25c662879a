"""What goes wrong on the way: right content or an error of Russet in each case, and nothing left that is later taken for good.

With ``RUSSET_HUB_KILLS`` set, every pair of faults is tried.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hub_processes import Failed, World
from stand_in_hub import git_hash, sha256

BIG = random.Random(7).randbytes(3_000_000)
OTHER = random.Random(8).randbytes(len(BIG))
MIDDLE = 1_200_000
#: A file from the endpoint's host, and one from the other host.
NAMES = ("data.txt", "model.safetensors")
FILES = {"config.json": b'{"model_type": "toy"}'}


@pytest.fixture(params=NAMES, ids=["plain", "lfs"])
def big(request: pytest.FixtureRequest, world: World) -> str:
    """The name of a large file of owner/name."""
    world.hub.put("owner/name", {**FILES, request.param: BIG})
    name: str = request.param
    return name


def content(name: str) -> str:
    """The path that a file's bytes come from."""
    return "/large/.*safetensors" if name == NAMES[1] else f"/resolve/.*{name}"


def ranges(world: World, name: str) -> list[str | None]:
    """Where each request for a file began."""
    return [it.headers.get("range") for it in world.hub.asked(content(name), "GET")]


def check_nothing_is_left(world: World) -> None:
    """Fails if the cache holds anything but whole, right files."""
    blobs = world.root() / "blobs"
    for path in blobs.iterdir() if blobs.exists() else ():
        assert not path.name.endswith(".incomplete"), path
        data = path.read_bytes()
        assert path.name in (sha256(data), git_hash(data)), path


# Connections that break.


def test_cut_once(world: World, big: str) -> None:
    world.hub.fault(content(big), cut=MIDDLE, times=1)
    world.check(world.resolve())
    first, second = ranges(world, big)
    assert first is None
    # What had come is not fetched again.
    assert second is not None and second.startswith("bytes=") and MIDDLE - (1 << 17) <= int(second[6:-1]) <= MIDDLE
    check_nothing_is_left(world)


def test_cut_at_many_places(world: World, big: str) -> None:
    for place in range(100_000, len(BIG), 290_000):
        world.hub.fault(content(big), cut=place, times=1)
    # More cuts than tries: but each time more had come.
    world.check(world.resolve())
    check_nothing_is_left(world)


@pytest.mark.parametrize("at", [0, 1, MIDDLE])
def test_cut_always(world: World, big: str, at: int) -> None:
    world.hub.fault(content(big), cut=at)
    error = world.fails()
    assert error.name == "HubError"
    assert world.hub.endpoint in error.message
    assert 5 <= len(ranges(world, big)) <= 6
    world.hub.faults.clear()
    world.check(world.resolve())
    check_nothing_is_left(world)


def test_cut_and_the_range_ignored(world: World, big: str) -> None:
    world.hub.fault(content(big), cut=MIDDLE, times=1)
    world.hub.fault(content(big), ignore_range=True)
    world.check(world.resolve())
    check_nothing_is_left(world)


def test_a_listing_that_goes_on_elsewhere(world: World) -> None:
    world.hub.put("owner/name", {f"{number}.json": str(number) for number in range(30)})
    world.hub.page_size = 7
    world.hub.next_page_host = world.hub.other_host
    world.check(world.resolve())
    assert {it.host.partition(":")[0] for it in world.hub.asked("/tree/")} == {"127.0.0.1"}


def test_cut_before_an_answer(world: World, big: str) -> None:
    for where in ("/revision/", "/tree/", "/resolve/", content(big)):
        world.hub.fault(where, drop=True, times=2)
    world.check(world.resolve())


@pytest.mark.parametrize("at", [0, MIDDLE])
def test_stalled(world: World, big: str, at: int, start_processes: Any) -> None:
    world.processes = start_processes(HF_HUB_DOWNLOAD_TIMEOUT="1")
    world.hub.fault(content(big), stall=at, times=1)
    world.check(world.resolve())
    second = ranges(world, big)[1]
    assert (second is not None) == (at > 0)
    check_nothing_is_left(world)


# Servers that fail.


WHERE = ("/api/models/owner/name/revision", "/tree/", *map(content, NAMES))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("status", [500, 503, 429])
def test_failures_that_pass(world: World, where: str, status: int) -> None:
    world.hub.put("owner/name", dict.fromkeys(NAMES, BIG))
    world.hub.fault(where, status=status, times=2, headers={"Retry-After": "0"} if status == 429 else {})
    world.check(world.resolve())
    check_nothing_is_left(world)


def test_failures_of_every_kind_that_pass(world: World) -> None:
    world.hub.put("owner/name", dict.fromkeys(NAMES, BIG))
    for where in WHERE:
        for status in (408, 502, 504):
            world.hub.fault(where, status=status, times=1)
    world.check(world.resolve())


@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize("where", WHERE)
def test_failures_that_stay(world: World, status: int, where: str) -> None:
    world.hub.put("owner/name", dict.fromkeys(NAMES, BIG))
    world.hub.fault(where, status=status, headers={"Retry-After": "0"} if status == 429 else {})
    error = world.fails()
    assert error.name == "HubError"
    assert str(status) in error.message or "refuses more requests" in error.message
    assert len(world.hub.asked(where, "GET")) == 5
    world.hub.faults.clear()
    world.check(world.resolve())


def test_a_wait_that_is_too_long_is_told(world: World, big: str) -> None:
    world.hub.fault("/resolve/", status=429, headers={"Retry-After": "7200"})
    assert "refuses more requests" in world.fails().message
    assert len(world.hub.asked("/resolve/.*config")) <= 1


def test_waits() -> None:
    from russet.hub import failures

    class Answer:
        status_code = 503

        def __init__(self, headers: dict[str, str]) -> None:
            self.headers = headers

    class Error(Exception):
        def __init__(self, **headers: str) -> None:
            self.response = Answer({name.replace("_", "-"): value for name, value in headers.items()})

    assert [failures.wait_of(Error(), count) for count in range(1, 8)] == [0.25, 0.5, 1, 2, 4, 8, 8]
    assert failures.wait_of(Error(Retry_After="7"), 1) == 7
    assert failures.wait_of(Error(Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), 1) == 0.25
    assert failures.wait_of(TimeoutError(), 2) == 0.5
    assert failures.TRIES == 5


@pytest.mark.parametrize(
    "answer",
    [
        *({"status": 200, "body": body} for body in (b"", b"{", b"[]", b"{}", b"3", b'"x"', b"[3]", b'[{"type": "file"}]', b"\xff", b"null")),
        {"status": 200, "body": b'[{"type": "file", "path": 3, "size": 1, "oid": "x"}, {"type": "file", "path": "x", "size": 1, "oid": "x"}]'},
        {"status": 200, "body": b'[{"type": "file", "path": "x", "size": "many", "oid": "x"}]'},
        {"status": 200, "body": b'{"sha": 3}'},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        {"status": 302, "headers": {"Location": "file:///etc/passwd"}},
        {"status": 302},
        {"status": 204},
    ],
    ids=ascii,
)  # fmt: skip
def test_answers_that_make_no_sense(world: World, answer: dict[str, Any]) -> None:
    world.hub.put("owner/name", FILES)
    for where in ("/revision/", "/tree/"):
        world.hub.fault(where, **answer)
        if (where, answer.get("body")) == ("/tree/", b"{}") or (where, answer.get("body")) == ("/tree/", b"[]"):
            # A repository without files.
            assert world.fails(allow_patterns=["config.json"]).name == "MissingFileError"
        else:
            assert world.fails().name == "HubError"
        world.hub.faults.clear()
    with pytest.raises(Failed) as caught:
        world.hub.fault("/api/models/owner/name", **answer)
        world.processes.start("info", repo_id="owner/name").result()
    assert caught.value.name == "HubError"


# Content that is not what it should be.


def test_wrong_bytes_of_the_right_size(world: World, big: str) -> None:
    world.hub.fault(content(big), body=OTHER)
    error = world.fails()
    assert error.name == "DamagedFileError"
    hash = sha256 if big == NAMES[1] else git_hash
    assert error.attributes == {"repo_id": "owner/name", "path": big, "expected": hash(BIG), "actual": hash(OTHER)}
    check_nothing_is_left(world)
    # It is not there for the next one, here or offline.
    assert world.fails(local_files_only=True).name == "OfflineError"
    world.hub.faults.clear()
    world.check(world.resolve())


def test_wrong_bytes_once(world: World, big: str) -> None:
    world.hub.fault(content(big), body=OTHER, times=1)
    world.check(world.resolve())
    check_nothing_is_left(world)


@pytest.mark.parametrize("length", [0, MIDDLE, len(BIG) - 1, len(BIG) + 1])
def test_longer_and_shorter(world: World, big: str, length: int) -> None:
    world.hub.fault(content(big), body=(BIG + OTHER)[:length])
    error = world.fails()
    assert error.name == "DamagedFileError"
    assert error.attributes["path"] == big
    check_nothing_is_left(world)
    world.hub.faults.clear()
    world.check(world.resolve())


def test_another_content_behind_a_cut(world: World, big: str) -> None:
    world.hub.fault(content(big), cut=MIDDLE, times=1)
    world.hub.fault(content(big), body=OTHER, times=1)
    world.check(world.resolve())
    check_nothing_is_left(world)


def test_a_hash_that_no_content_has(world: World) -> None:
    world.hub.put("owner/name", FILES, told_hashes={"config.json": "0" * 40})
    assert world.fails().name == "DamagedFileError"


PAIRED: tuple[dict[str, Any], ...] = (
    {"cut": 0},
    {"cut": MIDDLE},
    {"status": 503},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"body": OTHER},
    {"body": BIG[:MIDDLE]},
    {"body": BIG + b"!"},
    {"body": OTHER, "cut": MIDDLE},
    {"ignore_range": True},
    {"drop": True},
)


def test_two_faults_in_a_row(world: World) -> None:
    pairs = list(itertools.product(NAMES, PAIRED, PAIRED))
    if "RUSSET_HUB_KILLS" not in os.environ:
        pairs = random.Random(3).sample(pairs, 30)
    for index, (name, first, second) in enumerate(pairs):
        repo_id = f"owner/pair-{index}"
        world.hub.put(repo_id, {name: BIG})
        world.hub.faults.clear()
        for fault in (first, second):
            world.hub.fault(content(name), **fault, times=1)
        try:
            world.check(world.resolve(repo_id), repo_id)
        except Failed as error:
            # Wrong twice is an error, and nothing is kept.
            assert error.name == "DamagedFileError", (first, second)
            assert "body" in first and "body" in second
            assert list((world.root(repo_id) / "blobs").iterdir()) == []
            world.check(world.resolve(repo_id), repo_id)


# The cache on the disk.


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    elif how == "truncated":
        del data[len(data) // 2 :]
    elif how == "empty":
        data.clear()
    elif how == "longer":
        data += b"!"
    path.resolve().write_bytes(data)


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "longer"])
def test_damaged_files_are_found_and_healed(world: World, big: str, how: str) -> None:
    commit = world.hub.put("owner/name", {**FILES, big: BIG})
    folder = world.resolve()
    world.hub.forget_requests()
    damage(folder / big, how)
    error = world.fails(local_files_only=True)
    assert error.name == "DamagedFileError" and error.attributes["path"] == big
    assert world.resolve(revision=commit) == folder
    world.check(folder)
    assert len(ranges(world, big)) == 1
    assert world.resolve(local_files_only=True) == folder
    check_nothing_is_left(world)


def test_sizes_are_checked_even_if_contents_are_not(world: World, big: str) -> None:
    folder = world.resolve()
    damage(folder / big, "flipped")
    assert world.resolve(verify=False) == folder
    assert (folder / big).read_bytes() != BIG
    damage(folder / big, "truncated")
    world.resolve(verify=False)
    world.check(folder)


@pytest.mark.parametrize("how", ["pointer", "blob", "both", "folder in its place", "file of its own"])
def test_missing_parts_are_healed(world: World, big: str, how: str) -> None:
    folder = world.resolve()
    pointer, blob = folder / big, (folder / big).resolve()
    if how in ("pointer", "both", "file of its own", "folder in its place"):
        pointer.unlink()
    if how in ("blob", "both"):
        blob.unlink()
    if how == "file of its own":
        pointer.write_bytes(OTHER)
    if how == "folder in its place":
        pointer.mkdir()
        assert world.fails().bases.count("FileError") == 1
        pointer.rmdir()
    world.check(world.resolve())
    assert len(ranges(world, big)) == (2 if how in ("blob", "both") else 1)


def test_damage_that_huggingface_hub_takes_for_good(world: World, big: str) -> None:
    theirs = Path(world.run("snapshot_download"))
    damage(theirs / big, "flipped")
    assert world.run("snapshot_download") == str(theirs)
    assert (theirs / big).read_bytes() != BIG
    assert world.fails(local_files_only=True).name == "DamagedFileError"
    world.check(world.resolve())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": 3}', '{"files": {"config.json": 1}}', '{"files": {"x": [1, "../x", false]}}']
)
def test_notes_that_are_damaged(world: World, text: str) -> None:
    world.hub.put("owner/name", FILES)
    folder = world.resolve()
    (world.root() / ".russet" / "files" / f"{folder.name}.json").write_text(text)
    for path in (world.root() / ".russet" / "checked").iterdir():
        path.write_bytes(b"\xff\x00")
    world.check(world.resolve())
    (world.root() / "refs" / "main").write_text("../../x")
    assert world.fails(local_files_only=True).name == "OfflineError"


def test_a_full_disk(world: World, big: str) -> None:
    error = world.fails(prepare=["full disk"])
    assert error.name == "DiskFullError"
    assert "HF_HOME" in error.message
    # Nothing that takes room is left.
    assert world.unfinished() == []
    world.check(world.resolve())


def test_too_little_room_is_told_before_anything_is_fetched(world: World, big: str) -> None:
    error = world.fails(prepare=["little room"])
    assert error.name == "DiskFullError"
    assert f"{len(BIG) + len(FILES['config.json']):,}" in error.message
    assert not world.hub.asked("/resolve/")


def test_a_cache_that_cannot_be_written(world: World, big: str) -> None:
    error = world.fails(prepare=["read only"])
    assert error.name == "ForbiddenFileError" and "PermissionError" in error.bases
    assert "HF_HOME" in error.message
    folder = world.resolve()
    # What is there can be used, and is checked.
    assert world.resolve(prepare=["read only"]) == folder
    assert world.resolve(prepare=["read only"], local_files_only=True) == folder
    damage(folder / big, "flipped")
    assert world.fails(prepare=["read only"]).name == "ForbiddenFileError"


def test_a_file_where_the_cache_should_be(world: World, big: str) -> None:
    world.cache.write_text("in the way")
    assert "FileError" in world.fails().bases


# Names.


HOSTILE = (
    "../x", "a/../../x", "/abs", "a//b", "./x", "a/.", "..", "C:\\x", "..\\x", "c:x", "a\0b", "a\nb", "x" * 300, "con.txt", "NUL",
    "folder/Com1.json", "lpt9", "aux .txt", "CONIN$", "COM¹.txt", "x.", "x ", "a/b./c", "\ud800", "d/" * 1500 + "x", "",
)  # fmt: skip
HARMLESS = ("console.txt", "com10", "aux_files/x", ".gitattributes", "..x", "a...b", "null.json", "x" * 255, "ü/日本.txt")


def test_names() -> None:
    from russet.hub.names import refusal

    assert [name for name in HOSTILE if refusal(name) is None] == []
    assert [name for name in HARMLESS if refusal(name) is not None] == []
    assert refusal(None) and refusal(3) and refusal(b"x")


@pytest.mark.parametrize("path", ["../x", "/abs", "C:\\x", "a\0b", "con.txt", "\ud800", "x" * 300])
def test_hostile_names(world: World, path: str, tmp_path: Path) -> None:
    world.hub.put("owner/name", {**FILES, path: b"hostile"})
    before = sorted(tmp_path.rglob("*"))
    error = world.fails()
    assert error.name == "HubError"
    assert ascii(path)[:20] in error.message
    assert not world.hub.asked("/resolve/")
    found = {it for it in tmp_path.rglob("*") if it not in before and it.is_file()}
    # Nothing but the note of what the Hub told.
    assert found == {world.root() / ".russet" / "files" / f"{world.hub.repositories['owner/name'].refs['main']}.json"}
    # Who does not want that file is not kept from the others.
    assert (world.resolve(allow_patterns=["config.json"]) / "config.json").read_bytes() == FILES["config.json"]


def test_harmless_names(world: World) -> None:
    world.hub.put("owner/name", dict.fromkeys(HARMLESS, b"harmless"))
    world.check(world.resolve())


@pytest.mark.parametrize("hash", ["../../x", "", "0" * 39, "0" * 64 + "/x", "Z" * 40])
def test_hostile_hashes(world: World, hash: str) -> None:
    world.hub.put("owner/name", FILES, told_hashes={"config.json": hash or "x"})
    assert world.fails().name == "HubError"
    assert not world.hub.asked("/resolve/")


def test_a_hostile_commit(world: World, tmp_path: Path) -> None:
    world.hub.put("owner/name", FILES)
    repository = world.hub.repositories["owner/name"]
    repository.commits["../../../x"] = dict(FILES)
    repository.refs["main"] = "../../../x"
    assert world.fails().name == "HubError"
    assert not world.cache.exists()


# What huggingface_hub transports itself.


def test_through_huggingface_hub(world: World, big: str) -> None:
    world.hub.put("owner/name", {**FILES, big: BIG}, xet={big})
    world.check(world.resolve(prepare=["by xet"]))
    assert world.hub.asked("/resolve/.*", "HEAD")


def test_wrong_bytes_through_huggingface_hub(world: World, big: str) -> None:
    commit = world.hub.put("owner/name", {**FILES, big: BIG}, xet={big})
    world.hub.fault(content(big), body=OTHER)
    error = world.fails(prepare=["by xet"])
    assert error.name == "DamagedFileError"
    assert not (world.root() / "snapshots" / commit / big).exists()
    world.hub.faults.clear()
    world.check(world.resolve(prepare=["by xet"]))


@pytest.mark.parametrize("how", ["flipped", "truncated"])
def test_damage_healed_through_huggingface_hub(world: World, big: str, how: str) -> None:
    world.hub.put("owner/name", {**FILES, big: BIG}, xet={big})
    damage(world.resolve(prepare=["by xet"]) / big, how)
    world.check(world.resolve(prepare=["by xet"]))


def test_hashes_are_those_of_git_and_of_sha256() -> None:
    from russet.hub.cache import new_hash
    from russet.hub.client import RemoteFile

    for data in (b"", b"x", BIG):
        for expected in (git_hash(data), sha256(data)):
            hasher = new_hash(RemoteFile("x", len(data), expected))
            hasher.update(data)
            assert hasher.hexdigest() == expected
    assert git_hash(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert hashlib.sha256(b"").hexdigest() == sha256(b"")
