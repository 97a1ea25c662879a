"""How tokenizers and components show themselves: as calls with their fields as arguments.

``repr`` shows up to 99 entries of a list, ``str`` up to five, and the first 100 bytes of a text.
"""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple


class _Limits(NamedTuple):
    entries: int
    text: int | None


_LONG = _Limits(100, None)
_SHORT = _Limits(6, 100)

#: Fields that hold the name of a choice, which is shown without quotes.
_CHOICES = {"direction", "behavior", "prepend_scheme"}


def long_form(saved: str, part: str | None) -> str:
    """The ``repr`` of a saved form, of a part or (None) of a tokenizer."""
    return _top(saved, part, _LONG)


def short_form(saved: str, part: str | None) -> str:
    """The ``str`` of a saved form, of a part or (None) of a tokenizer."""
    return _top(saved, part, _SHORT)


def _top(saved: str, part: str | None, limits: _Limits) -> str:
    value = json.loads(saved)
    if part is not None:
        return _component(value, limits)
    shown = {}
    for name, entry in value.items():
        if entry is None or name in ("version", "added_tokens"):
            shown[name] = _plain(entry, limits)
        elif name == "truncation":
            shown[name] = _call("TruncationParams", {**entry, "strategy": _Bare(entry["strategy"])}, limits)
        elif name == "padding":
            strategy = entry["strategy"]
            if isinstance(strategy, dict):
                strategy = f"Fixed({strategy['Fixed']})"
            shown[name] = _call("PaddingParams", {**entry, "strategy": _Bare(strategy)}, limits)
        else:
            shown[name] = _component(entry, limits)
    return f"Tokenizer({', '.join(f'{name}={text}' for name, text in shown.items())})"


class _Bare(str):
    """A text that is shown without quotes."""


def _component(value: dict[str, Any], limits: _Limits) -> str:
    fields = {name: entry for name, entry in value.items() if name != "type"}
    kind = value["type"]
    for name in ("normalizers", "pretokenizers", "processors", "decoders"):
        if kind == "Sequence" and name in fields:
            fields[name] = [_Bare(_component(entry, limits)) for entry in fields[name]]
    if "pattern" in fields:
        ((form, pattern),) = fields["pattern"].items()
        fields["pattern"] = _Bare(f"{form}({_plain(pattern, limits)})")
    if kind == "TemplateProcessing":
        for name in ("single", "pair"):
            fields[name] = [_Bare(_template_piece(piece, limits)) for piece in fields[name]]
        tokens = fields["special_tokens"].items()
        fields["special_tokens"] = {name: _Bare(_call("SpecialToken", token, limits)) for name, token in tokens}
    for name in ("sep", "cls"):
        if name in fields:
            fields[name] = tuple(fields[name])
    if kind == "BPE":
        fields["merges"] = [tuple(merge) for merge in fields["merges"]]
        if fields["dropout"] is not None:
            fields["dropout"] = struct.unpack("f", struct.pack("f", fields["dropout"]))[0]
    if kind == "Unigram":
        fields["vocab"] = [tuple(piece) for piece in fields["vocab"]]
    return _call(kind, fields, limits)


def _template_piece(piece: dict[str, Any], limits: _Limits) -> str:
    ((kind, fields),) = piece.items()
    return _call(kind, {**fields, "id": _Bare(fields["id"])} if kind == "Sequence" else fields, limits)


def _call(name: str, fields: dict[str, Any], limits: _Limits) -> str:
    shown = (
        f"{key}={_Bare(value) if key in _CHOICES and isinstance(value, str) else _plain(value, limits)}"
        for key, value in fields.items()
    )
    return f"{name}({', '.join(shown)})"


def _plain(value: Any, limits: _Limits) -> str:
    if isinstance(value, _Bare):
        return value
    if isinstance(value, str):
        return f'"{_cut(value, limits.text)}"'
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        entries = [f"{_plain(key, limits)}:{_plain(entry, limits)}" for key, entry in _first(value.items(), limits)]
        return f"{{{', '.join(entries + _rest(value, limits))}}}"
    if isinstance(value, (list, tuple)):
        entries = [_plain(entry, limits) for entry in _first(value, limits)]
        text = ", ".join(entries + _rest(value, limits))
        return f"({text})" if isinstance(value, tuple) else f"[{text}]"
    return repr(value)


def _first(entries: Any, limits: _Limits) -> list[Any]:
    return list(islice(entries, limits.entries - 1))


def _rest(entries: Any, limits: _Limits) -> list[str]:
    return ["..."] if len(entries) >= limits.entries else []


def _cut(text: str, limit: int | None) -> str:
    if limit is None or len(text.encode()) <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore") + "..."


def _number(value: float) -> str:
    """All digits, never an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text[:-2] if text.endswith(".0") else text
