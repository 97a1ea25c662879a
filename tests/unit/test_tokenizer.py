"""`russet.Tokenizer` and `russet.Encoding`: what the frozen interface promises beyond the ids."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fixtures

russet = pytest.importorskip("russet")

BERT = fixtures.TOKENIZERS / "wordpiece-bert-uncased.json"


@pytest.fixture
def tokenizer() -> Any:
    return russet.Tokenizer.from_file(BERT)


def test_every_way_to_load(tokenizer: Any, tmp_path: Path) -> None:
    assert russet.Tokenizer.from_file(str(BERT)) == tokenizer
    assert russet.Tokenizer.from_str(BERT.read_text(encoding="utf-8")) == tokenizer
    assert russet.Tokenizer.from_buffer(BERT.read_bytes()) == tokenizer
    (tmp_path / "tokenizer.json").write_bytes(BERT.read_bytes())
    assert russet.Tokenizer.from_pretrained(tmp_path) == tokenizer
    tokenizer.save(tmp_path / "saved.json")
    assert russet.Tokenizer.from_file(tmp_path / "saved.json") == tokenizer


def test_a_compiled_file_gives_the_same_tokenizer(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.russet"
    tokenizer.save_compiled(path)
    for compiled in (russet.Tokenizer.from_compiled(path), russet.Tokenizer.from_file(path)):
        assert compiled == tokenizer
        assert compiled.encode("the mill stands").ids == tokenizer.encode("the mill stands").ids
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    content = path.read_bytes()
    path.write_bytes(content[:-8] + b"damaged!")
    with pytest.raises(russet.ConfigError, match="save it again"):
        russet.Tokenizer.from_compiled(path)
    with pytest.raises(russet.ConfigError):
        russet.Tokenizer.from_buffer(content[:100])
    with pytest.raises(FileNotFoundError):
        russet.Tokenizer.from_compiled(tmp_path / "missing")


def test_equality_is_of_the_saved_form(tokenizer: Any) -> None:
    other = russet.Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-gpt2.json")
    assert tokenizer != other
    assert tokenizer != "something else"
    assert len({tokenizer, russet.Tokenizer.from_file(BERT), other}) == 2


def test_a_tokenizer_cannot_be_changed(tokenizer: Any) -> None:
    for name in ("truncation", "padding", "anything"):
        with pytest.raises(AttributeError):
            setattr(tokenizer, name, None)
    for name in ("enable_truncation", "add_tokens", "no_padding"):
        assert not hasattr(tokenizer, name)


def test_repr_says_what_it_is(tokenizer: Any) -> None:
    assert "WordPiece" in repr(tokenizer)
    assert str(tokenizer.get_vocab_size(with_added_tokens=False)) in repr(tokenizer)
    assert repr(tokenizer.encode("the mill"))


@pytest.mark.parametrize("truncation", [6, {"max_length": 6}, "object"])
def test_forms_of_truncation(tokenizer: Any, truncation: Any) -> None:
    value = russet.Truncation(6) if truncation == "object" else truncation
    encoding = tokenizer.encode("the mill stands where two rivers meet", truncation=value)
    assert len(encoding) == 6
    assert encoding.tokens[0] == "[CLS]"
    assert encoding.tokens[-1] == "[SEP]"
    assert encoding.overflowing
    assert all(len(part) <= 6 for part in encoding.overflowing)


@pytest.mark.parametrize("padding", [20, {"length": 20}, "object"])
def test_forms_of_padding(tokenizer: Any, padding: Any) -> None:
    value = russet.Padding(length=20) if padding == "object" else padding
    encoding = tokenizer.encode("the mill", padding=value)
    assert len(encoding) == 20
    assert encoding.attention_mask.count(0) == encoding.tokens.count("[PAD]") > 0


def test_settings_of_the_file_are_the_default() -> None:
    subject = russet.Tokenizer.from_file(fixtures.TOKENIZERS / "padding-truncation.json")
    assert subject.truncation == russet.Truncation(12, stride=3, direction="left")
    assert subject.padding == russet.Padding(length=12, direction="left", pad_id=3, pad_token="<pad>")
    text = "the mill stands where two rivers meet"
    assert len(subject.encode(text)) == len(subject.encode("a")) == 12
    assert len(subject.encode(text, truncation=False)) > 12
    assert len(subject.encode("a", padding=False)) < 12
    assert len(subject.encode("a", padding=False, truncation=False)) == len(subject.encode("a", padding=False))


def test_split_special_tokens(tokenizer: Any) -> None:
    assert tokenizer.encode("[MASK]").tokens == ["[CLS]", "[MASK]", "[SEP]"]
    split = tokenizer.encode("[MASK]", split_special_tokens=True)
    assert "[MASK]" not in split.tokens
    assert split.tokens[0] == "[CLS]"


def test_arrays(tokenizer: Any) -> None:
    encoding = tokenizer.encode("the mill")
    array = encoding.ids_array
    assert array.dtype == np.uint32
    assert not array.flags.owndata
    assert not array.flags.writeable
    assert array.tolist() == encoding.ids
    ids, row_splits = tokenizer.encode_arrays([])
    assert (ids.shape, row_splits.tolist()) == ((0,), [0])
    ids, row_splits = tokenizer.encode_arrays(["a", ("b", "c"), ""], padding=12)
    assert row_splits.tolist() == [0, 12, 24, 36]


def test_offsets_in_characters_and_bytes(tokenizer: Any) -> None:
    encoding = tokenizer.encode("É the mill", add_special_tokens=False)
    at = encoding.tokens.index("the")
    assert encoding.offsets[at] == (2, 5)
    assert encoding.byte_offsets[at] == (3, 6)


def test_without_the_text_only_ids_remain(tokenizer: Any) -> None:
    encoding = tokenizer.encode("the mill", keep_text=False)
    assert encoding.ids == tokenizer.encode("the mill").ids
    with pytest.raises(russet.RussetError, match="keep_text"):
        _ = encoding.tokens


def test_unknown_ids(tokenizer: Any) -> None:
    with pytest.raises(russet.UnknownIdError) as raised:
        tokenizer.decode([5, 10**6])
    assert (raised.value.id, raised.value.position) == (10**6, 1)
    ids = tokenizer.encode("the mill").ids
    assert tokenizer.decode([10**6, *ids], on_unknown="skip") == "the mill"
    assert tokenizer.decode(np.array(ids, dtype=np.uint32)) == tokenizer.decode(np.array(ids)) == "the mill"


def test_surrogates(tokenizer: Any) -> None:
    with pytest.raises(russet.TextError) as raised:
        tokenizer.encode("ab\ud800c")
    assert (raised.value.start, raised.value.end) == (2, 3)
    assert isinstance(raised.value, UnicodeEncodeError)
    assert tokenizer.encode("ab\ud800c", errors="replace").ids == tokenizer.encode("ab\ufffdc").ids


@pytest.mark.parametrize("character", ["a", "é", "ж", "\u2019", "中", "😀"])
def test_texts_are_read_whatever_their_characters(character: str) -> None:
    class Derived(str):
        """Python keeps the characters of such a text elsewhere than those of its own."""

        def __len__(self) -> int:
            return 1

    tokenizer = russet.Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-gpt2.json")
    for length in [*range(1, 70), 4095, 4096, 4097, 2**16, 2**16 + 5]:
        for text in (character * length, "a b" * (length // 3) + character, character + "a b" * (length // 3)):
            size = sys.getsizeof(text)
            encoding = tokenizer.encode(text)
            assert tokenizer.decode(encoding.ids) == text
            assert tokenizer.encode_arrays([text, Derived(text)])[0].tolist() == 2 * encoding.ids
            assert sys.getsizeof(text) == size
            with pytest.raises(russet.TextError) as raised:
                tokenizer.encode(text + "\udcff" + text)
            with pytest.raises(UnicodeEncodeError) as expected:
                (text + "\udcff" + text).encode()
            assert raised.value.args == expected.value.args
            replaced = tokenizer.encode(text + "\udcff" + text, errors="replace")
            assert replaced.ids == tokenizer.encode(text + "\ufffd" + text).ids


def test_errors_say_where(tokenizer: Any) -> None:
    config = json.loads(tokenizer.to_str())
    config["normalizer"]["lowercase"] = "yes"
    with pytest.raises(russet.ConfigError, match="normalizer") as raised:
        russet.Tokenizer.from_str(json.dumps(config))
    assert raised.value.place.startswith("normalizer")
    with pytest.raises(russet.PatternError) as pattern:
        russet.Tokenizer.from_str(json.dumps({**config, "normalizer": None, "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": "a(b"}, "behavior": "Isolated", "invert": False}}))  # fmt: skip
    assert pattern.value.pattern == "a(b"
    with pytest.raises(FileNotFoundError):
        russet.Tokenizer.from_file("/no/such/file")


def test_every_error_is_also_a_built_in() -> None:
    from russet import errors

    for name in errors.__all__:
        found = getattr(errors, name)
        assert issubclass(found, russet.RussetError)
        if found is not russet.RussetError:
            assert issubclass(found, ValueError | OSError | RuntimeError), name


def test_vocabulary(tokenizer: Any) -> None:
    vocab = tokenizer.get_vocab()
    assert tokenizer.get_vocab_size() == len(vocab)
    assert all(tokenizer.id_to_token(id) == token for token, id in vocab.items())
    assert tokenizer.token_to_id("no such token") is None
    assert tokenizer.id_to_token(10**6) is None
    assert [token.content for token in tokenizer.get_added_tokens_decoder().values()] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]
    assert (tokenizer.num_special_tokens_to_add(), tokenizer.num_special_tokens_to_add(is_pair=True)) == (2, 3)


def test_dropout_makes_results_differ_and_fields_agree() -> None:
    config = fixtures.config("bpe-gpt2")
    config["model"]["dropout"] = 0.5
    subject = russet.Tokenizer.from_str(json.dumps(config))
    text = "the mill stands where two rivers meet " * 4
    encodings = [subject.encode(text) for _ in range(20)]
    assert len({tuple(encoding.ids) for encoding in encodings}) > 1
    for encoding in encodings:
        # The fields are computed later, from the same draw.
        assert [subject.token_to_id(token) for token in encoding.tokens] == encoding.ids
        assert subject.decode(encoding.ids) == text


def test_the_cache_grows_to_its_limit(tokenizer: Any) -> None:
    text = " ".join(f"{number:x}" for number in range(1, 200_000))
    expected = tokenizer.encode(text).ids
    assert tokenizer.cache_limit == 16 << 20
    assert 4 << 20 < tokenizer.cache_bytes <= tokenizer.cache_limit
    for limit, least in ((0, 0), (4 << 20, 1 << 20), (100 << 20, 17 << 20)):
        limited = tokenizer.with_cache_limit(limit)
        assert limited == tokenizer
        assert limited.cache_bytes <= 200 << 10
        assert limited.encode(text).ids == limited.encode(text).ids == expected
        assert limited.cache_limit == limit
        assert least <= limited.cache_bytes <= max(limit, 200 << 10)
