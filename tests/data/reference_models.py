"""Tiny language models of fourteen families with random weights, what torch gives for them, and how they are traced.

Width 32, two layers, four heads (two of keys and values where the family groups them), 96 tokens, a context of 64. Weights depend on
nothing but names, and are rounded to float16, as the packages that `make_packages.py` makes of these models hold them; torch computes
in float32. Needs torch and transformers alone: `tests/reference` recomputes the outputs of the folder `packages` with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers.cache_utils import Cache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

WIDTH, LAYERS, HEADS, VOCABULARY, CONTEXT = 32, 2, 4, 96, 64
LONGEST, PROMPT, STEPS = 32, 8, 6
#: Tokens that are fed and, with the padding behind them, the length of the input.
LENGTHS = {"fixed": [(13, 16)], "range": [(9, 9), (24, 24)], "enumerated": [(8, 8), (16, 16), (27, 32)]}
#: Of the encoder whose output a T5 decoder reads.
SOURCE, SOURCE_REAL = 12, 10
#: Added to the scores of what must not be seen. Its exponential is zero in float16, and sums with it stay finite.
HIDDEN = -1e4


# Models


def _llama_like(name: str, **options: Any) -> Callable[[], Any]:
    """Configurations with the names of llama, as most families have since."""
    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": None,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
    }
    return lambda: getattr(transformers, name)(**settings | options)


def _gpt_like(name: str, **options: Any) -> Callable[[], Any]:
    """Configurations with the names of GPT-2."""
    settings = {
        "vocab_size": VOCABULARY,
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_positions": CONTEXT,
        "n_inner": 2 * WIDTH,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return lambda: getattr(transformers, name)(**settings | options)


def _t5() -> Any:
    return transformers.T5Config(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        d_kv=8,
        d_ff=2 * WIDTH,
        num_layers=LAYERS,
        num_decoder_layers=LAYERS,
        num_heads=HEADS,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=40,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )


CONFIGURATIONS: dict[str, Callable[[], Any]] = {
    "gpt2": _gpt_like("GPT2Config"),
    "llama": _llama_like("LlamaConfig"),
    "mistral": _llama_like("MistralConfig", sliding_window=None),
    "qwen2": _llama_like("Qwen2Config", tie_word_embeddings=True),
    "qwen3": _llama_like("Qwen3Config", head_dim=16),
    "gemma2": _llama_like("Gemma2Config", head_dim=16, query_pre_attn_scalar=16, tie_word_embeddings=True),
    "phi3": _llama_like("Phi3Config", pad_token_id=0),
    "gpt_neox": _llama_like("GPTNeoXConfig"),
    "gptj": _gpt_like("GPTJConfig", rotary_dim=4),
    "falcon": _llama_like("FalconConfig", ffn_hidden_size=2 * WIDTH, multi_query=True, tie_word_embeddings=True),
    "gpt_bigcode": _gpt_like("GPTBigCodeConfig", multi_query=True),
    "bert": _llama_like("BertConfig", pad_token_id=0),
    "t5-encoder": _t5,
    "t5-decoder": _t5,
}
FAMILIES = list(CONFIGURATIONS)
ENCODERS = ["bert", "t5-encoder"]


def model_of(family: str) -> Any:
    """The model with its random weights, which depend on nothing but the names of family and weight."""
    config = CONFIGURATIONS[family]()
    kind = {"bert": transformers.AutoModelForMaskedLM, "t5": transformers.AutoModelForSeq2SeqLM}
    auto = kind.get(config.model_type, transformers.AutoModelForCausalLM)
    model = auto.from_config(config, attn_implementation="eager").eval()
    transposed = {id(module.weight) for module in model.modules() if type(module).__name__ == "Conv1D"}
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Both halves of T5 have the same weights.
            drawn = torch.from_numpy(
                np.random.default_rng(list(f"{config.model_type}/{name}".encode())).standard_normal(weight.shape)
            )
            if weight.ndim == 1:  # zeros or ones until now
                weight += 0.2 * drawn
            elif id(weight) in embeddings:
                weight.copy_(drawn)
            else:
                weight.copy_(drawn / weight.shape[0 if id(weight) in transposed else 1] ** 0.5)
            if config.model_type == "t5" and name.endswith(".q.weight"):
                weight *= config.d_kv**-0.5  # T5 does not scale its scores
            if config.model_type == "gemma2" and id(weight) in embeddings:
                weight *= WIDTH**-0.5  # Gemma scales what it looks up; unscaled, its layers would hardly change the logits
        for array in (*model.parameters(), *model.buffers()):
            if array.is_floating_point():
                # A norm of Gemma multiplies with 1 + weight, and the package holds that sum.
                array.copy_((1 + array).half() - 1 if config.model_type == "gemma2" and array.ndim == 1 else array.half())
    return model


def ids_of(family: str, length: int = LONGEST) -> np.ndarray[Any, Any]:
    return np.random.default_rng(list(family.encode())).integers(3, VOCABULARY, (1, length)).astype(np.int32)


# What torch gives


def expected(family: str) -> dict[str, np.ndarray[Any, Any]]:
    """Ids, and what the model gives for them by its own ways: (n, V) logits or (n, d) hidden values, float32.

    A decoder's row depends on the tokens before it alone, so there is one run of the longest input, `output`. Of an encoder there is
    one for each length, `output-N`, without padding.
    """
    model, ids = model_of(family), ids_of(family)
    arrays = {"ids": ids[0]}
    with torch.no_grad():
        if family in ENCODERS:
            for real in sorted({real for lengths in LENGTHS.values() for real, _ in lengths}):
                tokens = torch.from_numpy(ids[:, :real]).long()
                result = model(tokens).logits if family == "bert" else model.encoder(tokens).last_hidden_state
                arrays[f"output-{real}"] = result[0].numpy()
        elif family == "t5-decoder":
            source = np.random.default_rng(7).standard_normal((1, SOURCE, WIDTH)).astype(np.float16).astype(np.float32)
            seen = torch.arange(SOURCE)[None] < SOURCE_REAL
            hidden = BaseModelOutput(torch.from_numpy(source))
            result = model(
                decoder_input_ids=torch.from_numpy(ids).long(), encoder_outputs=hidden, attention_mask=seen.long()
            ).logits
            arrays |= {"source": source[0], "output": result[0].numpy()}
        else:
            arrays["output"] = model(torch.from_numpy(ids).long()).logits[0].numpy()
    return arrays


# What is traced: the model behind a mask of four dimensions and positions that are given, which transformers passes on unchanged


def _hide(seen: Tensor) -> Tensor:
    return (1.0 - seen.float()) * HIDDEN


def _causal(attention_mask: Tensor) -> Tensor:
    at = torch.arange(attention_mask.shape[1])
    return _hide(((at[None, :] <= at[:, None]) & (attention_mask > 0))[None, None])


class Decoder(nn.Module):
    """(input_ids, attention_mask) -> logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        positions = torch.arange(input_ids.shape[1])[None]
        mask = _causal(attention_mask)
        return self.model(input_ids, attention_mask=mask, position_ids=positions, use_cache=False).logits


class Bert(nn.Module):
    """(input_ids, attention_mask, token_type_ids) -> token_scores."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = torch.arange(input_ids.shape[1])[None]
        mask = _hide(attention_mask)[:, None, None, :]
        return self.model(input_ids, attention_mask=mask, token_type_ids=token_type_ids, position_ids=positions).logits


class T5Encoder(nn.Module):
    """(input_ids, attention_mask) -> last_hidden_state."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model.encoder(input_ids, attention_mask=_hide(attention_mask)[:, None, None, :]).last_hidden_state


class T5Decoder(nn.Module):
    """(decoder_input_ids, decoder_attention_mask, encoder_outputs, attention_mask) -> logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, decoder_input_ids: Tensor, decoder_attention_mask: Tensor, encoder_outputs: Tensor, attention_mask: Tensor
    ) -> Tensor:
        return self.model(
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=_causal(decoder_attention_mask),
            encoder_outputs=BaseModelOutput(encoder_outputs),
            attention_mask=_hide(attention_mask)[:, None, None, :],
            use_cache=False,
        ).logits


class SliceCache(Cache):
    """Keys and values in two arrays of all layers, (layers, 1, heads, context, d): written from `begin` on, read up to `end`."""

    def __init__(self, keys: Tensor, values: Tensor, begin: Tensor, end: Tensor) -> None:
        super().__init__(layers=[])
        self.keys, self.values, self.begin, self.end = keys, values, begin, end

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        written = self.begin + key_states.shape[2]
        self.keys[layer_idx, :, :, self.begin : written, :] = key_states
        self.values[layer_idx, :, :, self.begin : written, :] = value_states
        return self.keys[layer_idx, :, :, : self.end, :], self.values[layer_idx, :, :, : self.end, :]

    def get_seq_length(self, layer_idx: int = 0) -> Any:
        return self.begin


class NoCache(Cache):
    """Of T5's cross attention, whose keys and values are computed again at each step."""

    def __init__(self) -> None:
        super().__init__(layers=[])

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return key_states, value_states


class Stateful(nn.Module):
    """(inputIds, causalMask) -> logits, with states keyCache and valueCache: the swift-transformers form.

    The number of tokens that were read is what the mask is wider than the ids. With enumerated shapes the mask is as wide as the
    context, and the number is a third input, `position`. A T5 decoder's last inputs are those of the encoder.
    """

    def __init__(self, model: Any, heads: int, d: int, positioned: bool) -> None:
        super().__init__()
        self.model, self.positioned = model, positioned
        self.register_buffer("keyCache", torch.zeros(LAYERS, 1, heads, CONTEXT, d))
        self.register_buffer("valueCache", torch.zeros(LAYERS, 1, heads, CONTEXT, d))

    def forward(self, inputIds: Tensor, causalMask: Tensor, *rest: Tensor) -> Tensor:
        begin = rest[0][0] if self.positioned else causalMask.shape[-1] - inputIds.shape[-1]
        positions = (torch.arange(inputIds.shape[1]) + begin)[None]
        cache = SliceCache(self.keyCache, self.valueCache, begin, causalMask.shape[-1])
        if self.model.config.model_type == "t5":
            encoder_outputs, attention_mask = rest[-2:]
            return self.model(
                decoder_input_ids=inputIds,
                decoder_attention_mask=causalMask,
                encoder_outputs=BaseModelOutput(encoder_outputs),
                attention_mask=_hide(attention_mask)[:, None, None, :],
                past_key_values=EncoderDecoderCache(cache, NoCache()),
                use_cache=True,
            ).logits
        return self.model(inputIds, attention_mask=causalMask, position_ids=positions, past_key_values=cache, use_cache=True).logits


def cache_shape(model: Any) -> tuple[int, int]:
    """Heads of keys and values, and how wide each is: what the model itself would keep."""
    cache = transformers.DynamicCache()
    with torch.no_grad():
        if model.config.model_type == "t5":
            return HEADS, model.config.d_kv
        model(torch.ones(1, 1, dtype=torch.long), past_key_values=cache, use_cache=True)
    _, heads, _, d = cache.layers[0].keys.shape
    return heads, d


def wrapper_of(family: str, form: str, model: Any) -> nn.Module:
    """What is traced for a form. Its inputs are the package's, in order."""
    if form.startswith("stateful"):
        return Stateful(model, *cache_shape(model), positioned=form == "stateful-enumerated").eval()
    wrappers = {"bert": Bert, "t5-encoder": T5Encoder, "t5-decoder": T5Decoder}
    return wrappers.get(family, Decoder)(model).eval()


# What is compared


def forms_of(family: str) -> Iterator[tuple[str, list[list[tuple[int, int, int]]]]]:
    """Each form with its runs: lists of steps (tokens before, tokens, length of the input)."""
    for form, lengths in LENGTHS.items():
        yield form, [[(0, real, padded)] for real, padded in lengths]
    if family not in ENCODERS:
        run = [(0, PROMPT, PROMPT), *((PROMPT + step, 1, 1) for step in range(STEPS))]
        yield "stateful-range", [run]
        yield "stateful-enumerated", [run]
