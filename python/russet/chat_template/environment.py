"""The sandbox in which chat templates run: Jinja's, with what transformers gives templates, and a budget.

Imported when the first template is compiled; nothing else in Russet imports Jinja.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from types import BuiltinMethodType, GeneratorType, MethodType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, new_context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, _PassArg, generate_lorem_ipsum, pass_context
from markupsafe import Markup

from russet.chat_template import filters
from russet.chat_template.budget import MAX_CALL_DEPTH, SCALARS, Budget, concat_blocks
from russet.chat_template.code_generator import BudgetedCodeGenerator
from russet.chat_template.methods import BudgetedEscapeFormatter, BudgetedFormatter, before_method
from russet.errors import TemplateLimitError

#: Words that ``lipsum`` may write in one call, and characters of a format of a date.
MAX_LOREM_IPSUM_WORDS = 20_000
MAX_DATE_FORMAT = 1_000

_METHODS = (BuiltinMethodType, MethodType)
_OTHER_ATTRIBUTES: dict[type, frozenset[str]] = {kind: frozenset(dir(kind)) for kind in (int, float, bool, type(None), list, tuple)}
_ALL_STRING_ATTRIBUTES = frozenset(dir(str))
_STRING_ATTRIBUTES = frozenset(name for name in dir(str) if name[0] != "_" and name not in ("format", "format_map"))
_DICT_ATTRIBUTES = frozenset(dir(dict))
_SAFE_DICT_ATTRIBUTES = frozenset({"copy", "fromkeys", "get", "items", "keys", "values"})
_DICT_VIEWS = frozenset({"items", "keys", "values"})
_LOOP_ATTRIBUTES = frozenset(name for name in dir(LoopContext) if name[0] != "_") | {"index0", "depth0"}
_NAMESPACE_VALUES = "_Namespace__attrs"


class BudgetedContext(Context):
    """The variables of a template, and the budget of this rendering."""

    budget: Budget

    def derived(self, locals: dict[str, Any] | None = None) -> BudgetedContext:
        context = new_context(self.environment, self.name, {}, self.get_all(), True, None, locals)
        assert isinstance(context, BudgetedContext)
        context.eval_ctx = self.eval_ctx
        context.blocks.update((name, list(stack)) for name, stack in self.blocks.items())
        context.budget = self.budget
        return context


class ChatNamespace(Namespace):
    """``namespace()``, without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace of a chat template cannot hold {name!r}: it begins with an underscore")


class DictMaker:
    """``dict`` of a template: it makes dicts, and is no class with attributes."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def raise_exception(message: Any) -> None:
    """Ends the rendering with the template's own message."""
    raise jinja2.TemplateError(message)


def strftime_now(format: str) -> str:
    """The date and the time of day, local."""
    if len(format) > MAX_DATE_FORMAT:
        raise TemplateLimitError(
            f"a format of a date has at most {MAX_DATE_FORMAT} characters", value=len(format), limit=MAX_DATE_FORMAT
        )
    return datetime.now().strftime(format)


@pass_context
def lipsum(context: BudgetedContext, n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> str:
    """Jinja's filling text."""
    words = n * max
    if words > MAX_LOREM_IPSUM_WORDS:
        raise TemplateLimitError(f"lipsum writes at most {MAX_LOREM_IPSUM_WORDS} words", value=words, limit=MAX_LOREM_IPSUM_WORDS)
    context.budget.tick(words * 4)
    text: str = context.budget.made(generate_lorem_ipsum(n, html, min, max))
    return text


def generation(caller: Any) -> Any:
    """What ``{% generation %}`` calls with its content. :meth:`ChatEnvironment.call` does it."""
    return caller()


class GenerationBlock(Extension):
    """``{% generation %}``: what an assistant says."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        environment.extend(generation=generation)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        content = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = nodes.Call(nodes.EnvironmentAttribute("generation"), [], [], None, None)
        return nodes.CallBlock(call, [], [], content).set_lineno(line)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox. What dicts, strings and loops are mostly asked for is found without checks that cannot fail."""

    code_generator_class = BudgetedCodeGenerator
    context_class = BudgetedContext
    intercepted_binops = frozenset({"+", "-", "*", "**", "%"})
    concat = staticmethod(concat_blocks)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols], cache_size=0, optimized=False
        )
        self.filters.update(filters.filters())
        self.tests.update(filters.tests())
        tests: dict[str, Any] = self.tests
        self._tests_with_context = frozenset(name for name, test in tests.items() if _PassArg.from_obj(test) is not None)
        self.globals.update(
            dict=DictMaker(), lipsum=lipsum, namespace=ChatNamespace, raise_exception=raise_exception, strftime_now=strftime_now
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        kind = type(obj)
        if kind is dict:
            if attribute not in _DICT_ATTRIBUTES:
                try:
                    return obj[attribute]
                except KeyError:
                    return self.undefined(obj=obj, name=attribute)
            if attribute in _SAFE_DICT_ATTRIBUTES:
                return getattr(obj, attribute)
        elif kind is str:
            if attribute in _STRING_ATTRIBUTES:
                return getattr(obj, attribute)
            if attribute not in _ALL_STRING_ATTRIBUTES:
                return self.undefined(obj=obj, name=attribute)
        elif kind is LoopContext:
            if attribute in _LOOP_ATTRIBUTES:
                return getattr(obj, attribute)
        elif kind is ChatNamespace and attribute[0] != "_":
            values = object.__getattribute__(obj, _NAMESPACE_VALUES)
            if attribute in values:
                return values[attribute]
        elif kind in _OTHER_ATTRIBUTES and attribute not in _OTHER_ATTRIBUTES[kind]:
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = __context.budget  # type: ignore[attr-defined]
        budget.steps -= 2
        if budget.steps < 0:
            budget.out_of_steps()
        kind = type(__obj)
        if kind is Macro:
            if kwargs:
                kwargs.pop("_loop_vars", None)
                kwargs.pop("_block_vars", None)
                if len(kwargs) > 8:
                    budget.room_for_names(kwargs)
            budget.call_depth += 1
            if budget.call_depth > MAX_CALL_DEPTH:
                budget.too_deep()
            try:
                return __obj(__context.eval_ctx, *args, **kwargs)
            finally:
                budget.call_depth -= 1
        if kind is BuiltinMethodType or kind is MethodType:
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            name = __obj.__name__
            receiver = __obj.__self__
            if type(receiver) is dict and name in _DICT_VIEWS:
                return __obj(*args, **kwargs)
            if args and type(args[0]) is GeneratorType:
                args = (list(args[0]), *args[1:])
            before_method(budget, receiver, name, args, kwargs)
            if type(receiver) is str:
                return budget.made(__obj(*args, **kwargs))
            result = super().call(__context, __obj, *args, **kwargs)
            return result if name == "get" else budget.made(result)
        if __obj is generation:
            return __self._generation(budget, kwargs["caller"])
        if kind is LoopContext or kind is BlockReference:
            budget.enter()
            try:
                return super().call(__context, __obj, *args, **kwargs)
            finally:
                budget.call_depth -= 1
        budget.steps -= 3
        if any(type(argument) is GeneratorType for argument in args):
            args = tuple(list(argument) if type(argument) is GeneratorType else argument for argument in args)
        for argument in args:
            if type(argument) not in SCALARS:
                budget.measure(argument)
                budget.keys(argument)
        if kwargs:
            budget.room_for_names(kwargs)
        return budget.made(super().call(__context, __obj, *args, **kwargs))

    def _generation(self, budget: Budget, caller: Macro) -> str:
        budget.enter()
        try:
            said = caller()
        finally:
            budget.call_depth -= 1
        if budget.spans is not None:
            budget.spans.append((budget.position, budget.position + len(said)))
        return said

    def call_test(
        self,
        name: str,
        value: Any,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        context: Context | None = None,
        eval_ctx: nodes.EvalContext | None = None,
    ) -> Any:
        function: Any = self.tests.get(name)
        if function is not None and context is not None:
            # `selectattr` and its like come here once for each item.
            if name in self._tests_with_context:
                return function(context, value, *(args or ()), **(kwargs or {}))
            return function(value, *(args or ()), **(kwargs or {}))
        return super().call_test(name, value, args, kwargs, context, eval_ctx)

    def wrap_str_format(self, value: Any) -> Any:
        if not isinstance(value, _METHODS) or value.__name__ not in ("format", "format_map"):
            return None
        text = value.__self__
        if not isinstance(text, str):
            return None
        formatter = BudgetedEscapeFormatter(self, escape=text.escape) if isinstance(text, Markup) else BudgetedFormatter(self)
        kind = type(text)
        if value.__name__ == "format":
            return lambda *args, **kwargs: kind(formatter.vformat(text, args, kwargs))
        return lambda mapping: kind(formatter.vformat(text, (), mapping))


@cache
def environment() -> ChatEnvironment:
    """The one environment. It keeps nothing of a rendering, so any number of threads may use it."""
    return ChatEnvironment()
