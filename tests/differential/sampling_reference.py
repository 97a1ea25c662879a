"""The formulas that `russet.Sampler` and `russet.LogitsProcessors` are held equal to, in plain NumPy: those of transformers 5.23, of
mlx-lm 0.32.2 and of llama.cpp, each where its function says so.

Filters take scores `(B, V)` of float32 and give the same with minus infinity where a token is removed. What the sources compute in
float32 is float32 here: softmax, division by the temperature; sums are float64, as torch's on a processor. `nudge` moves a filter's
limit by that share of itself: what lies between the results of a small positive and a small negative one is decided by rounding.

Where sources leave open which of equal scores stay (the sort of torch and of C++ do), those with the lowest ids do, as Russet says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Kept = NDArray[np.bool_]


def from_greatest(scores: Scores) -> NDArray[np.int64]:
    """The ids of each row by score, the greatest first, equal ones by id."""
    bits = (scores + np.float32(0.0)).view(np.uint32)  # minus zero becomes zero
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    keys = (~rising).astype(np.uint64) << np.uint64(32) | np.arange(scores.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def taken(values: NDArray[Any], ids: NDArray[np.int64]) -> NDArray[Any]:
    return np.take_along_axis(values, ids, axis=1)


def scattered(chosen: Kept, ids: NDArray[np.int64], length: int) -> Kept:
    """What is chosen among some ids of each row, by id."""
    kept = np.zeros((len(chosen), length), dtype=bool)
    np.put_along_axis(kept, ids, chosen, axis=1)
    return kept


def masked(scores: Scores, kept: Kept) -> Scores:
    return np.where(kept, scores, np.float32(-np.inf))


def softmax(scores: Scores) -> Scores:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)


def log_softmax(scores: Scores) -> Scores:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True, dtype=np.float64)).astype(np.float32)


def entropy(scores: Scores) -> NDArray[np.float64]:
    probabilities, logarithms = softmax(scores), log_softmax(scores)
    terms = np.where(probabilities > 0, probabilities * np.where(np.isfinite(logarithms), logarithms, 0), 0)
    return -terms.sum(axis=1, keepdims=True, dtype=np.float64)


def cumulated(values: Scores) -> Scores:
    return values.cumsum(axis=1, dtype=np.float64).astype(np.float32)


def greatest(scores: Scores, count: int) -> Kept:
    """The `count` greatest scores of each row."""
    return scattered(
        np.ones((len(scores), min(count, scores.shape[1])), dtype=bool), from_greatest(scores)[:, :count], scores.shape[1]
    )


def at_least(scores: Scores, keep: int) -> Kept:
    """The scores that are not below the `keep`-th greatest: all that are equal to it."""
    keep = min(keep, scores.shape[1])
    return scores >= np.partition(scores, -keep, axis=1)[:, -keep, None]


# transformers: generation/logits_process.py, the warpers


def temperature(scores: Scores, value: float) -> Scores:
    return scores / np.float32(value)


def top_k(scores: Scores, k: int, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    return masked(scores, at_least(scores, max(k, keep)))


def top_p(scores: Scores, p: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    rising = from_greatest(scores)[:, ::-1]
    removed = cumulated(taken(softmax(scores), rising)) <= np.float32(1 - p - nudge)
    removed[:, -keep:] = False
    return masked(scores, scattered(~removed, rising, scores.shape[1]))


def min_p(scores: Scores, p: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    probabilities = softmax(scores)
    kept = probabilities >= np.float32(p * (1 + nudge)) * probabilities.max(axis=1, keepdims=True)
    return masked(scores, kept | greatest(scores, keep))


def typical(scores: Scores, mass: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    nearest, distances, masses = by_distance(scores)
    last = (masses < np.float32(mass * (1 + nudge))).sum(axis=1, keepdims=True)
    kept = distances <= taken(distances, np.minimum(last, scores.shape[1] - 1))
    kept[:, :keep] = True
    return masked(scores, scattered(kept if nudge == 0 else nudged(kept, distances, nudge), nearest, scores.shape[1]))


def by_distance(scores: Scores) -> tuple[NDArray[np.int64], Scores, Scores]:
    """The ids by how far their surprise is from the entropy, these distances, and the mass up to each."""
    distances = np.abs(-log_softmax(scores) - entropy(scores).astype(np.float32))
    nearest = from_greatest(-distances)
    return nearest, taken(distances, nearest), cumulated(taken(softmax(scores), nearest))


def nudged(kept: Kept, distances: Scores, nudge: float) -> Kept:
    """What lies up to the farthest that is kept, moved: rounding changes the order of what is nearly as far."""
    limit = taken(distances, kept.sum(axis=1, keepdims=True) - 1)
    return distances <= limit + np.float32(nudge) * (1 + np.where(np.isfinite(limit), limit, 0))


def epsilon(scores: Scores, cutoff: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    return masked(scores, (softmax(scores) >= np.float32(cutoff * (1 + nudge))) | at_least(scores, keep))


def eta(scores: Scores, cutoff: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    limit = np.minimum(cutoff, np.sqrt(cutoff) * np.exp(-entropy(scores))).astype(np.float32)
    return masked(scores, (softmax(scores) >= limit * np.float32(1 + nudge)) | at_least(scores, keep))


def top_h(scores: Scores, share: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    first = from_greatest(scores)[:, :100]
    of_first = taken(scores, first)
    probabilities = softmax(of_first)
    with np.errstate(divide="ignore", invalid="ignore"):  # what has no probability is no number, and not within the limit
        terms = -probabilities * np.log(probabilities)
    # A probability near one is rounded by so much that its term is: hence more than a share.
    within = cumulated(terms) <= (entropy(of_first) * share * (1 + nudge) + nudge).astype(np.float32)
    within[:, 0] = True
    return masked(scores, scattered(within, first, scores.shape[1]))


# llama.cpp: src/llama-sampler.cpp


def exactly_top_k(scores: Scores, k: int, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    return masked(scores, greatest(scores, max(k, keep)))


def typical_of_llama(scores: Scores, mass: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    """As `typical`, but with as many tokens as it takes where several are equally typical."""
    nearest, distances, masses = by_distance(scores)
    kept = np.concatenate([np.zeros((len(scores), 1), np.float32), masses[:, :-1]], axis=1) <= np.float32(mass * (1 + nudge))
    kept[:, :keep] = True
    return masked(scores, scattered(kept if nudge == 0 else nudged(kept, distances, nudge), nearest, scores.shape[1]))


def top_n_sigma(scores: Scores, n: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    finite = scores > -np.inf
    count = finite.sum(axis=1, keepdims=True)
    mean = np.where(finite, scores, 0).sum(axis=1, keepdims=True, dtype=np.float64) / count
    deviation = np.sqrt(np.where(finite, np.square(np.where(finite, scores, 0) - mean), 0).sum(axis=1, keepdims=True) / count)
    top = scores.max(axis=1, keepdims=True).astype(np.float64)
    limit = top - n * deviation
    return masked(scores, scores >= limit + nudge * (np.abs(top) + n * deviation))


def xtc(scores: Scores, threshold: float, *, spared: Sequence[int] = (), keep: int = 1, nudge: float = 0.0) -> Scores:
    """Where it takes place. Those to be spared are mlx-lm's."""
    order = from_greatest(scores)
    above = (taken(softmax(scores), order) >= np.float32(threshold * (1 + nudge))).sum(axis=1, keepdims=True)
    count = (scores > -np.inf).sum(axis=1, keepdims=True)
    last = np.maximum(np.minimum(above, count) - 1, 0)
    removed = (np.arange(scores.shape[1]) < last) & (count - last >= keep)
    removed = scattered(removed, order, scores.shape[1])
    removed[:, list(spared)] = False
    return masked(scores, ~removed)


def mirostat_1(scores: Scores, mu: float) -> Scores:
    """Of rows without minus infinity. In float64: the estimate of the exponent cancels, and says nothing in float32."""
    kept = np.zeros(scores.shape, dtype=bool)
    for row, ids in enumerate(from_greatest(scores)):
        top = scores[row, ids[:100]].astype(np.float64)
        t = np.log(np.arange(2, len(top) + 1) / np.arange(1, len(top)))
        exponent = (t * (top[:-1] - top[1:])).sum() / (t * t).sum()
        excess = exponent - 1
        k = ((excess * 2**mu) / (1 - float(scores.shape[1]) ** -excess)) ** (1 / exponent)
        kept[row, ids[: max(int(min(k, 2**31 - 1)), 1)]] = True
    return masked(scores, kept)


def mirostat_2(scores: Scores, mu: float, *, nudge: float = 0.0) -> Scores:
    with np.errstate(divide="ignore"):
        surprise = -np.log2(softmax(scores))
    return masked(scores, (surprise <= np.float32(mu + nudge * max(abs(mu), 1))) | greatest(scores, 1))


def mirostat_mu(mu: float, probability: float, tau: float, rate: float) -> float:
    """The limit for the next token. Both versions."""
    return mu - rate * (-float(np.log2(probability)) - tau)


# mlx-lm: sample_utils.py. Its filters see log-probabilities; each gives the same for what differs from them by one number.


def top_p_of_mlx(scores: Scores, p: float, *, keep: int = 1, nudge: float = 0.0) -> Scores:
    order = from_greatest(scores)
    masses = taken(softmax(scores), order).cumsum(axis=1, dtype=np.float64)
    above = np.concatenate([np.zeros((len(scores), 1)), masses[:, :-1]], axis=1)
    dropped = (above >= p * (1 + nudge) * masses[:, -1:]).sum(axis=1, keepdims=True)
    last = np.maximum(scores.shape[1] - 1 - dropped, 0)
    return masked(scores, scores >= taken(scores, taken(order, last)))


def xtc_of_mlx(scores: Scores, threshold: float, *, spared: Sequence[int] = (), keep: int = 1, nudge: float = 0.0) -> Scores:
    probabilities = softmax(scores)
    above = np.where(probabilities > np.float32(threshold * (1 + nudge)), probabilities, np.float32(np.inf))
    removed = probabilities > above.min(axis=1, keepdims=True) * np.float32(1 - nudge)
    removed[:, list(spared)] = False
    return masked(scores, ~removed)


# Processors: `(history, scores) -> scores`, of one row


def guidance(scores: Scores, unconditional: Scores, scale: float) -> Scores:
    """transformers: UnbatchedClassifierFreeGuidanceLogitsProcessor, without the model."""
    scores, unconditional = log_softmax(scores), log_softmax(unconditional)
    return np.float32(scale) * (scores - unconditional) + unconditional


def sequence_bias(history: Sequence[int], scores: Scores, biases: dict[tuple[int, ...], float]) -> Scores:
    """transformers: SequenceBiasLogitsProcessor."""
    bias = np.zeros_like(scores)
    for (last,), value in ((ids, value) for ids, value in biases.items() if len(ids) == 1):
        bias[last] = value
    lengths = dict.fromkeys(len(ids) for ids in biases if len(ids) > 1)
    for length in lengths:
        for ids, value in biases.items():
            if len(ids) == length and length - 1 <= len(history) and tuple(history[len(history) - length + 1 :]) == ids[:-1]:
                bias[ids[-1]] += np.float32(value)
    return scores + bias


def bad_words(history: Sequence[int], scores: Scores, words: list[list[int]], eos: Sequence[int] = ()) -> Scores:
    """transformers: NoBadWordsLogitsProcessor."""
    return sequence_bias(history, scores, {tuple(ids): -np.inf for ids in words if all(ids != [one] for one in eos)})


def logit_bias(scores: Scores, biases: dict[int, float]) -> Scores:
    """mlx-lm: make_logits_processors."""
    changed = scores.copy()
    for id, bias in biases.items():
        changed[id] += np.float32(bias)
    return changed


def known(history: Sequence[int], scores: Scores, last_n: int | None = None) -> list[int]:
    """The ids of the history's end that the scores have."""
    looked_at = history if last_n is None else history[max(len(history) - last_n, 0) :]
    return [id for id in looked_at if id < len(scores)]


def repetition_penalty(history: Sequence[int], scores: Scores, penalty: float) -> Scores:
    """transformers: RepetitionPenaltyLogitsProcessor."""
    ids, changed, factor = known(history, scores), scores.copy(), np.float32(penalty)
    changed[ids] = np.where(scores[ids] < 0, scores[ids] * factor, scores[ids] / factor)
    return changed


def penalties_of_mlx(
    history: Sequence[int], scores: Scores, repetition: float, presence: float, frequency: float, last_n: int
) -> Scores:
    """mlx-lm: make_repetition_penalty, make_presence_penalty, make_frequency_penalty, one after the other."""
    ids = known(history, scores, last_n)
    changed = repetition_penalty(ids, scores, repetition)
    changed[ids] = changed[ids] - np.float32(presence)
    np.subtract.at(changed, ids, np.float32(frequency))
    return changed


def penalties_of_llama(
    history: Sequence[int], scores: Scores, repetition: float, presence: float, frequency: float, last_n: int | None
) -> Scores:
    """llama.cpp: llama_sampler_penalties_apply."""
    changed = scores.copy()
    for id, count in Counter(known(history, scores, last_n)).items():
        logit = scores[id] * np.float32(repetition) if scores[id] <= 0 else scores[id] / np.float32(repetition)
        changed[id] = logit - (np.float32(count) * np.float32(frequency) + np.float32(presence))
    return changed


def dry(
    history: Sequence[int],
    scores: Scores,
    multiplier: float,
    base: float,
    allowed_length: int,
    breakers: Sequence[Sequence[int]] = (),
    last_n: int | None = None,
) -> Scores:
    """llama.cpp: llama_sampler_dry_apply, each repetition found by comparing."""
    ids = list(history if last_n is None else history[max(len(history) - last_n, 0) :])
    changed = scores.copy()
    if len(ids) <= allowed_length:
        return changed
    limit = len(ids)
    for end in range(len(ids), 0, -1):  # the last breaker, by the place of its first id
        found = [b for b in breakers if tuple(ids[end - 1 : end - 1 + len(b)]) == tuple(b)]
        if found:
            limit = len(ids) - end - max(len(b) for b in found) + 1
            break
    if limit < allowed_length:
        return changed
    longest: dict[int, int] = {}
    for place in range(1, len(ids)):  # the id there follows a repetition of this length
        length = 0
        while length < place and ids[place - 1 - length] == ids[-1 - length]:
            length += 1
        if min(length, limit) >= allowed_length:
            longest[ids[place]] = max(longest.get(ids[place], 0), min(length, limit))
    greatest_exponent = int(88.7228391 / np.log(base)) if base > 1.000001 else 0
    for id, length in longest.items():
        if id < len(scores) and [id] not in [list(b) for b in breakers]:
            exponent = length - allowed_length
            exponent = min(exponent, greatest_exponent) if greatest_exponent > 0 else exponent
            changed[id] -= np.float32(multiplier * float(np.float32(base)) ** exponent)
    return changed


def no_repeat_ngram(history: Sequence[int], scores: Scores, size: int) -> Scores:
    """transformers: NoRepeatNGramLogitsProcessor."""
    end = list(history[len(history) - size + 1 :])
    windows = [list(history[begin : begin + size]) for begin in range(len(history) - size + 1)]
    return without(scores, [window[-1] for window in windows if window[:-1] == end])


def without(scores: Scores, ids: Sequence[int]) -> Scores:
    """transformers: SuppressTokensLogitsProcessor; those for the beginning and for the least length do it at some lengths only."""
    changed = scores.copy()
    changed[[id for id in ids if id < len(scores)]] = -np.inf
    return changed


def prefix_allowed(scores: Scores, allowed: Sequence[int]) -> Scores:
    """transformers: PrefixConstrainedLogitsProcessor."""
    mask = np.full_like(scores, -np.inf)
    mask[list(allowed)] = 0
    changed = scores + mask
    return mask if changed.max() == -np.inf else changed


def forced(scores: Scores, ids: Sequence[int]) -> Scores:
    """transformers: ForcedBOSTokenLogitsProcessor, ForcedEOSTokenLogitsProcessor, at their lengths."""
    changed = np.full_like(scores, -np.inf)
    changed[list(ids)] = 0
    return changed


def remove_invalid(scores: Scores) -> Scores:
    """transformers: InfNanRemoveLogitsProcessor."""
    limits = np.finfo(np.float32)
    return np.nan_to_num(scores, nan=0.0, posinf=float(limits.max), neginf=float(limits.min))


def exponential_decay(history: Sequence[int], scores: Scores, start: int, factor: float, eos: Sequence[int], prompt: int) -> Scores:
    """transformers: ExponentialDecayLengthPenalty."""
    past = len(history) - start - prompt
    changed = scores.copy()
    for id in eos if past > 0 else ():
        if np.isfinite(scores[id]):
            with np.errstate(over="ignore"):
                changed[id] = scores[id] + np.abs(scores[id]) * np.float32(factor**past - 1)
    return changed


FILTERS: dict[str, Callable[..., Scores]] = {
    "top_n_sigma": top_n_sigma,
    "top_h": top_h,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
    "typical_p": typical,
    "epsilon_cutoff": epsilon,
    "eta_cutoff": eta,
    "xtc_threshold": xtc,
}
OF_MLX = {**FILTERS, "top_k": exactly_top_k, "top_p": top_p_of_mlx, "xtc_threshold": xtc_of_mlx}
OF_LLAMA = {**FILTERS, "top_k": exactly_top_k, "typical_p": typical_of_llama}
# transformers: generation/utils.py; mlx-lm: make_sampler; llama.cpp: common/sampling.cpp. What a source does not have stands where
# Russet says.
ORDERS: dict[str, tuple[dict[str, Callable[..., Scores]], list[str]]] = {
    "transformers": (
        FILTERS,
        [
            "temperature",
            "top_n_sigma",
            "top_h",
            "top_k",
            "top_p",
            "min_p",
            "typical_p",
            "epsilon_cutoff",
            "eta_cutoff",
            "xtc_threshold",
        ],
    ),
    "mlx-lm": (
        OF_MLX,
        [
            "top_n_sigma",
            "top_h",
            "typical_p",
            "top_p",
            "min_p",
            "xtc_threshold",
            "top_k",
            "epsilon_cutoff",
            "eta_cutoff",
            "temperature",
        ],
    ),
    "llama.cpp": (
        OF_LLAMA,
        [
            "top_n_sigma",
            "top_h",
            "top_k",
            "typical_p",
            "top_p",
            "min_p",
            "xtc_threshold",
            "epsilon_cutoff",
            "eta_cutoff",
            "temperature",
        ],
    ),
}


def apply(name: str, order: str, scores: Scores, settings: dict[str, Any], nudge: float = 0.0) -> Scores:
    """One filter, with the settings of `russet.Sampler`."""
    if name == "temperature":
        return temperature(scores, settings[name])
    options: dict[str, Any] = {"keep": settings.get("min_tokens_to_keep", 1), "nudge": nudge}
    if name == "xtc_threshold":
        options["spared"] = [id for id in settings.get("xtc_special_tokens", []) if id < scores.shape[1]]
    return ORDERS[order][0][name](scores, settings[name], **options)


def chain(order: str, settings: dict[str, Any]) -> list[str]:
    """The filters that settings name, in order."""
    return [name for name in ORDERS[order][1] if name in settings]
