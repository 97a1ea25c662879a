"""Finding and reading a tokenizer's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from russet import _core
from russet.errors import ArgumentError, ConfigError
from russet.json_objects import read_object
from russet.pretrained import classes
from russet.pretrained.settings import chat_templates, read_settings
from russet.pretrained.tokenizer import PreTrainedTokenizer
from russet.tokenizers import Tokenizer

Made = TypeVar("Made", bound=PreTrainedTokenizer)


class AutoTokenizer:
    """Makes a :class:`PreTrainedTokenizer` of a folder or a repository."""

    def __init__(self) -> None:
        raise ArgumentError("AutoTokenizer.from_pretrained(path_or_repo_id) makes a tokenizer")

    @staticmethod
    def from_pretrained(
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        subfolder: str = "",
        use_fast: bool | None = None,
        trust_remote_code: bool | None = None,
        tokenizer_type: str | None = None,
        config: Any = None,
        **settings: Any,
    ) -> PreTrainedTokenizer:
        """Reads a tokenizer with all its settings.

        The ids are what the tokenizer.json says, as with ``PreTrainedTokenizerFast.from_pretrained(folder)`` of transformers. The
        class that is named in the files decides which keys a call returns, and never blocks loading: no code is run.

        Args:
            pretrained_model_name_or_path: a folder, a tokenizer.json, or a repository on the Hub.
            revision: a branch, tag or commit of the repository.
            token: for private repositories.
            cache_dir: in place of the Hub's cache.
            local_files_only: fetches nothing.
            subfolder: where in the folder or repository the files are.
            use_fast, trust_remote_code: taken, and without effect: there is one kind of tokenizer, and no code of others is run.
            tokenizer_type, config: a ``model_type``, or an object or dict that has one, in place of the config.json.
            settings: those of a :class:`PreTrainedTokenizer`, which win over the files.

        Raises:
            MissingFileError: if there is nothing to make a tokenizer of.
            ConfigError: for a damaged file.
            HubError: if the repository cannot be had.
        """
        return load(
            PreTrainedTokenizer,
            pretrained_model_name_or_path,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            subfolder=subfolder,
            tokenizer_type=tokenizer_type,
            config=config,
            **settings,
        )


def load(
    kind: type[Made],
    identifier: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    subfolder: str = "",
    use_fast: bool | None = None,
    trust_remote_code: bool | None = None,
    tokenizer_type: str | None = None,
    config: Any = None,
    **given: Any,
) -> Made:
    """As :meth:`AutoTokenizer.from_pretrained`, of a class that is given."""
    for name in ("gguf_file", "proxies", "force_download", "mistral_format"):
        if given.pop(name, None):
            raise ArgumentError(f"{name} is not supported", argument=name)
    name_or_path = os.fspath(identifier)
    if os.path.isfile(name_or_path):
        core = _core.Tokenizer.from_file(name_or_path)
        return _made(kind, core, None, {}, None, {"name_or_path": name_or_path, **given})
    folder = Path(name_or_path)
    if not folder.is_dir():
        from russet import hub

        folder = hub.resolve(
            name_or_path,
            revision,
            allow_patterns=[f"{subfolder}/{pattern}" if subfolder else pattern for pattern in (*hub.TOKENIZER, "tokenizer.*.json")],
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
    if subfolder:
        folder = folder / subfolder
    settings = read_object(folder / "tokenizer_config.json") or {}
    model = read_object(folder / "config.json")
    if config is not None:
        names = ("model_type", "tokenizer_class", "transformers_version")
        model = {name: config.get(name) if isinstance(config, dict) else getattr(config, name, None) for name in names}
    if tokenizer_type is not None:
        model = {"model_type": tokenizer_type}
        settings = {key: value for key, value in settings.items() if key != "tokenizer_class"}
    template = chat_templates(folder, settings)
    if template is not None:
        settings = {**settings, "chat_template": template}
    given = {"name_or_path": name_or_path, **given}
    file = folder / _file_name(settings)
    if not file.is_file():
        return _built(kind, folder, settings, model, given)
    return _made(kind, _core.Tokenizer.from_file(file), folder, settings, model, given)


def _made(
    kind: type[Made],
    core: _core.Tokenizer,
    folder: Path | None,
    config: dict[str, Any],
    model: dict[str, Any] | None,
    given: dict[str, Any],
) -> Made:
    """A tokenizer of a tokenizer.json and the settings beside it."""
    if given.get("add_prefix_space") is not None:
        from russet.pretrained.prefix_space import with_prefix_space

        core = with_prefix_space(core, bool(given["add_prefix_space"]))
    values, added = read_settings(folder, config, given, core.get_added_tokens_decoder)
    if values.get("fix_mistral_regex") is True:
        from russet.pretrained.mistral import with_fixed_pattern

        core = with_fixed_pattern(core, model)
    name = classes.class_of(config, model or {}, '"ByteLevel"' in (core._part("pre_tokenizer", False) or ""))
    values.setdefault("model_input_names", classes.input_names(name))
    tokens = {token: text for token, text in classes.special_tokens(name).items() if token not in values}
    if tokens:
        # A token that the file does not have stays out: it would change what texts are encoded to.
        present = {token.content: token for token in core.get_added_tokens_decoder().values()}
        values.update({token: text for token, text in tokens.items() if text in present})
    if added:
        values["added_tokens_decoder"] = added
    made = object.__new__(kind)
    made._take(Tokenizer._over(core), values)
    return made


def _built(kind: type[Made], folder: Path, config: dict[str, Any], model: dict[str, Any] | None, given: dict[str, Any]) -> Made:
    """A tokenizer of a folder with other files."""
    from russet.pretrained.building import build

    settings = read_settings(folder, config, given, None)
    name = classes.class_of(config, model or {}, False)
    named = config.get("tokenizer_class") or (model or {}).get("tokenizer_class") or name
    core, (values, added), post_processor = build(folder, name, named, settings)
    values.setdefault("model_input_names", classes.input_names(name))
    if added:
        values["added_tokens_decoder"] = added
    made = object.__new__(kind)
    made._take(Tokenizer._over(core), values)
    if post_processor is not None:
        saved = json.dumps(post_processor(made._tokenizer.token_to_id))
        made._tokenizer._change(lambda state: state._replace(core=state.core._with_part("post_processor", saved)))
    return made


def _file_name(config: dict[str, Any]) -> str:
    """The tokenizer.json, or the one for versions up to transformers 5.23 that the settings list."""
    names = config.get("fast_tokenizer_files")
    if not isinstance(names, list):
        return "tokenizer.json"
    best: tuple[int, ...] = (-1,)
    chosen = "tokenizer.json"
    for name in names:
        if not isinstance(name, str) or os.path.basename(name) != name:
            raise ConfigError(f"fast_tokenizer_files: {name!r} is no name of a file", place="fast_tokenizer_files")
        version = name.removeprefix("tokenizer.").removesuffix(".json")
        numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
        if name == f"tokenizer.{version}.json" and best < numbers <= (5, 23, 0):
            best, chosen = numbers, name
    return chosen
