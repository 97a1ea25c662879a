"""Russet: exact and fast tokenizers.

    >>> from russet import Tokenizer
    >>> tokenizer = Tokenizer.from_file("tokenizer.json")       # doctest: +SKIP
    >>> tokenizer.encode("Hello world").ids                     # doctest: +SKIP

``russet.tokenizers`` has the interface of the package ``tokenizers``.
"""

from __future__ import annotations

from russet._core import AddedToken, Conversation, DecodeStream, Encoding, Padding, Tokenizer, Truncation, __version__
from russet.errors import (
    ArgumentError,
    ConfigError,
    FileError,
    FolderError,
    ForbiddenFileError,
    InternalError,
    LimitError,
    MissingFileError,
    MissingTokenError,
    PatternError,
    PatternLimitError,
    RussetError,
    StreamError,
    TextError,
    UnknownIdError,
)

__all__ = [
    "AddedToken",
    "ArgumentError",
    "ConfigError",
    "Conversation",
    "DecodeStream",
    "Encoding",
    "FileError",
    "FolderError",
    "ForbiddenFileError",
    "InternalError",
    "LimitError",
    "MissingFileError",
    "MissingTokenError",
    "Padding",
    "PatternError",
    "PatternLimitError",
    "RussetError",
    "StreamError",
    "TextError",
    "Tokenizer",
    "Truncation",
    "UnknownIdError",
    "__version__",
]
