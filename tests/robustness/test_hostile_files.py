"""Tokenizer files made to do harm: each loads or is refused with a typed error, within 4 GB and the time limit."""

from __future__ import annotations

import re

import pytest
from isolated import run

MODULES = ["russet", "russet.tokenizers"]

# name: (code, what the message of the error must say)
REFUSED: dict[str, tuple[str, str]] = {
    "charsmap-too-short": ("""Tokenizer.from_str(cfg(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}))""", r"normalizer"),
    "charsmap-missing": ("""Tokenizer.from_str(cfg(normalizer={"type": "Precompiled"}))""", r"normalizer"),
    "charsmap-number": ("""Tokenizer.from_str(cfg(normalizer={"type": "Precompiled", "precompiled_charsmap": 7}))""", r"normalizer"),
    "charsmap-not-base64": ("""Tokenizer.from_str(cfg(normalizer={"type": "Precompiled", "precompiled_charsmap": "A*=A"}))""", r"normalizer"),
    "charsmap-huge-trie": (
        """
charsmap = struct.pack("<I", 0xFFFFFFF0) + b"abcd" * 10
Tokenizer.from_str(cfg(normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}))
""",
        r"normalizer",
    ),
    "template-unknown-token": (
        """
template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}], "pair": [], "special_tokens": {}}
Tokenizer.from_str(cfg(post_processor=template))
""",
        r"\[CLS\]",
    ),
    "merge-without-token": ("""Tokenizer.from_str(cfg(model={"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}))""", r"merges\[0\].*ab"),
    "merge-without-part": ("""Tokenizer.from_str(cfg(model={"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"], ["x", "b"]]}))""", r"merges\[1\].*x"),
    "merge-shorter-than-prefix": (
        """
model = {"type": "BPE", "continuing_subword_prefix": "#" * 50, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
Tokenizer.from_str(cfg(model=model))
""",
        r"merges",
    ),
    "fixed-length-zero": ("""Tokenizer.from_str(cfg(pre_tokenizer={"type": "FixedLength", "length": 0}))""", r"pre_tokenizer"),
    "stride-above-length": (
        """Tokenizer.from_str(cfg(truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 5}))""",
        r"truncation.*stride|stride.*truncation|stride",
    ),
    "padding-beyond-memory": (
        """
padding = {"strategy": {"Fixed": 2**62}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
Tokenizer.from_str(cfg(padding=padding)).encode("a")
""",
        r"4611686018427387904",
    ),
    "deep-lists": ("""Tokenizer.from_str("[" * 200_000)""", r""),
    "deep-sequences": (
        """
depth = 20_000
normalizer = '{"type":"Sequence","normalizers":[' * depth + '{"type":"NFC"}' + ']}' * depth
Tokenizer.from_str(cfg().replace('"normalizer": null', '"normalizer": ' + normalizer))
""",
        r"",
    ),
    "deep-groups": ("""Tokenizer.from_str(cfg(pre_tokenizer=split("(" * 100_000 + "a" + ")" * 100_000)))""", r"pattern|nest|deep|limit"),
    "pattern-huge-interval": ("""Tokenizer.from_str(cfg(pre_tokenizer=split("((a{1000}){1000}){1000}"))).encode("aaa")""", r"pattern|limit"),
    "pattern-unknown-property": (r"""Tokenizer.from_str(cfg(pre_tokenizer=split(r"\p{Script=Greek}")))""", r"Script=Greek"),
    "pattern-unclosed": (r"""Tokenizer.from_str(cfg(pre_tokenizer=split(r"(a[b")))""", r"pattern"),
    "not-json": ("""Tokenizer.from_str("no json here")""", r""),
    "empty": ("""Tokenizer.from_str("")""", r""),
    "empty-buffer": ("""Tokenizer.from_buffer(b"")""", r""),
    "not-utf8": ("""Tokenizer.from_buffer(b'{"model": "\\xff\\xfe"}')""", r""),
    "unknown-model": ("""Tokenizer.from_str(cfg(model={"type": "Nothing", "vocab": {}}))""", r"model"),
    "unknown-pre-tokenizer": ("""Tokenizer.from_str(cfg(pre_tokenizer={"type": "Nothing"}))""", r"pre_tokenizer"),
    "unknown-section": ("""Tokenizer.from_str(cfg(surprise=1))""", r"surprise"),
    "id-negative": ("""Tokenizer.from_str(cfg(model={"type": "WordLevel", "unk_token": "a", "vocab": {"a": -1}}))""", r""),
    "id-beyond-32-bits": ("""Tokenizer.from_str(cfg(model={"type": "WordLevel", "unk_token": "a", "vocab": {"a": 4294967296}}))""", r""),
    "unigram-nan-unk": ("""Tokenizer.from_str(cfg(model={"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0]]}))""", r"unk"),
    "normalizer-bomb": (
        """
bomb = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}] * 12
Tokenizer.from_str(cfg(normalizer={"type": "Sequence", "normalizers": bomb})).encode("a")
""",
        r"limit|above",
    ),
    "truncated-model-file": (
        """
data = (fixtures.SENTENCEPIECE / "bpe-identity.model").read_bytes()
Tokenizer.from_buffer(data[:-1])  # inside a field: what ends between two fields is a whole, smaller model
""",
        r"",
    ),
}  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, module: str) -> None:
    code, message = REFUSED[name]
    if module == "russet.tokenizers" and name == "truncated-model-file":
        pytest.skip("the drop-in module reads tokenizer.json only")
    ending = run(code, module)
    assert ending.typed_error, ending
    assert {"ValueError", "OSError"} & set(ending.classes), ending
    assert re.search(message, ending.message, re.DOTALL), ending


ACCEPTED: dict[str, tuple[str, str]] = {
    "charsmap-random-trie": (
        """
charsmap = struct.pack("<I", 4) + b"\\x91\\x02\\x7f\\xee" + b"abc\\0def\\0"
try:
    tokenizer = Tokenizer.from_str(cfg(normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}))
    tokenizer.encode("abé中" * 10)
except ValueError:
    pass
""",
        "None",
    ),
    "strip-decoder-longer-than-token": (
        """
tokenizer = Tokenizer.from_str(cfg(decoder={"type": "Strip", "content": "a", "start": 5, "stop": 5}))
value = tokenizer.decode([0, 0])
""",
        "''",
    ),
    "declared-id-far-away": (
        """
token = {"id": 4_000_000_000, "content": "[X]", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
value = Tokenizer.from_str(cfg(added_tokens=[token])).encode("[X]").ids
""",
        "[6]",
    ),
    "nested-sequences": (
        """
normalizer = {"type": "NFC"}
for _ in range(20): normalizer = {"type": "Sequence", "normalizers": [normalizer]}
value = Tokenizer.from_str(cfg(normalizer=normalizer)).encode("ab").ids
""",
        "[2]",
    ),
    "empty-vocabulary": ("""value = Tokenizer.from_str(cfg(model={"type": "BPE", "vocab": {}, "merges": []})).encode("ab").ids""", "[]"),
    "self-overlapping-merges": ("""value = Tokenizer.from_str(cfg()).encode("aaaaa").ids""", "[5, 5, 0]"),
}  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, module: str) -> None:
    code, value = ACCEPTED[name]
    ending = run(code, module)
    assert ending.status == "ok", ending
    assert ending.value == value, ending


@pytest.mark.parametrize("module", MODULES)
def test_two_tokens_with_one_id_decode_alike_in_every_process(module: str) -> None:
    code = """
tokenizer = Tokenizer.from_str(cfg(model={"type": "BPE", "vocab": {"a": 0, "b": 0, "c": 1, "d": 1, "e": 1}, "merges": []}))
value = (tokenizer.decode([0, 1]), tokenizer.id_to_token(0), tokenizer.id_to_token(1))
"""
    endings = [run(code, module) for _ in range(4)]
    assert len({(ending.status, ending.value, ending.message) for ending in endings}) == 1, endings
    assert endings[0].status == "ok" or endings[0].typed_error, endings[0]


CATASTROPHIC = {
    "alternatives": (r"(a|a)*$", "'a' * 32 + 'b'"),
    "nested": (r"(a+)+$", "'a' * 32 + 'b'"),
    "nested-long": (r"(a+)+$", "'a' * 50_000 + 'b'"),
    "look-ahead": (r"(?:a|a)*(?=c)|.", "'a' * 60"),
    "look-ahead-each": (r"(?:(?=.).)+", "'x' * 2_000_000"),
    "back-reference": (r"(a*)*\1c", "'a' * 40"),
    "lazy": (r"(?:a*?b?)*?c", "'ab' * 2000"),
    "words": (r"(?:\w+\s?)+$", "'word ' * 4000 + '!'"),
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", CATASTROPHIC)
def test_catastrophic_patterns(name: str, module: str) -> None:
    """A pattern that backtracks without end for other engines gives its result or a typed error, soon."""
    pattern, text = CATASTROPHIC[name]
    ending = run(f"value = len(Tokenizer.from_str(cfg(pre_tokenizer=split({pattern!r}))).encode({text}).ids)", module)
    refused = {"PatternLimitError", "PatternError"} & set(ending.classes)
    assert ending.status == "ok" or (ending.typed_error and refused), ending


LINEAR_PATTERNS = [r"\s+$", r"\s+(?!\S)|\s+", r"[^\r\n\p{L}\p{N}]?\p{L}+|\s*[\r\n]+|\s+", r"\w+(?=,)|\w"]


@pytest.mark.parametrize("pattern", LINEAR_PATTERNS)
def test_patterns_take_linear_time(pattern: str) -> None:
    code = f"""
tokenizer = Tokenizer.from_str(cfg(pre_tokenizer=split({pattern!r})))
small, large = (seconds(lambda: tokenizer.count(" " * n + "b")) for n in (25_000, 100_000))
value = (large < 8 * small + 0.01, small, large)
"""
    ending = run(code)
    assert ending.status == "ok", ending
    assert ending.value.startswith("(True"), ending


def test_wordpiece_takes_linear_time_in_the_length_of_a_word() -> None:
    code = """
model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10**9,
         "vocab": {"a": 0, "##a": 1, "##aa": 2, "##" + "a" * 50: 4, "[UNK]": 3}}
tokenizer = Tokenizer.from_str(cfg(model=model))
small, large = (seconds(lambda: tokenizer.count("a" * n)) for n in (50_000, 200_000))
value = (large < 8 * small + 0.01, small, large)
"""
    ending = run(code)
    assert ending.status == "ok", ending
    assert ending.value.startswith("(True"), ending


# Formats other than tokenizer.json, through `from_file` and `from_buffer`.

OTHER_FORMATS: dict[str, str] = {
    "ranks-without-single-bytes": """open(path, "w").write(base64.b64encode(b"ab").decode() + " 0\\n")""",
    "ranks-twice": """open(path, "w").write("".join(f"{base64.b64encode(bytes([b])).decode()} {b // 2}\\n" for b in range(256)))""",
    "ranks-not-numbers": """open(path, "w").write("YQ== x\\n")""",
    "ranks-not-base64": """open(path, "w").write("Y*Q= 0\\n")""",
    "ranks-huge": """open(path, "w").write("YQ== 99999999999999999999\\n")""",
    "zeros": """open(path, "wb").write(bytes(5000))""",
    "random": """import random; open(path, "wb").write(random.Random(1).randbytes(5000))""",
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_formats(name: str) -> None:
    suffix = ".tiktoken" if name.startswith("ranks") else ".model"
    code = f"""
import tempfile
path = os.path.join(tempfile.mkdtemp(), "file{suffix}")
{OTHER_FORMATS[name]}
Tokenizer.from_file(path)
"""
    ending = run(code)
    assert ending.typed_error, ending
    assert "ValueError" in ending.classes, ending


FOLDERS = {
    "missing": ("'/no/such/file.json'", "FileNotFoundError"),
    "folder": ("'/'", "OSError"),
    "nul": ("'a\\0b'", "Exception"),
    "device": ("'/dev/zero'", "Exception"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_paths(name: str) -> None:
    path, expected = FOLDERS[name]
    ending = run(f"Tokenizer.from_file({path})")
    assert ending.typed_error, ending
    assert expected in ending.classes, ending
