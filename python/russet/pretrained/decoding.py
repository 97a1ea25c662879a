"""Ids back to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from russet import _core
from russet.errors import ArgumentError
from russet.pretrained.tensors import plain

_CLEAN = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
    (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


def clean_up(text: str) -> str:
    """Takes out the spaces that a tokenizer of words leaves before punctuation and English contractions."""
    for spaced, clean in _CLEAN:
        text = text.replace(spaced, clean)
    return text


def decode(core: _core.Tokenizer, ids: Any, skip_special_tokens: bool, clean: bool) -> str | list[str]:
    """The text of ids, or of each list of ids. Ids that no token has are left out.

    Raises:
        ArgumentError: for what are no ids.
    """
    ids = plain(ids)
    if isinstance(ids, Mapping):
        ids = plain(ids["input_ids"])
    try:
        if isinstance(ids, (list, tuple)) and ids and isinstance(ids[0], (list, tuple)):
            texts = core._decode_batch(ids, skip_special_tokens)
            return [clean_up(text) for text in texts] if clean else texts
        text = core._decode([ids] if isinstance(ids, int) else ids, skip_special_tokens)
    except (TypeError, OverflowError) as error:
        raise ArgumentError(
            f"ids are whole numbers from 0, in a list, in lists of one length or several, or an array: {error}"
        ) from error
    return clean_up(text) if clean else text
