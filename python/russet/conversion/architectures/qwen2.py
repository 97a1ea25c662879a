"""Qwen2 and Qwen2.5: Llama's shape, with biases of queries, keys and values, and windows in some layers."""

from __future__ import annotations

from russet.conversion.architectures.llama import shaped, windows_by_layer
from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder


def decoder(config: Config) -> Decoder:
    """A model of type ``qwen2``."""
    return shaped(config, attention_bias=True, output_bias=False, windows=windows_by_layer(config))
