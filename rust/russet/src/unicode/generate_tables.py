"""Writes tables.rs: what the pinned reference tokenizers hold for true of every code point.

The reference mixes several Unicode versions (its compiler's, and those of the crates that it uses), and none of them is the
user's. So the tables are measured: every code point goes through the component that uses the property.

    pip install tokenizers==0.23.3 && python generate_tables.py
"""

from pathlib import Path

import tokenizers
from tokenizers import normalizers, pre_tokenizers

VERSION = "0.23.3"
CODE_POINTS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
BLOCK = 128

FLAGS = [  # bit, name, what it is measured with
    ("WHITESPACE", "`WhitespaceSplit` cuts there (`char::is_whitespace`); the regex crate's `\\s` is the same set"),
    ("CONTROL", "`BertNormalizer`'s cleaning removes it (general categories Cc, Cf and Co but tab, line feed, carriage return)"),
    ("PUNCTUATION", "`Punctuation` matches it"),
    ("MARK_NONSPACING", "`BertNormalizer` strips it as an accent, after NFD"),
    ("COMBINING_MARK", "`StripAccents` removes it"),
    ("NUMERIC", "`Digits` matches it (`char::is_numeric`)"),
    ("WORD", "The regex crate's `\\w`, in `Whitespace`"),
    ("CHINESE", "`BertNormalizer` puts spaces around it"),
    ("LOWERCASED", "`Lowercase` changes it"),
    ("NFD_ACTIVE", "NFD changes it, or it has a combining class"),
    ("NFKD_ACTIVE", "NFKD changes it, or it has a combining class"),
    ("NFC_ACTIVE", "NFC changes it, or it has a combining class, or it composes with a character before it"),
    ("NFKC_ACTIVE", "NFKC changes it, or it has a combining class, or it composes with a character before it"),
    ("KEPT_MARK", "Its NFD has a character with a combining class that `BertNormalizer` does not strip"),
    ("STANDS_ALONE", "Grapheme clusters never join it to another such character (carriage return and line feed aside)"),
]
BIT = {name: 1 << bit for bit, (name, _) in enumerate(FLAGS)}

# Blocks where whatever joins a neighbour is a combining mark: letters, digits and punctuation of the scripts most written.
# A test checks them against the crate that finds grapheme clusters.
ALONE_BLOCKS = [
    (0x0, 0x6FF),  # Latin to Arabic
    (0x900, 0x9FD),  # Devanagari, Bengali
    (0xE00, 0xE32),  # Thai, but SARA AM
    (0xE34, 0xE7F),
    (0x10A0, 0x10FF),  # Georgian
    (0x1E00, 0x1FFF),  # more Latin and Greek
    (0x2010, 0x9FFF),  # punctuation, symbols, kana, Chinese characters
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0xF900, 0xFF9D),  # compatibility characters
    (0x20000, 0x3FFFF),  # more Chinese characters
]


def in_batches(codes, size=4096):
    for start in range(0, len(codes), size):
        yield codes[start : start + size]


def pieces_between(pre_tokenizer, codes, separator, wanted):
    """The code points c for which `wanted(pieces)` of separator + c + separator."""
    found = set()
    for code in codes:
        pieces = [piece for piece, _ in pre_tokenizer.pre_tokenize_str(separator + chr(code) + separator)]
        if wanted(pieces, chr(code)):
            found.add(code)
    return found


def measure():
    cut = lambda pieces, _: len(pieces) > 1  # noqa: E731
    bert = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    cleaned = normalizers.BertNormalizer(**{**bert, "clean_text": True}).normalize_str
    chinese = normalizers.BertNormalizer(**{**bert, "handle_chinese_chars": True}).normalize_str
    stripped = normalizers.BertNormalizer(**{**bert, "strip_accents": True}).normalize_str
    accents = normalizers.StripAccents().normalize_str
    forms = {name: getattr(normalizers, name)().normalize_str for name in ("NFD", "NFKD", "NFC", "NFKC")}
    whitespace = pieces_between(pre_tokenizers.WhitespaceSplit(), CODE_POINTS, "a", cut)
    # `\w+|[^\w\s]+`: a word character joins its neighbours.
    words = pre_tokenizers.Whitespace()
    space = pieces_between(words, CODE_POINTS, "a", lambda pieces, c: pieces == ["a", "a"])
    assert space == whitespace, "two tables are needed"
    sets = {
        "WHITESPACE": whitespace,
        "CONTROL": {c for c in CODE_POINTS if cleaned(chr(c)) == "" and c != 0xFFFD},
        "PUNCTUATION": pieces_between(pre_tokenizers.Punctuation(), CODE_POINTS, "a", cut),
        "MARK_NONSPACING": {c for c in CODE_POINTS if stripped(chr(c)) == ""},
        "COMBINING_MARK": {c for c in CODE_POINTS if accents(chr(c)) == ""},
        "NUMERIC": pieces_between(pre_tokenizers.Digits(True), CODE_POINTS, "a", cut),
        "WORD": pieces_between(words, CODE_POINTS, "a", lambda pieces, c: pieces == [f"a{c}a"]),
        "CHINESE": {c for c in CODE_POINTS if chinese(chr(c)) != chr(c)},
    }
    lower = {c: normalizers.Lowercase().normalize_str(chr(c)) for c in CODE_POINTS}
    lower = {c: text for c, text in lower.items() if text != chr(c)}
    sets["LOWERCASED"] = set(lower)
    # A mark with a class above 1 moves behind U+0334 (class 1); one of class 1 moves before U+0301 (class 230).
    marks = set()
    for c in CODE_POINTS:
        if forms["NFD"](chr(c)) != chr(c):
            continue  # what decomposes and has a class is changed by all forms
        if any(forms["NFD"](pair) != pair for pair in (chr(c) + "\u0334", "\u0301" + chr(c))):
            marks.add(c)
    composing = set()
    for c in CODE_POINTS:
        parts = forms["NFD"](chr(c))
        if len(parts) > 1 and forms["NFC"](chr(c)) == chr(c):
            composing.add(ord(parts[-1]))
    composing |= {c for c in CODE_POINTS if ord(forms["NFD"](chr(c))[0]) in composing}
    kept = marks - sets["MARK_NONSPACING"]
    sets["KEPT_MARK"] = {c for c in CODE_POINTS if any(ord(part) in kept for part in forms["NFD"](chr(c)))}
    visible = sets["WORD"] | sets["PUNCTUATION"] | sets["NUMERIC"] | sets["WHITESPACE"] | set(range(128))
    blocks = {c for first, last in ALONE_BLOCKS for c in range(first, last + 1)}
    sets["STANDS_ALONE"] = (visible & blocks) - sets["COMBINING_MARK"]
    for name, form in forms.items():
        sets[f"{name}_ACTIVE"] = {c for c in CODE_POINTS if form(chr(c)) != chr(c)} | marks
        if name.endswith("C"):
            sets[f"{name}_ACTIVE"] |= composing
    return sets, lower


def measure_scripts():
    """Code point -> class of `UnicodeScripts`, 0 for those that never begin a piece; and a sample of each class."""
    split = pre_tokenizers.UnicodeScripts().pre_tokenize_str

    def begins_piece(left, codes):
        found = set()
        for batch in in_batches(codes):
            starts = {offsets[0] for _, offsets in split("".join(left + chr(c) for c in batch))}
            found |= {c for index, c in enumerate(batch) if 2 * index + 1 in starts}
        return found

    after_latin, after_greek = begins_piece("a", CODE_POINTS), begins_piece("\u03b1", CODE_POINTS)
    undecided = sorted(after_latin | after_greek)  # the others have no script
    scripts = {}
    samples = []
    while undecided:
        sample = undecided[0]
        samples.append(sample)
        others = begins_piece(chr(sample), undecided)
        scripts.update({c: len(samples) for c in undecided if c not in others})
        undecided = [c for c in undecided if c in others]
    return scripts, samples


def two_stages(values, limit=0x110000):
    """A list of block numbers and the distinct blocks."""
    blocks, first = [], []
    numbers = {}
    for start in range(0, limit, BLOCK):
        block = tuple(values.get(c, 0) for c in range(start, start + BLOCK))
        if block not in numbers:
            numbers[block] = len(blocks)
            blocks.append(block)
        first.append(numbers[block])
    return first, [value for block in blocks for value in block]


def rust_array(name, kind, values, doc):
    lines = [f"/// {doc}", "#[rustfmt::skip]", f"pub(super) static {name}: [{kind}; {len(values)}] = ["]
    line = "   "
    for value in values:
        text = f" {value},"
        if len(line) + len(text) > 132:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([*lines, line, "];", ""])


def main():
    assert tokenizers.__version__ == VERSION, tokenizers.__version__
    sets, lower = measure()
    scripts, samples = measure_scripts()
    flags = {}
    for name, codes in sets.items():
        for code in codes:
            flags[code] = flags.get(code, 0) | BIT[name]
    palette = sorted(set(flags.values()) | {0})
    number = {value: index for index, value in enumerate(palette)}
    first, blocks = two_stages({code: number[value] for code, value in flags.items()})
    assert max(first) < 256 and len(palette) <= 256

    longer = {code: text for code, text in lower.items() if len(text) > 1}
    deltas = {code: ord(text) - code for code, text in lower.items() if len(text) == 1}
    delta_palette = sorted(set(deltas.values()) | {0}, key=abs)
    delta_number = {value: index for index, value in enumerate(delta_palette)}
    limit = -(-(max(deltas) + 1) // BLOCK) * BLOCK
    lower_first, lower_blocks = two_stages({code: delta_number[value] for code, value in deltas.items()}, limit)
    assert longer == {0x130: "i\u0307"}, longer

    script_first, script_blocks = two_stages(scripts)
    assert max(script_first) < 256 and len(samples) < 256

    out = ["//! Generated by `generate_tables.py` from the reference, tokenizers " + VERSION + ". Do not edit.", ""]
    for name, doc in FLAGS:
        out.append(f"/// {doc}.")
        out.append(f"pub(crate) const {name}: u16 = 1 << {BIT[name].bit_length() - 1};")
    out.append("")
    out.append(f"/// Code points in a block, for all tables.\npub(super) const BLOCK: usize = {BLOCK};\n")
    out.append(rust_array("FLAG_BLOCKS", "u8", first, "The block of `FLAG_SETS` for each block of code points."))
    out.append(rust_array("FLAG_SETS", "u8", blocks, "For each code point of a block, which of `FLAGS` it has."))
    out.append(rust_array("FLAGS", "u16", palette, "The distinct sets of flags."))
    out.append(rust_array("LOWER_BLOCKS", "u8", lower_first, "The block of `LOWER_DELTAS` for each block of code points."))
    out.append(rust_array("LOWER_DELTAS", "u8", lower_blocks, "For each code point of a block, which of `DELTAS` to add."))
    out.append(rust_array("DELTAS", "i32", delta_palette, "The distinct distances from a character to its lower case."))
    out.append(rust_array("SCRIPT_BLOCKS", "u8", script_first, "The block of `SCRIPTS` for each block of code points."))
    out.append(rust_array("SCRIPTS", "u8", script_blocks, "For each code point of a block, its script, 0 for none."))
    Path(__file__).with_name("tables.rs").write_text("\n".join(out))
    print({name: len(codes) for name, codes in sets.items()})
    print(
        f"flags {len(blocks)} + {len(palette)}, lower {len(lower_blocks)} + {len(delta_palette)}, "
        f"scripts {len(script_blocks)} in {len(samples)} classes"
    )


if __name__ == "__main__":
    main()
