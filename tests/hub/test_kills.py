"""Processes that die, and processes that run at once: what is left is never taken for good, and no byte is fetched twice in vain.

``RUSSET_HUB_KILLS`` sets how many random places of death are tried, of each kind.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from hub_processes import Failed, Killed, World
from stand_in_hub import git_hash, sha256

KILLS = int(os.environ.get("RUSSET_HUB_KILLS", "4"))
BIG = random.Random(9).randbytes(2_500_000)
NAMES = ("data.txt", "model.safetensors")
CONTENT = {"data.txt": "/resolve/.*data.txt", "model.safetensors": "/large/.*safetensors"}
SMALL = {"config.json": b'{"model_type": "toy"}', "folder/tokenizer.json": b'{"version": "1.0"}', "empty": b""}


@pytest.fixture(params=NAMES, ids=["plain", "lfs"])
def big(request: pytest.FixtureRequest, world: World) -> str:
    world.hub.put("owner/name", {**SMALL, request.param: BIG})
    name: str = request.param
    return name


def check_what_is_shown(world: World) -> None:
    """Fails if anything that has its name is not what the name says: in the folders of commits, and among the contents."""
    for path in (world.root() / "blobs").glob("*"):
        if path.suffix != ".incomplete":
            data = path.read_bytes()
            assert path.name in (sha256(data), git_hash(data)), path
    for commit, files in world.hub.repositories["owner/name"].commits.items():
        folder = world.root() / "snapshots" / commit
        for path in folder.rglob("*"):
            if path.is_file():
                assert path.read_bytes() == files[path.relative_to(folder).as_posix()], path


def kill_at(world: World, name: str, at: int, **arguments: object) -> None:
    """Starts a process and kills it when the server has sent so many bytes of a file."""
    reached = threading.Event()
    fault = world.hub.fault(CONTENT[name], at=at, reached=reached.set, stall=at, times=1)
    running = world.start("resolve", **arguments)
    assert reached.wait(60)
    os.kill(running.pid, signal.SIGKILL)
    with pytest.raises(Killed):
        running.result()
    assert fault.times == 0


def fetched_bytes(world: World, name: str) -> list[int]:
    """How many bytes each request for a file asked for."""
    starts = [it.headers.get("range", "bytes=0-")[6:-1] for it in world.hub.asked(CONTENT[name], "GET")]
    return [len(BIG) - int(start) for start in starts]


def test_killed_at_a_random_byte(world: World, big: str) -> None:
    draw = random.Random(f"{big} {KILLS}")
    for at in (draw.randrange(len(BIG) + 1) for _ in range(KILLS)):
        world.hub.put("owner/name", {**SMALL, big: BIG}, branch=f"at-{at}")
        kill_at(world, big, at, revision=f"at-{at}")
        check_what_is_shown(world)
        with pytest.raises(Failed, match="OfflineError"):
            world.resolve(revision=f"at-{at}", local_files_only=True)
        world.check(world.resolve(revision=f"at-{at}"))
        check_what_is_shown(world)
        assert world.unfinished() == []
        # The next is to begin with nothing.
        for path in (world.root() / "blobs").iterdir():
            path.unlink()


def size_of(unfinished: Path) -> int:
    try:
        return unfinished.stat().st_size
    except FileNotFoundError:  # it was finished meanwhile
        return 0


def test_what_a_dead_process_has_fetched_is_not_fetched_again(world: World, big: str) -> None:
    # What was sent may still be on its way when the process dies: so it has to be on the disk first.
    at = 2_000_000
    reached = threading.Event()
    world.hub.fault(CONTENT[big], at=at, reached=reached.set, stall=at, times=1)
    running = world.start("resolve")
    assert reached.wait(60)
    deadline = time.monotonic() + 60
    while sum(map(size_of, world.unfinished())) < at - 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    with pytest.raises(Killed):
        running.result()
    world.check(world.resolve())
    whole, rest = fetched_bytes(world, big)
    assert whole == len(BIG)
    assert len(BIG) - at <= rest <= len(BIG) - at + 20_000
    assert world.unfinished() == []


def test_what_a_dead_process_has_left_may_be_anything(world: World, big: str) -> None:
    kill_at(world, big, 1_000_000)
    (left,) = (path for path in world.unfinished() if path.name.startswith((git_hash(BIG), sha256(BIG))))
    for content in (b"", random.Random(1).randbytes(500_000), BIG[:700_000], BIG + b"!", BIG, b"\0" * len(BIG)):
        left.write_bytes(content)
        world.check(world.resolve())
        check_what_is_shown(world)
        (world.root() / "blobs" / (git_hash(BIG) if big == NAMES[0] else sha256(BIG))).unlink()
        assert world.unfinished() == []


def test_killed_at_every_change_of_the_disk(world: World) -> None:
    world.hub.put("owner/name", {"config.json": b"{}", "model.safetensors": b"weights"})
    after = deaths = 0
    while True:
        after += 1
        world.cache = world.cache.with_name(f"cache-{after}")
        try:
            count = world.run("resolve_and_die", after=after)
        except Killed:
            deaths += 1
        else:
            break
        check_what_is_shown(world)
        try:
            world.check(world.resolve(local_files_only=True))
        except Failed as error:
            assert error.name == "OfflineError"
        world.check(world.resolve())
        check_what_is_shown(world)
    # Threads differ in who makes a folder first.
    assert deaths == after - 1 >= count > 15


@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_killed_while_it_heals(world: World, big: str, how: str) -> None:
    folder = world.resolve()
    blob = (folder / big).resolve()
    if how == "flipped":
        blob.write_bytes(BIG[:-1] + bytes([BIG[-1] ^ 1]))
    else:
        blob.unlink()
    kill_at(world, big, 1_000_000)
    with pytest.raises(Failed, match="DamagedFileError" if how == "flipped" else "OfflineError"):
        world.resolve(local_files_only=True)
    world.check(world.resolve())
    assert world.unfinished() == []


# At once.


@pytest.mark.parametrize("locks", [None, "no locks", "locks that do nothing"])
def test_two_processes_at_once(world: World, big: str, locks: str | None) -> None:
    both = threading.Barrier(2, timeout=60)
    if locks is not None:
        # Each has a half of its own before the other may go on.
        world.hub.fault(CONTENT[big], at=len(BIG) // 2, reached=lambda: _pass(both), times=2)
    prepare = [locks] if locks else []
    running = [world.start("resolve_and_list", prepare=prepare) for _ in range(2)]
    expected = {path: content.hex() for path, content in world.hub.files("owner/name").items()}
    for it in running:
        assert it.result() == expected
    assert len(fetched_bytes(world, big)) == (1 if locks is None else 2)
    assert world.unfinished() == []
    check_what_is_shown(world)


def _pass(barrier: threading.Barrier) -> None:
    barrier.wait()


def test_many_processes_at_once(world: World, big: str) -> None:
    running = [world.start("resolve") for _ in range(6)]
    folders = {it.result() for it in running}
    assert len(folders) == 1
    world.check(Path(folders.pop()))
    assert fetched_bytes(world, big) == [len(BIG)]
    assert world.unfinished() == []


def test_threads_of_one_process_at_once(world: World, big: str) -> None:
    folders = set(world.run("threads", count=6))
    assert len(folders) == 1
    world.check(Path(folders.pop()))
    assert fetched_bytes(world, big) == [len(BIG)]


def test_beside_huggingface_hub(world: World, big: str) -> None:
    running = [world.start("snapshot_download"), world.start("resolve"), world.start("snapshot_download"), world.start("resolve")]
    folders = {it.result() for it in running}
    assert len(folders) == 1
    world.check(Path(folders.pop()))
    check_what_is_shown(world)


def test_the_second_goes_on_when_the_first_is_killed(world: World, big: str) -> None:
    reached = threading.Event()
    world.hub.fault(CONTENT[big], at=1_500_000, reached=reached.set, stall=1_500_000, times=1)
    first = world.start("resolve")
    assert reached.wait(60)
    second = world.start("resolve")
    os.kill(first.pid, signal.SIGKILL)
    with pytest.raises(Killed):
        first.result()
    world.check(Path(second.result()))
    assert world.unfinished() == []


def test_what_another_writes_is_left_alone(world: World, big: str) -> None:
    """Without locks, a process that lives is told from one that is dead by its name alone."""
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        go_on.wait(60)

    world.hub.fault(CONTENT[big], at=1_500_000, reached=hold, times=1)
    first = world.start("resolve", prepare=["no locks"])
    assert reached.wait(60)
    world.check(world.resolve(prepare=["no locks"]))
    go_on.set()
    world.check(Path(first.result()))
    assert fetched_bytes(world, big) == [len(BIG)] * 2
    assert world.unfinished() == []


# What is left behind.


def test_orphans_are_removed_after_a_day(world: World, big: str) -> None:
    blobs = world.root() / "blobs"
    blobs.mkdir(parents=True)
    day = 24 * 3600
    ages = {
        f"{sha256(b'1')}.1a2b3c4d.incomplete": day + 60,
        f"{sha256(b'2')}.1a2b3c4d.incomplete": day - 600,
        f"{sha256(b'3')}.ffffffff-1-0.incomplete": day + 60,
        f"{sha256(b'4')}.ffffffff-1-0.incomplete": 0,
        f"{sha256(b'5')}.incomplete": 10 * day,
    }
    for name, age in ages.items():
        (blobs / name).write_bytes(b"left")
        os.utime(blobs / name, (time.time() - age,) * 2)
    world.check(world.resolve())
    assert {path.name for path in world.unfinished()} == {name for name, age in ages.items() if age < day}


def test_interrupted_by_the_user(world: World, big: str) -> None:
    reached = threading.Event()
    world.hub.fault(CONTENT[big], at=1_000_000, reached=reached.set, times=1)
    running = world.start("resolve")
    assert reached.wait(60)
    os.kill(running.pid, signal.SIGINT)
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        running.result()
    check_what_is_shown(world)
    world.check(world.resolve())
