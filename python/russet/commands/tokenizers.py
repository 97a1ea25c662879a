"""The commands for tokenizers: encode, decode, inspect."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from russet import AddedToken, Tokenizer, _core, hub
from russet.commands import conversation
from russet.commands.models import add_revision, as_json
from russet.errors import ArgumentError

if TYPE_CHECKING:
    from russet.pretrained import PreTrainedTokenizer


def add_to(commands: Any) -> None:
    """Adds the commands to a parser's."""
    encode = commands.add_parser("encode", help="turn texts into ids", description="Turns each text into a line of ids.")
    encode.set_defaults(run=_encode)
    _add_model(encode)
    encode.add_argument("texts", nargs="*", metavar="TEXT", help="a text; without any, each line of stdin is one")
    conversation.add_to(encode.add_argument)
    encode.add_argument("--file", type=Path, metavar="PATH", help="a file that is one text; - is stdin")
    encode.add_argument("--tokens", action="store_true", help="print tokens instead of ids")
    encode.add_argument("--no-special-tokens", action="store_true", help="add no special tokens")
    encode.add_argument("--split-special-tokens", action="store_true", help="take special tokens in a text for ordinary text")
    encode.add_argument("--max-length", type=int, metavar="N", help="cut each text to N tokens")
    encode.add_argument("--json", action="store_true", help="print an object with ids, tokens and offsets")

    decode = commands.add_parser("decode", help="turn ids into texts", description="Turns each line of ids into a text.")
    decode.set_defaults(run=_decode)
    _add_model(decode)
    decode.add_argument("ids", nargs="*", type=int, metavar="ID", help="ids of one text; without any, each line of stdin is one")
    decode.add_argument("--keep-special-tokens", action="store_true", help="leave special tokens in the text")
    decode.add_argument("--skip-unknown", action="store_true", help="leave out ids that are not in the vocabulary")
    decode.add_argument("--json", action="store_true", help="print each text as a JSON string")

    inspect = commands.add_parser("inspect", help="show what a tokenizer is made of", description="Shows a tokenizer's parts.")
    inspect.set_defaults(run=_inspect)
    _add_model(inspect)
    inspect.add_argument("--json", action="store_true", help="print one object")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", "-m", required=True, metavar="MODEL", help="a tokenizer's file, folder or repository on the Hub")
    add_revision(parser.add_argument)


def _load(options: argparse.Namespace) -> PreTrainedTokenizer:
    from russet.pretrained import AutoTokenizer

    return AutoTokenizer.from_pretrained(options.model, revision=options.revision)


def _lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.removesuffix("\n")


def _encode(options: argparse.Namespace) -> None:
    is_conversation = options.chat is not None or options.system is not None
    sources = {"TEXT": options.texts, "--file": options.file, "--chat": is_conversation}
    given = [name for name, is_given in sources.items() if is_given]
    if len(given) > 1:
        raise ArgumentError(f"encode: {' and '.join(given)} are both given", argument=given[0])
    tokenizer = _load(options)
    texts = options.texts or _lines()
    if options.file is not None:
        texts = [sys.stdin.read() if str(options.file) == "-" else options.file.read_text(encoding="utf-8")]
    if is_conversation:
        messages, more = conversation.read(options, None)
        is_begun = messages[-1]["role"] == "assistant"  # type: ignore[index]
        texts = [
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=not is_begun, continue_final_message=is_begun, **more
            )
        ]
    core = tokenizer.core
    for text in texts:
        encoding = core.encode(
            text,
            # A template writes them itself.
            add_special_tokens=not (options.no_special_tokens or is_conversation),
            split_special_tokens=options.split_special_tokens or tokenizer.split_special_tokens,
            truncation=options.max_length,
        )
        if options.json:
            print(as_json({"ids": encoding.ids, "tokens": encoding.tokens, "offsets": encoding.offsets}))
        else:
            print(*(encoding.tokens if options.tokens else encoding.ids))


def _decode(options: argparse.Namespace) -> None:
    tokenizer = _load(options).core
    for ids in [options.ids] if options.ids else map(_ids, _lines()):
        text = tokenizer.decode(
            ids,
            skip_special_tokens=not options.keep_special_tokens,
            on_unknown="skip" if options.skip_unknown else "error",
        )
        print(as_json(text) if options.json else text)


def _ids(line: str) -> list[int]:
    """The ids of a line: numbers with spaces or commas between, or a JSON list."""
    words = re.split(r"[\s,]+", line.strip().removeprefix("[").removesuffix("]").strip())
    return [int(word) for word in words if word]


def _inspect(options: argparse.Namespace) -> None:
    report = inspect(_load(options).core, hub.resolve_tokenizer(options.model, options.revision))
    if options.json:
        print(as_json(report))
        return
    print(f"model           {report['model']}, {report['vocabulary']} tokens")
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        print(f"{name:<15} {report[name]}")
    for name in ("truncation", "padding"):
        print(f"{name:<15} {report[name] or 'none'}")
    print(f"added tokens    {len(report['added_tokens'])}")
    for token in report["added_tokens"]:
        flags = "".join(f" {flag}" for flag in token["flags"])
        declared = f" (the file says {token['declared']})" if token["declared"] not in (None, token["id"]) else ""
        print(f"  {token['id']:>8} {as_json(token['content'])}{flags}{declared}")
    print(f"patterns        {len(report['patterns'])}")
    for pattern in report["patterns"]:
        print(f"  {pattern['place']}: {as_json(pattern['pattern'])}\n    runs as {pattern['engine']}")


def inspect(tokenizer: Tokenizer, path: Path | None = None) -> dict[str, Any]:
    """What a tokenizer is made of. With the file, also the ids that it declares for added tokens but that are not used."""
    parts = {name: _part(tokenizer, name) for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder")}
    report: dict[str, Any] = {
        "model": tokenizer._model_type,
        "vocabulary": tokenizer.get_vocab_size(with_added_tokens=False),
        **{name: "none" if part is None else _outline(part) for name, part in parts.items()},
        "truncation": None if tokenizer.truncation is None else repr(tokenizer.truncation),
        "padding": None if tokenizer.padding is None else repr(tokenizer.padding),
    }
    declared = _declared_ids(path)
    report["added_tokens"] = [
        {"id": id, "content": token.content, "declared": declared.get(token.content), "flags": _flags(token)}
        for id, token in sorted(tokenizer.get_added_tokens_decoder().items())
    ]
    patterns = [found for name, part in parts.items() for found in _patterns(part, name)]
    report["patterns"] = [
        {"place": place, "pattern": pattern, "engine": _core._pattern_engine(pattern)} for place, pattern in patterns
    ]
    return report


def _part(tokenizer: Tokenizer, name: str) -> Any:
    saved = tokenizer._part(name, False)
    return None if saved is None else json.loads(saved)


def _outline(part: dict[str, Any]) -> str:
    """The kinds of a part, those of a sequence in order."""
    for name in ("normalizers", "pretokenizers", "processors", "decoders"):
        if isinstance(part.get(name), list):
            return " -> ".join(map(_outline, part[name])) or "nothing"
    return str(part["type"])


def _patterns(part: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        if isinstance(part.get("Regex"), str):
            yield place, part["Regex"]
        for name, value in part.items():
            yield from _patterns(value, f"{place}.{name}")
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from _patterns(value, f"{place}[{index}]")


def _flags(token: AddedToken) -> list[str]:
    return [flag for flag in ("special", "normalized", "single_word", "lstrip", "rstrip") if getattr(token, flag)]


def _declared_ids(path: Path | None) -> dict[str, int]:
    file = path / "tokenizer.json" if path is not None and path.is_dir() else path
    if file is None or not file.is_file():
        return {}
    try:
        tokens = json.loads(file.read_bytes())["added_tokens"]
        return {token["content"]: token["id"] for token in tokens}
    except (ValueError, KeyError, TypeError):
        return {}  # another format, which declares none
