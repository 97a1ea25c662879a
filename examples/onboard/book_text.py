"""The text that the model on board learns: Jane Austen's six novels, out of a Debian package.

Jane Austen died in 1817: her novels are in the public domain. The package `r-cran-janeaustenr` (main; Copyright 2016-2017
Julia Silge, licence MIT, as its /usr/share/doc/r-cran-janeaustenr/copyright says) carries them as R data. The text itself is
not in this repository: `novels` fetches the package's source, pinned by its SHA-256, keeps it in a cache folder and reads it.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import os
import re
import struct
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

#: The upstream source of Debian's r-cran-janeaustenr 1.0.0-1 (bookworm, trixie), and where it stays when Debian moves on.
ARCHIVE = "r-cran-janeaustenr_1.0.0.orig.tar.gz"
SHA256 = "b4c32ee1395ee4a8efe714c535c0fe578b0dbf5f3bb85b41fa5cc87569b8e8aa"
ADDRESSES = (
    f"http://deb.debian.org/debian/pool/main/r/r-cran-janeaustenr/{ARCHIVE}",
    f"http://snapshot.debian.org/archive/debian/20250520T000000Z/pool/main/r/r-cran-janeaustenr/{ARCHIVE}",
)
#: In the order in which they were published.
NOVELS = ("sensesensibility", "prideprejudice", "mansfieldpark", "emma", "northangerabbey", "persuasion")
#: (novel, chapter counted from 1 through all volumes): never trained on, neither the model nor the tokenizer.
#: The first is the chapter whose bits per byte are stated; the others say whether it is a lucky one.
HELD_OUT = (("persuasion", 10), ("emma", 30), ("prideprejudice", 20), ("mansfieldpark", 15))


def fetch(cache: Path) -> Path:
    """The archive's path in `cache`, downloaded if it is not there; ValueError if it is not the pinned one."""
    path = cache / ARCHIVE
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for address in ADDRESSES:
            try:
                with urllib.request.urlopen(address, timeout=60) as response:
                    content = response.read()
                break
            except urllib.error.URLError as error:
                print(f"{address}: {error}")
        else:
            raise SystemExit(f"{ARCHIVE} could not be fetched; put it into {cache} by hand (apt-get source r-cran-janeaustenr)")
        part = path.with_suffix(".part")
        part.write_bytes(content)
        os.replace(part, path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{path}: SHA-256 {found}, but {SHA256} is pinned")
    return path


def r_strings(content: bytes) -> list[str]:
    """The one character vector of an .rda file that was written by `save` (format 2, XDR, bzip2)."""
    read = io.BytesIO(bz2.decompress(content)).read
    integer = lambda: struct.unpack(">i", read(4))[0]  # noqa: E731

    def string() -> str:
        if integer() & 0xFF != 9:  # CHARSXP
            raise ValueError("a string is expected")
        return read(integer()).decode("utf-8")

    if read(7) != b"RDX2\nX\n":
        raise ValueError("not R data of format 2")
    read(12)  # versions
    if (integer() & 0xFF, integer() & 0xFF) != (2, 1):  # a list's element, and its tag: a symbol
        raise ValueError("one named value is expected")
    string()
    if integer() & 0xFF != 16:  # STRSXP
        raise ValueError("a character vector is expected")
    return [string() for _ in range(integer())]


def chapters(lines: list[str]) -> list[str]:
    """The chapters of a novel, without headings and title; one line per paragraph, lines joined."""
    found: list[list[str]] = []
    paragraph: list[str] = []
    for line in [*(line.strip() for line in lines), ""]:
        if re.fullmatch(r"(?i)chapter ([0-9]+|[ivxl]+)\.?", line):
            found.append([])
        elif line == "A NOTE ON THE TEXT":  # an editor's, not hers
            break
        elif line and not re.fullmatch(r"(?i)volume [ivx]+\.?|finis|the end|[* ]+", line):
            paragraph.append(line)
        elif paragraph:
            joined = " ".join(" ".join(paragraph).replace("_", "").split())  # underscores mark italics
            if found and joined[0] not in "[*":  # notes of editions
                found[-1].append(joined)
            paragraph = []
    return ["\n".join(paragraphs) + "\n" for paragraphs in found]


def novels(cache: Path) -> dict[str, list[str]]:
    """Each novel's chapters."""
    with tarfile.open(fetch(cache)) as archive:
        contents = {name: archive.extractfile(f"janeaustenr/data/{name}.rda") for name in NOVELS}
        return {name: chapters(r_strings(file.read())) for name, file in contents.items() if file is not None}


def split(books: dict[str, list[str]]) -> tuple[list[str], dict[tuple[str, int], str]]:
    """The chapters of the training text, and the held-out ones."""
    held_out = {(name, number): books[name][number - 1] for name, number in HELD_OUT}
    training = [chapter for name, book in books.items() for number, chapter in enumerate(book, 1) if (name, number) not in held_out]
    return training, held_out
