"""`AutoTokenizer` beside that of transformers: loading in a fresh process, and calls.

    python benches/pretrained.py                              # the fixtures, or real tokenizers where RUSSET_CORPUS names a corpus
    python benches/pretrained.py FOLDER... [--runs 9]

Loading: `from_pretrained` of a folder and the first encode, import included, each in a fresh process, the two in turns; medians.
Calls: batches of 64 chat messages that were not seen before, the two in turns in one process; medians of CPU time.
Results are compared before anything is timed. The bar is 5 times for loading, and 3 times for calls.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
REAL = ("gpt2", "bert-base-uncased", "llama3", "qwen2.5", "t5-small")
FIXTURES = ("bpe-gpt2", "wordpiece-bert-uncased", "unigram-t5")
LOADING_BAR, CALL_BAR = 5.0, 3.0

ROLES = ("system", "user", "assistant")
SENTENCES = (
    "You are a helpful assistant that answers in two sentences.",
    "What did the miller write in the ledger of 1893, and why does it matter?",
    "The ledger lists every sack that left the mill: weight, price, and who carried it (see page 12).",
    "Could you put that into a table, please? I'd like three columns.",
    "def price(sacks):\n    return sum(sack.weight * RATE for sack in sacks)",
    "Das steht auf Seite zwölf; die Müllerin hat es selbst geschrieben.",
    "Sure! Here it is:\n\n| sack | weight | price |\n|---|---|---|\n| 1 | 48.2 kg | 3.10 |",
)

COLD = """
import sys, time
start = time.perf_counter()
from {module} import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({folder!r})
ids = tokenizer("Hello, how are you today?")["input_ids"]
print(time.perf_counter() - start, *ids)
"""

CALLS: dict[str, dict[str, Any]] = {
    "lists": {},
    "padded NumPy arrays": {"padding": True, "return_tensors": "np"},
    "cut to 32, lists": {"truncation": True, "max_length": 32},
    "with offsets, lists": {"return_offsets_mapping": True},
}


def messages(number: int) -> list[str]:
    """A batch of 64 rendered messages; no two batches have a text in common."""
    batch = []
    for index in range(64):
        role, n = ROLES[index % 3], number * 64 + index
        parts = [SENTENCES[(n * 5 + step) % len(SENTENCES)] for step in range(1 + n % 4)]
        batch.append(f"<|im_start|>{role}\n{' '.join(parts)} (no. {n})<|im_end|>\n")
    return batch


def load_cold(module: str, folder: Path) -> tuple[float, float, list[str]]:
    """Seconds from before the import to after the first encode, of the whole process, and the ids."""
    start = time.perf_counter()
    code = COLD.format(module=module, folder=str(folder))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    whole = time.perf_counter() - start
    seconds, *ids = ended.stdout.split("\n")[-2].split()
    return float(seconds), whole, ids


def plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def loading(folder: Path, runs: int) -> float:
    modules = ("russet", "transformers")
    warm = [load_cold(module, folder)[2] for module in modules]  # also writes bytecode
    if warm[0] != warm[1]:
        raise SystemExit(f"{folder.name}: ids differ: {warm}")
    taken: dict[str, list[tuple[float, float]]] = {module: [] for module in modules}
    for _ in range(runs):
        for module in modules:
            taken[module].append(load_cold(module, folder)[:2])
    (ours, our_whole), (theirs, their_whole) = (
        [statistics.median(column) for column in zip(*taken[m], strict=True)] for m in modules
    )
    print(
        f"  loading and first encode: russet {ours * 1e3:.0f} ms, transformers {theirs * 1e3:.0f} ms: {theirs / ours:.1f} times;"
        f" whole processes {our_whole * 1e3:.0f} ms and {their_whole * 1e3:.0f} ms: {their_whole / our_whole:.1f} times"
    )
    return theirs / ours


def calling(folder: Path, runs: int) -> float:
    import transformers

    import russet

    transformers.logging.set_verbosity_error()
    ours, theirs = russet.AutoTokenizer.from_pretrained(folder), transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    for tokenizer in (ours, theirs):
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.convert_ids_to_tokens(0)
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    worst = float("inf")
    for name, options in CALLS.items():
        results = [{key: plain(value) for key, value in one(messages(0), **options).items()} for one in (ours, theirs)]
        if results[0] != results[1]:
            raise SystemExit(f"{folder.name}, {name}: results differ")
        taken: tuple[list[float], list[float]] = [], []
        for number in range(1, runs + 1):
            batch = messages(number)
            for times, tokenizer in zip(taken, (ours, theirs), strict=True):
                start = time.process_time()
                tokenizer(batch, **options)
                times.append(time.process_time() - start)
        medians = [statistics.median(times) * 1e3 for times in taken]
        ratio = medians[1] / medians[0]
        worst = min(worst, ratio)
        print(f"  64 messages, {name}: russet {medians[0]:.2f} ms, transformers {medians[1]:.2f} ms of CPU: {ratio:.1f} times")
    return worst


def folders_of(given: list[str], place: Path) -> list[Path]:
    if given:
        return [Path(folder) for folder in given]
    corpus = os.environ.get("RUSSET_CORPUS")
    if corpus:
        return [Path(corpus) / "tokenizers" / name for name in REAL]
    for name in FIXTURES:
        (place / name).mkdir()
        shutil.copy(TESTS / "data" / "tokenizers" / f"{name}.json", place / name / "tokenizer.json")
        (place / name / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return [place / name for name in FIXTURES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    met = True
    with tempfile.TemporaryDirectory() as place:
        for folder in folders_of(arguments.folders, Path(place)):
            print(folder.name)
            met &= loading(folder, arguments.runs) >= LOADING_BAR
            met &= calling(folder, max(arguments.runs, 20)) >= CALL_BAR
    print(f"bars ({LOADING_BAR:.0f} times for loading, {CALL_BAR:.0f} times for calls): {'met' if met else 'NOT met'}")


if __name__ == "__main__":
    main()
