"""Which stage of a tokenizer makes it differ from another, and the smallest text that shows it.

Two tokenizers with the interface of ``tokenizers.Tokenizer`` are compared on texts. Where they differ, the parts of their saved
forms that are not the same are put into the candidate one at a time: the stage is the one that makes it agree. Where saved forms
are the same, or putting them in does not help, each stage runs alone on the same input, and the first to differ is the one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from russet.doctor.shrinking import shrink
from russet.tokenizers import Tokenizer

#: In the order in which they run.
STAGES = ("added_tokens", "normalizer", "pre_tokenizer", "model", "truncation", "post_processor", "padding", "decoder")
_FIELDS = ("ids", "tokens", "offsets", "type_ids", "special_tokens_mask", "attention_mask")
_SHRINKING_CALLS = 400


@dataclass(frozen=True)
class Difference:
    """Where two tokenizers differ.

    ``stages``: those of ``STAGES`` that must change for the two to agree; ``("offsets",)`` where every stage alone agrees and
    only offsets do not. ``text``: a smallest one. ``place``: the first field that differs, with its index, and ``expected``
    (the reference) and ``got`` there. ``texts``: how many of the texts differ because of these stages. ``forms``: of each
    stage, the saved forms of both where they are not the same.
    """

    stages: tuple[str, ...]
    text: str
    place: str
    expected: str
    got: str
    texts: int
    forms: dict[str, tuple[str, str]]


def compare(reference: Any, candidate: Any, texts: Iterable[str]) -> list[Difference]:
    """How the candidate differs from the reference on the texts: one :class:`Difference` for each set of stages."""
    comparison = _Comparison(reference, candidate)
    found: dict[tuple[str, ...], list[str]] = {}
    for text in texts:
        if not comparison.same(text):
            found.setdefault(comparison.stages(text), []).append(text)
    return [comparison.difference(stages, shown) for stages, shown in found.items()]


class _Raised:
    """A call that raised. Any two are equal: which error it is does not matter here. Where it crashed, all else is right."""

    def __init__(self, error: BaseException) -> None:
        self._text = f"{type(error).__name__}: {str(error)[:100]}"
        self._crashed = not isinstance(error, Exception)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Raised) or self._crashed

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return self._text


def _outcome(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of the package tokenizers is no Exception
        return _Raised(error)


def _results(tokenizer: Any, text: str) -> dict[str, Any]:
    """All that is compared."""

    def fields(*sequences: str) -> Any:
        encoding = _outcome(tokenizer.encode, *sequences)
        if isinstance(encoding, _Raised):
            return dict.fromkeys(_FIELDS, encoding)
        parts = encoding.overflowing
        return {**{name: getattr(encoding, name) for name in _FIELDS}, "overflowing": [part.ids for part in parts[:8]]}

    whole = fields(text)
    bare = _outcome(lambda: tokenizer.encode(text, add_special_tokens=False).ids)
    pair = {f"{name} of a pair": value for name, value in fields(text, text).items() if name in ("ids", "type_ids")}
    decoded = {
        f"decoded, skip_special_tokens={skip}": _outcome(tokenizer.decode, whole["ids"], skip_special_tokens=skip)
        for skip in (False, True)
        if not isinstance(whole["ids"], _Raised)
    }
    return {"ids without special tokens": bare, **whole, **pair, **decoded}


def _agree(expected: dict[str, Any], got: dict[str, Any]) -> bool:
    return all(value == got.get(name) for name, value in expected.items())


class _Comparison:
    def __init__(self, reference: Any, candidate: Any) -> None:
        self._reference, self._candidate = reference, candidate
        self._mixed: dict[tuple[str, ...], Any] = {}
        self._added = set(reference.get_added_tokens_decoder())

    @cached_property
    def _forms(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The saved forms of both."""
        return json.loads(self._reference.to_str()), json.loads(self._candidate.to_str())

    @cached_property
    def _changed(self) -> list[str]:
        expected, got = self._forms
        return [stage for stage in STAGES if expected.get(stage) != got.get(stage)]

    def same(self, text: str) -> bool:
        return _agree(_results(self._reference, text), _results(self._candidate, text))

    def difference(self, stages: tuple[str, ...], texts: list[str]) -> Difference:
        shortest = min(texts, key=len)
        text = shrink(shortest, lambda shorter: not self.same(shorter) and self.stages(shorter) == stages, _SHRINKING_CALLS)
        place, expected, got = _first_difference(_results(self._reference, text), _results(self._candidate, text))
        there, here = self._forms
        changed = [stage for stage in stages if stage in self._changed]
        forms = {stage: (_excerpt(there.get(stage)), _excerpt(here.get(stage))) for stage in changed}
        return Difference(stages, text, place, expected, got, len(texts), forms)

    def stages(self, text: str) -> tuple[str, ...]:
        """The stages that make the two differ on a text."""
        expected = _results(self._reference, text)

        def agrees(stages: tuple[str, ...]) -> bool:
            mixed = self._with(stages)
            return not isinstance(mixed, _Raised) and _agree(expected, _results(mixed, text))

        for stage in self._changed:
            if agrees((stage,)):
                return (stage,)
        needed = tuple(self._changed)
        if not needed or not agrees(needed):
            return self._by_running(text)
        for stage in self._changed:
            fewer = tuple(other for other in needed if other != stage)
            if agrees(fewer):
                needed = fewer
        return needed

    def _with(self, stages: tuple[str, ...]) -> Any:
        """The candidate with these stages of the reference."""
        if stages not in self._mixed:
            there, here = self._forms
            form = {**here, **{stage: there.get(stage) for stage in stages}}
            mixed = _outcome(Tokenizer.from_str, json.dumps(form, ensure_ascii=False))
            if not isinstance(mixed, _Raised):
                mixed.encode_special_tokens = self._candidate.encode_special_tokens
            self._mixed[stages] = mixed
        return self._mixed[stages]

    def _by_running(self, text: str) -> tuple[str, ...]:
        """The first stage that gives another result for the same input."""
        both = (self._reference, self._candidate)

        def differ(call: Callable[[Any, str], Any], given: str) -> bool:
            expected, got = (_outcome(call, tokenizer, given) for tokenizer in both)
            return bool(expected != got)

        for section in (text, *self._sections(text)):
            if differ(_normalized, section):
                return ("normalizer",)
            normalized = _outcome(_normalized, self._reference, section)
            if isinstance(normalized, _Raised):
                continue
            if differ(_pieces, normalized):
                return ("pre_tokenizer",)
            pieces = _outcome(_pieces, self._reference, normalized)
            if isinstance(pieces, _Raised):
                continue
            if any(differ(_tokens, piece) for piece, _ in pieces):
                return ("model",)
        expected, got = (_results(tokenizer, text) for tokenizer in both)
        different = [name for name, value in expected.items() if value != got.get(name)]
        if "ids without special tokens" in different:
            return ("added_tokens",)
        if all(name.startswith("decoded") for name in different):
            return ("decoder",)
        return ("offsets",) if different[0] == "offsets" else ("post_processor",)

    def _sections(self, text: str) -> list[str]:
        """What is between added tokens."""
        encoding = _outcome(self._reference.encode, text, add_special_tokens=False)
        if isinstance(encoding, _Raised):
            return []
        sections, start = [], 0
        for id, (first, last) in zip(encoding.ids, encoding.offsets, strict=True):
            if id in self._added:
                sections.append(text[start:first])
                start = max(start, last)
        return [section for section in [*sections, text[start:]] if section and section != text]


def _normalized(tokenizer: Any, text: str) -> str:
    normalizer = tokenizer.normalizer
    found: str = text if normalizer is None else normalizer.normalize_str(text)
    return found


def _pieces(tokenizer: Any, text: str) -> list[tuple[str, tuple[int, int]]]:
    pre_tokenizer = tokenizer.pre_tokenizer
    return [(text, (0, len(text)))] if pre_tokenizer is None else pre_tokenizer.pre_tokenize_str(text)


def _tokens(tokenizer: Any, piece: str) -> list[tuple[int, str, tuple[int, int]]]:
    return [(token.id, token.value, token.offsets) for token in tokenizer.model.tokenize(piece)]


def _first_difference(expected: dict[str, Any], got: dict[str, Any]) -> tuple[str, str, str]:
    name = next(name for name in expected if expected[name] != got.get(name))
    left, right = expected[name], got.get(name)
    if not isinstance(left, list) or not isinstance(right, list):
        return name, repr(left), repr(right)
    index = next((n for n, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), min(len(left), len(right)))
    shown = [repr(values[index]) if index < len(values) else "nothing" for values in (left, right)]
    return f"{name}[{index}]", shown[0], shown[1]


def _excerpt(form: Any) -> str:
    """A saved form, or as much of it as fits into a line."""
    text = json.dumps(form, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:280]}… ({len(text)} characters)"
