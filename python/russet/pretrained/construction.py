"""What a tokenizer is made of: a shell over a tokenizer of any package, and settings that are checked."""

from __future__ import annotations

from typing import Any

from russet import _core
from russet.errors import ArgumentError
from russet.pretrained.special_tokens import NAMES, SpecialTokens, Token, own_token
from russet.tokenizers import Tokenizer
from russet.tokenizers._added_token import AddedToken, flags_of, from_flags, is_added_token


def shell_of(tokenizer: Any, file: Any) -> Tokenizer:
    """A shell of its own over a tokenizer of any package, or a file."""
    if tokenizer is None:
        if file is None:
            raise ArgumentError("there is neither tokenizer_object nor tokenizer_file", argument="tokenizer_object")
        return Tokenizer._over(_core.Tokenizer.from_file(file))
    if isinstance(tokenizer, _core.Tokenizer):
        return Tokenizer._over(tokenizer)
    if isinstance(tokenizer, Tokenizer):
        state = tokenizer._ready()
        return Tokenizer._over(state.core._with_limits(state.truncation, state.padding))
    if callable(getattr(tokenizer, "to_str", None)):
        from russet.tokenizers._scores import with_exact_scores

        return Tokenizer._over(_core.Tokenizer.from_str(with_exact_scores(tokenizer.to_str())))
    raise ArgumentError(f"tokenizer_object is {type(tokenizer).__name__}, and no tokenizer", argument="tokenizer_object")


def settings_of_limits(tokenizer: Tokenizer) -> dict[str, Any]:
    """The settings that a file's truncation and padding stand for; those of the tokenizer_config.json win."""
    settings: dict[str, Any] = {}
    cut, fill = tokenizer.truncation, tokenizer.padding
    if cut is not None:
        settings.update(
            max_length=cut["max_length"],
            truncation_side=cut["direction"],
            stride=cut["stride"],
            truncation_strategy=cut["strategy"],
        )
    if fill is not None:
        settings.update(pad_token=fill["pad_token"], pad_token_type_id=fill["pad_type_id"], padding_side=fill["direction"])
        settings.setdefault("max_length", fill["length"])
        settings["pad_to_multiple_of"] = fill["pad_to_multiple_of"]
    return settings


def special_of(values: dict[str, Any]) -> SpecialTokens:
    named: dict[str, Token | None] = {}
    own = values.get("model_specific_special_tokens") or {}
    extra: Any = values.get("extra_special_tokens")
    if not isinstance(own, dict):
        raise ArgumentError(f"model_specific_special_tokens={own!r}: it is a dict", argument="model_specific_special_tokens")
    if isinstance(extra, dict):
        own, extra = {**extra, **own}, ()
    if extra is not None and not isinstance(extra, (list, tuple)):
        raise ArgumentError(f"extra_special_tokens={extra!r}: it is a list, or a dict by name", argument="extra_special_tokens")
    for name in NAMES:
        if values.get(name) is not None:
            named[name] = own_token(values[name], name)
    ours = {
        name: value
        for name, value in values.items()
        if name.endswith("_token") and name not in NAMES and isinstance(value, (str, AddedToken))
    }
    for name, token in {**ours, **own}.items():
        named[name] = own_token(token, name)
    return (
        SpecialTokens().with_named(named)._replace(extra=tuple(own_token(token, "extra_special_tokens") for token in extra or ()))
    )


def added_of(values: dict[str, Any]) -> dict[int, AddedToken]:
    """The added tokens of the settings by id."""
    added = values.get("added_tokens_decoder") or {}
    if not isinstance(added, dict) or not all(isinstance(id, int) and is_added_token(token) for id, token in added.items()):
        raise ArgumentError("added_tokens_decoder is no dict of AddedTokens by id", argument="added_tokens_decoder")
    return {id: token if isinstance(token, AddedToken) else from_flags(flags_of(token)) for id, token in added.items()}


def side_of(values: dict[str, Any], name: str) -> str:
    side = values.get(name, "right")
    if side not in ("right", "left"):
        raise ArgumentError(f"{name}={side!r}: it is 'right' or 'left'", argument=name)
    return str(side)


def of_kind(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ArgumentError(f"{name}={value!r}: it is of another kind", argument=name)
    return value


def named_templates(template: Any) -> str | dict[str, str] | None:
    """A chat template, or those of a list by name."""
    if isinstance(template, (list, tuple)) and all(isinstance(one, dict) for one in template):
        template = {one.get("name"): one.get("template") for one in template}
    if template is None or isinstance(template, str):
        return template
    if isinstance(template, dict) and all(isinstance(text, str) for pair in template.items() for text in pair):
        return template
    raise ArgumentError(
        f"chat_template={template!r}: it is a text, or several by name, or a list with a name and a template in each part",
        argument="chat_template",
    )
