"""Names that come from elsewhere and become paths here: each is checked before the disk is touched."""

from __future__ import annotations

import re

from russet.errors import HubError

COMMIT = re.compile(r"[0-9a-f]{40}")
#: git's hash of a file (40 digits), or the SHA-256 of a file in LFS (64).
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPO_ID = re.compile(r"(?:[\w.-]{1,96}/)?[\w.-]{1,96}", re.ASCII)
#: What Windows takes for a device, whatever the case and the extension.
_RESERVED = {
    *("con", "prn", "aux", "nul", "conin$", "conout$"),
    *(f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"),
}
_GREATEST_PART_BYTES = 255
_GREATEST_PATH_BYTES = 2048


def is_repo_id(text: str) -> bool:
    """Whether a text has the form of a repository's id, such as ``owner/name``."""
    parts = text.split("/")
    return _REPO_ID.fullmatch(text) is not None and not any(
        part[0] in ".-" or part[-1] in ".-" or "--" in part or ".." in part or part.endswith(".git") for part in parts
    )


def refusal(path: object) -> str | None:
    """Why a path in a repository is not used as one here, or None if it is harmless on every system."""
    if not isinstance(path, str):
        return "it is no text"
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "it holds half a character"
    if size > _GREATEST_PATH_BYTES:
        return "it is too long"
    if "\\" in path or ":" in path:
        return "a backslash or a colon leads elsewhere on Windows"
    if any(letter < " " or letter == "\x7f" for letter in path):
        return "it holds a control character"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "it may lead out of the folder"
        if len(part.encode()) > _GREATEST_PART_BYTES:
            return "it is too long"
        if part[-1] in ". ":
            return "Windows drops the point or space at the end of a name"
        if part.split(".")[0].strip().lower() in _RESERVED:
            return "Windows takes it for a device"
    return None


def check_path(path: object, repo_id: str) -> str:
    """The path, if it is harmless.

    Raises:
        HubError: if it is not.
    """
    reason = refusal(path)
    if reason is not None or not isinstance(path, str):
        raise HubError(f"{repo_id}: a file named {_shown(path)} is refused: {reason}", repo_id=repo_id)
    return path


def check_hex(value: object, form: re.Pattern[str], what: str, repo_id: str) -> str:
    """A hash, if it is one.

    Raises:
        HubError: if it is something else.
    """
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise HubError(f"{repo_id}: the Hub told {_shown(value)} for {what}", repo_id=repo_id)
    return value


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
