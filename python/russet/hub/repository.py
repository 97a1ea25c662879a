"""What the Hub tells of a repository, with nothing downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from russet.errors import ArgumentError
from russet.hub import client, names
from russet.hub.client import Client


@dataclass(frozen=True)
class FileInfo:
    """A file of a repository."""

    path: str
    #: Bytes.
    size: int
    #: Its SHA-256 (64 hexadecimal digits) if it is in LFS, else git's hash of it (40).
    hash: str


@dataclass(frozen=True)
class RepositoryInfo:
    """A repository at a commit."""

    repo_id: str
    #: The commit's hash.
    sha: str
    files: Mapping[str, FileInfo]
    private: bool
    #: ``"auto"`` or ``"manual"`` if conditions must be accepted first, else False.
    gated: str | bool
    tags: tuple[str, ...]
    #: The front matter of its model card.
    card: Mapping[str, Any]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files.values())


def info(repo_id: str, revision: str | None, token: str | bool | None) -> RepositoryInfo:
    """See :func:`russet.hub.info`."""
    if not names.is_repo_id(repo_id):
        raise ArgumentError(f"{repo_id!r} is no id of a repository, such as owner/name", argument="repo_id")
    found = Client(repo_id, token).information(revision or client.DEFAULT_REVISION)
    card = found.card_data
    files = {}
    for entry in found.siblings or ():
        hash = entry.blob_id if entry.lfs is None else entry.lfs.sha256
        files[entry.rfilename] = FileInfo(entry.rfilename, entry.size or 0, hash or "")
    return RepositoryInfo(
        repo_id,
        names.check_hex(found.sha, names.COMMIT, "the commit's hash", repo_id),
        files,
        bool(found.private),
        found.gated or False,
        tuple(found.tags or ()),
        {} if card is None else card.to_dict(),
    )
