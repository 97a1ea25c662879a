"""One file from the Hub into the cache: hashed as it comes, taken up where it broke off, named when its hash is right."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from russet.errors import DamagedFileError, DiskFullError, RussetError
from russet.hub import failures
from russet.hub.cache import RepositoryCache, new_hash
from russet.hub.client import Client, RangeRefusedError, RemoteFile
from russet.hub.failures import on_disk

#: How often a file is fetched whole whose content is then wrong.
WRONG_TRIES = 2
#: So many bytes more than at the first failure make up for the failures since.
_PROGRESS_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20

#: Told how many bytes came; fewer than none, if they were given up.
Progress = Callable[[int], None]


class StoppedError(Exception):
    """Another file's failure ended this download."""


def fetch(
    client: Client, cache: RepositoryCache, commit: str, file: RemoteFile, verify: bool, stop: threading.Event, progress: Progress
) -> None:
    """Brings a file into the cache, its content checked.

    Raises:
        DamagedFileError: if its content is not what the Hub says.
        HubError: if it cannot be fetched.
        FileError: if it cannot be written.
    """
    if client.comes_by_xet(file):
        _fetch_by_xet(client, cache, commit, file, progress)
        return
    with cache.lock(file.hash, stop):
        # Another process may have been faster, or another commit has the same content.
        if cache.check(cache.blobs / file.hash, file, verify) == "good":
            cache.link(commit, file)
            progress(file.size)
            return
        with cache.unfinished(file) as path:
            with on_disk(path), path.open("r+b" if path.exists() else "w+b") as out:
                try:
                    _fill(client, out, path, commit, file, stop, progress)
                except (DamagedFileError, DiskFullError):
                    # Of no use to the next try, and a full disk is no help to anybody.
                    path.unlink(missing_ok=True)
                    raise
            cache.publish(path, commit, file)


def _fill(
    client: Client, out: IO[bytes], path: Path, commit: str, file: RemoteFile, stop: threading.Event, progress: Progress
) -> None:
    """Appends what is missing and checks the whole."""
    hasher, position = new_hash(file), 0
    while block := out.read(_BLOCK_BYTES):
        hasher.update(block)
        position += len(block)
    progress(position)
    failed, wrong, mark = 0, 0, position

    def restart() -> None:
        nonlocal hasher, position
        progress(-position)
        hasher, position = new_hash(file), 0
        out.seek(0)
        out.truncate()

    while True:
        problem: Exception | None = None
        try:
            if position < file.size:
                with client.content(commit, file.path, position) as (begin, blocks):
                    if begin != position:
                        restart()
                    for block in blocks:
                        if stop.is_set():
                            raise StoppedError
                        if position + len(block) > file.size:
                            problem = _wrong(client, file, f"more than {file.size} bytes", "")
                            break
                        _write(out, block, path)
                        hasher.update(block)
                        position += len(block)
                        progress(len(block))
                if problem is None and position < file.size:
                    problem = _wrong(client, file, f"{position} bytes instead of {file.size}", "")
            if problem is None and hasher.hexdigest() != file.hash:
                problem = _wrong(client, file, "another content", hasher.hexdigest())
                wrong += 1
            if problem is None:
                # What is renamed must not be empty after the machine lost its power.
                with on_disk(path):
                    out.flush()
                    os.fsync(out.fileno())
                return
        except (RussetError, StoppedError):
            raise
        except RangeRefusedError as error:
            problem = error
        except Exception as error:
            if not failures.may_pass(error):
                raise failures.translated(error, client.repo_id, commit) from error
            problem = error
        failed += 1
        if position >= mark + _PROGRESS_BYTES:
            failed, mark = 1, position
        wait = failures.wait_of(problem, failed)
        if failed >= failures.TRIES or wrong >= WRONG_TRIES or wait > failures.GREATEST_RETRY_AFTER_SECONDS:
            if isinstance(problem, RangeRefusedError):
                raise _wrong(client, file, f"{position} bytes instead of {file.size}", "")
            raise failures.translated(problem, client.repo_id, commit) from problem
        if isinstance(problem, (DamagedFileError, RangeRefusedError)):
            restart()
        stop.wait(wait)


def _write(out: IO[bytes], block: bytes, path: Path) -> None:
    try:
        out.write(block)
    except OSError as error:
        raise failures.on_file(error, path) from error


def _wrong(client: Client, file: RemoteFile, what: str, actual: str) -> DamagedFileError:
    return DamagedFileError(
        f"{client.repo_id}: {file.path} came with {what} than the Hub tells of it, and was not kept; try again later, or through "
        "another network or mirror (HF_ENDPOINT)",
        repo_id=client.repo_id,
        path=file.path,
        expected=file.hash,
        actual=actual,
    )


def _fetch_by_xet(client: Client, cache: RepositoryCache, commit: str, file: RemoteFile, progress: Progress) -> None:
    """Lets huggingface_hub fetch a file, and checks what it put into the cache."""
    pointer = cache.pointer(commit, file.path)
    for _ in range(WRONG_TRIES):
        # What is there under this name is damaged, or it would not be fetched.
        client.download(commit, file.path, cache.cache, force=os.path.lexists(pointer), progress=progress)
        if cache.check(pointer, file, True) == "good":
            return
    content: Any = pointer.resolve()
    for path in {pointer, content}:
        with on_disk(path):
            path.unlink(missing_ok=True)
    raise _wrong(client, file, "another content", "")
