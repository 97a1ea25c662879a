"""The interface of the package ``tokenizers`` (0.23.3) over Russet.

``from russet.tokenizers import Tokenizer`` in place of ``from tokenizers import Tokenizer`` gives the same ids, tokens, offsets
and texts. Not here yet: training, and making components (``normalizers.NFC()`` and the like) in Python. Those names exist and
raise :class:`NotImplementedError`. Components made with the package ``tokenizers`` can be assigned to a tokenizer.

Other than there, any number of threads may use and change one tokenizer: a call sees the settings of one moment.
"""

from __future__ import annotations

from enum import Enum

Offsets = tuple[int, int]
"""First position, and one past the last."""

TextInputSequence = str
"""A text."""

PreTokenizedInputSequence = list[str] | tuple[str, ...]
"""A text as a list or tuple of words."""

TextEncodeInput = TextInputSequence | tuple[TextInputSequence, TextInputSequence] | list[TextInputSequence]
"""A text, or a pair of them."""

PreTokenizedEncodeInput = (
    PreTokenizedInputSequence | tuple[PreTokenizedInputSequence, PreTokenizedInputSequence] | list[PreTokenizedInputSequence]
)
"""Words, or a pair of lists of words."""

InputSequence = TextInputSequence | PreTokenizedInputSequence
"""A text, or words with ``is_pretokenized=True``."""

EncodeInput = TextEncodeInput | PreTokenizedEncodeInput
"""What can be encoded."""


class OffsetReferential(Enum):
    """Which text offsets refer to."""

    ORIGINAL = "original"
    NORMALIZED = "normalized"


class OffsetType(Enum):
    """What offsets count."""

    BYTE = "byte"
    CHAR = "char"


class SplitDelimiterBehavior(Enum):
    """What becomes of a delimiter."""

    REMOVED = "removed"
    ISOLATED = "isolated"
    MERGED_WITH_PREVIOUS = "merged_with_previous"
    MERGED_WITH_NEXT = "merged_with_next"
    CONTIGUOUS = "contiguous"


from russet.tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402
from russet.tokenizers._added_token import AddedToken  # noqa: E402
from russet.tokenizers._encoding import Encoding  # noqa: E402
from russet.tokenizers._strings import NormalizedString, PreTokenizedString, Regex, Token  # noqa: E402
from russet.tokenizers._tokenizer import Tokenizer  # noqa: E402
from russet.tokenizers.implementations import (  # noqa: E402
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    CharBPETokenizer,
    SentencePieceBPETokenizer,
    SentencePieceUnigramTokenizer,
)

#: The version of ``tokenizers`` whose interface and behaviour this is.
__version__ = "0.23.3"

__all__ = [
    "AddedToken",
    "BertWordPieceTokenizer",
    "ByteLevelBPETokenizer",
    "CharBPETokenizer",
    "EncodeInput",
    "Encoding",
    "InputSequence",
    "NormalizedString",
    "OffsetReferential",
    "OffsetType",
    "Offsets",
    "PreTokenizedEncodeInput",
    "PreTokenizedInputSequence",
    "PreTokenizedString",
    "Regex",
    "SentencePieceBPETokenizer",
    "SentencePieceUnigramTokenizer",
    "SplitDelimiterBehavior",
    "TextEncodeInput",
    "TextInputSequence",
    "Token",
    "Tokenizer",
    "decoders",
    "models",
    "normalizers",
    "pre_tokenizers",
    "processors",
    "trainers",
]
