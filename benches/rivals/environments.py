"""The rivals, each installed from PyPI into an environment of its own under benches/.peers/environments (ignored by git)."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

PEERS = Path(__file__).parents[1] / ".peers"
UNIT = "tokenizers"
"""The rival whose ids are right by definition and whose speed is 1."""


class Rival(NamedTuple):
    name: str
    requirement: str | None
    """What pip installs; None: importable where this script runs."""
    adapter: str


RIVALS = {
    rival.name: rival
    for rival in (
        Rival("russet", None, "Russet"),
        Rival("gigatoken", "gigatoken==0.10.0", "Gigatoken"),
        Rival("fastokens", "fastokens==0.3.5", "Fastokens"),
        Rival("tokenizers-1.0rc3", "tokenizers==1.0.0rc3", "TokenizersOne"),
        Rival("splintr", "splintr-rs==0.22.0", "Splintr"),
        Rival("tokie", "tokie==0.1.4", "Tokie"),
        Rival("tiktoken", "tiktoken==0.14.0", "Tiktoken"),
        Rival(UNIT, "tokenizers==0.23.3", "Tokenizers"),
    )
}


def python_of(rival: Rival) -> Path:
    """The interpreter that has the rival."""
    if rival.requirement is None:
        return Path(sys.executable)
    folder = PEERS / "environments" / rival.requirement.replace("==", "-")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(rival: Rival) -> str | None:
    """Makes the rival's environment unless it is there; gives what pip said if it failed."""
    python = python_of(rival)
    if rival.requirement is None or (python.parent.parent / "installed").exists():
        return None
    folder = python.parent.parent
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    done = subprocess.run([*command, rival.requirement, "numpy"], capture_output=True, text=True)
    if done.returncode:
        return str(done.stderr).strip()[-600:]
    (folder / "installed").touch()
    return None


def variables(threads: int) -> dict[str, str]:
    """The environment that holds every rival to `threads` threads."""
    names = ("RAYON_NUM_THREADS", "RAYON_RS_NUM_THREADS", "RUSSET_NUM_THREADS", "OMP_NUM_THREADS", "BENCH_THREADS")
    switches = {"TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false", "TIKTOKEN_CACHE_DIR": "", "PYTHONHASHSEED": "0"}
    return {**os.environ, **dict.fromkeys(names, str(threads)), **switches}
