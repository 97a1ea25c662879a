"""What a tokenizer does with messages: its chat template makes a text of them, and that text becomes ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from russet.errors import ArgumentError
from russet.pretrained.calls import limits_of
from russet.pretrained.control_tokens import control_tokens, encode_marked, marker

_log = logging.getLogger("russet")


class ChatMixin:
    """``apply_chat_template`` for a class that encodes texts when it is called."""

    #: The template, several by name, or None.
    chat_template: str | dict[str, str] | None = None

    def get_chat_template(self, chat_template: str | None = None, tools: Sequence[Any] | None = None) -> str:
        """The source of the template that :meth:`apply_chat_template` takes.

        `chat_template` is a name among the tokenizer's templates or a template itself. Without one it is ``tool_use`` where there
        are tools and such a template, else ``default``, or the only one. Raises :class:`russet.ArgumentError` where there is none.
        """
        templates = self.chat_template
        if isinstance(templates, dict):
            if chat_template is not None:
                return templates.get(chat_template, chat_template)
            for name in ("tool_use", "default") if tools is not None else ("default",):
                if name in templates:
                    return templates[name]
            raise ArgumentError(
                f"the tokenizer has chat templates of the names {sorted(templates)} and none that is called 'default'; name one"
                " with chat_template=",
                argument="chat_template",
            )
        if chat_template is not None:
            return chat_template
        if templates is None:
            raise ArgumentError(
                "the tokenizer has no chat template; pass one with chat_template=, or set the attribute chat_template",
                argument="chat_template",
            )
        return templates

    def apply_chat_template(
        self,
        conversation: Any,
        tools: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        documents: Sequence[dict[str, Any]] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        tokenize: bool = True,
        sanitize_control_tokens: bool = False,
        padding: Any = False,
        truncation: Any = False,
        max_length: int | None = None,
        return_tensors: Any = None,
        return_dict: bool = True,
        return_assistant_tokens_mask: bool = False,
        tokenizer_kwargs: dict[str, Any] | None = None,
        **variables: Any,
    ) -> Any:
        """The prompt that a model's chat template makes of messages, as ids or as text.

        Args:
            conversation: messages, ``{"role": ..., "content": ...}``, or a list of conversations.
            tools: JSON schemas, or functions with type hints and a docstring.
            documents: dicts with ``title`` and ``text``.
            chat_template: a template, or the name of one of the tokenizer's.
            add_generation_prompt: whether to open an assistant's message at the end.
            continue_final_message: leaves the last message open, so that the model goes on with it: its content, or the field
                that is named.
            tokenize: whether to give ids.
            sanitize_control_tokens: reads control tokens in messages, tools, documents and variables as ordinary text.
            padding, truncation, max_length, return_tensors: as in a call of the tokenizer. No special tokens are added: the
                template wrote them.
            return_dict: whether to give a :class:`BatchEncoding` or the ids alone.
            return_assistant_tokens_mask: adds ``assistant_masks``: 1 for the tokens inside ``{% generation %}``.
            tokenizer_kwargs: more options of that call.
            variables: what else the template reads; they win over the special tokens of the same names.

        Raises:
            TemplateError: where the template fails or refuses the messages.
            TemplateLimitError: where it takes too many steps or writes too much.
            ArgumentError: for options that make no sense together.
        """
        from russet.chat_template import ChatTemplate  # which tokenizers of mere texts do without
        from russet.chat_template.messages import tool_schemas

        return_dict = return_dict and tokenize
        if return_assistant_tokens_mask and not return_dict:
            raise _refused("return_assistant_tokens_mask", "it is part of what tokenize=True and return_dict=True give")
        if continue_final_message and add_generation_prompt:
            raise _refused("continue_final_message", "the last message cannot go on when add_generation_prompt begins another")
        if continue_final_message and return_assistant_tokens_mask:
            raise _refused("continue_final_message", "it does not go with return_assistant_tokens_mask")
        if sanitize_control_tokens and (return_assistant_tokens_mask or not tokenize):
            raise _refused("sanitize_control_tokens", "it is for ids, and does not go with return_assistant_tokens_mask")
        template = ChatTemplate(self.get_chat_template(chat_template, tools))
        if return_assistant_tokens_mask and not template.marks_assistants:
            _log.warning("the chat template has no {% generation %}, so that assistant_masks are all 0")
        conversations, batched = _conversations(conversation)
        tokenizer: Any = self
        if sanitize_control_tokens:
            mark = marker(control_tokens(tokenizer, template))
            conversations, tools, documents, variables = mark(conversations), mark(tools), mark(documents), mark(variables)
        schemas = tool_schemas(tools)
        values = {**tokenizer.special_tokens_map, **variables}
        rendered = [
            template.render(
                chat, schemas, documents, add_generation_prompt, continue_final_message, return_assistant_tokens_mask, **values
            )
            for chat in conversations
        ]
        texts = [one.text for one in rendered]
        text = texts if batched else texts[0]
        if not tokenize:
            return text
        options = {
            "padding": padding,
            "truncation": truncation,
            "max_length": max_length,
            "return_tensors": return_tensors,
            **(tokenizer_kwargs or {}),
        }
        if sanitize_control_tokens:
            encoded = _encoded_marked(tokenizer, texts, batched, **options)
        else:
            encoded = tokenizer(text, add_special_tokens=False, **options)
        if not return_dict:
            return encoded["input_ids"]
        if return_assistant_tokens_mask:
            rows = encoded["input_ids"] if batched or return_tensors else [encoded["input_ids"]]
            masks = [_mask(encoded, row, len(ids), rendered[row].assistant_spans or []) for row, ids in enumerate(rows)]
            encoded["assistant_masks"] = masks if batched or return_tensors else masks[0]
            if return_tensors:
                encoded.convert_to_tensors(return_tensors)
        return encoded


def _encoded_marked(
    tokenizer: Any,
    texts: list[str],
    batched: bool,
    padding: Any,
    truncation: Any,
    max_length: int | None,
    return_tensors: Any,
    pad_to_multiple_of: int | None = None,
    padding_side: str | None = None,
    return_attention_mask: bool | None = None,
) -> Any:
    """What a call of the tokenizer gives, for texts with marks."""
    limits = limits_of(padding, truncation, max_length, pad_to_multiple_of, tokenizer.model_max_length, True)
    rows = [encode_marked(tokenizer, text) for text in texts]
    length = limits.max_length
    if limits.truncation != "do_not_truncate" and length is not None:
        rows = [row[:length] if tokenizer.truncation_side == "right" else row[-length:] for row in rows]
    return tokenizer.pad(
        {"input_ids": rows if batched or return_tensors else rows[0]},
        padding=limits.padding,
        max_length=length,
        pad_to_multiple_of=pad_to_multiple_of,
        padding_side=padding_side,
        return_attention_mask=return_attention_mask,
        return_tensors=return_tensors,
    )


def _refused(argument: str, reason: str) -> ArgumentError:
    return ArgumentError(f"{argument}: {reason}", argument=argument)


def _conversations(conversation: Any) -> tuple[list[Any], bool]:
    """The conversations, and whether there were several. Keys without a value are left out, as templates expect."""
    if isinstance(conversation, (list, tuple)):
        if not conversation:
            raise _refused("conversation", "it has no messages")
        batched = isinstance(conversation[0], (list, tuple)) or hasattr(conversation[0], "messages")
    else:
        batched = False
    chats = conversation if batched else [conversation]
    return [[_with_values(message) for message in getattr(chat, "messages", chat)] for chat in chats], batched


def _with_values(message: Any) -> Any:
    if isinstance(message, Mapping):
        return {key: value for key, value in message.items() if value is not None}
    return message


def _mask(encoded: Any, row: int, length: int, spans: Sequence[tuple[int, int]]) -> list[int]:
    """1 for each token in one of the spans of characters."""
    mask = [0] * length
    for start, end in spans:
        first = encoded.char_to_token(row, start)
        if first is None:
            break  # cut off
        last = encoded.char_to_token(row, end - 1)
        stop = last + 1 if last else length
        mask[first:stop] = [1] * (stop - first)
    return mask
