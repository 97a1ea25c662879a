"""Mutates tokenizer files, loads them, and uses what loads. One process tries many; it writes down what it is about to try.

    python tests/robustness/mutation.py MODULE KIND SEED COUNT LOG

`test_mutation.py` runs it with limits and fixed seeds; with another seed it searches further.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import fixtures

TEXTS = ["", "Hello world, it's 1893!", "  é e\u0301 中文 😀 <s>[MASK]\x00\n", "aaaa" * 20]
NUMBERS: list[Any] = [
    -1,
    0,
    1,
    2,
    7,
    255,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**53,
    2**62,
    2**64,
    -(2**63),
    0.5,
    -0.0,
    1e308,
    -1e308,
    1e-320,
]
STRINGS = [
    "",
    " ",
    "a",
    "é",
    "\u0301",
    "▁",
    "Ġ",
    "<unk>",
    "[UNK]",
    "##",
    "x" * 300,
    "\0",
    "\U0010ffff",
    "Fixed",
    "Right",
    "BPE",
    "$A",
    "AAAA",
    "////",
]
PATTERNS = [
    r"(a|a)*$",
    r"(a+)+b",
    r"\p{L}+|\s",
    r"(?=a)",
    r"a**",
    r"[",
    r"(",
    r"\k<x>",
    r"(?<x>a)\k<x>",
    r"a{1,99999}",
    r"(?i)ß",
    r"\G",
    r"(?~ab)",
    r"[^\x00-\U0010FFFF]",
]
VALUES: list[Any] = [
    *NUMBERS,
    *STRINGS,
    *PATTERNS,
    None,
    True,
    False,
    [],
    {},
    [[]],
    {"": {}},
    [None] * 5,
    {"type": "NFC"},
    {"String": ""},
    {"Regex": "a*"},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths into a JSON value; of long lists and objects only some."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for n, (key, inner) in enumerate(items):
        if n < 12:
            found += places(inner, (*path, key))
    return found


def change(config: Any, rng: random.Random, donor: Any) -> Any:
    """One change somewhere in a parsed tokenizer.json."""
    path = rng.choice(places(config)[1:])
    parent = config
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    choice = rng.random()
    if choice < 0.55:
        parent[key] = copy.deepcopy(rng.choice(VALUES))
    elif choice < 0.70:
        del parent[key]
    elif choice < 0.85 and path[0] in donor:
        parent[key] = copy.deepcopy(donor[path[0]])
    elif isinstance(parent, dict):
        parent[rng.choice(STRINGS)] = copy.deepcopy(parent[key])
    else:
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
    return config


def mutate_json(rng: random.Random, names: list[str]) -> bytes:
    config, donor = fixtures.config(rng.choice(names)), fixtures.config(rng.choice(names))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        config = change(config, rng, donor)
        if not isinstance(config, dict) or not config:
            break
    text = json.dumps(config, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 2, 5, 20])):
        at = rng.randrange(len(changed) + 1)
        choice = rng.random()
        if choice < 0.4 and changed:
            changed[min(at, len(changed) - 1)] = rng.randrange(256)
        elif choice < 0.6:
            changed[at:at] = rng.randbytes(rng.randint(1, 8))
        elif choice < 0.8:
            del changed[at : at + rng.randint(1, 50)]
        elif choice < 0.9:
            changed[at:at] = changed[at : at + rng.randint(1, 200)]
        else:
            del changed[at:]
    return bytes(changed)


def maker(kind: str) -> Callable[[random.Random], bytes]:
    if kind == "json":
        names = fixtures.names()
        return lambda rng: (
            mutate_json(rng, names) if rng.random() < 0.85 else mutate_bytes(rng, fixtures.content(rng.choice(names)).encode())
        )
    if kind == "sentencepiece":
        models = [path.read_bytes() for path in sorted(fixtures.SENTENCEPIECE.glob("*.model"))]
        return lambda rng: mutate_bytes(rng, rng.choice(models))
    ranks = (fixtures.TIKTOKEN / "mill.tiktoken").read_bytes()
    return lambda rng: mutate_bytes(rng, ranks)


def attempt(module: Any, data: bytes) -> None:
    """Loads and uses. Any exception that is neither a panic nor an internal error is fine."""
    tokenizer = module.Tokenizer.from_buffer(data)
    for text in TEXTS:
        try:
            encoding = tokenizer.encode(text, "pair")
            _ = encoding.tokens, encoding.offsets, len(encoding.overflowing)
            tokenizer.decode(encoding.ids)
        except Exception as error:
            refuse_internal(error)
    tokenizer.decode(list(range(min(40, tokenizer.get_vocab_size()))))
    module.Tokenizer.from_str(tokenizer.to_str())


def refuse_internal(error: BaseException) -> None:
    if type(error).__name__ in ("PanicException", "InternalError") or not isinstance(error, Exception):
        raise SystemExit(f"{type(error).__name__}: {error}")


def main() -> None:
    module_name, kind, seed, count, log = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    module, make = importlib.import_module(module_name), maker(kind)
    loaded = 0
    for n in range(int(count)):
        data = make(random.Random(f"{kind} {seed} {n}"))
        Path(log).write_bytes(data)
        if hasattr(signal, "alarm"):
            signal.alarm(20)
        try:
            attempt(module, data)
            loaded += 1
        except Exception as error:
            refuse_internal(error)
    signal.alarm(0)
    print(f"{count} files, {loaded} used to the end")


if __name__ == "__main__":
    os.environ["RUST_BACKTRACE"] = "0"
    main()
