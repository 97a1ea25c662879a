"""Post-processors: the special tokens around a sequence or a pair."""

from __future__ import annotations

from typing import Any, NoReturn

from russet.tokenizers import _component
from russet.tokenizers._component import Component, field
from russet.tokenizers._encoding import Encoding
from russet.tokenizers._strings import missing

__all__ = ["BertProcessing", "ByteLevel", "PostProcessor", "RobertaProcessing", "Sequence", "TemplateProcessing"]


class PostProcessor(Component):
    """The base of all post-processors."""

    _part = "post_processor"
    _family = "PostProcessor"

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """How many tokens it adds."""
        return self._core.num_special_tokens_to_add(is_pair)

    def process(self, encoding: Encoding, pair: Encoding | None = None, add_special_tokens: bool = True) -> Encoding:
        """One encoding of a sequence or a pair, with the special tokens."""
        second = None if pair is None else pair._core
        return Encoding._over(self._core._post_process(encoding._core, second, add_special_tokens, None, None))


class BertProcessing(PostProcessor):
    """As BERT: [CLS] A [SEP] B [SEP]."""

    sep = field("sep", "The token after each sequence, and its id.", tuple, list)
    cls = field("cls", "The token before the first sequence, and its id.", tuple, list)


class ByteLevel(PostProcessor):
    """Offsets without the white space at the ends of tokens."""

    add_prefix_space = field("add_prefix_space", "Whether the first space was put in front.")
    trim_offsets = field("trim_offsets", "Whether offsets leave out white space.")
    use_regex = field("use_regex", "Without meaning here.")


class RobertaProcessing(PostProcessor):
    """As RoBERTa: <s> A </s> </s> B </s>."""

    sep = field("sep", "The token after each sequence, and its id.", tuple, list)
    cls = field("cls", "The token before the first sequence, and its id.", tuple, list)
    trim_offsets = field("trim_offsets", "Whether offsets leave out white space.")
    add_prefix_space = field("add_prefix_space", "Whether the first space was put in front.")


class Sequence(PostProcessor, _component.Sequence):
    """Several in a row."""

    _list = "processors"

    def __getitem__(self, index: int) -> Component:
        return self._item(index)

    def __setitem__(self, index: int, component: Any) -> None:
        self._set_item(index, component)


def _template(pieces: list[dict[str, Any]]) -> str:
    shown = []
    for piece in pieces:
        ((kind, fields),) = piece.items()
        name = fields["id"] if kind == "Sequence" else f'"{fields["id"]}"'
        shown.append(f"{kind} {{ id: {name}, type_id: {fields['type_id']} }}")
    return f"Template([{', '.join(shown)}])"


def _no_template(_: Any) -> NoReturn:
    missing("setting the template of a TemplateProcessing", "assign a whole component to the tokenizer")


class TemplateProcessing(PostProcessor):
    """By a template."""

    single = field("single", "The template of one sequence, as text.", _template, _no_template)


PostProcessor._classes = {kind.__name__: kind for kind in PostProcessor.__subclasses__()}
