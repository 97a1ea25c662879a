"""Conversations, tools and documents as templates see them: copied to plain data, so that no object of the caller's is reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from inspect import isfunction, ismethod
from typing import Any

import numpy as np

from russet.errors import ArgumentError, TemplateLimitError

#: The names under which messages carry reasoning. The first is the one that most templates read.
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")
#: Stands at the end of the message that is continued, and is cut off with what follows. A template that trims the message takes the
#: space and leaves the rest.
CONTINUE_MARK = "CONTINUE_FINAL_MESSAGE_TAG "

Message = dict[str, Any]
_PLAIN = frozenset({str, int, float, bool, type(None)})


def plain(value: Any, trees: set[int]) -> Any:
    """`value` rebuilt from strings, numbers, lists, tuples and dicts alone.

    Dataclasses and Pydantic models become dicts, NumPy scalars numbers; what is left (images, arrays) becomes its type's name in
    angle brackets. The ids of the copies are added to `trees`; the copy has to outlive their use.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    made: Any
    if kind is dict:
        made = {
            key if type(key) is str else plain(key, trees): item if type(item) in _PLAIN else plain(item, trees)
            for key, item in value.items()
        }
    elif kind is list:
        made = [item if type(item) in _PLAIN else plain(item, trees) for item in value]
    elif isinstance(value, str):
        return str.__str__(value)
    elif isinstance(value, int):
        return int.__int__(value)
    elif isinstance(value, float):
        return float.__float__(value)
    elif isinstance(value, Mapping):
        made = {plain(key, trees): plain(item, trees) for key, item in value.items()}
    elif isinstance(value, list):
        made = [plain(item, trees) for item in value]
    elif isinstance(value, tuple):
        made = tuple(plain(item, trees) for item in value)
    elif isinstance(value, np.generic):
        return plain(value.item(), trees)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = {field.name: plain(getattr(value, field.name), trees) for field in dataclasses.fields(value)}
    elif callable(getattr(value, "model_dump", None)):
        return plain(value.model_dump(), trees)
    else:
        return f"<{kind.__name__}>"
    trees.add(id(made))
    return made


def copied(value: Any, trees: set[int]) -> Any:
    """:func:`plain` for what the caller gave; raises :class:`russet.TemplateLimitError` where it is nested too deep."""
    try:
        return plain(value, trees)
    except RecursionError:
        raise TemplateLimitError("what is given to the chat template is nested too deep, or contains itself") from None


def copied_messages(messages: Any, trees: set[int]) -> list[Message]:
    """A conversation as a list of dicts, its reasoning under the names that templates read.

    Raises :class:`TypeError` for a message that is no mapping, dataclass or Pydantic model.
    """
    chat = copied(getattr(messages, "messages", messages), trees)
    if not isinstance(chat, (list, tuple)):
        raise TypeError(f"a conversation is a list of messages, not {type(messages).__name__}")
    copies = list(chat)
    for index, message in enumerate(copies):
        if not isinstance(message, dict):
            raise TypeError(f"a message is a dict with a role and a content, not {message!r:.80}")
        reasoning = next((message[field] for field in REASONING_FIELDS if message.get(field) is not None), None)
        if reasoning is not None:
            copies[index] = {"thinking": reasoning, **message, "reasoning_content": reasoning}
            _replaced(message, copies[index], trees)
    _replaced(chat, copies, trees)
    return copies


def _replaced(old: Any, new: Any, trees: set[int]) -> None:
    """Takes out what is no longer needed: another object may get its id."""
    trees.discard(id(old))
    trees.add(id(new))


def tool_schemas(tools: Iterable[dict[str, Any] | Callable[..., Any]] | None) -> list[dict[str, Any]] | None:
    """Tools as JSON schemas: dicts as they are, functions described by their hints and docstrings."""
    if tools is None:
        return None
    schemas = []
    for tool in tools:
        if isinstance(tool, dict):
            schemas.append(tool)
        elif isfunction(tool) or ismethod(tool):
            from russet.chat_template.tools import get_json_schema

            schemas.append(get_json_schema(tool))
        else:
            raise ArgumentError(
                f"a tool is a JSON schema or a function with type hints and a docstring, not {type(tool).__name__}",
                argument="tools",
            )
    return schemas


def checked_documents(documents: Iterable[dict[str, Any]] | None) -> None:
    """Raises :class:`TypeError` for a document that is no dict."""
    for document in documents or ():
        if not isinstance(document, dict):
            raise TypeError(f"a document is a dict with a title and a text, not {type(document).__name__}")


def mark_final_message(chat: list[Message], field: str, source: str) -> str:
    """Puts `CONTINUE_MARK` at the end of the last message's `field`, and returns the text that it had.

    Raises :class:`russet.ArgumentError` where there is nothing to continue.
    """

    def refuse(reason: str) -> ArgumentError:
        return ArgumentError(f"continue_final_message: {reason}", argument="continue_final_message")

    if not chat:
        raise refuse("the conversation has no messages")
    message = chat[-1]
    content = message.get(field)
    if content is None:
        raise refuse(f"the last message has no {field!r}")
    fields = [field]
    if field in REASONING_FIELDS:
        fields = [name for name in REASONING_FIELDS if message.get(name) == content]
    if not any(name in source for name in fields):
        raise refuse(f"the chat template does not use {field!r}")
    if isinstance(content, (list, tuple)):
        for part in reversed(content):
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                text: str = part["text"]
                part["text"] = text + CONTINUE_MARK
                return text
        raise refuse("the last message has no text")
    if not isinstance(content, str):
        raise refuse(f"{field!r} of the last message is {type(content).__name__}, not text")
    for name in fields:
        message[name] = content + CONTINUE_MARK
    return content


def cut_at_mark(rendered: str, content: str) -> str:
    """`rendered` up to the mark, and to the end of the message's text if the template trimmed it."""
    mark = CONTINUE_MARK.strip()
    if content.strip() not in rendered or mark not in rendered:
        raise ArgumentError(
            "continue_final_message: the last message is not in the rendered text as it was given; does the chat template change or"
            f" leave out part of it? The message ends with {content.strip()[-80:]!r}",
            argument="continue_final_message",
        )
    end = rendered.rindex(mark)
    if rendered.startswith(CONTINUE_MARK, end):
        return rendered[:end]
    return rendered[:end].rstrip()
