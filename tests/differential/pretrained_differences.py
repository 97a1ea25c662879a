"""Prints where `AutoTokenizer` and `PreTrainedTokenizerFast` of transformers give different ids for one folder.

    PYTHONPATH=tests:tests/differential python tests/differential/pretrained_differences.py CORPUS [CALLS]

Version 5 makes many tokenizers from a class and a vocabulary, not from the file. Russet goes by the file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pretrained_cases
import transformers

import texts


def first_difference(theirs: Any, other: Any, calls: int) -> tuple[Any, Any, Any] | None:
    """The shortest text, or else the first call, whose ids differ, and both ids."""
    words = [*list(other.get_vocab())[:3000:7], *other.all_special_tokens, *other.get_added_vocab()]
    for text in sorted([*texts.EDGES, *words], key=len):
        ids = theirs(text)["input_ids"], other(text)["input_ids"]
        if ids[0] != ids[1]:
            return repr(text), *ids
    for case in pretrained_cases.cases(5, calls, words):
        values = [pretrained_cases.outcome(one, case).values for one in (theirs, other)]
        if None in values:
            if values[0] != values[1]:
                return case.options, *("an error" if value is None else value["input_ids"] for value in values)
            continue
        ids = values[0]["input_ids"], values[1]["input_ids"]
        if ids[0] != ids[1]:
            return {key: value for key, value in case.options.items() if "return" not in key}, *ids
    return None


def main() -> None:
    corpus, calls = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    transformers.logging.set_verbosity_error()
    print("| folder | class | text or options | by the file | by the class |\n|---|---|---|---|---|")
    for file in sorted(corpus.glob("tokenizers/*/tokenizer.json")):
        try:
            theirs = transformers.PreTrainedTokenizerFast.from_pretrained(file.parent)
        except Exception:
            continue
        try:
            other = transformers.AutoTokenizer.from_pretrained(file.parent, trust_remote_code=False)
        except Exception as error:
            print(f"| {file.parent.name} | | loading | loads | {type(error).__name__} |")
            continue
        if type(other).__name__ == "TokenizersBackend":
            continue
        found = first_difference(theirs, other, calls)
        if found is not None:
            shown = (str(part).replace("|", "\\|") for part in found)
            print(f"| {file.parent.name} | {type(other).__name__} |", " | ".join(one[:90] for one in shown), "|")


if __name__ == "__main__":
    main()
