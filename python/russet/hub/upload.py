"""A folder goes to the Hub, with a model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import huggingface_hub

from russet._core import __version__
from russet.errors import ArgumentError, MissingFileError
from russet.hub import client, failures, names
from russet.hub.card import card
from russet.hub.failures import on_disk

#: What is not uploaded: hidden files, and packages that were not finished.
_LEFT_OUT = [".*", "*/.*", "*.partial", "*.partial/*"]


@dataclass(frozen=True)
class Upload:
    """What was uploaded."""

    repo_id: str
    #: The address of the commit.
    url: str
    #: The commit's hash.
    sha: str
    #: The address of the pull request, if it is one.
    pull_request: str | None
    #: Whether the folder got a README.md.
    wrote_card: bool


def push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None,
    token: str | bool | None,
    revision: str | None,
    commit_message: str | None,
    create_pr: bool,
) -> Upload:
    """See :func:`russet.hub.push_to_hub`."""
    if not names.is_repo_id(repo_id):
        raise ArgumentError(f"{repo_id!r} is no id of a repository, such as owner/name", argument="repo_id")
    if not folder.is_dir():
        raise MissingFileError(2, "there is no such folder", str(folder))
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    if not paths:
        raise MissingFileError(2, "there is nothing in the folder", str(folder))
    for path in paths:
        names.check_path(path, repo_id)
    wrote = not (folder / "README.md").exists()
    if wrote:
        with on_disk(folder / "README.md"):
            (folder / "README.md").write_text(card(folder, repo_id), encoding="utf-8")
    api = huggingface_hub.HfApi(token=token, library_name="russet", library_version=__version__)
    failures.retried(lambda: api.create_repo(repo_id, private=private, exist_ok=True), repo_id, None)
    try:
        # Not tried again by us: a commit whose answer was lost would be made twice.
        made = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision or client.DEFAULT_REVISION,
            commit_message=commit_message or f"Upload {repo_id.rpartition('/')[2]}",
            create_pr=create_pr,
            ignore_patterns=_LEFT_OUT,
        )
    except Exception as error:
        raise failures.translated(error, repo_id, revision) from error
    return Upload(repo_id, made.commit_url, made.oid, made.pr_url if create_pr else None, wrote)
