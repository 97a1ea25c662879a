"""What a call of ``generate`` asks for, checked before anything runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from russet import Sampler
from russet.errors import MissingTokenizerError
from russet.generation.config import GenerationConfig
from russet.generation.loop import Criterion, Limits
from russet.generation.prompt_cache import PromptCache
from russet.generation.prompts import Prompt, Reader, argument_error
from russet.generation.protocol import Context, LanguageModel
from russet.generation.stopping import Cancel, as_check
from russet.generation.text import AnyTokenizer, Detokenizer, TextTokenizer, core_of

__all__ = ["Request"]

Way = Literal["plain", "beam_search", "prompt_lookup", "assisted"]


@dataclass(kw_only=True)
class Request:
    """A prompt, and what is to be done with it."""

    model: LanguageModel
    config: GenerationConfig
    tokenizer: TextTokenizer | None
    prompt_ids: list[int]
    limits: Limits
    stops: tuple[str, ...]
    skip_special_tokens: bool
    prompt_cache: PromptCache | None
    assistant_model: LanguageModel | None
    negative_ids: list[int] | None

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        prompt: Prompt,
        tokenizer: AnyTokenizer | None = None,
        *,
        generation_config: GenerationConfig | None = None,
        prompt_cache: PromptCache | None = None,
        assistant_model: LanguageModel | None = None,
        negative_prompt: Prompt | None = None,
        stopping_criteria: Criterion | Iterable[Criterion] | None = None,
        cancel: Cancel | None = None,
        add_special_tokens: bool = True,
        tools: Sequence[Any] | None = None,
        documents: Sequence[Mapping[str, str]] | None = None,
        chat_template: str | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        skip_special_tokens: bool = True,
        logprobs: bool = False,
        top_logprobs: int = 0,
        **values: Any,
    ) -> Request:
        """Checks what a call says; the arguments are those of :func:`russet.generation.generate`."""
        config = getattr(model, "generation_config", None) or GenerationConfig()
        if generation_config is not None:
            config = generation_config.over(config)
        config = config.updated(values)
        tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
        given = {"tools": tools, "documents": documents, "chat_template": chat_template}
        template = {name: value for name, value in given.items() if value is not None} | dict(chat_template_kwargs or {})
        reader = Reader(tokenizer, model.vocab_size, add_special_tokens, template, getattr(model, "missing_tokenizer", None))
        prompt_ids = reader.ids(prompt, "prompt")
        if not prompt_ids and config.bos_token_id is not None:
            prompt_ids = [config.bos_token_id]
        if not prompt_ids:
            raise argument_error("prompt", "has no tokens, and there is no bos_token_id to begin with")
        negative_ids = None
        if negative_prompt is not None:
            negative_ids = reader.ids(negative_prompt, "negative_prompt")
            if config.guidance_scale is None or not negative_ids:
                raise argument_error("negative_prompt", "has no tokens, or no guidance_scale says how much it counts")
        if prompt_cache is not None and prompt_cache.model is not model:
            raise argument_error("prompt_cache", "is of another model")
        if isinstance(top_logprobs, bool) or not 0 <= top_logprobs <= model.vocab_size:
            raise argument_error("top_logprobs", f"{top_logprobs} is not from 0 to {model.vocab_size}")
        texts = None if tokenizer is None else core_of(tokenizer)
        stops, stop_ids = _stops(config, texts, skip_special_tokens)
        criteria = stopping_criteria or ()
        limits = Limits(
            max_new_tokens=config.new_tokens(len(prompt_ids)),
            eos_ids=frozenset(config.eos_ids) | stop_ids,
            criteria=(criteria,) if callable(criteria) else tuple(criteria),
            cancelled=as_check(cancel),
            deadline=None if config.max_time is None else time.perf_counter() + config.max_time,
            on_context_end=config.on_context_end or "stop",
            num_keep=config.num_keep or 0,
            logprobs=bool(logprobs or top_logprobs),
            top_logprobs=top_logprobs,
        )
        request = cls(
            model=model,
            config=config,
            tokenizer=texts,
            prompt_ids=prompt_ids,
            limits=limits,
            stops=stops,
            skip_special_tokens=skip_special_tokens,
            prompt_cache=prompt_cache,
            assistant_model=assistant_model,
            negative_ids=negative_ids,
        )
        request._check_combinations()
        return request

    @property
    def count(self) -> int:
        """How many sequences are asked for."""
        return self.config.num_return_sequences or 1

    @property
    def way(self) -> Way:
        """How tokens are found."""
        if (self.config.num_beams or 1) > 1:
            return "beam_search"
        if self.assistant_model is not None:
            return "assisted"
        return "plain" if self.config.prompt_lookup_num_tokens is None else "prompt_lookup"

    @property
    def is_guided(self) -> bool:
        """Whether a second context without the prompt takes part."""
        return self.config.guidance_scale not in (None, 1)

    def context(self) -> Context:
        """Where the prompt is read: the prompt cache's, or one without tokens."""
        return self.model.new_context() if self.prompt_cache is None else self.prompt_cache.context

    def sampler(self, seed: int | None = None) -> Sampler:
        """A sampler at its beginning."""
        return self.config.sampler(len(self.prompt_ids), seed)

    def detokenizer(self) -> Detokenizer:
        """Text from ids."""
        return Detokenizer(self.tokenizer, self.stops, self.limits.eos_ids, self.skip_special_tokens)

    def decoded(self, ids: Sequence[int]) -> str | None:
        """The text of generated ids; none without a tokenizer."""
        if self.tokenizer is None:
            return None
        detokenizer = self.detokenizer()
        return "".join([detokenizer.push(each) for each in ids]) + detokenizer.finish()

    def _check_combinations(self) -> None:
        config, way = self.config, self.way
        if self.count > 1 and way != "beam_search" and not config.draws:
            raise argument_error("num_return_sequences", f"{self.count} sequences would be the same one: nothing is drawn")
        if way == "beam_search":
            if self.count > (config.num_beams or 1):
                raise argument_error("num_return_sequences", f"{self.count} is more than num_beams, {config.num_beams}")
            for name, given in {
                "assistant_model": self.assistant_model,
                "prompt_lookup_num_tokens": config.prompt_lookup_num_tokens,
                "stop_strings": self.stops or None,
                "logprobs": self.limits.logprobs or None,
                "do_sample": config.draws or None,
                "on_context_end": config.on_context_end if config.on_context_end == "slide" else None,
            }.items():
                if given is not None:
                    raise argument_error(name, "is not supported with num_beams above 1")
        elif self.assistant_model is not None and config.prompt_lookup_num_tokens is not None:
            raise argument_error("prompt_lookup_num_tokens", "and assistant_model are two ways to draft: give one")
        if self.limits.on_context_end == "slide" and self.limits.num_keep >= self.model.context_length - 1:
            message = f"{self.limits.num_keep} tokens leave no room in a context of {self.model.context_length}"
            raise argument_error("num_keep", message)
        if self.is_guided and way != "plain":
            raise argument_error("guidance_scale", f"is not supported with {way.replace('_', ' ')}")
        if way == "assisted" and config.mirostat:
            raise argument_error(
                "mirostat", "follows what was drawn, which a draft does not know: it is not supported with assistant_model"
            )
        assistant = self.assistant_model
        if assistant is not None and assistant.vocab_size != self.model.vocab_size:
            message = f"has a vocabulary of {assistant.vocab_size} ids, the model one of {self.model.vocab_size}"
            raise argument_error("assistant_model", message)
        # Their values are checked where they are made.
        if way == "beam_search":
            config.processors(len(self.prompt_ids))
        else:
            self.sampler()


def _stops(
    config: GenerationConfig, tokenizer: TextTokenizer | None, skip_special_tokens: bool
) -> tuple[tuple[str, ...], frozenset[int]]:
    """The stop strings, and the ids that stand for one: special tokens are not in the text, where the others are looked for."""
    if not config.stops:
        return (), frozenset()
    if tokenizer is None:
        raise MissingTokenizerError("stop_strings need a tokenizer: pass tokenizer= here or when the model is loaded")
    special = {}
    if skip_special_tokens and hasattr(tokenizer, "get_added_tokens_decoder"):
        special = {token.content: id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    strings = tuple(string for string in config.stops if string not in special)
    return strings, frozenset(special[string] for string in config.stops if string in special)
