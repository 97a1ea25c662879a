"""Tiny checkpoints of every kind that is converted, and what torch gives for them.

Width 64, 96 tokens. A weight depends on nothing but its name, and is rounded to bfloat16, which float16 and float32 hold too. Torch
computes in float32: a prompt in one call, then tokens one by one with its cache. Needs torch and transformers for `expected` alone;
tests make the same weights without them, by the names and shapes in `checkpoints/manifest.json`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

VOCABULARY, STEPS = 96, 16
Array = np.ndarray[Any, Any]

_LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}


def _scaled(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **parameters}}


_LONGROPE = {
    "max_position_embeddings": 64,
    "original_max_position_embeddings": 16,
    "pad_token_id": 0,
    **_scaled("longrope", short_factor=[1.0, 1.1, 1.3, 1.5], long_factor=[1.5, 2.0, 3.0, 4.0], partial_rotary_factor=0.5),
}
#: Each case: the class of the configuration, its fields, the tokens of the prompt and those after it, and the package's context.
CASES: dict[str, tuple[str, dict[str, Any], int, int, int]] = {
    "llama": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}, 20, STEPS, 64),
    "llama-tied": ("LlamaConfig", {"tie_word_embeddings": True, "num_key_value_heads": 4, "head_dim": 32}, 20, STEPS, 64),
    "llama3": (
        "LlamaConfig",
        _scaled("llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16),
        20,
        STEPS,
        64,
    ),
    "llama-linear": ("LlamaConfig", _scaled("linear", factor=4.0), 20, STEPS, 64),
    "llama-dynamic": ("LlamaConfig", {"max_position_embeddings": 24, **_scaled("dynamic", factor=4.0)}, 20, STEPS, 64),
    "llama-yarn": ("LlamaConfig", _scaled("yarn", factor=4.0, original_max_position_embeddings=16), 20, STEPS, 64),
    "mistral": ("MistralConfig", {"sliding_window": 8}, 20, STEPS, 64),
    "qwen2": (
        "Qwen2Config",
        {"tie_word_embeddings": True, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
        20,
        STEPS,
        64,
    ),
    "qwen3": ("Qwen3Config", {"head_dim": 32}, 20, STEPS, 64),
    "smollm3": ("SmolLM3Config", {"num_hidden_layers": 4, "tie_word_embeddings": True}, 20, STEPS, 64),
    "phi3-long": ("Phi3Config", _LONGROPE, 20, STEPS, 64),
    "phi3-short": ("Phi3Config", _LONGROPE, 8, 8, 16),
    "gpt2": ("GPT2Config", {}, 20, STEPS, 64),
}
_GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "n_inner": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def weight(name: str, shape: list[int]) -> Array:
    """The weight of a name, float32 with the digits of bfloat16."""
    drawn = np.random.default_rng(list(name.encode())).standard_normal(shape)
    if len(shape) == 1:
        drawn = 0.2 * drawn + (0 if name.endswith("bias") else 1)
    elif not any(part in name for part in ("embed", "wte", "wpe")):
        drawn /= shape[0 if ".c_" in name else 1] ** 0.5
    bits = drawn.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def ids_of(case: str) -> Array:
    _, _, prompt, steps, _ = CASES[case]
    return np.random.default_rng(list(case.encode())).integers(3, VOCABULARY, prompt + steps).astype(np.int32)


def model_of(case: str) -> Any:
    """The model of a case, by transformers."""
    import torch
    import transformers

    kind, fields, *_ = CASES[case]
    config = getattr(transformers, kind)(**(_GPT2 if kind == "GPT2Config" else _LLAMA) | fields)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weight(name, list(parameter.shape))))
    return model


def expected(case: str) -> tuple[dict[str, Any], Array]:
    """Configuration, and names and shapes of weights; and the logits, (prompt + steps, V) float32."""
    import torch

    model, ids = model_of(case), torch.from_numpy(ids_of(case)).long()[None]
    _, _, prompt, steps, context = CASES[case]
    rows = []
    with torch.no_grad():
        output = model(ids[:, :prompt], use_cache=True)
        rows.append(output.logits[0])
        for step in range(prompt, prompt + steps):
            output = model(ids[:, step : step + 1], past_key_values=output.past_key_values, use_cache=True)
            rows.append(output.logits[0])
    config = {name: value for name, value in model.config.to_diff_dict().items() if name != "transformers_version"}
    config["model_type"] = model.config.model_type
    shapes = {name: list(parameter.shape) for name, parameter in model.named_parameters()}
    return {"config": config, "tensors": shapes, "prompt": prompt, "context": context}, torch.cat(rows).numpy()
