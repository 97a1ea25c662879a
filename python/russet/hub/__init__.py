"""Models and tokenizers of the Hugging Face Hub, through huggingface_hub and its cache.

``resolve`` gives the folder for a path or a repository's id. What it gives was checked against the hashes that the Hub tells; what
is damaged in the cache is fetched again; a download that broke off is taken up. huggingface_hub is imported when a repository is
first asked for, and never for a path.

    >>> from russet import hub
    >>> hub.resolve("owner/name", allow_patterns=hub.TOKENIZER)             # doctest: +SKIP
    >>> hub.resolve_package("owner/name", variant="int4")                   # doctest: +SKIP
    >>> hub.info("owner/name").files["config.json"].size                    # doctest: +SKIP
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from russet.errors import ArgumentError, MissingFileError
from russet.hub import names
from russet.hub.names import is_repo_id
from russet.hub.selection import (
    CHECKPOINT,
    CONFIG,
    TOKENIZER,
    TOKENIZER_FILES,
    Selection,
    checkpoint,
    package,
    the_package,
    tokenizer_file,
)

if TYPE_CHECKING:
    from russet.hub.repository import RepositoryInfo
    from russet.hub.upload import Upload

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "TOKENIZER",
    "checkpoint",
    "info",
    "is_repo_id",
    "package",
    "push_to_hub",
    "resolve",
    "resolve_package",
    "resolve_tokenizer",
    "tokenizer_file",
]


def resolve(
    path_or_repo_id: str | os.PathLike[str],
    revision: str | None = None,
    *,
    allow_patterns: Selection = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    verify: bool = True,
) -> Path:
    """The folder for a path, or for a repository on the Hub.

    Args:
        path_or_repo_id: A path that is there is taken as it is, with nothing asked. Else it is an id such as ``owner/name``.
        revision: A branch, tag or commit; ``main`` if none. With a commit's whole hash, a start with a full cache asks nothing.
        allow_patterns: The files that are needed: a pattern, a list of them (``hub.TOKENIZER``, ``hub.CONFIG``), or a function from
            all paths to those needed (``hub.checkpoint``, ``hub.package("int4")``). None takes every file.
        token: A token instead of that of the environment (HF_TOKEN, ``hf auth login``); False sends none.
        cache_dir: Where files are kept; else where HF_HUB_CACHE or HF_HOME say, and huggingface_hub too has them.
        local_files_only: Nothing is asked and nothing fetched.
        verify: Whether the content of files that are in the cache already is checked against its hash. That is done once for a
            file that does not change. Sizes are always checked, and so is the content of what is fetched.

    Returns:
        The path, or a folder of the cache, which may hold other files of the same commit too.

    Raises:
        MissingFileError: if there is no such path and it is no id; if the repository has none of the files.
        RepositoryNotFoundError: if the Hub has no such repository, or does not show it.
        GatedRepositoryError: if its conditions were not accepted.
        RevisionNotFoundError: if it has no such revision.
        OfflineError: if the cache does not have the files and they may not be fetched.
        DamagedFileError: if the content of a file is not what the Hub says, twice.
        DiskFullError: if there is no room.
        FileError: if the cache cannot be written or read.
        HubError: if the Hub cannot be reached, or fails; if the name of a file is not safe to use.
    """
    local = _local(path_or_repo_id)
    if local is not None:
        return local
    from russet.hub import snapshot

    return snapshot.fetch(
        os.fspath(path_or_repo_id),
        revision,
        allow_patterns,
        token=token,
        cache_dir=None if cache_dir is None else Path(cache_dir),
        local_files_only=local_files_only,
        verify=verify,
    ).folder


def resolve_tokenizer(
    identifier: str | os.PathLike[str],
    revision: str | None = None,
    token: str | bool | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
) -> Path:
    """The tokenizer file of a folder, or of a repository on the Hub. Only what the tokenizer is read from is fetched.

    Raises:
        MissingFileError: if the folder or the repository holds no tokenizer file; and what :func:`resolve` raises.
    """
    folder = resolve(
        identifier,
        revision,
        allow_patterns=tokenizer_file,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
    )
    if folder.is_file():
        return folder
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            return folder / name
    ranks = sorted(folder.glob("*.tiktoken"))
    if ranks:
        return ranks[0]
    raise MissingFileError(2, f"none of {', '.join(TOKENIZER_FILES)}, *.tiktoken is in the folder", str(folder))


def resolve_package(
    path_or_repo_id: str | os.PathLike[str],
    revision: str | None = None,
    *,
    variant: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    verify: bool = True,
) -> Path:
    """The ``.mlpackage`` of a repository, fetched with what is needed beside it. A path that is there is given as it is.

    Args:
        path_or_repo_id: As for :func:`resolve`, and so are the others.
        variant: Which package, where there are several: its name or a part of it, such as ``int4``.

    Raises:
        ArgumentError: if there are several packages; and what :func:`resolve` raises.
    """
    local = _local(path_or_repo_id)
    if local is not None:
        return local
    from russet.hub import snapshot

    found = snapshot.fetch(
        os.fspath(path_or_repo_id),
        revision,
        package(variant),
        token=token,
        cache_dir=None if cache_dir is None else Path(cache_dir),
        local_files_only=local_files_only,
        verify=verify,
    )
    return found.folder.joinpath(*the_package(found.files).split("/"))


def _local(path_or_repo_id: str | os.PathLike[str]) -> Path | None:
    """The path, if it is there, or None if it is a repository's id.

    Raises:
        MissingFileError: if it is neither.
    """
    text = os.fspath(path_or_repo_id)
    if not isinstance(text, str) or "\0" in text or not text:
        raise ArgumentError(f"{text!r} is no path and no id of a repository", argument="path_or_repo_id")
    path = Path(text)
    try:
        if path.exists():
            return path
    except (OSError, ValueError):
        pass  # no system has a path like this
    if isinstance(path_or_repo_id, os.PathLike) or not names.is_repo_id(text):
        raise MissingFileError(2, "there is nothing there, and it is no id of a repository on the Hub, such as owner/name", text)
    return None


def info(repo_id: str, revision: str | None = None, *, token: str | bool | None = None) -> RepositoryInfo:
    """What the Hub tells of a repository, in one request: nothing is downloaded.

    Raises:
        ArgumentError: if ``repo_id`` is no id; and what :func:`resolve` raises but for files.
    """
    from russet.hub import repository

    return repository.info(repo_id, revision, token)


def push_to_hub(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
) -> Upload:
    """Uploads a folder that ``russet.convert`` made, in one commit. A folder without a README.md gets one.

    Args:
        folder: Its hidden files and unfinished packages are left out.
        repo_id: Where; it is made if it is not there.
        private: Whether a repository that is made is private; the account's default if None.
        token: As for :func:`resolve`; it must allow to write.
        revision: The branch; ``main`` if none.
        commit_message: ``Upload NAME`` if none.
        create_pr: Whether it becomes a pull request instead.

    Raises:
        MissingFileError: if there is no folder, or nothing in it.
        HubError: if the Hub cannot be reached, fails, or does not allow it.
    """
    from russet.hub import upload

    return upload.push(
        Path(folder), repo_id, private=private, token=token, revision=revision, commit_message=commit_message, create_pr=create_pr
    )
