"""GPT-2: layer norms with biases, learned positions, one matrix of queries, keys and values stored (in, out), a tied head."""

from __future__ import annotations

from russet.conversion.architectures.llama import activation
from russet.conversion.configuration import Config
from russet.conversion.decoder import Attention, Decoder, FeedForward, Layer, Linear, Norm, Tensor


def decoder(config: Config) -> Decoder:
    """A model of type ``gpt2``."""
    hidden, heads, vocabulary = config.integer("n_embd"), config.integer("n_head"), config.integer("vocab_size")
    positions, epsilon = config.integer("n_positions"), config.number("layer_norm_epsilon", 1e-5)
    wide = config.optional_integer("n_inner") or 4 * hidden
    if hidden % heads:
        raise config.wrong("n_head", f"{heads} heads do not divide {hidden} elements")
    act = activation(config, "activation_function", "gelu_new")
    head_dim = hidden // heads
    scale = head_dim**-0.5 if config.flag("scale_attn_weights", True) else 1.0
    by_layer = config.flag("scale_attn_by_inverse_layer_idx", False)

    def linear(name: str, out: int, of: int, rows: tuple[int, int] | None = None) -> Linear:
        weight = Tensor(f"{name}.weight", (out, of), transposed=True, rows=rows)
        return Linear(weight, Tensor(f"{name}.bias", (out,), rows=rows))

    def norm(name: str) -> Norm:
        return Norm("layer", Tensor(f"{name}.weight", (hidden,)), epsilon, Tensor(f"{name}.bias", (hidden,)))

    def layer(index: int) -> Layer:
        at = f"transformer.h.{index}"
        q, k, v = (linear(f"{at}.attn.c_attn", hidden, hidden, (part * hidden, (part + 1) * hidden)) for part in range(3))
        attention = Attention(
            heads,
            heads,
            head_dim,
            q,
            k,
            v,
            linear(f"{at}.attn.c_proj", hidden, hidden),
            scale=scale / (index + 1) if by_layer else scale,
            is_rotary=False,
        )
        feed_forward = FeedForward(linear(f"{at}.mlp.c_fc", wide, hidden), linear(f"{at}.mlp.c_proj", hidden, wide), act)
        return Layer(norm(f"{at}.ln_1"), attention, norm(f"{at}.ln_2"), feed_forward)

    embedding = Tensor("transformer.wte.weight", (vocabulary, hidden))
    is_tied = config.flag("tie_word_embeddings", True)
    return Decoder(
        architecture="gpt2",
        vocab_size=vocabulary,
        hidden_size=hidden,
        embedding=embedding,
        positions=Tensor("transformer.wpe.weight", (positions, hidden)),
        rotary=None,
        layers=tuple(layer(index) for index in range(config.integer("n_layer"))),
        norm=norm("transformer.ln_f"),
        head=Linear(embedding if is_tied else Tensor("lm_head.weight", (vocabulary, hidden))),
        context_length=positions,
    )
