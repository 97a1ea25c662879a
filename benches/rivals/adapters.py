"""One adapter for each rival: the fastest public way to each thing that the workloads ask for, without special tokens.

A method that a rival has no way for stays `None`: the table then shows that the capability is missing. `encode_list` gives
list[int] and `encode_numpy` uint32; neither may defer work. Quirks that decide a choice are told where it is made.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

THREADS = int(os.environ.get("BENCH_THREADS", "1"))
Ids = list[int]


class Missing(Exception):
    """The rival cannot do this; the message says why."""


class Adapter:
    module = ""

    encode_list: Callable[[str], Ids]
    encode_numpy: Callable[[str], Any] | None = None
    encode_batch: Callable[[list[str]], list[Ids]] | None = None
    encode_flat: Callable[[list[str]], Any] | None = None
    """A batch to (ids, bounds) arrays."""
    encode_long: Callable[[str], Any] | None = None
    """One long document with all threads."""
    decode: Callable[[Ids], str] | None = None
    decode_array: Callable[[Any], str] | None = None
    count: Callable[[str], int] | None = None
    details: Callable[[str], tuple[Any, Any, Any]] | None = None
    """Ids, tokens and code point offsets."""
    compile: Callable[[Path], None] | None = None
    """Saves the rival's own precompiled form."""
    conversation: Callable[[], Any] | None = None
    """An object with `append(text)` that re-encodes only what changes."""

    def __init__(self) -> None:
        self.package = importlib.import_module(self.module)

    def load(self, path: Path) -> None:
        raise NotImplementedError

    def load_compiled(self, path: Path) -> None:
        raise Missing("no compiled form")

    def content(self, ids: Any) -> Any:
        """`encode_numpy`'s result without the special tokens that some rivals cannot leave out."""
        return ids


class Russet(Adapter):
    module = "russet"

    def load(self, path: Path) -> None:
        self._bind(self.package.Tokenizer.from_file(path))

    def _bind(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        encode, batch, arrays = tokenizer.encode, tokenizer.encode_batch, tokenizer.encode_arrays
        self.encode_list = lambda text: encode(text, add_special_tokens=False).ids
        self.encode_numpy = lambda text: arrays([text], add_special_tokens=False)[0]
        self.encode_batch = lambda texts: [encoding.ids for encoding in batch(texts, add_special_tokens=False)]
        self.encode_flat = lambda texts: arrays(texts, add_special_tokens=False)
        self.encode_long = self.encode_numpy
        self.decode = self.decode_array = tokenizer.decode
        self.count = lambda text: tokenizer.count(text, add_special_tokens=False)
        self.details = self._details
        if hasattr(tokenizer, "conversation"):
            self.conversation = lambda: tokenizer.conversation(add_special_tokens=False)
        if hasattr(tokenizer, "save_compiled"):
            self.compile = tokenizer.save_compiled

    def load_compiled(self, path: Path) -> None:
        if not hasattr(self.package.Tokenizer, "from_compiled"):
            raise Missing("no compiled form yet")
        self._bind(self.package.Tokenizer.from_compiled(path))

    def _details(self, text: str) -> tuple[Any, Any, Any]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.tokens, encoding.offsets


class Tokenizers(Adapter):
    module = "tokenizers"

    def load(self, path: Path) -> None:
        self.tokenizer = tokenizer = self.package.Tokenizer.from_file(str(path))
        encode, batch = tokenizer.encode, tokenizer.encode_batch_fast
        self.encode_list = lambda text: encode(text, add_special_tokens=False).ids
        self.encode_numpy = lambda text: np.array(encode(text, add_special_tokens=False).ids, dtype=np.uint32)
        self.encode_batch = lambda texts: [encoding.ids for encoding in batch(texts, add_special_tokens=False)]
        self.encode_long = self.encode_numpy
        self.decode = tokenizer.decode
        self.count = lambda text: len(encode(text, add_special_tokens=False))
        self.details = self._details

    def _details(self, text: str) -> tuple[Any, Any, Any]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.tokens, encoding.offsets


class TokenizersOne(Adapter):
    module = "tokenizers"

    def load(self, path: Path) -> None:
        self.tokenizer = tokenizer = self.package.Tokenizer.from_file(str(path))
        encode, batch = tokenizer.encode, tokenizer.encode_batch
        self.encode_list = lambda text: encode(text, add_special_tokens=False).ids
        self.encode_numpy = lambda text: encode(text, add_special_tokens=False).ids_array
        self.encode_batch = lambda texts: [encoding.ids for encoding in batch(texts, add_special_tokens=False)]
        self.encode_flat = lambda texts: [encoding.ids_array for encoding in batch(texts, add_special_tokens=False)]
        self.encode_long = self.encode_numpy
        self.decode = self.decode_array = tokenizer.decode
        self.count = lambda text: len(encode(text, add_special_tokens=False))


class Gigatoken(Adapter):
    module = "gigatoken"

    def load(self, path: Path) -> None:
        self.tokenizer = tokenizer = self.package.Tokenizer(str(path))
        encode, batch, parallel = tokenizer.encode, tokenizer.encode_batch_list, THREADS > 1
        self.encode_numpy = encode
        # On one thread `encode_batch_list([text])` is a little faster on long texts and much slower on short ones.
        self.encode_list = lambda text: batch([text], parallel=False)[0] if len(text) > 4000 else encode(text).tolist()
        self.encode_batch = lambda texts: batch(texts, parallel=parallel)
        self.encode_flat = lambda texts: tokenizer.encode_batch(texts, parallel=parallel)
        self.encode_long = lambda text: tokenizer.encode_batch([text], parallel=parallel)
        self.decode = self.decode_array = lambda ids: tokenizer.decode(ids).decode("utf-8", "replace")


class Fastokens(Adapter):
    module = "fastokens"

    def load(self, path: Path) -> None:
        self.tokenizer = tokenizer = self.package.Tokenizer.from_file(str(path))
        encode, flat = tokenizer.encode, tokenizer.encode_batch_flat
        self.encode_list = lambda text: encode(text).ids
        self.encode_numpy = lambda text: np.frombuffer(flat([text])[0], dtype=np.uint32)
        self.encode_batch = lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        self.encode_flat = flat
        self.encode_long = self.encode_numpy
        self.decode = lambda ids: tokenizer.decode(ids, True)


class Splintr(Adapter):
    module = "splintr"

    def load(self, path: Path) -> None:
        self.tokenizer = tokenizer = self.package.from_json(str(path))
        self.encode_list = tokenizer.encode_raw
        # The flat forms cannot leave out the template's special tokens.
        self.encode_numpy = lambda text: np.frombuffer(tokenizer.encode_flat(text), dtype=np.uint32)
        self.encode_batch = tokenizer.encode_batch
        self.encode_flat = tokenizer.encode_batch_flat
        self.encode_long = tokenizer.encode_rayon
        self.decode = tokenizer.decode

    def content(self, ids: Any) -> Any:
        raw, framed = self.tokenizer.encode_raw("a"), self.tokenizer.encode("a")
        front = next(start for start in range(len(framed)) if framed[start : start + len(raw)] == raw)
        return ids[front : len(ids) - (len(framed) - front - len(raw))]


class Tokie(Adapter):
    module = "tokie"

    def load(self, path: Path) -> None:
        self._bind(self.package.Tokenizer.from_json(str(path)))

    def load_compiled(self, path: Path) -> None:
        self._bind(self.package.Tokenizer.from_file(str(path)))

    def _bind(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        encode, batch, flat = tokenizer.encode, tokenizer.encode_batch, tokenizer.encode_batch_flat
        self.encode_list = lambda text: encode(text, add_special_tokens=False).ids
        self.encode_numpy = lambda text: flat([text], add_special_tokens=False)[0]
        self.encode_batch = lambda texts: [encoding.ids for encoding in batch(texts, add_special_tokens=False)]
        self.encode_flat = lambda texts: flat(texts, add_special_tokens=False)
        self.encode_long = self.encode_numpy
        self.decode = tokenizer.decode
        self.count = tokenizer.count_tokens
        self.compile = lambda path: tokenizer.save(str(path))


class Tiktoken(Adapter):
    """Reads its own format: a file of ranks and a pattern, which `vocabularies.py` writes for the byte-level tokenizers."""

    module = "tiktoken"

    def load(self, path: Path) -> None:
        ranks_path = path.with_suffix(".tiktoken")
        if not ranks_path.is_file():
            raise Missing("reads byte-level BPE only")
        about = json.loads(path.with_suffix(".tiktoken.json").read_text(encoding="utf-8"))
        ranks = importlib.import_module("tiktoken.load").load_tiktoken_bpe(str(ranks_path))
        self.tokenizer = tokenizer = self.package.Encoding(
            path.stem, pat_str=about["pattern"], mergeable_ranks=ranks, special_tokens=about["special_tokens"]
        )
        specials = frozenset(about["special_tokens"])
        self.encode_list = lambda text: tokenizer.encode(text, allowed_special=specials)
        self.encode_numpy = lambda text: tokenizer.encode_to_numpy(text, allowed_special=specials)
        self.encode_batch = lambda texts: tokenizer.encode_batch(texts, num_threads=THREADS, allowed_special=specials)
        self.encode_long = self.encode_numpy
        self.decode = tokenizer.decode
