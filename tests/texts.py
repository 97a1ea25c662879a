"""Texts for tests: edge cases written out, and generators that are seeded by the caller."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import fixtures

# Each is here because some stage treats it in a way of its own.
EDGES = [
    "",
    " ",
    "   ",
    "a",
    "\n",
    "\r\n\r\n",
    "\t a\tb ",
    "The miller's ledger, 1893: it's 8.9% dust!",
    "  Two  spaces\tand\nlines\r\n\n end ",
    "I'll we've they're don't it's I'd I'm 'S 'LL ''s'",
    "Größe ÉCOLE naïve İstanbul e\u0301 ﬁ ½ ß ŉ ǰ ΐ",
    "ẞ İ I ı K Å Ω ﬀ ǆ Σας ΣΑΣ",  # lower-casing that changes lengths or depends on place
    "\u1e9b\u0323 \u0344 \u0958 \u2126 \ufb1d \U0001d15e",  # normalization forms that differ from each other
    "각 한글 힣 ㄱㅏ ᄀ\u1161\u11a8",
    "磨坊,水車カタカナ 물레방아。「引用」",
    "你好吗？ 𠀀𠀁 㐀 龥 豈 々〆〇",
    "ｶﾞﾊﾟ ｱｲｳ ＡＢＣ１２３！ ㍿ ㎏ ① ⅷ",
    "Мельница ёЁйЙ μύλος άέή نُهر ١٢٣ كَمْ नदी क्षि น้ำ ក្រុម",
    "טַחֲנָה תַּבְנִית ﬞ",
    "\u202eabc\u202c \u200fאב\u200e",
    "😀👍🏽👩\u200d🌾👨\u200d👩\u200d👧\u200d👦🇫🇷🇯🇵❤\ufe0f☕\ufe0e 1\ufe0f\u20e3",
    "\u200b \u00a0 \u3000 \ufeff \u2009 \u00ad \u2060 \u180e \u205f",
    "\x00\x01a\u0301\u0300\ufffd\u0085\u2028b\u2029\x1c\x1f\x7f\x80\x9f",
    "\ufdd0 \ufffe \U0001ffff \ue000 \U000f0000 \u0378 \U0010ffff",
    "\u0301start \u0301\u0302\u0303",
    "e" + "\u0301" * 40 + " z\u0335\u0336",
    "<|endoftext|>Hello[MASK] <s>world</s>[CLS]",
    "<s> </s><unk><pad><mask> <mask>\u00a0<mask>[UNK]",
    " [MASK] Hello[MASK]Hello hello HELLO é É e\u0301",
    "<|begin|><|end|><extra_0> <extra_1>x<extra_2>",
    "<s>wor lower lowest est new      \n\n▁ low▁lower",
    "Ā é worldÄÖ world Ġ Ċ ĉ",
    "aaaaaaaa lower lowest newest UNBREAKABLE",
    "def f(x):\n    return x==1234567 ##ok ▁▁x\n\n\n\t\tpass  # end\n",
    '{"a": [1, 2.5, -3e10], "b": null}\\n',
    "x" * 120 + " " + "é" * 101 + " " + "中" * 30,
    "1 12 123 1234 12345 123456 1,234.56 ²³ ½ ٣٤ Ⅷ 𝟜",
    "!!! ... --- ___ +++ $$$ ^^^ ``` ~~~ ||| <<< >>> «» „“ ‚‘ …—–",
    "http://a.b/c?d=e&f=%20#g me@example.org C:\\x\\y /etc/x",
    "camelCaseXMLHttpRequest snake_case SCREAMING_CASE kebab-case",
    " a  b   c    d     e",
    "a b\u00a0c\u2003d\u3000e\u1680f\u2028g\u0085h\x0bi\x0cj",
    "▁a ▁ b▁ ▁▁ _a_ a_b",
    "don\u2019t l\u2019eau rock\u2018n\u2019roll O\u02bcclock",
    "<0x41> <0xE2> <0x00>",
    "a\u0300\u0316 \u0316\u0300a q\u0307\u0323",
    "🏳\ufe0f\u200d🌈" * 3,
    "the the the\tThe tHe ththe thhe lolow",
    "\ud7a4x \u0e33 \u0eb3 \u0f77 \U0001f1e6 \U000e0001 \U000e0061",
]

_RANGES = [
    (0x00, 0x7F), (0x80, 0xFF), (0x100, 0x24F), (0x250, 0x36F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x6FF),
    (0x900, 0xDFF), (0xE00, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x11FF), (0x1780, 0x18AF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x214F), (0x2150, 0x218F), (0x2190, 0x27BF), (0x2C00, 0x2DFF), (0x2E80, 0x2FDF), (0x3000, 0x30FF),
    (0x3100, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0xF900, 0xFAFF),
    (0xFB00, 0xFDFF), (0xFE00, 0xFE2F), (0xFE30, 0xFEFF), (0xFF00, 0xFFFF), (0x10000, 0x107FF), (0x10800, 0x11FFF), (0x16A00, 0x16FFF),
    (0x1B000, 0x1BFFF), (0x1D000, 0x1D7FF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FAFF), (0x20000, 0x2FA1F), (0xE0000, 0xE01EF), (0x0, 0x10FFFF),
]  # fmt: skip
_SPACES = " \t\n\r\u00a0\u2003\u3000\u200b\u0085\u2028"


def random_char(rng: random.Random) -> str:
    while True:
        low, high = rng.choice(_RANGES)
        code = rng.randint(low, high)
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


@cache
def lines() -> list[str]:
    text = (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line]


def random_text(rng: random.Random, vocabulary: list[str], length: int) -> str:
    """About `length` characters: runs of one script, tokens of the vocabulary, prose, spaces, and single characters of any kind."""
    parts: list[str] = []
    size = 0
    while size < length:
        choice = rng.random()
        if choice < 0.30 and vocabulary:
            part = rng.choice(vocabulary)
            if rng.random() < 0.2:
                part = rng.choice([part.upper(), part.lower(), part[1:], part[:-1], part * 2])
        elif choice < 0.45:
            low, high = rng.choice(_RANGES)
            codes = [rng.randint(low, min(high, low + 200)) for _ in range(rng.randint(1, 8))]
            part = "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)
        elif choice < 0.60:
            line = rng.choice(lines())
            start = rng.randrange(len(line))
            part = line[start : start + rng.randint(1, 30)]
        elif choice < 0.75:
            part = rng.choice(_SPACES) * rng.choice([1, 1, 1, 2, 3, 7])
        elif choice < 0.80:
            part = rng.choice(EDGES)[:60]
        elif choice < 0.88:
            part = "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789'.,-_!?") for _ in range(rng.randint(1, 10)))
        else:
            part = random_char(rng)
        parts.append(part)
        size += len(part)
    return "".join(parts)[:length]


def random_texts(rng: random.Random, vocabulary: list[str], characters: int, longest: int = 200) -> Iterator[str]:
    """Texts of 1 to `longest` characters, `characters` in all."""
    while characters > 0:
        length = min(characters, int(longest ** rng.random()) + 1)
        yield random_text(rng, vocabulary, length)
        characters -= length


def code_points(step: int = 1, first: int = 0) -> Iterator[str]:
    """Each of the 1,112,064 characters, or every `step`-th of them."""
    for code in range(first % step, 0x110000, step):
        if not 0xD800 <= code <= 0xDFFF:
            yield chr(code)
