"""The tokenizer files of `benches/peers.py`, written once to benches/.peers/tokenizers-*/NAME.json.

Files of the folder that RUSSET_CORPUS names are copied without their truncation and padding, which would change what is timed.
Two are made, the same on every machine with the same sources: `o200k` from the ranks that the package splintr-rs carries, and
`unigram-250k`, the size of XLM-R's, from counts of substrings in the texts. Byte-level ones are also written as tiktoken ranks.
Without the folder the repository's fixtures stand in.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from rivals.environments import RIVALS, install, python_of
from rivals.texts import KINDS, ROOT, corpus

SOURCES = {
    "gpt2": ("gpt2", "bpe-gpt2"),
    "llama3": ("llama3", "bpe-llama3"),
    "o200k": (None, None),
    "llama2": ("llama2", "bpe-llama2"),
    "mistral": ("mistral-7b-v0.1", None),
    "gemma": ("gemma", "bpe-gemma"),
    "bert": ("bert-base-uncased", "wordpiece-bert-uncased"),
    "t5": ("t5-small", "unigram-t5"),
    "albert": ("albert-base-v2-meld", None),
    "unigram-250k": (None, None),
}
QUICK = ("gpt2", "llama3", "llama2", "bert", "t5")
UNIGRAM_PIECES = 250_000
VERSION = 4

# What tiktoken's own encodings use for the same splits: possessive, so that it is not slowed down by the files' spelling.
PATTERNS = {
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    "llama3": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
    r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
}

# Runs where splintr is installed: the bytes of each token, one in base64 a line, then the pattern.
_DUMP = """
import base64, splintr
t = splintr.Tokenizer.from_pretrained("o200k_base")
for id in range(199998): print(base64.b64encode(t.decode_token_bytes(id)).decode())
print(splintr.O200K_BASE_PATTERN)
"""


def byte_alphabet() -> dict[int, str]:
    """The character that stands for each byte in a byte-level vocabulary."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + index) for index, byte in enumerate(hidden)}}


def _split_in_two(token: bytes, ranks: dict[bytes, int]) -> list[bytes] | None:
    """The two parts that merge into `token` last, by merging its bytes with the ranks below its own."""
    parts = [token[index : index + 1] for index in range(len(token))]
    own = ranks[token]
    while len(parts) > 2:
        pairs = [ranks.get(left + right, own) for left, right in itertools.pairwise(parts)]
        best = min(pairs)
        if best >= own:
            return None
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _special(identifier: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": identifier, "content": content, **flags, "special": True}


def _make_o200k() -> dict[str, Any]:
    failure = install(RIVALS["splintr"])
    if failure:
        raise RuntimeError(f"o200k is made from splintr-rs, which does not install: {failure}")
    dump = subprocess.run([python_of(RIVALS["splintr"]), "-c", _DUMP], capture_output=True, text=True, check=True).stdout
    *lines, pattern = dump.rstrip("\n").split("\n")
    tokens = [base64.b64decode(line) for line in lines]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    alphabet = byte_alphabet()

    def spelled(token: bytes) -> str:
        return "".join(alphabet[byte] for byte in token)

    splits = [_split_in_two(token, ranks) for token in tokens if len(token) > 1]
    merges = [list(map(spelled, split)) for split in splits if split is not None]
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {spelled(token): rank for rank, token in enumerate(tokens)},
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(len(tokens), "<|endoftext|>")],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True, "use_regex": True},
        "model": model,
    }


def _make_unigram(texts: Path) -> dict[str, Any]:
    """Every substring of a word seen twice or more is a candidate; the heaviest by count times length stay, scored by count.

    That is how SentencePiece seeds its training, without the pruning that follows: ids differ from a trained model's, the
    sizes and the ambiguity do not.
    """
    fixture = json.loads((ROOT / "tests" / "data" / "tokenizers" / "unigram-t5.json").read_text(encoding="utf-8"))
    words: Counter[str] = Counter()
    for name in KINDS:
        words.update("▁" + word for word in (texts / f"{name}-warm.txt").read_text(encoding="utf-8").split())
    substrings: Counter[str] = Counter()
    for word, count in words.items():
        word = word[:24]
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + 12) + 1):
                substrings[word[start:end]] += count
    characters = [piece for piece in substrings if len(piece) == 1]
    longer = [piece for piece, count in substrings.items() if len(piece) > 1 and count > 1 and "▁" not in piece[1:]]
    longer.sort(key=lambda piece: (-substrings[piece] * len(piece), piece))
    specials = ["<pad>", "</s>", "<unk>"]
    pieces = sorted(characters) + longer[: UNIGRAM_PIECES - len(characters) - len(specials)]
    total = math.log(sum(substrings[piece] for piece in pieces))
    scored = [(piece, math.log(substrings[piece]) - total) for piece in pieces]
    vocabulary = [(content, 0.0) for content in specials] + sorted(scored, key=lambda entry: (-entry[1], entry[0]))
    added = [_special(identifier, content) for identifier, content in enumerate(specials)]
    fixture["model"] = {"type": "Unigram", "unk_id": 2, "vocab": vocabulary, "byte_fallback": False}
    return {**fixture, "added_tokens": added, "post_processor": None, "truncation": None, "padding": None}


def _write_ranks(name: str, content: dict[str, Any], path: Path) -> None:
    """Writes a byte-level tokenizer as tiktoken ranks too."""
    pre = json.dumps(content["pre_tokenizer"])
    if content["model"].get("type") != "BPE" or "ByteLevel" not in pre:
        return
    bytes_of = {character: byte for byte, character in byte_alphabet().items()}
    specials = {token["content"]: token["id"] for token in content["added_tokens"]}
    ranks = {token: rank for token, rank in content["model"]["vocab"].items() if token not in specials}
    pattern = PATTERNS.get(name)
    if pattern is None:
        pattern = content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    lines = (base64.b64encode(bytes(bytes_of[c] for c in token)) + f" {rank}\n".encode() for token, rank in ranks.items())
    path.with_suffix(".tiktoken").write_bytes(b"".join(lines))
    path.with_suffix(".tiktoken.json").write_text(json.dumps({"pattern": pattern, "special_tokens": specials}), encoding="utf-8")


def prepare(name: str, cache: Path, texts: Path) -> Path | None:
    """Writes the named tokenizer's files unless they are there, and gives the tokenizer.json; None if it has no source."""
    published, fixture = SOURCES[name]
    folder = corpus()
    source = ROOT / "tests" / "data" / "tokenizers" / f"{fixture}.json" if fixture else None
    if folder is not None and published:
        source = folder / "tokenizers" / published / "tokenizer.json"
    if source is None and folder is None:
        return None
    tag = hashlib.sha256(f"{VERSION} {source} {texts.name if source is None else ''}".encode()).hexdigest()[:8]
    path = cache / f"tokenizers-{tag}" / f"{name}.json"
    if path.is_file():
        return path
    written = source.read_text(encoding="utf-8") if source else None
    make = _make_o200k if name == "o200k" else lambda: _make_unigram(texts)
    content = json.loads(written) if written else make()
    if written is None or content["truncation"] or content["padding"]:
        written = json.dumps({**content, "truncation": None, "padding": None}, ensure_ascii=False, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_text(written, encoding="utf-8")
    _write_ranks(name, content, path)
    path.with_suffix(".tmp").rename(path)
    return path
