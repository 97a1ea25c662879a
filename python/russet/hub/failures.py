"""What can go wrong on the way to the Hub and to the disk: which error of Russet it is, and whether another try may help."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from russet.errors import (
    ArgumentError,
    DiskFullError,
    FileError,
    FolderError,
    ForbiddenFileError,
    GatedRepositoryError,
    HubError,
    MissingFileError,
    OfflineError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RussetError,
)

T = TypeVar("T")

#: How often the same thing is tried, in all.
TRIES = 5
#: The first wait between tries; each that follows is twice as long, up to the greatest.
FIRST_WAIT_SECONDS = 0.25
GREATEST_WAIT_SECONDS = 8.0
#: A server that asks for a longer wait is told of in an error instead.
GREATEST_RETRY_AFTER_SECONDS = 120.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PASSING_STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504))
#: Classes of the HTTP library, which is another one in each major version of huggingface_hub.
_PASSING_ERRORS = frozenset(("TimeoutException", "NetworkError", "RemoteProtocolError"))


def status_of(error: BaseException) -> int | None:
    """The status of the answer that an error tells of."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    status = status_of(error)
    if status is not None:
        return status in _PASSING_STATUSES
    return any(base.__name__ in _PASSING_ERRORS for base in type(error).__mro__)


def wait_of(error: BaseException | None, failures: int) -> float:
    """Seconds to wait after the nth failure: what the server asks for, or twice as long as before."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = str(headers.get("Retry-After", ""))
    if asked.isdecimal():
        return float(asked)
    return min(FIRST_WAIT_SECONDS * 2.0 ** (failures - 1), GREATEST_WAIT_SECONDS)


def retried(call: Callable[[], T], repo_id: str, revision: str | None, tries: int = TRIES) -> T:
    """What the call gives, which is made again while what fails may pass.

    Raises:
        RussetError: what its last failure was.
    """
    failures = 0
    while True:
        try:
            return call()
        except Exception as error:
            failures += 1
            wait = wait_of(error, failures)
            if failures >= tries or not may_pass(error) or wait > GREATEST_RETRY_AFTER_SECONDS:
                raise translated(error, repo_id, revision) from error
            time.sleep(wait)


def translated(error: BaseException, repo_id: str, revision: str | None = None) -> RussetError:
    """The error of Russet for one of huggingface_hub, of its HTTP library, or of the system."""
    from huggingface_hub import constants, errors

    if isinstance(error, RussetError):
        return error
    status, told = status_of(error), _first_line(error)
    if isinstance(error, errors.GatedRepoError):
        return GatedRepositoryError(
            f"{repo_id} is gated: ask for access at {constants.ENDPOINT}/{repo_id}, and pass token= (or set HF_TOKEN, or run "
            "`hf auth login`) of the account that has it",
            repo_id=repo_id,
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return RepositoryNotFoundError(
            f"{constants.ENDPOINT} has no repository {repo_id!r}, or does not show it to this account: check the name, and if it "
            "is private, pass token= (or set HF_TOKEN)",
            repo_id=repo_id,
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return RevisionNotFoundError(f"{repo_id} has no branch, tag or commit {revision!r}", repo_id=repo_id)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return OfflineError(f"{repo_id}: this needs the Hub; unset HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE)", repo_id=repo_id)
    if isinstance(error, errors.HFValidationError):
        return ArgumentError(f"{repo_id!r} is no id of a repository: {told}", argument="repo_id")
    if status is not None:
        return HubError(f"{repo_id}: {_of_status(status)} ({told})", repo_id=repo_id)
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _FULL):
        return on_file(error, error.filename or constants.HF_HUB_CACHE)
    if any(base.__name__ == "TransportError" for base in type(error).__mro__):
        return HubError(
            f"{repo_id}: {constants.ENDPOINT} cannot be reached, or broke off ({type(error).__name__}: {told}); check the "
            "connection, or work offline with what the cache has (HF_HUB_OFFLINE=1)",
            repo_id=repo_id,
        )
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        # What several threads do is wrapped.
        return translated(error.__cause__, repo_id, revision)
    return HubError(f"{repo_id}: {type(error).__name__}: {told}", repo_id=repo_id)


def _of_status(status: int) -> str:
    if status == 401:
        return "the Hub does not accept the token"
    if status == 403:
        return "the token does not allow this; it needs the permission, such as to write"
    if status == 429:
        return "the Hub refuses more requests for now; wait, or pass token= for a higher limit"
    return f"the Hub failed with status {status}" if status >= 500 else f"the Hub answered with status {status}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def on_file(error: OSError, path: object) -> FileError:
    """The error for one of the system about a file."""
    number = error.errno or 0
    if number in _FULL:
        return DiskFullError(
            number, "no room is left on the disk; free some, or point HF_HOME (or cache_dir=) at another", str(path)
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ForbiddenFileError(
            number, "this may not be written or read; point HF_HOME (or cache_dir=) at a folder of yours", str(path)
        )
    if number == errno.ENOENT:
        return MissingFileError(number, "there is no such file", str(path))
    if number == errno.EISDIR:
        return FolderError(number, "there is a folder where a file is needed", str(path))
    return FileError(number, error.strerror or "it cannot be read or written", str(path))


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Errors of the system in the block are errors of Russet, about this path if they name none."""
    try:
        yield
    except RussetError:
        raise
    except OSError as error:
        raise on_file(error, error.filename or path) from error
