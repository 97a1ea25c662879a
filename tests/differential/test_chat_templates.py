"""Chat templates render what transformers renders: the same text, the same spans of assistants, the same refusals, the same ids."""

from __future__ import annotations

import copy
from datetime import datetime as real_datetime
from pathlib import Path
from typing import Any

import chat_cases
import pytest
from chat_cases import CONVERSATIONS, OPTIONS, TOKENS

import fixtures
import russet
from russet.chat_template import ChatTemplate, environment

transformers = pytest.importorskip("transformers", reason="the reference is the package transformers")
reference = pytest.importorskip("transformers.utils.chat_template_utils")
pytestmark = pytest.mark.filterwarnings("default")

#: Conversations that all options are tried with.
WITH_OPTIONS = ("one", "system", "calls", "one-call", "thinking", "parts")


class StoppedClock(real_datetime):
    @classmethod
    def now(cls, tz: Any = None) -> StoppedClock:
        return cls(2026, 3, 4, 5, 6, 7, 8)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "datetime", StoppedClock)
    monkeypatch.setattr(environment, "datetime", StoppedClock)


def both(source: str, conversation: Any, spans: bool, options: dict[str, Any]) -> tuple[chat_cases.Outcome, chat_cases.Outcome]:
    """What the reference gives, and what Russet gives: ``(text, spans)`` or an error."""
    options = {**TOKENS, **options}

    def theirs() -> Any:
        texts, found = reference.render_jinja_template(
            [copy.copy(conversation)], chat_template=source, return_assistant_tokens_mask=spans, **options
        )
        return texts[0], found[0] if spans else None

    def ours() -> Any:
        return tuple(ChatTemplate(source).render(conversation, return_assistant_spans=spans, **options))

    return chat_cases.outcome(theirs), chat_cases.outcome(ours)


def compare(source: str, conversation: Any, options: dict[str, Any], where: object) -> bool:
    """Compares one rendering. Returns whether there was a text."""
    spans = "generation" in source
    theirs, ours = both(source, conversation, spans, options)
    if theirs[0] == "text":
        assert ours == theirs, where
        return True
    assert ours[0] in ("TemplateError", "ArgumentError", "TypeError"), (where, theirs, ours)
    if theirs[0] == "TemplateError":
        assert ours == theirs, where  # the template's own words
    if theirs[0] == "UndefinedError":
        assert ours == ("TemplateError", theirs[1]), where
    return False


def compare_all(source: str, where: str) -> int:
    rendered = 0
    for name, conversation in CONVERSATIONS.items():
        for label, options in OPTIONS.items():
            if label in ("plain", "prompt", "schemas") or name in WITH_OPTIONS:
                rendered += compare(source, conversation, options, (where, name, label))
    return rendered


@pytest.mark.parametrize("name", chat_cases.names())
def test_written(name: str) -> None:
    rendered = compare_all(chat_cases.source(name), name)
    assert rendered > 20 or (name == "strict-order" and rendered > 10), rendered


def test_enough_are_written() -> None:
    assert len(chat_cases.names()) >= 40


def test_published(corpus: Path) -> None:
    templates = list(chat_cases.published(corpus))
    assert len(templates) >= 9
    for where, source in templates:
        compare_all(source, where)


def test_conversation_is_not_changed() -> None:
    before = copy.deepcopy(CONVERSATIONS["one-call"])
    ChatTemplate(chat_cases.source("qwen-thinking")).render(CONVERSATIONS["one-call"], continue_final_message=True)
    assert CONVERSATIONS["one-call"] == before


@pytest.mark.parametrize(
    ("source", "conversation", "field"),
    [
        ("{% for m in messages %}[{{ m.content }}]{% endfor %}", [{"role": "assistant", "content": "a b "}], True),
        ("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}", [{"role": "assistant", "content": "a b \n"}], True),
        ("{% for m in messages %}[{{ m.content | upper }}]{% endfor %}", [{"role": "assistant", "content": "a b"}], True),
        ("{% for m in messages %}[{{ m.content | upper }}]{% endfor %}", [{"role": "assistant", "content": "A B"}], True),
        ("{% for m in messages %}[{{ m.content[:2] }}]{% endfor %}", [{"role": "assistant", "content": "a b"}], True),
        ("{% for m in messages %}[{{ m.content }}]{% endfor %}", [{"role": "assistant", "content": ""}], True),
        ("{% for m in messages %}[{{ m.content }}]{% endfor %}", [{"role": "assistant", "content": None}], True),
        ("{% for m in messages %}[{{ m.content }}]{% endfor %}", [{"role": "assistant"}], True),
        ("{% for m in messages %}[{{ m.content }}]{% endfor %}", [], True),
        ("{% for m in messages %}[{{ m.role }}]{% endfor %}", [{"role": "assistant", "content": "a"}], True),
        ("{% for m in messages %}[{{ m.thinking }}]{{ m.content }}{% endfor %}", [{"content": "a", "reasoning": "b"}], "reasoning"),
        ("{% for m in messages %}[{{ m.reasoning_content }}]{% endfor %}", [{"content": "a", "thinking": "b "}], "thinking"),
        ("{% for m in messages %}[{{ m.x }}]{% endfor %}", [{"content": "a", "x": "b"}], "x"),
        ("{% for m in messages %}[{{ m.x }}]{% endfor %}", [{"content": "a", "x": "b"}], "y"),
        ("{% for m in messages %}[{{ m.content }}][{{ m.content }}]{% endfor %}", [{"content": "a"}], True),
        ("{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}", [{"content": [{"text": "a"}, {"text": "b "}]}], True),
        ("{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}", [{"content": [{"text": "a"}, {"type": "image"}]}], True),
        ("{% for m in messages %}{% for p in m.content %}[{{ p.type }}]{% endfor %}{% endfor %}", [{"content": [{"type": "image"}]}], True),
    ],
)  # fmt: skip
def test_continued_message(source: str, conversation: list[Any], field: bool | str) -> None:
    theirs, ours = both(source, conversation, False, {"continue_final_message": field})
    assert ours[0] == ("text" if theirs[0] == "text" else "ArgumentError"), (theirs, ours)
    assert theirs[0] != "text" or ours == theirs


# Ids

IDS = [
    "chatml",
    "chatml-generation",
    "generation-tight",
    "generation-nested",
    "llama-3",
    "qwen-tools",
    "zephyr",
    "unicode",
    "harmony",
    "blocks",
]
TALKS = ("one", "turns", "system", "unicode", "calls", "many")


def tokenizer_names() -> list[str]:
    """Three fixtures of different kinds."""
    return [next(iter(fixtures.names(prefix))) for prefix in ("bpe", "unigram", "wordpiece")]


def pair_of(folder: Path) -> tuple[Any, Any]:
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder), russet.AutoTokenizer.from_pretrained(folder)


def compare_ids(theirs: Any, ours: Any, source: str, conversation: Any, **options: Any) -> None:
    expected = chat_cases.outcome(lambda: theirs.apply_chat_template(copy.copy(conversation), chat_template=source, **options))
    given = chat_cases.outcome(lambda: ours.apply_chat_template(conversation, chat_template=source, **options))
    if expected[0] != "text":
        assert given[0] != "text", (expected, given)
        return
    assert given[0] == "text", (expected, given)
    if not hasattr(expected[1], "keys"):
        assert given == expected
        return
    assert set(given[1]) - {"token_type_ids"} == set(expected[1]) - {"token_type_ids"}
    for key in expected[1]:
        a, b = given[1][key], expected[1][key]
        assert type(a) is type(b) and getattr(a, "dtype", None) == getattr(b, "dtype", None), key
        assert list(map(list, a)) == list(map(list, b)) if len(b) and hasattr(b[0], "__len__") else list(a) == list(b), key


CALLS: list[dict[str, Any]] = [
    {},
    {"add_generation_prompt": True, "return_dict": False},
    {"tokenize": False},
    {"truncation": True, "max_length": 12},
    {"return_tensors": "np"},
    {"padding": "max_length", "max_length": 64, "return_tensors": "np"},
    {"return_assistant_tokens_mask": True},
    {"return_assistant_tokens_mask": True, "return_tensors": "np"},
    {"return_assistant_tokens_mask": True, "truncation": True, "max_length": 20},
    {"continue_final_message": True},
    {"tokenizer_kwargs": {"return_offsets_mapping": True, "return_special_tokens_mask": True}},
    {"tools": chat_cases.TOOLS["functions"], "return_dict": False},
]
SANITIZED: list[dict[str, Any]] = [
    {"return_dict": False},
    {"add_generation_prompt": True, "tools": [chat_cases.SCHEMA, chat_cases.get_weather]},
    {"truncation": True, "max_length": 9, "return_tensors": "np"},
    {"padding": True},
    {"padding": "max_length", "max_length": 40, "tokenizer_kwargs": {"padding_side": "left"}},
    {"continue_final_message": True},
    {"system_note": "<s> note </s>", "eos_token": "</s>"},
    {"tokenize": False},
    {"return_assistant_tokens_mask": True},
]
CONTROLS = "<s>x</s> <|im_end|>[MASK]<mask>[SEP] <pad>\n<unk><|eot_id|><｜User｜>\U000f0000 a </s\U000f0001> <|im_start|>"
REFUSED: list[dict[str, Any]] = [
    {"continue_final_message": True, "add_generation_prompt": True},
    {"continue_final_message": True, "return_assistant_tokens_mask": True},
    {"return_assistant_tokens_mask": True, "tokenize": False},
    {"return_assistant_tokens_mask": True, "return_dict": False},
    {"tools": ["name"]},
    {"tools": [print]},
    {"documents": ["text"]},
]


@pytest.mark.parametrize("name", tokenizer_names())
def test_ids_of_fixtures(name: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(fixtures.content(name), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}', encoding="utf-8"
    )
    theirs, ours = pair_of(tmp_path)
    for template in IDS:
        for talk in TALKS:
            for options in CALLS:
                compare_ids(theirs, ours, chat_cases.source(template), CONVERSATIONS[talk], **options)


def test_ids_of_batches(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(fixtures.content(tokenizer_names()[0]), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}', encoding="utf-8"
    )
    theirs, ours = pair_of(tmp_path)
    batch = [CONVERSATIONS[name] for name in ("system", "turns", "one")]
    for side in ("right", "left"):
        theirs.padding_side = ours.padding_side = side
        for options in [*CALLS, {"padding": True, "return_tensors": "np", "return_assistant_tokens_mask": True}]:
            compare_ids(theirs, ours, chat_cases.source("generation-tight"), batch, **options)
            compare_ids(theirs, ours, chat_cases.source("chatml"), batch[:1], **options)
    for options in REFUSED:
        compare_ids(theirs, ours, chat_cases.source("chatml-generation"), CONVERSATIONS["turns"], **options)
    for wrong in ([], [[]], ["text"], [{"role": "user"}, 7]):
        compare_ids(theirs, ours, chat_cases.source("chatml"), wrong)


def test_ids_of_the_corpus(corpus: Path) -> None:
    folders = [
        path.parent
        for path in sorted(corpus.glob("tokenizers/*/tokenizer_config.json"))
        if "chat_template" in path.read_text(encoding="utf-8")
    ]
    assert len(folders) >= 5
    for folder in folders:
        theirs, ours = pair_of(folder)
        assert ours.chat_template == theirs.chat_template
        assert ours.get_chat_template() == theirs.get_chat_template()
        for talk in TALKS:
            for options in CALLS[:8]:
                compare_ids(theirs, ours, ours.chat_template, CONVERSATIONS[talk], **options)
                compare_ids(theirs, ours, None, CONVERSATIONS[talk], **options)  # type: ignore[arg-type]


def sanitized_conversations() -> list[Any]:
    """What a user may write to be taken for the template, in messages, parts and keys."""
    return [
        [{"role": "user", "content": CONTROLS}, {"role": "assistant", "content": " " + CONTROLS[::-1]}],
        [
            {"role": "user", "content": [{"type": "text", "text": CONTROLS}]},
            {"role": "assistant", "content": CONTROLS, "<s>": "</s>"},
        ],
        CONVERSATIONS["unicode"],
        CONVERSATIONS["system"],
    ]


@pytest.mark.parametrize("name", tokenizer_names())
@pytest.mark.parametrize("controls", [None, [], ["<|im_end|>", "x"]])
def test_control_tokens_of_users(name: str, controls: list[str] | None, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(fixtures.content(name), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}', encoding="utf-8"
    )
    theirs, ours = pair_of(tmp_path)
    for tokenizer in (theirs, ours):
        tokenizer.add_tokens(["<|im_end|>", "<|im_start|>", "\n\n"])
        tokenizer.chat_control_tokens = controls
    for template in ("chatml", "generation-tight", "tojson", "gemma-parts"):
        for conversation in sanitized_conversations():
            for options in SANITIZED:
                compare_ids(theirs, ours, chat_cases.source(template), conversation, sanitize_control_tokens=True, **options)
    batch = sanitized_conversations()[2:]
    for options in SANITIZED:
        compare_ids(theirs, ours, chat_cases.source("chatml"), batch, sanitize_control_tokens=True, **options)


def test_control_tokens_of_users_in_the_corpus(corpus: Path) -> None:
    for name in ("qwen2.5", "llama3", "phi-3-mini", "deepseek-v3"):
        theirs, ours = pair_of(corpus / "tokenizers" / name)
        for conversation in sanitized_conversations():
            compare_ids(theirs, ours, ours.chat_template, conversation, sanitize_control_tokens=True, add_generation_prompt=True)


def test_no_second_beginning(tmp_path: Path) -> None:
    """A template writes the beginning itself; the tokenizer's own does not come before it."""
    (tmp_path / "tokenizer.json").write_text(fixtures.content(tokenizer_names()[0]), encoding="utf-8")
    ours = russet.AutoTokenizer.from_pretrained(tmp_path, bos_token="<s>", eos_token="</s>")
    source = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    ids = ours.apply_chat_template(CONVERSATIONS["one"], chat_template=source, return_dict=False)
    assert ids == ours("<s>Hello", add_special_tokens=False)["input_ids"]


def test_named_templates(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(fixtures.content(tokenizer_names()[0]), encoding="utf-8")
    theirs, ours = pair_of(tmp_path)
    choices: list[Any] = [
        None,
        "a single one",
        {"default": "d", "tool_use": "t", "rag": "r"},
        {"default": "d"},
        {"rag": "r", "tool_use": "t"},
        {},
    ]
    for templates in choices:
        theirs.chat_template = ours.chat_template = templates
        for name in (None, "rag", "default", "{{ messages }}", ""):
            for tools in (None, [], [chat_cases.SCHEMA]):
                expected = chat_cases.outcome(lambda: theirs.get_chat_template(name, tools))  # noqa: B023
                given = chat_cases.outcome(lambda: ours.get_chat_template(name, tools))  # noqa: B023
                assert given == expected or (expected[0] == "ValueError" and given[0] == "ArgumentError"), (templates, name, tools)
