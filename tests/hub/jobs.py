"""What the processes of the fork server do."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from russet import hub

#: Events of Python's auditing that change something on the disk.
_CHANGES = {"open", "os.rename", "os.symlink", "os.mkdir", "os.remove", "os.truncate", "os.link", "os.chmod"}


def resolve(repo_id: str, revision: str | None = None, prepare: list[str] | None = None, **options: Any) -> str:
    """The folder of a repository."""
    for name in prepare or []:
        _PREPARATIONS[name]()
    if isinstance(options.get("allow_patterns"), dict):
        options["allow_patterns"] = hub.package(**options["allow_patterns"])
    elif options.get("allow_patterns") == "CHECKPOINT":
        options["allow_patterns"] = hub.checkpoint
    return str(hub.resolve(repo_id, revision, **options))


def resolve_and_list(prepare: list[str] | None = None, **arguments: Any) -> dict[str, str]:
    """What was found under each name that a snapshot's folder shows, read at once: hexadecimal digits."""
    folder = Path(resolve(prepare=prepare, **arguments))
    return {path.relative_to(folder).as_posix(): path.read_bytes().hex() for path in folder.rglob("*") if path.is_file()}


def resolve_and_die(after: int, repo_id: str, **arguments: Any) -> int:
    """As :func:`resolve`, but the process is killed at its nth change of the disk. Returns how many there were if it lived."""
    count = 0
    main = os.getpid()

    def hook(event: str, values: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in _CHANGES or os.getpid() != main:
            return
        if event == "open" and not (isinstance(values[1], str) and set(values[1]) & set("wax+")) and not _writes(values[2]):
            return
        count += 1
        if count == after:
            os.kill(main, signal.SIGKILL)

    sys.addaudithook(hook)
    hub.resolve(repo_id, **arguments)
    return count


def _writes(flags: Any) -> bool:
    return isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) != 0


def resolve_tokenizer(repo_id: str, **arguments: Any) -> str:
    return str(hub.resolve_tokenizer(repo_id, **arguments))


def resolve_package(repo_id: str, **arguments: Any) -> str:
    return str(hub.resolve_package(repo_id, **arguments))


def encode(text: str, **arguments: Any) -> list[int]:
    """Ids, by a tokenizer from the Hub."""
    import russet

    return russet.Tokenizer.from_pretrained(**arguments).encode(text).ids


def generate(prompt: str, **arguments: Any) -> str:
    """A text, by a model from the Hub."""
    import russet

    model = russet.LanguageModel.from_pretrained(resolve_package(**arguments))
    return str(model.generate(prompt, max_new_tokens=8, temperature=0))


def info(**arguments: Any) -> dict[str, Any]:
    found = hub.info(**arguments)
    return {
        "sha": found.sha,
        "private": found.private,
        "gated": found.gated,
        "tags": list(found.tags),
        "files": {file.path: [file.size, file.hash] for file in found.files.values()},
        "card": dict(found.card),
        "size": found.size,
    }


def push(**arguments: Any) -> dict[str, Any]:
    return vars(hub.push_to_hub(**arguments))


def snapshot_download(**arguments: Any) -> str:
    """What huggingface_hub itself gives."""
    import huggingface_hub

    return str(huggingface_hub.snapshot_download(**arguments))


def scan_cache(cache_dir: str) -> list[str]:
    """What huggingface_hub finds wrong with its cache."""
    import huggingface_hub

    return [str(it) for it in huggingface_hub.scan_cache_dir(cache_dir).warnings]


def command(arguments: list[str], cache_dir: str) -> list[Any]:
    """The exit code of ``russet`` and what it printed."""
    import huggingface_hub

    from russet import cli

    huggingface_hub.constants.HF_HUB_CACHE = cache_dir
    errors = sys.stderr = io.StringIO()

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out):
        code = cli.main(arguments)
    out.flush()
    return [code, out.buffer.getvalue().decode(), errors.getvalue()]  # type: ignore[attr-defined]


def run_code(code: str, cache_dir: str, folder: str) -> str:
    """What a program prints that runs in a folder."""
    import huggingface_hub

    huggingface_hub.constants.HF_HUB_CACHE = cache_dir
    os.chdir(folder)
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(code, "document", "exec"), {})
    return out.getvalue()


def threads(count: int, repo_id: str, **arguments: Any) -> list[str]:
    """The folders that several threads get at once."""
    found: list[str] = []
    start = threading.Barrier(count)

    def one() -> None:
        start.wait()
        found.append(str(hub.resolve(repo_id, **arguments)))

    running = [threading.Thread(target=one) for _ in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return found


# What is made different in a process, by name.


def _no_locks() -> None:
    """As on a file system that has no flock."""

    def flock(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "not implemented")

    fcntl.flock = flock


def _locks_that_do_nothing() -> None:
    """As on Lustre without flock: every caller is told that it has the lock."""
    fcntl.flock = lambda *_: None


def _no_links() -> None:
    """As on Windows without the right to make symbolic links."""

    def symlink(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "not allowed")

    os.symlink = symlink


def _full_disk() -> None:
    """The disk has room for a million bytes more than it says."""
    left = 1_000_000
    before = Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            nonlocal left
            left -= len(data)
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opened(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if self.suffix == ".incomplete" and "+" in mode:
            return Full(self, mode.replace("b", ""))
        return before(self, mode, *arguments, **options)

    Path.open = opened  # type: ignore[assignment]


def _little_room() -> None:
    """The disk says that a thousand bytes are free."""
    import shutil

    usage = shutil.disk_usage("/")
    shutil.disk_usage = lambda _: usage._replace(free=1000)  # type: ignore[assignment]


def _by_xet() -> None:
    """Files that the Hub says are in Xet come through huggingface_hub, over plain HTTP."""
    from russet.hub.client import Client

    Client.comes_by_xet = lambda self, file: file.in_xet  # type: ignore[method-assign]


def _read_only() -> None:
    """Nothing may be written, as on a file system that was mounted so; the rights of files would not stop root."""

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event == "open" and not (
            (isinstance(values[1], str) and set(values[1]) & set("wax+")) or (isinstance(values[2], int) and _writes(values[2]))
        ):
            return
        if event in _CHANGES and isinstance(values[0], str | bytes | os.PathLike):
            raise OSError(errno.EROFS, "Read-only file system", os.fspath(values[0]))

    sys.addaudithook(hook)


def _unreadable_contents() -> None:
    """What was downloaded cannot be read."""

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event == "open" and {"blobs", "snapshots"} & set(
            Path(os.fsdecode(values[0])).parts if not isinstance(values[0], int) else ()
        ):
            raise AssertionError(f"{values[0]} is read")

    sys.addaudithook(hook)


def _terminal() -> None:
    """Somebody looks at stderr."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise AssertionError(f"something was written to stderr: {text!r}")

    sys.stderr = Terminal()


_PREPARATIONS: dict[str, Callable[[], None]] = {
    "no locks": _no_locks,
    "locks that do nothing": _locks_that_do_nothing,
    "no links": _no_links,
    "full disk": _full_disk,
    "little room": _little_room,
    "by xet": _by_xet,
    "read only": _read_only,
    "terminal": _terminal,
    "unreadable contents": _unreadable_contents,
}
