"""Keywords of `russet.LogitsProcessors` at random, one processor at a time, each with its source's formula; and histories for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sampling_reference as reference
from sampling_reference import Scores

Case = tuple[dict[str, Any], Callable[[list[int], Scores], Scores]]


def ids(rng: np.random.Generator, length: int, most: int = 4) -> list[int]:
    return rng.choice(length, size=min(int(rng.integers(1, most + 1)), length), replace=False).tolist()


def sequences(rng: np.random.Generator, history: list[int], length: int) -> list[tuple[int, ...]]:
    """Distinct sequences of ids; half of them begin as the history ends."""
    found: dict[tuple[int, ...], None] = {}
    for _ in range(int(rng.integers(1, 10))):
        before = int(rng.integers(0, 5))
        prefix = rng.integers(length, size=before).tolist()
        if before <= len(history) and rng.random() < 0.6:
            prefix = history[len(history) - before :]
        if all(id < length for id in prefix):
            found[(*prefix, int(rng.integers(length)))] = None
    return list(found) or [(0,)]


def guidance(rng: np.random.Generator, history: list[int], length: int) -> Case:
    scale = float(rng.uniform(-1, 4))
    unconditional = gaussian(rng, length)
    return {"guidance_scale": scale, "unconditional_logits": unconditional}, lambda h, s: reference.guidance(
        s, unconditional, scale
    )


def sequence_bias(rng: np.random.Generator, history: list[int], length: int) -> Case:
    biases = {key: float(rng.normal(0, 3)) for key in sequences(rng, history, length)}
    given = biases if rng.random() < 0.5 else [[list(key), bias] for key, bias in biases.items()]
    return {"sequence_bias": given}, lambda h, s: reference.sequence_bias(h, s, biases)


def logit_bias(rng: np.random.Generator, history: list[int], length: int) -> Case:
    biases = {id: float(rng.normal(0, 3)) for id in ids(rng, length)}
    return {"logit_bias": biases}, lambda h, s: reference.logit_bias(s, biases)


def repetition_penalty(rng: np.random.Generator, history: list[int], length: int) -> Case:
    penalty = float(rng.uniform(0.5, 2))
    return {"repetition_penalty": penalty}, lambda h, s: reference.repetition_penalty(h, s, penalty)


def penalties(rng: np.random.Generator, history: list[int], length: int) -> Case:
    repetition, presence, frequency = (float(value) for value in rng.uniform([0.5, -1, -1], [2, 2, 2]))
    last_n = int(rng.choice([-1, 0, 1, 3, 64]))
    keywords = {
        "repetition_penalty": repetition,
        "presence_penalty": presence,
        "frequency_penalty": frequency,
        "penalty_last_n": last_n,
    }
    window = None if last_n == -1 else last_n
    return keywords, lambda h, s: reference.penalties_of_llama(h, s, repetition, presence, frequency, window)


def penalties_of_mlx(rng: np.random.Generator, history: list[int], length: int) -> Case:
    keywords, _ = penalties(rng, history, length)
    keywords["penalty_last_n"] = 20
    repetition, presence, frequency, _ = keywords.values()
    return keywords, lambda h, s: reference.penalties_of_mlx(h, s, repetition, presence, frequency, 20)


def dry(rng: np.random.Generator, history: list[int], length: int) -> Case:
    multiplier, base, allowed = float(rng.uniform(0.1, 2)), float(rng.choice([1.0, 1.2, 1.75, 2.5])), int(rng.integers(0, 5))
    breakers = [rng.integers(length, size=rng.integers(1, 4)).tolist() for _ in range(rng.integers(0, 4))]
    last_n = int(rng.choice([-1, 0, 4, 30]))
    keywords = {
        "dry_multiplier": multiplier,
        "dry_base": base,
        "dry_allowed_length": allowed,
        "dry_sequence_breakers": breakers,
        "dry_penalty_last_n": last_n,
    }
    window = None if last_n == -1 else last_n
    return keywords, lambda h, s: reference.dry(h, s, multiplier, base, allowed, breakers, window)


def no_repeat_ngram(rng: np.random.Generator, history: list[int], length: int) -> Case:
    size = int(rng.integers(1, 5))
    return {"no_repeat_ngram_size": size}, lambda h, s: reference.no_repeat_ngram(h, s, size)


def bad_words(rng: np.random.Generator, history: list[int], length: int) -> Case:
    words = [list(key) for key in sequences(rng, history, length)]
    eos = [words[0][0]] if rng.random() < 0.5 else []
    return {"bad_words_ids": words, "eos_token_id": eos}, lambda h, s: reference.bad_words(h, s, words, eos)


def min_length(rng: np.random.Generator, history: list[int], length: int) -> Case:
    eos, least = [*ids(rng, length), length + 3], len(history) + int(rng.integers(0, 2))
    keywords = {"min_length": least, "eos_token_id": eos}
    return keywords, lambda h, s: reference.without(s, eos) if len(h) < least else s


def min_new_tokens(rng: np.random.Generator, history: list[int], length: int) -> Case:
    eos, prompt = ids(rng, length), int(rng.integers(0, len(history) + 1))
    least = len(history) - prompt + int(rng.integers(0, 2))
    keywords = {"min_new_tokens": least, "prompt_length": prompt, "eos_token_id": eos}
    return keywords, lambda h, s: reference.without(s, eos) if len(h) - prompt < least else s


def prefix_allowed(rng: np.random.Generator, history: list[int], length: int) -> Case:
    allowed = [*ids(rng, length), *ids(rng, length)]

    def function(row: int, given: np.ndarray[Any, Any]) -> Sequence[int]:
        assert given.dtype == np.int64
        assert given.tolist() == history
        return allowed

    return {"prefix_allowed_tokens_fn": function}, lambda h, s: reference.prefix_allowed(s, allowed)


def forced_bos(rng: np.random.Generator, history: list[int], length: int) -> Case:
    (id,) = ids(rng, length, 1)
    return {"forced_bos_token_id": id}, lambda h, s: reference.forced(s, [id]) if len(h) == 1 else s


def forced_eos(rng: np.random.Generator, history: list[int], length: int) -> Case:
    eos, most = ids(rng, length), len(history) + int(rng.integers(0, 3))
    keywords = {"forced_eos_token_id": eos if len(eos) > 1 else eos[0], "max_length": most}
    return keywords, lambda h, s: reference.forced(s, eos) if len(h) == most - 1 else s


def remove_invalid(rng: np.random.Generator, history: list[int], length: int) -> Case:
    return {"remove_invalid_values": True}, lambda h, s: reference.remove_invalid(s)


def exponential_decay(rng: np.random.Generator, history: list[int], length: int) -> Case:
    start, factor, eos = int(rng.integers(0, 4)), float(rng.uniform(0.5, 1.6)), ids(rng, length)
    prompt = int(rng.integers(0, len(history) + 1))
    keywords = {"exponential_decay_length_penalty": (start, factor), "eos_token_id": eos, "prompt_length": prompt}
    return keywords, lambda h, s: reference.exponential_decay(h, s, start, factor, eos, prompt)


def suppress(rng: np.random.Generator, history: list[int], length: int) -> Case:
    some = [*ids(rng, length), length]
    return {"suppress_tokens": some}, lambda h, s: reference.without(s, some)


def begin_suppress(rng: np.random.Generator, history: list[int], length: int) -> Case:
    some, prompt = ids(rng, length), max(len(history) - int(rng.integers(0, 2)), 0)
    keywords = {"begin_suppress_tokens": some, "prompt_length": prompt}
    return keywords, lambda h, s: reference.without(s, some) if len(h) == prompt else s


def callables(rng: np.random.Generator, history: list[int], length: int) -> Case:
    keywords = {
        "logits_processor": [lambda h, s: s * 0.5, lambda h, s: s - h.shape[1]]
    }  # of (1, n) and (1, V), as transformers' own
    return keywords, lambda h, s: s * np.float32(0.5) - np.float32(len(h))


def mask(rng: np.random.Generator, history: list[int], length: int) -> Case:
    allowed = rng.random(length) < 0.5
    return {"mask": allowed}, lambda h, s: reference.without(s, np.flatnonzero(~allowed).tolist())


def renormalize(rng: np.random.Generator, history: list[int], length: int) -> Case:
    return {"renormalize_logits": True}, lambda h, s: reference.log_softmax(s)


# In the order of transformers; what is not its own stands where Russet says.
IN_ORDER = {
    "guidance": guidance,
    "sequence_bias": sequence_bias,
    "logit_bias": logit_bias,
    "llama.cpp's penalties": penalties,
    "dry": dry,
    "no_repeat_ngram": no_repeat_ngram,
    "bad_words": bad_words,
    "min_length": min_length,
    "min_new_tokens": min_new_tokens,
    "prefix_allowed": prefix_allowed,
    "forced_bos": forced_bos,
    "forced_eos": forced_eos,
    "remove_invalid": remove_invalid,
    "exponential_decay": exponential_decay,
    "suppress": suppress,
    "begin_suppress": begin_suppress,
    "callables": callables,
    "mask": mask,
    "renormalize": renormalize,
}
MAKERS = {**IN_ORDER, "repetition_penalty": repetition_penalty, "mlx-lm's penalties": penalties_of_mlx}


def gaussian(rng: np.random.Generator, length: int) -> Scores:
    return rng.normal(0, 4, length).astype(np.float32)


def history_of(rng: np.random.Generator, length: int, beyond: int = 3) -> list[int]:
    """Ids with repetitions, some of them not among the logits; sometimes none, sometimes one."""
    count = int(rng.choice([0, 1, 2, int(rng.integers(3, 40)), int(rng.integers(3, 120))]))
    return rng.integers(min(length + beyond, int(rng.choice([4, 12, length + beyond]))), size=count).tolist()
