"""Trainers. Training is not supported yet."""

from __future__ import annotations

from typing import Any

from russet.tokenizers._strings import missing

__all__ = ["BpeTrainer", "ParityBpeTrainer", "Trainer", "UnigramTrainer", "WordLevelTrainer", "WordPieceTrainer"]


class Trainer:
    """The base of all trainers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        missing(f"trainers.{type(self).__name__}", "train with the package tokenizers, save, and load the file here")


class BpeTrainer(Trainer):
    """Trains a BPE model."""


class ParityBpeTrainer(Trainer):
    """Trains a BPE model on texts in many languages."""


class UnigramTrainer(Trainer):
    """Trains a Unigram model."""


class WordLevelTrainer(Trainer):
    """Trains a WordLevel model."""


class WordPieceTrainer(Trainer):
    """Trains a WordPiece model."""
