"""Russet: exact and fast tokenizers, and language models in Core ML packages that run anywhere.

    >>> from russet import LanguageModel, Tokenizer
    >>> tokenizer = Tokenizer.from_file("tokenizer.json")               # doctest: +SKIP
    >>> tokenizer.encode("Hello world").ids                             # doctest: +SKIP
    >>> lm = LanguageModel.from_pretrained("folder with a package")     # doctest: +SKIP
    >>> print(lm.generate("Hello", max_new_tokens=16))                  # doctest: +SKIP

``russet.tokenizers`` has the interface of the package ``tokenizers``. ``russet.coreml``, ``russet.generation`` and
``russet.hub`` are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    CheckpointError,
    ConfigError,
    ContextLengthError,
    DamagedFileError,
    DiskFullError,
    FileError,
    FolderError,
    ForbiddenFileError,
    GatedRepositoryError,
    HubError,
    InternalError,
    InvalidLogitsError,
    LimitError,
    MissingFileError,
    MissingTokenError,
    MissingTokenizerError,
    OfflineError,
    PackageError,
    ParityError,
    PatternError,
    PatternLimitError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RussetError,
    StreamError,
    TemplateError,
    TemplateLimitError,
    TextError,
    UnknownIdError,
    UnsupportedModelError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from russet import coreml as coreml
    from russet import generation as generation
    from russet import hub as hub
    from russet.conversion import convert
    from russet.coreml.encoder_model import EncoderModel
    from russet.coreml.language_model import LanguageModel
    from russet.generation import Generation, GenerationConfig, GenerationPiece, PromptCache, TextIteratorStreamer, TextStreamer
    from russet.pretrained import AutoTokenizer, BatchEncoding, PreTrainedTokenizer

#: Where the names are that are imported when they are first used.
_LATER = {
    "AutoTokenizer": "russet.pretrained",
    "BatchEncoding": "russet.pretrained",
    "EncoderModel": "russet.coreml.encoder_model",
    "Generation": "russet.generation",
    "GenerationConfig": "russet.generation",
    "GenerationPiece": "russet.generation",
    "LanguageModel": "russet.coreml.language_model",
    "PreTrainedTokenizer": "russet.pretrained",
    "PromptCache": "russet.generation",
    "TextIteratorStreamer": "russet.generation",
    "TextStreamer": "russet.generation",
    "convert": "russet.conversion",
}


def __getattr__(name: str) -> Any:
    if name in ("coreml", "generation", "hub"):
        return importlib.import_module(f"russet.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'russet' has no attribute {name!r}")
    found = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "coreml", "generation", "hub"})


__all__ = [
    "AddedToken",
    "ArgumentError",
    "AutoTokenizer",
    "BatchEncoding",
    "CheckpointError",
    "Choice",
    "ConfigError",
    "ContextLengthError",
    "Conversation",
    "DamagedFileError",
    "DecodeStream",
    "DiskFullError",
    "EncoderModel",
    "Encoding",
    "FileError",
    "FolderError",
    "ForbiddenFileError",
    "GatedRepositoryError",
    "Generation",
    "GenerationConfig",
    "GenerationPiece",
    "HubError",
    "InternalError",
    "InvalidLogitsError",
    "LanguageModel",
    "LimitError",
    "LogitsProcessors",
    "MissingFileError",
    "MissingTokenError",
    "MissingTokenizerError",
    "OfflineError",
    "PackageError",
    "Padding",
    "ParityError",
    "PatternError",
    "PatternLimitError",
    "PreTrainedTokenizer",
    "PromptCache",
    "RepositoryNotFoundError",
    "RevisionNotFoundError",
    "RussetError",
    "Sampler",
    "StreamError",
    "TemplateError",
    "TemplateLimitError",
    "TextError",
    "TextIteratorStreamer",
    "TextStreamer",
    "Tokenizer",
    "Truncation",
    "UnknownIdError",
    "UnsupportedModelError",
    "UnsupportedOperationError",
    "__version__",
    "accept_draft",
    "convert",
]
