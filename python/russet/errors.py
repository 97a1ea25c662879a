"""Everything that Russet raises on purpose.

Each class derives from :class:`RussetError` and from the built-in class that fits, so both ``except RussetError`` and
``except ValueError`` work. What the message says is also there as attributes.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "CheckpointError",
    "ConfigError",
    "ContextLengthError",
    "DamagedFileError",
    "DiskFullError",
    "FileError",
    "FolderError",
    "ForbiddenFileError",
    "GatedRepositoryError",
    "HubError",
    "InternalError",
    "InvalidLogitsError",
    "LimitError",
    "MissingFileError",
    "MissingTokenError",
    "MissingTokenizerError",
    "OfflineError",
    "PackageError",
    "ParityError",
    "PatternError",
    "PatternLimitError",
    "RepositoryNotFoundError",
    "RevisionNotFoundError",
    "RussetError",
    "StreamError",
    "TemplateError",
    "TemplateLimitError",
    "TextError",
    "UnknownIdError",
    "UnsupportedModelError",
    "UnsupportedOperationError",
]


class RussetError(Exception):
    """The base of all errors of Russet."""

    __module__ = "russet"


class ConfigError(RussetError, ValueError):
    """A tokenizer file, or a part of one, that cannot be used."""

    __module__ = "russet"
    #: Where in the file, such as ``model.merges[17]``.
    place: str

    def __init__(self, message: str = "", *, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class PatternError(RussetError, ValueError):
    """A regular expression that is not valid or not supported."""

    __module__ = "russet"
    pattern: str = ""
    #: The part of the pattern that is refused.
    construct: str = ""


class LimitError(RussetError, ValueError):
    """A size above its limit. Nothing of that size was allocated."""

    __module__ = "russet"
    value: int
    limit: int

    def __init__(self, message: str = "", *, value: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.value, self.limit = value, limit


class PatternLimitError(LimitError):
    """A regular expression that took more steps than allowed on a text."""

    __module__ = "russet"
    pattern: str = ""


class ArgumentError(RussetError, ValueError):
    """An argument that makes no sense for this tokenizer."""

    __module__ = "russet"
    #: The argument's name.
    argument: str

    def __init__(self, message: str = "", *, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument


class UnknownIdError(RussetError, ValueError):
    """An id that no token has. ``on_unknown="skip"`` leaves such ids out."""

    __module__ = "russet"
    id: int = -1
    #: Its index in the given ids.
    position: int = -1


class MissingTokenError(RussetError, ValueError):
    """A text needs the unknown token, and the model has none."""

    __module__ = "russet"


class InvalidLogitsError(RussetError, ValueError):
    """Logits from which no token can be chosen: NaN or infinity among them, or nothing left."""

    __module__ = "russet"
    #: The row of the batch.
    row: int = -1
    #: The first id whose logit is invalid.
    index: int = -1
    #: What it is: "NaN", "infinity" or "no token is left".
    kind: str = ""


class PackageError(ConfigError):
    """A Core ML package that is damaged, or that says something impossible."""

    __module__ = "russet"


class CheckpointError(ConfigError):
    """A checkpoint that is damaged, or that does not fit its configuration."""

    __module__ = "russet"


class ParityError(RussetError, ValueError):
    """A converted package gives other logits than its checkpoint. It was not kept."""

    __module__ = "russet"
    #: The first part of the model that differs, such as ``layers.3.attention``.
    layer: str
    #: How far it is off, as a share of the row's largest magnitude, and what is allowed.
    difference: float
    limit: float

    def __init__(self, message: str = "", *, layer: str = "", difference: float = 0.0, limit: float = 0.0) -> None:
        super().__init__(message)
        self.layer, self.difference, self.limit = layer, difference, limit


class UnsupportedModelError(RussetError, NotImplementedError):
    """A model of a kind that Russet does not run."""

    __module__ = "russet"


class UnsupportedOperationError(UnsupportedModelError):
    """A program with an operation that the portable runtime does not have."""

    __module__ = "russet"
    #: The operation's type, such as ``crop_resize``.
    operation: str

    def __init__(self, message: str = "", *, operation: str = "") -> None:
        super().__init__(message)
        self.operation = operation


class ContextLengthError(LimitError):
    """More tokens than the model's context holds."""

    __module__ = "russet"


class MissingTokenizerError(RussetError, ValueError):
    """Text was given to a model that has no tokenizer. Pass ``tokenizer=`` when it is loaded."""

    __module__ = "russet"


class StreamError(RussetError, ValueError):
    """Ids changed text that a stream had given already."""

    __module__ = "russet"


class TextError(RussetError, UnicodeEncodeError):
    """A text with a lone surrogate, which is no character. ``errors="replace"`` makes it U+FFFD.

    ``object``, ``start`` and ``end`` say where, as in every :class:`UnicodeEncodeError`.
    """

    __module__ = "russet"


class FileError(RussetError, OSError):
    """A file that cannot be read or written."""

    __module__ = "russet"


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""

    __module__ = "russet"


class ForbiddenFileError(FileError, PermissionError):
    """A file that this user may not read or write."""

    __module__ = "russet"


class FolderError(FileError, IsADirectoryError):
    """A folder where a file is needed."""

    __module__ = "russet"


class HubError(RussetError, OSError):
    """The Hub could not give what was asked for, for a reason that no other class names: no connection, a server that fails."""

    __module__ = "russet"
    #: The repository, such as ``owner/name``.
    repo_id: str

    def __init__(self, message: str = "", *, repo_id: str = "") -> None:
        super().__init__(message)
        self.repo_id = repo_id


class RepositoryNotFoundError(HubError, FileNotFoundError):
    """The Hub has no such repository, or does not show it to this user."""

    __module__ = "russet"


class GatedRepositoryError(HubError, PermissionError):
    """A repository whose conditions this user has not accepted."""

    __module__ = "russet"


class RevisionNotFoundError(HubError, FileNotFoundError):
    """A repository without such a branch, tag or commit."""

    __module__ = "russet"


class OfflineError(HubError, FileNotFoundError):
    """Files that the cache does not have whole, and that may not or cannot be fetched now."""

    __module__ = "russet"


class DamagedFileError(HubError):
    """A file whose content is not what the Hub says it is. It was not kept."""

    __module__ = "russet"
    #: Its path in the repository.
    path: str
    #: The hash that the Hub names, and that of what came.
    expected: str
    actual: str

    def __init__(self, message: str = "", *, repo_id: str = "", path: str = "", expected: str = "", actual: str = "") -> None:
        super().__init__(message, repo_id=repo_id)
        self.path, self.expected, self.actual = path, expected, actual


class DiskFullError(FileError):
    """No room is left where a file was to be written."""

    __module__ = "russet"


class TemplateError(RussetError, ValueError):
    """A chat template that cannot be read, or that refuses the messages it is given."""

    __module__ = "russet"
    #: The line of the template, from 1; 0 where none is known.
    line: int

    def __init__(self, message: str = "", *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class TemplateLimitError(TemplateError, LimitError):
    """A chat template that takes more steps, or writes more text, than is allowed."""

    __module__ = "russet"

    def __init__(self, message: str = "", *, line: int = 0, value: int = 0, limit: int = 0) -> None:
        TemplateError.__init__(self, message, line=line)
        self.value, self.limit = value, limit


class InternalError(RussetError, RuntimeError):
    """A state that Russet holds to be impossible. Please report it."""

    __module__ = "russet"
