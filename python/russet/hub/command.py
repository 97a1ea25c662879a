"""``russet download``: files of a repository, into the cache or a folder."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from russet.errors import ArgumentError, MissingFileError
from russet.hub import names, selection
from russet.hub.failures import on_disk


def add_to(commands: Any) -> None:
    """Adds the command to a parser's."""
    download = commands.add_parser(
        "download",
        help="fetch a repository of the Hugging Face Hub",
        description="Fetches files of a repository, checks them, and prints the folder they are in.",
    )
    download.set_defaults(run=_download)
    download.add_argument("repo_id", metavar="REPO", help="the repository, such as owner/name")
    download.add_argument("files", nargs="*", metavar="FILE", help="files to fetch; without any, and without --include, all")
    download.add_argument("--include", nargs="+", action="extend", metavar="PATTERN", help="fetch files that fit, such as '*.json'")
    download.add_argument("--exclude", nargs="+", action="extend", metavar="PATTERN", help="leave out files that fit")
    download.add_argument("--revision", metavar="NAME", help="a branch, tag or commit (main)")
    download.add_argument("--local-dir", type=Path, metavar="FOLDER", help="copy the files there from the cache")
    download.add_argument("--json", action="store_true", help="print an object with the folder, the commit and the files")


def _download(options: argparse.Namespace) -> None:
    if not names.is_repo_id(options.repo_id):
        raise ArgumentError(f"{options.repo_id!r} is no id of a repository, such as owner/name", argument="REPO")
    from russet.hub import snapshot

    def select(paths: Collection[str]) -> list[str]:
        missing = sorted(set(options.files) - set(paths))
        if missing:
            raise MissingFileError(2, f"the repository has no {', '.join(missing)}")
        patterns = options.include if options.include or not options.files else []
        taken = {*options.files, *selection.selected(paths, patterns)}
        return [path for path in sorted(taken) if not selection.fits(path, options.exclude or ())]

    found = snapshot.fetch(options.repo_id, options.revision, select)
    folder = found.folder
    if options.local_dir is not None:
        folder = options.local_dir
        for path in found.files:
            _copy(found.folder.joinpath(*path.split("/")), folder.joinpath(*path.split("/")))
    if options.json:
        files = [{"path": file.path, "size": file.size, "hash": file.hash} for file in found.files.values()]
        print(json.dumps({"folder": str(folder), "repo_id": found.repo_id, "commit": found.commit, "files": files}))
        return
    print(folder)


def _copy(source: Path, target: Path) -> None:
    """Copies a file so that it is there whole or not at all."""
    with on_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            shutil.copyfile(source, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
