"""The files of a commit, whole and checked, in a folder of the cache."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from russet.errors import (
    ArgumentError,
    DamagedFileError,
    DiskFullError,
    HubError,
    MissingFileError,
    OfflineError,
    RevisionNotFoundError,
    RussetError,
)
from russet.hub import client as hub_client
from russet.hub import names, transfer
from russet.hub.cache import RepositoryCache
from russet.hub.client import DEFAULT_REVISION, Client, RemoteFile
from russet.hub.failures import TRIES
from russet.hub.selection import Selection, selected

_log = logging.getLogger("russet.hub")
_GREATEST_THREADS = 8


@dataclass(frozen=True)
class Snapshot:
    """What was asked for, on this disk."""

    repo_id: str
    commit: str
    folder: Path
    #: The files that were selected, by path.
    files: dict[str, RemoteFile]


def fetch(
    repo_id: str,
    revision: str | None = None,
    selection: Selection = None,
    *,
    token: str | bool | None = None,
    cache_dir: Path | None = None,
    local_files_only: bool = False,
    verify: bool = True,
) -> Snapshot:
    """Brings files of a repository into the cache, those that it does not have whole; see :func:`russet.hub.resolve`."""
    revision = revision or DEFAULT_REVISION
    if names.refusal(revision) is not None:
        raise ArgumentError(f"revision: {revision!r} is no branch, tag or commit", argument="revision")
    cache = RepositoryCache(hub_client.cache_folder(cache_dir), repo_id)
    if local_files_only or hub_client.is_offline():
        why = "local_files_only=True" if local_files_only else "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set"
        return _cached(cache, repo_id, revision, selection, verify, f"{why}; without that they are fetched")
    client = Client(repo_id, token)
    try:
        # Who works without a connection, and has all, shall not wait.
        tries = 2 if _is_cached(cache, repo_id, revision, selection) else TRIES
        commit = revision if names.COMMIT.fullmatch(revision) else client.commit(revision, tries)
        files = cache.listing(commit)
        if files is None:
            files = client.listing(commit)
            for file in files.values():
                names.check_hex(file.hash, names.HASH, f"the hash of {file.path!r}", repo_id)
            cache.keep_listing(commit, files)
    except RevisionNotFoundError:
        raise
    except HubError as error:
        try:
            found = _cached(cache, repo_id, revision, selection, verify, str(error))
        except OfflineError as missing:
            raise error from missing
        _log.warning("%s; the copy of %s in the cache is used, which may be old", error, repo_id)
        return found
    chosen = _chosen(files, selection, repo_id)
    _complete(client, cache, commit, chosen, verify)
    cache.keep_commit(revision, commit)
    return Snapshot(repo_id, commit, cache.snapshot(commit), {file.path: file for file in chosen})


def _chosen(files: dict[str, RemoteFile], selection: Selection, repo_id: str) -> list[RemoteFile]:
    paths = selected(files, selection, repo_id)
    if not paths:
        listed = ", ".join(sorted(map(ascii, files))[:20])
        raise MissingFileError(2, f"none of the files that are needed is in the repository, which has {listed or 'none'}", repo_id)
    unknown = [path for path in paths if path not in files]
    if unknown:
        raise MissingFileError(2, f"allow_patterns gave what is not in the repository: {unknown[0]!r}", repo_id)
    return [files[names.check_path(path, repo_id)] for path in paths]


def _is_cached(cache: RepositoryCache, repo_id: str, revision: str, selection: Selection) -> bool:
    """Whether the cache has what is asked for, as it was when it was last asked for; contents are not looked at."""
    try:
        _cached(cache, repo_id, revision, selection, False, "")
    except RussetError:
        return False
    return True


def _cached(cache: RepositoryCache, repo_id: str, revision: str, selection: Selection, verify: bool, why: str) -> Snapshot:
    """What the cache has, if that is all that was asked for.

    Raises:
        OfflineError: if files are missing.
        DamagedFileError: if one is damaged.
    """
    commit = cache.commit(revision)
    if commit is None:
        raise OfflineError(f"the cache has no {repo_id} at {revision!r}, and it is not fetched: {why}", repo_id=repo_id)
    listing = cache.listing(commit)
    files = cache.present(commit) if listing is None else listing
    if not files:
        raise OfflineError(f"the cache has no files of {repo_id} at {revision!r}, and they are not fetched: {why}", repo_id=repo_id)
    chosen = _chosen(files, selection, repo_id)
    missing = []
    for file in chosen:
        state = cache.check(cache.pointer(commit, file.path), file, verify)
        if state == "missing":
            missing.append(file.path)
        elif state == "damaged":
            raise DamagedFileError(
                f"{repo_id}: {file.path} is damaged in the cache, and not fetched again: {why}",
                repo_id=repo_id,
                path=file.path,
                expected=file.hash,
            )
    if missing:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise OfflineError(f"the cache has {repo_id} at {revision!r} without {few}, not fetched: {why}", repo_id=repo_id)
    return Snapshot(repo_id, commit, cache.snapshot(commit), {file.path: file for file in chosen})


def _complete(client: Client, cache: RepositoryCache, commit: str, files: list[RemoteFile], verify: bool) -> None:
    """Checks the files, and fetches those that are missing or damaged."""
    states = {file.path: cache.state(cache.pointer(commit, file.path), file, verify) for file in files}
    todo = [file for file in files if states[file.path] != "good"]
    if not todo:
        return
    needed = sum(file.size for file in todo if states[file.path] in ("missing", "damaged"))
    room = cache.room() if needed else 0
    # Some systems do not tell, and say 0.
    if 0 < room < needed:
        raise DiskFullError(
            28,
            f"{client.repo_id} needs {needed:,} bytes, and {room:,} are free; point HF_HOME (or cache_dir=) elsewhere",
            str(cache.cache),
        )
    stop = threading.Event()

    def complete(file: RemoteFile, progress: transfer.Progress) -> None:
        if states[file.path] == "unknown" and cache.check(cache.pointer(commit, file.path), file, verify) == "good":
            progress(file.size)
            return
        transfer.fetch(client, cache, commit, file, verify, stop, progress)

    with _bar(client.repo_id, sum(file.size for file in todo)) as progress:
        if len(todo) == 1:
            complete(todo[0], progress)
        else:
            with ThreadPoolExecutor(min(_GREATEST_THREADS, len(todo)), "russet-hub") as pool:
                running = [pool.submit(complete, file, progress) for file in todo]
                try:
                    done, _ = wait(running, return_when=FIRST_EXCEPTION)
                finally:
                    # Also when the user interrupts: what runs ends at its next block.
                    if any(not it.done() or it.exception() for it in running):
                        stop.set()
                    for it in running:
                        it.cancel()
                for it in done:
                    it.result()
    cache.remove_orphans()


@contextmanager
def _bar(title: str, total: int) -> Iterator[transfer.Progress]:
    """A progress bar, if somebody looks."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from huggingface_hub import utils

    lock = threading.Lock()
    # It shows nothing if HF_HUB_DISABLE_PROGRESS_BARS is set.
    bar_class: Any = utils.tqdm  # type: ignore[attr-defined]
    with bar_class(total=total, desc=title, unit="B", unit_scale=True, unit_divisor=1000) as bar:

        def progress(count: int) -> None:
            with lock:
                bar.update(count)

        yield progress
