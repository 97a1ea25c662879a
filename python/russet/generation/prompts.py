"""What generation begins with: the ids of a text, of a conversation, or ids themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.errors import ArgumentError, MissingTokenizerError
from russet.generation.text import AnyTokenizer

__all__ = ["Messages", "Prompt", "Reader", "argument_error"]

#: A conversation: messages with a ``role`` and a ``content``.
Messages = Sequence[Mapping[str, Any]]
#: A text, the ids of one, or a conversation.
Prompt = str | Sequence[int] | NDArray[np.integer[Any]] | Messages


@dataclass(frozen=True)
class Reader:
    """Makes ids of prompts."""

    tokenizer: AnyTokenizer | None
    vocab_size: int
    #: Of texts; a chat template writes those of a conversation itself.
    add_special_tokens: bool
    #: What a chat template is given besides messages: ``tools``, ``documents``, variables of its own.
    template: Mapping[str, Any]
    #: Why there is no tokenizer, if that is known.
    missing_tokenizer: str | None = None

    def ids(self, prompt: Prompt, name: str) -> list[int]:
        """The ids of a prompt, the argument ``name``.

        Raises:
            MissingTokenizerError: if it is a text or a conversation, and there is no tokenizer, or one without a chat template.
            TemplateError: if the template refuses the conversation.
            ArgumentError: if it is no prompt; if an id is not among the model's.
        """
        is_conversation = isinstance(prompt, Sequence) and len(prompt) > 0 and isinstance(prompt[0], Mapping)
        # A negative prompt may be a text beside a conversation.
        if self.template and not is_conversation and name == "prompt":
            raise argument_error(next(iter(self.template)), f"is for conversations, and {name} is none")
        if isinstance(prompt, str):
            encoded = self._tokenizer(name, "a text").encode(prompt, add_special_tokens=self.add_special_tokens)
            return list(getattr(encoded, "ids", encoded))
        if is_conversation:
            return self._of_messages(prompt, name)  # type: ignore[arg-type]
        array = np.asarray(prompt)
        if array.ndim == 2 and len(array) == 1:
            array = array[0]
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise argument_error(name, f"is no text, no conversation and no sequence of ids: {array.dtype} of shape {array.shape}")
        ids: list[int] = array.tolist()
        for index, each in enumerate(ids):
            if not 0 <= each < self.vocab_size:
                raise argument_error(name, f"id {each} at {index} is not among {self.vocab_size}")
        return ids

    def _of_messages(self, messages: Messages, name: str) -> list[int]:
        tokenizer: Any = self._tokenizer(name, "a conversation")
        if not hasattr(tokenizer, "apply_chat_template"):
            raise MissingTokenizerError(
                f"{name} is a conversation, and the tokenizer has no chat templates: pass what russet.AutoTokenizer gives"
            )
        # An answer that was begun is gone on with.
        is_begun = messages[-1].get("role") == "assistant"
        ids: list[int] = tokenizer.apply_chat_template(
            messages, add_generation_prompt=not is_begun, continue_final_message=is_begun, return_dict=False, **self.template
        )
        return ids

    def _tokenizer(self, name: str, what: str) -> AnyTokenizer:
        if self.tokenizer is None:
            reason = f" ({self.missing_tokenizer})" if self.missing_tokenizer else ""
            way_out = "pass ids, or tokenizer= here or when the model is loaded"
            raise MissingTokenizerError(f"{name} is {what}, and there is no tokenizer{reason}: {way_out}")
        return self.tokenizer


def argument_error(name: str, message: str) -> ArgumentError:
    """Of the argument ``name``."""
    return ArgumentError(f"{name}: {message}", argument=name)
