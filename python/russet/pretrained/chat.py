"""Chat templates of a tokenizer."""

from __future__ import annotations


class ChatMixin:
    """What a tokenizer does with messages."""
