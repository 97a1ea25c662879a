"""Tokenizers as transformers loads them: a fixture, with the class and the special tokens that a configuration names."""

from __future__ import annotations

import json
from pathlib import Path

import fixtures

TEMPLATE = (
    "{% for message in messages %}{{ bos_token or '' }}{{ message.role }}: "
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{% endgeneration %}"
    "{% else %}{{ message.content or message.extra }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
#: A fixture, the class that transformers loads it with, its special tokens, and a tokenizer of the corpus that is like it.
KINDS = {
    "bpe-gpt2": ("GPT2Tokenizer", {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, "gpt2"),
    "bpe-llama2": (
        "LlamaTokenizer",
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"},
        "llama2",
    ),
    "unigram-t5": ("T5Tokenizer", {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}, "t5-small"),
    "wordpiece-bert-uncased": (
        "BertTokenizer",
        {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"},
        "bert-base-uncased",
    ),
    "bpe-llama3": (
        "PreTrainedTokenizerFast",
        {"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|endoftext|>", "chat_template": TEMPLATE},
        "llama3",
    ),
}


def folder_of(name: str, where: Path) -> Path:
    kind, special, _ = KINDS[name]
    folder = where / name
    if not folder.exists():
        folder.mkdir()
        (folder / "tokenizer.json").write_text(fixtures.content(name), encoding="utf-8")
        config = {"tokenizer_class": kind, "model_max_length": 512, "chat_template": TEMPLATE, **special}
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
