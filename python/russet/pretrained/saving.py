"""Writing a tokenizer's folder, in a form that transformers reads with the same results."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from russet.errors import ArgumentError, DiskFullError, FileError, FolderError, ForbiddenFileError
from russet.pretrained.special_tokens import NAMES
from russet.tokenizers._added_token import AddedToken

if TYPE_CHECKING:
    from russet.pretrained.tokenizer import PreTrainedTokenizer

#: What is about one load and not about the tokenizer.
_NOT_SAVED = (
    "add_bos_token", "add_eos_token", "added_tokens_decoder", "additional_special_tokens", "files_loaded", "name_or_path",
    "special_tokens_map_file", "tokenizer_file", "vocab_file", "merges_file", "device_map", "chat_template", "local_files_only",
    "is_local", "model_specific_special_tokens", "slow_tokenizer_class", "tokenizer_class", "auto_map",
)  # fmt: skip


def save(tokenizer: PreTrainedTokenizer, folder: str | os.PathLike[str], prefix: str | None, jinja_files: bool) -> tuple[str, ...]:
    """Writes tokenizer.json, tokenizer_config.json and the chat templates. Returns their paths.

    Raises:
        FileError: if a file cannot be written.
    """
    root = Path(folder)
    start = f"{prefix}-" if prefix else ""
    try:
        root.mkdir(parents=True, exist_ok=True)
        settings, written = settings_of(tokenizer), []
        templates = getattr(tokenizer, "chat_template", None)
        if templates is not None and jinja_files:
            named = templates if isinstance(templates, dict) else {"default": templates}
            for name, text in named.items():
                if not name or Path(name).name != name or "\\" in name:
                    raise ArgumentError(
                        f"a chat template cannot be written to a file of the name {name!r}", argument="chat_template"
                    )
                path = (
                    root / f"{start}chat_template.jinja"
                    if name == "default"
                    else root / "additional_chat_templates" / f"{name}.jinja"
                )
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
                written.append(path)
        elif templates is not None:
            listed = (
                [{"name": name, "template": text} for name, text in templates.items()] if isinstance(templates, dict) else templates
            )
            settings["chat_template"] = listed
        path = root / f"{start}tokenizer_config.json"
        path.write_text(json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        written.insert(0, path)
        path = root / f"{start}tokenizer.json"
        tokenizer.backend_tokenizer.save(str(path))
    except OSError as error:
        if isinstance(error, FileError):
            raise
        kinds = {28: DiskFullError, 13: ForbiddenFileError, 20: FolderError, 17: FolderError}
        raise kinds.get(error.errno or 0, FileError)(error.errno, error.strerror, error.filename) from error
    return tuple(str(one) for one in (*written, path))


def settings_of(tokenizer: PreTrainedTokenizer) -> dict[str, Any]:
    """The content of tokenizer_config.json.

    The class is the one whose rule is that the file decides, in transformers 4 too. What it would take from the class that the
    folder had before is written out: the inputs, the special tokens.
    """
    special = tokenizer._special
    settings = {key: value for key, value in tokenizer.init_kwargs.items() if key not in _NOT_SAVED and key not in special.names}
    for key in settings:
        if key in tokenizer.__dict__:
            settings[key] = tokenizer.__dict__[key]
    settings.update(tokenizer.special_tokens_map)
    own = {name: str(special.named[name]) for name in special.names[len(NAMES) :] if special.named.get(name) is not None}
    if own:
        settings["model_specific_special_tokens"] = own
    settings.pop("extra_special_tokens", None)
    if special.extra:
        settings["extra_special_tokens"] = tokenizer.extra_special_tokens
    settings["model_max_length"] = tokenizer.model_max_length
    settings["model_input_names"] = list(tokenizer.model_input_names)
    settings["padding_side"], settings["truncation_side"] = tokenizer.padding_side, tokenizer.truncation_side
    settings["clean_up_tokenization_spaces"] = tokenizer.clean_up_tokenization_spaces
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    return {key: _plain(value) for key, value in settings.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, AddedToken):
        return {"__type": "AddedToken", **value.__getstate__()}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
