"""Compares what two tokenizers do with the same call, and shrinks the text on which they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

FIELDS = (
    "ids",
    "type_ids",
    "tokens",
    "offsets",
    "attention_mask",
    "special_tokens_mask",
    "word_ids",
    "sequence_ids",
    "n_sequences",
)

# Set by `--candidate tokenizers`, where the candidate's panics are the reference's own.
reference_tests_itself = False


@dataclass(frozen=True)
class Raised:
    """A call that raised. Any two errors are equal, as messages and classes are not part of the comparison; a panic is no error."""

    kind: str
    message: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raised) and not self.panic and not other.panic

    def __hash__(self) -> int:
        return 0

    @property
    def panic(self) -> bool:
        return self.kind == "PanicException"


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the call returns, or `Raised`."""
    try:
        return call(*args, **kwargs)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # PanicException derives from BaseException
        return Raised(type(error).__name__, str(error)[:300])


def view(encoding: Any, deep: bool = True) -> dict[str, Any]:
    """Everything that an encoding holds."""
    fields = {name: getattr(encoding, name) for name in FIELDS}
    fields["offsets"] = [tuple(pair) for pair in fields["offsets"]]
    if deep:
        parts = encoding.overflowing
        fields["overflowing_ids"] = [part.ids for part in parts]
        # Pairs can overflow into thousands of parts, all made alike: look closely at some.
        chosen = parts if len(parts) <= 12 else [*parts[:6], *parts[len(parts) // 2 :][:2], *parts[-4:]]
        fields["overflowing"] = [view(part, deep=False) for part in chosen]
    return fields


def first_difference(expected: Any, got: Any, place: str = "") -> str | None:
    """Where two results differ first, in words; None where they are equal."""
    if expected == got and type(expected) is type(got):
        return None
    if isinstance(got, Raised) and got.panic and not reference_tests_itself:
        return f"{place or 'the call'} panicked: {got.message}"
    if isinstance(expected, Raised) and expected.panic:
        return None  # the reference crashed: the specification is elsewhere, and whatever does not crash too is right here
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in [*expected, *(set(got) - set(expected))]:
            if key not in got or key not in expected:
                return f"{place}.{key} is only in the {'reference' if key in expected else 'candidate'}"
            found = first_difference(expected[key], got[key], f"{place}.{key}")
            if found:
                return found
        return None
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        for n, (left, right) in enumerate(zip(expected, got, strict=False)):
            found = first_difference(left, right, f"{place}[{n}]")
            if found:
                return f"{found}\n  reference {expected!r}\n  candidate {got!r}" if place.count("[") == 0 else found
        if len(expected) != len(got):
            return f"{place} has {len(got)} elements instead of {len(expected)}\n  reference {expected!r}\n  candidate {got!r}"
        return None
    if type(expected) is not type(got) and not (isinstance(expected, int) and isinstance(got, int)):
        return f"{place}: reference {expected!r}, candidate {got!r}"
    return None if expected == got else f"{place}: reference {expected!r}, candidate {got!r}"


def shrunk(text: str, fails: Callable[[str], bool]) -> str:
    """A small text that still fails."""
    from russet.doctor.shrinking import shrink

    return shrink(text, fails, 2000, ("a", " ", "é"))


Call = Callable[[Any, str], Any]


def difference_on(reference: Any, candidate: Any, text: str, call: Call) -> str | None:
    return first_difference(outcome(call, reference, text), outcome(call, candidate, text))


def same_on(reference: Any, candidate: Any, text: str, call: Call) -> bool:
    """The quick answer; where it is False, `difference_on` has the last word."""
    try:
        expected, got = call(reference, text), call(candidate, text)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # also PanicException
        return False
    return type(expected) is type(got) and bool(expected == got)


def assert_same(reference: Any, candidate: Any, texts: Sequence[str], call: Call, what: str) -> None:
    """Fails with the smallest text and the first difference, if `call` does not give the same on both tokenizers."""
    for text in texts:
        if difference_on(reference, candidate, text, call) is None:
            continue
        smallest = shrunk(text, lambda shorter: difference_on(reference, candidate, shorter, call) is not None)
        found = difference_on(reference, candidate, smallest, call)
        if found is None:  # the difference depends on earlier calls
            smallest, found = text, difference_on(reference, candidate, text, call) or "only in the first call"
        codes = " ".join(f"U+{ord(char):04X}" for char in smallest[:40])
        pytest.fail(f"{what}\ntext {smallest!r} ({codes})\n{found}", pytrace=False)


def assert_equal(expected: Any, got: Any, what: str) -> None:
    found = first_difference(expected, got)
    if found:
        pytest.fail(f"{what}\n{found}", pytrace=False)


# Calls that tests share.


def encoded(tokenizer: Any, text: str) -> Any:
    return view(tokenizer.encode(text))


def encoded_plain(tokenizer: Any, text: str) -> Any:
    return view(tokenizer.encode(text, add_special_tokens=False))


def encoded_words(tokenizer: Any, text: str) -> Any:
    return view(tokenizer.encode(text.split(), is_pretokenized=True))


def decoded(tokenizer: Any, text: str) -> Any:
    ids = tokenizer.encode(text).ids
    return [outcome(tokenizer.decode, ids, skip_special_tokens=skip) for skip in (True, False)]
