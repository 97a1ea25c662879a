"""Measures the model on board: how well it predicts text that it has not seen, and whether what it writes is its own.

    python examples/onboard/evaluate.py [--model FOLDER] [--json]

MODEL is a folder with a package (the one that ships with Russet) or the checkpoint's, which NumPy runs. Needs Russet and NumPy;
the text is fetched as for training. What must hold (exit code 1 if it does not):

- bits per byte on each held-out chapter are below those of `xz -9` on the same chapter;
- of 2,000 words drawn as its generation settings say at least 90 % occur in the training text;
- no 50 tokens in a row that it writes are a copy of the training text.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from book_text import HELD_OUT, novels, split
from numpy_llama import NumpyLlama

import russet
from russet.generation.text import core_of

WORDS, RUN = 2000, 50


def load(folder: Path) -> Any:
    """The model of a folder with a package, or of a checkpoint's."""
    if (folder / "model.safetensors").exists():
        return NumpyLlama(folder)
    return russet.LanguageModel.from_pretrained(folder)


def bits(model: Any, text: str) -> float:
    """The bits that a coder would need which knows the model: -log2 of each token's probability, added up.

    The text is read in windows of the whole context that overlap by half: but in the first, each token has at least half a
    context before it.
    """
    ids = core_of(model.tokenizer).encode(text, add_special_tokens=False).ids
    begin, length = model.generation_config.bos_token_id, model.context_length
    total, done = 0.0, 0
    while done < len(ids):
        start = max(0, done - length // 2)
        part = ids[start : start + length]
        logits = model.new_context().extend([begin, *part[:-1]], all_logits=True).astype(np.float64)[done - start :]
        best = logits.max(axis=-1)
        normalizers = best + np.log(np.exp(logits - best[:, None]).sum(axis=-1))
        total += float((normalizers - logits[np.arange(len(logits)), part[done - start :]]).sum()) / np.log(2)
        done = start + len(part)
    return total


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower())


def longest_copy(ids: list[int], model: Any, training: str) -> int:
    """The greatest number of tokens in a row whose text occurs in the training text."""
    longest = start = 0
    while start + longest < len(ids):
        if core_of(model.tokenizer).decode(ids[start : start + longest + 1]) in training:
            longest += 1
        else:
            start += 1
    return longest


def measure(model: Any, cache: Path) -> dict[str, Any]:
    """Everything that is stated of the model."""
    chapters, held_out = split(novels(cache))
    training = "".join(chapters)
    scores = []
    for novel, number in HELD_OUT:
        text = held_out[novel, number]
        content = text.encode()
        packed = len(lzma.compress(content, preset=9)) * 8 / len(content)
        scores.append(
            {
                "novel": novel,
                "chapter": number,
                "bytes": len(content),
                "bits_per_byte": bits(model, text) / len(content),
                "xz": packed,
            }
        )
    known, drawn, unknown, copied, seed = set(words(training)), 0, [], 0, 0
    samples = []
    while drawn < WORDS:
        sample = russet.generation.generate(model, "", model.tokenizer, max_new_tokens=400, seed=seed)
        samples.append(sample.text)
        # The last word may be cut off.
        found = words(sample.text)[:-1][: WORDS - drawn]
        drawn += len(found)
        unknown += [word for word in found if word not in known]
        copied = max(copied, longest_copy(sample.token_ids, model, training))
        seed += 1
    return {
        "held_out": scores,
        "words": drawn,
        "words_in_training_text": 1 - len(unknown) / drawn,
        "unknown_words": unknown,
        "longest_copied_tokens": copied,
        "sample": samples[0],
    }


def main() -> int:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=here / "checkpoint")
    parser.add_argument("--cache", type=Path, default=here / "cache", help="where the fetched text is kept")
    parser.add_argument("--json", action="store_true", help="print one object")
    arguments = parser.parse_args()
    report = measure(load(arguments.model), arguments.cache)
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        for score in report["held_out"]:
            print(
                f"{score['novel']}, chapter {score['chapter']} ({score['bytes']} bytes): "
                f"{score['bits_per_byte']:.3f} bits per byte; xz -9: {score['xz']:.3f}"
            )
        print(f"{report['words_in_training_text']:.2%} of {report['words']} words occur in the training text")
        print(f"others: {' '.join(report['unknown_words']) or 'none'}")
        print(f"longest copy: {report['longest_copied_tokens']} tokens (limit: {RUN - 1})\n\n{report['sample']}")
    good = (
        all(score["bits_per_byte"] < score["xz"] for score in report["held_out"])
        and report["words_in_training_text"] >= 0.9
        and report["longest_copied_tokens"] < RUN
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
