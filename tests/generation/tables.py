"""Tables of logits that are made of a counter by integer arithmetic, so that any program can repeat them to the bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def table(rows: int, columns: int, seed: int) -> NDArray[np.float32]:
    """Numbers from -4 to below 4 in steps of 2^-17, (rows, columns): sums of two are exact in float32, and seldom equal."""
    index = np.arange(rows * columns, dtype=np.uint64) + np.uint64(seed) * np.uint64(1_000_003)
    mixed = (index + np.uint64(1)) * np.uint64(0x9E37_79B9_7F4A_7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    mixed ^= mixed >> np.uint64(31)
    steps = (mixed % np.uint64(1 << 20)).astype(np.int64) - (1 << 19)
    return (steps.astype(np.float32) / np.float32(1 << 17)).reshape(rows, columns)


def tables(vocab_size: int, seed: int, sharpness: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits behind an id, and what the id before that adds, (V, V) each."""
    return (
        table(vocab_size, vocab_size, seed) * np.float32(sharpness),
        table(vocab_size, vocab_size, seed + 1) * np.float32(sharpness / 2),
    )
