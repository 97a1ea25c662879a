"""Memory: what encoding and loading add to the process at most, and what many calls leave behind."""

from __future__ import annotations

import sys

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


FILES = {
    "bpe": """
letters = [f"{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(676)]
tokens = [chr(97 + n) for n in range(26)] + letters
pairs = [[a, b] for a in letters for b in letters][:300_000]
vocab = {t: n for n, t in enumerate([*tokens, *(a + b for a, b in pairs)])}
merges = [[l[0], l[1]] for l in letters] + pairs
model = {"type": "BPE", "vocab": vocab, "merges": merges}
""",
    "unigram": """model = {"type": "Unigram", "unk_id": 0, "vocab": [[f"piece{n}", -float(n) / 7] for n in range(400_000)]}""",
    "wordpiece": """
model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
         "vocab": {"[UNK]": 0, **{f"{'##' * (n % 2)}token{n}": n for n in range(1, 400_000)}}}
""",
}


# Their tries cost more than a short file's tokens: see "Memory" in docs/compatibility.md.
TRIES = pytest.mark.xfail(
    strict=True, reason="the tries of Unigram and WordPiece are larger than three times a file of short tokens"
)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=TRIES if kind in ("unigram", "wordpiece") else ()) for kind in FILES])
def test_loading(kind: str) -> None:
    """At most three times the file: its bytes, what is read from it, and what is compiled, at the peak."""
    code = f"""{METER}
import subprocess, tempfile
path = os.path.join(tempfile.mkdtemp(), "tokenizer.json")
make = '''import json, sys
{FILES[kind]}
json.dump({{"version": "1.0", "added_tokens": [], "model": model}}, open(sys.argv[1], "w"), ensure_ascii=False)'''
subprocess.run([sys.executable, "-c", make, path], check=True)
size = os.path.getsize(path)
fixture("bpe-gpt2").count("warm up")
reset_peak(); before = current()
tokenizer = Tokenizer.from_file(path)
grown = peak() - before
value = (grown <= 3 * size, grown, 3 * size, tokenizer.count("a piece of text") > 0)
os.unlink(path)
"""
    ending = run(code, seconds=120)
    assert ending.status == "ok", ending
    assert ending.value.startswith("(True"), f"(held, grown, allowed) = {ending.value}"


@pytest.mark.parametrize("module", ["russet", "russet.tokenizers"])
def test_many_calls_leave_nothing_behind(module: str) -> None:
    code = f"""{METER}
tokenizer = fixture("wordpiece-bert-uncased")
def work(rounds):
    for n in range(rounds):
        encoding = tokenizer.encode(f"the mill {{n}}", "stands")
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
