"""The tokenizer that can be changed: a shell over one that cannot.

All that can change is one immutable tuple, which a change replaces as a whole. A call reads it once and passes its settings
on as the call's options, so it never sees half of a change, and no lock is taken. Added tokens are collected and compiled
together at the next use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, TypeVar, cast

from russet import _core
from russet.errors import ArgumentError
from russet.hub import resolve_tokenizer
from russet.tokenizers._added_token import AddedToken, Flags, flags_of, from_flags, is_added_token
from russet.tokenizers._component import Component, changed_since, nothing, saved_form
from russet.tokenizers._encoding import Encoding, in_bytes
from russet.tokenizers._strings import missing
from russet.tokenizers.decoders import Decoder
from russet.tokenizers.models import Model
from russet.tokenizers.normalizers import Normalizer
from russet.tokenizers.pre_tokenizers import PreTokenizer
from russet.tokenizers.processors import PostProcessor

if TYPE_CHECKING:
    from asyncio import Future


Part = TypeVar("Part", bound=Component)
Result = TypeVar("Result")
Shell = TypeVar("Shell", bound="Tokenizer")


class _State(NamedTuple):
    core: _core.Tokenizer
    truncation: _core.Truncation | None
    padding: _core.Padding | None
    encode_special_tokens: bool
    # Added tokens that are not compiled yet: (those before, the last batch).
    waiting: Any = None


# Held for a few instructions, by those who change a tokenizer, never while something is compiled.
_changing = threading.Lock()


def _renew_lock() -> None:
    global _changing
    _changing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Tokenizer:
    """A tokenizer with the interface of ``tokenizers.Tokenizer``.

    Its settings can be changed at any time, by any thread; a call that is under way keeps those it began with.
    """

    #: What encoding gives; other packages' stand-ins have their own.
    _encoding_class: ClassVar[type[Encoding]] = Encoding

    def __init__(self, model: Model) -> None:
        saved = saved_form(model, Model) if model is not None else None
        if saved is None:
            raise TypeError("'None' object is not an instance of 'Model'")
        self._take(nothing()._with_part("model", saved))

    @classmethod
    def _over(cls: type[Shell], core: _core.Tokenizer) -> Shell:
        tokenizer = object.__new__(cls)
        tokenizer._take(core)
        return tokenizer

    def _take(self, core: _core.Tokenizer) -> None:
        self._state = _State(core, core.truncation, core.padding, False)
        # The flags of each added token by content, kept from the first time that tokens are added.
        self._known: dict[str, Flags] | None = None
        # The view of each part that was asked for, with the core that it is of.
        self._views: dict[str, tuple[_core.Tokenizer, Component | None]] = {}

    def _change(self, change: Callable[[_State], _State]) -> _State:
        while True:
            before = self._state
            after = change(before)
            with _changing:
                if self._state is before:
                    self._state = after
                    return after

    def _ready(self) -> _State:
        state = self._state
        return state if state.waiting is None else self._change(_compile_waiting)

    # Files

    @classmethod
    def from_str(cls: type[Shell], json: str) -> Shell:
        """A tokenizer from the text of a tokenizer.json."""
        return cls._over(_core.Tokenizer.from_str(json))

    @classmethod
    def from_file(cls: type[Shell], path: str) -> Shell:
        """A tokenizer from a file."""
        return cls._over(_core.Tokenizer.from_file(path))

    @classmethod
    def from_buffer(cls: type[Shell], buffer: bytes) -> Shell:
        """A tokenizer from the bytes of a tokenizer.json."""
        return cls._over(_core.Tokenizer.from_buffer(buffer))

    @classmethod
    def from_pretrained(cls: type[Shell], identifier: str, revision: str = "main", token: str | None = None) -> Shell:
        """A tokenizer from a folder, or from a repository on the Hub."""
        return cls.from_file(str(resolve_tokenizer(identifier, revision, token)))

    def to_str(self, pretty: bool = False) -> str:
        """The text of a tokenizer.json."""
        state = self._ready()
        return state.core._with_limits(state.truncation, state.padding).to_str(pretty)

    def save(self, path: str, pretty: bool = True) -> None:
        """Writes a tokenizer.json."""
        state = self._ready()
        state.core._with_limits(state.truncation, state.padding).save(path, pretty)

    def __getstate__(self) -> bytes:
        return self.to_str().encode()

    def __setstate__(self, state: bytes) -> None:
        self._take(_core.Tokenizer.from_buffer(state))

    def __repr__(self) -> str:
        from russet.tokenizers._repr import long_form

        return long_form(self.to_str(), None)

    def __str__(self) -> str:
        from russet.tokenizers._repr import short_form

        return short_form(self.to_str(), None)

    # Encoding and decoding

    def encode(self, sequence: Any, pair: Any = None, is_pretokenized: bool = False, add_special_tokens: bool = True) -> Encoding:
        """Encodes a text or a pair; lists of words with ``is_pretokenized``."""
        return self._encoding_class._over(self._encode(self._ready(), sequence, pair, is_pretokenized, add_special_tokens))

    def encode_batch(self, input: Sequence[Any], is_pretokenized: bool = False, add_special_tokens: bool = True) -> list[Encoding]:
        """Encodes many. Each is a text, or a pair as a tuple or list of two."""
        return self._encode_batch(self._ready(), input, is_pretokenized, add_special_tokens, False)

    def encode_batch_fast(
        self, input: Sequence[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """As :meth:`encode_batch`, but tokens are empty and offsets are zero."""
        return self._encode_batch(self._ready(), input, is_pretokenized, add_special_tokens, True)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ids. Unknown ids are left out."""
        return self._ready().core._decode(ids, skip_special_tokens)

    def decode_batch(self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = True) -> list[str]:
        """The text of each list of ids."""
        return self._ready().core._decode_batch(sequences, skip_special_tokens)

    def async_encode(
        self, sequence: Any, pair: Any = None, is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> Future[Encoding]:
        """As :meth:`encode` on another thread. Offsets count bytes here, as in the package ``tokenizers``."""
        state = self._ready()

        def work() -> Encoding:
            return self._encoding_class._over(in_bytes(self._encode(state, sequence, pair, is_pretokenized, add_special_tokens)))

        return _on_thread(work)

    def async_encode_batch(
        self, input: Sequence[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> Future[list[Encoding]]:
        """As :meth:`encode_batch` on another thread."""
        state, items = self._ready(), list(input)
        return _on_thread(lambda: self._encode_batch(state, items, is_pretokenized, add_special_tokens, False))

    def async_encode_batch_fast(
        self, input: Sequence[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> Future[list[Encoding]]:
        """As :meth:`encode_batch_fast` on another thread."""
        state, items = self._ready(), list(input)
        return _on_thread(lambda: self._encode_batch(state, items, is_pretokenized, add_special_tokens, True))

    def async_decode_batch(self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = True) -> Future[list[str]]:
        """As :meth:`decode_batch` on another thread."""
        core, items = self._ready().core, list(sequences)
        return _on_thread(lambda: core._decode_batch(items, skip_special_tokens))

    def post_process(self, encoding: Encoding, pair: Encoding | None = None, add_special_tokens: bool = True) -> Encoding:
        """Truncates, adds special tokens, and pads."""
        state = self._ready()
        second = None if pair is None else pair._core
        core = state.core._post_process(encoding._core, second, add_special_tokens, state.truncation, state.padding)
        return self._encoding_class._over(core)

    @staticmethod
    def _encode(state: _State, sequence: Any, pair: Any, is_pretokenized: bool, add_special_tokens: bool) -> _core.Encoding:
        if is_pretokenized:
            sequence, pair = _words(sequence), _words(pair)
        return state.core._encode(
            sequence,
            pair,
            is_pretokenized,
            add_special_tokens,
            state.encode_special_tokens,
            state.truncation,
            state.padding,
        )

    def _encode_batch(
        self, state: _State, items: Sequence[Any], is_pretokenized: bool, add_special_tokens: bool, blank: bool
    ) -> list[Encoding]:
        if is_pretokenized and not isinstance(items, str):
            items = [_word_lists(item) for item in items]
        encodings = state.core._encode_batch(
            items,
            is_pretokenized,
            add_special_tokens,
            state.encode_special_tokens,
            state.truncation,
            state.padding,
            blank,
        )
        return [self._encoding_class._over(encoding) for encoding in encodings]

    # Vocabulary

    def token_to_id(self, token: str) -> int | None:
        """The id of a token."""
        return self._ready().core.token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """The token of an id."""
        return self._ready().core.id_to_token(id)

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """All tokens and their ids."""
        return self._ready().core.get_vocab(with_added_tokens)

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """The number of tokens."""
        return self._ready().core.get_vocab_size(with_added_tokens)

    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        tokens = self._ready().core.get_added_tokens_decoder()
        return {id: from_flags(flags_of(token)) for id, token in tokens.items()}

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """How many tokens the post-processor adds to a sequence or a pair."""
        return self._state.core.num_special_tokens_to_add(is_pair)

    def add_tokens(self, tokens: list[str | AddedToken]) -> int:
        """Adds tokens that are not special. Returns how many were new or had other flags."""
        return self._add([_flags(token, False) for token in _checked_list(tokens)])

    def add_special_tokens(self, tokens: list[str | AddedToken]) -> int:
        """Adds special tokens. Returns how many were new or had other flags."""
        return self._add([_flags(token, True) for token in _checked_list(tokens)])

    def _add(self, tokens: list[Flags]) -> int:
        if self._known is None:
            added = self._ready().core.get_added_tokens_decoder().values()
            known = {token.content: flags_of(token) for token in added}
        count = 0
        with _changing:
            if self._known is None:
                self._known = known
            for flags in tokens:
                if flags[0] and self._known.get(flags[0]) != flags:
                    self._known[flags[0]] = flags
                    count += 1
            if count:
                self._state = self._state._replace(waiting=(self._state.waiting, tokens))
        return count

    # Settings

    @property
    def encode_special_tokens(self) -> bool:
        """Whether special tokens in a text are ordinary text."""
        return self._state.encode_special_tokens

    @encode_special_tokens.setter
    def encode_special_tokens(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"'{type(value).__name__}' object is not an instance of 'bool'")
        self._change(lambda state: state._replace(encode_special_tokens=value))

    def enable_truncation(self, max_length: int, **kwargs: Any) -> None:
        """Cuts texts to ``max_length`` tokens, special tokens included, from now on.

        Keywords: ``stride`` (0), ``strategy`` ("longest_first"), ``direction`` ("right").
        """
        options: dict[str, Any] = {}
        for key, value in kwargs.items():
            if key == "strategy" and value not in ("longest_first", "only_first", "only_second"):
                choice = "one of `longest_first`, `only_first`, or `only_second`"
                raise ArgumentError(f"Unknown `strategy`: `{value}`. Use {choice}")
            if key == "direction" and value not in ("left", "right"):
                raise ArgumentError(f"Unknown `direction`: `{value}`. Use one of `left` or `right`.")
            if key in ("stride", "strategy", "direction"):
                options[key] = value
            else:
                print(f"Ignored unknown kwarg option {key}")
        truncation = _core.Truncation(max_length, **options)
        special = self._state.core.num_special_tokens_to_add(False)
        left = truncation.max_length - special
        if 0 <= left < truncation.stride:
            raise ArgumentError(
                f"tokenizer stride set to {truncation.stride}, which is greater than or equal to its effective max length "
                f"of {left} (= {truncation.max_length} original max length - {special} added special tokens), "
            )
        self._change(lambda state: state._replace(truncation=truncation))

    def no_truncation(self) -> None:
        """Cuts no texts from now on."""
        self._change(lambda state: state._replace(truncation=None))

    @property
    def truncation(self) -> dict[str, Any] | None:
        """The settings of :meth:`enable_truncation`."""
        truncation = self._state.truncation
        if truncation is None:
            return None
        return {name: getattr(truncation, name) for name in ("max_length", "stride", "strategy", "direction")}

    def enable_padding(self, **kwargs: Any) -> None:
        """Fills texts up from now on: to ``length``, or to the longest of a batch.

        Keywords: ``direction`` ("right"), ``pad_id`` (0), ``pad_type_id`` (0), ``pad_token`` ("[PAD]"), ``length`` (None),
        ``pad_to_multiple_of`` (None).
        """
        options: dict[str, Any] = {}
        for key, value in kwargs.items():
            if key == "direction" and value not in ("left", "right"):
                raise ArgumentError(f"Unknown `direction`: `{value}`. Use one of `left` or `right`")
            if key == "max_length":
                print("enable_padding(max_length=X) is deprecated, use enable_padding(length=X) instead")
                options["length"] = value
            elif key in ("direction", "pad_id", "pad_type_id", "pad_token", "length", "pad_to_multiple_of"):
                options[key] = value
            else:
                print(f"Ignored unknown kwarg option {key}")
        padding = _core.Padding(**options)
        self._change(lambda state: state._replace(padding=padding))

    def no_padding(self) -> None:
        """Fills no texts up from now on."""
        self._change(lambda state: state._replace(padding=None))

    @property
    def padding(self) -> dict[str, Any] | None:
        """The settings of :meth:`enable_padding`."""
        padding = self._state.padding
        if padding is None:
            return None
        names = ("length", "pad_to_multiple_of", "pad_id", "pad_token", "pad_type_id", "direction")
        return {name: getattr(padding, name) for name in names}

    # Components

    @property
    def model(self) -> Model:
        """The model."""
        view = Model._of(self._ready().core)
        view._keep = partial(self._keep, Model._part)
        return view

    @model.setter
    def model(self, model: Model) -> None:
        if model is None:
            raise TypeError("'None' object is not an instance of 'Model'")
        self._set_part(Model, model)

    @property
    def normalizer(self) -> Normalizer | None:
        """The normalizer."""
        return self._get_part(Normalizer)

    @normalizer.setter
    def normalizer(self, normalizer: Normalizer | None) -> None:
        self._set_part(Normalizer, normalizer)

    @property
    def pre_tokenizer(self) -> PreTokenizer | None:
        """The pre-tokenizer."""
        return self._get_part(PreTokenizer)

    @pre_tokenizer.setter
    def pre_tokenizer(self, pretok: PreTokenizer | None) -> None:
        self._set_part(PreTokenizer, pretok)

    @property
    def post_processor(self) -> PostProcessor | None:
        """The post-processor."""
        return self._get_part(PostProcessor)

    @post_processor.setter
    def post_processor(self, processor: PostProcessor | None) -> None:
        self._set_part(PostProcessor, processor)

    @property
    def decoder(self) -> Decoder | None:
        """The decoder."""
        return self._get_part(Decoder)

    @decoder.setter
    def decoder(self, decoder: Decoder | None) -> None:
        self._set_part(Decoder, decoder)

    def _get_part(self, kind: type[Part]) -> Part | None:
        core = self._state.core
        of, view = self._views.get(kind._part, (None, None))
        if of is not core:
            saved = core._part(kind._part, False)
            if saved is None or view is None or view._saved != saved:
                view = None if saved is None else kind._view(saved)
                if view is not None:
                    view._keep = partial(self._keep, kind._part)
            self._views[kind._part] = core, view
        return cast("Part | None", view)

    def _set_part(self, kind: type[Component], component: Any) -> None:
        saved = saved_form(component, kind)
        self._ready()
        self._change(lambda state: state._replace(core=state.core._with_part(kind._part, saved)))

    def _keep(self, part: str, before: str, after: str) -> str:
        """Puts a changed part in place of the one before."""

        def change(state: _State) -> _State:
            if state.core._part(part, False) != before:
                changed_since()
            return state._replace(core=state.core._with_part(part, after))

        self._ready()
        return self._change(change).core._part(part, False) or ""

    # Training

    def train(self, files: Sequence[str], trainer: Any = None) -> NoReturn:
        """Not supported yet."""
        missing("training", "train with the package tokenizers, save, and load the file here")

    def train_from_iterator(self, iterator: Any, trainer: Any = None, length: int | None = None) -> NoReturn:
        """Not supported yet."""
        missing("training", "train with the package tokenizers, save, and load the file here")


def _compile_waiting(state: _State) -> _State:
    batches: list[list[Flags]] = []
    waiting = state.waiting
    while waiting is not None:
        waiting, batch = waiting
        batches.append(batch)
    core, _ = state.core._with_added_tokens([flags for batch in reversed(batches) for flags in batch])
    return state._replace(core=core, waiting=None)


def _checked_list(tokens: Any) -> list[Any]:
    if not isinstance(tokens, list):
        raise TypeError(f"'{type(tokens).__name__}' object is not an instance of 'list'")
    return tokens


def _flags(token: Any, special: bool) -> Flags:
    if isinstance(token, str):
        return token, False, False, False, not special, special
    if not is_added_token(token):
        raise TypeError("Input must be a List[Union[str, AddedToken]]")
    if special and not token.special:
        token.special = True
    return flags_of(token)


def _on_thread(work: Callable[[], Result]) -> Future[Result]:
    import asyncio  # already imported wherever a loop runs

    return asyncio.get_running_loop().run_in_executor(None, work)


def _words(words: Any) -> Any:
    """Arrays of texts as lists; all else as it is."""
    if type(words).__module__ != "numpy" or not hasattr(words, "dtype") or words.ndim != 1:
        return words
    if words.dtype.kind == "U":
        # As the package tokenizers reads them: the array's UTF-32 taken for UTF-8, null bytes and all.
        return [bytes(memoryview(word.tobytes()).cast("B")).decode() for word in words.reshape(-1, 1)]
    return words.tolist() if words.dtype.kind == "O" else words


def _word_lists(item: Any) -> Any:
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return [_words(item[0]), _words(item[1])]
    return _words(item)
