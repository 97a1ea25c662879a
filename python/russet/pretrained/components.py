"""What transformers 5.23 has in its classes around a vocabulary, for folders without a tokenizer.json.

A class is a function that gives the parts of a tokenizer.json, what it adds to the settings, and the post-processor once all
tokens have ids. With the same files the ids are those of the class of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from russet.errors import ArgumentError, ConfigError
from russet.pretrained.stages import Ids, Json, bpe, byte_level, metaspace, precompiled, replace, sequence, template, unigram
from russet.pretrained.vocabulary_files import SentencePiece, merges_of
from russet.tokenizers._added_token import AddedToken


class Parts(NamedTuple):
    """A tokenizer before its added tokens."""

    model: Json
    normalizer: Json | None = None
    pre_tokenizer: Json | None = None
    decoder: Json | None = None
    #: The post-processor, given the id of a token; ``None`` leaves the one that settings make.
    post_processor: Callable[[Ids], Json] | None = None
    #: Whether it is there before settings are read, which may then replace it.
    is_first: bool = False
    #: Settings that the class has where the files say nothing.
    settings: Json = {}  # noqa: RUF012 - it is never changed
    #: Settings that the class makes of what the files say.
    fixed: Json = {}  # noqa: RUF012


# Classes of words


def _bert(settings: Json, tokens: dict[str, str], first_type: int = 0) -> Json:
    return {
        "type": "BertNormalizer",
        "clean_text": settings.get("clean_text", True),
        "handle_chinese_chars": settings.get("tokenize_chinese_chars", True),
        "strip_accents": settings.get("strip_accents"),
        "lowercase": settings.get("do_lower_case", True),
    }


def bert(vocab: dict[str, int], settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``BertTokenizer``."""
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    return Parts(
        {
            "type": "WordPiece",
            "unk_token": tokens["unk_token"],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
        {**_bert(settings, tokens), "clean_text": True},
        {"type": "BertPreTokenizer"},
        {"type": "WordPiece", "prefix": "##", "cleanup": True},
        lambda ids: template(f"{cls}:0 $A:0 {sep}:0", f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1", ids),
    )


def dpr(vocab: dict[str, int], settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``DPRContextEncoderTokenizer``, which lower-cases whatever its settings say."""
    return bert(vocab, {**settings, "do_lower_case": True}, tokens)


def funnel(vocab: dict[str, int], settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``FunnelTokenizer``."""
    parts = bert(vocab, settings, tokens)
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    return parts._replace(
        normalizer=_bert(settings, tokens),
        post_processor=lambda ids: template(f"{cls}:2 $A:0 {sep}:0", f"{cls}:2 $A:0 {sep}:0 $B:1 {sep}:1", ids),
    )


def mpnet(vocab: dict[str, int], settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``MPNetTokenizer``, whose special tokens have flags of their own."""
    names = ("bos_token", "eos_token", "sep_token", "cls_token", "unk_token", "pad_token")
    fixed = {name: _added(settings.get(name, tokens[name])) for name in names}
    fixed["mask_token"] = _added(settings.get("mask_token", tokens["mask_token"]), lstrip=True)
    return bert(vocab, settings, tokens)._replace(post_processor=_roberta(tokens, True, False), fixed=fixed)


def _added(token: Any, **flags: bool) -> AddedToken:
    """A token that the class makes of a text; one with flags stays."""
    return AddedToken(token, **flags) if isinstance(token, str) else token


def _roberta(
    tokens: dict[str, str], trim_offsets: bool, prefix_space: bool, names: Sequence[str] = ("sep_token", "cls_token")
) -> Any:
    sep, cls = (tokens[name] for name in names)
    return lambda ids: {
        "type": "RobertaProcessing",
        "sep": [sep, ids(sep)],
        "cls": [cls, ids(cls)],
        "trim_offsets": trim_offsets,
        "add_prefix_space": prefix_space,
    }


# Classes of bytes and pairs

_QWEN = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
_CLIP = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
Merges = Sequence[tuple[str, str]]


def _split(pattern: str, behavior: str, invert: bool = False) -> Json:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def gpt2(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``GPT2Tokenizer``."""
    spaced = bool(settings.get("add_prefix_space", False))
    model = bpe(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="")
    return Parts(model, None, byte_level(spaced), byte_level(True))


def codegen(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``CodeGenTokenizer``."""
    return gpt2(vocab, merges, settings, tokens)._replace(post_processor=lambda ids: byte_level(True, True, False), is_first=True)


def roberta(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``RobertaTokenizer``."""
    spaced, trims = bool(settings.get("add_prefix_space", False)), settings.get("trim_offsets", True)
    return gpt2(vocab, merges, settings, tokens)._replace(post_processor=_roberta(tokens, trims, spaced))


def qwen2(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``Qwen2Tokenizer``."""
    spaced = bool(settings.get("add_prefix_space"))
    pre_tokenizer = sequence("pretokenizers", _split(_QWEN, "Isolated"), byte_level(spaced, use_regex=False))
    return gpt2(vocab, merges, settings, tokens)._replace(normalizer={"type": "NFC"}, pre_tokenizer=pre_tokenizer)


def gpt_neox(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``GPTNeoXTokenizer``."""
    parts = gpt2(vocab, merges, settings, tokens)
    trims = settings.get("trim_offsets", True)
    pre_tokenizer = {**(parts.pre_tokenizer or {}), "trim_offsets": trims}
    return parts._replace(normalizer={"type": "NFC"}, pre_tokenizer=pre_tokenizer)


def clip(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``CLIPTokenizer``."""
    return Parts(
        bpe(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=tokens["unk_token"]),
        sequence("normalizers", {"type": "NFC"}, replace({"Regex": r"\s+"}, " "), {"type": "Lowercase"}),
        sequence("pretokenizers", _split(_CLIP, "Removed", invert=True), byte_level(False)),
        byte_level(True),
        _roberta(tokens, False, False, ("eos_token", "bos_token")),
    )


def deberta(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``DebertaTokenizer``."""
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    return gpt2(vocab, merges, settings, tokens)._replace(
        post_processor=lambda ids: template(f"{cls} $A {sep}", f"{cls} $A {sep} {sep} $B {sep}", ids)
    )


def herbert(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``HerbertTokenizer``."""
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    return Parts(
        bpe(vocab, merges, unk_token=tokens["unk_token"], end_of_word_suffix="</w>"),
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False, "lowercase": False},
        {"type": "BertPreTokenizer"},
        {"type": "BPEDecoder", "suffix": "</w>"},
        lambda ids: {"type": "BertProcessing", "sep": [sep, 2], "cls": [cls, 0]},
    )


def openai_gpt(vocab: dict[str, int], merges: Merges, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``OpenAIGPTTokenizer``."""
    return Parts(
        bpe(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=tokens["unk_token"]),
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        {"type": "BertPreTokenizer"},
        {"type": "BPEDecoder", "suffix": "</w>"},
    )


# Classes of SentencePiece


def count_of(settings: Json, name: str, usual: int) -> int:
    """How many tokens a setting asks for.

    Raises:
        ArgumentError: if it is no number up to a million.
    """
    count = settings.get(name, usual)
    if not isinstance(count, int) or not 0 <= count <= 1_000_000:
        raise ArgumentError(f"{name}={count!r}: it is a number of tokens, up to 1,000,000", argument=name)
    return count


def _scored(model: SentencePiece) -> list[tuple[str, float]]:
    return [(text, score) for text, score, _ in model.pieces]


def _ranked(model: SentencePiece) -> tuple[dict[str, int], Merges]:
    vocab = {text: id for id, (text, _, _) in enumerate(model.pieces)}
    return vocab, merges_of(vocab)


def _scheme(settings: Json, none: str = "never") -> str:
    return "always" if settings.get("add_prefix_space", True) else none


def _bytes_decoder(strips: bool) -> Json:
    last = {"type": "Strip", "content": " ", "start": 1, "stop": 0} if strips else None
    return sequence("decoders", replace({"String": "▁"}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}, last)


def plain(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """What transformers makes of a model where it knows no class."""
    if model.is_unigram:
        parts: Json = unigram(_scored(model), model.unk_id, model.byte_fallback)
    else:
        vocab, merges = _ranked(model)
        parts = bpe(vocab, merges, unk_token=model.unk_piece, fuse_unk=True, byte_fallback=model.byte_fallback)
    names = {"bos_token": model.bos_piece, "eos_token": model.eos_piece, "unk_token": model.unk_piece}
    return Parts(
        parts,
        sequence("normalizers", precompiled(model.charsmap), replace({"String": " "}, "▁")),
        None,
        _bytes_decoder(False) if model.byte_fallback else sequence("decoders", replace({"String": "▁"}, " ")),
        settings={name: text for name, text in names.items() if text is not None},
    )


def llama(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``LlamaTokenizer``: the space before a text comes at its start alone, unless ``legacy`` is set."""
    vocab, merges = _ranked(model)
    spaced = settings.get("add_prefix_space")
    spaced = True if spaced is None else bool(spaced)
    scheme = ("always" if settings.get("legacy", False) else "first") if spaced else "never"
    return Parts(
        bpe(vocab, merges, fuse_unk=True, byte_fallback=True), None, metaspace(scheme, split=False), _bytes_decoder(spaced)
    )


def gemma(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``GemmaTokenizer``."""
    vocab, merges = _ranked(model)
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    made = bpe(vocab, merges, unk_token=tokens["unk_token"], fuse_unk=True, byte_fallback=True)
    return Parts(made, replace({"String": " "}, "▁"), split, _bytes_decoder(False))


def t5(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``T5Tokenizer``, which has ``extra_ids`` after the pieces."""
    count = count_of(settings, "extra_ids", 100)
    vocab = _scored(model) + [(f"<extra_id_{number}>", 0.0) for number in range(count - 1, -1, -1)]
    return Parts(
        unigram(vocab, 2),
        precompiled(model.charsmap),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always")),
        metaspace("always"),
        lambda ids: template("$A </s>", "$A </s> $B </s>", lambda token: ids(tokens["eos_token"])),
    )


def xlm_roberta(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``XLMRobertaTokenizer``."""
    names = [tokens[name] for name in ("bos_token", "pad_token", "eos_token", "unk_token")]
    vocab = [*((name, 0.0) for name in names), *_scored(model)[3:], (tokens["mask_token"], 0.0)]
    bos, eos = tokens["bos_token"], tokens["eos_token"]
    return Parts(
        unigram(vocab, 3),
        precompiled(model.charsmap),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace(_scheme(settings))),
        metaspace(_scheme(settings)),
        lambda ids: template(f"{bos} $A {eos}", f"{bos} $A {eos} {eos} $B {eos}", ids),
    )


def camembert(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``CamembertTokenizer``, which puts names in place of the model's first pieces."""
    _check_unigram(model)
    first = [
        ("<s>NOTUSED", 0.0),
        (tokens["pad_token"], 0.0),
        ("</s>NOTUSED", 0.0),
        (tokens["unk_token"], 0.0),
        ("<unk>NOTUSED", -100.0),
    ]
    vocab = [*first, *_scored(model)[1:], (tokens["mask_token"], 0.0)]
    unknown = next((id for id, (text, _) in enumerate(vocab) if text == tokens["unk_token"]), 0)
    return xlm_roberta(model, settings, tokens)._replace(model=unigram(vocab, unknown), fixed=_mask(settings, tokens, special=True))


def _mask(settings: Json, tokens: dict[str, str], **flags: bool) -> Json:
    return {"mask_token": _added(settings.get("mask_token", tokens["mask_token"]), lstrip=True, **flags)}


def _quotes(*more: Json | None) -> Json:
    return sequence("normalizers", replace({"String": "``"}, '"'), replace({"String": "''"}, '"'), *more)


def _accents(settings: Json, keeps: bool, lowers: bool) -> list[Json | None]:
    stripped: list[Json | None] = [] if settings.get("keep_accents", keeps) else [{"type": "NFKD"}, {"type": "StripAccents"}]
    return [*stripped, {"type": "Lowercase"} if settings.get("do_lower_case", lowers) else None]


def albert(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``AlbertTokenizer``."""
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    named = {"[CLS]": cls, "[SEP]": sep}
    return Parts(
        unigram(_scored(model), 1),
        _quotes(*_accents(settings, False, True), precompiled(model.charsmap)),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace(_scheme(settings))),
        metaspace(_scheme(settings)),
        lambda ids: template("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", lambda token: ids(named[token])),
        is_first=True,
    )


def xlnet(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``XLNetTokenizer``."""
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    lowers = {"type": "Lowercase"} if settings.get("do_lower_case", False) else None
    return Parts(
        unigram(_scored(model), model.unk_id),
        _quotes({"type": "NFKD"}, {"type": "StripAccents"}, lowers, precompiled(model.charsmap)),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always")),
        metaspace("always"),
        lambda ids: template(f"$A:0 {sep}:0 {cls}:2", f"$A:0 {sep}:0 $B:1 {sep}:1 {cls}:2", ids),
        fixed=_mask(settings, tokens),
    )


def deberta_v2(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``DebertaV2Tokenizer``."""
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    vocab = _scored(model)
    unknown = (tokens["unk_token"], 0.0)
    scheme = _scheme(settings, "first")
    lowers = {"type": "Lowercase"} if settings.get("do_lower_case", False) else None
    marks = {"type": "Punctuation", "behavior": "Isolated"} if settings.get("split_by_punct", False) else None
    return Parts(
        unigram(vocab, vocab.index(unknown) if unknown in vocab else model.unk_id),
        sequence("normalizers", lowers, *_one_space()),
        sequence("pretokenizers", marks, metaspace(scheme)),
        metaspace(scheme),
        lambda ids: template(f"{cls}:0 $A:0 {sep}:0", f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1", ids),
    )


def _one_space() -> list[Json]:
    return [
        replace({"Regex": r"\s{2,}|[\n\r\t]"}, " "),
        {"type": "NFC"},
        {"type": "Strip", "strip_left": False, "strip_right": True},
    ]


def _check_unigram(model: SentencePiece) -> None:
    if not model.is_unigram:
        raise ConfigError("the class is for Unigram models, and the file has another", place="trainer_spec.model_type")


def barthez(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``BarthezTokenizer``."""
    _check_unigram(model)
    scheme = _scheme(settings)
    fixed = _mask(settings, tokens)
    return Parts(
        unigram(_scored(model), 3), sequence("normalizers", *_one_space()), metaspace(scheme), metaspace(scheme), fixed=fixed
    )


def pegasus(model: SentencePiece, settings: Json, tokens: dict[str, str]) -> Parts:
    """As ``PegasusTokenizer``, which puts its masks and unused names before the pieces."""
    eos = tokens["eos_token"]
    count = count_of(settings, "offset", 103)
    mask, sentence = str(settings.get("mask_token", "<mask_1>")), str(settings.get("mask_token_sent", "<mask_2>"))
    names = [tokens["pad_token"], eos, *([mask] if mask != "None" else []), *([sentence] if sentence not in ("None", mask) else [])]
    vocab = [*((name, 0.0) for name in names), *((f"<unk_{number}>", -100.0) for number in range(2, count)), *_scored(model)[2:]]
    spaces = replace({"Regex": " {2,}"}, " ")
    first = precompiled(model.charsmap) or replace({"Regex": r"\n"}, " ")
    unknown = (tokens["unk_token"], 0.0)
    if unknown not in vocab[1:]:
        raise ArgumentError(f"the unknown token {unknown[0]!r} is no piece of the model", argument="unk_token")
    return Parts(
        unigram(vocab, vocab.index(unknown, 1)),
        sequence("normalizers", first, spaces),
        metaspace("always"),
        metaspace("always"),
        lambda ids: template(f"$A {eos}", f"$A $B {eos}", ids),
    )


#: How the classes are made of a vocab.txt, of a vocab.json with merges.txt, and of a SentencePiece model.
WORDS: dict[str, Any] = {
    **dict.fromkeys(
        (
            "Bert",
            "ConvBert",
            "DistilBert",
            "Lxmert",
            "MobileBert",
            "SqueezeBert",
        ),
        bert,
    ),
    "DPRContextEncoder": dpr,
    "DPRQuestionEncoder": dpr,
    "Funnel": funnel,
    "MPNet": mpnet,
}
PAIRS: dict[str, Any] = {
    **dict.fromkeys(("Roberta", "Bart", "LED", "Mvp"), roberta),
    "GPT2": gpt2,
    "CodeGen": codegen,
    "Qwen2": qwen2,
    "GPTNeoX": gpt_neox,
    "CLIP": clip,
    "Deberta": deberta,
    "Herbert": herbert,
    "OpenAIGPT": openai_gpt,
}
PIECES: dict[str, Any] = {
    "Albert": albert,
    "Barthez": barthez,
    "Camembert": camembert,
    "DebertaV2": deberta_v2,
    "Gemma": gemma,
    "Llama": llama,
    "Pegasus": pegasus,
    "T5": t5,
    "XLMRoberta": xlm_roberta,
    "XLNet": xlnet,
}
