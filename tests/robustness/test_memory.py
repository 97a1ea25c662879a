"""Memory: what encoding and loading add to the process at most, and what many calls leave behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from isolated import run

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

METER = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
def current():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def reset_peak():
    with open("/proc/self/clear_refs", "w") as file: file.write("5")
"""


@pytest.mark.parametrize("call", ["tokenizer.encode_arrays([text])[0]", "tokenizer.encode(text, keep_text=False).ids_array"])
@pytest.mark.parametrize("name", ["bpe-gpt2", "bpe-llama2", "unigram-t5", "wordpiece-bert-uncased"])
def test_encoding_17_mb_to_ids(name: str, call: str) -> None:
    """At most twice the text and eight bytes for each token, all buffers included."""
    code = f"""{METER}
tokenizer = fixture({name!r})
line = (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")[:2400]
text = line * (17_000_000 // len(line.encode()))
size = len(text.encode())
tokenizer.count(text[:2_000_000])
reset_peak(); before = current()
ids = {call}
grown, allowed = peak() - before, 2 * size + 8 * len(ids)
value = (grown <= allowed, grown, allowed, len(ids))
"""
    ending = run(code, seconds=120)
    assert ending.status == "ok", ending
    assert ending.value.startswith("(True"), f"(held, grown, allowed, tokens) = {ending.value}"


# The cache of words and pieces, which begins with 256 KiB, counts apart.
LOAD = """
size, cache = os.path.getsize(path), 256 << 10
for name in ("bpe-gpt2", "bpe-llama2", "unigram-albert", "wordpiece-bert-uncased"):
    fixture(name).count("warm up")  # so that the code itself is in memory
reset_peak(); before = current()
tokenizer = Tokenizer.from_file(path)
grown = peak() - before
value = (grown <= 3 * size + cache, grown, 3 * size + cache, f"{grown / size:.2f}")
"""

# Words whose lengths, and whose beginnings in common, are about those of a published vocabulary.
WORDS = """
import itertools, random
def words(count, alphabets):
    draw, found = random.Random(1), {}
    weights = [[*itertools.accumulate(1 / (place + 1) for place in range(len(letters)))] for letters in alphabets]
    while len(found) < count:
        which = draw.randrange(len(alphabets))
        length = min(4 + int(draw.expovariate(0.45)), 18) if draw.random() < 0.93 else draw.randint(1, 3)
        found["".join(draw.choices(alphabets[which], cum_weights=weights[which], k=length))] = None
    return list(found)
latin, russian, georgian = "etaoinshrdlucmfwypvbgkjqxz", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфё", "აიერსნულდმობგვთტქკშჩხცფზძჭწყღპჯჰჟ"
han = "".join(map(chr, range(0x4E00, 0x9FA5)))
"""

FILES = {
    "bpe": """
letters = [f"{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(676)]
tokens = [chr(97 + n) for n in range(26)] + letters
pairs = [[a, b] for a in letters for b in letters][:300_000]
vocab = {t: n for n, t in enumerate([*tokens, *(a + b for a, b in pairs)])}
merges = [[l[0], l[1]] for l in letters] + pairs
model = {"type": "BPE", "vocab": vocab, "merges": merges}
""",
    "bpe-without-type": """
beginnings = {word[:length]: None for word in words(25_000, [latin]) for length in range(2, len(word) + 1)}
model = {"vocab": {token: n for n, token in enumerate([*latin, *beginnings])},
         "merges": [f"{token[:-1]} {token[-1]}" for token in beginnings]}
""",
    "unigram": """model = {"type": "Unigram", "unk_id": 0, "vocab": [[f"piece{n}", -float(n) / 7] for n in range(400_000)]}""",
    "unigram-t5": """
pieces = [("▁" if n % 3 else "") + word for n, word in enumerate(words(32_000, [latin]))]
model = {"type": "Unigram", "unk_id": 0, "vocab": [[piece, -2 - n / 2345.67] for n, piece in enumerate(["<unk>", *pieces])]}
""",
    "unigram-xlm-r": """
pieces = [("▁" if n % 3 else "") + word for n, word in enumerate(words(250_000, [latin, russian, georgian, han]))]
model = {"type": "Unigram", "unk_id": 0, "vocab": [[piece, -2 - n / 23456.78] for n, piece in enumerate(["<unk>", *pieces])]}
""",
    "wordpiece": """
model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
         "vocab": {"[UNK]": 0, **{f"{'##' * (n % 2)}token{n}": n for n in range(1, 400_000)}}}
""",
    "wordpiece-bert": """
pieces = [("" if n % 4 else "##") + word for n, word in enumerate(words(30_000, [latin]))]
model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
         "vocab": {piece: n for n, piece in enumerate(["[UNK]", *pieces])}}
""",
    "wordpiece-bert-multilingual": """
pieces = [("" if n % 4 else "##") + word for n, word in enumerate(words(119_000, [latin, latin, russian, georgian, han]))]
model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
         "vocab": {piece: n for n, piece in enumerate(["[UNK]", *pieces])}}
""",
    "wordlevel": """
model = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {word: n for n, word in enumerate(["[UNK]", *words(30_000, [latin])])}}
""",
}


@pytest.mark.parametrize("kind", FILES)
def test_loading(kind: str) -> None:
    """At most three times the file: its bytes, what is read from it, and what is compiled, at the peak."""
    code = f"""{METER}
import subprocess, tempfile
path = os.path.join(tempfile.mkdtemp(), "tokenizer.json")
make = '''import json, sys
{WORDS}{FILES[kind]}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump({{"version": "1.0", "added_tokens": [], "model": model}}, file, ensure_ascii=False, separators=(",", ":"))'''
subprocess.run([sys.executable, "-c", make, path], check=True)
{LOAD}
os.unlink(path)
"""
    ending = run(code, seconds=120)
    assert ending.status == "ok", ending
    assert ending.value.startswith("(True"), f"(held, grown, allowed) = {ending.value}"


def test_loading_the_corpus(corpus: Path, tmp_path: Path) -> None:
    """The same for every published file that is large enough for a few pages not to count."""
    files = [path for path in corpus.glob("tokenizers/*/tokenizer.json") if path.stat().st_size > 300_000]
    for path in corpus.glob("big/tokenizers/*/tokenizer.json.zst"):
        files.append(tmp_path / f"{path.parent.name}.json")
        subprocess.run(["zstd", "-q", "-d", path, "-o", files[-1]], check=True)
    assert files
    endings = {str(path): run(f"{METER}\npath = {str(path)!r}\n{LOAD}", seconds=60) for path in files}
    above = {path: str(ending) for path, ending in endings.items() if not str(ending.value).startswith("(True")}
    assert not above


@pytest.mark.parametrize("module", ["russet", "russet.tokenizers"])
def test_many_calls_leave_nothing_behind(module: str) -> None:
    code = f"""{METER}
tokenizer = fixture("wordpiece-bert-uncased")
def work(rounds):
    for n in range(rounds):
        # Few enough words for the cache to know them all after the first rounds.
        encoding = tokenizer.encode(f"the mill {{n % 1000}}", "stands")
        encoding.tokens, encoding.offsets, encoding.overflowing
        tokenizer.decode(encoding.ids)
        try: tokenizer.encode("a\\ud800")
        except Exception: pass
        try: tokenizer.decode([10**6])
        except Exception: pass
work(4000)
before = current()
work(16_000)
value = current() - before
"""
    ending = run(code, module, seconds=60)
    assert ending.status == "ok", ending
    assert int(ending.value) < 1 << 20, f"{ending.value} bytes in 16,000 rounds"
