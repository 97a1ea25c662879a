"""What the files of a tokenizer say: whether they can be read, and whether they agree with each other and with the tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from russet.doctor.report import Report, listed
from russet.tokenizers import Tokenizer

#: Those that hold one JSON object.
JSON_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "vocab.json",
)
_POINTER = b"version https://git-lfs"
#: A file of settings above this size is not read.
_MOST_BYTES = 256 << 20


def read(folder: Path, report: Report) -> dict[str, dict[str, Any]]:
    """The JSON files of a folder by name; those that cannot be read are findings."""
    found: dict[str, dict[str, Any]] = {}
    for name in JSON_FILES:
        text = read_text(folder / name, report)
        value = None if text is None else parsed(name, text, report)
        if value is not None:
            found[name] = value
    return found


def parsed(name: str, text: str, report: Report) -> dict[str, Any] | None:
    """The JSON object of a file's text; None where it is none, which is a finding."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        report.found("files", name, f"is no JSON: {str(error)[:200]}")
        return None
    if isinstance(value, dict):
        return value
    report.found("files", name, f"holds a {type(value).__name__} where an object is needed")
    return None


def read_text(path: Path, report: Report) -> str | None:
    """The text of a file; None where there is none, or it cannot be read, which is a finding."""
    if not path.exists():
        if path.is_symlink():
            report.found("files", path.name, "is a link to a file that is not there")
        return None
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            report.found("files", path.name, f"has {size} bytes, more than the {_MOST_BYTES} that are read")
            return None
        content = path.read_bytes()
        if not content.strip():
            report.found("files", path.name, "is empty")
        elif content.startswith(_POINTER):
            report.found("files", path.name, "is a pointer of Git LFS: its content was not fetched (git lfs pull)")
        else:
            return content.decode()
    except UnicodeDecodeError as error:
        report.found("files", path.name, f"is no UTF-8: byte {error.start} is {error.object[error.start]:#04x}")
    except OSError as error:
        report.found("files", path.name, f"cannot be read: {error.strerror}")
    return None


def check(folder: Path, files: dict[str, dict[str, Any]], tokenizer: Tokenizer | None, report: Report) -> None:
    """Checks all that the files say about ids and tokens. Without a tokenizer (its file does not load), what can be without."""
    saved = files.get("tokenizer.json")
    if saved is not None:
        vocabulary = _vocabulary(saved, report)
        _check_merges(saved, vocabulary, tokenizer is not None, report)
        _check_unknown_token(saved, vocabulary, report)
        _check_added_tokens(saved, vocabulary, tokenizer, report)
        _check_post_processor(saved, tokenizer, report)
        _check_vocabulary_files(folder, files, saved, vocabulary, report)
    if tokenizer is not None:
        _check_configuration(files, tokenizer, report)
        _check_special_tokens(files, tokenizer, report)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _vocabulary(saved: dict[str, Any], report: Report) -> dict[str, int]:
    """Tokens and ids of the model; what occurs twice is a finding."""
    vocabulary = _object(saved.get("model")).get("vocab")
    if isinstance(vocabulary, list):  # Unigram: the place is the id
        pieces = [entry[0] for entry in vocabulary if isinstance(entry, list) and entry and isinstance(entry[0], str)]
        found = dict(zip(reversed(pieces), range(len(pieces) - 1, -1, -1), strict=True))
        if len(found) < len(pieces):
            twice = sorted({piece for index, piece in enumerate(pieces) if found[piece] != index})
            report.found("ids", "tokenizer.json: model.vocab", f"has pieces twice: {listed([*map(_quoted, twice)])}")
        return found
    found = {token: id for token, id in _object(vocabulary).items() if isinstance(id, int)}
    if len(set(found.values())) < len(found):
        tokens: dict[int, list[str]] = {}
        for token, id in found.items():
            tokens.setdefault(id, []).append(token)
        clashes = [f"{id} ({' and '.join(map(_quoted, names))})" for id, names in sorted(tokens.items()) if len(names) > 1]
        report.found("ids", "tokenizer.json: model.vocab", f"tokens share an id: {listed(clashes)}")
    return found


def _check_merges(saved: dict[str, Any], vocabulary: dict[str, int], loads: bool, report: Report) -> None:
    """Merges occur once, and need no token that is not there: a tokenizer with such a merge does not load."""
    model = _object(saved.get("model"))
    pairs = [_pair(merge) for merge in _list(model.get("merges"))]
    place = "tokenizer.json: model.merges"
    if len(set(pairs)) < len(pairs):
        first: dict[Any, int] = {}
        twice = [f"[{index}] repeats [{first[pair]}]" for index, pair in enumerate(pairs) if first.setdefault(pair, index) < index]
        report.found("merges", place, f"merges that occur twice: {listed(twice)}")
    if loads:
        return
    prefix = model.get("continuing_subword_prefix") or ""
    missing = []
    for index, pair in enumerate(pairs):
        if pair is None:
            report.found("merges", f"{place}[{index}]", f"{_quoted(model['merges'][index])} is no pair")
            continue
        absent = [token for token in (*pair, pair[0] + pair[1].removeprefix(prefix)) if token not in vocabulary]
        if absent:
            missing.append(f"[{index}] needs {' and '.join(map(_quoted, absent))}")
    if missing:
        report.found("merges", place, f"tokens that are not in the vocabulary: {listed(missing)}")


def _pair(merge: Any) -> tuple[str, str] | None:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if isinstance(parts, list) and len(parts) == 2 and isinstance(parts[0], str) and isinstance(parts[1], str):
        return parts[0], parts[1]
    return None


def _check_unknown_token(saved: dict[str, Any], vocabulary: dict[str, int], report: Report) -> None:
    token = _object(saved.get("model")).get("unk_token")
    if isinstance(token, str) and token not in vocabulary:
        message = f"{_quoted(token)} is not in the model's vocabulary: texts that need it are errors"
        report.found("special tokens", "tokenizer.json: model.unk_token", message)


def _check_added_tokens(saved: dict[str, Any], vocabulary: dict[str, int], tokenizer: Tokenizer | None, report: Report) -> None:
    by_id = {id: token for token, id in vocabulary.items()}
    owners: dict[int, str] = {}
    other, shared, empty = [], [], []
    for index, token in enumerate(_list(saved.get("added_tokens"))):
        content, id = _object(token).get("content"), _object(token).get("id")
        if not isinstance(content, str) or not isinstance(id, int):
            continue  # the tokenizer does not load, and says so
        if content == "":
            empty.append(f"[{index}]")
            continue
        actual = tokenizer.token_to_id(content) if tokenizer is not None else vocabulary.get(content, id)
        if actual is not None and actual != id:
            other.append(f"[{index}] {_quoted(content)} with {id}, but it gets {actual}")
        owner = owners.setdefault(id, by_id.get(id, content))
        if owner != content:
            shared.append(f"[{index}] {_quoted(content)} with {id}, which {_quoted(owner)} has")
    for message, entries in (
        ("declared with an id that it does not get", other),
        ("declared with the id of another token", shared),
        ("without content, left out", empty),
    ):
        if entries:
            report.found("ids", "tokenizer.json: added_tokens", f"{message}: {listed(entries)}")


def _check_post_processor(saved: dict[str, Any], tokenizer: Tokenizer | None, report: Report) -> None:
    if tokenizer is None:
        return
    for place, token, id in _inserted(saved.get("post_processor"), "tokenizer.json: post_processor"):
        actual = tokenizer.token_to_id(token)
        if actual != id:
            has = "is not in the vocabulary" if actual is None else f"has the id {actual}"
            report.found("special tokens", place, f"inserts {_quoted(token)} with the id {id}, but it {has}")


def _inserted(part: Any, place: str) -> Iterator[tuple[str, str, int]]:
    """The tokens that a post-processor inserts, with their ids."""
    part = _object(part)
    for index, inner in enumerate(_list(part.get("processors"))):
        yield from _inserted(inner, f"{place}.processors[{index}]")
    for name, special in _object(part.get("special_tokens")).items():
        tokens, ids = _list(_object(special).get("tokens")), _list(_object(special).get("ids"))
        for token, id in zip(tokens, ids, strict=False):
            if isinstance(token, str) and isinstance(id, int):
                yield f"{place}.special_tokens[{_quoted(name)}]", token, id
    for name in ("cls", "sep"):
        entry = _list(part.get(name))
        if len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], int):
            yield f"{place}.{name}", entry[0], entry[1]


def _check_vocabulary_files(
    folder: Path, files: dict[str, dict[str, Any]], saved: dict[str, Any], vocabulary: dict[str, int], report: Report
) -> None:
    """vocab.json, merges.txt and vocab.txt beside a tokenizer.json say what it says."""
    kind = _object(saved.get("model")).get("type")
    added = {_object(token).get("content") for token in _list(saved.get("added_tokens"))}
    beside = files.get("vocab.json")
    if beside is not None and kind in ("BPE", None):
        _compare_ids("vocab.json", {token: id for token, id in beside.items() if isinstance(id, int)}, vocabulary, added, report)
    if kind in ("WordPiece", None) and (text := read_text(folder / "vocab.txt", report)) is not None:
        lines = text.removesuffix("\n").split("\n")
        _compare_ids("vocab.txt", {line.rstrip("\r"): id for id, line in enumerate(lines)}, vocabulary, added, report)
    if kind in ("BPE", None) and (text := read_text(folder / "merges.txt", report)) is not None:
        lines = [line.rstrip("\r") for line in text.split("\n")]
        written = [_pair(line) for line in lines if line and not line.startswith("#version")]
        here = [_pair(merge) for merge in _list(_object(saved.get("model")).get("merges"))]
        if written != here:
            index = next((n for n, (a, b) in enumerate(zip(written, here, strict=False)) if a != b), min(len(written), len(here)))
            shown = [_quoted(" ".join(pair)) if pair else "none" for pair in (_at(written, index), _at(here, index))]
            message = f"differs from tokenizer.json, first in merge {index}: {shown[0]}, there {shown[1]}"
            report.found("merges", "merges.txt", message)


def _at(pairs: list[tuple[str, str] | None], index: int) -> tuple[str, str] | None:
    return pairs[index] if index < len(pairs) else None


def _compare_ids(name: str, beside: dict[str, int], vocabulary: dict[str, int], added: set[Any], report: Report) -> None:
    other = [
        f"{_quoted(token)} ({beside.get(token, 'none')}, there {vocabulary.get(token, 'none')})"
        for token in sorted({*beside, *vocabulary} - added)
        if beside.get(token) != vocabulary.get(token)
    ]
    if other:
        report.found("ids", name, f"has other ids than tokenizer.json: {listed(other)}")


def _check_configuration(files: dict[str, dict[str, Any]], tokenizer: Tokenizer, report: Report) -> None:
    """The ids fit the model's embedding."""
    config = files.get("config.json", {})
    size = config.get("vocab_size", _object(config.get("text_config")).get("vocab_size"))
    highest = max(tokenizer.get_vocab().values(), default=-1)
    if isinstance(size, int) and not isinstance(size, bool) and highest >= size:
        token = tokenizer.id_to_token(highest)
        report.found("ids", "config.json: vocab_size", f"is {size}, but {_quoted(token)} has the id {highest}")
    for name in ("config.json", "generation_config.json"):
        for key, value in files.get(name, {}).items():
            if key.endswith("_token_id"):
                ids = [id for id in (value if isinstance(value, list) else [value]) if isinstance(id, int)]
                unknown = [str(id) for id in ids if id >= 0 and tokenizer.id_to_token(id) is None]
                if unknown and not (isinstance(size, int) and all(int(id) < size for id in unknown)):
                    report.found("ids", f"{name}: {key}", f"no token has the id {listed(unknown)}")


def _check_special_tokens(files: dict[str, dict[str, Any]], tokenizer: Tokenizer, report: Report) -> None:
    """The tokens that are named beside the tokenizer exist, under the ids that are named there."""
    told = set()
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        for key, content in named_tokens(files.get(name, {})):
            if (content, None) in told:
                continue
            if tokenizer.token_to_id(content) is None:
                told.add((content, None))
                report.found("special tokens", f"{name}: {key}", f"{_quoted(content)} is not in the vocabulary")
            elif key in _ROLES and len(tokenizer.encode(content, add_special_tokens=False).ids) != 1:
                told.add((content, None))
                report.notes.append(
                    f"{name}: {key}: {_quoted(content)} is in the vocabulary, but no added token: in a text it is split"
                )
    declared: list[tuple[str, Any, Any]] = [
        ("tokenizer_config.json: added_tokens_decoder", _object(token).get("content"), _number(id))
        for id, token in _object(files.get("tokenizer_config.json", {}).get("added_tokens_decoder")).items()
    ]
    declared += [("added_tokens.json", token, id) for token, id in files.get("added_tokens.json", {}).items()]
    for place, content, id in declared:
        if not isinstance(content, str) or not isinstance(id, int):
            report.found("files", place, f"{_quoted(content)} with {_quoted(id)} is no token with its id")
        elif (actual := tokenizer.token_to_id(content)) != id and (content, None) not in told:
            has = "is not in the vocabulary" if actual is None else f"has the id {actual}"
            report.found("ids", place, f"{_quoted(content)} is to have the id {id}, but it {has}")


_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def named_tokens(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The special tokens that a configuration names, with the key of each."""
    for key, value in config.items():
        if key.endswith("_token") and (content := _content(value)):
            yield key, content
        elif key in ("additional_special_tokens", "extra_special_tokens"):
            entries = value.values() if isinstance(value, dict) else _list(value)
            for index, entry in enumerate(entries):
                if content := _content(entry):
                    yield f"{key}[{index}]", content


def _content(value: Any) -> str | None:
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else None


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() else text


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
