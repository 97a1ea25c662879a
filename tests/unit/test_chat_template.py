"""Chat templates by themselves: what is kept between renderings, errors, files, and the document."""

from __future__ import annotations

import copy
import dataclasses
import doctest
import json
import logging
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import fixtures
import russet
from russet.chat_template import ChatTemplate, Rendered, load_chat_templates
from russet.chat_template.template import CACHE_SIZE, MAX_SOURCE, _compile

MESSAGES = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
LOOP = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
SPANS = "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}"


def test_document() -> None:
    path = Path(__file__).parent.parent.parent / "docs" / "chat-templates.md"
    results = doctest.testfile(str(path), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 5
    assert results.failed == 0


def test_rendered() -> None:
    assert ChatTemplate(LOOP).render(MESSAGES) == Rendered("<user>Hello<assistant>Hi", None)
    rendered = ChatTemplate(SPANS).render(MESSAGES, return_assistant_spans=True)
    assert rendered.assistant_spans is not None
    assert [rendered.text[start:end] for start, end in rendered.assistant_spans] == ["Hi"]
    assert ChatTemplate(SPANS).render([], return_assistant_spans=True) == Rendered("", [])


def test_compiled_once_and_not_for_ever() -> None:
    first = ChatTemplate("once " + LOOP)
    assert ChatTemplate("once " + LOOP)._compiled is first._compiled
    assert ChatTemplate("once " + LOOP, max_steps=10)._compiled is first._compiled
    for number in range(CACHE_SIZE):
        ChatTemplate(f"{number}{{{{ messages }}}}")
    assert _compile.cache_info().currsize <= CACHE_SIZE
    assert ChatTemplate("once " + LOOP)._compiled is not first._compiled
    assert first.render(MESSAGES).text == "once <user>Hello<assistant>Hi"


def test_copies() -> None:
    template = ChatTemplate(LOOP, max_steps=5)
    for other in (copy.copy(template), copy.deepcopy(template), pickle.loads(pickle.dumps(template))):
        assert other.source == LOOP
        assert other.render(MESSAGES[:1]).text == "<user>Hello"
        with pytest.raises(russet.TemplateLimitError):
            other.render(MESSAGES * 3)
    assert repr(template) == "ChatTemplate('{% for m in messages %}<{{ m.role }}>{{ '...)"


def test_threads() -> None:
    """Sixteen threads render three templates, some of which are stopped: every result is that of one thread."""
    endless = ChatTemplate("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", max_steps=3000)
    templates = [
        ChatTemplate(LOOP),
        ChatTemplate(SPANS),
        ChatTemplate("{% macro f(n) %}{{ n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(messages | length) }}"),
    ]
    wrong: list[Any] = []

    def work(seed: int) -> None:
        for turn in range(120):
            count = (seed * 7 + turn) % 9
            messages = [{"role": "assistant" if i % 2 else "user", "content": f"{seed}-{i}"} for i in range(count)]
            expected = "".join(f"<{m['role']}>{m['content']}" for m in messages)
            if templates[0].render(messages).text != expected:
                wrong.append(messages)
            rendered = templates[1].render(messages, return_assistant_spans=True)
            said = [rendered.text[start:end] for start, end in rendered.assistant_spans or ()]
            if said != [m["content"] for m in messages[1::2]]:
                wrong.append(said)
            if templates[2].render(messages).text != "".join(str(n) for n in range(count, -1, -1)):
                wrong.append(count)
            if turn % 10 == 0:
                try:
                    endless.render(messages)
                    wrong.append("not stopped")
                except russet.TemplateLimitError:
                    pass

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_errors_name_the_line() -> None:
    cases = [
        ("a\n{% for %}", "line 2"),
        ("a\n\n{{ raise_exception('no ' ~ 'way') }}", "^no way$"),
        ("a\n\n{{ none + 1 }}", "line 3: TypeError"),
        ("{% macro f() %}\n\n{{ 1 / 0 }}{% endmacro %}\n{{ f() }}", "line 3: ZeroDivisionError"),
        ("{{ messages[0].nothing.more }}", "no attribute 'nothing'"),
        ("\n{{ ''.__class__.mro }}", "unsafe"),
    ]
    for source, message in cases:
        with pytest.raises(russet.TemplateError, match=message) as caught:
            ChatTemplate(source).render(MESSAGES)
        assert isinstance(caught.value, ValueError)
        assert not isinstance(caught.value, russet.TemplateLimitError)
        assert caught.value.line == source.count("\n", 0, source.rindex("{" if "macro" not in source else "{{ 1")) + 1
    with pytest.raises(russet.TemplateLimitError) as limit:
        ChatTemplate("\n\n{{ 'a' * 10 ** 9 }}").render([])
    assert (limit.value.line, limit.value.limit) == (3, 16 << 20)
    with pytest.raises(russet.TemplateLimitError, match="65537 characters"):
        ChatTemplate("a" * (MAX_SOURCE + 1))
    assert ChatTemplate("a" * MAX_SOURCE).render([]).text == "a" * MAX_SOURCE
    with pytest.raises(TypeError, match="a chat template is a string, not dict"):
        ChatTemplate({"default": ""})  # type: ignore[arg-type]


def test_objects_are_out_of_reach() -> None:
    class Reaching:
        def __init__(self) -> None:
            self.called = 0

        def call(self) -> str:
            self.called += 1
            return "called"

        def __str__(self) -> str:
            return self.call()

    @dataclasses.dataclass
    class Turn:
        role: str
        content: Any

    thing = Reaching()
    text = ChatTemplate("{{ messages[0].content }}|{{ thing }}|{{ messages[1].content.x }}|{{ thing.call is defined }}").render(
        [Turn("user", thing), {"role": "user", "content": {"x": thing}}], thing=thing
    )
    assert text.text == "<Reaching>|<Reaching>|<Reaching>|False"
    assert thing.called == 0
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(russet.TemplateLimitError, match="contains itself"):
        ChatTemplate(LOOP).render([{"role": "user", "content": endless}])


def test_a_mask_without_generation_blocks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = russet.PreTrainedTokenizer(tokenizer_file=str(fixtures.TOKENIZERS / "wordpiece-bert-uncased.json"))
    with caplog.at_level(logging.WARNING, logger="russet"):
        encoded = tokenizer.apply_chat_template(MESSAGES, chat_template=LOOP, return_assistant_tokens_mask=True)
    assert "generation" in caplog.text
    assert set(encoded["assistant_masks"]) == {0}
    assert len(encoded["assistant_masks"]) == len(encoded["input_ids"])


def test_jinja_comes_with_the_first_template() -> None:
    code = """
import sys, russet, russet.chat_template, russet.pretrained.chat
assert "jinja2" not in sys.modules
russet.chat_template.get_json_schema, russet.chat_template.load_chat_templates(".")
assert "jinja2" not in sys.modules
russet.chat_template.ChatTemplate("")
assert "jinja2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_templates_in_files(tmp_path: Path) -> None:
    assert load_chat_templates(tmp_path) is None
    assert load_chat_templates(tmp_path, {"chat_template": None}) is None
    config = {"chat_template": [{"name": "default", "template": "c"}, {"name": "rag", "template": "r"}]}
    assert load_chat_templates(tmp_path, {"chat_template": "c"}) == "c"
    assert load_chat_templates(tmp_path, config) == {"default": "c", "rag": "r"}
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "j"}), encoding="utf-8")
    assert load_chat_templates(tmp_path, config) == "j"
    (tmp_path / "additional_chat_templates").mkdir()
    assert load_chat_templates(tmp_path, config) == "j"
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("t ü", encoding="utf-8")
    (tmp_path / "additional_chat_templates" / "notes.txt").write_text("n", encoding="utf-8")
    assert load_chat_templates(tmp_path, config) == {"tool_use": "t ü"}
    (tmp_path / "chat_template.jinja").write_text("d\n", encoding="utf-8")
    assert load_chat_templates(str(tmp_path), config) == {"default": "d\n", "tool_use": "t ü"}
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").unlink()
    assert load_chat_templates(tmp_path, config) == "d\n"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("chat_template.jinja", b"\xff", russet.ConfigError),
        ("chat_template.jinja", b"a" * (5 << 20), russet.LimitError),
        ("chat_template.json", b"{", russet.ConfigError),
        ("chat_template.json", b"[" * 100_000, russet.ConfigError),
        ("chat_template.json", b"[]", russet.ConfigError),
        ("chat_template.json", b'{"chat_template": 7}', russet.ConfigError),
        ("chat_template.json", b'{"chat_template": ["a"]}', russet.ConfigError),
        ("chat_template.json", b'{"chat_template": [{"name": "a"}]}', russet.ConfigError),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, error: type[Exception]) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        load_chat_templates(tmp_path)
