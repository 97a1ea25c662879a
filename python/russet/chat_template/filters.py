"""Jinja's filters and tests, each charged for what it does before it does it.

A filter takes the context as its first argument here, for the budget, which also keeps Jinja from computing it while it compiles.
How each is charged stands in tables: what it makes of its value (a text, a traversal, a list) and, where it can make much of
little, a function that says how much.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import GeneratorType
from typing import Any

from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.tests import TESTS as DEFAULT_TESTS
from jinja2.utils import _PassArg, pass_context

from russet.chat_template.budget import MAX_CHAINED, SCALARS, Budget, short
from russet.chat_template.methods import LINE_ENDS, before_replace, before_strip, before_striptags
from russet.errors import TemplateError

Function = Callable[..., Any]

# fmt: off
#: Filters that write their value as text.
TEXT = frozenset({
    "capitalize", "center", "e", "escape", "forceescape", "format", "indent", "join", "lower", "pprint", "replace", "safe",
    "string", "striptags", "title", "trim", "truncate", "upper", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr",
})
#: Filters that compare or hash parts of their value.
TRAVERSAL = frozenset({"dictsort", "groupby", "max", "min", "sort", "sum", "unique"})
#: Filters that give one of the items as it is.
PICKS = frozenset({"first", "last", "max", "min", "random"})
#: Filters that run through their value once.
LINEAR = frozenset({
    "batch", "first", "items", "last", "list", "map", "random", "reject", "rejectattr", "reverse", "select", "selectattr",
    "slice",
})
#: Filters that give their items one by one, at most as many as they are given.
BOUNDED = frozenset({"reject", "rejectattr", "select", "selectattr"})
#: Filters that give their items one by one.
LAZY = BOUNDED | {"batch", "items", "map", "slice", "unique"}
# fmt: on
#: What the slow ones take for each item, or character.
STEPS_PER_ITEM = {
    "dictsort": 3,
    "groupby": 8,
    "max": 2,
    "min": 2,
    "sort": 3,
    "sum": 1,
    "title": 1,
    "unique": 2,
    "urlize": 1,
    "wordcount": 1,
}
#: The largest precision or indentation that makes sense.
MAX_PRECISION = 400
MAX_INDENT = 64


def _length(value: Any) -> int:
    try:
        return len(value)
    except TypeError:
        return 0


# What some filters make of little. Each is called as the filter is, with the budget first.


def _center(budget: Budget, value: Any, width: Any = 80) -> None:
    if isinstance(width, int):
        budget.reserve(max(width, 0))


def _indent(budget: Budget, text: Any, width: Any = 4, first: Any = False, blank: Any = False) -> None:
    if isinstance(text, str):
        lines = 1 + sum(text.count(end) for end in LINE_ENDS)
        budget.take_memory(64 * lines)
        budget.reserve(lines * (len(width) if isinstance(width, str) else max(int(width), 0)) + len(text))


def _replace(budget: Budget, text: Any, old: Any, new: Any, count: Any = None) -> None:
    before_replace(budget, budget.text(text), budget.text(old), budget.text(new), -1 if count is None else count)


def _trim(budget: Budget, text: Any, chars: Any = None) -> None:
    if isinstance(text, str):
        before_strip(budget, text, chars)


def _join(budget: Budget, values: Any, d: Any = "", attribute: Any = None) -> None:
    budget.reserve(_length(values) * len(budget.text(d)))
    budget.take_memory(64 * _length(values))


def _format(budget: Budget, text: Any, *args: Any, **kwargs: Any) -> None:
    budget.before_printf(budget.text(text), kwargs or args)


def _wordwrap(
    budget: Budget, text: Any, width: Any = 79, break_long_words: Any = True, wrapstring: Any = None, break_on_hyphens: Any = True
) -> None:
    length = _length(text)
    # Every line cut off a long word copies the rest of it.
    budget.tick(length + length * length // (4096 * max(int(width), 1)))
    budget.reserve(length * (1 + (len(wrapstring) if isinstance(wrapstring, str) else 1)))


def _striptags(budget: Budget, text: Any) -> None:
    if isinstance(text, str):
        before_striptags(budget, text)


def _urlize(budget: Budget, text: Any, *args: Any, **kwargs: Any) -> None:
    # Each parenthesis after a word copies the rest of the word.
    length = _length(text)
    budget.tick(length * length >> 14)


def _traversal(budget: Budget, values: Any, *args: Any, **kwargs: Any) -> None:
    # Texts are compared, and kept, in lower case.
    if not isinstance(values, str):
        budget.take_memory(budget.measure(values)[1])


def _unique(budget: Budget, values: Any, *args: Any, **kwargs: Any) -> None:
    _traversal(budget, values)
    budget.keys(values)


def _escape(budget: Budget, text: Any) -> None:
    budget.reserve(6 * _length(text))


def _quoted(budget: Budget, value: Any, *args: Any) -> None:
    size = budget.measure(value)[1]
    budget.reserve(size * (3 if isinstance(value, str) and value.isascii() else 12))


def _pprint(budget: Budget, value: Any) -> None:
    nodes, size = budget.measure(value)
    budget.tick(20 * nodes + size)
    budget.tick(nodes * _depth(value))


def _sum(budget: Budget, values: Any, attribute: Any = None, start: Any = 0) -> None:
    if isinstance(start, (list, tuple)):
        # Each addition copies what was added before.
        items = _length(values)
        budget.take_memory(8 * items * (len(start) + budget.measure(values)[0]))


def _batch(budget: Budget, values: Any, linecount: Any, fill_with: Any = None) -> None:
    if fill_with is not None and isinstance(linecount, int):
        budget.reserve(8 * max(linecount, 0))


def _slice(budget: Budget, values: Any, slices: Any, fill_with: Any = None) -> None:
    budget.take_memory((84 if isinstance(values, str) else 8) * _length(values))


def _list(budget: Budget, values: Any) -> None:
    budget.take_memory(72 * _length(values))


def _round(budget: Budget, value: Any, precision: Any = 0, method: Any = "common") -> None:
    if isinstance(value, (str, bytes, list, tuple)):
        raise TypeError(f"{type(value).__name__} cannot be rounded")
    if isinstance(precision, int) and abs(precision) > MAX_PRECISION:
        raise TemplateError(f"numbers are rounded to at most {MAX_PRECISION} places, not {short(precision)}")


def _int(budget: Budget, value: Any, default: Any = 0, base: Any = 10) -> None:
    if isinstance(value, str):
        budget.tick(len(value) >> 3)


EXPANSIONS: dict[str, Callable[..., None]] = {
    "batch": _batch,
    "center": _center,
    "e": _escape,
    "escape": _escape,
    "float": _int,
    "forceescape": _escape,
    "format": _format,
    "indent": _indent,
    "int": _int,
    "join": _join,
    "list": _list,
    "pprint": _pprint,
    "replace": _replace,
    "reverse": _list,
    "round": _round,
    "slice": _slice,
    "striptags": _striptags,
    "dictsort": _traversal,
    "groupby": _traversal,
    "max": _traversal,
    "min": _traversal,
    "sort": _traversal,
    "unique": _unique,
    "urlize": _urlize,
    "filesizeformat": _int,
    "sum": _sum,
    "trim": _trim,
    "urlencode": _quoted,
    "wordwrap": _wordwrap,
    "xmlattr": _quoted,
}


def _leading(function: Function) -> Callable[[Any], tuple[Any, ...]] | None:
    """How what `function` wants before its value is taken from the context."""
    kind = _PassArg.from_obj(function)
    if kind is _PassArg.context:
        return lambda context: (context,)
    if kind is _PassArg.eval_context:
        return lambda context: (context.eval_ctx,)
    if kind is _PassArg.environment:
        return lambda context: (context.environment,)
    return None


def _charged_filter(name: str, function: Function) -> Function:
    leading = _leading(function)
    expansion = EXPANSIONS.get(name)
    per_item = STEPS_PER_ITEM.get(name, 0)
    lazy = name in LAZY
    text, linear, picks, bounded = name in TEXT, name in LINEAR, name in PICKS, name in BOUNDED
    deep = name in TRAVERSAL or name in ("join", "urlencode")

    @pass_context
    def charged(context: Any, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = context.budget
        budget.tick(2 + per_item * _length(value) if per_item else 2)
        kind = type(value)
        if kind is str:
            if len(value) > 64:
                budget.tick(len(value) >> (6 if text else 3))
        elif kind not in SCALARS:
            if deep:
                if kind is GeneratorType:
                    value = list(value)
                    budget.tick(per_item * len(value))
                budget.measure(value)
            if kind is GeneratorType and lazy:
                budget.chained += 1
                if budget.chained > MAX_CHAINED:
                    value = list(value)
            if text:
                budget.before_text(value)
            elif linear:
                budget.tick(_length(value) >> 3)
        for argument in (*args, *kwargs.values()) if kwargs else args:
            if type(argument) not in SCALARS:
                budget.measure(argument)
        if expansion is not None:
            expansion(budget, value, *args, **kwargs)
        first = () if leading is None else leading(context)
        result = function(*first, value, *args, **kwargs)
        if bounded and (kind is list or kind is tuple or kind is range):
            # At most as many items as the value has. They are paid for at once, so that nothing has to count them.
            budget.tick(len(value))
            budget.take_memory(512 + 72 * len(value))
            return result
        return result if picks else budget.made(result)

    return charged


def _free_filter(function: Function) -> Function:
    """A filter that takes constant time: `default`, `length` and others that only look at their value."""
    leading = _leading(function)

    @pass_context
    def free(context: Any, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        context.budget.steps -= 1
        if leading is not None:
            return function(*leading(context), value, *args, **kwargs)
        return function(value, *args, **kwargs)

    return free


@pass_context
def _plain_trim(context: Any, value: Any, chars: Any = None) -> str:
    """`trim`, by far the most used filter: no list is made for arguments."""
    budget: Budget = context.budget
    if not isinstance(value, str):
        value = budget.text(value)
    if len(value) > 64 or chars is not None:
        before_strip(budget, value, chars)
    stripped: str = value.strip(chars)
    if stripped is not value:
        budget.made(stripped)
    return stripped


# JSON as transformers writes it: nothing is escaped for HTML.

_PLAIN_JSON = json.JSONEncoder(ensure_ascii=False)


@pass_context
def tojson(
    context: Any,
    value: Any,
    ensure_ascii: Any = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: Any = False,
) -> str:
    """``json.dumps`` with its most useful options."""
    budget: Budget = context.budget
    if indent is not None and (len(indent) if isinstance(indent, str) else int(indent)) > MAX_INDENT:
        raise TemplateError(f"JSON is indented by at most {MAX_INDENT} characters")
    if type(value) is str:
        budget.reserve(len(value) * (12 if ensure_ascii and not value.isascii() else 1))
    elif type(value) not in SCALARS and id(value) not in budget.trees:
        _before_json(budget, value, ensure_ascii, indent, separators)
    if indent is None and separators is None and ensure_ascii is False and sort_keys is False:
        written = _PLAIN_JSON.encode(value)
    else:
        written = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
        # Python writes indented JSON in Python.
        budget.tick(len(written) >> 4)
    budget.made(written)
    return written


def _before_json(budget: Budget, value: Any, ensure_ascii: Any, indent: Any, separators: Any) -> None:
    """Charges for JSON of what the template made, which can be much longer than the value is large."""
    nodes, size = budget.measure(value)
    budget.reserve(size * (12 if ensure_ascii else 1) + 4 * nodes)
    budget.take_memory(96 * nodes)
    if indent is not None:
        budget.tick(nodes)
        budget.reserve(nodes * (len(indent) if isinstance(indent, str) else max(int(indent), 0)) * _depth(value))
    if separators is not None:
        budget.reserve(nodes * budget.measure(separators)[1])


def _depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return 1 + max(map(_depth, parts), default=0)


# Tests


@pass_context
def _in(context: Any, value: Any, seq: Any) -> bool:
    found: bool = context.budget.contains(value, seq)
    return found


def _charged_test(function: Function) -> Function:
    """A test that compares or hashes its operands."""
    leading = _leading(function)

    @pass_context
    def charged(context: Any, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = context.budget
        if type(value) is not str or len(value) > 64:
            budget.operand(value)
        for operand in (*args, *kwargs.values()) if kwargs else args:
            if type(operand) is not str or len(operand) > 64:
                budget.operand(operand)
        if leading is not None:
            return function(*leading(context), value, *args, **kwargs)
        return function(value, *args, **kwargs)

    return charged


@pass_context
def _odd(context: Any, value: Any) -> Any:
    return context.budget.modulo(value, 2) == 1


@pass_context
def _even(context: Any, value: Any) -> Any:
    return context.budget.modulo(value, 2) == 0


@pass_context
def _divisible_by(context: Any, value: Any, num: Any) -> Any:
    return context.budget.modulo(value, num) == 0


def _test_of_text(function: Function) -> Function:
    @pass_context
    def charged(context: Any, value: Any) -> Any:
        return function(context.budget.operand(context.budget.text(value)))

    return charged


# fmt: off
_COMPARISONS = frozenset({
    "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", "ge", ">=", "<", "lt",
    "lessthan", "<=", "le", "filter", "test",
})
# fmt: on
_FREE = frozenset({"abs", "attr", "count", "d", "default", "length"})


def filters() -> dict[str, Function]:
    """Every filter of Jinja by name, and `tojson`."""
    table: dict[str, Function] = {}
    for name, function in DEFAULT_FILTERS.items():
        table[name] = _free_filter(function) if name in _FREE else _charged_filter(name, function)
    table["trim"] = _plain_trim
    table["tojson"] = tojson
    return table


def tests() -> dict[str, Function]:
    """Every test of Jinja by name."""
    table: dict[str, Any] = dict(DEFAULT_TESTS)
    for name in _COMPARISONS:
        table[name] = _charged_test(table[name])
    for name in ("lower", "upper"):
        table[name] = _test_of_text(table[name])
    table["in"] = _in
    table.update(odd=_odd, even=_even, divisibleby=_divisible_by)
    return table
