"""Holds a candidate to the reference on random text and on every character.

    python tests/differential/random_run.py --millions 10 --code-points
    python tests/differential/random_run.py --millions 1 --only bpe- --seed 7
    RUSSET_CORPUS=folder python tests/differential/random_run.py --millions 10      # the corpus' tokenizers too

Each text is drawn from the tokenizer's own vocabulary, prose, runs of one script, white space and single characters of any
kind, and compared in all fields of its encoding and in its decoded text. `--code-points` sends each of the 1,112,064 characters,
alone and between two letters, through every normalizer, pre-tokenizer and BERT fixture. The last line is
`N characters, M mismatches`; the exit status is 1 if M is not 0.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["RUST_BACKTRACE"] = "0"
sys.path.insert(0, str(Path(__file__).parent.parent))

import tokenizers

import comparison
import fixtures
from comparison import difference_on, encoded, same_on, shrunk
from texts import code_points, random_texts

SHOWN_PER_TOKENIZER = 3


def both_ways(tokenizer: Any, text: str) -> Any:
    encoding = tokenizer.encode(text)
    return comparison.view(encoding), tokenizer.decode(encoding.ids), tokenizer.decode(encoding.ids, skip_special_tokens=False)


def normalized(tokenizer: Any, text: str) -> Any:
    return tokenizer.normalizer.normalize_str(text)


def pieces(tokenizer: Any, text: str) -> Any:
    return tokenizer.pre_tokenizer.pre_tokenize_str(text)


def sources(only: list[str], corpus: str | None) -> list[str]:
    """Names of fixtures, and paths of the corpus' tokenizers."""
    found = [*fixtures.names(), *fixtures.DERIVED]
    if corpus:
        found += sorted(str(path) for path in Path(corpus).glob("tokenizers/*/tokenizer.json"))
    return [name for name in found if not only or any(part in name for part in only)]


def load(module: Any, source: str) -> Any:
    return module.Tokenizer.from_file(source) if "/" in source else module.Tokenizer.from_str(fixtures.content(source))


def compare(source: str, candidate_name: str, texts: Iterable[str], call: comparison.Call) -> tuple[int, list[str]]:
    """The number of characters, and a description of each mismatch."""
    comparison.reference_tests_itself = candidate_name == "tokenizers"
    reference, candidate = load(tokenizers, source), load(importlib.import_module(candidate_name), source)
    characters, mismatches = 0, []
    for text in texts:
        characters += len(text)
        if same_on(reference, candidate, text, call):
            continue
        found = difference_on(reference, candidate, text, call)
        if found is None:
            continue
        if len(mismatches) < SHOWN_PER_TOKENIZER:
            text = shrunk(text, lambda shorter: difference_on(reference, candidate, shorter, call) is not None)
            found = difference_on(reference, candidate, text, call) or found
        mismatches.append(f"{source}: {call.__name__}({text!r})\n  {found}")
    return characters, mismatches


def random_job(source: str, candidate_name: str, characters: int, seed: int) -> tuple[str, int, list[str]]:
    vocabulary = sorted(load(tokenizers, source).get_vocab())
    texts = random_texts(random.Random(f"{seed} {source}"), vocabulary, characters)
    return source, *compare(source, candidate_name, texts, both_ways)


def code_point_texts(step: int, first: int) -> Iterator[str]:
    for char in code_points(step, first):
        yield char
        yield f"a{char}b"


def code_point_job(source: str, candidate_name: str, step: int, first: int) -> tuple[str, int, list[str]]:
    call = normalized if source.startswith("normalizer-") else pieces if source.startswith("pre_tokenizer-") else encoded
    return source, *compare(source, candidate_name, code_point_texts(step, first), call)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=10.0, help="millions of characters, shared out evenly (default 10)")
    parser.add_argument("--code-points", action="store_true", help="also every character, alone and between two letters")
    parser.add_argument("--step", type=int, default=1, help="only every STEP-th character")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="only tokenizers whose name has PART")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--candidate", default=os.environ.get("RUSSET_CANDIDATE", "russet.tokenizers"))
    arguments = parser.parse_args()

    names = sources(arguments.only, os.environ.get("RUSSET_CORPUS"))
    share = int(arguments.millions * 1e6 / max(1, len(names))) + 1
    started = time.monotonic()
    characters = mismatches = 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        jobs = []
        if arguments.millions > 0:
            jobs += [pool.submit(random_job, name, arguments.candidate, share, arguments.seed) for name in names]
        if arguments.code_points:
            stages = [name for name in names if name.startswith(("normalizer-", "pre_tokenizer-", "wordpiece-bert"))]
            jobs += [pool.submit(code_point_job, name, arguments.candidate, arguments.step, arguments.seed) for name in stages]
        for job in jobs:
            source, size, found = job.result()
            characters += size
            mismatches += len(found)
            for text in found[:SHOWN_PER_TOKENIZER]:
                print(text)
            if len(found) > SHOWN_PER_TOKENIZER:
                print(f"{source}: {len(found) - SHOWN_PER_TOKENIZER} more")
    print(f"{len(jobs)} jobs on {len(names)} tokenizers in {time.monotonic() - started:.0f} s, seed {arguments.seed}")
    print(f"{characters:,} characters, {mismatches} mismatches")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
