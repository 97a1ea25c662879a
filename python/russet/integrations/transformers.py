"""Runs the tokenizers of transformers on Russet.

    >>> from russet.integrations.transformers import accelerate, accelerated
    >>> tokenizer = accelerate(AutoTokenizer.from_pretrained(...))      # doctest: +SKIP
    >>> with accelerated():                                             # doctest: +SKIP
    ...     pipeline = code_that_loads_tokenizers()

transformers builds its tokenizer as before; then the object of the package ``tokenizers`` inside is replaced by one of Russet
that is made from its saved form. All that transformers does with it stays transformers' own code, but for two things: settings
that a call makes are seen by no other thread, and NumPy arrays and torch tensors are made from arrays, not from lists.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import tokenizers
from numpy.typing import NDArray
from transformers import BatchEncoding, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from russet import _core
from russet.errors import ArgumentError
from russet.pretrained.calls import array_of_small
from russet.tokenizers import Encoding, Tokenizer, decoders
from russet.tokenizers._added_token import flags_of
from russet.tokenizers._scores import with_exact_scores

__all__ = ["Backend", "BackendEncoding", "DecodeStream", "accelerate", "accelerated", "restore"]

AnyTokenizer = TypeVar("AnyTokenizer")


def accelerate(tokenizer: AnyTokenizer) -> AnyTokenizer:
    """Replaces the backend of a tokenizer of transformers, in place, and returns the tokenizer.

    Its results stay the same. :func:`restore` takes it back. A tokenizer that runs on Russet already is left as it is.

    Raises:
        ArgumentError: if it has no backend of the package ``tokenizers``, or one with added tokens that its saved form loses.
        NotImplementedError: if a part of the backend is written in Python.
    """
    backend = _backend_of(tokenizer)
    if type(backend) is not Backend:
        try:
            saved = backend.to_str()
        except Exception as error:
            raise NotImplementedError(
                f"the backend of this {type(tokenizer).__name__} has no saved form ({error}): a part that is written in Python "
                "is not supported by russet yet"
            ) from error
        replacement = Backend.from_str(with_exact_scores(saved))
        _check_same_tokens(backend, replacement)
        _replace(tokenizer, backend, replacement)
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        tokenizer._encode_plus = _EncodePlus(tokenizer)
    _replace_decode_stream()
    return tokenizer


def restore(tokenizer: AnyTokenizer) -> AnyTokenizer:
    """Takes :func:`accelerate` back: the backend is one of the package ``tokenizers`` again, with all that was changed since."""
    backend = _backend_of(tokenizer)
    if type(backend) is Backend:
        _replace(tokenizer, backend, tokenizers.Tokenizer.from_str(backend.to_str()))
    vars(tokenizer).pop("_encode_plus", None)
    return tokenizer


@contextlib.contextmanager
def accelerated(strict: bool = False) -> Iterator[None]:
    """Within the block, each ``from_pretrained`` of transformers gives an accelerated tokenizer, whatever class it is called on.

    It holds for all threads. Tokenizers that cannot be accelerated come as transformers made them, with a warning; with
    ``strict``, that is the error of :func:`accelerate`. Tokenizers without a backend of the package ``tokenizers`` (those that
    are written in Python) always come as they are.
    """
    _patch.enter(strict)
    try:
        yield
    finally:
        _patch.leave(strict)


class _Patch:
    """``PreTrainedTokenizerBase.from_pretrained``, replaced while at least one block is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[bool] = []
        self._original: Any = None

    def enter(self, strict: bool) -> None:
        with self._lock:
            if not self._open:
                self._original = PreTrainedTokenizerBase.__dict__["from_pretrained"]
                PreTrainedTokenizerBase.from_pretrained = classmethod(self._around(self._original.__func__))
            self._open.append(strict)

    def leave(self, strict: bool) -> None:
        with self._lock:
            self._open.remove(strict)
            if not self._open:
                PreTrainedTokenizerBase.from_pretrained = self._original

    def _around(self, load: Callable[..., Any]) -> Callable[..., Any]:
        def from_pretrained(cls: type, *arguments: Any, **options: Any) -> Any:
            tokenizer = load(cls, *arguments, **options)
            if not isinstance(getattr(tokenizer, "_tokenizer", None), tokenizers.Tokenizer):
                return tokenizer
            try:
                return accelerate(tokenizer)
            except (ValueError, NotImplementedError) as error:
                if any(self._open):
                    raise
                message = f"{type(tokenizer).__name__} is not accelerated by russet: {error}"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
                return tokenizer

        return from_pretrained


_patch = _Patch()


class BackendEncoding(Encoding):
    """An encoding that passes for one of the package ``tokenizers``."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return tokenizers.Encoding

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (BackendEncoding, self.__getstate__())


class Backend(Tokenizer):
    """A tokenizer that passes for one of the package ``tokenizers``, as the backend of a tokenizer of transformers.

    In a call of :meth:`in_private`, what it changes of the settings is not seen by other threads until the call is over.
    """

    _encoding_class = BackendEncoding

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return tokenizers.Tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (Backend, self.__getstate__())

    def _take(self, core: _core.Tokenizer) -> None:
        self._private = threading.local()
        Tokenizer._take(self, core)

    @property
    def _state(self) -> Any:
        private = getattr(self._private, "state", None)
        return self._shared if private is None else private

    @_state.setter
    def _state(self, state: Any) -> None:
        if getattr(self._private, "state", None) is None:
            self._shared = state
        else:
            self._private.state = state

    def in_private(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Calls with settings of its own, which stay behind in the end, as if there were no other thread."""
        if getattr(self._private, "state", None) is not None:
            return call(*arguments, **options)
        before = self._private.state = self._shared
        try:
            return call(*arguments, **options)
        finally:
            after, self._private.state = self._private.state, None
            if after is not before:
                settings = {name: getattr(after, name) for name in ("truncation", "padding", "encode_special_tokens")}
                self._change(lambda state: after if state is before else state._replace(**settings))

    def get_added_tokens_decoder(self) -> dict[int, Any]:
        """The added tokens by id, as objects of the package ``tokenizers``."""
        tokens = self._ready().core.get_added_tokens_decoder()
        return {id: _foreign(flags_of(token)) for id, token in tokens.items()}


def _foreign(flags: tuple[str, bool, bool, bool, bool, bool]) -> Any:
    content, single_word, lstrip, rstrip, normalized, special = flags
    return tokenizers.AddedToken(
        content, single_word=single_word, lstrip=lstrip, rstrip=rstrip, normalized=normalized, special=special
    )


def _remake(kind: type[Any], state: bytes) -> Any:
    made = object.__new__(kind)
    made.__setstate__(state)
    return made


def _backend_of(tokenizer: Any) -> Any:
    backend = getattr(tokenizer, "_tokenizer", None)
    if not isinstance(backend, tokenizers.Tokenizer):
        raise ArgumentError(
            f"a {type(tokenizer).__name__} has no backend of the package tokenizers: pass a tokenizer of transformers whose "
            "is_fast is True (of a processor, its tokenizer)"
        )
    return backend


def _check_same_tokens(backend: Any, replacement: Tokenizer) -> None:
    for with_added_tokens in (False, True):
        expected, got = (each.get_vocab_size(with_added_tokens) for each in (backend, replacement))
        if expected != got:
            raise ArgumentError(f"the saved form of the backend has {got} tokens instead of {expected}")
    ours = replacement.get_added_tokens_decoder()
    for id, token in backend.get_added_tokens_decoder().items():
        if id not in ours or flags_of(ours[id]) != flags_of(token):
            raise ArgumentError(f"the saved form of the backend does not keep the added token {token.content!r} with the id {id}")


def _replace(tokenizer: Any, before: Any, after: Any) -> None:
    after.encode_special_tokens = before.encode_special_tokens
    own = {name: value for name, value in vars(before).items() if name not in _OWN}
    if hasattr(tokenizer, "_wrap_decode_method_backend_tokenizer"):
        own.pop("decode", None)
    vars(after).update(own)
    tokenizer._tokenizer = after
    if hasattr(tokenizer, "_wrap_decode_method_backend_tokenizer"):
        # CLIP's tokenizer gives its backend another decode, which calls the one that it had.
        tokenizer._wrap_decode_method_backend_tokenizer()


#: What a backend of ours keeps in its dictionary; all else was put there by others.
_OWN = ("_private", "_shared", "_known", "_views")


class DecodeStream:
    """``tokenizers.decoders.DecodeStream`` for tokenizers of both packages.

    The original takes only the package's own. It is replaced by this when a tokenizer is accelerated first.
    """

    __slots__ = ("_ids", "_skip_special_tokens", "_stream")

    def __init__(self, ids: Any = None, skip_special_tokens: bool | None = False) -> None:
        self._ids, self._skip_special_tokens = ids, skip_special_tokens
        self._stream: Any = None

    def step(self, tokenizer: Any, id: Any) -> str | None:
        """The text that one or more ids add, None while it is not finished."""
        if self._stream is None:
            kind = decoders.DecodeStream if type(tokenizer) is Backend else _original_decode_stream
            self._stream = kind(self._ids, self._skip_special_tokens)
        text: str | None = self._stream.step(tokenizer, id)
        return text

    def __copy__(self) -> DecodeStream:
        copied = DecodeStream(self._ids, self._skip_special_tokens)
        copied._stream = copy.copy(self._stream)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> DecodeStream:
        return self.__copy__()


_original_decode_stream = tokenizers.decoders.DecodeStream


def _replace_decode_stream() -> None:
    """Puts ours in place of the original, in the modules too that have imported it by its name."""
    if tokenizers.decoders.DecodeStream is not _original_decode_stream:
        return
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("DecodeStream") is _original_decode_stream:
            module.DecodeStream = DecodeStream  # type: ignore[attr-defined]


class _EncodePlus:
    """``_encode_plus`` of one tokenizer, found before its class's, which it calls."""

    __slots__ = ("_tokenizer",)

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        tokenizer = self._tokenizer
        backend, encode_plus = tokenizer._tokenizer, type(tokenizer)._encode_plus
        if type(backend) is not Backend:  # replaced since
            return encode_plus(tokenizer, *arguments, **options)
        if (
            encode_plus is not PreTrainedTokenizerFast._encode_plus
            or options.get("return_tensors") is None
            or options.get("sanitize_control_tokens")
        ):
            return backend.in_private(encode_plus, tokenizer, *arguments, **options)
        kind = options.pop("return_tensors")
        found = backend.in_private(encode_plus, tokenizer, *arguments, **options)
        return _with_tensors(found, kind, _is_single(options, *arguments))


def _is_single(options: dict[str, Any], text: Any = None, *_: Any) -> bool:
    """Whether lists come without the dimension of the batch, which tensors have."""
    text = options.get("text", text)
    if options.get("return_overflowing_tokens"):
        return False
    if options.get("is_split_into_words"):
        return not (text and isinstance(text[0], (list, tuple)))
    return isinstance(text, str)


def _with_tensors(found: BatchEncoding, kind: Any, single: bool) -> BatchEncoding:
    """The lists of a call as tensors, as ``BatchEncoding`` makes them; from arrays where that gives the same."""
    encodings = found.encodings
    rows = {name: [value] if single and name != "length" else value for name, value in found.items()}
    make = _MAKERS.get(str(getattr(kind, "value", kind)))
    arrays = None if make is None else _arrays(rows, encodings)
    if make is None or arrays is None:
        return BatchEncoding(rows, encodings, tensor_type=kind)
    return BatchEncoding({name: make(array) for name, array in arrays.items()}, encodings)


def _arrays(rows: dict[str, list[Any]], encodings: list[Encoding]) -> dict[str, NDArray[np.int64]] | None:
    """The arrays of a call, or None where rows differ in length or are empty."""
    if len({len(row) for row in rows["input_ids"]}) != 1 or not rows["input_ids"][0]:
        return None
    arrays = {}
    for name, values in rows.items():
        if name == "input_ids":
            array = np.stack([encoding._core.ids_array for encoding in encodings]).astype(np.int64)
        elif name in ("attention_mask", "token_type_ids", "special_tokens_mask"):
            array = array_of_small(values)
        else:
            array = np.asarray(values)
        arrays[name] = array
    return arrays


def _as_it_is(array: NDArray[np.int64]) -> Any:
    return array


def _torch_tensor(array: NDArray[np.int64]) -> Any:
    import torch

    return torch.from_numpy(array)


_MAKERS: dict[str, Callable[[NDArray[np.int64]], Any]] = {"np": _as_it_is, "pt": _torch_tensor}
