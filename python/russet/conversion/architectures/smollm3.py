"""SmolLM3: Llama's shape, in which every fourth layer has no positions."""

from __future__ import annotations

from russet.conversion.architectures.llama import shaped, windows_by_layer
from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder


def decoder(config: Config) -> Decoder:
    """A model of type ``smollm3``."""
    count, interval = config.integer("num_hidden_layers"), config.integer("no_rope_layer_interval", 4)
    given = config.values("no_rope_layers", count, int)
    if given is None:
        given = [int((index + 1) % interval != 0) for index in range(count)]
    if config.fields.get("layer_types") is None and config.flag("use_sliding_window", False):
        raise config.unsupported("use_sliding_window", "without 'layer_types' it is not known which layers have a window")
    bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    return shaped(
        config,
        attention_bias=bias,
        mlp_bias=mlp_bias,
        windows=windows_by_layer(config),
        is_rotary=lambda index: bool(given[index]),
        theta=2000000.0,
        tied=True,
        kv_heads=4,
    )
