"""The texts of `benches/peers.py`: made once, the same on every machine that has the same sources.

A kind (english, code, multilingual, cjk) has a *plain* text, held back from everything else, and a warm-up text and slices
of 1 MB made of the rest. There is not enough licence-free text of one kind to time several megabytes that a process has never
seen (the English book has 0.7 MB), so slices are made: lines are shuffled, then a seeded share of the words is respelled by
joining the front of one word to the back of another one nearby. What decides the speed of a tokenizer with a cache is the share
of pieces that it sees for the first time; words are respelled until that share is the one counted on unseen natural text:
1.8 % of the pieces for English after 6.5 MB of warm-up, 1.1 % for code, 19.6 % for multilingual text. For CJK it is the
share that the plain text itself has. Plain text is reported beside it: natural, but after a warm-up of 2 MB that repeats one
book, so that more of it is new.

Sources are the folder that RUSSET_CORPUS names (texts/whole and texts/*.jsonl); without it the repository's one sample text.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "text" / "multilingual.txt"
MEGABYTE = 1_000_000
WARM_UP_BYTES = 2 * MEGABYTE
SLICES = 5
TURNS = 3
STEP = 0.0005
VERSION = 5

# Close to GPT-2's pieces, in what the standard library's expressions can say.
PIECE = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")
# The shortest piece that is respelled; one letter stands for more where letters are not ASCII.
WORD_LETTERS = {True: 6, False: 3}


class Kind(NamedTuple):
    whole: tuple[str, ...]
    lines: tuple[str, ...]
    separator: str
    first_seen: float | None
    """The share of first-seen pieces to reach; None: that of the plain text."""


_OTHER = "german french spanish russian greek arabic hebrew hindi bengali tamil thai khmer burmese korean vietnamese georgian"
KINDS = {
    "english": Kind(("english_pride_and_prejudice.txt",), (), "\n", 0.018),
    "code": Kind(("code_python.py.txt",), ("code_c", "code_js", "code_rust"), "\n\n", 0.011),
    "multilingual": Kind(("multilingual_mix.txt",), (*_OTHER.split(), "turkish", "polish", "amharic"), "\n", 0.196),
    "cjk": Kind(("japanese_wagahai.txt",), ("chinese", "japanese"), "\n", None),
}


def corpus() -> Path | None:
    folder = os.environ.get("RUSSET_CORPUS")
    return Path(folder) if folder and Path(folder, "texts").is_dir() else None


def jsonl(name: str) -> list[str]:
    folder = corpus()
    if folder is None:
        return []
    content = (folder / "texts" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in content.split("\n") if line]


def _size(text: str) -> int:
    return len(text.encode())


def _units(kind: Kind) -> list[str]:
    """The kind's lines (for code: blocks between blank lines), none twice, in an order that the seed decides."""
    folder = corpus()
    if folder is None:
        texts = [SAMPLE.read_text(encoding="utf-8")]
    else:
        texts = [(folder / "texts" / "whole" / name).read_text(encoding="utf-8", errors="ignore") for name in kind.whole]
        texts += [text for name in kind.lines for text in jsonl(name)]
    units = list(dict.fromkeys(unit for text in texts for unit in text.split(kind.separator) if unit.strip()))
    random.Random(5).shuffle(units)
    return units


def _fill(units: Iterable[str], separator: str, size: int) -> list[str]:
    taken, total = [], 0
    for unit in units:
        taken.append(unit)
        total += _size(unit) + len(separator)
        if total >= size:
            break
    return taken


def _endless(units: list[str], rng: random.Random) -> Iterator[str]:
    order = list(units)
    while True:
        yield from order
        rng.shuffle(order)


def _script(letter: str) -> int:
    """Letters of one number belong to scripts that words mix: the Latin blocks, the Chinese and Japanese ones, else a block."""
    point = ord(letter)
    if point < 0x250 or 0x1E00 <= point < 0x1F00:
        return 0
    return 1 if 0x3000 <= point < 0xA000 else point >> 8


def _donor(pieces: list[str], words: list[int], place: int, rng: random.Random) -> str | None:
    """A word near `place` in the same script."""
    script = _script(pieces[words[place]][-1])
    for _ in range(8):
        other = pieces[words[rng.randrange(max(0, place - 40), min(len(words), place + 40))]].lstrip()
        if _script(other[-1]) == script:
            return other
    return None


def _respell(text: str, seen: set[str], share: float, rng: random.Random) -> str:
    """Respells words of `text` until the share of pieces not in `seen` is `share`; adds all pieces to `seen`."""
    pieces = PIECE.findall(text)
    words = [index for index, piece in enumerate(pieces) if piece[-1].isalpha() and len(piece) >= WORD_LETTERS[piece.isascii()]]
    position = {index: place for place, index in enumerate(words)}
    chance, first_seen = min(0.9, share * 3), 0
    for index, piece in enumerate(pieces):
        # Steered slowly, so that respelled words are spread over the text.
        chance = min(0.9, max(0.0, chance + (STEP if first_seen < share * (index + 1) else -STEP)))
        other = _donor(pieces, words, position[index], rng) if index in position and rng.random() < chance else None
        if other is not None:
            piece = piece[: max(2, len(piece) * 2 // 3)] + other[len(other) // 2 :]
            pieces[index] = piece
        if piece not in seen:
            seen.add(piece)
            first_seen += 1
    return "".join(pieces)


def first_seen_share(text: str, seen: set[str]) -> float:
    pieces, known = PIECE.findall(text), set(seen)
    count = 0
    for piece in pieces:
        if piece not in known:
            known.add(piece)
            count += 1
    return count / max(1, len(pieces))


def _make(name: str, kind: Kind, folder: Path) -> None:
    units = _units(kind)
    plain = _fill(units, kind.separator, min(MEGABYTE, sum(map(_size, units)) * 3 // 10))
    rest = units[len(plain) :] or units
    rng = random.Random(f"{name} {VERSION}")
    source = _endless(rest, rng)
    warm_up = kind.separator.join(_fill(source, kind.separator, WARM_UP_BYTES))
    seen = set(PIECE.findall(warm_up))
    plain_text = kind.separator.join(plain)
    plain_share = first_seen_share(plain_text, seen)
    share = plain_share if kind.first_seen is None else kind.first_seen
    (folder / f"{name}-warm.txt").write_text(warm_up, encoding="utf-8", newline="")
    (folder / f"{name}-plain.txt").write_text(plain_text, encoding="utf-8", newline="")
    shares = {"plain": plain_share}
    for index in range(SLICES):
        text = kind.separator.join(_fill(source, kind.separator, MEGABYTE))
        before = set(seen)
        text = _respell(text, seen, share, rng)
        shares[str(index)] = first_seen_share(text, before)
        (folder / f"{name}-{index}.txt").write_text(text, encoding="utf-8", newline="")
    (folder / f"{name}-shares.json").write_text(json.dumps(shares, indent=1))


def sample_text(copies: int) -> str:
    """The repository's sample `copies` times, one piece in twenty respelled each time: a text that needs no corpus."""
    rng, seen = random.Random(f"sample {copies}"), set[str]()
    sample = SAMPLE.read_text(encoding="utf-8")
    return "\n".join(_respell(sample, seen, 0.05, rng) for _ in range(copies))


def _pieces_of(text: str, low: int, high: int, rng: random.Random) -> Iterator[str]:
    """Cuts the text at white space into runs of `low` to `high` bytes."""
    start = 0
    while start < len(text):
        size, end = rng.randint(low, high), start
        while end < len(text) and size > 0:
            size -= len(text[end].encode())
            end += 1
        cut = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        end = cut if cut > start + (end - start) // 2 else end
        yield text[start:end]
        start = end


def _write_list(path: Path, texts: list[str]) -> None:
    path.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8", newline="")


def _make_lists(folder: Path) -> None:
    rng = random.Random(f"lists {VERSION}")

    def slices(index: int) -> dict[str, str]:
        return {name: (folder / f"{name}-{index}.txt").read_text(encoding="utf-8") for name in KINDS}

    last, first = slices(SLICES - 1), slices(SLICES - 2)
    parts = {name: list(_pieces_of(last[name], 300, 420, rng)) for name in KINDS}
    weights = ["english"] * 7 + ["code"] + ["multilingual"] + ["cjk"]
    messages = [parts[name].pop() for name in (rng.choice(weights) for _ in range(1500)) if parts[name]]
    _write_list(folder / "messages.json", messages)
    documents = [document for name in KINDS for document in _pieces_of(first[name], 1800, 2200, rng)]
    rng.shuffle(documents)
    _write_list(folder / "documents.json", documents)
    checks = [document for name in KINDS for document in list(_pieces_of(last[name], 700, 1300, rng))[:200]]
    checks += messages[:200]
    for name in ("edge", "naughty", "emoji", "mixed_scripts", "chat_specials", "unicode_normalization"):
        checks += jsonl(name)[:150]
    _write_list(folder / "checks.json", checks)


def texts_folder(cache: Path) -> Path:
    """Makes the texts under `cache` if they are not there, and gives their folder."""
    sources = "|".join([str(VERSION), *(unit for kind in KINDS.values() for unit in _units(kind)[:50])])
    folder = cache / f"texts-{hashlib.sha256(sources.encode()).hexdigest()[:12]}"
    if not (folder / "checks.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name, kind in KINDS.items():
            _make(name, kind, folder)
        _make_lists(folder)
    return folder


def turned(text: str, turn: int) -> str:
    """The text cut in two at a line's end and put together the other way round: every piece seen before, the whole not."""
    cut = text.find("\n", len(text) * (turn + 1) // 5) + 1
    return text[cut:] + text[:cut]


def adversarial(name: str, size: int) -> str:
    """A text of about `size` bytes of the named shape."""
    rng = random.Random(f"{name} {size}")
    if name == "cjk":
        return "".join(map(chr, rng.choices(range(0x4E00, 0x9FA5), k=size // 3)))
    alphabet = {"a": "a", "letters": "abcdefghijklmnopqrstuvwxyz", "digits": "0123456789", "spaces": " ", "equals": "="}[name]
    return "".join(rng.choices(alphabet, k=size))


ADVERSARIAL = ("a", "letters", "digits", "spaces", "equals", "cjk")


if __name__ == "__main__":
    made = texts_folder(ROOT / "benches" / ".peers")
    for kind_name in KINDS:
        print(
            kind_name, {key: f"{share:.2%}" for key, share in json.loads((made / f"{kind_name}-shares.json").read_text()).items()}
        )
