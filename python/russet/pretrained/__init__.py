"""Tokenizers as transformers has them: ``AutoTokenizer``, ``PreTrainedTokenizer``, ``BatchEncoding``."""

from __future__ import annotations

from russet.pretrained.auto import AutoTokenizer
from russet.pretrained.batch_encoding import BatchEncoding, CharSpan, TokenSpan
from russet.pretrained.tokenizer import PreTrainedTokenizer

__all__ = ["AutoTokenizer", "BatchEncoding", "CharSpan", "PreTrainedTokenizer", "TokenSpan"]
