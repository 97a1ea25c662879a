"""A chat template: compiled once, rendered any number of times, by any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from russet.chat_template.messages import checked_documents, copied, copied_messages, cut_at_mark, mark_final_message, tool_schemas
from russet.errors import TemplateError, TemplateLimitError

if TYPE_CHECKING:
    import jinja2

    from russet.chat_template.budget import Budget

#: Characters of a template. The longest published ones have some 20,000.
MAX_SOURCE = 1 << 16
#: Branches times names that are set. Jinja copies all names at each branch while it compiles.
MAX_BRANCHED_NAMES = 500_000
#: Compiled templates that are kept.
CACHE_SIZE = 64
#: Pieces of output that are joined at once.
_PIECES = 4096
_FILE_NAME = "<template>"


class Rendered(NamedTuple):
    """What a template made of a conversation."""

    text: str
    #: Where assistants speak, ``(start, end)`` in characters of `text`, as ``{% generation %}`` says; None where nobody asked.
    assistant_spans: list[tuple[int, int]] | None


class ChatTemplate:
    """A Jinja template that turns messages into a prompt.

    `max_steps` bounds the work of one rendering (a turn of a loop or a call of a macro is a step, a large one several),
    `max_output` the characters of its text. Raises :class:`russet.TemplateError` for a source that is no template.
    """

    def __init__(self, source: str, *, max_steps: int | None = None, max_output: int | None = None) -> None:
        if not isinstance(source, str):
            raise TypeError(f"a chat template is a string, not {type(source).__name__}")
        self.source = source
        self._max_steps, self._max_output = max_steps, max_output
        self._compiled = _compile(source)

    def __repr__(self) -> str:
        return f"ChatTemplate({self.source[:40]!r}{'...' if len(self.source) > 40 else ''})"

    def __reduce__(self) -> Any:
        return _unpickled, (self.source, self._max_steps, self._max_output)

    @property
    def marks_assistants(self) -> bool:
        """Whether the template says what an assistant says, with ``{% generation %}``."""
        return _marks_assistants(self.source)

    @property
    def literal_text(self) -> str:
        """The text and the string constants that the template itself has, with a null character between them."""
        return _literal_text(self.source)

    def render(
        self,
        messages: Any,
        tools: Iterable[dict[str, Any] | Callable[..., Any]] | None = None,
        documents: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        return_assistant_spans: bool = False,
        **variables: Any,
    ) -> Rendered:
        """The text of a conversation, as transformers' ``render_jinja_template`` gives it.

        `messages` are dicts, dataclasses or Pydantic models; `tools` JSON schemas or functions; `documents` dicts; `variables`
        whatever else the template reads, special tokens among them. `continue_final_message` leaves the last message open: its
        ``content``, or the field that it names. Raises :class:`russet.TemplateError` where the template fails or refuses the
        messages, :class:`russet.TemplateLimitError` where it takes too much, :class:`russet.ArgumentError` for arguments that do
        not fit.
        """
        from russet.chat_template.budget import MAX_OUTPUT, MAX_STEPS, Budget

        schemas = tool_schemas(tools)
        checked_documents(documents)
        trees: set[int] = set()
        chat = copied_messages(messages, trees)
        continued = ""
        if continue_final_message:
            field = continue_final_message if isinstance(continue_final_message, str) else "content"
            continued = mark_final_message(chat, field, self.source)
        values = copied(variables, trees)
        values["messages"] = chat
        values["tools"] = None if schemas is None else copied(schemas, trees)
        values["documents"] = None if documents is None else copied(documents, trees)
        values["add_generation_prompt"] = add_generation_prompt
        budget = Budget(
            MAX_STEPS if self._max_steps is None else self._max_steps,
            MAX_OUTPUT if self._max_output is None else self._max_output,
            trees,
        )
        if return_assistant_spans:
            budget.spans = []
        text = _run(self._compiled, values, budget)
        if continue_final_message:
            text = cut_at_mark(text, continued)
        return Rendered(text, budget.spans)


def _unpickled(source: str, max_steps: int | None, max_output: int | None) -> ChatTemplate:
    return ChatTemplate(source, max_steps=max_steps, max_output=max_output)


@lru_cache(maxsize=CACHE_SIZE)
def _marks_assistants(source: str) -> bool:
    import re

    return re.search(r"\{%[-+]?\s*generation\s*[-+]?%\}", source) is not None


@lru_cache(maxsize=CACHE_SIZE)
def _literal_text(source: str) -> str:
    from jinja2 import nodes

    from russet.chat_template.environment import environment

    tree = environment().parse(source)
    literals = {node.data for node in tree.find_all(nodes.TemplateData)}
    literals |= {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)}
    return "\0".join(sorted(literals))


@lru_cache(maxsize=CACHE_SIZE)
def _compile(source: str) -> jinja2.Template:
    if len(source) > MAX_SOURCE:
        raise TemplateLimitError(
            f"the chat template has {len(source)} characters; the limit is {MAX_SOURCE}", value=len(source), limit=MAX_SOURCE
        )
    import jinja2

    from russet.chat_template.environment import environment

    try:
        tree = environment().parse(source)
        _check_size(tree)
        return environment().from_string(tree)
    except TemplateLimitError:
        raise
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"the chat template is not valid, line {error.lineno}: {error.message}", line=error.lineno) from error
    except (RecursionError, MemoryError) as error:
        raise TemplateLimitError("the chat template is nested too deep") from error
    except Exception as error:
        raise TemplateError(f"the chat template is not valid: {error}") from error


def _check_size(tree: jinja2.nodes.Template) -> None:
    """Raises :class:`russet.TemplateLimitError` for a template that takes too long to compile."""
    from jinja2 import nodes

    branches = sum(1 + len(branch.elif_) for branch in tree.find_all(nodes.If))
    names = len({name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"})
    if branches * names > MAX_BRANCHED_NAMES:
        raise TemplateLimitError(
            f"the chat template has {branches} branches and sets {names} names",
            value=branches * names,
            limit=MAX_BRANCHED_NAMES,
        )


def _run(template: jinja2.Template, values: dict[str, Any], budget: Budget) -> str:
    from russet.chat_template.budget import current

    environment = template.environment
    context = environment.context_class(environment, {**environment.globals, **values}, None, template.blocks)
    context.budget = budget  # type: ignore[attr-defined]
    token = current.set(budget)
    try:
        pieces = iter(template.root_render_func(context))
        parts: list[str] = []
        if budget.spans is not None:
            for piece in pieces:
                parts.append(piece)
                budget.position += len(piece)
                _check_output(budget)
        else:
            while block := list(islice(pieces, _PIECES)):
                budget.position += sum(map(len, block))
                _check_output(budget)
                parts.append("".join(block))
        if budget.steps < 0:
            budget.out_of_steps()
        return "".join(parts)
    except TemplateLimitError as error:
        error.line = error.line or _line(template, error)
        raise
    except Exception as error:
        _raise_template_error(template, error, budget)
    finally:
        current.reset(token)


def _check_output(budget: Budget) -> None:
    if budget.position > budget.max_output:
        raise TemplateLimitError(
            f"the chat template writes more than {budget.max_output} characters", value=budget.position, limit=budget.max_output
        )


def _raise_template_error(template: jinja2.Template, error: Exception, budget: Budget) -> NoReturn:
    """The template's own failure as one of Russet's errors."""
    import jinja2

    line = _line(template, error)
    if isinstance(error, TemplateError):
        error.line = error.line or line
        raise error
    if isinstance(error, RecursionError):
        raise TemplateLimitError("the chat template nests calls or values too deep", line=line) from error
    if isinstance(error, (MemoryError, OverflowError)):
        raise TemplateLimitError(f"the chat template makes a value that is too large: {error}", line=line) from error
    if isinstance(error, jinja2.TemplateError):
        # `raise_exception` takes any value, so the message may be a list or worse.
        message = budget.text(error.args[0]) if error.args else ""
        raise TemplateError(message or type(error).__name__, line=line) from error
    raise TemplateError(f"the chat template failed on line {line}: {type(error).__name__}: {error}", line=line) from error


def _line(template: jinja2.Template, error: BaseException) -> int:
    """The line of the template that was running, 0 where none was."""
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE_NAME:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
