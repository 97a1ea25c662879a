"""Importing Russet is light, and needs none of the packages that it is compared with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import fixtures

HEAVY = [
    "coremltools",
    "huggingface_hub",
    "jinja2",
    "torch",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "tiktoken",
    "regex",
    "typing_extensions",
]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_heavy_is_imported() -> None:
    code = f"import sys, json, russet, russet.tokenizers; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    assert json.loads(run(code)) == []


def test_a_tokenizer_of_a_folder_needs_nothing_heavy() -> None:
    """Templates need jinja2 when one is rendered, and the Hub its client when something is fetched."""
    code = f"""
import json, pathlib, sys, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "tokenizer.json").write_bytes(pathlib.Path({str(fixtures.TOKENIZERS / "bpe-gpt2.json")!r}).read_bytes())
(folder / "tokenizer_config.json").write_text(json.dumps({{"pad_token": "<|endoftext|>"}}))
from russet import AutoTokenizer
encoded = AutoTokenizer.from_pretrained(folder)(["the mill", "stands"], padding=True, return_tensors="np")
assert encoded.input_ids.shape[0] == 2
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    assert json.loads(run(code)) == []


@pytest.mark.alone
def test_import_takes_at_most_60_ms_more_than_numpy() -> None:
    code = "import time, numpy; start = time.process_time(); import russet; print(time.process_time() - start)"
    assert min(float(run(code)) for _ in range(5)) < 0.060


def test_russet_works_without_its_references() -> None:
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocked())
for name in ("tokenizers", "sentencepiece", "tiktoken"):
    try: __import__(name)
    except ImportError: pass
    else: raise SystemExit(f"{{name}} is not blocked")
import russet, russet.tokenizers
path = {str(fixtures.TOKENIZERS / "wordpiece-bert-uncased.json")!r}
first = russet.Tokenizer.from_file(path).encode("The mill", "stands")
tokenizer = russet.tokenizers.Tokenizer.from_file(path)
second = tokenizer.encode("The mill", "stands")
assert first.ids == second.ids and first.tokens == second.tokens, (first, second)
assert tokenizer.decode(second.ids) == "the mill stands"
assert russet.Tokenizer.from_file({str(fixtures.SENTENCEPIECE / "unigram-nmt-nfkc.model")!r}).encode("The mill").ids
assert russet.Tokenizer.from_tiktoken({str(fixtures.TIKTOKEN / "mill.tiktoken")!r}, ".").encode("The mill").ids
"""
    run(code)


def test_coremltools_is_imported_without_transformers() -> None:
    """It looks whether transformers is there, which takes a second. Whoever imports transformers later must get it all the same."""
    pytest.importorskip("coremltools", reason="coremltools has no wheel here")
    code = (
        "import sys; from russet.coreml.coremltools_import import coremltools; before = list(sys.meta_path)\n"
        "with coremltools(): pass\n"
        "print('transformers' in sys.modules, sys.meta_path == before)\n"
        "import transformers; print(transformers.__version__ != '')"
    )
    assert run(code).split() == ["False", "True", "True"]
