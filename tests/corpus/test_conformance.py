"""The conformance run of the corpus that RUSSET_CORPUS names: real tokenizers and texts, each compared with the reference.

By default a part of it, small enough for every test run. RUSSET_CORPUS_STRINGS sets how many strings of each kind of text are
used (0 for all); RUSSET_CORPUS_ONLY names parts of tokenizer paths, with commas between.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STRINGS = os.environ.get("RUSSET_CORPUS_STRINGS", "2")
ONLY = [part for part in os.environ.get("RUSSET_CORPUS_ONLY", "").split(",") if part]


#: Into so many parts the folder of tokenizers is divided, so that workers share them.
PARTS = 8


@pytest.mark.parametrize(("folder", "part"), [*(("tokenizers", part) for part in range(PARTS)), ("big", None), ("rejects", None)])
def test_conformance(folder: str, part: int | None, corpus: Path, candidate_name: str) -> None:
    if folder == "big" and STRINGS != "0" and int(STRINGS) < 10 and not ONLY:
        pytest.skip("the large tokenizers are run with RUSSET_CORPUS_STRINGS=10 or more")
    command = [sys.executable, str(corpus / "conformance.py"), str(corpus / folder), str(corpus / "texts"), candidate_name]
    only = ONLY
    if part is not None:
        names = [f"/{path.name}/" for path in sorted((corpus / folder).iterdir())]
        only = [name for name in names if not ONLY or any(each in f"{corpus / folder}{name}tokenizer.json" for each in ONLY)][
            part::PARTS
        ]
        if not only:
            pytest.skip("RUSSET_CORPUS_ONLY leaves none of this part")
    command += ["--max-strings", STRINGS, "--max-pairs", "24" if STRINGS == "2" else "120", *[f"--only={each}" for each in only]]
    if "PYTEST_XDIST_WORKER" in os.environ:
        command += ["--jobs", "1"]
    if STRINGS == "2":
        command += ["--groups", "vocab,serialize,encode,decode,pair,pretokenized,mapping,batch"]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    last = done.stdout.strip().rsplit("\n", 1)[-1]
    found = re.fullmatch(r"(\d+) tokenizers, (\d+) cases, (\d+) mismatches", last)
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    print(last)
    failures = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok "))
    assert found.group(3) == "0", f"{last}\n{failures[:6000]}"
    assert int(found.group(1)) > 0
