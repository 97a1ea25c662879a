"""The cache of one repository: huggingface_hub's folders, and beside them what Russet knows of the files.

``blobs/HASH`` holds a file's content, ``snapshots/COMMIT/path`` leads there, ``refs/NAME`` holds a commit's hash: what
huggingface_hub documents, and what it and everything built on it read. Russet's own is in ``.russet``, where nothing else looks:

- ``files/COMMIT.json``: path, size and hash of each file of a commit, so that a warm start asks nothing;
- ``checked/HASH``: size, time of change and inode of files whose content had this hash. Such a file is not hashed again until one
  of the three changes.

A download goes to ``blobs/HASH.MACHINE-PID-SERIAL.incomplete``. The name says who writes, so one that a dead process left is told
from one that grows, with no lock: it is taken over by renaming, which only one can do. A file gets its final name after its hash
was right and its bytes were on the disk.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from russet.hub import names
from russet.hub.client import RemoteFile
from russet.hub.failures import on_disk

#: An unfinished download that nobody wrote to for so long is removed, whoever left it.
ORPHAN_SECONDS = 24 * 3600
_POLL_SECONDS = 0.05
_BLOCK_BYTES = 1 << 20
#: How many files of one content are remembered: one where links work, else one for each commit that has it.
_GREATEST_REMEMBERED = 16
_serials = itertools.count()
#: Unfinished downloads of this process.
_active: set[str] = set()
#: What ``checked`` says, for caches that cannot be written.
_known: set[tuple[str, str]] = set()

State = Literal["good", "missing", "damaged", "unknown"]


class RepositoryCache:
    """What the cache has of one repository."""

    def __init__(self, cache: Path, repo_id: str) -> None:
        folder = "--".join(["models", *repo_id.split("/")])
        self.cache = cache
        self.root = cache / folder
        self.blobs = self.root / "blobs"
        self._locks = cache / ".locks" / folder
        self._own = self.root / ".russet"

    # What is there.

    def commit(self, revision: str) -> str | None:
        """The commit that a revision led to when it was last asked for."""
        if names.COMMIT.fullmatch(revision):
            return revision
        try:
            found = self.root.joinpath("refs", *revision.split("/")).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return found if names.COMMIT.fullmatch(found) else None

    def snapshot(self, commit: str) -> Path:
        """The folder of a commit."""
        return self.root / "snapshots" / commit

    def pointer(self, commit: str, path: str) -> Path:
        """Where a file of a commit is."""
        return self.snapshot(commit).joinpath(*path.split("/"))

    def listing(self, commit: str) -> dict[str, RemoteFile] | None:
        """The files of a commit, if they were asked for before."""
        try:
            saved = json.loads((self._own / "files" / f"{commit}.json").read_bytes())
            files = {path: RemoteFile(path, int(size), hash, bool(in_xet)) for path, (size, hash, in_xet) in saved["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if not all(isinstance(file.hash, str) and names.HASH.fullmatch(file.hash) for file in files.values()):
            return None
        return files

    def present(self, commit: str) -> dict[str, RemoteFile]:
        """The files in a commit's folder, with the hashes that the names of their contents say: all there is without a listing."""
        folder, found = self.snapshot(commit), {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name, target = path.relative_to(folder).as_posix(), path.resolve()
                hash = target.name if target.parent == self.blobs.resolve() and names.HASH.fullmatch(target.name) else ""
                found[name] = RemoteFile(name, path.stat().st_size, hash)
        return found

    def state(self, path: Path, file: RemoteFile, verify: bool) -> State:
        """Whether a file is what the Hub says. Without ``verify`` its size decides.

        ``"unknown"``: its size is right, its content was not looked at.
        """
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        except OSError:
            return "damaged"
        if not path.is_file() or status.st_size != file.size:
            return "damaged"
        return "good" if not verify or not file.hash or self._is_remembered(file.hash, status) else "unknown"

    def check(self, path: Path, file: RemoteFile, verify: bool) -> State:
        """As :meth:`state`, and if only the content can tell, it is read; if it is right that is remembered."""
        state = self.state(path, file, verify)
        if state != "unknown":
            return state
        with on_disk(path), path.open("rb") as opened:
            before, hasher = os.fstat(opened.fileno()), new_hash(file)
            while block := opened.read(_BLOCK_BYTES):
                hasher.update(block)
            after = os.fstat(opened.fileno())
        if hasher.hexdigest() != file.hash or _identity(before) != _identity(after):
            return "damaged"
        self.remember(file.hash, after)
        return "good"

    # What Russet remembers. Nothing depends on it: where it cannot be written, more is asked for and hashed.

    def _is_remembered(self, hash: str, status: os.stat_result) -> bool:
        identity = _identity(status)
        if (hash, identity) in _known:
            return True
        try:
            return identity in (self._own / "checked" / hash).read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return False

    def remember(self, hash: str, status: os.stat_result) -> None:
        """Notes that a file's content has this hash."""
        identity, path = _identity(status), self._own / "checked" / hash
        _known.add((hash, identity))
        with suppress(OSError, ValueError):
            before = path.read_text(encoding="ascii").splitlines() if path.exists() else []
            lines = [identity, *(line for line in before if line != identity)][:_GREATEST_REMEMBERED]
            self._write(path, "".join(f"{line}\n" for line in lines))

    def keep_listing(self, commit: str, files: Mapping[str, RemoteFile]) -> None:
        """Notes the files of a commit."""
        saved = {file.path: [file.size, file.hash, file.in_xet] for file in files.values()}
        with suppress(OSError, ValueError):
            self._write(self._own / "files" / f"{commit}.json", json.dumps({"files": saved}))

    def keep_commit(self, revision: str, commit: str) -> None:
        """Notes where a branch or tag leads, for the time when nobody can be asked."""
        if names.COMMIT.fullmatch(revision) or self.commit(revision) == commit:
            return
        with suppress(OSError):
            self._write(self.root.joinpath("refs", *revision.split("/")), commit)

    def _write(self, path: Path, text: str) -> None:
        """Writes a small file so that no reader sees a part of it."""
        self._own.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._own / f"{_writer()}-{next(_serials)}.tmp"
        try:
            temporary.write_text(text, encoding="ascii")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    # Downloads.

    @contextmanager
    def lock(self, hash: str, stop: threading.Event) -> Iterator[None]:
        """The lock that huggingface_hub too takes to fetch this content, where the system has such locks.

        It only saves fetching twice: without it the result is the same.
        """
        if sys.platform == "win32":
            yield
            return
        import fcntl

        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._locks / f"{hash}.lock", os.O_RDWR | os.O_CREAT, 0o664)
        except OSError:
            yield
            return
        try:
            while not stop.is_set():
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    stop.wait(_POLL_SECONDS)
                except OSError:
                    break
                else:
                    break
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def unfinished(self, file: RemoteFile) -> Iterator[Path]:
        """The file that a download is written to: what a dead process left of it, or an empty one.

        It stays if the block is left by an error, to be taken up again, but not if the block moves it away.
        """
        with on_disk(self.blobs):
            self.blobs.mkdir(parents=True, exist_ok=True)
            path = self.blobs / f"{file.hash}.{_writer()}-{next(_serials)}.incomplete"
            _active.add(path.name)
            try:
                for left in self._left_behind(file.hash):
                    with suppress(OSError):
                        # A link that never came to its place, or more than there is, is nothing to go on with.
                        if not left.is_symlink() and left.stat().st_size <= file.size:
                            os.replace(left, path)
                            break
                yield path
            finally:
                _active.discard(path.name)
                with suppress(OSError):
                    if path.stat().st_size == 0:
                        path.unlink()

    def _left_behind(self, hash: str) -> list[Path]:
        """What processes of this machine that are dead left of this content, the longest first."""
        found = []
        for path in self.blobs.glob(f"{hash}.*.incomplete"):
            with suppress(OSError):
                if _is_dead(path.name):
                    found.append((path.lstat().st_size, path))
        return [path for _, path in sorted(found, reverse=True)]

    def _remove_left_behind(self, hash: str) -> None:
        for path in self._left_behind(hash):
            with suppress(OSError):
                path.unlink()

    def publish(self, unfinished: Path, commit: str, file: RemoteFile) -> None:
        """Gives a download whose content was checked its name, and the commit's folder its entry."""
        pointer, blob = self.pointer(commit, file.path), self.blobs / file.hash
        with on_disk(pointer):
            self.remember(file.hash, unfinished.stat())
            os.replace(unfinished, blob)
            self._link(blob, pointer, is_new=True)
        self._remove_left_behind(file.hash)

    def link(self, commit: str, file: RemoteFile) -> None:
        """Gives the commit's folder an entry for content that is there."""
        pointer = self.pointer(commit, file.path)
        with on_disk(pointer):
            self._link(self.blobs / file.hash, pointer, is_new=False)
        self._remove_left_behind(file.hash)

    def _link(self, blob: Path, pointer: Path, is_new: bool) -> None:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(pointer) and pointer.exists() and pointer.samefile(blob):
            return
        temporary = self.blobs / f"{blob.name}.{_writer()}-{next(_serials)}.incomplete"
        _active.add(temporary.name)
        try:
            if os.environ.get("HF_HUB_DISABLE_SYMLINKS", "").upper() in ("1", "ON", "YES", "TRUE"):
                raise NotImplementedError
            # The link is right where it ends up, not where it is made.
            os.symlink(os.path.relpath(blob, pointer.parent), temporary)
            os.replace(temporary, pointer)
        except (OSError, NotImplementedError):
            temporary.unlink(missing_ok=True)
            if is_new:
                os.replace(blob, pointer)
                return
            shutil.copyfile(blob, temporary)
            os.replace(temporary, pointer)
            self.remember(blob.name, pointer.stat())
        finally:
            _active.discard(temporary.name)

    def remove_orphans(self) -> None:
        """Removes downloads that were left unfinished a day ago, by whatever program, and notes that were never finished."""
        oldest = time.time() - ORPHAN_SECONDS
        for path in [*self.blobs.glob("*.incomplete"), *self._own.glob("*.tmp")]:
            with suppress(OSError):
                if path.lstat().st_mtime < oldest and path.name not in _active:
                    path.unlink()

    def room(self) -> int:
        """Bytes that are free where downloads go."""
        folder = self.blobs
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with on_disk(folder):
            return shutil.disk_usage(folder).free


def new_hash(file: RemoteFile) -> Any:
    """A hasher of the kind that the Hub names for a file; it gives ``file.hash`` when it has taken the right bytes."""
    if len(file.hash) == 64:
        return hashlib.sha256(usedforsecurity=False)
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _identity(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


@lru_cache
def _machine() -> str:
    """Eight digits for this machine since it was started, and for the processes that it shows: pids mean nothing elsewhere."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _writer() -> str:
    return f"{_machine()}-{os.getpid()}"


def _is_dead(name: str) -> bool:
    """Whether the process that an unfinished download is named after is of this machine and has ended."""
    machine, _, rest = name.removesuffix(".incomplete").rpartition(".")[2].partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal() or sys.platform == "win32":
        return False
    if int(pid) == os.getpid():
        return name not in _active
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
