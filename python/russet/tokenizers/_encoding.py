"""What a text was encoded to, in a form that can be changed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

from russet import _core
from russet.errors import ArgumentError

Kind = TypeVar("Kind", bound="Encoding")


class Encoding:
    """What a text or a pair was encoded to.

    Ids are there at once; everything else is computed when first asked for, from the text that the encoding keeps.
    """

    __slots__ = ("__dict__", "_core")

    def __init__(self) -> None:
        self._core = _core.Encoding._from_fields([], [], [], [], [], [], [], [], [])

    @classmethod
    def _over(cls: type[Kind], core: _core.Encoding) -> Kind:
        encoding = object.__new__(cls)
        encoding._core = core
        return encoding

    @property
    def ids(self) -> list[int]:
        """The ids."""
        return self._core.ids

    @property
    def type_ids(self) -> list[int]:
        """Which part of a pair each token belongs to, as models that were trained on pairs want it."""
        return self._core.type_ids

    @property
    def tokens(self) -> list[str]:
        """The text of each token."""
        return self._core.tokens

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The characters of the text that each token stands for: first, and one past the last."""
        return self._core.offsets

    @property
    def attention_mask(self) -> list[int]:
        """0 for padding, else 1."""
        return self._core.attention_mask

    @property
    def special_tokens_mask(self) -> list[int]:
        """1 for special tokens and padding, else 0."""
        return self._core.special_tokens_mask

    @property
    def word_ids(self) -> list[int | None]:
        """The index of the piece, or given word, that each token comes from."""
        return self._core.word_ids

    @property
    def words(self) -> list[int | None]:
        """The old name of :attr:`word_ids`."""
        message = "Deprecated in 0.9.4: Encoding.words is deprecated, please use Encoding.word_ids instead."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self._core.word_ids

    @property
    def sequence_ids(self) -> list[int | None]:
        """The sequence that each token comes from."""
        return self._core.sequence_ids

    @property
    def n_sequences(self) -> int:
        """The number of sequences."""
        return self._core.n_sequences

    @property
    def overflowing(self) -> list[Encoding]:
        """The parts that truncation cut off."""
        return [type(self)._over(part) for part in self._core.overflowing]

    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """The token that contains a character."""
        return self._core.char_to_token(char_pos, sequence_index)

    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """The word that contains a character."""
        return self._core.char_to_word(char_pos, sequence_index)

    def token_to_chars(self, token_index: int) -> tuple[int, int] | None:
        """The characters of a token."""
        return self._core.token_to_chars(token_index)

    def token_to_word(self, token_index: int) -> int | None:
        """The word of a token."""
        return self._core.token_to_word(token_index)

    def token_to_sequence(self, token_index: int) -> int | None:
        """The sequence of a token."""
        return self._core.token_to_sequence(token_index)

    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """The tokens of a word."""
        return self._core.word_to_tokens(word_index, sequence_index)

    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """The characters of a word."""
        return self._core.word_to_chars(word_index, sequence_index)

    def pad(self, length: int, **kwargs: Any) -> None:
        """Fills this and the overflowing parts up to ``length``.

        Keywords: ``direction`` ("right"), ``pad_id`` (0), ``pad_type_id`` (0), ``pad_token`` ("[PAD]").
        """
        options = {}
        for key, value in kwargs.items():
            if key not in ("direction", "pad_id", "pad_type_id", "pad_token"):
                print(f"Ignored unknown kwarg option {key}")
                continue
            if key == "direction" and value not in ("left", "right"):
                raise ArgumentError(f"Unknown `direction`: `{value}`. Use one of `left` or `right`")
            options[key] = value
        self._core = self._core.padded(length, **options)

    def truncate(self, max_length: int, stride: int = 0, direction: str = "right") -> None:
        """Cuts this to ``max_length``; what is cut off becomes :attr:`overflowing`, ``stride`` tokens repeated."""
        if direction not in ("left", "right"):
            raise ArgumentError(f"Invalid truncation direction value : {direction}")
        self._core = self._core.truncated(max_length, stride, direction)

    def set_sequence_id(self, sequence_id: int) -> None:
        """Says that all tokens come from the given sequence."""
        self._core = self._core.with_sequence_id(sequence_id)

    @classmethod
    def merge(cls: type[Kind], encodings: Sequence[Encoding], growing_offsets: bool = True) -> Kind:
        """One after the other. With ``growing_offsets``, offsets go on where those of the one before end."""
        return cls._over(_core.Encoding.merged([encoding._core for encoding in encodings], growing_offsets))

    def __len__(self) -> int:
        return len(self._core)

    def __repr__(self) -> str:
        return (
            f"Encoding(num_tokens={len(self._core)}, attributes=[ids, type_ids, tokens, offsets, attention_mask, "
            "special_tokens_mask, overflowing])"
        )

    def __getstate__(self) -> bytes:
        return json.dumps(_to_plain(self._core), ensure_ascii=False, separators=(",", ":")).encode()

    def __setstate__(self, state: bytes) -> None:
        self._core = _from_plain(json.loads(state))


_FIELDS = ("ids", "type_ids", "tokens", "words", "offsets", "special_tokens_mask", "attention_mask")


def _to_plain(core: _core.Encoding) -> dict[str, Any]:
    *fields, overflowing, ranges = core._fields()
    plain: dict[str, Any] = dict(zip(_FIELDS, fields, strict=True))
    plain["overflowing"] = [_to_plain(part) for part in overflowing]
    plain["sequence_ranges"] = {str(index): {"start": start, "end": end} for index, (start, end) in ranges}
    return plain


def _from_plain(plain: dict[str, Any]) -> _core.Encoding:
    ranges = [(int(index), (span["start"], span["end"])) for index, span in plain["sequence_ranges"].items()]
    fields = {**plain, "offsets": [(start, end) for start, end in plain["offsets"]]}
    overflowing = [_from_plain(part) for part in plain["overflowing"]]
    return _core.Encoding._from_fields(*[fields[name] for name in _FIELDS], overflowing, ranges)  # type: ignore[call-arg]


def in_bytes(core: _core.Encoding) -> _core.Encoding:
    """The same with offsets that count UTF-8 bytes."""
    ids, type_ids, tokens, words, _, special, attention, overflowing, ranges = core._fields()
    parts = [in_bytes(part) for part in overflowing]
    return _core.Encoding._from_fields(ids, type_ids, tokens, words, core.byte_offsets, special, attention, parts, ranges)
