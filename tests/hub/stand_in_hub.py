"""A stand-in for the Hugging Face Hub on loopback: repositories in memory, the requests it got, and faults on demand.

The Hub answers to 127.0.0.1, the host that serves large files to localhost: two names for one server, so that a redirect from one
to the other leaves the host, as on the real Hub. What was asked is in ``requests``; a token that came to the second host is in
``leaks``. Nothing here waits by the clock.

    >>> with StandInHub() as hub:
    ...     commit = hub.put("owner/name", {"config.json": b"{}"})
    ...     environment = hub.environment(cache_folder)                     # for a process that imports huggingface_hub
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import os
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

#: What the real Hub keeps in LFS, so that it comes from the other host.
LARGE_FILES = ("*.safetensors", "*.bin", "*.model", "*.mlmodel")
_BLOCK_BYTES = 1 << 14


@dataclass(frozen=True)
class Request:
    """One request: its method, path (with the query), the host it was sent to, its headers in lower case."""

    method: str
    path: str
    host: str
    headers: Mapping[str, str]


@dataclass
class Fault:
    """What goes wrong when a path that fits ``where`` (a regular expression, searched) is asked for by ``method``.

    One of: ``status`` answers so, with ``headers`` and ``body``; ``body`` alone sends other bytes than the file's; ``cut`` closes the connection behind
    this many bytes of the file, ``stall`` sends nothing more behind them; ``ignore_range`` sends the file from its start whatever is
    asked; ``drop`` closes the connection without an answer; ``reached`` is called when ``at`` bytes of the file were sent. ``times`` counts down; None is for ever.
    """

    where: str
    method: str = "GET"
    times: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    stall: int | None = None
    ignore_range: bool = False
    drop: bool = False
    at: int | None = None
    reached: Callable[[], None] | None = None


@dataclass
class Repository:
    """Commits by hash, each with its files; branches and tags in ``refs``."""

    id: str
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    large: tuple[str, ...] = LARGE_FILES
    private: bool = False
    gated: str | bool = False
    tags: list[str] = field(default_factory=list)
    #: Hashes that are told instead of the true ones, and names of files that are told to be kept in Xet.
    told_hashes: dict[str, str] = field(default_factory=dict)
    xet: set[str] = field(default_factory=set)
    pull_requests: int = 0

    def is_large(self, path: str) -> bool:
        """Whether a file comes from the other host."""
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.large)

    def hash(self, path: str, content: bytes) -> str:
        """The hash that the Hub tells of a file."""
        return self.told_hashes.get(path) or (sha256(content) if self.is_large(path) else git_hash(content))

    def commit(self, files: dict[str, bytes], branch: str) -> str:
        """Adds a commit with these files and moves the branch there."""
        hashes = [f"{path} {git_hash(content)}" for path, content in sorted(files.items())]
        commit = hashlib.sha1(ascii([self.id, branch, len(self.commits), hashes]).encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.refs[branch] = commit
        return commit

    def find(self, revision: str) -> str | None:
        """The commit of a branch, tag or hash."""
        if revision in self.refs:
            return self.refs[revision]
        found = [commit for commit in self.commits if len(revision) >= 7 and commit.startswith(revision)]
        return found[0] if len(found) == 1 else None


@lru_cache(64)
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(64)
def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class StandInHub:
    """The server. A context manager; :meth:`reset` forgets repositories, requests and faults."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self.token = "hf_standin"
        self.reset()
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self) -> StandInHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def other_host(self) -> str:
        """Where large files come from."""
        return f"http://localhost:{self.port}"

    def environment(self, cache: str | os.PathLike[str], token: str | None = None, **more: str) -> dict[str, str]:
        """The environment of a process that speaks to this Hub and keeps what it gets in ``cache``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE", "TRANSFORMERS_"))}
        home = Path(cache)
        found = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
            # That service is not here; uploads would ask for it.
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "*",
        }
        if token is not None:
            found["HF_TOKEN"] = token
        return kept | found | more

    def reset(self) -> None:
        """Forgets everything, and ends what stalls."""
        self._closing.set()
        with self._lock:
            self._closing = threading.Event()
            self.repositories: dict[str, Repository] = {}
            self.objects: dict[str, bytes] = {}
            self.requests: list[Request] = []
            self.leaks: list[Request] = []
            self.faults: list[Fault] = []
            self.page_size = 1000
            #: Where the pages of a listing go on, if not at the endpoint.
            self.next_page_host: str | None = None

    def close(self) -> None:
        """Stops the server and closes every connection."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def put(self, repo_id: str, files: Mapping[str, bytes | str], branch: str = "main", **options: Any) -> str:
        """Makes a commit of exactly these files; returns its hash. ``options`` are fields of :class:`Repository`."""
        with self._lock:
            repository = self.repositories.setdefault(repo_id, Repository(repo_id))
            for name, value in options.items():
                setattr(repository, name, value)
            contents = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
            return repository.commit(contents, branch)

    def put_folder(self, repo_id: str, folder: Path, **options: Any) -> str:
        """Makes a commit of the files of a folder."""
        files = {str(path.relative_to(folder).as_posix()): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return self.put(repo_id, files, **options)

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a commit."""
        repository = self.repositories[repo_id]
        return repository.commits[repository.find(revision) or ""]

    def fault(self, where: str, **options: Any) -> Fault:
        """Makes something go wrong; see :class:`Fault`."""
        fault = Fault(where, **options)
        with self._lock:
            self.faults.append(fault)
        return fault

    def forget_requests(self) -> None:
        """Starts the list of requests anew."""
        with self._lock:
            self.requests.clear()

    def asked(self, where: str, method: str | None = None) -> list[Request]:
        """The requests whose path fits a regular expression."""
        with self._lock:
            return [it for it in self.requests if re.search(where, it.path) and method in (None, it.method)]

    # What the handlers need.

    def take(self, request: Request) -> Fault | None:
        """Notes a request, and gives the fault that it meets."""
        with self._lock:
            self.requests.append(request)
            if request.host.startswith("localhost") and "authorization" in request.headers:
                self.leaks.append(request)
            for fault in self.faults:
                if fault.times == 0 or fault.method != request.method or not re.search(fault.where, request.path):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def wait_for_end(self, connection: socket.socket) -> None:
        """Returns when the other side has closed the connection, or the server stops."""
        closing = self._closing
        connection.settimeout(0.02)
        while not closing.is_set():
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def drop(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, hub: StandInHub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed leave connections behind: nothing to tell."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.hub.keep(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self.hub.drop(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out apart: the second would wait for the first to be acknowledged.
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._read_chunks()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers.get("host", ""), headers)
        self.fault = hub.take(request)
        if self.fault is not None and self.fault.drop:
            self.close_connection = True
            return
        if self.fault is not None and self.fault.status is not None:
            self._send(self.fault.status, self.fault.body or b"", self.fault.headers)
            return
        path = unquote(urlsplit(self.path).path)
        query = parse_qs(urlsplit(self.path).query)
        for pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found:
                answer(self, query, body, *found.groups())
                return
        self._send(404, b"no such route")

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    # Answers.

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def _repository(self, repo_id: str) -> Repository | None:
        """The repository, if it may be read; else the refusal is sent."""
        repository = self.server.hub.repositories.get(repo_id)
        if repository is None or (repository.private and not self._is_known()):
            self._refuse(404 if self._is_known() else 401, "RepoNotFound", "Repository not found")
            return None
        return repository

    def _is_known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.hub.token}"

    def _commit(self, repo_id: str, revision: str) -> tuple[Repository, str] | None:
        repository = self._repository(repo_id)
        if repository is None:
            return None
        commit = repository.find(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, commit

    def info(self, query: dict[str, list[str]], body: bytes, repo_id: str, revision: str | None = None) -> None:
        found = self._commit(repo_id, revision or "main")
        if found is None:
            return
        repository, commit = found
        files = repository.commits[commit]
        siblings: list[dict[str, Any]] = [{"rfilename": path} for path in files]
        if query.get("blobs"):
            siblings = [{"rfilename": it.pop("path"), "blobId": it.pop("oid"), **it} for it in _entries(repository, files)]
            for it in siblings:
                if "lfs" in it:
                    it["lfs"] = {"sha256": it["lfs"]["oid"], "size": it["size"], "pointerSize": it["lfs"]["pointerSize"]}
        known: dict[str, Any] = {
            "_id": "0", "id": repo_id, "modelId": repo_id, "sha": commit, "private": repository.private, "gated": repository.gated,
            "disabled": False, "tags": repository.tags, "downloads": 0, "likes": 0, "siblings": siblings,
            "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip
        card = files.get("README.md", b"").decode("utf-8", "replace")
        licence = re.search(r"^license: (\S+)$", card, re.MULTILINE)
        if licence:
            known["cardData"] = {"license": licence.group(1)}
        self._send_json(known)

    def tree(self, query: dict[str, list[str]], body: bytes, repo_id: str, revision: str) -> None:
        found = self._commit(repo_id, revision)
        if found is None:
            return
        repository, commit = found
        entries = [{"type": "file", **entry} for entry in _entries(repository, repository.commits[commit])]
        start, size = int(query.get("cursor", ["0"])[0]), self.server.hub.page_size
        headers = {}
        if start + size < len(entries):
            headers["Link"] = (
                f"<{self.server.hub.next_page_host or self.server.hub.endpoint}/api/models/{repo_id}/tree/{commit}?recursive=true"
                f'&cursor={start + size}>; rel="next"'
            )
        self._send_json(entries[start : start + size], headers)

    def resolve(self, query: dict[str, list[str]], body: bytes, repo_id: str, revision: str, path: str) -> None:
        found = self._commit(repo_id, revision)
        if found is None:
            return
        repository, commit = found
        if repository.gated and not self._is_known():
            self._refuse(401, "GatedRepo", f"Access to model {repo_id} is restricted. You must be authenticated to access it.")
            return
        content = repository.commits[commit].get(path)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit})
            return
        told = repository.hash(path, content)
        if repository.is_large(path):
            headers = {
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{told}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.server.hub.other_host}/large/{repo_id}/{commit}/{quote(path)}",
            }
            self._send(302, b"", headers)
            return
        self._send_file(content, {"X-Repo-Commit": commit, "ETag": f'"{told}"'})

    def large(self, query: dict[str, list[str]], body: bytes, repo_id: str, commit: str, path: str) -> None:
        content = self.server.hub.repositories[repo_id].commits[commit][path]
        self._send_file(content, {"ETag": f'"{zlib.crc32(content)}"'})

    def _send_file(self, content: bytes, headers: dict[str, str]) -> None:
        fault = self.fault or Fault("")
        if fault.body is not None:
            content = fault.body
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked and not fault.ignore_range:
            start = int(asked.group(1))
            if start >= len(content):
                self._send(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Accept-Ranges"] = "bytes"
        if self.command == "HEAD":
            self._send(status, b"", headers, len(content) - start)
            return
        stops = [it for it in (fault.cut, fault.stall) if it is not None]
        end = max(min([len(content), *stops]), start)
        self._send(status, b"", headers, len(content) - start)
        while start < end:
            next_start = min(start + _BLOCK_BYTES, end)
            if fault.at is not None and start < fault.at < next_start:
                next_start = fault.at
            if fault.at is not None and start == fault.at and fault.reached is not None:
                fault.reached()
            self.wfile.write(content[start:next_start])
            start = next_start
        if fault.at is not None and start == fault.at and fault.reached is not None:
            fault.reached()
        if fault.stall is not None:
            self.server.hub.wait_for_end(self.connection)
        if stops:
            self.close_connection = True

    # Uploads.

    def create(self, query: dict[str, list[str]], body: bytes) -> None:
        if not self._is_known():
            self._refuse(401, "", "Invalid username or password.")
            return
        asked, hub = json.loads(body), self.server.hub
        repo_id = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        if repo_id in hub.repositories:
            self._send(409, json.dumps({"error": "exists", "url": f"{hub.endpoint}/{repo_id}"}).encode())
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        hub.put(repo_id, {".gitattributes": b"*.bin filter=lfs\n"}, private=private)
        self._send_json({"url": f"{hub.endpoint}/{repo_id}", "id": repo_id, "name": repo_id})

    def whoami(self, query: dict[str, list[str]], body: bytes) -> None:
        if not self._is_known():
            self._refuse(401, "", "Invalid username or password.")
            return
        self._send_json({"type": "user", "name": "someone", "orgs": [], "auth": {"type": "access_token"}})

    def check_card(self, query: dict[str, list[str]], body: bytes) -> None:
        self._send_json({"errors": [], "warnings": []})

    def before_upload(self, query: dict[str, list[str]], body: bytes, repo_id: str, revision: str) -> None:
        found = self._commit(repo_id, revision)
        if found is None:
            return
        if not self._is_known():
            self._refuse(403, "", "you have no right to write here")
            return
        files = [
            {
                "path": it["path"],
                "uploadMode": "lfs" if found[0].is_large(it["path"]) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for it in json.loads(body)["files"]
        ]
        self._send_json({"files": files, "commitOid": found[1]})

    def batch(self, query: dict[str, list[str]], body: bytes, repo_id: str) -> None:
        objects = [
            {**it, "actions": {"upload": {"href": f"{self.server.hub.other_host}/objects/{it['oid']}"}}}
            for it in json.loads(body)["objects"]
        ]
        self._send_json({"transfer": "basic", "objects": objects})

    def object(self, query: dict[str, list[str]], body: bytes, hash: str) -> None:
        if sha256(body) != hash:
            self._send(400, b"another hash")
            return
        self.server.hub.objects[hash] = body
        self._send(200, b"")

    def commit(self, query: dict[str, list[str]], body: bytes, repo_id: str, revision: str) -> None:
        found = self._commit(repo_id, revision)
        if found is None:
            return
        if not self._is_known():
            self._refuse(403, "", "you have no right to write here")
            return
        repository, parent = found
        files = dict(repository.commits[parent])
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.server.hub.objects[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        branch, hub = revision, self.server.hub
        answer = {"success": True}
        if query.get("create_pr"):
            repository.pull_requests += 1
            branch = f"refs/pr/{repository.pull_requests}"
            answer["pullRequestUrl"] = f"{hub.endpoint}/{repo_id}/discussions/{repository.pull_requests}"
        commit = repository.commit(files, branch)
        self._send_json({**answer, "commitOid": commit, "commitUrl": f"{hub.endpoint}/{repo_id}/commit/{commit}"})


def _entries(repository: Repository, files: Mapping[str, bytes]) -> Iterable[dict[str, Any]]:
    for path, content in files.items():
        told = repository.hash(path, content)
        entry: dict[str, Any] = {"path": path, "size": len(content), "oid": told}
        if repository.is_large(path):
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{told}\nsize {len(content)}\n".encode()
            entry |= {"oid": git_hash(pointer), "lfs": {"oid": told, "size": len(content), "pointerSize": len(pointer)}}
        if path in repository.xet:
            entry["xetHash"] = sha256(b"xet" + content)
        yield entry


_REPOSITORY = r"([\w.-]+/[\w.-]+|[\w.-]+)"
_ROUTES: tuple[tuple[str, Callable[..., None]], ...] = (
    (r"/api/whoami-v2", _Handler.whoami),
    (r"/api/validate-yaml", _Handler.check_card),
    (r"/api/repos/create", _Handler.create),
    (rf"/api/models/{_REPOSITORY}/revision/(.+)", _Handler.info),
    (rf"/api/models/{_REPOSITORY}/tree/(.+)", _Handler.tree),
    (rf"/api/models/{_REPOSITORY}/preupload/(.+)", _Handler.before_upload),
    (rf"/api/models/{_REPOSITORY}/commit/(.+)", _Handler.commit),
    (rf"/api/models/{_REPOSITORY}", _Handler.info),
    (rf"/large/{_REPOSITORY}/([0-9a-f]{{40}})/(.+)", _Handler.large),
    (rf"/{_REPOSITORY}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"/objects/([0-9a-f]{64})", _Handler.object),
    (rf"/{_REPOSITORY}/resolve/(refs/pr/\d+|[^/]+)/(.+)", _Handler.resolve),
)
