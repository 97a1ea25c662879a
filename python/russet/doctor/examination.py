"""The examination: files, ids, special tokens, merges, chat templates, then stages beside each reference."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from russet.doctor import chat, files, references
from russet.doctor.references import Reference
from russet.doctor.report import Report
from russet.doctor.stages import Difference, compare
from russet.doctor.texts import TEXTS, with_tokens
from russet.errors import RussetError
from russet.hub import TOKENIZER, resolve, resolve_tokenizer
from russet.tokenizers import Tokenizer


def examine(path: str | os.PathLike[str], texts: Iterable[str] = (), compared_with: Sequence[Reference] | None = None) -> Report:
    """Examines a tokenizer's folder, a single tokenizer file, or a repository on the Hub.

    Args:
        path: the folder or file; else the id of a repository, of which the files of the tokenizer are fetched.
        texts: more texts to compare on, besides those that every examination takes.
        compared_with: references instead of the packages ``tokenizers`` and ``transformers``, which are taken if installed.

    Raises:
        MissingFileError: if there is no such path, or no tokenizer file in it.
        HubError: if the Hub does not give the files.
    """
    given = resolve(path, allow_patterns=[*TOKENIZER, "generation_config.json"])
    report = Report(os.fspath(path))
    found = files.read(given, report) if given.is_dir() else _single(given, report)
    file = resolve_tokenizer(given)
    tokenizer = None
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except (RussetError, NotImplementedError) as error:
        report.found("files", file.name, f"does not load: {error}")
    files.check(given, found, tokenizer, report)
    chosen: list[Reference] = []
    if tokenizer is not None:
        chosen = list(references.installed(given, file, report.notes) if compared_with is None else compared_with)
    rendered = chat.check(given, found, tokenizer, chosen, report) if given.is_dir() else []
    if tokenizer is not None:
        _check_stages(tokenizer, chosen, [*texts, *rendered], report)
    return report


def _single(path: Path, report: Report) -> dict[str, dict[str, object]]:
    """A tokenizer file alone, whatever its name."""
    if path.suffix != ".json" or path.name == "vocab.json":
        return {}
    text = files.read_text(path, report)
    value = None if text is None else files.parsed(path.name, text, report)
    return {} if value is None else {"tokenizer.json": value}


def _check_stages(tokenizer: Tokenizer, chosen: list[Reference], more: list[str], report: Report) -> None:
    texts = [*TEXTS, *with_tokens(token.content for token in tokenizer.get_added_tokens_decoder().values()), *more]
    report.texts = len(texts)
    report.references = [reference.name for reference in chosen]
    dropout = getattr(tokenizer.model, "dropout", None)
    if dropout and dropout < 1:
        report.notes.append(f"stages are not compared: with a dropout of {dropout}, results differ from call to call")
        return
    for reference in chosen:
        for difference in compare(reference.tokenizer, reference.candidate, texts):
            message = f"{_named(difference)} differs on {difference.texts} of {len(texts)} texts, the smallest of which is"
            report.found(
                "stages",
                reference.name,
                f"{message} {difference.text!r}: {difference.place} is {difference.expected} there, {difference.got} here",
                stages=list(difference.stages),
                text=difference.text,
                field=difference.place,
                expected=difference.expected,
                got=difference.got,
                forms={stage: {"expected": there, "got": here} for stage, (there, here) in difference.forms.items()},
            )


def _named(difference: Difference) -> str:
    return " + ".join(difference.stages)
