"""The compiled part of the package."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

__all__ = [
    "AddedToken",
    "Choice",
    "Conversation",
    "DecodeStream",
    "Encoding",
    "LogitsProcessors",
    "Matrix",
    "Padding",
    "Sampler",
    "Tokenizer",
    "Truncation",
    "_ReferenceStream",
    "__version__",
    "_pattern_engine",
    "accept_draft",
    "attention",
    "gelu",
    "layer_norm",
    "read_mlmodel",
    "rms_norm",
    "rotary",
    "silu",
    "silu_product",
    "softmax",
]

__version__: Final[str]

_Text = str | Sequence[str]
_Item = _Text | tuple[_Text, _Text] | list[_Text]
_Limit = bool | int | dict[str, Any] | None
_Ids = Sequence[int] | NDArray[np.integer[Any]]
_Errors = Literal["strict", "replace"]
_OnUnknown = Literal["error", "skip"]

@final
class Truncation:
    def __new__(cls, max_length: int, stride: int = 0, strategy: str = "longest_first", direction: str = "right") -> Self: ...
    @property
    def max_length(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def strategy(self) -> Literal["longest_first", "only_first", "only_second"]: ...
    @property
    def direction(self) -> Literal["left", "right"]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Padding:
    def __new__(
        cls,
        length: int | None = None,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",
        pad_to_multiple_of: int | None = None,
    ) -> Self: ...
    @property
    def length(self) -> int | None: ...
    @property
    def direction(self) -> Literal["left", "right"]: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def pad_type_id(self) -> int: ...
    @property
    def pad_token(self) -> str: ...
    @property
    def pad_to_multiple_of(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class AddedToken:
    @property
    def content(self) -> str: ...
    @property
    def single_word(self) -> bool: ...
    @property
    def lstrip(self) -> bool: ...
    @property
    def rstrip(self) -> bool: ...
    @property
    def normalized(self) -> bool: ...
    @property
    def special(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Tokenizer:
    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> Tokenizer: ...
    @staticmethod
    def from_compiled(path: str | os.PathLike[str]) -> Tokenizer: ...
    @staticmethod
    def from_tiktoken(
        path: str | os.PathLike[str], pattern: str | None = None, special_tokens: dict[str, int] | None = None
    ) -> Tokenizer: ...
    @staticmethod
    def from_str(json: str) -> Tokenizer: ...
    @staticmethod
    def from_buffer(buffer: bytes) -> Tokenizer: ...
    @staticmethod
    def from_pretrained(identifier: str | os.PathLike[str], *, revision: str = "main", token: str | None = None) -> Tokenizer: ...
    def encode(
        self,
        text: _Text,
        pair: _Text | None = None,
        *,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
        truncation: _Limit | Truncation = None,
        padding: _Limit | Padding = None,
        keep_text: bool = True,
        errors: _Errors = "strict",
    ) -> Encoding: ...
    def encode_batch(
        self,
        texts: Sequence[_Item],
        *,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
        truncation: _Limit | Truncation = None,
        padding: _Limit | Padding = None,
        keep_text: bool = True,
        errors: _Errors = "strict",
    ) -> list[Encoding]: ...
    def encode_arrays(
        self,
        texts: Sequence[_Item],
        *,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
        truncation: _Limit | Truncation = None,
        padding: _Limit | Padding = None,
        errors: _Errors = "strict",
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]: ...
    def count(
        self,
        text: _Text,
        pair: _Text | None = None,
        *,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
        truncation: _Limit | Truncation = None,
        padding: _Limit | Padding = None,
        errors: _Errors = "strict",
    ) -> int: ...
    def decode(self, ids: _Ids, *, skip_special_tokens: bool = True, on_unknown: _OnUnknown = "error") -> str: ...
    def decode_batch(
        self, sequences: Sequence[_Ids], *, skip_special_tokens: bool = True, on_unknown: _OnUnknown = "error"
    ) -> list[str]: ...
    def decode_stream(self, *, skip_special_tokens: bool = True, on_unknown: _OnUnknown = "error") -> DecodeStream: ...
    def conversation(self, *, add_special_tokens: bool = True, split_special_tokens: bool = False) -> Conversation: ...
    def token_to_id(self, token: str) -> int | None: ...
    def id_to_token(self, id: int) -> str | None: ...
    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]: ...
    def get_vocab_size(self, with_added_tokens: bool = True) -> int: ...
    def get_added_tokens_decoder(self) -> dict[int, AddedToken]: ...
    def num_special_tokens_to_add(self, is_pair: bool = False) -> int: ...
    @property
    def cache_bytes(self) -> int: ...
    @property
    def cache_limit(self) -> int: ...
    def with_cache_limit(self, limit: int) -> Tokenizer: ...
    @property
    def truncation(self) -> Truncation | None: ...
    @property
    def padding(self) -> Padding | None: ...
    def to_str(self, pretty: bool = False) -> str: ...
    def save(self, path: str | os.PathLike[str], pretty: bool = True) -> None: ...
    def save_compiled(self, path: str | os.PathLike[str]) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __copy__(self) -> Tokenizer: ...
    def __deepcopy__(self, _memo: Any) -> Tokenizer: ...

    # For russet.tokenizers.
    @property
    def _model_type(self) -> Literal["BPE", "Unigram", "WordPiece", "WordLevel"]: ...
    def _encode(
        self,
        text: Any,
        pair: Any,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Truncation | None,
        padding: Padding | None,
        /,
    ) -> Encoding: ...
    def _encode_batch(
        self,
        texts: Any,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Truncation | None,
        padding: Padding | None,
        blank: bool,
        /,
    ) -> list[Encoding]: ...
    def _post_process(
        self,
        encoding: Encoding,
        pair: Encoding | None,
        add_special_tokens: bool,
        truncation: Truncation | None,
        padding: Padding | None,
        /,
    ) -> Encoding: ...
    def _decode(self, ids: _Ids, skip_special_tokens: bool, /) -> str: ...
    def _decode_batch(self, sequences: Sequence[_Ids], skip_special_tokens: bool, /) -> list[str]: ...
    def _with_added_tokens(self, tokens: Sequence[tuple[str, bool, bool, bool, bool, bool]]) -> tuple[Tokenizer, int]: ...
    def _with_part(self, part: str, saved: str | None) -> Tokenizer: ...
    def _part(self, part: str, pretty: bool) -> str | None: ...
    def _with_limits(self, truncation: Truncation | None, padding: Padding | None) -> Tokenizer: ...
    def _normalize_str(self, text: str) -> str: ...
    def _pre_tokenize_str(self, text: str) -> list[tuple[str, tuple[int, int]]]: ...
    def _tokenize(self, piece: str) -> list[tuple[int, str, tuple[int, int]]]: ...
    def _decode_tokens(self, tokens: Sequence[str]) -> str: ...
    def _model_token_to_id(self, token: str) -> int | None: ...
    def _model_id_to_token(self, id: int) -> str | None: ...

@final
class Encoding:
    @property
    def ids(self) -> list[int]: ...
    @property
    def ids_array(self) -> NDArray[np.uint32]: ...
    @property
    def type_ids(self) -> list[int]: ...
    @property
    def tokens(self) -> list[str]: ...
    @property
    def offsets(self) -> list[tuple[int, int]]: ...
    @property
    def byte_offsets(self) -> list[tuple[int, int]]: ...
    @property
    def attention_mask(self) -> list[int]: ...
    @property
    def special_tokens_mask(self) -> list[int]: ...
    @property
    def word_ids(self) -> list[int | None]: ...
    @property
    def sequence_ids(self) -> list[int | None]: ...
    @property
    def n_sequences(self) -> int: ...
    @property
    def overflowing(self) -> list[Encoding]: ...
    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None: ...
    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None: ...
    def token_to_chars(self, token_index: int) -> tuple[int, int] | None: ...
    def token_to_word(self, token_index: int) -> int | None: ...
    def token_to_sequence(self, token_index: int) -> int | None: ...
    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None: ...
    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None: ...
    def truncated(self, max_length: int, stride: int = 0, direction: str = "right") -> Encoding: ...
    def padded(
        self, length: int, direction: str = "right", pad_id: int = 0, pad_type_id: int = 0, pad_token: str = "[PAD]"
    ) -> Encoding: ...
    @staticmethod
    def merged(encodings: Sequence[Encoding], growing_offsets: bool = True) -> Encoding: ...
    def with_sequence_id(self, sequence_id: int) -> Encoding: ...
    def __len__(self, /) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __copy__(self) -> Encoding: ...
    def __deepcopy__(self, _memo: Any) -> Encoding: ...

    # For russet.tokenizers.
    def _fields(self) -> list[Any]: ...
    @staticmethod
    def _from_fields(
        ids: Sequence[int],
        type_ids: Sequence[int],
        tokens: Sequence[str],
        word_ids: Sequence[int | None],
        offsets: Sequence[tuple[int, int]],
        special_tokens_mask: Sequence[int],
        attention_mask: Sequence[int],
        overflowing: Sequence[Encoding],
        sequences: Sequence[tuple[int, tuple[int, int]]],
    ) -> Encoding: ...

@final
class Conversation:
    def append(self, text: str, *, errors: _Errors = "strict") -> tuple[int, list[int]]: ...
    @property
    def ids(self) -> list[int]: ...
    @property
    def ids_array(self) -> NDArray[np.uint32]: ...
    @property
    def text(self) -> str: ...
    def __len__(self, /) -> int: ...

@final
class DecodeStream:
    def step(self, id: int) -> str: ...
    def finish(self) -> str: ...

@final
class _ReferenceStream:
    def __new__(cls, ids: _Ids, skip_special_tokens: bool) -> Self: ...
    def step(self, tokenizer: Tokenizer, ids: _Ids) -> str | None: ...
    def __copy__(self) -> _ReferenceStream: ...

def _pattern_engine(pattern: str) -> str: ...

_History = _Ids | Sequence[_Ids]
_Processor = Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.floating[Any]]]

@final
class Choice:
    @property
    def id(self) -> int: ...
    @property
    def logprob(self) -> float: ...
    @property
    def entropy(self) -> float: ...
    @property
    def kept(self) -> int: ...
    @property
    def top(self) -> list[tuple[int, float]]: ...

@final
class Sampler:
    def __new__(
        cls,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        typical_p: float | None = None,
        epsilon_cutoff: float | None = None,
        eta_cutoff: float | None = None,
        top_h: float | None = None,
        top_n_sigma: float | None = None,
        xtc_probability: float | None = None,
        xtc_threshold: float | None = None,
        xtc_special_tokens: int | Sequence[int] | None = None,
        mirostat: Literal[0, 1, 2] | None = None,
        mirostat_tau: float | None = None,
        mirostat_eta: float | None = None,
        min_tokens_to_keep: int | None = None,
        seed: int | None = None,
        order: Literal["transformers", "mlx-lm", "llama.cpp"] | Sequence[str] | None = None,
        on_invalid: Literal["error", "mask"] | None = None,
        guidance_scale: float | None = None,
        sequence_bias: Mapping[tuple[int, ...], float] | Sequence[tuple[Sequence[int], float] | list[Any]] | None = None,
        logit_bias: Mapping[int, float] | None = None,
        repetition_penalty: float | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        penalty_last_n: int | None = None,
        dry_multiplier: float | None = None,
        dry_base: float | None = None,
        dry_allowed_length: int | None = None,
        dry_penalty_last_n: int | None = None,
        dry_sequence_breakers: Sequence[Sequence[int]] | None = None,
        no_repeat_ngram_size: int | None = None,
        bad_words_ids: Sequence[Sequence[int]] | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        prompt_length: int | None = None,
        min_length: int | None = None,
        min_new_tokens: int | None = None,
        max_length: int | None = None,
        prefix_allowed_tokens_fn: Callable[[int, NDArray[np.int64]], Sequence[int]] | None = None,
        forced_bos_token_id: int | None = None,
        forced_eos_token_id: int | Sequence[int] | None = None,
        remove_invalid_values: bool | None = None,
        exponential_decay_length_penalty: tuple[int, float] | None = None,
        suppress_tokens: int | Sequence[int] | None = None,
        begin_suppress_tokens: int | Sequence[int] | None = None,
        logits_processor: _Processor | Sequence[_Processor] | None = None,
    ) -> Self: ...
    def sample(
        self,
        logits: NDArray[Any],
        history: _History | None = None,
        *,
        step: int | None = None,
        row: int = 0,
        mask: NDArray[Any] | None = None,
        unconditional_logits: NDArray[Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
    ) -> Any: ...  # an int for one row, NDArray[np.int64] for a batch
    def sample_with_uniform(
        self,
        logits: NDArray[Any],
        u: float,
        history: _History | None = None,
        *,
        step: int | None = None,
        row: int = 0,
        mask: NDArray[Any] | None = None,
        unconditional_logits: NDArray[Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
    ) -> Any: ...
    def choose(
        self,
        logits: NDArray[Any],
        history: _History | None = None,
        *,
        top_n: int = 0,
        step: int | None = None,
        row: int = 0,
        mask: NDArray[Any] | None = None,
        unconditional_logits: NDArray[Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
    ) -> Any: ...  # a Choice for one row, a list of them for a batch
    def kept(
        self,
        logits: NDArray[Any],
        history: _History | None = None,
        *,
        step: int | None = None,
        row: int = 0,
        mask: NDArray[Any] | None = None,
        unconditional_logits: NDArray[Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
    ) -> Any: ...  # NDArray[np.int64] for one row, a list of them for a batch
    def probs(
        self,
        logits: NDArray[Any],
        history: _History | None = None,
        *,
        step: int | None = None,
        row: int = 0,
        mask: NDArray[Any] | None = None,
        unconditional_logits: NDArray[Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
    ) -> NDArray[np.float64]: ...
    @property
    def seed(self) -> int: ...
    @property
    def state(self) -> dict[str, Any]: ...
    @state.setter
    def state(self, value: dict[str, Any]) -> None: ...
    def reset(self) -> None: ...

@final
class LogitsProcessors:
    def __new__(
        cls,
        *,
        guidance_scale: float | None = None,
        sequence_bias: Mapping[tuple[int, ...], float] | Sequence[tuple[Sequence[int], float] | list[Any]] | None = None,
        logit_bias: Mapping[int, float] | None = None,
        repetition_penalty: float | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        penalty_last_n: int | None = None,
        dry_multiplier: float | None = None,
        dry_base: float | None = None,
        dry_allowed_length: int | None = None,
        dry_penalty_last_n: int | None = None,
        dry_sequence_breakers: Sequence[Sequence[int]] | None = None,
        no_repeat_ngram_size: int | None = None,
        bad_words_ids: Sequence[Sequence[int]] | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        prompt_length: int | None = None,
        min_length: int | None = None,
        min_new_tokens: int | None = None,
        max_length: int | None = None,
        prefix_allowed_tokens_fn: Callable[[int, NDArray[np.int64]], Sequence[int]] | None = None,
        forced_bos_token_id: int | None = None,
        forced_eos_token_id: int | Sequence[int] | None = None,
        remove_invalid_values: bool | None = None,
        exponential_decay_length_penalty: tuple[int, float] | None = None,
        suppress_tokens: int | Sequence[int] | None = None,
        begin_suppress_tokens: int | Sequence[int] | None = None,
        logits_processor: _Processor | Sequence[_Processor] | None = None,
        renormalize_logits: bool | None = None,
    ) -> Self: ...
    def __call__(
        self,
        input_ids: _History | None,
        scores: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        unconditional_logits: NDArray[Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
    ) -> NDArray[np.float32]: ...

def accept_draft(
    draft_ids: _Ids,
    draft_probs: NDArray[Any],
    target_probs: NDArray[Any],
    *,
    seed: int,
    step: int = 0,
    row: int = 0,
) -> tuple[int, int]: ...
def read_mlmodel(bytes: bytes) -> tuple[int, list[Any], str, list[str], list[tuple[str, str]], list[Any]]: ...

_Floats = NDArray[np.float32]
_Weights = NDArray[np.float16] | NDArray[np.float32]
_Integers = NDArray[np.int8] | NDArray[np.uint8]

@final
class Matrix:
    @staticmethod
    def dense(weights: _Weights) -> Matrix: ...
    @staticmethod
    def blockwise(
        data: _Integers,
        bits: int,
        is_signed: bool,
        shape: tuple[int, int],
        scale: _Weights,
        offset: _Integers | _Weights | None = None,
    ) -> Matrix: ...
    @staticmethod
    def palettized(
        indices: NDArray[np.uint8], bits: int, shape: tuple[int, int], lut: _Weights, scale: _Weights | None = None
    ) -> Matrix: ...
    @staticmethod
    def linear_many(
        matrices: Sequence[Matrix], x: _Floats, biases: Sequence[_Floats | None] | None = None, threads: int = 0
    ) -> list[_Floats]: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def nbytes(self) -> int: ...
    def linear(self, x: _Floats, bias: _Floats | None = None, out: _Floats | None = None, threads: int = 0) -> _Floats: ...
    def rows(self, indices: NDArray[np.int32] | NDArray[np.int64], out: _Floats | None = None) -> _Floats: ...
    def to_dense(self, out: _Floats | None = None) -> _Floats: ...

def attention(
    q: _Weights,
    k: _Weights,
    v: _Weights,
    mask: _Floats | None = None,
    scale: float | None = None,
    out: _Floats | None = None,
    threads: int = 0,
) -> _Floats: ...
def softmax(x: _Floats, out: _Floats | None = None, threads: int = 0) -> _Floats: ...
def rms_norm(
    x: _Floats, weight: _Floats | None = None, eps: float = 1e-5, out: _Floats | None = None, threads: int = 0
) -> _Floats: ...
def layer_norm(
    x: _Floats,
    weight: _Floats | None = None,
    bias: _Floats | None = None,
    eps: float = 1e-5,
    out: _Floats | None = None,
    threads: int = 0,
) -> _Floats: ...
def rotary(x: _Floats, cos: _Floats, sin: _Floats, out: _Floats | None = None, threads: int = 0) -> _Floats: ...
def silu(x: _Floats, out: _Floats | None = None, threads: int = 0) -> _Floats: ...
def silu_product(gate: _Floats, up: _Floats, out: _Floats | None = None, threads: int = 0) -> _Floats: ...
def gelu(x: _Floats, mode: str = "exact", out: _Floats | None = None, threads: int = 0) -> _Floats: ...
