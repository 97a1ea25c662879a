"""What the inputs, outputs and states of a language model's package mean.

Packages name the same things in several ways. A :class:`Contract` is found by name first, then by shape and type; what it leaves
open is told by the package's own shapes. Kinds of packages that are more than one model are refused by their name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from russet.coreml.backend import Feature, FunctionDescription
from russet.errors import UnsupportedModelError

#: What inputs are called, in lower case without underscores.
_IDS = ("inputids", "inputid", "tokens", "tokenids")
_ATTENTION_MASKS = ("attentionmask",)
_CAUSAL_MASKS = ("causalmask", "fullcausalmask")
_POSITIONS = ("position", "positionids", "positions", "cacheposition", "currentpos")
_LAST_INDICES = ("lastindex", "lasttokenindex")
_LOGITS = ("logits", "tokenscores", "scores", "output", "outputlogits")
#: Parts of names of caches.
_CACHE = re.compile(r"(key|value|k|v)s?(cache|caches|past)|(cache|past|present)(key|value|k|v)s?|(past|present)(keyvalues)?")


@dataclass(frozen=True)
class Sizes:
    """How many tokens a call takes: one of a list, or any number of a range."""

    listed: tuple[int, ...] = ()
    least: int = 1
    greatest: int = 0

    @property
    def most(self) -> int:
        """The greatest number."""
        return self.listed[-1] if self.listed else self.greatest

    def __contains__(self, size: int) -> bool:
        return size in self.listed if self.listed else self.least <= size <= self.greatest

    def __str__(self) -> str:
        return ", ".join(map(str, self.listed)) if self.listed else f"{self.least} to {self.greatest}"


@dataclass(frozen=True)
class Contract:
    """The parts that a function's inputs, outputs and states play."""

    ids: str
    #: ``attention``: (1, k) of 0 and 1; ``causal``: (1, 1, q, k), added to scores.
    mask: str | None
    mask_kind: Literal["attention", "causal"] | None
    #: Where the first token stands, (1,), or where all of them do, (1, q).
    position: str | None
    #: The index of the last real token, (1,): the logits are those behind it.
    last_index: str | None
    #: Where keys and values are kept.
    cache: Literal["none", "inputs", "states"]
    #: The output that follows each cache that is an input.
    caches: Mapping[str, str]
    #: Outputs that make a row of logits, end to end.
    logits: tuple[str, ...]
    sizes: Sizes
    #: How many keys the mask has: fixed, or with the tokens.
    keys: Sizes | None
    #: Whether logits come of the last place alone.
    is_last_only: bool
    context_length: int

    def outline(self) -> dict[str, object]:
        """What was found, for people."""
        return {
            "ids": self.ids,
            "mask": f"{self.mask} ({self.mask_kind})" if self.mask else None,
            "position": self.position,
            "last_index": self.last_index,
            "cache": self.cache,
            "logits": ", ".join(self.logits) + (" (last token)" if self.is_last_only else ""),
            "tokens_a_call": str(self.sizes),
            "context_length": self.context_length,
        }


def find(function: FunctionDescription, context_length: int | None = None) -> Contract:
    """The contract of a function.

    Args:
        function: A function of a package.
        context_length: What is known of it from elsewhere; the package's shapes may say less.

    Raises:
        UnsupportedModelError: if the function is not that of a language model in one package.
    """
    _refuse_families(function)
    free = dict(function.inputs)

    def take(names: tuple[str, ...]) -> Feature | None:
        found = next((name for name in free if _plain(name) in names), None)
        return None if found is None else free.pop(found)

    ids = take(_IDS) or _only([it for it in free.values() if it.dtype == "int32" and len(it.shape) == 2], free)
    if ids is None or len(ids.shape) != 2 or ids.shape[0] != 1:
        raise _unsupported(function, "no input takes ids (1, n)")
    causal = take(_CAUSAL_MASKS)
    mask = causal or take(_ATTENTION_MASKS)
    if mask is None:
        mask = _only([it for it in free.values() if len(it.shape) == 4 and it.shape[:2] == (1, 1)], free)
    position, last_index = take(_POSITIONS), take(_LAST_INDICES)
    caches = _caches(function, free)
    if free:
        raise _unsupported(function, f"the inputs {', '.join(map(repr, free))} are not known")
    logits = _logits(function, set(caches.values()))
    cache: Literal["none", "inputs", "states"] = "states" if function.states else "inputs" if caches else "none"
    sizes = _sizes(ids, 1)
    keys = None if mask is None else _sizes(mask, len(mask.shape) - 1)
    most = [length for length in (context_length, keys.most if keys else None) if length]
    if cache == "none":
        most.append(sizes.most)
    if not most:
        raise _unsupported(function, "nothing says how many tokens its context holds")
    return Contract(
        ids=ids.name,
        mask=None if mask is None else mask.name,
        mask_kind=None if mask is None else "causal" if len(mask.shape) == 4 else "attention",
        position=None if position is None else position.name,
        last_index=None if last_index is None else last_index.name,
        cache=cache,
        caches=caches,
        logits=logits,
        sizes=sizes,
        keys=keys,
        is_last_only=_is_last_only(function, logits[0], sizes) or last_index is not None,
        context_length=min(most),
    )


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _only(features: list[Feature], free: dict[str, Feature]) -> Feature | None:
    """The one feature that fits, if there is one alone."""
    return free.pop(features[0].name) if len(features) == 1 else None


def _sizes(feature: Feature, axis: int) -> Sizes:
    if feature.enumerated:
        return Sizes(tuple(sorted({shape[axis] for shape in feature.enumerated})))
    if feature.ranges and feature.ranges[axis][0] != feature.ranges[axis][1]:
        least, greatest = feature.ranges[axis]
        return Sizes((), max(least, 1), greatest if greatest > 0 else 1 << 31)
    return Sizes((feature.shape[axis],))


def _caches(function: FunctionDescription, free: dict[str, Feature]) -> dict[str, str]:
    """Takes the caches among the free inputs, each with the output of the same kind and shape that follows it."""
    inputs = [name for name, feature in free.items() if len(feature.shape) >= 3 and _CACHE.search(_plain(name))]
    outputs = [name for name, feature in function.outputs.items() if _CACHE.search(_plain(name))]
    if len(inputs) != len(outputs):
        raise _unsupported(function, f"caches {inputs} come in, and {outputs} go out")
    found = {}
    for name in inputs:
        kind = _cache_kind(name)
        match = next((output for output in outputs if _cache_kind(output) == kind), None)
        if match is None:
            raise _unsupported(function, f"no output follows the cache {name!r}")
        outputs.remove(match)
        given = function.outputs[match]
        if given.shape and given.shape != free[name].shape:
            raise _unsupported(function, f"the cache {name!r} has the shape {free[name].shape}, and {match!r} {given.shape}")
        found[name] = match
        del free[name]
    return found


def _cache_kind(name: str) -> tuple[str, str]:
    """Keys or values, and the number in the name."""
    plain = _plain(name)
    kind = "v" if "value" in plain or re.search(r"(^|[^a-z])v|vcache", plain) else "k"
    return kind, "".join(re.findall(r"\d+", plain))


def _logits(function: FunctionDescription, caches: set[str]) -> tuple[str, ...]:
    outputs = [name for name in function.outputs if name not in caches]
    for name in outputs:
        if _plain(name) in _LOGITS:
            return (name,)
    parts = {int(match[1]): name for name in outputs if (match := re.fullmatch(r"logits?_?(\d+)", name))}
    if parts:
        return tuple(parts[index] for index in sorted(parts))
    if len(outputs) == 1 and len(function.outputs[outputs[0]].shape) in (0, 2, 3):
        return (outputs[0],)
    raise _unsupported(function, f"none of the outputs {', '.join(map(repr, outputs))} is known for logits")


def _is_last_only(function: FunctionDescription, logits: str, sizes: Sizes) -> bool:
    """Whether a row of logits comes for the last place alone; where the shape is not told, there is one for each."""
    shape = function.outputs[logits].shape
    if len(shape) == 2:
        return True
    return len(shape) == 3 and shape[1] == 1 and sizes.most > 1


def _refuse_families(function: FunctionDescription) -> None:
    inputs, outputs = set(map(_plain, function.inputs)), set(map(_plain, function.outputs))
    if {"updatemask", "currentpos"} & inputs and "hiddenstates" in inputs:
        raise _unsupported(function, "it is a part of an ANEMLL model, which comes in several packages; they are not supported")
    if any(re.fullmatch(r"[kv]cache\d+", name) for name in inputs) and not {"logits"} & outputs:
        raise _unsupported(function, "it is a chunk of a model in the form of smpanaro/coreml-llm-cli, which is not supported")
    if "hiddenstates" in inputs or outputs == {"hiddenstates"}:
        raise _unsupported(function, "it takes or gives hidden states: it is a part of a model in several packages")


def _unsupported(function: FunctionDescription, message: str) -> UnsupportedModelError:
    names = f"inputs {', '.join(function.inputs)}; outputs {', '.join(function.outputs)}"
    return UnsupportedModelError(f"{function.name}: {message} ({names})")
