"""Options that make a conversation: ``--chat``, ``--system``, and ``--prompt`` beside them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from russet.errors import ArgumentError, ConfigError, FileError, MissingFileError


def add_to(add: Any) -> None:
    """Adds ``--chat`` and ``--system``."""
    add(
        "--chat",
        metavar="FILE",
        help="a conversation for the chat template: a JSON list of messages, or an object with messages and tools; - is stdin",
    )
    add("--system", metavar="TEXT", help="what the conversation's first message says, with the role system")


def read(options: argparse.Namespace, prompt: str | None) -> tuple[str | list[dict[str, Any]], dict[str, Any]]:
    """The prompt, or the conversation if the options make one; and what else the template is given.

    Raises:
        ArgumentError: if there is neither a prompt nor a conversation, or two are to be read from stdin.
        ConfigError: if the file holds no conversation.
        FileError: if it cannot be read.
    """
    if prompt == "-":
        if options.chat == "-":
            raise ArgumentError("--chat and --prompt are both to be read from stdin", argument="chat")
        prompt = sys.stdin.read()
    if options.chat is None and options.system is None:
        if prompt is None:
            raise ArgumentError("there is nothing to begin with: give --prompt or --chat", argument="prompt")
        return prompt, {}
    messages, more = ([], {}) if options.chat is None else _conversation(options.chat)
    if options.system is not None:
        others = messages[1:] if messages and messages[0].get("role") == "system" else messages
        messages = [{"role": "system", "content": options.system}, *others]
    if prompt is not None:
        messages = [*messages, {"role": "user", "content": prompt}]
    if not messages:
        raise ConfigError(f"{options.chat}: there is no message")
    return messages, more


def _conversation(path: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(2, "there is no such file", path) from None
    except OSError as error:
        raise FileError(error.errno, error.strerror, path) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is no UTF-8: {error}") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: it is no JSON: {error}") from None
    more = {}
    if isinstance(found, dict):
        more = {name: found[name] for name in ("tools", "documents") if found.get(name) is not None}
        found = found.get("messages")
    if not isinstance(found, list) or not all(isinstance(message, dict) and "role" in message for message in found):
        raise ConfigError(f"{path}: it is no list of messages, which are objects with a role and a content")
    return found, more
