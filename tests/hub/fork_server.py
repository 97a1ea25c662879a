"""Starts processes that have imported russet.hub and huggingface_hub already: each connection to its socket is one, forked.

    python fork_server.py SOCKET

A connection sends a line of JSON, {"job": name of a function in jobs.py, "arguments": {...}}. The new process answers with its id, a
line, then with {"value": ...} or {"error": ...}, another. A process that is killed answers no second line.
"""

from __future__ import annotations

import datetime
import functools
import gc
import json
import os
import signal
import socket
import ssl
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.utils
import jobs

import russet.hub.snapshot
import russet.hub.upload
from russet.hub import failures

# Each process makes a client, which would read all certificates, needed for none.
ssl.create_default_context = functools.lru_cache(ssl.create_default_context)
huggingface_hub.get_session()
datetime.datetime.strptime("2026", "%Y")
# Back-off is as long as it is for real Hubs, not for tests.
failures.FIRST_WAIT_SECONDS = 0.01

# What is imported when it is first needed would be imported in each process anew.
for name in ("HfApi", "hf_hub_download", "get_session", "ModelCardData", "get_token"):
    getattr(huggingface_hub, name)
huggingface_hub.utils.tqdm  # noqa: B018
russet.LanguageModel  # noqa: B018


def serve(path: str) -> None:
    """Forks for each connection until stdin is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    owner = os.getppid()
    gc.freeze()
    listener.settimeout(1)
    while os.getppid() == owner:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            work(connection)
        connection.close()


def work(connection: socket.socket) -> None:
    """Runs one job and ends the process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("error")
    # huggingface_hub uploads so, and its HTTP library says that it shall not.
    warnings.filterwarnings("ignore", "Use 'content=<...>' to upload", DeprecationWarning)
    connection.settimeout(None)
    file = connection.makefile("rw", encoding="utf-8")
    file.write(f"{os.getpid()}\n")
    file.flush()
    job = json.loads(file.readline())
    try:
        answer: dict[str, Any] = {"value": getattr(jobs, job["job"])(**job["arguments"])}
    except BaseException as error:
        answer = {"error": described(error)}
    file.write(json.dumps(answer) + "\n")
    file.flush()
    sys.stderr.flush()
    os._exit(0)


def described(error: BaseException) -> dict[str, Any]:
    """An error as JSON: its classes, its message, its attributes that are text or numbers."""
    return {
        "class": type(error).__name__,
        "module": type(error).__module__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "message": str(error),
        "attributes": {name: value for name, value in vars(error).items() if isinstance(value, str | int)},
        "trace": "".join(traceback.format_exception(error)),
    }


if __name__ == "__main__":
    assert Path(jobs.__file__).parent == Path(__file__).parent
    serve(sys.argv[1])
