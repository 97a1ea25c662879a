"""Texts on which tokenizers tend to differ: scripts, white space, case, normal forms, numbers, code, special tokens."""

from __future__ import annotations

from collections.abc import Iterable

TEXTS = (
    "",
    " ",
    "a",
    "\n",
    "Hello world",
    " Hello  world ",
    "The miller's ledger, 1893: it's 8.9% dust!",
    "I'll we've they're don't IT'S 'S ''",
    "Two  spaces\tand\nlines\r\n\n end ",
    "   leading and trailing   ",
    "Größe ÉCOLE naïve İstanbul ŉ ß ẞ",
    "e\u0301 é \ufb01 \u2126 \u212b \u1e9b\u0323 \u00bd \u2460",
    "ΣΑΣ Σας σας",
    "你好吗？磨坊,水車。「引用」 𠀀",
    "カタカナ ｶﾞﾊﾟ ＡＢＣ１２３！ ひらがな",
    "각 한글 물레방아 \u1100\u1161\u11a8",
    "Мельница ёЁйЙ и",
    "نُهر ١٢٣ كَمْ العربية",
    "טַחֲנָה שלום",
    "नदी क्षि বাংলা தமிழ்",
    "น้ำ ภาษาไทย ក្រុម မြန်မာ",
    "tiếng Việt đồng bằng",
    "😀👍🏽👩\u200d🌾👨\u200d👩\u200d👧 🇫🇷 ❤\ufe0f 1\ufe0f\u20e3",
    "\u00a0no\u2009break\u3000ideographic\u200bzero\ufeffwidth\u00ad",
    "\x00\x01\x7f\x85\ufffd\u2028",
    "\u0301start \u0301\u0302",
    "1 12 123 1234 12345 123456 1,234.56 ²³ Ⅷ ٣٤",
    "!!! ... --- ``` ~~~ <<< >>> «» “” ‘’ …",
    "http://a.b/c?d=e&f=%20#g me@example.org C:\\x /etc/x",
    "def f(x):\n    return x == 1234567\n\n\n\t\tpass  # end\n",
    '{"a": [1, 2.5, -3e10], "b": null}\\n',
    "camelCase XMLHttpRequest snake_case SCREAMING kebab-case",
    "x" * 120,
    "aaaaaaaa lower lowest newest ththe",
    "▁a ▁ b▁ ## ##ok Ġ Ċ <0x41>",
    "<s>Hello</s> [CLS] a [SEP] <|endoftext|> <unk><pad> [MASK]",
    "word<s>word <mask> word[MASK]word",
)


def with_tokens(tokens: Iterable[str], most: int = 60) -> list[str]:
    """Texts that have added tokens at their start, in words, between spaces and side by side."""
    chosen = list(tokens)[:most]
    texts = [f"{token}a {token} b{token}c{token}" for token in chosen]
    return [*texts, "".join(chosen[:8]), " ".join(token.upper() for token in chosen[:8])]
