"""The tokens that a tokenizer puts around a text, where its settings say so and not its file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from russet.tokenizers import Tokenizer


def template(bos: tuple[str, int] | None, eos: tuple[str, int] | None) -> str:
    """The saved form of a post-processor that puts ``bos`` before and ``eos`` after each text; the second has type 1."""

    def around(sequence: str, type_id: int) -> list[dict[str, Any]]:
        pieces: list[dict[str, Any]] = [{"Sequence": {"id": sequence, "type_id": type_id}}]
        before = [] if bos is None else [{"SpecialToken": {"id": bos[0], "type_id": type_id}}]
        after = [] if eos is None else [{"SpecialToken": {"id": eos[0], "type_id": type_id}}]
        return before + pieces + after

    tokens = {text: {"id": text, "ids": [id], "tokens": [text]} for text, id in filter(None, (bos, eos))}
    single = around("A", 0)
    processor = {"type": "TemplateProcessing", "single": single, "pair": single + around("B", 1), "special_tokens": tokens}
    return json.dumps(processor)


class PostProcessorMixin:
    """``add_bos_token`` and ``add_eos_token``: setting one replaces the post-processor of the file."""

    _tokenizer: Tokenizer
    _add_bos_token: bool
    _add_eos_token: bool

    def update_post_processor(self) -> None:
        """Makes the post-processor anew from ``bos_token``, ``eos_token``, ``add_bos_token`` and ``add_eos_token``."""
        parts: list[tuple[str, int] | None] = []
        for name in ("bos", "eos"):
            token = getattr(self, f"{name}_token")
            if token is None and getattr(self, f"_add_{name}_token"):
                object.__setattr__(self, f"_add_{name}_token", False)
            wanted = getattr(self, f"_add_{name}_token")
            parts.append((token, getattr(self, f"{name}_token_id")) if wanted else None)
        saved = template(*parts)
        self._tokenizer._change(lambda state: state._replace(core=state.core._with_part("post_processor", saved)))

    @property
    def add_bos_token(self) -> bool:
        """Whether ``bos_token`` comes before each text, by a setting; a file's post-processor may do so without."""
        return self._add_bos_token

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        object.__setattr__(self, "_add_bos_token", value)
        self.update_post_processor()

    @property
    def add_eos_token(self) -> bool:
        """Whether ``eos_token`` comes after each text, by a setting; a file's post-processor may do so without."""
        return self._add_eos_token

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        object.__setattr__(self, "_add_eos_token", value)
        self.update_post_processor()
