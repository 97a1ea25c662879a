"""Russet: exact and fast tokenizers.

    >>> from russet import Tokenizer
    >>> tokenizer = Tokenizer.from_file("tokenizer.json")       # doctest: +SKIP
    >>> tokenizer.encode("Hello world").ids                     # doctest: +SKIP

``russet.tokenizers`` has the interface of the package ``tokenizers``.
"""

from __future__ import annotations

from russet._core import (
    AddedToken,
    Choice,
    Conversation,
    DecodeStream,
    Encoding,
    LogitsProcessors,
    Padding,
    Sampler,
    Tokenizer,
    Truncation,
    __version__,
    accept_draft,
)
from russet.errors import (
    ArgumentError,
    ConfigError,
    ContextLengthError,
    FileError,
    FolderError,
    ForbiddenFileError,
    InternalError,
    InvalidLogitsError,
    LimitError,
    MissingFileError,
    MissingTokenError,
    MissingTokenizerError,
    PackageError,
    PatternError,
    PatternLimitError,
    RussetError,
    StreamError,
    TextError,
    UnknownIdError,
    UnsupportedModelError,
    UnsupportedOperationError,
)

__all__ = [
    "AddedToken",
    "ArgumentError",
    "Choice",
    "ConfigError",
    "ContextLengthError",
    "Conversation",
    "DecodeStream",
    "Encoding",
    "FileError",
    "FolderError",
    "ForbiddenFileError",
    "InternalError",
    "InvalidLogitsError",
    "LimitError",
    "LogitsProcessors",
    "MissingFileError",
    "MissingTokenError",
    "MissingTokenizerError",
    "PackageError",
    "Padding",
    "PatternError",
    "PatternLimitError",
    "RussetError",
    "Sampler",
    "StreamError",
    "TextError",
    "Tokenizer",
    "Truncation",
    "UnknownIdError",
    "UnsupportedModelError",
    "UnsupportedOperationError",
    "__version__",
    "accept_draft",
]
