"""Mistral: Llama's shape, with a window that every layer sees."""

from __future__ import annotations

from russet.conversion.architectures.llama import shaped
from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder


def decoder(config: Config) -> Decoder:
    """A model of type ``mistral``."""
    window = config.optional_integer("sliding_window", 4096)
    return shaped(config, windows=[window] * config.integer("num_hidden_layers"), kv_heads=8)
