"""Mutated chat templates: each renders what transformers renders, or is refused with a typed error, as it is there."""

from __future__ import annotations

import os
import random
import re
from typing import Any

import chat_cases
import pytest
from chat_cases import CONVERSATIONS, TOKENS

import russet
from russet.chat_template import ChatTemplate

reference = pytest.importorskip("transformers.utils.chat_template_utils", reason="the reference is the package transformers")
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape:DeprecationWarning")

#: How many mutations a seed makes; more by the environment variable.
COUNT = int(os.environ.get("RUSSET_TEMPLATE_MUTATIONS", "80"))
STEPS = 20_000
#: What gives other results each time.
VARYING = re.compile(r"random|lipsum|strftime_now|0x[0-9a-f]{8}|<(generator|bound|built-in|function|class)|object at")
PARTS = re.compile(r"(\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\})", re.DOTALL)
WORDS = re.compile(r"(\s+|\w+|[^\w\s])")
INSERTED = [
    "loop.index", "messages", "none", "''", "[]", "{}", "1", "-1", "0", "10 ** 6", "namespace()", "self", "caller()", "range(9)", "loop", "true", "x",
    "| list", "| length", "| tojson", "| string", "| map('upper')", "| sort", "| join", "| first", "| select", "| batch(2)", "| trim", "| e", "| safe",
    "is defined", "is string", "not", "~", "+", "*", "%", "//", "-", "in", "==", "<", "[0]", "[1:]", "[::-1]", ".role", "['content']", "()", "(", ")",
    "if x else y", "recursive", ".items()", ".split()", ".format(1)", "{% endif %}", "{% endfor %}", "{% if x %}", "{% for y in x %}", "{% set x = 1 %}",
    "{% break %}", "{% generation %}", "{% endgeneration %}", "{% macro m() %}", "{% endmacro %}", "{{ m() }}", "{{", "}}", "{%", "%}", "{#", "#}",
]  # fmt: skip


def mutated(random_: random.Random, sources: list[str]) -> str:
    parts = PARTS.split(random_.choice(sources))
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(len(parts))
        kind = random_.randrange(6)
        if kind == 0:
            parts[at : at + random_.randint(1, 3)] = []
        elif kind == 1:
            other = PARTS.split(random_.choice(sources))
            start = random_.randrange(len(other))
            parts[at:at] = other[start : start + random_.randint(1, 4)]
        elif kind == 2:
            parts[at:at] = parts[max(0, at - random_.randint(1, 5)) : at]
        else:
            words = WORDS.split(parts[at])
            word = random_.randrange(len(words))
            if kind == 3:
                words[word] = random_.choice(INSERTED)
            elif kind == 4:
                words[word:word] = [" ", random_.choice(INSERTED), " "]
            else:
                other_word = random_.randrange(len(words))
                words[word], words[other_word] = words[other_word], words[word]
            parts[at] = "".join(words)
        if not parts:
            return ""
    return "".join(parts)


def check(source: str, conversation: Any) -> str:
    options = {**TOKENS, "add_generation_prompt": True, "tools": chat_cases.TOOLS["schemas"]}
    try:
        ours = ChatTemplate(source, max_steps=STEPS).render(conversation, **options).text
    except russet.TemplateLimitError:
        return "limit"
    except russet.TemplateError as error:
        # It ends for them, too: it took few steps here.
        with pytest.raises(Exception) as caught:
            reference.render_jinja_template([conversation], chat_template=source, **options)
        if type(caught.value).__name__ == "TemplateError":
            assert str(caught.value) == str(error)
        return "error"
    theirs = reference.render_jinja_template([conversation], chat_template=source, **options)[0][0]
    if not VARYING.search(source) and not VARYING.search(theirs):
        assert ours == theirs
    return "text"


@pytest.mark.parametrize("seed", range(6))
def test_mutations(seed: int) -> None:
    random_ = random.Random(seed)
    sources = [chat_cases.source(name) for name in chat_cases.names() if name != "empty"]
    endings: dict[str, int] = {}
    for _ in range(COUNT):
        source = mutated(random_, sources)
        conversation = CONVERSATIONS[random_.choice(["system", "calls", "parts"])]
        try:
            ending = check(source, conversation)
        except BaseException:
            print(repr(source))
            raise
        endings[ending] = endings.get(ending, 0) + 1
    # Neither all broken nor all whole.
    assert endings["error"] > COUNT // 10
    assert endings["text"] > COUNT // 10
