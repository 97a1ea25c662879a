"""The settings of a tokenizer's folder: tokenizer_config.json and the older files beside it, read as transformers reads them.

Files are foreign: a part with another type than it has to have is a :class:`ConfigError` that names the file and the key.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from russet.errors import ConfigError, MissingFileError
from russet.json_objects import read_object
from russet.pretrained.special_tokens import NAMES
from russet.tokenizers._added_token import AddedToken, flags_of, from_flags, is_added_token

#: No text has more tokens: what ``model_max_length`` is where nothing is said.
VERY_LARGE_INTEGER = int(1e30)
#: Greater lengths mean that there is no limit.
LARGE_INTEGER = int(1e20)


class Settings(NamedTuple):
    """What a folder and a call to ``from_pretrained`` say."""

    #: By name, as ``PreTrainedTokenizer`` takes them.
    values: dict[str, Any]
    #: Added tokens by id, which the tokenizer has or gets.
    added_tokens: dict[int, AddedToken]


def read_settings(
    folder: Path | None,
    config: dict[str, Any],
    given: dict[str, Any],
    added_by_file: Callable[[], dict[int, Any]] | None,
) -> Settings:
    """Joins what the files say with what the caller gives, which wins.

    Args:
        folder: where the files are; ``None`` for a single file.
        config: the content of tokenizer_config.json.
        given: the caller's.
        added_by_file: gives the added tokens of the tokenizer.json, where there is one; the settings of added tokens in the
            folder's older files then count for nothing that it has.
    """
    values = dict(config)
    # The last are paths: a file from elsewhere must not say which files of this machine are read.
    for name in ("tokenizer_class", "init_inputs", "vocab_file", "merges_file", "tokenizer_file", "spm_file"):
        values.pop(name, None)
    if added_by_file is not None:
        # The post-processor of the file says it.
        values.pop("add_bos_token", None)
        values.pop("add_eos_token", None)
    values.update(given)
    if "additional_special_tokens" in values and not values.get("extra_special_tokens"):
        values["extra_special_tokens"] = values.pop("additional_special_tokens")
    own = {key: value for key, value in values.items() if _is_own_token(key, value)}
    for key in own:
        del values[key]
    if isinstance(values.get("extra_special_tokens"), dict):
        own.update(values.pop("extra_special_tokens"))
    if own:
        values["model_specific_special_tokens"] = {
            **_object(values.get("model_specific_special_tokens") or {}, "own tokens"),
            **own,
        }

    added: dict[int, AddedToken] = {}
    by_text: dict[str, AddedToken] = {}
    if "added_tokens_decoder" in values:
        for key, token in _object(values.pop("added_tokens_decoder"), "added_tokens_decoder").items():
            place = f"added_tokens_decoder.{key}"
            try:
                number = int(key)
            except ValueError:
                raise ConfigError(f"{place}: {key!r} is no id", place=place) from None
            added[number] = _token(token, place)
            by_text[added[number].content] = added[number]
    else:
        if folder is not None:
            _read_older(folder, values, given, added, by_text)
        if added_by_file is not None:
            for id, token in added_by_file().items():
                added[id] = from_flags(flags_of(token))
                by_text[added[id].content] = added[id]
    values = {key: _with_tokens(value, key) for key, value in values.items() if key != "added_tokens_decoder"}
    for name in NAMES:
        token = values.get(name)
        if token is not None:
            values[name] = by_text.get(str(token), token)
    return Settings(values, added)


def _read_older(
    folder: Path, values: dict[str, Any], given: dict[str, Any], added: dict[int, AddedToken], by_text: dict[str, AddedToken]
) -> None:
    """special_tokens_map.json and added_tokens.json, which count where added_tokens_decoder is not there."""
    for key, value in (read_object(folder / "special_tokens_map.json") or {}).items():
        if given.get(key):
            continue
        place = f"special_tokens_map.json: {key}"
        if isinstance(value, dict) and key != "extra_special_tokens":
            value = _token({**value, "special": True}, place)
        elif key == "extra_special_tokens" and isinstance(value, list):
            joined = list(_extra(values))
            for token in value:
                token = _token({**token, "special": True}, place) if isinstance(token, dict) else token
                if token not in joined:
                    joined.append(token)
            value = joined
        values[key] = value
    if isinstance(values.get("extra_special_tokens"), dict):
        own = _object(values.get("model_specific_special_tokens") or {}, "model_specific_special_tokens")
        values["model_specific_special_tokens"] = {**own, **values.pop("extra_special_tokens")}
    tokens = read_object(folder / "added_tokens.json")
    if tokens:
        special = {str(values[name]) for name in NAMES if values.get(name)}
        special |= {str(token) for token in _extra(values)}
        for text, number in tokens.items():
            if type(number) is not int or number < 0:
                raise ConfigError(f"added_tokens.json: {number!r} is no id of {text!r}", place="added_tokens.json")
            is_special = text in special
            by_text[text] = added[number] = AddedToken(text, normalized=not is_special, special=is_special)


def _extra(values: dict[str, Any]) -> list[Any]:
    extra = values.get("extra_special_tokens") or []
    if not isinstance(extra, list):
        raise ConfigError(f"extra_special_tokens={extra!r}: it is a list, or an object by name", place="extra_special_tokens")
    return extra


def _is_own_token(key: str, value: Any) -> bool:
    return key.endswith("_token") and key not in NAMES and (isinstance(value, str) or is_added_token(value))


def _with_tokens(value: Any, place: str) -> Any:
    """A value of a file with the added tokens that are written in it."""
    if isinstance(value, dict):
        if value.get("__type") == "AddedToken":
            return _token({name: part for name, part in value.items() if name != "__type"}, place)
        return {key: _with_tokens(part, f"{place}.{key}") for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_tokens(part, place) for part in value]
    return from_flags(flags_of(value)) if is_added_token(value) else value


def _token(value: Any, place: str) -> AddedToken:
    """An added token as files write it."""
    if is_added_token(value):
        return from_flags(flags_of(value))
    fields = _object(value, place)
    content = fields.get("content", "")
    flags = {name: fields[name] for name in ("single_word", "lstrip", "rstrip", "normalized", "special") if name in fields}
    if not isinstance(content, str) or not all(isinstance(flag, bool) for flag in flags.values()):
        raise ConfigError(f"{place}: {value!r} is no added token", place=place)
    return AddedToken(content, **flags)


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: an object is expected, not {type(value).__name__}", place=place)
    return value


def chat_templates(folder: Path, config: dict[str, Any]) -> Any:
    """The templates of a folder, or ``None``; see :func:`russet.chat_template.load_chat_templates`."""
    files = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
    if config.get("chat_template") is None and not any((folder / name).exists() for name in files):
        return None
    from russet.chat_template import load_chat_templates

    return load_chat_templates(folder, config)


def no_tokenizer(folder: Path, looked_for: str) -> MissingFileError:
    """What is raised where a folder has no file to make a tokenizer of."""
    return MissingFileError(2, f"no tokenizer is in the folder: none of {looked_for}", os.fspath(folder))
