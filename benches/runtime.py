"""The portable runtime beside torch: a decoder of 113 million parameters, token by token and 128 tokens at once.

    make bench-runtime                                   # torch from the environment, if it is there
    RUNTIME_ARGS="--torch-python PATH" make bench-runtime

The decoder is a Llama (12 layers, d 768, 12 heads and 4 of keys, 49,152 tokens, tied embedding) with random weights and a cache
for 512 tokens: for Russet a stateful package with float16 weights and one with 4-bit blocks, for torch transformers'
LlamaForCausalLM in float32 with a static cache. Each is a process of its own with the same number of threads; they measure in
turns, round by round, and medians of CPU time are compared: the machine's other work does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONTEXT = 512
PROMPT = 128
STEPS = 24


def packages() -> dict[str, Path]:
    """The packages, made by coremltools when they are first needed (a minute)."""
    sys.path.insert(0, str(ROOT / "tests" / "coreml"))
    from mil_packages import Decoder, coremltools, kept, stateful

    decoder = Decoder(layers=12, heads=12, kv_heads=4, head_dim=64, feed_forward=2048, vocab=49152, context=CONTEXT, is_tied=True)
    whole = stateful("range", decoder=decoder, logits="last")

    def compress(path: Path) -> None:
        ct = coremltools()
        import coremltools.optimize.coreml as optimize

        settings = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=32)
        model = ct.models.MLModel(str(whole), skip_model_load=True)
        config = optimize.OptimizationConfig(global_config=settings)
        optimize.linear_quantize_weights(model, config).save(str(path))

    return {"float16": whole, "int4": kept(f"{whole.stem}-int4", compress)}


def worker(kind: str, path: str, threads: int) -> None:
    """Answers each line of stdin with measurements: CPU and wall seconds of a prefill, of a step, and resident memory."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RUSSET_NUM_THREADS"):
        os.environ[name] = str(threads)
    prefill, step, about = _torch(threads) if kind == "torch" else _russet(path, threads)
    prefill()
    for _ in range(4):
        step()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        measured: dict[str, Any] = {"prefill": _timed(prefill), "step": [], "memory": 0.0}
        for _ in range(STEPS):
            measured["step"].append(_timed(step))
        measured["memory"] = _resident_megabytes()
        print(json.dumps(measured), flush=True)


def _timed(work: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _resident_megabytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _russet(path: str, threads: int) -> tuple[Any, Any, dict[str, Any]]:
    import numpy as np

    import russet
    import russet.coreml.language_model

    # What every Python with NumPy has; the package's bar is for what comes on top.
    bare = _resident_megabytes()
    model = russet.LanguageModel.from_pretrained(path, backend="portable", threads=threads)
    context = model.new_context()
    ids = np.random.default_rng(0).integers(0, model.vocab_size, PROMPT).tolist()

    def prefill() -> None:
        context.rewind(0)
        context.extend(ids)

    def step() -> None:
        context.extend(ids[:1])

    return prefill, step, {"version": f"russet {russet.__version__}", "bare": bare}


def _torch(threads: int) -> tuple[Any, Any, dict[str, Any]]:
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    torch.set_num_threads(threads)
    config = transformers.LlamaConfig(
        vocab_size=49152, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32).eval()
    ids = torch.randint(0, 49152, (1, PROMPT))
    caches: list[Any] = []

    def prefill() -> None:
        caches[:] = [transformers.StaticCache(config=config, max_cache_len=CONTEXT)]
        model(ids, past_key_values=caches[0], use_cache=True, logits_to_keep=1)

    def step() -> None:
        model(ids[:, :1], past_key_values=caches[0], use_cache=True)

    libraries = Path("/proc/self/maps").read_text() if Path("/proc/self/maps").exists() else ""
    blas = (
        "MKL"
        if torch.backends.mkl.is_available() or "libmkl" in libraries
        else "OpenBLAS"
        if "openblas" in libraries
        else "its own BLAS"
    )
    return prefill, step, {"version": f"torch {torch.__version__} ({blas}), transformers {transformers.__version__}, float32"}


class Worker:
    """A process that measures when it is told to."""

    def __init__(self, python: list[str], script: str, kind: str, path: str, threads: int) -> None:
        command = [*python, script, "--worker", kind, path, str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rounds: list[dict[str, Any]] = []

    def ready(self) -> dict[str, Any]:
        return dict(json.loads(self._line()))

    def measure(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.rounds.append(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a worker ended early")
        return line

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def median(self, what: str) -> tuple[float, float]:
        """CPU and wall seconds."""
        found = [each for done in self.rounds for each in ([done[what]] if what == "prefill" else done[what])]
        return statistics.median(cpu for cpu, _ in found), statistics.median(wall for _, wall in found)

    def memory(self) -> float:
        return max(done["memory"] for done in self.rounds)


def compare(threads: int, rounds: int, torch: list[str] | None, torch_script: str) -> list[str]:
    """Measures with this many threads and returns the lines of a table."""
    paths = packages()
    workers = {kind: Worker([sys.executable], __file__, kind, str(path), threads) for kind, path in paths.items()}
    if torch:
        workers["torch"] = Worker(torch, torch_script, "torch", "-", threads)
    ready = {kind: each.ready() for kind, each in workers.items()}
    for _ in range(rounds):
        for each in workers.values():
            each.measure()
    for each in workers.values():
        each.close()
    lines = [
        f"| {threads} thread{'s' * (threads > 1)} | decode, CPU ms a token | tokens/s | x torch "
        f"| prefill of {PROMPT}, CPU ms | x torch | memory, MB | x package and state |",
        "|---|---|---|---|---|---|---|---|",
    ]
    state = 2 * 12 * 4 * CONTEXT * 64 * 2 / 2**20
    for kind, each in workers.items():
        (step, step_wall), (prefill, _) = each.median("step"), each.median("prefill")
        beside = workers.get("torch")
        ratios = ["", ""]
        if beside is not None and kind != "torch":
            ratios = [f"{beside.median(what)[0] / each.median(what)[0]:.2f}" for what in ("step", "prefill")]
        share = ""
        if kind != "torch":
            size = sum(file.stat().st_size for file in paths[kind].rglob("*") if file.is_file()) / 2**20
            share = f"{each.memory() / (size + state):.2f} ({(each.memory() - ready[kind]['bare']) / (size + state):.2f})"
        name = ready[kind]["version"] + ("" if kind == "torch" else f", {kind}")
        cells = [
            f"{step * 1e3:.1f}",
            f"{1 / step_wall:.1f}",
            ratios[0],
            f"{prefill * 1e3:.0f}",
            ratios[1],
            f"{each.memory():.0f}",
            share,
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "PATH", "THREADS"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", default="1,2", help="numbers of threads (1,2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--torch-python", help="a Python with torch and transformers; this one if it has them")
    parser.add_argument("--torch-script", default=__file__, help="this file, where that Python sees it")
    parser.add_argument("--write", action="store_true", help="write the tables into README.md and docs/performance.md")
    options = parser.parse_args()
    if options.worker:
        worker(options.worker[0], options.worker[1], int(options.worker[2]))
        return
    torch = [options.torch_python] if options.torch_python else None
    if torch is None and subprocess.run([sys.executable, "-c", "import torch, transformers"], capture_output=True).returncode == 0:
        torch = [sys.executable]
    if torch is None:
        print("torch and transformers are not here: without --torch-python there is nothing to compare with")
    about = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {date.today()}."
    about += (
        " A decoder of 113 million parameters; medians of CPU time. Russet's memory with Python and NumPy, and in brackets without."
    )
    tables = [compare(threads, options.rounds, torch, options.torch_script) for threads in map(int, options.threads.split(","))]
    text = "\n\n".join([about, *("\n".join(lines) for lines in tables)])
    print(text)
    if options.write:
        for name in ("README.md", "docs/performance.md"):
            path = ROOT / name
            before, begin, rest = path.read_text(encoding="utf-8").partition(
                "<!-- runtime: begin, written by benches/runtime.py -->\n"
            )
            _, end, after = rest.partition("<!-- runtime: end -->")
            if not end:
                raise SystemExit(f"{name} has no place for the tables")
            path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
