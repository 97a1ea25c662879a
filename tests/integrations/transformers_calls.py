"""What transformers' own tokenizers are asked for in the tests: each call is a name and a function of the tokenizer."""

from __future__ import annotations

import copy
import json
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, decoders, normalizers, pre_tokenizers, processors
from transformers import BatchEncoding

Call = Callable[[Any], Any]

PLAIN = "The miller's ledger, 1893: it's 8.9% dust!"
WIDE = "Größe ÉCOLE naïve 磨坊,水車 Мельница 👩\u200d🌾 e\u0301 \u00a0\tend"
SPECIAL = "<s>Hello</s> [MASK] <|endoftext|>[CLS]x<unk> <mask> <|end|>"
BATCH = ["Two  spaces\nand lines", WIDE, "", SPECIAL, PLAIN, "x" * 60]
PAIRS = [(PLAIN, "the mill"), ("a", WIDE), (SPECIAL, "b c d")]
WORDS = ["The", "miller's", "Größe", "磨坊", "x" * 12, ""]
CHAT = [
    {"role": "system", "content": "You run a mill."},
    {"role": "user", "content": "How much dust? <s>"},
    {"role": "assistant", "content": "About 8.9%."},
    {"role": "user", "content": None, "extra": "Größe"},
]
SECOND_CHAT = [{"role": "user", "content": "磨坊 👩\u200d🌾"}, {"role": "assistant", "content": "ja"}]

CALLS: dict[str, Call] = {}


def _ask(name: str, **options: Any) -> None:
    """One call for a text, a batch, pairs."""
    CALLS[f"text, {name}"] = lambda t: t(WIDE, **options)
    CALLS[f"batch, {name}"] = lambda t: t(BATCH, **options)
    CALLS[f"pairs, {name}"] = lambda t: t([a for a, _ in PAIRS], [b for _, b in PAIRS], **options)


_ask("plain")
_ask("no special tokens", add_special_tokens=False)
_ask("padded", padding=True)
_ask("padded to 40", padding="max_length", max_length=40, truncation=True)
_ask("padded left", padding=True, padding_side="left")
_ask("padded to a multiple", padding="longest", pad_to_multiple_of=8)
_ask("cut", truncation=True, max_length=9)
_ask("cut, first", truncation="only_first", max_length=30)
_ask("cut, overflowing", truncation=True, max_length=12, stride=3, return_overflowing_tokens=True)
_ask(
    "cut, overflowing, all",
    truncation=True,
    max_length=12,
    stride=2,
    padding="max_length",
    return_overflowing_tokens=True,
    return_offsets_mapping=True,
    return_special_tokens_mask=True,
    return_length=True,
    return_token_type_ids=True,
    return_tensors="np",
)
_ask("everything", return_offsets_mapping=True, return_special_tokens_mask=True, return_length=True, return_token_type_ids=True)
_ask("no mask", return_attention_mask=False, return_token_type_ids=False)
_ask("arrays", return_tensors="np")
_ask("arrays, padded", return_tensors="np", padding=True)
_ask("arrays, padded left, cut", return_tensors="np", padding=True, padding_side="left", truncation=True, max_length=16)
_ask(
    "arrays, everything",
    return_tensors="np",
    padding=True,
    return_offsets_mapping=True,
    return_special_tokens_mask=True,
    return_length=True,
    return_token_type_ids=True,
)
_ask("special tokens split", split_special_tokens=True)
_ask("max_length alone", max_length=7)
_ask("length too small for the stride", truncation=True, max_length=4, stride=5)
_ask("not a multiple", truncation=True, padding=True, max_length=9, pad_to_multiple_of=8)
_ask("unknown tensors", return_tensors="xyz")
_ask("arguments of the tokenizer", tokenizer_kwargs={"add_special_tokens": False, "return_length": True})

CALLS |= {
    "empty text": lambda t: t(""),
    "empty text, arrays": lambda t: t("", return_tensors="np", add_special_tokens=False),
    "empty texts, arrays": lambda t: t(["", ""], return_tensors="np", add_special_tokens=False),
    "empty batch": lambda t: t([]),
    "a tuple of texts": lambda t: t(tuple(BATCH)),
    "pairs as tuples": lambda t: t(PAIRS),
    "pairs as lists": lambda t: t([list(pair) for pair in PAIRS], padding=True, return_tensors="np"),
    "one pair": lambda t: t(PLAIN, WIDE, return_tensors="np", return_token_type_ids=True),
    "an empty second text": lambda t: t(PLAIN, ""),
    "words": lambda t: t(WORDS, is_split_into_words=True, return_offsets_mapping=True),
    "words, arrays": lambda t: t(WORDS, is_split_into_words=True, return_tensors="np"),
    "no words": lambda t: t([], is_split_into_words=True),
    "lists of words": lambda t: t([WORDS, ["a"], WORDS[::-1]], is_split_into_words=True, padding=True, return_tensors="np"),
    "pairs of words": lambda t: t([WORDS, ["a"]], [["b", "c"], WORDS], is_split_into_words=True, return_token_type_ids=True),
    "a number": lambda t: t(7),
    "a batch with a number": lambda t: t(["a", 7]),
    "nothing": lambda t: t(None),
    "batches of other lengths": lambda t: t(["a", "b"], ["c"]),
    "a surrogate": lambda t: t("a\ud800b"),
    "targets": lambda t: t(BATCH, text_target=["x", PLAIN, WIDE, "", "a", "b"]),
    "targets alone": lambda t: t(text_target=PLAIN, max_target_length=5, truncation=True),
    "encode": lambda t: t.encode(WIDE),
    "encode a pair": lambda t: t.encode(PLAIN, WIDE, add_special_tokens=False),
    "encode, cut": lambda t: t.encode(WIDE, truncation=True, max_length=8),
    "encode, arrays": lambda t: t.encode(WIDE, return_tensors="np"),
    "tokenize": lambda t: t.tokenize(WIDE),
    "tokenize with special tokens": lambda t: t.tokenize(SPECIAL, add_special_tokens=True),
    "tokenize a pair": lambda t: t.tokenize(PLAIN, pair="the mill"),
    "one call after another": lambda t: [
        t(BATCH, padding="max_length", max_length=40, truncation=True),
        t(BATCH),
        t(BATCH, truncation=True, max_length=6),
        t(PLAIN),
        t._tokenizer.truncation,
        t._tokenizer.padding,
    ],
    "settings after a call": lambda t: [t(BATCH, padding=True, truncation=True, max_length=8), t._tokenizer.to_str()],
}

# Back to text.
CALLS |= {
    "decode": lambda t: t.decode(t.encode(WIDE)),
    "decode, special tokens left out": lambda t: t.decode(t.encode(SPECIAL), skip_special_tokens=True),
    "decode, cleaned up": lambda t: t.decode(t.encode(PLAIN), clean_up_tokenization_spaces=True),
    "decode one id": lambda t: [t.decode(id) for id in range(40)],
    "decode an array": lambda t: t.decode(np.array(t.encode(WIDE))),
    "decode a batch": lambda t: t.batch_decode(t(BATCH)["input_ids"], skip_special_tokens=True),
    "decode an array of a batch": lambda t: t.batch_decode(t(BATCH, padding=True, return_tensors="np")["input_ids"]),
    "decode lists": lambda t: t.decode([[5, 6], [7]]),
    "decode nothing": lambda t: [t.decode([]), t.batch_decode([])],
    "decode what is not there": lambda t: t.decode([5, 100_000, 6]),
    "decode below zero": lambda t: t.decode([-1]),
    "decode id by id": lambda t: _stream(t, t.encode(WIDE)),
    "ids to tokens": lambda t: t.convert_ids_to_tokens(t.encode(SPECIAL)),
    "ids to tokens, special ones left out": lambda t: t.convert_ids_to_tokens(t.encode(SPECIAL), skip_special_tokens=True),
    "an id to its token": lambda t: [t.convert_ids_to_tokens(id) for id in (0, 1, 77, 100_000)],
    "tokens to ids": lambda t: t.convert_tokens_to_ids(t.tokenize(WIDE)),
    "a token to its id": lambda t: [t.convert_tokens_to_ids(token) for token in ("<s>", "[CLS]", "a", "no such token")],
    "tokens to text": lambda t: t.convert_tokens_to_string(t.tokenize(WIDE)),
    "no tokens to text": lambda t: t.convert_tokens_to_string([]),
}


def _stream(t: Any, ids: list[int]) -> list[Any]:
    """As the server of transformers does it."""
    stream = decoders.DecodeStream([], skip_special_tokens=False)
    first = [stream.step(t._tokenizer, id) for id in ids[:-3]]
    again = copy.copy(stream)
    rest = [[each.step(t._tokenizer, id) for id in ids[-3:]] for each in (stream, again)]
    with_prompt = decoders.DecodeStream(ids=ids[:4], skip_special_tokens=True)
    return [*first, *rest, *(with_prompt.step(t._tokenizer, id) for id in ids[4:])]


# What a result can be asked for.
def _mapping(t: Any) -> list[Any]:
    found = t([PLAIN, WIDE], ["the mill", SPECIAL])
    rows: list[Any] = [found.is_fast, found.n_sequences]
    for row in range(2):
        rows += [found.tokens(row), found.sequence_ids(row), found.word_ids(row)]
        rows += [found.char_to_token(row, char, sequence) for char in range(12) for sequence in (0, 1)]
        rows += [found.char_to_word(row, char) for char in range(12)]
        rows += [found.token_to_chars(row, token) for token in range(1, 9)]
        rows += [found.token_to_word(row, token) for token in range(1, 9)]
        rows += [found.token_to_sequence(row, token) for token in range(1, 9)]
        rows += [found.word_to_tokens(row, word) for word in range(3)]
        rows += [found.word_to_chars(row, word) for word in range(3)]
    return rows


def _changed_encoding(t: Any) -> list[Any]:
    encoding = t(PLAIN)[0]
    encoding.pad(60, pad_id=1, pad_token="!", direction="left")
    before = copy.deepcopy(encoding)
    encoding.truncate(10, stride=2)
    return [before, encoding, encoding.overflowing, len(encoding), type(encoding).merge([encoding, before])]


CALLS |= {
    "places": _mapping,
    "places in one text": lambda t: [t(WIDE).char_to_token(n) for n in range(len(WIDE))] + [t(WIDE).token_to_chars(1)],
    "encodings": lambda t: t(BATCH).encodings,
    "an encoding by its number": lambda t: [t(BATCH)[1], t(BATCH)[1:3]],
    "a result from one encoding": lambda t: BatchEncoding({"input_ids": [1]}, t(PLAIN)[0]),
    "an encoding, changed": _changed_encoding,
    "a result, pickled": lambda t: pickle.loads(pickle.dumps(t(PAIRS))),
    "a result, copied": lambda t: copy.deepcopy(t(WIDE, return_offsets_mapping=True)),
    "a result to arrays": lambda t: t(BATCH, padding=True).convert_to_tensors("np"),
    "pad": lambda t: t.pad(t(BATCH), padding=True),
    "pad to arrays": lambda t: t.pad([t(text) for text in BATCH], padding="max_length", max_length=80, return_tensors="np"),
    "pad left": lambda t: t.pad({"input_ids": [[5, 6], [7]]}, padding_side="left", pad_to_multiple_of=4),
}

# Chat templates.
CALLS |= {
    "chat as text": lambda t: t.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True),
    "chat": lambda t: t.apply_chat_template(CHAT),
    "chat as a list": lambda t: t.apply_chat_template(CHAT, return_dict=False),
    "chat as arrays": lambda t: t.apply_chat_template(CHAT, return_tensors="np"),
    "chat, padded": lambda t: t.apply_chat_template(CHAT, padding="max_length", max_length=200, truncation=True),
    "chats": lambda t: t.apply_chat_template([CHAT, SECOND_CHAT], padding=True, return_tensors="np"),
    "chat, go on": lambda t: t.apply_chat_template(SECOND_CHAT, continue_final_message=True),
    "chat, assistant's tokens": lambda t: t.apply_chat_template([CHAT, SECOND_CHAT], return_assistant_tokens_mask=True),
    "chat, assistant's tokens as arrays": lambda t: t.apply_chat_template(
        CHAT, return_assistant_tokens_mask=True, return_tensors="np"
    ),
    "chat, options": lambda t: t.apply_chat_template(CHAT, tokenizer_kwargs={"return_offsets_mapping": True}),
    "chat, control tokens as text": lambda t: t.apply_chat_template(CHAT, sanitize_control_tokens=True),
    "chat, one message": lambda t: t.encode_message_with_chat_template(SECOND_CHAT[1], SECOND_CHAT[:1]),
}

# The vocabulary.
CALLS |= {
    "length": lambda t: [len(t), t.vocab_size, t.is_fast, bool(t)],
    "vocabulary": lambda t: [t.get_vocab(), t.vocab, t.get_added_vocab(), t.added_tokens_encoder],
    "added tokens": lambda t: t.added_tokens_decoder,
    "special tokens": lambda t: [t.special_tokens_map, t.all_special_tokens, t.all_special_ids, t.bos_token_id, t.eos_token_id],
    "special tokens to add": lambda t: [t.num_special_tokens_to_add(), t.num_special_tokens_to_add(pair=True)],
    "lengths of sentences": lambda t: [t.max_len_single_sentence, t.max_len_sentences_pair],
    "mask of special tokens": lambda t: t.get_special_tokens_mask(t.encode(PLAIN), already_has_special_tokens=True),
    "as text": lambda t: repr(t).replace(t.name_or_path, ""),
    "plain text": lambda t: t._encode_without_added_tokens(WIDE),
}


# Calls that change the tokenizer, each given a copy of its own.
def _after(change: Call) -> Call:
    def call(t: Any) -> list[Any]:
        done = change(t)
        return [done, t(BATCH, padding=True), t.decode(t.encode(WIDE + SPECIAL)), len(t), t.added_tokens_decoder]

    return call


def _set(name: str, value: Any) -> Call:
    return _after(lambda t: setattr(t, name, value))


def _set_part(name: str, make: Callable[[], Any]) -> Call:
    def change(t: Any) -> Any:
        setattr(t._tokenizer, name, make())
        part = getattr(t._tokenizer, name)
        return None if part is None else [type(part).__name__, part.__getstate__()]

    return _after(change)


def _saved(t: Any) -> list[Any]:
    t(BATCH, padding=True, truncation=True, max_length=8)
    with tempfile.TemporaryDirectory() as folder:
        t.save_pretrained(folder)
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(folder).iterdir())}
        again = type(t).from_pretrained(folder)
        return [files, again(BATCH), again.padding_side]


def _trained(t: Any) -> list[Any]:
    """What training keeps; what it learns is not the same twice, where counts are equal."""
    texts = [[PLAIN * 3, WIDE], ["the mill the miller", "grain and flour"] * 5]
    new = t.train_new_from_iterator(texts, 300, new_special_tokens=["<new>"], show_progress=False)
    saved = json.loads(new._tokenizer.to_str())
    learnt = {name: saved["model"].pop(name, None) for name in ("vocab", "merges")}
    return [type(new).__name__, type(new._tokenizer).__module__, saved, len(learnt["vocab"]) > 50, new.special_tokens_map]


CHANGES: dict[str, Call] = {
    "add tokens": _after(lambda t: [t.add_tokens(["ller", "Größe"]), t.add_tokens("ller"), t.add_tokens([])]),
    "add a token": _after(lambda t: t.add_tokens(AddedToken("mill", single_word=True, lstrip=True), special_tokens=False)),
    "add a special token": _after(lambda t: t.add_tokens([AddedToken("磨", rstrip=True, normalized=True)], special_tokens=True)),
    "add a number": _after(lambda t: t.add_tokens([5])),
    "add special tokens": _after(lambda t: t.add_special_tokens({"extra_special_tokens": ["<x>", "dust"], "pad_token": "<x>"})),
    "add special tokens as objects": _after(lambda t: t.add_special_tokens({"sep_token": AddedToken("it", lstrip=True)})),
    "set the padding token": _set("pad_token", "a"),
    "set the padding side": _set("padding_side", "left"),
    "set the end token by id": _set("eos_token_id", 7),
    "set split_special_tokens": _set("split_special_tokens", True),
    "set add_bos_token": _set("add_bos_token", True),
    "set add_eos_token": _set("add_eos_token", True),
    "unset add_bos_token": _set("add_bos_token", False),
    "set the longest": _set("model_max_length", 6),
    "update the post-processor": _after(lambda t: t.update_post_processor()),
    "another normalizer": _set_part("normalizer", lambda: normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "no normalizer": _set_part("normalizer", lambda: None),
    "another pre-tokenizer": _set_part("pre_tokenizer", lambda: pre_tokenizers.Metaspace(prepend_scheme="first")),
    "no pre-tokenizer": _set_part("pre_tokenizer", lambda: None),
    "another post-processor": _set_part(
        "post_processor", lambda: processors.TemplateProcessing("$A b:0", "$A b:0 $B:1", special_tokens=[("b", 9)])
    ),
    "no post-processor": _set_part("post_processor", lambda: None),
    "another decoder": _set_part("decoder", lambda: decoders.Sequence([decoders.Replace("a", "A"), decoders.Fuse()])),
    "no decoder": _set_part("decoder", lambda: None),
    "a part of another kind": _set_part("decoder", lambda: normalizers.NFC()),
    "a field of the pre-tokenizer": _after(lambda t: setattr(t._tokenizer.pre_tokenizer, "add_prefix_space", True)),
    "a field of the decoder": _after(lambda t: setattr(t._tokenizer.decoder, "cleanup", False)),
    "dropout of all merges": _after(lambda t: setattr(t._tokenizer.model, "dropout", 1.0)),
    "no unknown token": _after(lambda t: setattr(t._tokenizer.model, "unk_token", None)),
    "the same model again": _after(lambda t: setattr(t._tokenizer, "model", t._tokenizer.model)),
    "limits in the backend": _after(
        lambda t: [t._tokenizer.enable_truncation(5), t._tokenizer.enable_padding(length=9), t._tokenizer.encode(WIDE)]
    ),
    "save": _saved,
    "train another": _trained,
    "copy": lambda t: [*_after(lambda c: c.add_tokens(["ller"]))(copy.deepcopy(t)), t(BATCH), len(t)],
    "pickle": lambda t: [*_after(lambda c: c.add_tokens(["ller"]))(pickle.loads(pickle.dumps(t))), t(BATCH), len(t)],
    "pickle after a change": lambda t: [
        t.add_tokens(["ller", AddedToken("磨", special=True)]),
        pickle.loads(pickle.dumps(t))(BATCH),
    ],
}
