"""What a tokenizer returns: a dict of ids and masks that also knows where in the text each token comes from."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from russet import _core
from russet.errors import ArgumentError
from russet.pretrained.tensors import framework_of, to_framework
from russet.tokenizers import Encoding


class CharSpan(NamedTuple):
    """Characters of a text: the first, and one past the last."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens: the first, and one past the last."""

    start: int
    end: int


class BatchEncoding(UserDict[str, Any]):
    """A dict of ``input_ids``, ``attention_mask`` and so on, whose values are attributes too.

    Made of a tokenizer's result it also maps characters, words and tokens to each other. All of these take the index in the
    batch first where there are several texts: ``char_to_token(3)`` or ``char_to_token(0, 3)``. What maps is computed when it is
    first asked for.

    Args:
        data: the values by name.
        encoding: what the tokenizer gave for each row.
        tensor_type: makes arrays of the values: ``"np"``, ``"pt"``, ``"mlx"`` or ``"jax"``.
        prepend_batch_axis: puts each value into a batch of one before it becomes an array.
        n_sequences: 1 for texts, 2 for pairs; taken from ``encoding`` where not given.
    """

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        encoding: Any = None,
        tensor_type: Any = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        self.data = {} if data is None else dict(data)
        if encoding is not None and not isinstance(encoding, (list, tuple)):
            encoding = [encoding]
        self._cores: list[Any] | None = None if encoding is None else [getattr(one, "_core", one) for one in encoding]
        self._wrapped: list[Encoding] | None = None
        self._n_sequences = n_sequences
        if tensor_type is not None:
            self.convert_to_tensors(tensor_type, prepend_batch_axis)

    @classmethod
    def _of(cls, data: dict[str, Any], cores: list[_core.Encoding]) -> BatchEncoding:
        """The same without copies and checks."""
        made = object.__new__(cls)
        made.__dict__.update(data=data, _cores=cores, _wrapped=None, _n_sequences=None)
        return made

    # As a dict

    def __getitem__(self, item: Any) -> Any:
        """The value of a name; the :class:`Encoding` of a row; or a dict of that slice of each value."""
        if isinstance(item, str):
            return self.data[item]
        if self._cores is not None:
            encodings = self.encodings
            assert encodings is not None
            return encodings[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(f"{item!r}: names and slices are keys; rows are where a tokenizer made this")

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data")
        if data is None or name not in data:
            raise AttributeError(f"BatchEncoding has no attribute or key {name!r}")
        return data[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "encodings": self.encodings, "n_sequences": self._n_sequences}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["data"], state["encodings"], n_sequences=state.get("n_sequences"))  # type: ignore[misc]

    def __copy__(self) -> BatchEncoding:
        copy = BatchEncoding(self.data, self._cores, n_sequences=self._n_sequences)
        return copy

    copy = __copy__

    # As arrays

    def convert_to_tensors(self, tensor_type: Any = None, prepend_batch_axis: bool = False) -> BatchEncoding:
        """Makes arrays of all values, in place.

        Raises:
            ArgumentError: for rows of several lengths, and for a framework that is not there.
        """
        if tensor_type is not None:
            convert = to_framework(framework_of(tensor_type))
            made = {key: convert(key, [value] if prepend_batch_axis else value) for key, value in self.data.items()}
            self.data.update(made)
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Moves torch tensors to a device, in place."""
        if not any(type(value).__module__.partition(".")[0] == "torch" for value in self.data.values()):
            raise ArgumentError("there are no torch tensors to move: ask for them with return_tensors='pt'", argument="device")
        self.data = {
            key: value.to(device=device, non_blocking=non_blocking) if callable(getattr(value, "to", None)) else value
            for key, value in self.data.items()
        }
        return self

    # Where tokens come from

    @property
    def n_sequences(self) -> int | None:
        """1 for texts, 2 for pairs, ``None`` where no tokenizer made this."""
        if self._n_sequences is None and self._cores:
            self._n_sequences = self._cores[0].n_sequences
        return self._n_sequences

    @property
    def is_fast(self) -> bool:
        """Whether tokens can be mapped to the text."""
        return self._cores is not None

    @property
    def encodings(self) -> list[Encoding] | None:
        """The :class:`russet.tokenizers.Encoding` of each row."""
        if self._wrapped is None and self._cores is not None:
            self._wrapped = [Encoding._over(core) if isinstance(core, _core.Encoding) else core for core in self._cores]
        return self._wrapped

    # transformers' own name, which its data collators and pipelines read
    _encodings = encodings

    def _row(self, index: int) -> Any:
        if not self._cores:
            raise ArgumentError("this was not made by a tokenizer from texts, so that tokens cannot be mapped to a text")
        return self._cores[index]

    def _at(self, first: int, second: int | None, from_end: bool) -> tuple[Any, int]:
        row, index = (0, first) if second is None else (first, second)
        core = self._row(row)
        return core, index + len(core) if index < 0 and from_end else index

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row."""
        tokens: list[str] = self._row(batch_index).tokens
        return tokens

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """The sequence, 0 or 1, of each token of a row; ``None`` for special tokens."""
        ids: list[int | None] = self._row(batch_index).sequence_ids
        return ids

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """The word of each token of a row; ``None`` for special tokens."""
        ids: list[int | None] = self._row(batch_index).word_ids
        return ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The sequence of a token."""
        core, index = self._at(batch_or_token_index, token_index, True)
        found: int | None = _asked(core.token_to_sequence, index)
        return found

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The word of a token."""
        core, index = self._at(batch_or_token_index, token_index, True)
        found: int | None = _asked(core.token_to_word, index)
        return found

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """The characters of a token; ``None`` for special tokens."""
        core, index = self._at(batch_or_token_index, token_index, False)
        span = _asked(core.token_to_chars, index)
        return None if span is None else CharSpan(*span)

    def word_to_tokens(self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0) -> TokenSpan | None:
        """The tokens of a word; ``None`` where it has none."""
        core, index = self._at(batch_or_word_index, word_index, True)
        span = _asked(core.word_to_tokens, index, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0) -> CharSpan:
        """The characters of a word.

        Raises:
            ArgumentError: where there is no such word.
        """
        core, index = self._at(batch_or_word_index, word_index, False)
        span = _asked(core.word_to_chars, index, sequence_index)
        if span is None:
            raise ArgumentError(f"there is no word {index}")
        return CharSpan(*span)

    def char_to_token(self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0) -> int | None:
        """The token that a character is in; ``None`` where it is in none."""
        core, index = self._at(batch_or_char_index, char_index, False)
        found: int | None = _asked(core.char_to_token, index, sequence_index)
        return found

    def char_to_word(self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0) -> int | None:
        """The word that a character is in; ``None`` where it is in none."""
        core, index = self._at(batch_or_char_index, char_index, False)
        found: int | None = _asked(core.char_to_word, index, sequence_index)
        return found


def _asked(method: Callable[..., Any], *indices: int) -> Any:
    try:
        return method(*indices)
    except OverflowError as error:
        raise ArgumentError(f"an index that counts from the end is not for characters: {indices[0]}") from error


def rows_of(encodings: Sequence[_core.Encoding], with_overflowing: bool) -> list[_core.Encoding]:
    """Each encoding, with the parts that were cut off after it where they are asked for."""
    if not with_overflowing:
        return list(encodings)
    return [row for encoding in encodings for row in (encoding, *encoding.overflowing)]
