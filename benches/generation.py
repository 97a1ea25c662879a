"""What the decode loop and detokenizing cost: microseconds of one processor for each token, the model left out.

    python benches/generation.py

The model gives rows of logits that are there already. Each line is the median of the rounds, which take turns; the aim is 25.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet import Sampler, Tokenizer
from russet.generation import generate, stream_generate

TOKENIZERS = Path(__file__).parent.parent / "tests" / "data" / "tokenizers"
PROMPT = "the quick brown fox"


class Rows:
    """A model whose logits cost nothing: a row for each last id."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.context_length = 1 << 20
        self.rows = np.random.default_rng(0).normal(size=(64, 1, vocab_size)).astype(np.float32)

    def new_context(self) -> RowsContext:
        return RowsContext(self)


class RowsContext:
    def __init__(self, model: Rows) -> None:
        self.rows = model.rows
        self.read: list[int] = []

    @property
    def ids(self) -> Sequence[int]:
        return self.read

    def extend(self, ids: Sequence[int], *, all_logits: bool = False) -> NDArray[np.float32]:
        self.read.extend(ids)
        if all_logits:
            return np.concatenate([self.rows[id & 63] for id in ids])
        return self.rows[ids[-1] & 63]

    def rewind(self, length: int) -> None:
        del self.read[length:]

    def fork(self) -> RowsContext:
        raise NotImplementedError

    def save(self) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        raise NotImplementedError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    tokens: int = given.tokens

    works: dict[str, Callable[[], object]] = {}
    for name in ("bpe-llama3", "bpe-llama2", "wordpiece-bert-uncased"):
        tokenizer = Tokenizer.from_file(TOKENIZERS / f"{name}.json")
        model = Rows(tokenizer.get_vocab_size())

        def stream(model: Any = model, tokenizer: Any = tokenizer, **values: Any) -> None:
            for _ in stream_generate(model, PROMPT, tokenizer, max_new_tokens=tokens, **values):
                pass

        works[f"{name}: stream, greedy"] = stream
        works[f"{name}: generate, greedy"] = lambda m=model, t=tokenizer: generate(m, PROMPT, t, max_new_tokens=tokens)
        works[f"{name}: stream, top_k 40, top_p 0.9"] = lambda f=stream: f(temperature=0.7, top_k=40, top_p=0.9, seed=1)
        works[f"{name}: stream, greedy, 3 stop strings"] = lambda f=stream: f(stop_strings=["\nUser:", "###", "</end>"])
        works[f"{name}: stream, repetition_penalty"] = lambda f=stream: f(repetition_penalty=1.1)

    # The sampler beside it, which is needed whatever the loop is.
    for vocab_size in (420, 128_256):
        rows = Rows(vocab_size).rows
        sampler = Sampler(temperature=0.0)

        def sample(rows: Any = rows, sampler: Any = sampler) -> None:
            for step in range(tokens):
                sampler.sample(rows[step & 63][0])

        works[f"the sampler alone, greedy, V {vocab_size}"] = sample
    large = Rows(128_256)
    tokenizer = Tokenizer.from_file(TOKENIZERS / "bpe-llama3.json")
    works["bpe-llama3: stream, greedy, V 128256"] = lambda: [
        None for _ in stream_generate(large, PROMPT, tokenizer, max_new_tokens=tokens)
    ]

    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(given.rounds + 1):
        for name, work in works.items():
            begin = time.process_time()
            work()
            times[name].append((time.process_time() - begin) / tokens * 1e6)
    for name, all_times in times.items():
        print(f"{statistics.median(all_times[1:]):7.2f} us  {name}")


if __name__ == "__main__":
    main()
