"""Whether the chat templates of a folder can be read, and what they make of a few conversations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from russet.doctor.files import named_tokens
from russet.doctor.references import Reference
from russet.doctor.report import Report, listed
from russet.errors import RussetError, TemplateError
from russet.tokenizers import Tokenizer

_SYSTEM = {"role": "system", "content": "You run a mill."}
_USER = {"role": "user", "content": 'How much dust is there? "Größe" 磨坊 {{ x }}\n\n'}
_ASSISTANT = {"role": "assistant", "content": "About 8.9 %."}
#: By name; the first must render.
CONVERSATIONS: dict[str, list[dict[str, str]]] = {
    "a question": [_USER],
    "a question and its answer": [_USER, _ASSISTANT],
    "three messages": [_USER, _ASSISTANT, _USER],
    "a system message first": [_SYSTEM, _USER],
}
_SOURCES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
_LOOKS_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>")


def check(
    folder: Path, files: dict[str, dict[str, Any]], tokenizer: Tokenizer | None, references: list[Reference], report: Report
) -> list[str]:
    """Renders each template, and gives the texts that came of it."""
    if "chat_template" not in files.get("tokenizer_config.json", {}) and not any((folder / name).exists() for name in _SOURCES):
        return []
    from russet.chat_template import ChatTemplate, load_chat_templates

    try:
        found = load_chat_templates(folder, files.get("tokenizer_config.json", {}))
    except (RussetError, ValueError, OSError) as error:
        report.found("chat template", "the folder", f"cannot be read: {_one_line(error)}")
        return []
    if found is None:
        return []
    special = dict(named_tokens({**files.get("special_tokens_map.json", {}), **files.get("tokenizer_config.json", {})}))
    texts = []
    for name, source in ({"default": found} if isinstance(found, str) else found).items():
        try:
            template = ChatTemplate(source)
        except TemplateError as error:
            report.found("chat template", name, f"cannot be compiled: {_one_line(error)}")
            continue
        rendered = _rendered(name, template, special, report)
        if tokenizer is not None:
            _check_markers(name, rendered, tokenizer, report)
        for reference in references:
            _compare(name, source, rendered, reference, report)
        texts += [text for text in rendered.values() if text is not None]
    return texts


def _rendered(name: str, template: Any, special: dict[str, str], report: Report) -> dict[str, str | None]:
    rendered: dict[str, str | None] = {}
    for title, messages in CONVERSATIONS.items():
        try:
            rendered[title] = template.render(messages, add_generation_prompt=messages[-1] is _USER, **special).text
        except TemplateError as error:
            rendered[title] = None
            if len(rendered) == 1:
                report.found("chat template", name, f"does not render {title}: {_one_line(error)}")
            else:
                report.notes.append(f"chat template {name} does not render {title}: {_one_line(error)}")
    first = rendered["a question"]
    if first is not None and "How much dust is there?" not in first:
        report.found("chat template", name, "leaves out what the user says")
    return rendered


def _check_markers(name: str, rendered: dict[str, str | None], tokenizer: Tokenizer, report: Report) -> None:
    written = sorted({marker for text in rendered.values() if text is not None for marker in _LOOKS_SPECIAL.findall(text)})
    split = [marker for marker in written if len(tokenizer.encode(marker, add_special_tokens=False).ids) != 1]
    if split:
        report.notes.append(f"chat template {name} writes what looks like special tokens, but is split: {listed(split)}")


def _compare(name: str, source: str, rendered: dict[str, str | None], reference: Reference, report: Report) -> None:
    """The reference renders the same, or refuses the same."""
    if reference.render is None:
        return
    for title, messages in CONVERSATIONS.items():
        try:
            expected = reference.render(messages, chat_template=source, add_generation_prompt=messages[-1] is _USER, tokenize=False)
        except Exception:
            expected = None
        got = rendered[title]
        if expected != got:
            index = next((n for n, (a, b) in enumerate(zip(expected or "", got or "", strict=False)) if a != b), None)
            where = (
                ""
                if index is None
                else f", first at character {index}: {expected[index:][:20]!r} there, {(got or '')[index:][:20]!r} here"
            )
            report.found("chat template", f"{name}, {reference.name}", f"{title} is rendered otherwise{where}")
            return


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error))[:200]
