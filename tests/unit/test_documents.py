"""The documents: links lead somewhere, and the Python of the README runs and prints what it says."""

from __future__ import annotations

import doctest
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/*.md"), *ROOT.glob("fuzz/*.md"), *ROOT.glob("rust/*/*.md")]
)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{document.name}: {link}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        for target in re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8")):
            assert target in targets, f"{document.name}: make {target}"


def test_readme_code() -> None:
    pytest.importorskip("russet")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        results = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    finally:
        os.chdir(before)
    assert results.attempted > 5
    assert results.failed == 0


def test_operations_are_listed() -> None:
    pytest.importorskip("russet")
    from russet.coreml.portable.compression import DECOMPRESSIONS
    from russet.coreml.portable.graph import CONTROL
    from russet.coreml.portable.operations import OPERATIONS

    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    section = text.partition("### Operations of the portable runtime")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([\w, ]+) \| (`.*`) \|$", section, re.MULTILINE))
    missing = rows.pop("not there")
    listed = re.findall(r"`(\w+)`", " ".join(rows.values()))
    assert sorted(listed) == sorted([*OPERATIONS, *CONTROL, *DECOMPRESSIONS])
    assert not set(re.findall(r"`(\w+)`", missing)) & set(listed)
