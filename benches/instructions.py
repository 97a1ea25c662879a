"""Instructions that the crate's main paths take, counted by callgrind: a number that does not depend on the machine's load.

    python benches/instructions.py                  count, and compare with what benches/instructions.json records
    python benches/instructions.py --record         and write the counts there
    python benches/instructions.py --only bpe-gpt2  --paths encode decode
    python benches/instructions.py --corpus         published tokenizers of the folder RUSSET_CORPUS, too (slower)

Each count is of a release build of `benches/rust/paths.rs`, on the repository's sample text made longer (`rivals/texts.py`).
valgrind knows no AVX-512, so code that chooses by the processor takes another way here; what does not scale with instructions
(cache misses, mispredicted branches) is not seen. So: for a change's effect, not for a speed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rivals import texts, vocabularies

ROOT = texts.ROOT
RECORD = ROOT / "benches" / "instructions.json"
FIXTURES = ("bpe-gpt2", "bpe-llama3", "bpe-o200k", "bpe-llama2", "wordpiece-bert-uncased", "unigram-t5")
PUBLISHED = ("gpt2", "llama3", "llama2", "bert", "t5")
PATHS = ("load", "encode", "encode-again", "count", "messages", "fields", "decode")
COPIES = 20
# Hash seeds differ from run to run: the least of so many runs counts, and a difference below this share is none.
RUNS = 3
NOTABLE = 0.01

Counts = dict[str, dict[str, int]]


def build() -> Path:
    command = ["cargo", "build", "--quiet", "--release", "--package", "russet-benches", "--example", "paths"]
    subprocess.run(command, cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / "release" / "examples" / "paths"


def count(program: Path, path: str, tokenizer: Path, text: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "callgrind.out"
        callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", "--toggle-collect=paths::measured*"]
        done = subprocess.run([*callgrind, program, path, tokenizer, text], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{path} of {tokenizer}: {done.stderr[-400:]}")
        found = re.search(r"^(?:summary|totals): (\d+)", output.read_text(), re.MULTILINE)
        if found is None or found[1] == "0":
            raise SystemExit(f"{path} of {tokenizer}: callgrind counted nothing in `measured`")
        return int(found[1])


def sources(arguments: argparse.Namespace) -> dict[str, Path]:
    every = {name: ROOT / "tests" / "data" / "tokenizers" / f"{name}.json" for name in FIXTURES}
    folder = texts.corpus() if arguments.corpus else None
    if arguments.corpus and folder is None:
        raise SystemExit("--corpus: RUSSET_CORPUS names no folder with texts/")
    if folder is not None:
        every |= {name: folder / "tokenizers" / str(vocabularies.SOURCES[name][0]) / "tokenizer.json" for name in PUBLISHED}
    return {name: path for name, path in every.items() if not arguments.only or name in arguments.only}


def show(name: str, path: str, value: int, recorded: int | None, size: int) -> str:
    per_byte = "" if path in ("load", "messages") else f"{value / size:8.1f} a byte"
    change = ""
    if recorded:
        share = value / recorded - 1
        change = f"{share:+8.1%}" if abs(share) >= NOTABLE else "    same"
    return f"{name:24} {path:13} {value:14,} {change} {per_byte}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--record", action="store_true", help=f"write the counts to {RECORD.relative_to(ROOT)}")
    parser.add_argument("--only", nargs="+", choices=(*FIXTURES, *PUBLISHED), metavar="TOKENIZER")
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=PATHS, metavar="PATH", help=", ".join(PATHS))
    parser.add_argument("--corpus", action="store_true", help="count the published tokenizers of RUSSET_CORPUS, too")
    parser.add_argument("--program", type=Path, help="count in this build of rust/paths.rs")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is missing: install the package 'valgrind'")
    program = arguments.program or build()
    recorded: Counts = json.loads(RECORD.read_text(encoding="utf-8"))["counts"] if RECORD.is_file() else {}
    content = texts.sample_text(COPIES)
    size = len(content.encode())
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text(content, encoding="utf-8", newline="")
        for name, tokenizer in sources(arguments).items():
            before = dict(recorded.get(name, {}))
            for path in arguments.paths:
                value = min(count(program, path, tokenizer, text) for _ in range(RUNS))
                print(show(name, path, value, before.get(path), size), flush=True)
                recorded.setdefault(name, {})[path] = value
    if arguments.record:
        compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        record = {"compiler": compiler, "text_bytes": size, "counts": recorded}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
