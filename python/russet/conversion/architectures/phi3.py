"""Phi-3 and Phi-4-mini: Llama's shape, with queries, keys and values in one matrix, and gate and up in another."""

from __future__ import annotations

from russet.conversion.architectures.llama import shaped
from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder


def decoder(config: Config) -> Decoder:
    """A model of type ``phi3``."""
    window = config.optional_integer("sliding_window")
    windows = [window] * config.integer("num_hidden_layers")
    return shaped(config, is_fused=True, windows=windows, epsilon=1e-5)
