"""The model on board: a Llama of two million parameters that ships with Russet, so that something talks without a network.

It writes as Jane Austen's novels do, knows nothing, and serves to try and to test what runs models. ``examples/onboard`` has
the scripts that make it, the checkpoint that it was converted from, and what was measured of it.

    >>> import russet, russet.onboard
    >>> lm = russet.LanguageModel.from_pretrained(russet.onboard.path())
    >>> lm.generate("It is a truth", max_new_tokens=8, seed=1).finish_reason
    'length'
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["path"]


def path() -> Path:
    """The folder that holds the package, its tokenizer with the chat template, and its generation settings."""
    return Path(__file__).parent / "model"
