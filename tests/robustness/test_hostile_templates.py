"""Chat templates made to do harm: each ends in a typed error within 2 seconds and 256 MB, whatever it tries.

Among them are all attempts and endless loops that are known from transformers, where some hang and some take the memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile_templates
import pytest
from hostile_templates import CASES, HARMLESS, REFUSED

import russet
from russet.chat_template import ChatTemplate

#: Of processor time, for each.
SECONDS = 2.0
MEGABYTES = 256
#: The templates are tried in so many parts, each in a process that forks for each template.
PARTS = 12


def complaint(name: str, result: dict[str, Any]) -> str | None:
    """What is wrong with how a template ended."""
    if name in HARMLESS:
        if (result["classes"], result["message"]) != ([], ""):
            return "it is not harmless"
    elif ("TemplateError" if name in REFUSED else "TemplateLimitError") not in result["classes"]:
        return "it ends otherwise"
    if result["seconds"] >= SECONDS:
        return "it takes long"
    if sys.platform == "linux" and result["megabytes"] >= MEGABYTES:
        return "it takes much memory"
    return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each template runs in a fork")
@pytest.mark.parametrize("part", range(PARTS))
def test_all_end(part: int) -> None:
    names = list(CASES)[part::PARTS]
    program = [sys.executable, str(Path(hostile_templates.__file__)), *names]
    lines = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True, timeout=200).stdout.splitlines()
    results = {result["name"]: result for result in map(json.loads, lines)}
    assert list(results) == names
    wrong = {name: (reason, result) for name, result in results.items() if (reason := complaint(name, result))}
    assert wrong == {}


def test_nothing_is_charged_for_ever() -> None:
    """A template that is stopped leaves nothing behind: the next rendering has its whole budget."""
    template = ChatTemplate("{% for i in range(n) %}{% for j in range(n) %}{% endfor %}{% endfor %}ok")
    for _ in range(3):
        with pytest.raises(russet.TemplateLimitError):
            template.render([], n=99999)
        assert template.render([], n=10).text == "ok"


@pytest.mark.parametrize(
    ("source", "most", "options"),
    [
        ("{% for i in range(n) %}{% endfor %}", 1000, {"max_steps": 1006}),
        ("{% macro f(n) %}{{ f(n - 1) if n > 1 }}{% endmacro %}{{ f(n) }}", 200, {}),
        ("{{ 'a' * n }}", 1000, {"max_output": 1000}),
        ("{% for i in range(n) %}a{% endfor %}", 1000, {"max_output": 1000}),
        ("{{ 'a'.center(n) }}", 250, {"max_output": 1000}),
        ("{{ 2 ** n > 0 }}", 16383, {}),
    ],
)
def test_at_a_limit(source: str, most: int, options: dict[str, int]) -> None:
    """What is just allowed renders, and a little more does not."""
    template = ChatTemplate(source, **options)
    for fits in (most // 3, most - 8 if "macro" not in source else most // 2):
        template.render([], n=fits)
    with pytest.raises(russet.TemplateLimitError) as caught:
        template.render([], n=most + 1)
    assert caught.value.value > caught.value.limit > 0 or "deep" in str(caught.value)


def test_long_conversations_are_within_the_limits() -> None:
    """A thousand turns, a million characters, as templates of models write them."""
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": "word " * 200} for i in range(1000)]
    folder = Path(__file__).parent.parent / "data" / "chat_templates"
    for name in (
        "chatml",
        "llama-2",
        "qwen-tools",
        "qwen-thinking",
        "mistral-tools",
        "deepseek",
        "harmony",
        "hermes-tools",
        "gemma-parts",
    ):
        template = ChatTemplate((folder / f"{name}.jinja").read_text(encoding="utf-8"))
        assert len(template.render(turns, bos_token="<s>", eos_token="</s>").text) > 900_000
    large = [{"role": "user", "content": "word " * 2_000_000}]
    assert len(ChatTemplate((folder / "chatml.jinja").read_text(encoding="utf-8")).render(large).text) > 10_000_000
    picture = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "A" * 30_000_000}}, {"type": "text", "text": "?"}]}
    ]
    assert "<|image_pad|>" in ChatTemplate((folder / "multimodal.jinja").read_text(encoding="utf-8")).render(picture).text
