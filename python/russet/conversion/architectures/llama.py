"""Llama, and the shape that most families have since: RMS norms, rotary positions, grouped heads of keys, a gated feed-forward.

Llama 2 and 3, TinyLlama, SmolLM, Yi, DeepSeek's first models and many more call themselves ``llama``.
"""

from __future__ import annotations

from collections.abc import Callable

from russet.conversion import rotary
from russet.conversion.configuration import Config
from russet.conversion.decoder import Activation, Attention, Decoder, FeedForward, Layer, Linear, Norm, Tensor

#: Activations by their names in configurations.
ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


def activation(config: Config, field: str, default: str) -> Activation:
    """The activation that a field names."""
    name = config.text(field, default)
    if name not in ACTIVATIONS:
        raise config.unsupported(field, f"{name!r} is not known; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def decoder(config: Config) -> Decoder:
    """A model of type ``llama``."""
    return shaped(config, attention_bias=config.flag("attention_bias", False), mlp_bias=config.flag("mlp_bias", False))


def shaped(
    config: Config,
    *,
    attention_bias: bool = False,
    output_bias: bool | None = None,
    mlp_bias: bool = False,
    has_head_norms: bool = False,
    windows: list[int | None] | None = None,
    is_rotary: Callable[[int], bool] = lambda layer: True,
    is_fused: bool = False,
    theta: float = 10000.0,
    tied: bool = False,
    kv_heads: int | None = None,
    epsilon: float = 1e-6,
) -> Decoder:
    """A model of Llama's shape.

    Args:
        config: The configuration.
        attention_bias: Whether queries, keys and values have biases.
        output_bias: Whether what attention gives has one; as ``attention_bias`` if none.
        mlp_bias: Whether the feed-forward has biases.
        has_head_norms: Whether each head of queries and of keys is normed.
        windows: How many tokens each layer sees.
        is_rotary: Whether a layer has rotary positions.
        is_fused: Whether queries, keys and values are one matrix, and gate and up another.
        theta: The base of rotary positions where the configuration names none.
        tied: Whether the embedding is the head where the configuration does not say.
        kv_heads: Heads of keys where the configuration does not say; as many as of queries if none.
        epsilon: That of norms where the configuration does not say.
    """
    hidden, heads, count = config.integer("hidden_size"), config.integer("num_attention_heads"), config.integer("num_hidden_layers")
    kv_heads = config.optional_integer("num_key_value_heads", kv_heads) or heads
    head_dim = config.optional_integer("head_dim") or hidden // heads
    if heads % kv_heads or (config.fields.get("head_dim") is None and hidden % heads):
        raise config.wrong("num_attention_heads", f"{heads} heads do not fit {kv_heads} of keys, or {hidden} elements")
    wide, vocabulary, epsilon = (
        config.integer("intermediate_size"),
        config.integer("vocab_size"),
        config.number("rms_norm_eps", epsilon),
    )
    act = activation(config, "hidden_act", "silu")
    output_bias = attention_bias if output_bias is None else output_bias
    q_rows, kv_rows = heads * head_dim, kv_heads * head_dim

    def linear(name: str, out: int, of: int, bias: bool, rows: tuple[int, int] | None = None) -> Linear:
        added = Tensor(f"{name}.bias", (out,), rows=rows) if bias else None
        return Linear(Tensor(f"{name}.weight", (out, of), rows=rows), added)

    def norm(name: str, size: int = hidden) -> Norm:
        return Norm("rms", Tensor(f"{name}.weight", (size,)), epsilon)

    def layer(index: int) -> Layer:
        at = f"model.layers.{index}"
        if is_fused:
            ends = (q_rows, q_rows + kv_rows, q_rows + 2 * kv_rows)
            q, k, v = (
                linear(f"{at}.self_attn.qkv_proj", end - begin, hidden, attention_bias, (begin, end))
                for begin, end in zip((0, *ends), ends, strict=False)
            )
            gate, up = (linear(f"{at}.mlp.gate_up_proj", wide, hidden, mlp_bias, rows) for rows in ((0, wide), (wide, 2 * wide)))
        else:
            q = linear(f"{at}.self_attn.q_proj", q_rows, hidden, attention_bias)
            k, v = (linear(f"{at}.self_attn.{name}_proj", kv_rows, hidden, attention_bias) for name in "kv")
            gate, up = (linear(f"{at}.mlp.{name}_proj", wide, hidden, mlp_bias) for name in ("gate", "up"))
        attention = Attention(
            heads,
            kv_heads,
            head_dim,
            q,
            k,
            v,
            linear(f"{at}.self_attn.o_proj", hidden, q_rows, output_bias),
            norm(f"{at}.self_attn.q_norm", head_dim) if has_head_norms else None,
            norm(f"{at}.self_attn.k_norm", head_dim) if has_head_norms else None,
            head_dim**-0.5,
            windows[index] if windows else None,
            is_rotary(index),
        )
        feed_forward = FeedForward(up, linear(f"{at}.mlp.down_proj", hidden, wide, mlp_bias), act, gate)
        return Layer(norm(f"{at}.input_layernorm"), attention, norm(f"{at}.post_attention_layernorm"), feed_forward)

    embedding = Tensor("model.embed_tokens.weight", (vocabulary, hidden))
    positions = rotary.read(config, head_dim, theta)
    is_tied = config.flag("tie_word_embeddings", tied)
    return Decoder(
        architecture=config.text("model_type"),
        vocab_size=vocabulary,
        hidden_size=hidden,
        embedding=embedding,
        positions=None,
        rotary=positions,
        layers=tuple(layer(index) for index in range(count)),
        norm=norm("model.norm"),
        head=Linear(embedding if is_tied else Tensor("lm_head.weight", (vocabulary, hidden))),
        context_length=positions.context_length,
    )


def windows_by_layer(config: Config) -> list[int | None] | None:
    """How many tokens each layer sees in the families where ``use_sliding_window`` turns windows on."""
    count = config.integer("num_hidden_layers")
    window = config.optional_integer("sliding_window", 4096)
    is_used = config.flag("use_sliding_window", False)
    first = config.integer("max_window_layers", 28)
    kinds = config.values("layer_types", count, str)
    if kinds is None:
        kinds = ["sliding_attention" if index >= first else "full_attention" for index in range(count)]
    for kind in kinds:
        if kind not in ("full_attention", "sliding_attention"):
            raise config.unsupported("layer_types", f"{kind!r} is not known")
    if not is_used or window is None:
        return None
    return [window if kind == "sliding_attention" else None for kind in kinds]
