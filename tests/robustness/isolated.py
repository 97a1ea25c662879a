"""Runs a piece of code in a process of its own, with limited memory and time, and says how it ended."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMORY = 4 << 30
SECONDS = 20.0

# What every piece of code finds: a tokenizer.json builder and the module under test.
PRELUDE = """
import base64, importlib, json, os, struct, sys, time
if MEMORY and sys.platform.startswith("linux"):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
sys.path.insert(0, TESTS)
import fixtures
module = importlib.import_module(MODULE)
Tokenizer = module.Tokenizer

VOCAB = {"a": 0, "b": 1, "ab": 2, "[UNK]": 3, " ": 4, "aa": 5}

def cfg(**sections):
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": VOCAB, "merges": [["a", "b"], ["a", "a"]]}}
    return json.dumps({**base, **sections})

def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}

def fixture(name):
    return Tokenizer.from_str(fixtures.content(name))

def seconds(call):
    best = None
    for _ in range(3):
        start = time.process_time(); call(); best = min(filter(None, [best, time.process_time() - start]), default=1e-9)
    return best
"""

RUNNER = """
result = {"status": "ok"}
try:
    namespace = globals()
    exec(compile(CODE, "hostile", "exec"), namespace)
    result["value"] = repr(namespace.get("value"))[:500]
except BaseException as error:
    result = {"status": "error", "classes": [c.__name__ for c in type(error).__mro__], "message": str(error)[:2000]}
print("\\n" + json.dumps(result), flush=True)
os._exit(0)
"""


@dataclass
class Ending:
    """How the code ended: `ok`, `error` (a Python exception), `died` or `timeout`."""

    status: str
    classes: list[str] = field(default_factory=list)
    message: str = ""
    value: Any = None
    stderr: str = ""

    @property
    def typed_error(self) -> bool:
        """An exception that a user can catch and understand: not a panic, and not a state held to be impossible."""
        return (
            self.status == "error" and "Exception" in self.classes and not {"PanicException", "InternalError"} & set(self.classes)
        )

    def __str__(self) -> str:
        return f"{self.status}: {self.classes[:3]} {self.message} {self.value or ''}\n{self.stderr[-1500:]}"


def run(code: str, module: str = "russet", *, seconds: float = SECONDS, memory: int = MEMORY) -> Ending:
    tests = str(Path(__file__).parent.parent)
    head = f"MEMORY, MODULE, TESTS, CODE = {memory}, {module!r}, {tests!r}, {code!r}\n"
    program = head + PRELUDE + RUNNER
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=seconds, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as expired:
        return Ending("timeout", message=f"more than {seconds} s", stderr=str(expired.stderr))
    last = done.stdout.strip().rsplit("\n", 1)[-1]
    if done.returncode != 0 or not last.startswith("{"):
        return Ending("died", message=f"exit status {done.returncode}", stderr=done.stderr)
    return Ending(**json.loads(last), stderr=done.stderr)
