"""What the methods of strings, lists and numbers cost when a chat template calls them.

``'x'.center(10 ** 9)`` is one call in the sandbox's eyes. Before a method runs, :func:`before_method` charges the budget for the
time it takes and for the largest result that it can give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.sandbox import SandboxedEscapeFormatter, SandboxedFormatter

from russet.chat_template.budget import SCALARS, Budget, current
from russet.errors import TemplateError

#: Where ``str.splitlines`` splits.
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
#: Encodings that take linear time and whose modules are part of every Python.
ENCODINGS = frozenset({"utf8", "utf16", "utf16le", "utf16be", "utf32", "utf32le", "utf32be", "ascii", "latin1", "iso88591"})
_DIGITS = re.compile(r"\d+")


def before_replace(budget: Budget, text: str | bytes, old: str | bytes, new: str | bytes, count: Any = -1) -> None:
    """Charges for ``text.replace(old, new, count)``."""
    occurrences = text.count(old) if isinstance(text, str) == isinstance(old, str) else 0  # type: ignore[arg-type]
    if isinstance(count, int) and count >= 0:
        occurrences = min(occurrences, count)
    budget.tick(len(text) >> 5)
    budget.reserve(len(text) + occurrences * max(len(new) - len(old), 0))


def before_strip(budget: Budget, text: str | bytes, chars: Any = None) -> None:
    """Charges for ``text.strip(chars)``, which looks every character up in `chars` one by one."""
    looked_up = len(chars) if isinstance(chars, (str, bytes)) else 0
    budget.tick(len(text) * (looked_up + 8) >> 11)


def _split(budget: Budget, text: Any, sep: Any = None, maxsplit: Any = -1) -> None:
    separated = isinstance(sep, (str, bytes)) and isinstance(sep, str) == isinstance(text, str) and len(sep) > 0
    parts = text.count(sep) + 1 if separated else len(text) // 2 + 1
    if isinstance(maxsplit, int) and maxsplit >= 0:
        parts = min(parts, maxsplit + 1)
    budget.take_memory(len(text) + 64 * parts)


def _split_lines(budget: Budget, text: Any, keepends: Any = False) -> None:
    if isinstance(text, str):
        budget.take_memory(len(text) + 64 * sum(text.count(end) for end in LINE_ENDS))
    else:
        budget.take_memory(len(text) + 64 * (text.count(b"\n") + text.count(b"\r")))


def _width(budget: Budget, text: Any, width: Any = 0, *fill: Any) -> None:
    if isinstance(width, int):
        budget.reserve(4 * max(width, 0))


def _expand_tabs(budget: Budget, text: Any, tabsize: Any = 8) -> None:
    if isinstance(tabsize, int):
        tabs = text.count("\t" if isinstance(text, str) else b"\t")
        budget.reserve(len(text) + tabs * max(tabsize, 0))


def _join(budget: Budget, separator: Any, values: Any = ()) -> None:
    if isinstance(values, (str, bytes)):
        count, size = len(values), len(values)
    else:
        nodes, size = budget.measure(values)
        count = nodes
    budget.reserve(size + count * len(separator))


def _translate(budget: Budget, text: Any, table: Any = None, *more: Any) -> None:
    if isinstance(table, Mapping):
        longest = max((len(value) for value in table.values() if isinstance(value, str)), default=1)
        budget.reserve(len(text) * max(longest, 1))


def _encode(budget: Budget, text: Any, encoding: Any = "utf-8", errors: Any = "strict") -> None:
    plain = str(encoding).lower().replace("-", "").replace("_", "")
    if plain not in ENCODINGS:
        raise TemplateError(f"a chat template cannot use the encoding {encoding!r}")
    budget.reserve(4 * len(text))


def _hex(budget: Budget, data: Any, *args: Any, **kwargs: Any) -> None:
    if isinstance(data, bytes):
        budget.reserve(4 * len(data))


def _to_bytes(budget: Budget, number: Any, length: Any = 1, *more: Any, **signed: Any) -> None:
    if isinstance(length, int):
        budget.reserve(max(length, 0))


def _copy(budget: Budget, value: Any) -> None:
    budget.take_memory(64 + 72 * len(value))


def _from_keys(budget: Budget, value: Any, keys: Any = (), default: Any = None) -> None:
    if hasattr(keys, "__len__"):
        budget.take_memory(64 + 104 * len(keys))
        budget.keys(keys)


def _replace(budget: Budget, text: Any, old: Any = "", new: Any = "", count: Any = -1) -> None:
    if isinstance(old, (str, bytes)) and isinstance(new, (str, bytes)):
        before_replace(budget, text, old, new, count)


def _escape(budget: Budget, receiver: Any, value: Any = "") -> None:
    budget.before_text(value)
    if isinstance(value, str):
        budget.reserve(5 * len(value))


def before_striptags(budget: Budget, text: str) -> None:
    """Charges for taking tags out, which copies the rest for each in some versions of MarkupSafe."""
    budget.tick((len(text) >> 3) + (text.count("<") * len(text) >> 14))


def _search_list(budget: Budget, values: Any, *args: Any) -> None:
    if not isinstance(values, (str, bytes)):
        budget.measure(values)


_CHARGES: dict[str, Callable[..., None]] = {
    "center": _width,
    "copy": _copy,
    "count": _search_list,
    "decode": _encode,
    "encode": _encode,
    "escape": _escape,
    "expandtabs": _expand_tabs,
    "fromkeys": _from_keys,
    "hex": _hex,
    "index": _search_list,
    "join": _join,
    "ljust": _width,
    "lstrip": before_strip,
    "replace": _replace,
    "rjust": _width,
    "rsplit": _split,
    "rstrip": before_strip,
    "split": _split,
    "splitlines": _split_lines,
    "strip": before_strip,
    "striptags": before_striptags,
    "to_bytes": _to_bytes,
    "translate": _translate,
    "zfill": _width,
}


def before_method(budget: Budget, receiver: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Charges for ``receiver.name(*args, **kwargs)``. A call with wrong arguments is left to fail by itself."""
    for argument in args:
        if type(argument) not in SCALARS:
            budget.measure(argument)
    for argument in kwargs.values():
        if type(argument) not in SCALARS:
            budget.measure(argument)
    if isinstance(receiver, (str, bytes)) and len(receiver) > 64:
        budget.tick(len(receiver) >> 5)
    charge = _CHARGES.get(name)
    if charge is not None:
        charge(budget, receiver, *args, **kwargs)


# str.format


class BudgetedFormatter(SandboxedFormatter):
    """``'{:>9}'.format(x)`` in the sandbox, with its widths charged."""

    def vformat(self, format_string: str, args: Any, kwargs: Any) -> str:
        _before_format(format_string, args, kwargs)
        return super().vformat(format_string, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> Any:
        return _charged_field(super().format_field, value, format_spec)


class BudgetedEscapeFormatter(SandboxedEscapeFormatter):
    """The same for :class:`markupsafe.Markup`."""

    def vformat(self, format_string: str, args: Any, kwargs: Any) -> str:
        _before_format(format_string, args, kwargs)
        return super().vformat(format_string, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> Any:
        return _charged_field(super().format_field, value, format_spec)


def _before_format(format_string: str, args: Any, kwargs: Any) -> None:
    budget = current.get()
    budget.tick(1 + len(format_string))
    budget.reserve(len(format_string))
    budget.measure(args)
    budget.measure(kwargs)


def _charged_field(format_field: Callable[[Any, str], Any], value: Any, format_spec: str) -> Any:
    budget = current.get()
    if not isinstance(value, str):
        budget.before_text(value)
    size = len(value) if isinstance(value, str) else 0
    budget.reserve(size + sum(int(digits[:12]) for digits in _DIGITS.findall(str(format_spec))))
    return budget.made(format_field(value, format_spec))
