"""Qwen3: Llama's shape, with norms of each head of queries and keys."""

from __future__ import annotations

from russet.conversion.architectures.llama import shaped, windows_by_layer
from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder


def decoder(config: Config) -> Decoder:
    """A model of type ``qwen3``."""
    bias = config.flag("attention_bias", False)
    return shaped(config, attention_bias=bias, has_head_norms=True, windows=windows_by_layer(config))
