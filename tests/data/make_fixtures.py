"""Makes the small tokenizers of this folder, one for each shape that a tokenizer file can have, and their golden results.

    python tests/data/make_fixtures.py            # writes everything again
    python tests/data/make_fixtures.py --check    # fails if the folder is not what this script makes

Everything is trained on `text/multilingual.txt` or written out here; nothing is downloaded. The versions that are needed are
pinned in `requirements-dev.txt`, because another version may train another vocabulary. Results:

    tokenizers/*.json          tokenizer.json files; names begin with the room that they exercise
    sentencepiece/*.model      SentencePiece models with several settings
    tiktoken/mill.tiktoken     ranks, `tiktoken/pattern.txt` its pattern
    vocab_files/…              vocab.json + merges.txt, and vocab.txt
    golden.json                what the reference makes of `GOLDEN_TEXTS`; `rust/russet/tests/golden.rs` holds the crate to it
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import filecmp
import io
import json
import struct
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import sentencepiece
import tiktoken
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from fixtures import charsmap, protobuf_fields  # noqa: E402
from sentencepiece_models import NORMAL, UNUSED, Piece, pieces_of, with_pieces, without_rules_path  # noqa: E402

PINNED = {"tokenizers": "0.23.3", "sentencepiece": "0.2.3", "tiktoken": "0.14.0"}
Json = dict[str, Any]

SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
CL100K = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
O200K = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)
QWEN = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")

GOLDEN_TEXTS = [
    "",
    "The miller's ledger, 1893: it's 8.9% dust!",
    "  Two  spaces\tand\nlines\r\n\n end ",
    "Größe ÉCOLE naïve İstanbul e\u0301 ﬁ ½ ß",
    "磨坊,水車カタカナ 물레방아",
    "Мельница μύλος نُهر नदी น้ำ",
    "😀👍🏽👩\u200d🌾🇫🇷 \u200b\u00a0\u3000\ufeff",
    "<|endoftext|>Hello[MASK] <s>world</s>[CLS]",
    "aaaaaaaa lower lowest newest UNBREAKABLE",
    "def f(x):\n    return x==1234567 ##ok ▁▁x",
    "\x00\x01a\u0301\u0300\ufffd\u0085\u2028b",
]
GOLDEN_PAIRS = [(1, 4), (8, 2), (0, 3)]


def text_lines() -> list[str]:
    return (HERE / "text" / "multilingual.txt").read_text(encoding="utf-8").split("\n")


def alphabet(size: int) -> list[str]:
    """The most frequent characters of the text. A trainer's own `limit_alphabet` keeps any of those that are equally frequent."""
    counts = Counter("".join(text_lines()))
    del counts[" "]
    return sorted(counts, key=lambda char: (-counts[char], char))[:size]


# Models, each trained once and then put into many pipelines.


def trained(model: Any, trainer: Any, pre_tokenizer: Any = None, normalizer: Any = None) -> Json:
    """The `model` section of a tokenizer trained on the text of this folder."""
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(text_lines(), trainer)
    section: Json = json.loads(tokenizer.to_str())["model"]
    return section


def byte_level_bpe(size: int = 420, specials: tuple[str, ...] = ("<|endoftext|>",)) -> Json:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False)
    return trained(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False))


def character_bpe(size: int = 420, letters: int = 110, prefix: str = "", suffix: str = "", specials: list[str] = SPECIAL) -> Json:
    """A BPE of characters, trained here: the reference's trainer numbers symbols with a prefix or suffix by chance."""
    kept = set(alphabet(letters))
    words = Counter(word for line in text_lines() for word in line.split())
    parts: dict[str, list[str]] = {}
    for word in words:
        symbols = [char for char in word if char in kept]
        symbols[1:] = [prefix + symbol for symbol in symbols[1:]]
        parts[word] = [*symbols[:-1], symbols[-1] + suffix] if symbols else []
    vocab = dict.fromkeys([*specials, *sorted(kept), *sorted({symbol for symbols in parts.values() for symbol in symbols})])
    merges: list[list[str]] = []
    while len(vocab) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in parts.items():
            for pair in pairwise(symbols):
                pairs[pair] += words[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = best[0] + best[1].removeprefix(prefix)
        vocab.setdefault(merged)
        merges.append(list(best))
        for symbols in parts.values():
            n = 0
            while n < len(symbols) - 1:
                if (symbols[n], symbols[n + 1]) == best:
                    symbols[n : n + 2] = [merged]
                n += 1
    section = {
        "type": "BPE",
        "dropout": None,
        "unk_token": specials[0],
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
    }
    section |= {"continuing_subword_prefix": prefix or None, "end_of_word_suffix": suffix or None}
    return {**section, "vocab": {token: n for n, token in enumerate(vocab)}, "merges": merges}


def bytes_bpe(metaspace: bool = True) -> Json:
    """A SentencePiece-like BPE: every byte has a token, then some characters, then merges across U+2581."""
    letters = [*alphabet(80), "▁"]
    section = trained(
        models.BPE(unk_token="<unk>"),
        trainers.BpeTrainer(
            vocab_size=230, special_tokens=SPECIAL, initial_alphabet=letters, limit_alphabet=len(letters), show_progress=False
        ),
        pre_tokenizers.Metaspace(prepend_scheme="always") if metaspace else pre_tokenizers.WhitespaceSplit(),
    )
    learned = sorted((token for token in section["vocab"] if token not in SPECIAL), key=section["vocab"].__getitem__)
    vocab = SPECIAL + BYTES + learned
    return {**section, "vocab": {token: i for i, token in enumerate(vocab)}, "fuse_unk": True, "byte_fallback": True}


def unigram() -> Json:
    """The pieces of a SentencePiece model: its trainer, unlike the reference's, gives the same pieces in every run."""
    model = sentencepiece_model(model_type="unigram", vocab_size=330, character_coverage=0.98, normalization_rule_name="identity")
    pieces = [[token, 0.0] for token in SPECIAL]
    for number, piece in protobuf_fields(model):
        if number == 1 and isinstance(piece, bytes):
            fields = dict(protobuf_fields(piece))
            token = fields[1].decode()  # type: ignore[union-attr]
            if token not in SPECIAL:
                pieces.append([token, round(struct.unpack("<f", fields[2])[0], 4)])  # type: ignore[arg-type]
    return {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False}


def word_piece(size: int = 420) -> Json:
    """As the reference's trainer does it: the vocabulary of a BPE whose symbols carry the prefix."""
    vocab = character_bpe(size, prefix="##", specials=BERT_SPECIAL)["vocab"]
    return {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocab,
    }


def word_level(size: int = 250) -> Json:
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=BERT_SPECIAL, show_progress=False)
    return trained(models.WordLevel(unk_token="[UNK]"), trainer, pre_tokenizers.Whitespace())


# Pipelines.


def added(content: str, id: int, **flags: bool) -> Json:
    defaults = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not flags.get("special"), "special": False}
    return {"id": id, "content": content, **defaults, **flags}


def specials(model: Json, *contents: str) -> list[Json]:
    vocab = model["vocab"]
    ids = vocab if isinstance(vocab, dict) else {token: i for i, (token, _) in enumerate(vocab)}
    return [added(content, ids.get(content, len(ids) + n), special=True) for n, content in enumerate(contents)]


def pipeline(model: Json, **sections: Any) -> Json:
    keys = ["truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"]
    assert not set(sections) - set(keys), sections
    return {
        "version": "1.0",
        **{key: sections.get(key) for key in keys},
        "added_tokens": sections.get("added_tokens", []),
        "model": model,
    }


def kind(type: str, **fields: Any) -> Json:
    return {"type": type, **fields}


def sequence(key: str, *parts: Json) -> Json:
    return {"type": "Sequence", key: list(parts)}


def split(pattern: str, behavior: str = "Isolated", invert: bool = False, regex: bool = True) -> Json:
    return kind("Split", pattern={"Regex" if regex else "String": pattern}, behavior=behavior, invert=invert)


def replace(pattern: str, content: str, regex: bool = False) -> Json:
    return kind("Replace", pattern={"Regex" if regex else "String": pattern}, content=content)


def byte_level(add_prefix_space: bool = False, trim_offsets: bool = True, use_regex: bool = True) -> Json:
    return kind("ByteLevel", add_prefix_space=add_prefix_space, trim_offsets=trim_offsets, use_regex=use_regex)


def metaspace(scheme: str = "always", split: bool = True, replacement: str = "▁") -> Json:
    return kind("Metaspace", replacement=replacement, prepend_scheme=scheme, split=split)


def template(single: str, pair: str, ids: dict[str, list[int]], tokens: dict[str, list[str]] | None = None) -> Json:
    def piece(part: str) -> Json:
        name, _, type_id = part.partition(":")
        if name in ("$A", "$B"):
            return {"Sequence": {"id": name[1], "type_id": int(type_id or 0)}}
        return {"SpecialToken": {"id": name, "type_id": int(type_id or 0)}}

    names = {name: {"id": name, "ids": i, "tokens": (tokens or {}).get(name, [name] * len(i))} for name, i in sorted(ids.items())}
    parts = {"single": [piece(p) for p in single.split()], "pair": [piece(p) for p in pair.split()]}
    return kind("TemplateProcessing", **parts, special_tokens=names)


def bert_normalizer(clean: bool = True, chinese: bool = True, accents: bool | None = None, lower: bool = True) -> Json:
    return kind("BertNormalizer", clean_text=clean, handle_chinese_chars=chinese, strip_accents=accents, lowercase=lower)


def model_pipelines() -> dict[str, Json]:
    """Every model type and option, in the pipelines in which models are published."""
    made: dict[str, Json] = {}
    bl, ch, by, uni, wp = byte_level_bpe(), character_bpe(), bytes_bpe(), unigram(), word_piece()
    eot = specials(bl, "<|endoftext|>")
    made["bpe-gpt2"] = pipeline(
        bl, added_tokens=eot, pre_tokenizer=byte_level(), post_processor=byte_level(True, False), decoder=byte_level()
    )
    roberta = byte_level_bpe(360, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    made["bpe-roberta"] = pipeline(
        roberta,
        added_tokens=[*specials(roberta, "<s>", "<pad>", "</s>", "<unk>"), added("<mask>", 4, special=True, lstrip=True)],
        pre_tokenizer=byte_level(),
        post_processor=kind("RobertaProcessing", sep=["</s>", 2], cls=["<s>", 0], trim_offsets=True, add_prefix_space=False),
        decoder=byte_level(),
    )
    llama3 = template("<|begin|> $A", "<|begin|> $A <|begin|>:1 $B:1", {"<|begin|>": [len(bl["vocab"])]})
    made["bpe-llama3"] = pipeline(
        {**bl, "ignore_merges": True},
        added_tokens=[*eot, *specials(bl, "<|begin|>", "<|end|>")],
        pre_tokenizer=sequence("pretokenizers", split(CL100K), byte_level(use_regex=False)),
        post_processor=sequence("processors", byte_level(True, False), llama3),
        decoder=byte_level(),
    )
    for name, pattern in (("o200k", O200K), ("qwen", QWEN)):
        made[f"bpe-{name}"] = pipeline(
            bl,
            added_tokens=eot,
            normalizer=kind("NFC") if name == "qwen" else None,
            pre_tokenizer=sequence(
                "pretokenizers",
                split(pattern, "Removed" if name == "o200k" else "Isolated", name == "o200k"),
                byte_level(use_regex=False),
            ),
            post_processor=byte_level(False, False),
            decoder=byte_level(),
        )
    made["bpe-deepseek"] = pipeline(
        bl,
        added_tokens=eot,
        pre_tokenizer=sequence(
            "pretokenizers",
            split(r"\p{N}{1,3}"),
            split("[一-龥\u3040-ゟ゠-ヿ]+"),
            split(
                r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            byte_level(use_regex=False),
        ),
        decoder=byte_level(),
    )
    made["bpe-falcon"] = pipeline(
        bl,
        added_tokens=eot,
        pre_tokenizer=sequence(
            "pretokenizers",
            kind("Punctuation", behavior="Contiguous"),
            byte_level(),
            kind("Digits", individual_digits=False),
            split("[0-9][0-9][0-9]"),
        ),
        decoder=byte_level(),
    )
    made["bpe-starcoder"] = pipeline(
        bl,
        added_tokens=eot,
        pre_tokenizer=sequence("pretokenizers", kind("Digits", individual_digits=True), byte_level()),
        decoder=byte_level(),
    )
    clip = with_suffix(bl, "</w>")
    made["bpe-clip"] = pipeline(
        clip,
        added_tokens=[added("<|startoftext|>", 0, special=True, normalized=True), added("<|endoftext|>", 1, special=True)],
        normalizer=sequence("normalizers", kind("NFC"), replace(r"\s+", " ", True), kind("Lowercase")),
        pre_tokenizer=sequence(
            "pretokenizers",
            split(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "Removed", True),
            byte_level(),
        ),
        post_processor=kind(
            "RobertaProcessing", sep=["<|endoftext|>", 1], cls=["<|startoftext|>", 0], trim_offsets=False, add_prefix_space=False
        ),
        decoder=byte_level(),
    )
    llama_added = specials(by, "<unk>", "<s>", "</s>")
    bos = template("<s> $A", "<s> $A <s>:1 $B:1", {"<s>": [1]})
    llama_decoder = sequence(
        "decoders", replace("▁", " "), kind("ByteFallback"), kind("Fuse"), kind("Strip", content=" ", start=1, stop=0)
    )
    made["bpe-llama2"] = pipeline(
        by,
        added_tokens=llama_added,
        normalizer=sequence("normalizers", kind("Prepend", prepend="▁"), replace(" ", "▁")),
        post_processor=bos,
        decoder=llama_decoder,
    )
    made["bpe-mistral"] = pipeline(
        by, added_tokens=llama_added, pre_tokenizer=metaspace("first", False), post_processor=bos, decoder=llama_decoder
    )
    made["bpe-gemma"] = pipeline(
        by,
        added_tokens=specials(by, "<unk>", "<s>", "</s>", "<pad>"),
        normalizer=replace(" ", "▁"),
        pre_tokenizer=split(" ", "MergedWithPrevious", regex=False),
        post_processor=bos,
        decoder=sequence("decoders", replace("▁", " "), kind("ByteFallback"), kind("Fuse")),
    )
    without_bytes = {t: i for i, t in enumerate(t for t in by["vocab"] if t not in set(BYTES[128:]))}
    plain: dict[str, Json] = {
        "bpe-unk": ch,
        "bpe-fuse-unk": {**ch, "fuse_unk": True},
        "bpe-no-unk": {**ch, "unk_token": None},
        "bpe-ignore-merges": {**ch, "ignore_merges": True},
        "bpe-dropout-zero": {**ch, "dropout": 0.0},
        "bpe-dropout-one": {**ch, "dropout": 1.0},
        "bpe-prefix": character_bpe(prefix="##"),
        "bpe-suffix": character_bpe(suffix="</w>"),
        "bpe-prefix-suffix": character_bpe(prefix="##", suffix="</w>"),
        "bpe-byte-fallback-partial": {**by, "vocab": without_bytes},
        "bpe-byte-fallback-no-unk": {**by, "unk_token": None, "fuse_unk": False},
    }
    for name, model in plain.items():
        suffix = model.get("end_of_word_suffix")
        made[name] = pipeline(
            model,
            added_tokens=specials(model, *SPECIAL),
            pre_tokenizer=kind("Whitespace"),
            decoder=kind("BPEDecoder", suffix=suffix) if suffix else None,
        )
    made["unigram-t5"] = pipeline(
        uni,
        added_tokens=[*specials(uni, *SPECIAL), *[added(f"<extra_{n}>", len(uni["vocab"]) + n, special=True) for n in range(3)]],
        normalizer=sequence("normalizers", kind("Precompiled", precompiled_charsmap=small_charsmap()), replace(" {2,}", "▁", True)),
        pre_tokenizer=sequence("pretokenizers", kind("WhitespaceSplit"), metaspace()),
        post_processor=template("$A </s>", "$A </s> $B </s>", {"</s>": [2]}),
        decoder=metaspace(),
    )
    made["unigram-albert"] = pipeline(
        uni,
        added_tokens=[*specials(uni, *SPECIAL[:-1]), added("<mask>", 4, special=True, lstrip=True)],
        normalizer=sequence(
            "normalizers",
            replace("``", '"'),
            replace("''", '"'),
            kind("NFKD"),
            kind("StripAccents"),
            kind("Lowercase"),
            kind("Nmt"),
        ),
        pre_tokenizer=metaspace(),
        post_processor=template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", {"</s>": [2], "<s>": [1]}),
        decoder=metaspace(),
    )
    made["unigram-whole-text"] = pipeline(uni, added_tokens=specials(uni, *SPECIAL), normalizer=replace(" ", "▁"))
    made["unigram-no-unk"] = pipeline({**uni, "unk_id": None}, pre_tokenizer=metaspace("never"), decoder=metaspace("never"))
    with_bytes = {**uni, "byte_fallback": True, "vocab": uni["vocab"][:5] + [[token, -30.0] for token in BYTES] + uni["vocab"][5:]}
    made["unigram-byte-fallback"] = pipeline(
        with_bytes,
        added_tokens=specials(with_bytes, *SPECIAL),
        pre_tokenizer=metaspace("first", False),
        decoder=sequence("decoders", kind("ByteFallback"), metaspace("first")),
    )
    ties = [[token, -2.0 * len(token)] for token, _ in uni["vocab"]]
    made["unigram-ties"] = pipeline({**uni, "vocab": ties}, pre_tokenizer=metaspace(), decoder=metaspace())
    bert_added = specials(wp, *BERT_SPECIAL)
    bert_template = template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", {"[CLS]": [2], "[SEP]": [3]})
    made["wordpiece-bert-uncased"] = pipeline(
        wp,
        added_tokens=bert_added,
        normalizer=bert_normalizer(),
        pre_tokenizer=kind("BertPreTokenizer"),
        post_processor=bert_template,
        decoder=kind("WordPiece", prefix="##", cleanup=True),
    )
    cased = word_piece(500)
    made["wordpiece-bert-cased"] = pipeline(
        cased,
        added_tokens=bert_added,
        normalizer=bert_normalizer(lower=False),
        pre_tokenizer=kind("BertPreTokenizer"),
        post_processor=kind("BertProcessing", sep=["[SEP]", 3], cls=["[CLS]", 2]),
        decoder=kind("WordPiece", prefix="##", cleanup=False),
    )
    made["wordpiece-short-words"] = pipeline(
        {**wp, "max_input_chars_per_word": 5}, added_tokens=bert_added, pre_tokenizer=kind("Whitespace")
    )
    glued = {token.replace("##", "@@", 1) if token.startswith("##") else token: i for token, i in wp["vocab"].items()}
    made["wordpiece-other-prefix"] = pipeline(
        {**wp, "continuing_subword_prefix": "@@", "vocab": glued},
        pre_tokenizer=kind("BertPreTokenizer"),
        decoder=kind("WordPiece", prefix="@@", cleanup=True),
    )
    made["wordpiece-empty-prefix"] = pipeline(
        {**wp, "continuing_subword_prefix": ""},
        pre_tokenizer=kind("WhitespaceSplit"),
        decoder=kind("WordPiece", prefix="", cleanup=False),
    )
    wl = word_level()
    made["wordlevel-whitespace"] = pipeline(wl, added_tokens=specials(wl, *BERT_SPECIAL), pre_tokenizer=kind("Whitespace"))
    made["wordlevel-lowercase"] = pipeline(
        wl,
        normalizer=sequence("normalizers", kind("NFD"), kind("Lowercase"), kind("StripAccents")),
        pre_tokenizer=kind("WhitespaceSplit"),
    )
    return made


def with_suffix(model: Json, suffix: str) -> Json:
    """CLIP's vocabulary: every byte also as the last symbol of a piece, and every merge also for the end of one."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [merge for a, b in model["merges"] if not a.startswith("Ġ") for merge in ([a, b], [a, b + suffix])]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *[letter + suffix for letter in letters], *[a + b for a, b in merges]]
    vocab = {token: n for n, token in enumerate(dict.fromkeys(tokens))}
    return {**model, "unk_token": "<|endoftext|>", "end_of_word_suffix": suffix, "vocab": vocab, "merges": merges}


# A vocabulary in which almost every character has a token of its own or falls back to bytes: it hides nothing of the stages before it.


def stage_pipelines() -> dict[str, Json]:
    """Every normalizer, pre-tokenizer, post-processor, decoder and added-token flag, each alone over a transparent model."""
    made: dict[str, Json] = {}
    by = bytes_bpe(metaspace=False)
    known = sorted({char for text in GOLDEN_TEXTS for char in text if "\u00a0" < char < "\u3000"})
    letters = {
        token: i
        for i, token in enumerate(
            [*SPECIAL, *BYTES, *[chr(c) for c in range(32, 127)], *known, "th", "he", "the", "in", "ing", "lo", "low", "▁", "Ġ"]
        )
    }
    merges = [["t", "h"], ["h", "e"], ["th", "e"], ["i", "n"], ["in", "g"], ["l", "o"], ["lo", "w"]]
    with_bytes = {**by, "vocab": letters, "merges": merges}
    without = {token: n for n, token in enumerate(token for token in letters if token not in set(BYTES))}
    clear = {**with_bytes, "vocab": without, "byte_fallback": False, "fuse_unk": False}
    bytelevel = byte_level_bpe(300)

    rooms: dict[str, dict[str, Json]] = {
        "normalizer": {
            "bert": bert_normalizer(),
            "bert-accents-kept": bert_normalizer(accents=False),
            "bert-accents-only": bert_normalizer(False, False, True, False),
            "bert-clean-only": bert_normalizer(True, False, None, False),
            "bert-chinese-only": bert_normalizer(False, True, None, False),
            "nfc": kind("NFC"),
            "nfd": kind("NFD"),
            "nfkc": kind("NFKC"),
            "nfkd": kind("NFKD"),
            "nmt": kind("Nmt"),
            "strip": kind("Strip", strip_left=True, strip_right=True),
            "strip-left": kind("Strip", strip_left=True, strip_right=False),
            "strip-right": kind("Strip", strip_left=False, strip_right=True),
            "strip-accents": kind("StripAccents"),
            "lowercase": kind("Lowercase"),
            "replace-string": replace("ll", "LL-"),
            "replace-longer": replace("e", "<eee>"),
            "replace-nothing": replace("o", ""),
            "replace-regex": replace(r"(\w)\1|\d+", "$1", True),
            "replace-empty-match": replace("x*", "-", True),
            "replace-line-ends": replace("$", "¶", True),
            "prepend": kind("Prepend", prepend="▁"),
            "prepend-long": kind("Prepend", prepend="the "),
            "precompiled": kind("Precompiled", precompiled_charsmap=small_charsmap()),
            "nfd-strip-accents-lowercase": sequence("normalizers", kind("NFD"), kind("StripAccents"), kind("Lowercase")),
            "nfkc-replace-prepend-strip": sequence(
                "normalizers",
                kind("NFKC"),
                replace(r"\s+", " ", True),
                kind("Strip", strip_left=True, strip_right=True),
                kind("Prepend", prepend="▁"),
            ),
        },
        "pre_tokenizer": {
            "bert": kind("BertPreTokenizer"),
            "whitespace": kind("Whitespace"),
            "whitespace-split": kind("WhitespaceSplit"),
            "delimiter": kind("CharDelimiterSplit", delimiter="e"),
            "delimiter-space": kind("CharDelimiterSplit", delimiter=" "),
            "digits": kind("Digits", individual_digits=False),
            "digits-individual": kind("Digits", individual_digits=True),
            "unicode-scripts": kind("UnicodeScripts"),
            "fixed-length-1": kind("FixedLength", length=1),
            "fixed-length-5": kind("FixedLength", length=5),
            **{f"punctuation-{b}": kind("Punctuation", behavior=b) for b in BEHAVIORS},
            **{
                f"metaspace-{scheme}{'' if s else '-whole'}": metaspace(scheme, s)
                for scheme in ("always", "first", "never")
                for s in (True, False)
            },
            "metaspace-replacement": metaspace("always", True, "_"),
            **{f"split-{b}": split(r"[aeiou]+|\s", b) for b in BEHAVIORS},
            **{f"split-invert-{b}": split(r"\w+", b, True) for b in BEHAVIORS},
            "split-string": split("er", "MergedWithNext", regex=False),
            "split-empty-match": split("x*", "Isolated"),
            **{f"regex-{name}": split(pattern) for name, pattern in REGEXES.items()},
            "sequence": sequence(
                "pretokenizers",
                kind("WhitespaceSplit"),
                kind("Punctuation", behavior="Isolated"),
                kind("Digits", individual_digits=True),
            ),
            "sequence-metaspace": sequence("pretokenizers", kind("UnicodeScripts"), metaspace("first")),
        },
        "decoder": {
            "bpe": kind("BPEDecoder", suffix="e"),
            "byte-fallback": kind("ByteFallback"),
            "ctc": kind("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=True),
            "ctc-raw": kind("CTC", pad_token="e", word_delimiter_token="t", cleanup=False),
            "fuse": kind("Fuse"),
            **{f"metaspace-{scheme}": metaspace(scheme) for scheme in ("always", "first", "never")},
            "replace": replace("e", "EE"),
            "replace-regex": replace(r"[aeiou]\B|^", "*", True),
            "strip": kind("Strip", content="t", start=2, stop=0),
            "strip-end": sequence("decoders", kind("Fuse"), kind("Strip", content=" ", start=1, stop=2)),
            "wordpiece": kind("WordPiece", prefix="##", cleanup=True),
            "wordpiece-raw": kind("WordPiece", prefix="t", cleanup=False),
            "byte-fallback-fuse-strip": sequence(
                "decoders", replace("▁", " "), kind("ByteFallback"), kind("Fuse"), kind("Strip", content=" ", start=1, stop=0)
            ),
            "fuse-byte-fallback": sequence("decoders", kind("Fuse"), kind("ByteFallback")),
        },
        "post_processor": {
            "template": template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", {"<s>": [1], "</s>": [2]}),
            "template-type-ids": template("<s>:3 $A:1 </s>:2", "$B:7 <s>:3 $A:1", {"<s>": [1], "</s>": [2]}),
            "template-many-ids": template("both $A", "both $A both $B", {"both": [1, 2]}, {"both": ["<s>", "</s>"]}),
            "template-twice": template("$A <s> $A", "$A $B $A", {"<s>": [1]}),
            "bert": kind("BertProcessing", sep=["</s>", 2], cls=["<s>", 1]),
            **{
                f"roberta{'-trim' if t else ''}{'-prefix' if p else ''}": kind(
                    "RobertaProcessing", sep=["</s>", 2], cls=["<s>", 1], trim_offsets=t, add_prefix_space=p
                )
                for t in (True, False)
                for p in (True, False)
            },
            "sequence": sequence("processors", byte_level(True, True), template("<s> $A", "<s> $A <s>:1 $B:1", {"<s>": [1]})),
        },
    }
    for room, kinds in rooms.items():
        for name, section in kinds.items():
            sections: Json = {"added_tokens": specials(clear, *SPECIAL), room: section}
            if room == "post_processor":
                sections["pre_tokenizer"] = byte_level(add_prefix_space="prefix" in name)
                sections["decoder"] = byte_level()
                sections["added_tokens"] = []
                made[f"{room}-{name}"] = pipeline(byte_level_bpe(300, ("<unk>", "<s>", "</s>")), **sections)
                continue
            made[f"{room}-{name}"] = pipeline(with_bytes if room in ("normalizer", "decoder") else clear, **sections)
    for prefix in (True, False):
        for trim in (True, False):
            for regex in (True, False):
                flags = "".join(str(int(flag)) for flag in (prefix, trim, regex))
                section = byte_level(prefix, trim, regex)
                made[f"pre_tokenizer-byte-level-{flags}"] = pipeline(
                    bytelevel, pre_tokenizer=section, post_processor=section, decoder=section
                )
    made["normalizer-byte-level"] = pipeline(
        bytelevel,
        normalizer=sequence("normalizers", kind("NFC"), kind("ByteLevel")),
        pre_tokenizer=split("Ġ", "MergedWithNext", regex=False),
        decoder=byte_level(),
    )
    made.update(added_token_pipelines(clear))
    made.update(option_pipelines(clear))
    return made


BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")

# One construct each of Oniguruma's syntax, chosen where dialects differ.
REGEXES = {
    "gpt2": GPT2,
    "cl100k": CL100K,
    "look-around": r"(?<=[a-z])(?=[A-Z])|(?<!\w)\d(?!\d)",
    "back-reference": r"(\w)\1+",
    "named-group": r"(?<first>[aeiou])[^aeiou]*\k<first>",
    "atomic": r"(?>a+|e)r?",
    "possessive": r"\w++|[^\w]*+",
    "interval-plus": r"[a-z]{1,3}+",
    "lazy": r"\w+?e",
    "class-operations": r"[a-z&&[^aeiou]]+|[\p{L}&&\p{Upper}]+",
    "posix": r"[[:alpha:]]+|[[:digit:][:punct:]]",
    "hexadecimal": r"\h+",
    "dot-all": r"(?m)t.*?n",
    "dot": r"t.*?n",
    "anchors": r"^.|.$|\b\w|\B\d",
    "case-insensitive": r"(?i)the|ß|straße|É",
    "inline-flags": "(?i:T)he|(?x: a b | # comment\n o w )",
    "scripts": r"\p{Han}+|\p{Hiragana}+|\p{Greek}+|\P{Latin}",
    "properties": r"\p{Lu}\p{Ll}*|\p{N}+|\p{^L}|\p{M}",
    "escapes": r"\x41|\x{e9}|\u00e9|\t|\n|\s\S",
    "line-break": r"\R|.",
    "alternation-empty": r"|e",
}


def added_token_pipelines(model: Json) -> dict[str, Json]:
    size = len(model["vocab"])
    made: dict[str, Json] = {}
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    for bits in range(32):
        chosen = {flag: bool(bits >> n & 1) for n, flag in enumerate(flags)}
        name = "".join(str(int(value)) for value in chosen.values())
        if bits not in (0, 1, 2, 4, 6, 7, 8, 9, 10, 14, 15, 16, 22, 23, 24, 31):
            continue
        tokens = [added("[MASK]", size, **chosen), added("Hello", size + 1, **chosen), added("é", size + 2, **chosen)]
        made[f"added_tokens-{name}"] = pipeline(
            model, added_tokens=tokens, normalizer=kind("Lowercase"), pre_tokenizer=kind("Whitespace")
        )
    overlap = [
        added(c, size + n, special=n % 2 == 0)
        for n, c in enumerate(["<s>wor", "low", "lower", "lowest", "est new", "  ", "    ", "▁", "\n\n"])
    ]
    made["added_tokens-overlap"] = pipeline(model, added_tokens=overlap, pre_tokenizer=metaspace())
    made["added_tokens-prepend"] = pipeline(
        model,
        added_tokens=specials(model, "<s>", "</s>", "[CLS]"),
        normalizer=sequence("normalizers", kind("Prepend", prepend="▁"), replace(" ", "▁")),
    )
    made["added_tokens-metaspace-first"] = pipeline(
        model, added_tokens=specials(model, "<s>", "</s>", "[CLS]"), pre_tokenizer=metaspace("first"), decoder=metaspace("first")
    )
    holes = [
        added("[CLS]", 9000, special=True),
        added("the", 17, special=False),
        added("[MASK]", 4_000_000_000, special=True),
        added("", size + 9),
    ]
    made["added_tokens-holes"] = pipeline(model, added_tokens=holes, pre_tokenizer=kind("Whitespace"))
    made["added_tokens-normalized-nfd"] = pipeline(
        model,
        added_tokens=[
            added("É", size, normalized=True),
            added("ﬁ", size + 1, normalized=True),
            added("ﬁ", size + 2, normalized=False),
        ],
        normalizer=sequence("normalizers", kind("NFKD"), kind("Lowercase"), kind("StripAccents")),
        pre_tokenizer=kind("WhitespaceSplit"),
    )
    made["added_tokens-byte-level"] = pipeline(
        byte_level_bpe(300),
        added_tokens=[
            added("<|endoftext|>", 0, special=True),
            added("Ā é", 300, normalized=False),
            added(" world", 301, normalized=False),
            added("ÄÖ", 302),
        ],
        pre_tokenizer=byte_level(True),
        decoder=byte_level(),
    )
    return made


def option_pipelines(model: Json) -> dict[str, Json]:
    """Truncation and padding that are stored in the file, and the shapes that older files have."""
    made: dict[str, Json] = {}

    def truncation(max_length: int, stride: int = 0, strategy: str = "LongestFirst", direction: str = "Right") -> Json:
        return {"direction": direction, "max_length": max_length, "strategy": strategy, "stride": stride}

    def padding(
        strategy: Any = "BatchLongest",
        direction: str = "Right",
        multiple: int | None = None,
        id: int = 3,
        type_id: int = 0,
        token: str = "<pad>",
    ) -> Json:
        return {
            "strategy": strategy,
            "direction": direction,
            "pad_to_multiple_of": multiple,
            "pad_id": id,
            "pad_type_id": type_id,
            "pad_token": token,
        }

    frame = template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", {"<s>": [1], "</s>": [2]})
    shared = {"added_tokens": specials(model, *SPECIAL), "pre_tokenizer": kind("Whitespace"), "post_processor": frame}
    for name, section in {
        "plain": truncation(12),
        "stride": truncation(12, 4),
        "stride-left": truncation(12, 4, direction="Left"),
        "only-first": truncation(16, 2, "OnlyFirst"),
        "only-second": truncation(16, 0, "OnlySecond"),
        "below-special-tokens": truncation(1),
        "zero": truncation(0),
    }.items():
        made[f"truncation-{name}"] = pipeline(model, truncation=section, **shared)
    for name, section in {
        "longest": padding(),
        "fixed": padding({"Fixed": 24}),
        "left": padding({"Fixed": 24}, "Left", id=7, type_id=5, token="x"),
        "multiple": padding(multiple=16),
    }.items():
        made[f"padding-{name}"] = pipeline(model, padding=section, **shared)
    made["padding-truncation"] = pipeline(
        model, padding=padding({"Fixed": 12}, "Left"), truncation=truncation(12, 3, direction="Left"), **shared
    )

    legacy = pipeline(model, added_tokens=specials(model, *SPECIAL), pre_tokenizer=kind("WhitespaceSplit"))
    string_merges = [" ".join(pair) for pair in model["merges"]]
    made["legacy-string-merges"] = {**legacy, "model": {**model, "merges": string_merges}}
    made["legacy-untagged-bpe"] = {
        **legacy,
        "model": {
            k: model[k]
            for k in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "vocab", "merges")
        },
    }
    wp, wl, uni = word_piece(160), word_level(60), unigram()
    made["legacy-untagged-wordpiece"] = {**legacy, "added_tokens": [], "model": {k: v for k, v in wp.items() if k != "type"}}
    made["legacy-untagged-wordlevel"] = {**legacy, "added_tokens": [], "model": {k: v for k, v in wl.items() if k != "type"}}
    made["legacy-untagged-unigram"] = {**legacy, "added_tokens": [], "model": {"unk_id": 0, "vocab": uni["vocab"]}}
    made["legacy-missing-sections"] = {
        "added_tokens": [],
        "model": {"type": "BPE", "vocab": model["vocab"], "merges": string_merges},
    }
    made["legacy-metaspace-prefix-space"] = {
        **legacy,
        "pre_tokenizer": kind("Metaspace", replacement="▁", add_prefix_space=True),
        "decoder": kind("Metaspace", replacement="▁", add_prefix_space=True),
    }
    made["legacy-metaspace-str-rep"] = {
        **legacy,
        "pre_tokenizer": kind("Metaspace", replacement="▁", str_rep="▁", add_prefix_space=True, prepend_scheme="first"),
    }
    made["legacy-byte-level"] = pipeline(
        byte_level_bpe(280),
        pre_tokenizer=kind("ByteLevel", add_prefix_space=True, trim_offsets=True),
        decoder=kind("ByteLevel", add_prefix_space=True, trim_offsets=True),
    )
    made["legacy-punctuation"] = {**legacy, "pre_tokenizer": kind("Punctuation")}
    made["legacy-padding"] = {
        **legacy,
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 3, "pad_type_id": 0, "pad_token": "<pad>"},
    }
    made["legacy-truncation"] = {**legacy, "truncation": {"max_length": 9, "strategy": "LongestFirst", "stride": 0}}
    return made


# A charsmap of a few dozen rules; the whole of NMT-NFKC is in `sentencepiece/unigram-nmt-nfkc.model`.
RULES = {
    "ﬁ": "fi", "ﬃ": "ffi", "½": "1⁄2", "Ａ": "A", "Ｂ": "B", "！": "!", "　": " ", "\u00a0": " ", "\u200b": " ", "\t": " ", "\n": " ", "\r": " ", "e\u0301": "é", "É": "E\u0301",
    "ｶ": "カ", "\u0000": "", "\u0001": "", "\ufeff": "", "①": "1", "㎏": "kg", "ß": "ss", "\u0085": " ", "\u2028": " ", "🇫🇷": "FR",
}  # fmt: skip


def sentencepiece_model(**options: Any) -> bytes:
    out = io.BytesIO()
    lines = [line for line in text_lines() if line.strip() and max(line) < "\u0600"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        num_threads=1,
        minloglevel=3,
        hard_vocab_limit=False,
        **options,
    )
    return out.getvalue()


def model_with_rules(**options: Any) -> bytes:
    """A SentencePiece model that is normalized by `RULES`, compiled by sentencepiece."""

    def code(s: str) -> str:
        return " ".join(f"{ord(c):04X}" for c in s)

    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        rules.write_text("".join(f"{code(a)}\t{code(b)}\n" for a, b in RULES.items() if a != "\0"), encoding="utf-8")
        return without_rules_path(sentencepiece_model(normalization_rule_tsv=str(rules), character_coverage=0.98, **options))


_small_charsmap: list[str] = []


def small_charsmap() -> str:
    """A precompiled charsmap of `RULES`, in base64."""
    if not _small_charsmap:
        _small_charsmap.append(base64.b64encode(charsmap(model_with_rules(vocab_size=200, model_type="unigram"))).decode())
    return _small_charsmap[0]


def scored(model: bytes) -> bytes:
    """The same BPE with a score for every forty pieces, and some pieces that are not used: what merges by rank cannot say."""

    def changed(n: int, piece: Piece) -> Piece:
        kind = UNUSED if piece.kind == NORMAL and len(piece.text) > 2 and n % 7 == 0 else piece.kind
        return dataclasses.replace(piece, score=piece.score // 40, kind=kind)

    return with_pieces(model, [changed(n, piece) for n, piece in enumerate(pieces_of(model))])


def sentencepiece_models() -> dict[str, bytes]:
    common: Json = {"character_coverage": 0.98}
    return {
        "unigram-nmt-nfkc": sentencepiece_model(model_type="unigram", vocab_size=400, **common),
        "unigram-identity": sentencepiece_model(
            model_type="unigram", vocab_size=400, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False, **common
        ),
        "unigram-byte-fallback": sentencepiece_model(
            model_type="unigram", vocab_size=640, normalization_rule_name="identity", byte_fallback=True, split_digits=True,
            pad_id=3, user_defined_symbols=["<sep>", "mill"], control_symbols=["<ctl>"], **common,
        ),
        "unigram-user-symbols": model_with_rules(
            model_type="unigram", vocab_size=400, user_defined_symbols=["  ", "ﬁ", "er th", "▁x"]
        ),
        "bpe-scored": scored(
            sentencepiece_model(model_type="bpe", vocab_size=760, normalization_rule_name="identity", byte_fallback=True, **common)
        ),
        "bpe-identity": sentencepiece_model(model_type="bpe", vocab_size=500, normalization_rule_name="identity", **common),
        "bpe-byte-fallback": sentencepiece_model(
            model_type="bpe", vocab_size=760, normalization_rule_name="identity", byte_fallback=True, split_digits=True,
            allow_whitespace_only_pieces=True, remove_extra_whitespaces=False, unk_surface=" ⁇ ", **common,
        ),
        "bpe-user-symbols": sentencepiece_model(
            model_type="bpe", vocab_size=500, normalization_rule_name="identity", user_defined_symbols=["<sep>", "er", "  "], treat_whitespace_as_suffix=False,
            split_by_whitespace=True, unk_id=2, bos_id=0, eos_id=1, **common,
        ),
        "bpe-whitespace-suffix": sentencepiece_model(
            model_type="bpe", vocab_size=500, normalization_rule_name="identity", treat_whitespace_as_suffix=True, **common
        ),
    }  # fmt: skip


def tiktoken_ranks(model: Json) -> tuple[str, dict[bytes, int]]:
    """The byte-level BPE's vocabulary as ranks: bytes first, then the merges in their order."""
    from_char = {char: byte for byte, char in _bytes_to_chars().items()}
    ranks = {bytes([byte]): byte for byte in range(256)}
    for left, right in model["merges"]:
        ranks.setdefault(bytes(from_char[c] for c in left + right), len(ranks))
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()), ranks


def _bytes_to_chars() -> dict[int, str]:
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


# Golden results.


def golden_encoding(tokenizer: Tokenizer, encoding: Any) -> Json:
    return {
        "ids": encoding.ids,
        # Where an added token has taken white space, `tokens` shows it.
        "tokens": encoding.tokens if encoding.tokens != [tokenizer.id_to_token(n) for n in encoding.ids] else [],
        "offsets": [edge for pair in encoding.offsets for edge in pair],
        # How many tokens each word has; tokens of none count apart, as negative numbers.
        "words": [(-1 if word is None else 1) * len(list(run)) for word, run in groupby(encoding.word_ids)],
        "types": encoding.type_ids if any(encoding.type_ids) else [],
        "masked": [n for n, mask in enumerate(encoding.attention_mask) if not mask],
        "special": [n for n, mask in enumerate(encoding.special_tokens_mask) if mask],
    }


def golden_case(tokenizer: Tokenizer, text: str, pair: str | None) -> Json:
    try:
        encoding = tokenizer.encode(text, pair)
    except BaseException as error:  # a panic derives from BaseException
        assert isinstance(error, Exception) or type(error).__name__ == "PanicException", error
        return {"error": True}
    case = golden_encoding(tokenizer, encoding)
    if encoding.overflowing:
        case["overflowing"] = [other.ids for other in encoding.overflowing]
    # As offsets count characters and the crate counts bytes, both are the test's to convert.
    try:
        decoded = tokenizer.decode(encoding.ids, skip_special_tokens=False)
        skipped = tokenizer.decode(encoding.ids, skip_special_tokens=True)
        if decoded != text:
            case["decoded"] = decoded
        if skipped != decoded:
            case["decoded_without_special"] = skipped
    except BaseException as panic:  # the reference's Strip decoder panics on a token that is all stripped
        assert type(panic).__name__ == "PanicException", panic
        case["decoded"] = None
    return {key: value for key, value in case.items() if value != []}


def golden(files: dict[str, str], sentencepieces: dict[str, bytes], ranks: dict[bytes, int]) -> Json:
    result: Json = {"texts": GOLDEN_TEXTS, "pairs": GOLDEN_PAIRS, "tokenizers": {}, "sentencepiece": {}, "tiktoken": {}}
    for name, content in sorted(files.items()):
        tokenizer = Tokenizer.from_str(content)
        model = name.startswith(("bpe", "unigram", "wordpiece", "wordlevel"))
        few = {0, 1, 2, 7} if name.startswith(("truncation", "padding", "legacy")) else {*range(11)} - {6, 8}
        texts = [text if model or n in few else None for n, text in enumerate(GOLDEN_TEXTS)]
        cases = [None if text is None else golden_case(tokenizer, text, None) for text in texts]
        if name.split("-")[0] in ("bpe", "unigram", "wordpiece", "post_processor", "truncation", "padding"):
            cases += [golden_case(tokenizer, GOLDEN_TEXTS[a], GOLDEN_TEXTS[b]) for a, b in GOLDEN_PAIRS]
        result["tokenizers"][name] = cases
    for name, model in sorted(sentencepieces.items()):
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [processor.encode(text) for text in GOLDEN_TEXTS]
        result["sentencepiece"][name] = [{"ids": i, "decoded": processor.decode(i)} for i in ids]
    encoding = tiktoken.Encoding("mill", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})
    result["tiktoken"]["mill"] = [{"ids": encoding.encode_ordinary(text)} for text in GOLDEN_TEXTS]
    return result


def write(folder: Path) -> None:
    def put(path: str, content: str | bytes) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    files: dict[str, str] = {}
    for name, config in {**model_pipelines(), **stage_pipelines()}.items():
        content = json.dumps(config, ensure_ascii=False, separators=(",", ":"))
        saved = Tokenizer.from_str(content).to_str()
        keep = name.startswith("legacy-") or name == "added_tokens-holes"
        files[name] = content if keep else saved
        put(f"tokenizers/{name}.json", files[name])
    sentencepieces = sentencepiece_models()
    for name, model in sentencepieces.items():
        put(f"sentencepiece/{name}.model", model)
    text, ranks = tiktoken_ranks(byte_level_bpe())
    put("tiktoken/mill.tiktoken", text)
    put("tiktoken/pattern.txt", CL100K)
    gpt2 = json.loads(files["bpe-gpt2"])["model"]
    put("vocab_files/bpe/vocab.json", json.dumps(gpt2["vocab"], ensure_ascii=False))
    put("vocab_files/bpe/merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in gpt2["merges"]))
    bert = json.loads(files["wordpiece-bert-uncased"])["model"]["vocab"]
    put("vocab_files/bert/vocab.txt", "".join(f"{token}\n" for token in sorted(bert, key=bert.__getitem__)))
    put("golden.json", json.dumps(golden(files, sentencepieces, ranks), ensure_ascii=False, separators=(",", ":")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; compare with what is there")
    arguments = parser.parse_args()
    for name, pinned in PINNED.items():
        if version(name) != pinned:
            parser.error(f"{name} {version(name)} is installed, {pinned} is needed")
    if not arguments.check:
        write(HERE)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        made = sorted(path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
        stale = [
            str(path)
            for path in made
            if not (HERE / path).is_file() or not filecmp.cmp(HERE / path, Path(folder) / path, shallow=False)
        ]
    print("\n".join(stale) or f"{len(made)} files are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
