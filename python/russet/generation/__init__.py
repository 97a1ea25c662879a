"""Generating text with a language model, of whatever kind: anything that is a :class:`LanguageModel`."""

from __future__ import annotations

from russet.generation.config import GenerationConfig
from russet.generation.prompt_cache import PromptCache
from russet.generation.protocol import Context, LanguageModel
from russet.generation.stopping import CancelToken
from russet.generation.stream import astream_generate, generate, stream_generate
from russet.generation.streamers import AsyncTextIteratorStreamer, BaseStreamer, TextIteratorStreamer, TextStreamer
from russet.generation.text import Generation, GenerationPiece, Timings, Usage

__all__ = [
    "AsyncTextIteratorStreamer",
    "BaseStreamer",
    "CancelToken",
    "Context",
    "Generation",
    "GenerationConfig",
    "GenerationPiece",
    "LanguageModel",
    "PromptCache",
    "TextIteratorStreamer",
    "TextStreamer",
    "Timings",
    "Usage",
    "astream_generate",
    "generate",
    "stream_generate",
]
