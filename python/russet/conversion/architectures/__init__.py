"""The kinds of models that are converted: each a function from a configuration to a :class:`~russet.conversion.decoder.Decoder`.

A file is a ``model_type`` of transformers. What several share, such as Llama's shape, is in the file of the first of them.
"""

from __future__ import annotations

import importlib

from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder
from russet.errors import UnsupportedModelError

#: The model types that have a file here.
KNOWN = ("gpt2", "llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")


def decoder_of(config: Config) -> Decoder:
    """The decoder that a configuration describes.

    Raises:
        UnsupportedModelError: if its type, or a field that changes results, is not supported.
        ConfigError: if a field is missing or makes no sense.
    """
    kind = config.text("model_type")
    if kind not in KNOWN:
        raise UnsupportedModelError(f"config.json: the model type {kind!r} is not supported; known are {', '.join(KNOWN)}")
    module = importlib.import_module(f"russet.conversion.architectures.{kind}")
    decoder: Decoder = module.decoder(config)
    config.refuse_unsupported()
    return decoder
