"""Ids that the Swift packages expect of published models, where the model's tokenizer is in the corpus."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

russet = pytest.importorskip("russet")

# Expected ids: (file, or key of tokenizer_tests.json), the corpus' tokenizer, and what is put before.
PARAGRAPHS = {
    "bert_uncased_encoded.json": "bert-base-uncased",
    "distilbert_cased_encoded.json": "bert-base-multilingual-cased",
    "gpt2_encoded_tokens.json": "gpt2",
    "llama_encoded.json": "llama2",
    "falcon_encoded.json": "falcon",
    "gemma_encoded.json": "gemma",
    "t5_base_encoded.json": "t5-small",
    "llama_3.2_encoded.json": "llama3",
}
SENTENCES = {
    "bert-base-uncased": "bert-base-uncased",
    "google-bert/bert-base-uncased": "bert-base-uncased",
    "distilbert/distilbert-base-multilingual-cased": "bert-base-multilingual-cased",
    "distilgpt2": "gpt2",
    "coreml-projects/Llama-2-7b-chat-coreml": "llama2",
    "tiiuae/falcon-7b": "falcon",
    "pcuenq/gemma-tokenizer": "gemma",
    "t5-base": "t5-small",
    "pcuenq/Llama-3.2-1B-Instruct-tokenizer": "llama3",
}
LLAMA_3_BOS = 128000


@cache
def tokenizer(corpus: Path, name: str) -> Any:
    return russet.Tokenizer.from_file(corpus / "tokenizers" / name / "tokenizer.json")


def ids(corpus: Path, name: str, text: str) -> list[int]:
    found: list[int] = tokenizer(corpus, name).encode(text).ids
    if name == "llama3" and found[:1] != [LLAMA_3_BOS]:
        return [LLAMA_3_BOS, *found]
    return found


def read(corpus: Path, path: str) -> Any:
    return json.loads((corpus / "swift" / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", PARAGRAPHS)
def test_paragraph(file: str, corpus: Path) -> None:
    expected = read(corpus, f"swift-transformers/{file}")
    assert ids(corpus, PARAGRAPHS[file], expected["text"]) == expected["token_ids"]


@pytest.mark.parametrize("model", SENTENCES)
def test_sentences(model: str, corpus: Path) -> None:
    cases = read(corpus, "swift-transformers/tokenizer_tests.json")[model]
    assert len(cases) >= 18
    for case in cases:
        assert ids(corpus, SENTENCES[model], case["input"]) == case["encoded"]["input_ids"], case["input"]


def test_questions(corpus: Path) -> None:
    """10,570 questions, with BERT's vocabulary."""
    subject = tokenizer(corpus, "bert-base-uncased")
    questions = read(corpus, "swift-coreml-transformers/question_tokens.json")
    expected = read(corpus, "swift-coreml-transformers/tokenized_questions.json")
    assert len(questions) == len(expected) == 10_570
    rows = subject.encode_batch([question["original"] for question in questions], add_special_tokens=False)
    assert [row.ids for row in rows] == expected
    for question, row in zip(questions[::50], rows[::50], strict=False):
        assert row.tokens == question["wordpiece"]
    from_vocabulary = russet.Tokenizer.from_file(corpus / "swift" / "swift-coreml-transformers" / "vocab.txt")
    assert [
        row.ids for row in from_vocabulary.encode_batch([q["original"] for q in questions], add_special_tokens=False)
    ] == expected


def test_gpt2_vocabulary_files(corpus: Path, tmp_path: Path) -> None:
    folder = corpus / "swift" / "swift-coreml-transformers"
    (tmp_path / "vocab.json").write_bytes((folder / "gpt2-vocab.json").read_bytes())
    (tmp_path / "merges.txt").write_bytes((folder / "gpt2-merges.txt").read_bytes())
    expected = read(corpus, "swift-coreml-transformers/encoded_tokens.json")
    assert russet.Tokenizer.from_file(tmp_path / "vocab.json").encode(expected["text"]).ids == expected["token_ids"]


def test_llama_2_sentence(corpus: Path) -> None:
    expected = [1, 20628, 1183, 3614, 263, 7945, 304, 278, 3122]
    assert ids(corpus, "llama2", "Today she took a train to the West") == expected


def test_unstable_files_give_one_answer(corpus: Path) -> None:
    """Files for which the reference itself differs from run to run: loading twice gives the same tokenizer and the same ids."""
    for path in sorted((corpus / "unstable" / "tokenizers").glob("*/tokenizer.json")):
        first, second = (russet.Tokenizer.from_file(path) for _ in range(2))
        text = "The quick brown fox, don't [CLS] é 中文"
        try:
            assert first.encode(text, "pair").ids == second.encode(text, "pair").ids
        except russet.RussetError:
            with pytest.raises(russet.RussetError):
                second.encode(text, "pair")
        assert first.to_str() == second.to_str()
