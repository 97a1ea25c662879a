"""A Llama checkpoint run by NumPy alone, token by token: what the model on board is before it is converted.

It is a `russet.generation.LanguageModel`, so that `russet.generation` samples from it, and a hundred lines long: no scaled
rotary positions, no biases, one safetensors file, tied embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import russet
from russet.generation import GenerationConfig

Array = NDArray[np.float32]


def tensors(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file in bfloat16, widened."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    found = {}
    for name, tensor in json.loads(content[8:start]).items():
        if name == "__metadata__":
            continue
        if tensor["dtype"] != "BF16":
            raise ValueError(f"{path}: {name} is {tensor['dtype']}, not BF16")
        begin, end = tensor["data_offsets"]
        halves = np.frombuffer(content[start + begin : start + end], "<u2").astype(np.uint32)
        found[name] = (halves << 16).view(np.float32).reshape(tensor["shape"])
    return found


class NumpyLlama:
    """A checkpoint folder's model, tokenizer and generation settings."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.weights = tensors(folder / "model.safetensors")
        self.tokenizer = russet.Tokenizer.from_file(folder / "tokenizer.json")
        self.generation_config = GenerationConfig.from_pretrained(folder)
        self.context_length: int = self.config["max_position_embeddings"]
        self.vocab_size: int = self.config["vocab_size"]
        half = np.arange(0, self.config["head_dim"], 2) / self.config["head_dim"]
        angles = np.arange(self.context_length)[:, None] / self.config["rope_theta"] ** half
        self.cos, self.sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def new_context(self) -> NumpyContext:
        return NumpyContext(self)

    def linear(self, name: str, x: Array) -> Array:
        return x @ self.weights[f"model.{name}.weight"].T

    def norm(self, name: str, x: Array) -> Array:
        scale = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.config["rms_norm_eps"])
        return self.weights[f"model.{name}.weight"] * (x / scale)

    def rotate(self, x: Array, past: int) -> Array:
        """Rotary positions of (tokens, heads, size)."""
        cos, sin = (table[past : past + len(x), None] for table in (self.cos, self.sin))
        first, second = np.split(x, 2, axis=-1)
        return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)


class NumpyContext:
    """The tokens that were read, and each layer's keys and values of them."""

    def __init__(self, model: NumpyLlama) -> None:
        self.model = model
        self.ids: list[int] = []
        shape = (
            model.config["num_hidden_layers"],
            model.context_length,
            model.config["num_key_value_heads"],
            model.config["head_dim"],
        )
        self.keys, self.values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def extend(self, ids: Sequence[int], *, all_logits: bool = False) -> Array:
        model, config = self.model, self.model.config
        past, count = len(self.ids), len(self.ids) + len(ids)
        if count > model.context_length:
            raise russet.ContextLengthError(f"{count} tokens, and the context holds {model.context_length}")
        heads, groups, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
        hidden = np.arange(count) > np.arange(past, count)[:, None]  # later tokens
        x = model.weights["model.embed_tokens.weight"][list(ids)]
        for layer in range(config["num_hidden_layers"]):
            place = f"layers.{layer}"
            normed = model.norm(f"{place}.input_layernorm", x)
            q = model.rotate(model.linear(f"{place}.self_attn.q_proj", normed).reshape(-1, heads, size), past)
            k = model.rotate(model.linear(f"{place}.self_attn.k_proj", normed).reshape(-1, groups, size), past)
            self.keys[layer, past:count] = k
            self.values[layer, past:count] = model.linear(f"{place}.self_attn.v_proj", normed).reshape(-1, groups, size)
            # Query heads that share a key head are neighbours.
            q = q.reshape(-1, groups, heads // groups, size).transpose(1, 2, 0, 3) * size**-0.5
            keys, values = (part[layer, :count].transpose(1, 0, 2)[:, None] for part in (self.keys, self.values))
            scores = np.where(hidden, -np.inf, q @ keys.swapaxes(-1, -2))
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            attended = (weights / weights.sum(axis=-1, keepdims=True)) @ values
            x = x + model.linear(f"{place}.self_attn.o_proj", attended.transpose(2, 0, 1, 3).reshape(len(ids), -1))
            normed = model.norm(f"{place}.post_attention_layernorm", x)
            gate = model.linear(f"{place}.mlp.gate_proj", normed)
            x = x + model.linear(
                f"{place}.mlp.down_proj", gate / (1 + np.exp(-gate)) * model.linear(f"{place}.mlp.up_proj", normed)
            )
        self.ids += ids
        return model.linear("embed_tokens", model.norm("norm", x if all_logits else x[-1:]))

    def rewind(self, length: int) -> None:
        del self.ids[length:]

    def fork(self) -> NumpyContext:
        other = NumpyContext(self.model)
        other.restore(self.save())
        return other

    def save(self) -> dict[str, NDArray[Any]]:
        return {"ids": np.array(self.ids, np.int32), "keys": self.keys.copy(), "values": self.values.copy()}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        self.ids = saved["ids"].tolist()
        self.keys, self.values = saved["keys"].copy(), saved["values"].copy()
