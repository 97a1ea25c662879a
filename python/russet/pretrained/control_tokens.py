"""Keeps what users write from being read as a model's control tokens.

A user who writes ``<|im_end|>`` ends their message in a model's eyes, because the template's text and theirs are encoded as one.
Here, control tokens in what users wrote are put between two private characters before the template renders them; the text around is
then encoded as always, and what stands between the marks as text, token by token of the vocabulary alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from russet.chat_template import ChatTemplate
from russet.errors import ArgumentError

#: The last planes of Unicode are private: no text has these.
START, END = "\U000f0000", "\U000f0001"


def control_tokens(tokenizer: Any, template: ChatTemplate) -> list[str]:
    """Special tokens, and the added tokens that ``chat_control_tokens`` names, or else that the template's own text has."""
    named = getattr(tokenizer, "chat_control_tokens", None)
    text = template.literal_text if named is None else ""

    def controls(content: str) -> bool:
        return content in named if named is not None else content in text and not content.isspace()

    return [token.content for token in tokenizer.added_tokens_decoder.values() if token.special or controls(token.content)]


def marker(tokens: list[str]) -> Callable[[Any], Any]:
    """A function that marks `tokens` in the strings of messages, tools or documents. Keys of dicts stay as they are."""
    pattern = re.compile(_any_of(tokens))
    marks = str.maketrans("", "", START + END)

    def mark(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(f"{START}\\g<0>{END}", value.translate(marks))
        if isinstance(value, Mapping):
            return {key: mark(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [mark(item) for item in value]
        return value

    return mark


def encode_marked(tokenizer: Any, text: str) -> list[int]:
    """The ids of a rendered text with marks. A mark that lost its partner is left out, and still parts the text.

    Raises :class:`russet.ArgumentError` where the vocabulary makes the control token of its plain text.
    """
    marked = re.compile(f"{START}({_any_of(list(tokenizer.added_tokens_encoder))}){END}|[{START}{END}]")
    pieces = marked.split(text)
    ids = _encoded(tokenizer, pieces[0])
    line_break = _encoded(tokenizer, "\n")
    for index, piece in enumerate(pieces[1:], start=1):
        if not piece:
            continue
        as_text = index % 2 == 1
        encode = _without_added_tokens if as_text else _encoded
        # After a line break, so that SentencePiece puts no space before it.
        found = encode(tokenizer, "\n" + piece)
        found = found[len(line_break) :] if found[: len(line_break)] == line_break else encode(tokenizer, piece)
        if as_text and tokenizer.convert_tokens_to_ids(piece) in found:
            raise ArgumentError(
                f"sanitize_control_tokens: the text of {piece!r} becomes that very token", argument="sanitize_control_tokens"
            )
        ids += found
    return ids


def _any_of(tokens: list[str]) -> str:
    # The longest first; without tokens, what never matches.
    return "|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)"


def _encoded(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _without_added_tokens(tokenizer: Any, text: str) -> list[int]:
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    pieces = [text] if backend.pre_tokenizer is None else [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return [token.id for piece in pieces for token in backend.model.tokenize(piece)]
