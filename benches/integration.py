"""transformers' tokenizers as they come and on Russet, and what transformers' own Python takes: one table.

    python benches/integration.py --rounds 12
    python benches/integration.py --wall           wall time with as many threads as each takes by itself
    make bench-integration
    python benches/integration.py --write          and put the table into docs/transformers.md

Each round takes 64 chat messages of 100 to 500 characters that no tokenizer of this process has seen: cut from the texts of the
folder that RUSSET_CORPUS names (without it, from the repository's sample, respelled), seven in ten of them English. The two
tokenizers take turns in being first; their results are compared in every round. Medians of CPU time on one thread. The fixed
cost is the same call with a backend that gives what was prepared: plain objects with lists in them. Without the folder the
repository's small fixtures stand in for real tokenizers, and say little about speed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "true" if "--wall" in sys.argv else "false"

import numpy as np
import transformers
from documents import processor, write_block
from rivals.texts import SAMPLE, corpus, sample_text

import russet
from russet.integrations.transformers import accelerate

ROOT = Path(__file__).parent.parent
MESSAGES = 64
#: A folder of the corpus, and the fixture that stands in for it.
TOKENIZERS = {
    "llama3": "bpe-llama3",
    "gpt2": "bpe-gpt2",
    "llama2": "bpe-llama2",
    "bert-base-uncased": "wordpiece-bert-uncased",
    "t5-small": "unigram-t5",
}
WORKLOADS: dict[str, dict[str, Any]] = {
    "lists": {},
    "padded, as arrays": {"padding": True, "return_tensors": "np"},
    "padded and cut to 64": {"padding": True, "truncation": True, "max_length": 64},
    "with offsets and special tokens' mask": {"return_offsets_mapping": True, "return_special_tokens_mask": True},
}
SOURCES = {
    "english_pride_and_prejudice.txt": 7,
    "code_python.py.txt": 1,
    "multilingual_mix.txt": 1,
    "japanese_wagahai.txt": 1,
}


def messages(rng: random.Random) -> Iterator[list[str]]:
    """Batches of messages, none twice."""
    folder = corpus()
    if folder is None:
        pools = [(_cut(sample_text(1 + 1_500_000 // SAMPLE.stat().st_size), rng), 1)]
    else:
        texts = {name: (folder / "texts" / "whole" / name).read_text(encoding="utf-8") for name in SOURCES}
        pools = [(_cut(texts[name], rng), weight) for name, weight in SOURCES.items()]
    cuts, weights = zip(*pools, strict=True)
    while True:
        try:
            yield [next(rng.choices(cuts, weights)[0]) for _ in range(MESSAGES)]
        except StopIteration:
            raise SystemExit("the texts are used up: fewer rounds") from None


def _cut(text: str, rng: random.Random) -> Iterator[str]:
    start = 0
    while start < len(text) - 500:
        length = rng.randint(100, 500)
        yield text[start : start + length]
        start += length


def load(name: str) -> Any:
    folder = corpus()
    kind = transformers.PreTrainedTokenizerFast
    if folder is not None:
        tokenizer = kind.from_pretrained(folder / "tokenizers" / name)
    else:
        tokenizer = kind(tokenizer_file=str(ROOT / "tests" / "data" / "tokenizers" / f"{TOKENIZERS[name]}.json"))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(5)
    tokenizer.model_max_length = 100_000
    return tokenizer


class Prepared:
    """A backend that gives what was prepared, at once."""

    def __init__(self, backend: Any, encodings: list[Any]) -> None:
        self._backend = backend
        names = ("ids", "type_ids", "attention_mask", "special_tokens_mask", "offsets", "overflowing", "n_sequences")
        self._encodings = [SimpleNamespace(**{name: getattr(encoding, name) for name in names}) for encoding in encodings]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode_batch(self, *_: Any, **__: Any) -> list[Any]:
        return self._encodings


def check_same(expected: Any, got: Any) -> None:
    assert list(expected) == list(got)
    for name, values in expected.items():
        if isinstance(values, np.ndarray):
            assert values.dtype == got[name].dtype
            assert np.array_equal(values, got[name]), name
        else:
            assert values == got[name], name


def measure(clock: Callable[[], float], tokenizer: Any, texts: list[str], options: dict[str, Any]) -> tuple[float, Any]:
    start = clock()
    result = tokenizer(texts, **options)
    return clock() - start, result


def run(name: str, rounds: int, clock: Callable[[], float]) -> list[str]:
    original, ours = load(name), accelerate(load(name))
    batches = messages(random.Random(name))
    for options in WORKLOADS.values():  # what is made once: views, the state for truncation
        for tokenizer in (original, ours):
            tokenizer(next(batches)[:2], **options)
    rows = []
    for workload, options in WORKLOADS.items():
        times: dict[str, list[float]] = {"transformers": [], "russet": [], "fixed": []}
        for turn in range(rounds):
            texts = next(batches)
            results = {}
            for who, tokenizer in sorted({"transformers": original, "russet": ours}.items(), reverse=bool(turn % 2)):
                taken, results[who] = measure(clock, tokenizer, texts, options)
                times[who].append(taken)
            check_same(results["transformers"], results["russet"])
            backend = original._tokenizer
            original._tokenizer = Prepared(backend, results["transformers"].encodings)
            taken, again = measure(clock, original, texts, options)
            original._tokenizer = backend
            check_same(results["transformers"], again)
            times["fixed"].append(taken)
        as_it_comes, on_russet, fixed = (statistics.median(times[who]) * 1000 for who in ("transformers", "russet", "fixed"))
        ratio = as_it_comes / on_russet
        rows.append(f"| {name} | {workload} | {as_it_comes:.2f} | {on_russet:.2f} | **{ratio:.1f}** | {fixed:.2f} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="transformers' tokenizers as they come and on Russet")
    parser.add_argument("--rounds", type=int, default=11, help="rounds a workload (11)")
    parser.add_argument("--only", nargs="+", choices=TOKENIZERS, default=list(TOKENIZERS), help="these tokenizers")
    parser.add_argument("--wall", action="store_true", help="wall time, with threads")
    parser.add_argument("--write", action="store_true", help="put the table into docs/transformers.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    clock = time.perf_counter if options.wall else time.process_time
    kind = f"wall time, up to {os.cpu_count()} threads" if options.wall else "CPU time, one thread"
    lines = [
        f"{processor()}, Python {sys.version.split()[0]}, transformers {transformers.__version__}, russet {russet.__version__}; "
        f"{MESSAGES} new messages of 100 to 500 characters a call, {kind}, medians of {options.rounds} rounds, "
        f"{'real tokenizers' if corpus() else 'small fixtures'}:",
        "",
        "| tokenizer | call | transformers, ms | on Russet, ms | ratio | transformers' Python alone, ms |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name in options.only:
        lines += run(name, options.rounds, clock)
    text = "\n".join(lines)
    print(text)
    if options.write:
        write_block(ROOT / "docs" / "transformers.md", "integration", text)


if __name__ == "__main__":
    main()
