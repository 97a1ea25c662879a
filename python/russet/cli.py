"""The command ``russet``: encode, decode, inspect, generate, describe, bench, convert.

Results go to stdout, one line per text (a JSON object with ``--json``). An error is one line on stderr. The exit code is 0 on
success, 1 if something is wrong with a file or a text, 2 if the command itself is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from russet import AddedToken, RussetError, Tokenizer, __version__, _core, model_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    # argparse takes no positional arguments behind an option that follows FILE: they come here.
    if more and hasattr(options, "texts") and not any(argument.startswith("-") for argument in more):
        options.texts += more
    elif more and hasattr(options, "ids") and all(argument.isdecimal() for argument in more):
        options.ids += [int(argument) for argument in more]
    elif len(more) == 1 and getattr(options, "out", more) is None and not more[0].startswith("-"):
        options.out = Path(more[0])
    elif more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="\n")  # type: ignore[union-attr]
    try:
        code = options.run(options)
        sys.stdout.flush()
    except (RussetError, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            # The reader has enough. Python would complain when it flushes stdout at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"russet: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code or 0


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="russet", description="Exact and fast tokenizers, and language models that run anywhere.")
    parser.add_argument("--version", action="version", version=f"russet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    encode = commands.add_parser("encode", help="turn texts into ids", description="Turns each text into a line of ids.")
    encode.set_defaults(run=_encode)
    _add_tokenizer(encode)
    encode.add_argument("texts", nargs="*", metavar="TEXT", help="a text; without any, each line of stdin is one")
    encode.add_argument("--whole", action="store_true", help="take all of stdin for one text")
    encode.add_argument("--tokens", action="store_true", help="print tokens instead of ids")
    encode.add_argument("--no-special-tokens", action="store_true", help="add no special tokens")
    encode.add_argument("--split-special-tokens", action="store_true", help="take special tokens in a text for ordinary text")
    encode.add_argument("--max-length", type=int, metavar="N", help="cut each text to N tokens")
    encode.add_argument("--json", action="store_true", help="print an object with ids, tokens and offsets")

    decode = commands.add_parser("decode", help="turn ids into texts", description="Turns each line of ids into a text.")
    decode.set_defaults(run=_decode)
    _add_tokenizer(decode)
    decode.add_argument("ids", nargs="*", type=int, metavar="ID", help="ids of one text; without any, each line of stdin is one")
    decode.add_argument("--keep-special-tokens", action="store_true", help="leave special tokens in the text")
    decode.add_argument("--skip-unknown", action="store_true", help="leave out ids that are not in the vocabulary")
    decode.add_argument("--json", action="store_true", help="print each text as a JSON string")

    inspect = commands.add_parser("inspect", help="show what a tokenizer is made of", description="Shows a tokenizer's parts.")
    inspect.set_defaults(run=_inspect)
    _add_tokenizer(inspect)
    inspect.add_argument("--json", action="store_true", help="print one object")
    model_commands.add_to(commands)
    return parser


def _add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tokenizer", type=Path, metavar="FILE", help="a tokenizer file, or the folder that holds it")


def _load(path: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(path) if path.is_dir() else Tokenizer.from_file(path)


def _lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.removesuffix("\n")


def _encode(options: argparse.Namespace) -> None:
    tokenizer = _load(options.tokenizer)
    texts = options.texts or ([sys.stdin.read()] if options.whole else _lines())
    for text in texts:
        encoding = tokenizer.encode(
            text,
            add_special_tokens=not options.no_special_tokens,
            split_special_tokens=options.split_special_tokens,
            truncation=options.max_length,
        )
        if options.json:
            print(_json({"ids": encoding.ids, "tokens": encoding.tokens, "offsets": encoding.offsets}))
        else:
            print(*(encoding.tokens if options.tokens else encoding.ids))


def _decode(options: argparse.Namespace) -> None:
    tokenizer = _load(options.tokenizer)
    for ids in [options.ids] if options.ids else map(_ids, _lines()):
        text = tokenizer.decode(
            ids,
            skip_special_tokens=not options.keep_special_tokens,
            on_unknown="skip" if options.skip_unknown else "error",
        )
        print(_json(text) if options.json else text)


def _ids(line: str) -> list[int]:
    """The ids of a line: numbers with spaces or commas between, or a JSON list."""
    words = re.split(r"[\s,]+", line.strip().removeprefix("[").removesuffix("]").strip())
    return [int(word) for word in words if word]


def _inspect(options: argparse.Namespace) -> None:
    tokenizer = _load(options.tokenizer)
    report = inspect(tokenizer, options.tokenizer)
    if options.json:
        print(_json(report))
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
        print(f"  {token['id']:>8} {_json(token['content'])}{flags}{declared}")
    print(f"patterns        {len(report['patterns'])}")
    for pattern in report["patterns"]:
        print(f"  {pattern['place']}: {_json(pattern['pattern'])}\n    runs as {pattern['engine']}")


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


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
