"""Which values a generation has: those of the call, then those of generation_config.json, then ours."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from russet import LogitsProcessors, Sampler
from russet.errors import ArgumentError, ConfigError, FileError, MissingFileError

__all__ = ["GenerationConfig"]

#: Where the values of a model lie.
FILE_NAME = "generation_config.json"
#: The greatest such file, in bytes.
_FILE_LIMIT = 16 * 1024 * 1024

#: Keywords of Sampler that change logits whether tokens are drawn or the best is taken, and those of them that look at the ids
#: so far. ``prompt_length``, ``max_length`` and ``eos_token_id`` belong to the call.
_HISTORY_PROCESSORS = (
    "sequence_bias", "repetition_penalty", "presence_penalty", "frequency_penalty", "penalty_last_n", "dry_multiplier", "dry_base",
    "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers", "no_repeat_ngram_size", "bad_words_ids", "min_length",
    "min_new_tokens", "prefix_allowed_tokens_fn", "forced_bos_token_id", "forced_eos_token_id", "exponential_decay_length_penalty",
    "begin_suppress_tokens", "logits_processor",
)  # fmt: skip
_PROCESSORS = (*_HISTORY_PROCESSORS, "guidance_scale", "logit_bias", "remove_invalid_values", "suppress_tokens")
#: Keywords of Sampler that choose what can be drawn.
_FILTERS = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h", "top_n_sigma",
    "xtc_probability", "xtc_threshold", "xtc_special_tokens", "mirostat", "mirostat_tau", "mirostat_eta",
    "min_tokens_to_keep", "order",
)  # fmt: skip
#: Those that ask for tokens to be drawn, and what leaves that open: what ``transformers`` writes where nothing was chosen.
_ASK_FOR_DRAWS: dict[str, tuple[Any, ...]] = {
    "temperature": (1.0,), "top_k": (50, 0), "top_p": (1.0,), "min_p": (0.0,), "typical_p": (1.0,), "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,), "top_h": (), "top_n_sigma": (), "xtc_probability": (0.0,), "mirostat": (0,),
}  # fmt: skip

#: Fields of transformers' class that would change results and are not supported, with the values that change nothing.
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "assistant_early_exit": (),
    "assistant_ensemble_weight": (),
    "constraints": (),
    "diversity_penalty": (0.0,),
    "dola_layers": (),
    "encoder_no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1.0,),
    "force_words_ids": (),
    "num_beam_groups": (1,),
    "penalty_alpha": (0.0,),
    "speculation_type": (),
    "token_healing": (False,),
    "use_mtp": (False,),
    "watermarking_config": (),
}
#: Fields of transformers' class that change no token here: caches, compilation, and how many tokens are drafted.
_HARMLESS = frozenset({
    "assistant_confidence_threshold", "assistant_lookbehind", "cache_config", "cache_implementation", "compile_config",
    "continuous_batching_config", "decoder_start_token_id", "disable_compile", "is_assistant", "low_memory", "max_cache_len",
    "num_assistant_tokens_schedule", "pad_token_id", "target_lookbehind", "transformers_version", "use_cache",
})  # fmt: skip
#: What a call would get beside the tokens; a file may ask for it in vain.
_OUTPUTS = ("output_attentions", "output_hidden_states", "output_logits", "output_scores", "return_dict_in_generate")

_Ids = int | Sequence[int]


@dataclass(kw_only=True)
class GenerationConfig:
    """How to generate. A field that is ``None`` is not given.

    The names are those of transformers' ``GenerationConfig`` and of :class:`russet.Sampler`; docs/generation.md says what holds
    where one is not given. A value that would change results and is not supported raises; one that cannot is ignored.
    """

    # How long.
    max_new_tokens: int | None = None
    max_length: int | None = None
    min_new_tokens: int | None = None
    min_length: int | None = None
    max_time: float | None = None
    eos_token_id: _Ids | None = None
    bos_token_id: int | None = None
    stop_strings: str | Sequence[str] | None = None
    #: "stop" ends with the reason "length", "error" raises, "slide" forgets the oldest tokens after the first ``num_keep``.
    on_context_end: Literal["stop", "error", "slide"] | None = None
    num_keep: int | None = None

    # Which way.
    do_sample: bool | None = None
    seed: int | None = None
    num_return_sequences: int | None = None
    num_beams: int | None = None
    length_penalty: float | None = None
    early_stopping: bool | Literal["never"] | None = None
    prompt_lookup_num_tokens: int | None = None
    max_matching_ngram_size: int | None = None
    num_assistant_tokens: int | None = None
    #: The most tokens of a prompt that are read at once, and so between two looks at ``cancel``.
    prefill_chunk_size: int | None = None

    # Filters.
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    top_h: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    xtc_special_tokens: _Ids | None = None
    mirostat: Literal[0, 1, 2] | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    min_tokens_to_keep: int | None = None
    order: Literal["transformers", "mlx-lm", "llama.cpp"] | Sequence[str] | None = None
    on_invalid: Literal["error", "mask"] | None = None

    # Processors.
    guidance_scale: float | None = None
    sequence_bias: Mapping[tuple[int, ...], float] | Sequence[Any] | None = None
    logit_bias: Mapping[int, float] | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    penalty_last_n: int | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: Sequence[Sequence[int]] | None = None
    no_repeat_ngram_size: int | None = None
    bad_words_ids: Sequence[Sequence[int]] | None = None
    prefix_allowed_tokens_fn: Callable[..., Any] | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: _Ids | None = None
    remove_invalid_values: bool | None = None
    exponential_decay_length_penalty: tuple[int, float] | None = None
    suppress_tokens: _Ids | None = None
    begin_suppress_tokens: _Ids | None = None
    logits_processor: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None
    renormalize_logits: bool | None = None

    #: The names of a file's fields that were passed over: neither ``transformers`` nor Russet generates by them.
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerationConfig:
        """The fields of a generation_config.json.

        Raises:
            ConfigError: for a field that would change results and is not supported, or a value of the wrong type.
        """
        names = {each.name for each in dataclasses.fields(cls)} - {"ignored"}
        given: dict[str, Any] = {}
        ignored = []
        for name, value in values.items():
            if value is None:
                continue
            if name in _UNSUPPORTED:
                if not _is_among(value, _UNSUPPORTED[name]):
                    raise _config_error(
                        name, f"{value!r} would change results and is not supported: remove the field, or set it to None"
                    )
            elif name in names:
                given[name] = value
            else:
                ignored.append(name)
        config = cls(**given, ignored=tuple(ignored))
        try:
            config.check()
        except ArgumentError as error:
            raise _config_error(error.argument, str(error)) from error
        return config

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> GenerationConfig:
        """What a folder's generation_config.json says, or such a file; without the file in the folder, nothing is given.

        Raises:
            MissingFileError: if ``path`` is not there.
            ConfigError: if the file is damaged, or as :meth:`from_dict`.
        """
        file = Path(path)
        if file.is_dir():
            file /= FILE_NAME
            if not file.exists():
                return cls()
        try:
            with file.open("rb") as opened:
                content = opened.read(_FILE_LIMIT + 1)
        except FileNotFoundError:
            raise MissingFileError(2, "there is no such file or folder", os.fspath(path)) from None
        except OSError as error:
            raise FileError(error.errno or 0, error.strerror or str(error), str(file)) from error
        if len(content) > _FILE_LIMIT:
            raise _config_error(FILE_NAME, f"has more than {_FILE_LIMIT} bytes")
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _config_error(FILE_NAME, f"is no JSON: {error}") from error
        if not isinstance(values, dict):
            raise _config_error(FILE_NAME, "is no JSON object")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """The fields that are given."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "ignored"}
        return {name: value for name, value in values.items() if value is not None}

    def updated(self, values: Mapping[str, Any]) -> GenerationConfig:
        """A copy with the values of a call, which go before those here; ``None`` gives none.

        Raises:
            TypeError: for a name that is no field.
            ArgumentError: for a value that is not supported or makes no sense.
        """
        given: dict[str, Any] = {}
        for name, value in values.items():
            if name in _UNSUPPORTED:
                if value is not None and not _is_among(value, _UNSUPPORTED[name]):
                    raise _argument_error(name, f"{value!r} is not supported")
            elif name in _NAMES:
                if value is not None:
                    given[name] = value
            elif name in _OUTPUTS:
                if value:
                    raise _argument_error(name, "is not supported: logprobs=True and top_logprobs give probabilities")
            elif name not in _HARMLESS:
                raise TypeError(f"got an unexpected keyword argument {name!r}")
        # How long: what the call says takes the place of both of the file's.
        for one, other in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
            if other in given and one not in given:
                given[one] = None
            elif one in given and other not in given:
                given[other] = None
        if "do_sample" not in given and (asked := _asks_for_draws(given)) is not None:
            given["do_sample"] = asked
        config = dataclasses.replace(self, **given)
        config.check()
        return config

    def over(self, other: GenerationConfig) -> GenerationConfig:
        """A copy in which what is not given here is what ``other`` gives."""
        return other.updated(self.to_dict())

    def check(self) -> None:
        """Raises an :class:`ArgumentError` for a value that makes no sense. Values of the sampler are checked where it is made."""
        for name in ("max_new_tokens", "max_length", "num_return_sequences", "num_beams", "prompt_lookup_num_tokens",
                     "max_matching_ngram_size", "num_assistant_tokens", "prefill_chunk_size"):  # fmt: skip
            _check_integer(name, getattr(self, name), 1)
        _check_integer("num_keep", self.num_keep, 0)
        _check_integer("seed", self.seed, 0)
        for name in ("max_time", "length_penalty", "temperature"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)):
                raise _argument_error(name, f"{value!r} is no finite number")
        if self.do_sample is not None and not isinstance(self.do_sample, bool):
            raise _argument_error("do_sample", f"{self.do_sample!r} is neither True nor False")
        if not (self.early_stopping is None or isinstance(self.early_stopping, bool) or self.early_stopping == "never"):
            raise _argument_error("early_stopping", f"{self.early_stopping!r} is not True, False or 'never'")
        if self.on_context_end not in (None, "stop", "error", "slide"):
            raise _argument_error("on_context_end", f"{self.on_context_end!r} is not 'stop', 'error' or 'slide'")
        _ = self.eos_ids, self.stops

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The ids that end a text."""
        given = self.eos_token_id
        ids = [] if given is None else [given] if isinstance(given, int) else list(given)
        for each in ids:
            _check_integer("eos_token_id", each, 0)
        return tuple(dict.fromkeys(ids))

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end a text."""
        given = self.stop_strings
        strings = () if given is None else (given,) if isinstance(given, str) else tuple(given)
        for each in strings:
            if not isinstance(each, str) or not each:
                raise _argument_error("stop_strings", f"{each!r} is no string with characters")
        return strings

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn; otherwise the one with the greatest logit is taken."""
        if self.temperature == 0:
            return False
        if self.do_sample is not None:
            return self.do_sample
        return any(
            getattr(self, name) is not None and not _is_among(getattr(self, name), neutral)
            for name, neutral in _ASK_FOR_DRAWS.items()
        )

    @property
    def reads_history(self) -> bool:
        """Whether the ids so far change the next one's logits."""
        return any(getattr(self, name) is not None for name in _HISTORY_PROCESSORS)

    def new_tokens(self, prompt_length: int) -> int:
        """How many tokens are generated at most after a prompt, the context's end aside."""
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        if self.max_length is None:
            return 256
        if self.max_length <= prompt_length:
            message = f"{self.max_length} tokens are not more than the prompt, which has {prompt_length}: pass max_new_tokens"
            raise _argument_error("max_length", message)
        return self.max_length - prompt_length

    def sampler(self, prompt_length: int, seed: int | None = None) -> Sampler:
        """The sampler for a prompt of so many tokens.

        Raises:
            ArgumentError: for a value that makes no sense.
        """
        values = self._processors(prompt_length)
        if self.draws:
            values.update({name: getattr(self, name) for name in _FILTERS})
        else:
            values["temperature"] = 0.0
        return Sampler(**values, on_invalid=self.on_invalid, seed=self.seed if seed is None else seed)

    def processors(self, prompt_length: int) -> LogitsProcessors:
        """What changes the scores of the beams behind a prompt of so many tokens."""
        values = self._processors(prompt_length)
        allowed = self.prefix_allowed_tokens_fn
        if allowed is not None:
            # All beams are of one text, the first.
            values["prefix_allowed_tokens_fn"] = lambda _, ids: allowed(0, ids)
        return LogitsProcessors(**values, renormalize_logits=self.renormalize_logits)

    def _processors(self, prompt_length: int) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _PROCESSORS}
        if self.min_new_tokens is not None:
            values["min_length"] = None
        if self.eos_ids:
            values["eos_token_id"] = list(self.eos_ids)
        else:
            # Without an end there is nothing that could come too early.
            values.update(min_length=None, min_new_tokens=None)
        if self.exponential_decay_length_penalty is not None:
            values["exponential_decay_length_penalty"] = tuple(self.exponential_decay_length_penalty)  # JSON has lists
        values["prompt_length"] = prompt_length
        values["max_length"] = prompt_length + self.new_tokens(prompt_length)
        return values


_NAMES = frozenset(each.name for each in dataclasses.fields(GenerationConfig)) - {"ignored"}


def _asks_for_draws(given: Mapping[str, Any]) -> bool | None:
    """Whether the values of a call ask for tokens to be drawn; nothing if they leave it open."""
    if given.get("temperature") == 0:
        return False
    return True if any(name in given for name in _ASK_FOR_DRAWS) else None


def _is_among(value: Any, values: Iterable[Any]) -> bool:
    return any(value is each or (isinstance(value, (bool, int, float)) and value == each) for each in values)


def _check_integer(name: str, value: object, least: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _argument_error(name, f"{value!r} is no integer from {least} on")


def _argument_error(name: str, message: str) -> ArgumentError:
    return ArgumentError(f"{name}: {message}", argument=name)


def _config_error(place: str, message: str) -> ConfigError:
    return ConfigError(f"{place}: {message}", place=place)
