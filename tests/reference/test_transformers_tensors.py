"""The torch tensors of an accelerated tokenizer are those that transformers makes of the lists."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: see `make test-reference`")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: see `make test-reference`")

from transformers_calls import BATCH, WIDE  # noqa: E402
from transformers_folders import KINDS, folder_of  # noqa: E402

from russet.integrations.transformers import accelerate  # noqa: E402


@pytest.mark.parametrize("name", KINDS)
def test_tensors(name: str, tmp_path: Path) -> None:
    folder = folder_of(name, tmp_path)
    original = transformers.AutoTokenizer.from_pretrained(folder)
    ours = accelerate(transformers.AutoTokenizer.from_pretrained(folder))
    everything = {
        "return_offsets_mapping": True,
        "return_length": True,
        "return_special_tokens_mask": True,
        "return_token_type_ids": True,
    }
    for text in (BATCH, WIDE):
        for options in ({}, everything):
            expected, got = (tokenizer(text, padding=True, return_tensors="pt", **options) for tokenizer in (original, ours))
            assert list(expected) == list(got)
            for key in expected:
                assert expected[key].dtype == got[key].dtype
                assert torch.equal(expected[key], got[key])
                got[key].add_(1)  # its own memory, that can be written
