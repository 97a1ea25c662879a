"""The fixtures are what their script makes, and cover every kind of stage."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import fixtures

KINDS = {
    "normalizer": "BertNormalizer ByteLevel Lowercase NFC NFD NFKC NFKD Nmt Precompiled Prepend Replace Sequence Strip StripAccents",
    "pre_tokenizer": "BertPreTokenizer ByteLevel CharDelimiterSplit Digits FixedLength Metaspace Punctuation Sequence Split UnicodeScripts "
    "Whitespace WhitespaceSplit",
    "post_processor": "BertProcessing ByteLevel RobertaProcessing Sequence TemplateProcessing",
    "decoder": "BPEDecoder ByteFallback ByteLevel CTC Fuse Metaspace Replace Sequence Strip WordPiece",
    "model": "BPE Unigram WordLevel WordPiece",
}


def kinds(part: Any) -> set[str]:
    if isinstance(part, list):
        return {kind for inner in part for kind in kinds(inner)}
    if not isinstance(part, dict):
        return set()
    own = {part["type"]} if isinstance(part.get("type"), str) else set()
    return own.union(*(kinds(inner) for key, inner in part.items() if key != "vocab"))


def test_every_kind_has_a_fixture() -> None:
    for key, names in KINDS.items():
        found = {kind for name in fixtures.names() for kind in kinds(json.loads(fixtures.content(name)).get(key))}
        assert not set(names.split()) - found, key


def test_fixtures_are_up_to_date() -> None:
    script = fixtures.DATA / "make_fixtures.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_fixtures_are_small() -> None:
    assert sum(path.stat().st_size for path in fixtures.DATA.rglob("*") if path.is_file()) < 4_000_000
