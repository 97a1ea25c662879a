"""Ready-made tokenizers. They are made of components and training, which are not supported yet."""

from __future__ import annotations

from typing import Any

from russet.tokenizers._strings import missing

__all__ = [
    "BaseTokenizer",
    "BertWordPieceTokenizer",
    "ByteLevelBPETokenizer",
    "CharBPETokenizer",
    "SentencePieceBPETokenizer",
    "SentencePieceUnigramTokenizer",
]


class BaseTokenizer:
    """The base of all ready-made tokenizers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        missing(f"implementations.{type(self).__name__}", "use Tokenizer, which has the same methods")


class BertWordPieceTokenizer(BaseTokenizer):
    """As BERT."""


class ByteLevelBPETokenizer(BaseTokenizer):
    """As GPT-2."""


class CharBPETokenizer(BaseTokenizer):
    """As the first GPT."""


class SentencePieceBPETokenizer(BaseTokenizer):
    """As SentencePiece's BPE."""


class SentencePieceUnigramTokenizer(BaseTokenizer):
    """As SentencePiece's Unigram."""
