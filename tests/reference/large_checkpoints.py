"""Checkpoints of more than 100 million parameters: each kind in each form gives the logits that torch gives.

    make test-large                                             # torch and transformers from the environment
    LARGE_ARGS="--torch-python PATH" make test-large            # or from another
    LARGE_ARGS="--only gpt2 qwen3 --forms range fixed" make test-large

Torch computes in float32: a prompt of 48 tokens in one call, then 16 tokens one by one with its cache. Russet converts the same
checkpoint (random weights in bfloat16) to float16 and runs the package in the portable runtime, in the same steps. A row may be off by
2e-3 of its largest magnitude, and the same token must be best unless the two best are nearer to each other than that. Takes five
minutes, 2 GB of memory and 1 GB of disk; the exit code is 1 if a row is too far off. Tiny checkpoints of the same kinds are compared
by tests/conversion.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PROMPT, STEPS, VOCABULARY = 48, 16, 32000
BOUND = 2e-3

_LLAMA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
#: The prompt passes the length that the scaling starts from.
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
#: Each kind: its configuration's class and fields.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _LLAMA | {"rope_parameters": _LLAMA3}),
    "mistral": ("MistralConfig", _LLAMA | {"sliding_window": 16}),
    "qwen2": ("Qwen2Config", _LLAMA),
    "qwen3": ("Qwen3Config", _LLAMA | {"head_dim": 64}),
    "smollm3": ("SmolLM3Config", _LLAMA),
    "phi3": ("Phi3Config", _LLAMA | {"num_key_value_heads": 12}),
    "gpt2": ("GPT2Config", {"bos_token_id": 1, "eos_token_id": 2}),
}
_STATELESS = {"cache": "none", "context_length": PROMPT + STEPS}
FORMS: dict[str, dict[str, Any]] = {
    "range": {"shapes": "range"},
    "multifunction": {"query_lengths": (1, 16)},
    "fixed": {"target": "iOS16", **_STATELESS},
    "enumerated": {"shapes": "enumerated", "query_lengths": (48, 64), **_STATELESS},
    "enumerated-ids": {"shapes": "enumerated", "query_lengths": (48, 64), "target": "iOS17", **_STATELESS},
}


def make(kind: str, folder: Path) -> None:
    """Writes the checkpoint, and ids with torch's logits behind each, (PROMPT + STEPS, V) float32."""
    import torch
    import transformers

    torch.manual_seed(1)
    name, fields = KINDS[kind]
    config = getattr(transformers, name)(**fields)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = torch.randn_like(parameter)
            if parameter.ndim == 1:
                drawn = parameter + 0.1 * drawn
            elif "wpe" in name:
                drawn *= 0.3
            elif not any(part in name for part in ("embed", "wte")):
                drawn /= parameter.shape[0 if ".c_" in name else 1] ** 0.5
            parameter.copy_(drawn.bfloat16().float())
        ids = torch.randint(3, VOCABULARY, (1, PROMPT + STEPS))
        output = model(ids[:, :PROMPT], use_cache=True)
        rows = [output.logits[0]]
        for step in range(PROMPT, PROMPT + STEPS):
            output = model(ids[:, step : step + 1], past_key_values=output.past_key_values, use_cache=True)
            rows.append(output.logits[0])
    np.savez(folder / "logits.npz", ids=ids[0].numpy(), logits=torch.cat(rows).numpy())
    model.bfloat16().save_pretrained(folder / "checkpoint")
    print(sum(parameter.numel() for parameter in model.parameters()))


def compare(folder: Path, form: str) -> tuple[float, bool, float]:
    """How far the worst row is off, whether the best tokens are the same, and the seconds that conversion took."""
    import russet

    with np.load(folder / "logits.npz") as arrays:
        ids, expected = arrays["ids"].tolist(), arrays["logits"]
    options: dict[str, Any] = {"context_length": 128, "logits": "all", **FORMS[form]}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        russet.convert(folder / "checkpoint", Path(out) / "out", verify=False, **options)
        seconds = time.perf_counter() - start
        model = russet.LanguageModel.from_pretrained(Path(out) / "out", backend="portable")
        context = model.new_context()
        rows = [context.extend(ids[:PROMPT], all_logits=True), *(context.extend([id]) for id in ids[PROMPT:])]
        actual = np.concatenate(rows)
        del context, model
    assert actual.shape == expected.shape
    scale = np.abs(expected).max(axis=-1)
    second, first = np.sort(expected, axis=-1)[:, -2:].T
    is_decided = first - second > BOUND * scale
    is_same = actual.argmax(axis=-1) == expected.argmax(axis=-1)
    return float((np.abs(actual - expected).max(axis=-1) / scale).max()), bool(is_same[is_decided].all()), seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="kinds (all)")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="forms (all)")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python with torch and transformers (this one)")
    parser.add_argument("--torch-script", default=__file__, help="this file, where that Python sees it")
    options = parser.parse_args()
    if options.make:
        make(options.make[0], Path(options.make[1]))
        return 0
    is_right = True
    print("| model | parameters | form | off, of the row's largest | same best token | converted in |\n|---|---|---|---|---|---|")
    for kind in options.only:
        with tempfile.TemporaryDirectory() as folder:
            command = [options.torch_python, options.torch_script, "--make", kind, folder]
            made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            parameters = int(made.stdout.split()[-1])
            assert parameters >= 100_000_000, f"{kind} has {parameters} parameters"
            for form in options.forms:
                off, is_same, seconds = compare(Path(folder), form)
                is_right &= off <= BOUND and is_same
                told = "yes" if is_same else "NO"
                print(f"| {kind} | {parameters / 1e6:.0f} M | {form} | {off:.1e} | {told} | {seconds:.1f} s |", flush=True)
    print("every row is near enough" if is_right else f"rows are further off than {BOUND}, or another token is best")
    return int(not is_right)


if __name__ == "__main__":
    sys.exit(main())
