"""A tokenizer of a folder without a tokenizer.json, equal to what transformers converts its files to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from russet import _core
from russet.errors import ConfigError, UnsupportedModelError
from russet.hub import resolve_tokenizer
from russet.pretrained import classes, components
from russet.pretrained.components import Parts
from russet.pretrained.settings import Settings, no_tokenizer
from russet.pretrained.stages import Json, byte_level
from russet.pretrained.vocabulary_files import SentencePiece, ranked_pairs, sentencepiece, word_pieces
from russet.tokenizers._added_token import AddedToken
from russet.tokenizers._scores import with_exact_scores

#: The SentencePiece models of the classes; tokenizer.model counts for all.
_PIECES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "sentencepiece.model")
_WORDS = ("vocab.txt",)
_PAIRS = ("vocab.json", "merges.txt")


class Built(NamedTuple):
    """A tokenizer without added tokens, and what its class makes of the settings."""

    core: _core.Tokenizer
    settings: Settings
    post_processor: Any  # a function of ids, or None


def build(folder: Path, name: str | None, named: str | None, settings: Settings) -> Built:
    """Makes a tokenizer of the files that the class ``name`` has.

    Args:
        named: the class's full name in the files, for messages.

    Raises:
        MissingFileError: without files that the class is made of.
        UnsupportedModelError: for a class whose files are read by code of its own.
    """
    for makers, files in (components.WORDS, _WORDS), (components.PAIRS, _PAIRS), (components.PIECES, _PIECES):
        if name in makers:
            found = [folder / file for file in files if (folder / file).is_file()]
            if not found or (files is _PAIRS and len(found) < 2):
                raise no_tokenizer(folder, ", ".join(("tokenizer.json", *files)))
            return _of_class(makers[name], name, found, _made_of(settings, found[0]))
    if name is not None:
        raise UnsupportedModelError(
            f"a tokenizer of the class {named} is made of a tokenizer.json alone, and {folder} has none: save one with "
            "transformers' save_pretrained"
        )
    model = folder / "tokenizer.model"
    if model.is_file():
        try:
            return _plain(sentencepiece(model), _made_of(settings, model))
        except ConfigError:
            return _tiktoken(model, _made_of(settings, model))
    file = resolve_tokenizer(folder)
    return Built(_core.Tokenizer.from_file(file), _made_of(settings, file), None)


def _made_of(settings: Settings, file: Path) -> Settings:
    return settings._replace(values={**settings.values, "vocab_file": str(file)})


def _of_class(maker: Any, name: str, files: list[Path], settings: Settings) -> Built:
    values = dict(settings.values)
    for token, text in classes.special_tokens(name).items():
        values.setdefault(token, text)
    tokens = {
        token: str(values.get(token))
        for token in ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    }
    if files[0].name in _WORDS:
        parts: Parts = maker(word_pieces(files[0]), settings.values, tokens)
    elif files[0].name in _PAIRS:
        parts = maker(*ranked_pairs(*files), settings.values, tokens)
    else:
        try:
            model = sentencepiece(files[0])
        except ConfigError:
            # Llama 3 has ranks in a file of this name.
            return _tiktoken(files[0], settings._replace(values=values))
        parts = maker(model, settings.values, tokens)
        values = _with_pieces(values, model, name)
    values.update(parts.fixed)
    core, after = _core_of(parts), parts.post_processor
    if parts.is_first and after is not None:
        core, after = core._with_part("post_processor", json.dumps(after(core.token_to_id))), None
    return Built(core, settings._replace(values={**parts.settings, **values}), after)


def _with_pieces(values: Json, model: SentencePiece, name: str | None) -> Json:
    """Settings with the control and user-defined pieces as added tokens, unless they name extra tokens themselves."""
    pieces: list[Any] = [AddedToken(text, normalized=False, special=kind == 3) for text, _, kind in model.pieces if kind in (3, 4)]
    if name == "T5":
        count = components.count_of(values, "extra_ids", 100)
        if not any("<extra_id_" in str(piece) for piece in pieces):
            pieces += [f"<extra_id_{number}>" for number in range(count)]
    elif name == "Pegasus":
        pieces = [
            values.get("mask_token_sent", "<mask_1>"),
            *(f"<unk_{number}>" for number in range(2, components.count_of(values, "offset", 103))),
        ]
    return values if "extra_special_tokens" in values else {**values, "extra_special_tokens": pieces}


def _plain(model: SentencePiece, settings: Settings) -> Built:
    parts = components.plain(model, settings.values, {})
    vocab = parts.model["vocab"]
    if settings.added_tokens and not model.is_unigram:
        # Published models have placeholders that the settings rename.
        texts = {id: text for text, id in vocab.items()}
        for id, token in settings.added_tokens.items():
            if texts.get(id, token.content) != token.content and token.content not in vocab:
                del vocab[texts[id]]
                vocab[token.content] = id
                texts[id] = token.content
    values = _with_pieces(settings.values, model, None)
    return Built(_core_of(parts), settings._replace(values={**parts.settings, **values}), None)


def _tiktoken(path: Path, settings: Settings) -> Built:
    """Ranks of bytes with the pattern of cl100k, as transformers takes them; ids after them are reserved or named."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    core = _core.Tokenizer.from_tiktoken(path, pattern)
    extra = [str(token) for token in settings.values.get("extra_special_tokens") or ()]
    size = core.get_vocab_size()
    last = max(settings.added_tokens, default=0)
    if last >= size:
        names = {id: token.content for id, token in settings.added_tokens.items()}
        numbered = [names.get(id, f"<|reserved_token_{id}|>") for id in range(size, last + 1)]
        extra = [*numbered, *(token for token in extra if token not in numbered)]
    core, _ = core._with_added_tokens([(text, False, False, False, False, True) for text in extra])
    return Built(core._with_part("post_processor", json.dumps(byte_level(True, True, False))), settings, None)


def _core_of(parts: Parts) -> _core.Tokenizer:
    saved: Json = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": None,
        "decoder": parts.decoder,
        "model": parts.model,
    }
    try:
        text = json.dumps(saved, ensure_ascii=False, separators=(",", ":"))
    except TypeError as error:
        raise ConfigError(f"a setting that a part of the tokenizer has is of another type: {error}") from error
    return _core.Tokenizer.from_str(with_exact_scores(text))
