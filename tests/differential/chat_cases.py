"""Conversations, tools and documents that chat templates are compared on, and where the templates are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Optional, Union

import numpy as np

import fixtures

TEMPLATES = fixtures.DATA / "chat_templates"


def names() -> list[str]:
    return sorted(path.stem for path in TEMPLATES.glob("*.jinja"))


def source(name: str) -> str:
    with open(TEMPLATES / f"{name}.jinja", encoding="utf-8", newline="") as file:
        return file.read()


def published(corpus: Path) -> Iterator[tuple[str, str]]:
    """The templates of the corpus: name and source."""
    for path in sorted(corpus.glob("**/tokenizer_config.json")):
        found = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
        for entry in [{"name": "", "template": found}] if isinstance(found, str) else found or []:
            yield f"{path.parent.name} {entry['name']}", entry["template"]
    for path in sorted(corpus.glob("**/*.jinja")):
        yield str(path.relative_to(corpus)), path.read_text(encoding="utf-8")


class Unit(Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


def get_weather(place: str, days: int = 1, unit: Unit = Unit.CELSIUS) -> dict[str, Any]:
    """
    The weather at a place.

    Args:
        place: The place, such as "Zürich"
        days: How many days
            ahead
        unit: The unit of temperatures

    Returns:
        What the weather is like
    """
    return {}


def search(
    query: str,
    limit: Optional[int] = None,  # noqa: UP045 - as people write it
    kinds: list[str] | None = None,
    order: Literal["new", "old"] = "new",
    within: Union[int, float, str] = 0,  # noqa: UP007
    options: Optional[dict[str, Any]] = None,  # noqa: UP045
) -> list[str]:
    """Searches.

    Several lines of it.

    Args:
        query: What to look for (choices: ["a", " b "])
        limit: How many
        kinds: Which kinds
        order: In which order
        within: Where
        options: More
    """
    return []


SCHEMA = {
    "type": "function",
    "function": {
        "name": "add",
        "description": 'Adds "two" numbers <now> & ünicode',
        "parameters": {
            "type": "object",
            "properties": {
                "x": {"type": "number", "description": "one"},
                "y": {"type": ["integer", "null"], "description": "other"},
                "z": {"anyOf": [{"type": "string", "enum": ["p", "q"]}, {"type": "array", "items": {"type": "boolean"}}]},
                "deep": {"type": "object", "properties": {"inner": {"type": "string"}}, "required": ["inner"]},
            },
            "required": ["x"],
        },
    },
}
NO_PARAMETERS = {
    "type": "function",
    "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}},
}
TOOLS: dict[str, list[Any] | None] = {
    "none": None,
    "empty": [],
    "schemas": [SCHEMA, NO_PARAMETERS],
    "functions": [get_weather, search],
    "bare": [
        {
            "name": "bare",
            "description": "no wrapping",
            "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": []},
        }
    ],
}

DOCUMENTS = [
    {"title": "One", "text": "First text\nof two lines"},
    {"title": "", "contents": "Second", "text": "zwölf"},
    {"text": ""},
]


@dataclasses.dataclass
class Turn:
    role: str
    content: Any


CALLS = [
    {"id": "abcdefghi", "type": "function", "function": {"name": "add", "arguments": {"x": 1, "y": None, "text": 'é "q"'}}},
    {"id": "jklmnopqr", "type": "function", "function": {"name": "get_weather", "arguments": '{"place": "Bern"}'}},
]
IMAGE = np.zeros((2, 2), dtype=np.uint8)

CONVERSATIONS: dict[str, Any] = {
    "one": [{"role": "user", "content": "Hello"}],
    "turns": [
        {"role": "user", "content": "  Hello\n"},
        {"role": "assistant", "content": "Hi there! "},
        {"role": "user", "content": "Say something."},
    ],
    "system": [
        {"role": "system", "content": "Be kind.\n\nAlways."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Good /no_think"},
        {"role": "assistant", "content": "Bye."},
    ],
    "systems": [
        {"role": "system", "content": "One."},
        {"role": "system", "content": "Two."},
        {"role": "user", "content": "Hello"},
    ],
    "system-late": [
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hi"},
    ],
    "no-user": [{"role": "system", "content": "Be kind."}, {"role": "assistant", "content": "Hi"}],
    "assistant-first": [{"role": "assistant", "content": "Welcome"}, {"role": "user", "content": "Thanks"}],
    "twice": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}],
    "calls": [
        {"role": "user", "content": "Add and look"},
        {"role": "assistant", "content": "", "tool_calls": CALLS},
        {"role": "tool", "name": "add", "tool_call_id": "abcdefghi", "content": "2"},
        {"role": "tool", "name": "get_weather", "tool_call_id": "jklmnopqr", "content": '{"sky": "grün"}'},
        {"role": "assistant", "content": "It is two."},
        {"role": "user", "content": "Thanks"},
    ],
    "one-call": [
        {"role": "system", "content": "Tools!"},
        {"role": "user", "content": "Add"},
        {"role": "assistant", "content": None, "tool_calls": CALLS[:1], "reasoning_content": "think first"},
        {"role": "tool", "content": {"result": [1, 2.5, None]}, "tool_call_id": "abcdefghi"},
        {"role": "assistant", "content": "Two"},
    ],
    "bad-id": [
        {"role": "user", "content": "Add"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]},
    ],
    "tool-first": [{"role": "tool", "content": "result"}, {"role": "user", "content": "?"}],
    "thinking": [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "<think>\nBecause...\n</think>\n\nSo."},
        {"role": "user", "content": "Really?"},
        {"role": "assistant", "content": "Yes.", "thinking": "hm\n"},
    ],
    "reasoning": [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So.", "reasoning": "steps", "reasoning_content": None},
    ],
    "parts": [
        {"role": "system", "content": [{"type": "text", "text": "See."}]},
        {
            "role": "user",
            "content": [
                {"type": "image", "image": IMAGE},
                {"type": "text", "text": " What is it? "},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "video", "video": "a.mp4"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "A dot."}]},
    ],
    "unicode": [
        {"role": "system", "content": "Ein Grüß <|im_end|> 🦊 \u2028 \x00"},
        {"role": "user", "content": "你好，世界 👩‍👩‍👧‍👦 עברית \u202e"},
        {"role": "assistant", "content": "é́ ﬃ İstanbul"},
    ],
    "empty-texts": [{"role": "system", "content": ""}, {"role": "user", "content": ""}, {"role": "assistant", "content": ""}],
    "odd-texts": [{"role": "user", "content": "{{ messages }} {% raw %} \\n \"quoted\" 'single' <b>&amp;</b>\r\n\tend"}],
    "other-role": [{"role": "developer", "content": "dev"}, {"role": "user", "content": "x"}, {"role": "observer", "content": "y"}],
    "no-content": [{"role": "user"}, {"role": "assistant"}],
    "no-role": [{"content": "who?"}],
    "numbers": [{"role": "user", "content": 7}, {"role": "assistant", "content": 2.5}, {"role": "user", "content": True}],
    "numpy": [{"role": "user", "content": np.str_("numpy"), "n": np.int64(3), "flag": np.bool_(False), "array": IMAGE}],
    "dataclasses": [Turn("user", "Hello"), Turn("assistant", ["a", ("b", 1)])],
    "no-message": ["text"],
    "empty": [],
    "many": [
        turn for i in range(20) for turn in ({"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i} " * 30})
    ],
}

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
#: What is given beside the conversation: all conversations are tried with the first, some with the others.
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "prompt": {"add_generation_prompt": True},
    "schemas": {"tools": TOOLS["schemas"], "add_generation_prompt": True},
    "functions": {"tools": TOOLS["functions"]},
    "no-tools": {"tools": TOOLS["empty"]},
    "bare-tools": {"tools": TOOLS["bare"]},
    "documents": {"documents": DOCUMENTS, "add_generation_prompt": True},
    "no-documents": {"documents": []},
    "no-thinking": {"enable_thinking": False, "add_generation_prompt": True, "thinking_budget": 10},
    "variables": {
        "reasoning_effort": "high",
        "custom_tools": TOOLS["schemas"],
        "date_string": "4 Jul 2024",
        "extra_context": {"b": 1, "a": [2]},
        "controls": {"length": "short"},
        "add_vision_id": True,
        "window": 2,
        "eos_token": "<end>",
    },
    "continue": {"continue_final_message": True},
    "continue-reasoning": {"continue_final_message": "reasoning_content"},
}

Outcome = tuple[str, Any]


def outcome(call: Callable[[], Any]) -> Outcome:
    """The result, or the class and the message of the error."""
    try:
        return "text", call()
    except Exception as error:
        return type(error).__name__, str(error)
