"""Conversion beside coremltools' own way: memory and time from a checkpoint of random weights to a package of 4-bit blocks.

    make bench-conversion                                          # 113 million parameters, a minute
    CONVERSION_ARGS="--size 1.1b" make bench-conversion            # coremltools takes tens of gigabytes and many minutes
    CONVERSION_ARGS="--size 7b --only russet" make bench-conversion

Russet reads bfloat16 safetensors in shards, and writes a stateful package for any number of tokens. coremltools gets the same
decoder with its weights as arrays in memory: its program is built and converted, saved, loaded and compressed by
``linear_quantize_weights``. Each is a process of its own; its peak of resident memory, its CPU and its wall time are those that
the system tells of it. Russet converts twice, the second time with the check that the package gives what the checkpoint does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
#: Layers, heads, heads of keys, elements of a head, of the feed-forward, tokens.
SIZES = {
    "tiny": (2, 4, 2, 32, 256, 512),
    "113m": (12, 12, 4, 64, 2048, 49152),
    "1.1b": (22, 32, 4, 64, 5632, 32000),
    "7b": (32, 32, 32, 128, 11008, 32000),
}
CONTEXT = 512
_SHARD_BYTES = 1 << 30


def config_of(size: str) -> dict[str, Any]:
    layers, heads, kv_heads, head_dim, wide, vocabulary = SIZES[size]
    return {
        "model_type": "llama",
        "hidden_size": heads * head_dim,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def write_checkpoint(size: str, folder: Path) -> int:
    """Random weights in bfloat16, shard by shard. Returns the number of parameters."""
    from russet.conversion.architectures import decoder_of
    from russet.conversion.configuration import Config

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_of(size)))
    tensors = list(decoder_of(Config(config_of(size))).tensors())
    shards: list[list[Any]] = [[]]
    for tensor in tensors:
        if sum(2 * each.size for each in shards[-1]) > _SHARD_BYTES:
            shards.append([])
        shards[-1].append(tensor)
    weight_map = {}
    for number, shard in enumerate(shards):
        name, header, offset = f"model-{number + 1:05}-of-{len(shards):05}.safetensors", {}, 0
        for tensor in shard:
            end = offset + 2 * tensor.size
            header[tensor.name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, end]}
            offset, weight_map[tensor.name] = end, name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for tensor in shard:
                for block in random_blocks(tensor):
                    file.write((block.view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return sum(tensor.size for tensor in tensors)


def random_blocks(tensor: Any) -> Iterator[np.ndarray[Any, Any]]:
    random = np.random.default_rng(list(tensor.name.encode()))
    for begin in range(0, tensor.size, 1 << 22):
        drawn = random.standard_normal(min(1 << 22, tensor.size - begin), np.float32)
        if len(tensor.shape) == 1:
            yield 1 + np.float32(0.1) * drawn
        else:
            yield drawn if "embed" in tensor.name else drawn / np.float32(tensor.shape[1] ** 0.5)


RUSSET = """
import sys, russet
checkpoint, out, context, verify = sys.argv[1:]
russet.convert(checkpoint, out, shapes="range", context_length=int(context), quantize="int4", verify=verify == "verify")
"""

COREMLTOOLS = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
import mil_packages
names = ("layers", "heads", "kv_heads", "head_dim", "feed_forward", "vocab", "context")
decoder = mil_packages.Decoder(**dict(zip(names, map(int, sys.argv[3:]))))
plain, out = Path(sys.argv[1]) / "plain.mlpackage", Path(sys.argv[1]) / "int4.mlpackage"
mil_packages._write(plain, decoder, "range", [1], True, False, False, "last")
ct = mil_packages.coremltools()
import coremltools.optimize.coreml as optimize
settings = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=32)
model = ct.models.MLModel(str(plain), skip_model_load=True)
optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=settings)).save(str(out))
"""


def measured(code: str, *arguments: str) -> dict[str, float]:
    """Runs a program and says what it took."""
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(errors.decode(errors="replace")[-4000:])
    divisor = 1e9 if sys.platform == "darwin" else 1e9 / 1024
    return {
        "memory_gigabytes": usage.ru_maxrss / divisor,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "wall_seconds": time.perf_counter() - begin,
    }


def size_of(path: Path) -> float:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="113m")
    parser.add_argument("--only", choices=("russet", "coremltools"), help="run one of them")
    parser.add_argument(
        "--folder", type=Path, help="where checkpoint and packages come (a temporary folder); they are removed again"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="conversion-", dir=options.folder))
    found: dict[str, dict[str, float]] = {}
    try:
        if options.only != "coremltools":
            parameters = write_checkpoint(options.size, folder / "checkpoint")
            checkpoint = str(folder / "checkpoint")
            for name, out in (("russet", "out"), ("russet, verified", "verified")):
                verify = "verify" if name != "russet" else "plain"
                found[name] = measured(RUSSET, checkpoint, str(folder / out), str(CONTEXT), verify)
                (package,) = (folder / out).glob("*.mlpackage")
                found[name]["package_gigabytes"] = size_of(package)
                if verify == "verify":
                    found[name]["difference"] = json.loads((folder / out / "parity.json").read_text())["difference"]
                shutil.rmtree(folder / out)
            print(f"{parameters / 1e6:.1f}M parameters, checkpoint {size_of(folder / 'checkpoint'):.2f} GB", file=sys.stderr)
            shutil.rmtree(checkpoint)
        if options.only != "russet":
            tests = str(ROOT / "tests" / "coreml")
            found["coremltools"] = measured(COREMLTOOLS, str(folder), tests, *map(str, (*SIZES[options.size], CONTEXT)))
            found["coremltools"]["package_gigabytes"] = size_of(folder / "int4.mlpackage")
    finally:
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':<18} {'memory':>9} {'CPU':>9} {'wall':>9} {'package':>9}")
    for name, each in found.items():
        print(
            f"{name:<18} {each['memory_gigabytes']:>6.2f} GB {each['cpu_seconds']:>7.1f} s {each['wall_seconds']:>7.1f} s "
            f"{each['package_gigabytes']:>6.3f} GB" + (f"   parity {each['difference']:.1e}" if "difference" in each else "")
        )
    if "russet" in found and "coremltools" in found:
        memory, cpu = (found["coremltools"][key] / found["russet"][key] for key in ("memory_gigabytes", "cpu_seconds"))
        print(f"coremltools takes {memory:.1f} times the memory and {cpu:.1f} times the CPU time")


if __name__ == "__main__":
    main()
