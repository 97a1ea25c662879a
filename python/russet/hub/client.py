"""The Hub, asked through huggingface_hub: where a revision points, which files there are, what is in them.

Only its public interface is used, which is the same in versions 1 and 2: their HTTP libraries differ, but not what of them is used
here. A token goes to the endpoint's host; the HTTP library drops it when an answer leads to another.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import huggingface_hub
from huggingface_hub import constants

from russet._core import __version__
from russet.hub import failures, names

DEFAULT_REVISION = "main"


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub tells of it."""

    path: str
    #: Bytes.
    size: int
    #: Its SHA-256 (64 hexadecimal digits) if it is in LFS, else git's hash of it (40).
    hash: str
    #: Whether it is kept in Xet.
    in_xet: bool = False


class RangeRefusedError(Exception):
    """The server has nothing behind the byte that was asked for."""


def is_offline() -> bool:
    """Whether the environment forbids requests (HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE)."""
    return bool(constants.HF_HUB_OFFLINE)


def cache_folder(cache_dir: Path | None) -> Path:
    """Where huggingface_hub keeps what it fetches (HF_HOME, HF_HUB_CACHE)."""
    return Path(constants.HF_HUB_CACHE if cache_dir is None else cache_dir).expanduser().absolute()


class Client:
    """Requests about one repository."""

    def __init__(self, repo_id: str, token: str | bool | None = None) -> None:
        self.repo_id = repo_id
        self.token = token

    def commit(self, revision: str, tries: int = failures.TRIES) -> str:
        """The hash of the commit that a branch, tag or short hash points to."""
        what = f"revision/{quote(revision, safe='')}"
        told = failures.retried(lambda: self._get(what).json()["sha"], self.repo_id, revision, tries)
        return names.check_hex(told, names.COMMIT, "the commit's hash", self.repo_id)

    def information(self, revision: str) -> Any:
        """What the Hub tells of a repository, with the sizes and hashes of its files."""
        # Importing this takes longer than all else does that a warm start needs; it is for this one question.
        api = huggingface_hub.HfApi(token=self.token, library_name="russet", library_version=__version__)
        return failures.retried(
            lambda: api.model_info(self.repo_id, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT),
            self.repo_id,
            revision,
        )

    def listing(self, commit: str) -> dict[str, RemoteFile]:
        """All files of a commit by path. Paths are as they came: check them before they are used."""
        found = {}
        query: str | None = "recursive=true&expand=false"
        while query is not None:
            entries, query = failures.retried(partial(self._page, commit, query), self.repo_id, commit)
            found.update(entries)
        return found

    def _page(self, commit: str, query: str) -> tuple[dict[str, RemoteFile], str | None]:
        """A page of a listing, and what to ask for the next.

        huggingface_hub would wait for an answer as long as it takes, try again beside us, and send the token to whatever host an
        answer names for the next page, which a mirror may get wrong.
        """
        response = self._get(f"tree/{commit}?{query}")
        found = {}
        for entry in response.json():
            if entry["type"] == "file":
                path, large = entry["path"], entry.get("lfs")
                if not isinstance(path, str):
                    raise TypeError(f"a file is called {path!r}")
                hash = entry["oid"] if large is None else large["oid"]
                found[path] = RemoteFile(path, int(entry["size"]), hash, entry.get("xetHash") is not None)
        following = response.links.get("next", {}).get("url")
        return found, None if following is None else urlsplit(following).query

    def _get(self, what: str) -> Any:
        """The Hub's answer to a question about the repository."""
        url, session = f"{constants.ENDPOINT}/api/models/{self.repo_id}/{what}", huggingface_hub.get_session()
        response = session.get(url, headers=self._headers(), timeout=constants.HF_HUB_ETAG_TIMEOUT, follow_redirects=True)
        huggingface_hub.hf_raise_for_status(response)
        return response

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"russet/{__version__}; hf_hub/{huggingface_hub.__version__}"}
        token = self._token()
        return headers if not token else {**headers, "Authorization": f"Bearer {token}"}

    def _token(self) -> str | None:
        """The token that huggingface_hub would send."""
        if isinstance(self.token, str):
            return self.token
        if self.token is False or (self.token is None and constants.HF_HUB_DISABLE_IMPLICIT_TOKEN):
            return None
        return huggingface_hub.get_token()

    @contextmanager
    def content(self, commit: str, path: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The bytes of a file from ``start``, or from where the server begins: that position, and blocks.

        Raises:
            RangeRefusedError: if there are none.
        """
        # Compressed bytes could be resumed nowhere.
        headers = {**self._headers(), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = huggingface_hub.hf_hub_url(self.repo_id, path, revision=commit)
        session = huggingface_hub.get_session()
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
            if response.status_code == 416:
                raise RangeRefusedError
            if response.status_code >= 400:
                response.read()
            huggingface_hub.hf_raise_for_status(response)
            begin = 0
            if response.status_code == 206:
                told = str(response.headers.get("Content-Range", "")).strip().lower()
                if not told.startswith(f"bytes {start}-") or response.headers.get("Content-Encoding", "identity") != "identity":
                    raise RangeRefusedError
                begin = start
            yield begin, response.iter_bytes()

    def comes_by_xet(self, file: RemoteFile) -> bool:
        """Whether huggingface_hub fetches a file in pieces from Xet, each checked."""
        return file.in_xet and not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None

    def download(self, commit: str, path: str, cache: Path, force: bool, progress: Callable[[int], None]) -> None:
        """Lets huggingface_hub put a file into its cache."""
        options: dict[str, Any] = {}
        # The first versions show bars of their own, whoever looks.
        if "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters:
            options["tqdm_class"] = type("Told", (_Told,), {"progress": staticmethod(progress)})

        def call() -> str:
            return str(
                huggingface_hub.hf_hub_download(
                    self.repo_id,
                    path,
                    revision=commit,
                    cache_dir=cache,
                    token=self.token,
                    force_download=force,
                    library_name="russet",
                    library_version=__version__,
                    **options,
                )
            )

        failures.retried(call, self.repo_id, commit)


class _Told:
    """Stands where huggingface_hub would show a bar, and tells how many bytes came."""

    progress: Callable[[int], None]

    def __init__(self, *_: Any, **options: Any) -> None:
        self.progress(int(options.get("initial") or 0))

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: float | None = 1) -> None:
        self.progress(int(count or 0))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
