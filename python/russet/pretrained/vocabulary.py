"""Tokens and ids of a tokenizer, and the special tokens that it puts around ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from russet import _core
from russet.errors import ArgumentError
from russet.pretrained.special_tokens import SpecialTokensMixin
from russet.tokenizers._added_token import AddedToken


class VocabularyMixin(SpecialTokensMixin):
    """The vocabulary, and what becomes of ids without a text."""

    model_max_length: int

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The token of an id, or of each of a list; ``None`` for an id that no token has."""
        core = self._tokenizer._ready().core
        try:
            if isinstance(ids, int):
                return core.id_to_token(ids)
            left_out = set(self.all_special_ids) if skip_special_tokens else ()
            return [core.id_to_token(id) for id in map(int, ids) if id not in left_out]
        except (TypeError, OverflowError, ValueError) as error:
            raise ArgumentError(f"ids are whole numbers from 0: {error}", argument="ids") from error

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """The text of tokens, by the decoder alone."""
        decoder = self._tokenizer.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))

    # Vocabulary

    def __len__(self) -> int:
        """The number of tokens, added ones included."""
        return self._tokenizer.get_vocab_size()

    def __bool__(self) -> bool:
        return True

    @property
    def vocab_size(self) -> int:
        """The number of tokens without added ones."""
        return self._tokenizer.get_vocab_size(with_added_tokens=False)

    def get_vocab(self) -> dict[str, int]:
        """All tokens and their ids."""
        return self._tokenizer.get_vocab()

    @property
    def vocab(self) -> dict[str, int]:
        """All tokens and their ids."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return self._tokenizer.get_added_tokens_decoder()

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The ids of added tokens, in the order of ids."""
        return {token.content: id for id, token in sorted(self.added_tokens_decoder.items())}

    def get_added_vocab(self) -> dict[str, int]:
        """The ids of added tokens, in the order of ids."""
        return self.added_tokens_encoder

    # Special tokens around a text

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many tokens are added to a text, or to a pair."""
        return self._tokenizer.num_special_tokens_to_add(pair)

    @property
    def max_len_single_sentence(self) -> int:
        """How many tokens a text may have before special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """How many tokens a pair may have before special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def build_inputs_with_special_tokens(self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None) -> list[int]:
        """The ids of a text, or a pair, with special tokens around them."""
        return self._surrounded(token_ids_0, token_ids_1).ids

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """The type of each of those ids."""
        return self._surrounded(token_ids_0, token_ids_1).type_ids

    def _surrounded(self, ids: Sequence[int], pair: Sequence[int] | None) -> _core.Encoding:
        core = self._tokenizer._ready().core
        first = _bare(core, ids)
        return core._post_process(first, None if pair is None else _bare(core, pair), True, None, None)

    def get_special_tokens_mask(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for each special token and 0 for others: among ids that have them, or in what they become with them."""
        if not already_has_special_tokens:
            return self._surrounded(token_ids_0, token_ids_1).special_tokens_mask
        if token_ids_1 is not None:
            raise ArgumentError("ids that have their special tokens are given as one", argument="token_ids_1")
        special = set(self.all_special_ids)
        return [int(id in special) for id in map(int, token_ids_0)]


def _bare(core: _core.Tokenizer, ids: Sequence[int]) -> _core.Encoding:
    """Ids as if a text had been encoded to them."""
    numbers = [int(id) for id in ids]
    count = len(numbers)
    tokens = [core.id_to_token(id) or "" for id in numbers]
    nothing = [0] * count
    return _core.Encoding._from_fields(
        numbers, nothing, tokens, [None] * count, [(0, 0)] * count, nothing, [1] * count, [], [(0, (0, count))]
    )
