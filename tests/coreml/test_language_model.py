"""Language models in packages of every contract: the same weights give the same text, however a package wants its input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fixtures
import russet
from russet import ArgumentError, ContextLengthError, LanguageModel, MissingFileError, MissingTokenizerError, UnsupportedModelError
from russet.coreml import settings
from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.coreml.contracts import find

mil_packages = pytest.importorskip("mil_packages")
pytest.importorskip("coremltools")

from mil_packages import Decoder, cached, stateful, stateless  # noqa: E402

DECODER = Decoder()
PROMPT = [5, 17, 300, 2, 9, 44, 501]

CONTRACTS: dict[str, Callable[[], Path]] = {
    "fixed": lambda: stateless("fixed"),
    "enumerated": lambda: stateless("enumerated"),
    "range": lambda: stateless("range"),
    "camel-case": lambda: stateless("range", camel_case=True),
    "no-mask": lambda: stateless("enumerated", mask=False),
    "last-token": lambda: stateless("range", last_token=True),
    "stateful-range": lambda: stateful("range"),
    "stateful-enumerated": lambda: stateful("enumerated"),
    "stateful-enumerated-position": lambda: stateful("enumerated", position=True),
    "stateful-multifunction": lambda: stateful("multifunction"),
    "stateful-multifunction-last": lambda: stateful("multifunction", logits="last"),
    "stateful-multifunction-last-index": lambda: stateful("multifunction", logits="lastIndex"),
    "stateful-snake-case": lambda: stateful("range", snake_case=True),
    "cache-range": lambda: cached("range"),
    "cache-enumerated": lambda: cached("enumerated"),
    "cache-fixed": lambda: cached("fixed", sizes=[1]),
}


@pytest.fixture(scope="module")
def expected() -> list[int]:
    return DECODER.greedy(PROMPT, 12)


def model(name: str) -> LanguageModel:
    return LanguageModel.from_pretrained(CONTRACTS[name](), backend="portable")


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_contract_gives_the_same_greedy_text(name: str, expected: list[int]) -> None:
    lm = model(name)
    assert lm.generate(PROMPT, max_new_tokens=12).token_ids == expected
    assert lm.context_length == DECODER.context
    assert lm.vocab_size == DECODER.vocab
    described = lm.describe()
    assert described["backend"] == "portable"
    assert described["context_length"] == DECODER.context


@pytest.mark.parametrize("name", CONTRACTS)
def test_logits_are_the_models(name: str) -> None:
    lm = model(name)
    ids = np.random.default_rng(3).integers(0, DECODER.vocab, 20)
    logits, reference = lm.logits(ids), DECODER.logits(ids.tolist())
    if lm.contract.is_last_only:
        reference = reference[-1:]
    assert logits.shape == reference.shape
    assert logits.dtype == np.float32
    assert np.abs(logits - reference).max() <= 1e-3 * np.abs(reference).max()


@pytest.mark.parametrize(
    "name", ["stateful-multifunction", "stateful-enumerated", "stateful-multifunction-last", "cache-enumerated"]
)
def test_prompts_of_every_length_in_calls_of_listed_sizes(name: str) -> None:
    """Shapes {1, 16, 64, 128} give the logits of the run that takes the prompt whole."""
    whole, lm = model("cache-range" if name.startswith("cache") else "stateful-range"), model(name)
    ids = np.random.default_rng(4).integers(0, DECODER.vocab, 128).tolist()
    reference = whole.logits(ids)
    for length in range(1, 129):
        row = lm.new_context().extend(ids[:length])
        assert np.abs(row[0] - reference[length - 1]).max() <= 1e-3 * np.abs(reference[length - 1]).max(), length


def test_padded_calls() -> None:
    """Without single tokens the last call is padded; what padding wrote is not seen later."""
    lm = LanguageModel.from_pretrained(stateful("multifunction", sizes=(16, 64)), backend="portable")
    ids = np.random.default_rng(5).integers(0, DECODER.vocab, 60).tolist()
    reference = DECODER.logits(ids)
    context = lm.new_context()
    at = 0
    for count in (3, 20, 1, 1, 17, 18):
        rows = context.extend(ids[at : at + count], all_logits=True)
        assert rows.shape == (count, DECODER.vocab)
        # Keys and values are kept in float16.
        assert np.abs(rows - reference[at : at + count]).max() <= 2e-3 * np.abs(reference).max()
        at += count


def test_padding_beyond_the_context_is_refused() -> None:
    lm = LanguageModel.from_pretrained(stateful("multifunction", sizes=(16, 64)), backend="portable")
    context = lm.new_context()
    context.extend([1] * (DECODER.context - 5))
    with pytest.raises(ContextLengthError, match="padding"):
        context.extend([1, 2])
    assert len(context.ids) == DECODER.context - 5
    with pytest.raises(ContextLengthError, match="192"):
        context.extend([1] * 6)


def test_a_last_token_package_without_single_tokens_takes_whole_calls_alone() -> None:
    lm = LanguageModel.from_pretrained(stateful("multifunction", sizes=(16, 64), logits="last"), backend="portable")
    context = lm.new_context()
    with pytest.raises(UnsupportedModelError, match="last place"):
        context.extend([1] * 5)
    assert context.extend([1] * 80).shape == (1, DECODER.vocab)
    with pytest.raises(UnsupportedModelError, match="single tokens"):
        context.extend([1] * 16, all_logits=True)


@pytest.mark.parametrize("name", ["range", "last-token", "stateful-range", "stateful-multifunction-last", "cache-range"])
def test_a_context_rewinds_and_forks(name: str) -> None:
    lm = model(name)
    context = lm.new_context()
    context.extend(PROMPT)
    fork = context.fork()
    one = context.extend([7])
    context.rewind(len(PROMPT))
    context.extend([8, 9])
    assert np.array_equal(fork.extend([7]), one)
    assert list(fork.ids) == [*PROMPT, 7]
    assert list(context.ids) == [*PROMPT, 8, 9]
    context.rewind(3)
    again = context.extend(PROMPT[3:])
    assert np.allclose(again, lm.new_context().extend(PROMPT), atol=1e-4 * np.abs(again).max())
    with pytest.raises(ArgumentError, match="length"):
        context.rewind(100)


@pytest.mark.parametrize("name", ["range", "stateful-range", "cache-enumerated"])
def test_a_context_is_saved_and_restored(name: str) -> None:
    lm = model(name)
    context = lm.new_context()
    context.extend(PROMPT)
    saved = context.save()
    assert all(array.size <= 2 * 2 * len(PROMPT) * 32 for array in saved.values())
    other = model(name).new_context()
    other.restore(saved)
    assert list(other.ids) == PROMPT
    a, b = context.extend([3]), other.extend([3])
    assert np.abs(a - b).max() <= 1e-3 * np.abs(a).max()
    broken = {name: array if name == "ids" else array[..., :-1] for name, array in saved.items()}
    for wrong in ({**saved, "more": np.zeros(1)}, {**saved, "ids": np.array([-1])}, *([broken] if len(saved) > 1 else [])):
        with pytest.raises(ArgumentError):
            lm.new_context().restore(wrong)


def test_wrong_ids_leave_the_context_as_it_was() -> None:
    lm = model("stateful-range")
    context = lm.new_context()
    before = context.extend(PROMPT)
    for ids in ([], [DECODER.vocab], [3, -1]):
        with pytest.raises(ArgumentError):
            context.extend(ids)
    assert list(context.ids) == PROMPT
    context.rewind(len(PROMPT) - 1)
    assert np.allclose(context.extend(PROMPT[-1:]), before, atol=1e-4 * np.abs(before).max())


def test_texts_need_a_tokenizer() -> None:
    lm = model("stateful-range")
    assert lm.tokenizer is None
    with pytest.raises(MissingTokenizerError):
        lm.generate("text")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(stateful("range"), tmp_path / "Toy.mlpackage")
    shutil.copy(fixtures.TOKENIZERS / "bpe-gpt2.json", tmp_path / "tokenizer.json")
    return tmp_path


def test_a_folder_brings_its_tokenizer_and_values(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 7, "max_position_embeddings": 100, "bos_token_id": 1}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 4], "temperature": 0.5, "do_sample": True}))
    lm = LanguageModel.from_pretrained(folder)
    assert isinstance(lm.tokenizer, russet.PreTrainedTokenizer)
    assert lm.context_length == 100
    config: Any = lm.generation_config
    assert (config.eos_token_id, config.bos_token_id, config.temperature) == ([3, 4], 1, 0.5)
    text = lm.generate("The mill", max_new_tokens=5, temperature=0)
    assert isinstance(str(text), str)
    pieces = list(lm.stream_generate("The mill", max_new_tokens=5, temperature=0))
    assert "".join(piece.text for piece in pieces) == str(text)


def test_ends_come_from_other_files_too(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 7}))
    assert LanguageModel.from_pretrained(folder).generation_config.eos_token_id == 7
    (folder / "config.json").unlink()
    token = russet.Tokenizer.from_pretrained(folder).id_to_token(5)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"__type": "AddedToken", "content": token}}))
    assert LanguageModel.from_pretrained(folder).generation_config.eos_token_id == 5


def test_a_pad_id_of_zero_is_one(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"pad_token_id": 5}))
    told = ModelDescription({}, "main", {settings.PAD_TOKEN_KEY: "0"})
    assert settings.read(folder / "Toy.mlpackage", told).pad_id == 0
    assert settings.read(folder / "Toy.mlpackage", ModelDescription({}, "main")).pad_id == 5


def test_a_folder_holds_one_package(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "Toy.mlpackage", folder / "Other.mlpackage")
    with pytest.raises(russet.FolderError, match=r"Other\.mlpackage, Toy\.mlpackage"):
        LanguageModel.from_pretrained(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MissingFileError):
        LanguageModel.from_pretrained(empty)
    with pytest.raises(MissingFileError):
        LanguageModel.from_pretrained(tmp_path / "nowhere")


def described(inputs: dict[str, tuple[str, tuple[int, ...]]], outputs: dict[str, tuple[int, ...]]) -> FunctionDescription:
    return FunctionDescription(
        "main",
        {name: Feature(name, dtype, shape) for name, (dtype, shape) in inputs.items()},
        {name: Feature(name, "float16", shape) for name, shape in outputs.items()},
        {},
    )


IDS = ("int32", (1, 64))
HIDDEN = ("float16", (1, 64, 512))


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (
            {"hidden_states": HIDDEN, "position_ids": IDS, "causal_mask": HIDDEN, "current_pos": IDS, "update_mask": HIDDEN},
            {"output_hidden_states": (1, 64, 512)},
            "ANEMLL",
        ),
        ({"input_ids": IDS, "k_cache_0": HIDDEN, "v_cache_0": HIDDEN}, {"new_x": (1, 64, 512)}, "smpanaro"),
        ({"hidden_states": HIDDEN}, {"logits": (1, 64, 100)}, "hidden states"),
        ({"input_ids": IDS}, {"hidden_states": (1, 64, 512)}, "hidden states"),
        ({"pixels": ("float32", (1, 3, 64, 64))}, {"logits": (1, 10)}, "no input takes ids"),
        ({"input_ids": IDS, "style": ("float32", (1, 7))}, {"logits": (1, 64, 100)}, "'style'"),
        ({"input_ids": IDS, "keyCache": HIDDEN}, {"logits": (1, 64, 100)}, "keyCache"),
        ({"input_ids": ("int32", (2, 64))}, {"logits": (2, 64, 100)}, "no input takes ids"),
        ({"input_ids": IDS}, {"one": (1, 64, 100), "two": (1, 64, 100)}, "none of the outputs"),
    ],
)
def test_what_is_no_language_model_in_one_package(
    inputs: dict[str, tuple[str, tuple[int, ...]]], outputs: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        find(described(inputs, outputs))


def test_names_are_found_by_shape_too() -> None:
    found = find(described({"words": IDS, "bias": ("float16", (1, 1, 64, 64))}, {"logits_0": (1, 64, 50), "logits_1": (1, 64, 40)}))
    assert (found.ids, found.mask, found.mask_kind) == ("words", "bias", "causal")
    assert found.logits == ("logits_0", "logits_1")
    assert found.context_length == 64
