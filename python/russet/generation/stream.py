"""``generate`` and ``stream_generate``: from a prompt to text."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from russet import Sampler
from russet.generation.beam_search import Beam, beam_search
from russet.generation.loop import History, Reading, Step, decode
from russet.generation.prompts import Prompt, argument_error
from russet.generation.protocol import LanguageModel
from russet.generation.request import Request
from russet.generation.speculative import assisted, prompt_lookup
from russet.generation.stopping import CancelToken, as_check
from russet.generation.streamers import Streamer, give
from russet.generation.text import AnyTokenizer, Generation, GenerationPiece, Timings, Usage

__all__ = ["astream_generate", "generate", "stream_generate"]

#: How many tokens a small model drafts, and of how many ids prompt lookup looks for the last, where nothing is said.
NUM_ASSISTANT_TOKENS = 5
MAX_MATCHING_NGRAM_SIZE = 2
#: What a clock may not tell apart.
_TICK_SECONDS = 1e-7


@overload
def generate(
    model: LanguageModel,
    prompt: Prompt,
    tokenizer: AnyTokenizer | None = None,
    *,
    streamer: Streamer | None = None,
    num_return_sequences: Literal[1] | None = None,
    **values: Any,
) -> Generation: ...


@overload
def generate(
    model: LanguageModel,
    prompt: Prompt,
    tokenizer: AnyTokenizer | None = None,
    *,
    streamer: Streamer | None = None,
    num_return_sequences: int | None,
    **values: Any,
) -> Generation | list[Generation]: ...


def generate(
    model: LanguageModel,
    prompt: Prompt,
    tokenizer: AnyTokenizer | None = None,
    *,
    streamer: Streamer | None = None,
    num_return_sequences: int | None = None,
    **values: Any,
) -> Generation | list[Generation]:
    """Generates the text that follows a prompt.

    Args:
        model: What gives logits. Its attributes ``generation_config`` and ``tokenizer`` count if it has them.
        prompt: A text, or ids, (n,), or a conversation: messages with ``role`` and ``content``. The tokenizer's chat template
            writes it, and goes on with the last message if that is the assistant's.
        tokenizer: Makes ids of the prompt's text, and text of the ids that follow.
        streamer: Is given the text as it comes: one of transformers', or of :mod:`russet.generation.streamers`.
        num_return_sequences: How many texts, which share what is read of the prompt.
        generation_config: Values that the call does not give.
        prompt_cache: A :class:`PromptCache`: of the prompt only what it has not read yet is read. It has read the text then, too.
        assistant_model: A small model with the same vocabulary, which drafts.
        negative_prompt: What ``guidance_scale`` leads away from; without it the prompt's last token alone.
        stopping_criteria: Functions of the ids so far, (1, n), and the last logits, (1, V), that say whether to end.
        cancel: A :class:`CancelToken`, a ``threading.Event``, or a function: the generation ends before the model runs again.
        add_special_tokens: Whether the tokenizer adds some to a prompt that is a text.
        tools: Functions, or their JSON schemas, that a conversation's template is given; ``documents`` likewise.
        chat_template: A template instead of the tokenizer's own, or the name of one of its own.
        chat_template_kwargs: More variables for the template, such as ``enable_thinking``.
        skip_special_tokens: Whether they are left out of the text.
        logprobs: Whether the probability of each token is told, as its logarithm in the model's own distribution.
        top_logprobs: Of how many most probable tokens it is told, too.
        **values: Fields of :class:`GenerationConfig`.

    Returns:
        The text and all that is known of it; a list of them if ``num_return_sequences`` is above 1.

    Raises:
        ArgumentError: for values that make no sense, alone or together.
        MissingTokenizerError: for text without a tokenizer.
        ContextLengthError: if the prompt does not fit the context, or the text with ``on_context_end="error"``.
        TypeError: for a name that is no field.
    """
    request = Request.of(model, prompt, tokenizer, num_return_sequences=num_return_sequences, **values)
    if streamer is not None and (request.count > 1 or request.way == "beam_search"):
        raise argument_error("streamer", "takes one sequence, and no beam search")
    if streamer is not None:
        streamer.put(np.array([request.prompt_ids]))
    if request.way == "beam_search":
        generations = _beams(request)
        return generations if request.count > 1 else generations[0]
    try:
        generations = [sequence.whole(streamer) for sequence in _sequences(request)]
    finally:
        # Whoever reads from the streamer waits otherwise.
        if streamer is not None:
            streamer.end()
    return generations if request.count > 1 else generations[0]


def stream_generate(
    model: LanguageModel, prompt: Prompt, tokenizer: AnyTokenizer | None = None, **values: Any
) -> Generator[GenerationPiece, None, None]:
    """Generates a text piece by piece, one for each token; arguments are those of :func:`generate`.

    Sequences of ``num_return_sequences`` come one after the other. Closing the iterator ends the generation.
    """
    request = Request.of(model, prompt, tokenizer, **values)
    if request.way == "beam_search":
        raise argument_error("num_beams", "above 1 gives no token before the end: use generate")
    return _pieces(request)


def _pieces(request: Request) -> Generator[GenerationPiece, None, None]:
    for sequence in _sequences(request):
        yield from sequence.pieces()


async def astream_generate(
    model: LanguageModel, prompt: Prompt, tokenizer: AnyTokenizer | None = None, **values: Any
) -> AsyncIterator[GenerationPiece]:
    """:func:`stream_generate` for ``async for``: the model runs in a thread, and only while a piece is waited for.

    Where the task is cancelled the generation ends after the step that runs.
    """
    # Not for those who do not wait asynchronously: importing it takes longer than all of this package.
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    abandoned = CancelToken()
    cancelled = as_check(values.pop("cancel", None))
    pieces = stream_generate(
        model, prompt, tokenizer, cancel=lambda: abandoned.is_set() or (cancelled is not None and cancelled()), **values
    )
    loop = asyncio.get_running_loop()
    # One thread, so that the iterator is closed after the step that runs.
    executor = ThreadPoolExecutor(1, "russet-generation")
    try:
        while (piece := await loop.run_in_executor(executor, next, pieces, None)) is not None:
            yield piece
    finally:
        abandoned.cancel()
        executor.submit(pieces.close)
        executor.shutdown(wait=False)


def _beams(request: Request) -> list[Generation]:
    """The best sequences that beam search finds."""
    began = time.perf_counter()
    config = request.config
    reading = Reading(request.context(), request.model, request.limits)
    logits = reading.read(request.prompt_ids, config.prefill_chunk_size)
    read = time.perf_counter()
    if logits is None:
        beams = [Beam([], 0.0, request.limits.interrupted() or "cancelled")] * request.count
    else:
        beams = beam_search(
            # The prompt alone is left in a prompt cache.
            reading if request.prompt_cache is None else reading.branch(),
            logits,
            config.processors(len(request.prompt_ids)),
            request.prompt_ids,
            num_beams=config.num_beams or 1,
            count=request.count,
            length_penalty=1.0 if config.length_penalty is None else config.length_penalty,
            early_stopping=config.early_stopping or False,
        )
    timings = Timings(read - began, time.perf_counter() - read)
    return [
        Generation(
            token_ids=beam.ids,
            finish_reason=beam.finish_reason,
            usage=Usage(len(request.prompt_ids), len(beam.ids), reading.cached),
            timings=timings,
            score=beam.score,
            _text=request.decoded(beam.ids),
        )
        for beam in beams
    ]


class _Sequence:
    """One of the texts that a request asks for, on its way."""

    def __init__(self, request: Request, steps: Iterator[Step], index: int, seed: int, prompt_seconds: float, cached: int) -> None:
        self._request = request
        self._steps = steps
        self._index = index
        self._seed = seed
        self._prompt_seconds = prompt_seconds
        self._cached = cached
        self._detokenizer = request.detokenizer()
        self._began = time.perf_counter()

    def pieces(self) -> Iterator[GenerationPiece]:
        """The text as it comes."""
        detokenizer = self._detokenizer
        prompt_tokens = len(self._request.prompt_ids)
        prompt_tps = (prompt_tokens - self._cached) / max(self._prompt_seconds, _TICK_SECONDS)
        count = 0
        for token, reason, logprob, top, from_draft in self._steps:
            text = ""
            if token is not None:
                count += 1
                text = detokenizer.push(token)
                if detokenizer.stop_string is not None:
                    reason = "stop"
            if reason is not None:
                text += detokenizer.finish()
                if detokenizer.stop_string is not None:
                    reason = "stop"
            tps = count / max(time.perf_counter() - self._began, _TICK_SECONDS)
            yield GenerationPiece(text, token, logprob, top, from_draft, prompt_tokens, prompt_tps, count, tps, reason, self._index)
            if reason is not None:
                return

    def whole(self, streamer: Streamer | None) -> Generation:
        """All of the text; a streamer is given it as it comes."""
        limits = self._request.limits
        texts: list[str] = []
        ids: list[int] = []
        logprobs: list[float] = []
        top_logprobs: list[list[tuple[int, float]]] = []
        for piece in self.pieces():
            texts.append(piece.text)
            if piece.token is not None:
                ids.append(piece.token)
            if piece.logprob is not None:
                logprobs.append(piece.logprob)
            if piece.top_logprobs is not None:
                top_logprobs.append(piece.top_logprobs)
            if streamer is not None:
                give(streamer, piece)
            reason = piece.finish_reason
        assert reason is not None, "the last step has a reason"
        return Generation(
            token_ids=ids,
            finish_reason=reason,
            usage=Usage(len(self._request.prompt_ids), len(ids), self._cached),
            timings=Timings(self._prompt_seconds, time.perf_counter() - self._began),
            logprobs=logprobs if limits.logprobs else None,
            top_logprobs=top_logprobs if limits.top_logprobs else None,
            stop_string=self._detokenizer.stop_string,
            seed=self._seed,
            _text=None if self._request.tokenizer is None else "".join(texts),
        )


def _sequences(request: Request) -> Iterator[_Sequence]:
    """Reads the prompt once, and begins each sequence that is asked for behind it."""
    began = time.perf_counter()
    limits, chunk = request.limits, request.config.prefill_chunk_size
    reading = Reading(request.context(), request.model, limits)
    logits = reading.read(request.prompt_ids, chunk)
    without, without_logits = None, None
    if request.is_guided:
        without = Reading(request.model.new_context(), request.model, limits)
        without_logits = without.read(request.negative_ids or request.prompt_ids[-1:], chunk)
    prompt_seconds = time.perf_counter() - began
    seed = None
    for index in range(request.count):
        sampler = request.sampler(seed)
        seed = sampler.seed
        if logits is None or (without is not None and without_logits is None):
            steps: Iterator[Step] = iter((Step(None, limits.interrupted() or "cancelled"),))
        else:
            shared = request.count > 1
            branch = reading.branch() if shared else reading
            unconditional = None
            if without is not None and without_logits is not None:
                unconditional = (without.branch() if shared else without, without_logits)
            steps = _steps(request, branch, logits, sampler, index, unconditional)
        yield _Sequence(request, steps, index, seed, prompt_seconds, reading.cached)


def _steps(
    request: Request,
    reading: Reading,
    logits: NDArray[np.float32],
    sampler: Sampler,
    row: int,
    unconditional: tuple[Reading, NDArray[np.float32]] | None,
) -> Iterator[Step]:
    """The tokens behind a prompt, in the way that is asked for."""
    config, history = request.config, History(request.prompt_ids)
    if request.assistant_model is not None:
        return assisted(
            reading,
            logits,
            sampler,
            history,
            assistant=request.assistant_model,
            draft_sampler=request.sampler(sampler.seed),
            draws=config.draws,
            num_tokens=config.num_assistant_tokens or NUM_ASSISTANT_TOKENS,
            row=row,
            reads_history=config.reads_history,
        )
    if config.prompt_lookup_num_tokens is not None:
        return prompt_lookup(
            reading,
            logits,
            sampler,
            history,
            num_tokens=config.prompt_lookup_num_tokens,
            max_matching_ngram_size=config.max_matching_ngram_size or MAX_MATCHING_NGRAM_SIZE,
            row=row,
            reads_history=config.reads_history,
        )
    return decode(reading, logits, sampler, history, row=row, reads_history=config.reads_history, unconditional=unconditional)
