"""Encoder models over small BERTs: equal to their twin in NumPy, whatever shapes a package takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

from mil_encoders import Encoder, encoder
from numpy.typing import NDArray
from reference_packages import Case, cases, expected

import fixtures
from russet import Tokenizer
from russet.coreml import load
from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.coreml.encoder_model import EncoderModel, FilledMask, Label
from russet.coreml.inputs import check_inputs
from russet.errors import (
    ArgumentError,
    ConfigError,
    ContextLengthError,
    FolderError,
    MissingFileError,
    MissingTokenError,
    MissingTokenizerError,
    PackageError,
    UnsupportedModelError,
)

TWIN = Encoder()
TOKENIZER = Tokenizer.from_file(fixtures.TOKENIZERS / "wordpiece-bert-uncased.json")
TEXTS: list[Any] = [
    "The mill stands on the hill.",
    "A mill",
    ("The mill stands", "on the hill"),
    "",
    "wind " * 9,
    ("short", "a somewhat longer second text of the pair"),
    "mill and hill and mill",
]
SHAPES: list[Any] = [(1, 64), (3, 64), "enumerated", "range", "batches"]
#: float16 weights and float32 sums against float64.
CLOSE = {"rtol": 0, "atol": 2e-3}


def model(package: Path, tokenizer: Tokenizer | None = TOKENIZER, config: dict[str, Any] | None = None) -> EncoderModel:
    return EncoderModel(load(package, backend="portable"), tokenizer, config)


def twin(text: Any, length: int | None = None, tokenizer: Tokenizer = TOKENIZER) -> Mapping[str, NDArray[np.float64]]:
    """What the model gives for a text by itself, without padding."""
    first, pair = text if isinstance(text, tuple) else (text, None)
    encoding = tokenizer.encode(first, pair, truncation=length or False, padding=False)
    ids, types = np.array([encoding.ids]), np.array([encoding.type_ids])
    return {name: value[0] for name, value in TWIN.run(ids, np.ones_like(ids), types).items()}


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return length


# Vectors


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "pooler"])
def test_vectors_are_the_twins(shapes: Any, pooling: Any) -> None:
    given = model(encoder(shapes=shapes)).embed(TEXTS, pooling=pooling, normalize=False)
    pool: dict[str, Callable[[Mapping[str, NDArray[np.float64]]], NDArray[np.float64]]] = {
        "mean": lambda out: out["last_hidden_state"].mean(axis=0),
        "cls": lambda out: out["last_hidden_state"][0],
        "last": lambda out: out["last_hidden_state"][-1],
        "pooler": lambda out: out["pooler_output"],
    }
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, [pool[pooling](twin(text)) for text in TEXTS], **CLOSE)


def test_one_text_and_none() -> None:
    one = model(encoder(shapes="range"))
    listed = one.embed(TEXTS)
    assert listed.shape == (len(TEXTS), TWIN.hidden)
    for text, vector in zip(TEXTS, listed, strict=True):
        assert one.embed(text).shape == (TWIN.hidden,)
        np.testing.assert_allclose(one.embed(text), vector, **CLOSE)
    assert model(encoder()).embed([]).shape == (0, TWIN.hidden)
    assert one.token_embeddings([]) == []
    assert one.classify.__doc__


def test_vectors_have_length_one() -> None:
    vectors = model(encoder(shapes="range")).embed(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors, [unit(twin(text)["last_hidden_state"].mean(axis=0)) for text in TEXTS], **CLOSE)


@pytest.mark.parametrize("shapes", SHAPES)
def test_vectors_of_tokens(shapes: Any) -> None:
    given = model(encoder(shapes=shapes)).token_embeddings(TEXTS)
    for vectors, text in zip(given, TEXTS, strict=True):
        np.testing.assert_allclose(vectors, twin(text)["last_hidden_state"], **CLOSE)
    np.testing.assert_array_equal(model(encoder(shapes=shapes)).token_embeddings(TEXTS[1]).shape, given[1].shape)


@pytest.mark.parametrize(
    "file, pooling",
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": 32}, "cls"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode_max_tokens": True}, None),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, None),
    ],
)
def test_pooling_of_sentence_transformers(folder: Path, file: dict[str, Any], pooling: Any) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(file))
    found = EncoderModel.from_pretrained(folder, backend="portable")
    if pooling is None:
        with pytest.raises(ArgumentError, match=r"pooling is '(max_tokens|cls\+mean)'"):
            found.embed("A mill")
        pooling = "mean"
    else:
        np.testing.assert_array_equal(found.embed("A mill"), found.embed("A mill", pooling=pooling))
    others = [found.embed("A mill", pooling=other) for other in ("mean", "cls", "last", "pooler") if other != pooling]
    assert all(np.abs(found.embed("A mill", pooling=pooling) - other).max() > 0.01 for other in others)


def test_poolings_that_a_package_does_not_give() -> None:
    only_hidden = model(encoder(outputs=("last_hidden_state",)))
    with pytest.raises(ArgumentError, match="no output for pooling='pooler': there are 'last_hidden_state'") as caught:
        only_hidden.embed("A mill", pooling="pooler")
    assert caught.value.argument == "pooling"
    with pytest.raises(ArgumentError, match="pooling is 'max'"):
        only_hidden.embed("A mill", pooling="max")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModelError, match="no output is called logits or token_scores"):
        only_hidden.fill_mask("A [MASK]")
    with pytest.raises(ArgumentError, match="there are 'token_scores'"):
        model(encoder("fill-mask")).embed("A mill")


def test_outputs_by_other_names() -> None:
    other = model(encoder(outputs=("tokenEmbeddings", "sentence_embedding"), inputs=("inputIds", "attentionMask", "tokenTypeIds")))
    np.testing.assert_allclose(other.embed("A mill", pooling="pooler", normalize=False), twin("A mill")["pooler_output"], **CLOSE)
    np.testing.assert_allclose(other.token_embeddings("A mill"), twin("A mill")["last_hidden_state"], **CLOSE)


# Shapes


class Recorder:
    """A backend of any shapes, which says what it was asked, and whose vectors are the ids."""

    name = "recorder"

    def __init__(self, *inputs: Feature, outputs: tuple[Feature, ...] = (Feature("last_hidden_state", "float32", ()),)) -> None:
        features = {feature.name: feature for feature in inputs}
        self.function = FunctionDescription("main", features, {feature.name: feature for feature in outputs}, {})
        self.asked: list[tuple[int, ...]] = []
        self.given: list[Mapping[str, NDArray[Any]]] = []

    def describe(self) -> ModelDescription:
        return ModelDescription({"main": self.function}, "main")

    def predict(self, inputs: Mapping[str, Any], state: Any = None) -> dict[str, NDArray[Any]]:
        arrays = check_inputs(self.function, inputs)
        self.given.append(arrays)
        ids = arrays[next(iter(self.function.inputs))]
        self.asked.append(ids.shape)
        return {"last_hidden_state": ids[..., None].astype(np.float32)}

    with_function = make_state = read_state = write_state = None  # type: ignore[assignment]


def recorder(shape: tuple[int, int] = (1, 8), **kind: Any) -> Recorder:
    return Recorder(*(Feature(name, "int32", shape, **kind) for name in ("input_ids", "attention_mask")))


def texts_of(*lengths: int) -> list[str]:
    """Texts of so many tokens, two special ones among them."""
    return ["mill " * (length - 2) for length in lengths]


@pytest.mark.parametrize(
    "kind, lengths, asked",
    [
        # The smallest that fits, each by itself.
        ({"enumerated": ((1, 8), (1, 16), (1, 64))}, (3, 8, 9, 64), [(1, 64), (1, 16), (1, 8), (1, 8)]),
        # In any order.
        ({"enumerated": ((1, 64), (1, 8), (1, 16))}, (9, 3), [(1, 16), (1, 8)]),
        # As long as the text.
        ({"ranges": ((1, 1), (1, 64))}, (3, 8, 9), [(1, 9), (1, 8), (1, 3)]),
        # But not shorter than allowed.
        ({"ranges": ((1, 1), (5, 64))}, (3, 8), [(1, 8), (1, 5)]),
        # No upper bound.
        ({"ranges": ((1, -1), (1, -1))}, (70,) * 40, [(32, 70), (8, 70)]),
        # Texts of about one length together; a long one with short ones would be padding.
        ({"ranges": ((1, 4), (1, 64))}, (60, 5, 5, 5, 5, 4), [(1, 60), (4, 5), (1, 4)]),
        ({"ranges": ((1, 8), (1, 64))}, (5, 5, 5, 5, 4), [(5, 5)]),
        # A batch that must be full.
        ({"ranges": ((2, 4), (1, 64))}, (5, 5, 5, 5, 5), [(4, 5), (2, 5)]),
        ({"enumerated": ((1, 8), (4, 8), (1, 16))}, (3, 8, 7, 8, 6, 12), [(1, 16), (4, 8), (1, 8)]),
        ({"shape": (4, 8)}, (3, 8, 7, 8, 6), [(4, 8), (4, 8)]),
    ],
)  # fmt: skip
def test_shapes_of_calls(kind: dict[str, Any], lengths: tuple[int, ...], asked: list[tuple[int, int]]) -> None:
    backend = recorder(**kind)
    texts = texts_of(*lengths)
    vectors = EncoderModel(backend, TOKENIZER).token_embeddings(texts)
    assert backend.asked == asked
    # In the order of the texts, without padding.
    assert [vector[:, 0].tolist() for vector in vectors] == [TOKENIZER.encode(text).ids for text in texts]
    for arrays in backend.given:
        mask = arrays["attention_mask"]
        assert ((arrays["input_ids"] != 0) == (mask == 1)).all()


def test_padding_is_the_tokenizers() -> None:
    padded = Tokenizer.from_file(fixtures.TOKENIZERS / "padding-multiple.json")
    for tokenizer, config, pad in (
        (padded, None, 3),
        (padded, {"pad_token_id": 9}, 3),
        (TOKENIZER, {"pad_token_id": 9}, 9),
        (TOKENIZER, None, 0),
    ):
        backend = recorder(shape=(1, 16))
        EncoderModel(backend, tokenizer, config).embed("mill")
        row = backend.given[0]["input_ids"][0]
        assert set(row[backend.given[0]["attention_mask"][0] == 0]) == {pad}


def test_positions() -> None:
    features = [Feature("input_ids", "int32", (2, 8)), Feature("attention_mask", "float16", (2, 8))]
    for shape in ((2, 8), (1, 8)):
        backend = Recorder(*features, Feature("position_ids", "int32", shape))
        EncoderModel(backend, TOKENIZER).embed("mill")
        assert backend.given[0]["position_ids"].tolist() == [list(range(8))] * shape[0]
        assert backend.given[0]["attention_mask"].dtype == np.float32


def test_without_a_mask_nothing_is_padded() -> None:
    backend = Recorder(Feature("input_ids", "int32", (1, 8)))
    EncoderModel(backend, TOKENIZER).embed(texts_of(8))
    with pytest.raises(UnsupportedModelError, match="no attention mask, so 5 tokens cannot be padded to the 8"):
        EncoderModel(backend, TOKENIZER).embed(texts_of(5))
    given = model(encoder(shapes="range", inputs=("input_ids",))).embed("A mill", normalize=False)
    np.testing.assert_allclose(given, twin("A mill")["last_hidden_state"].mean(axis=0), **CLOSE)


def test_long_texts_are_cut() -> None:
    long = "the mill stands on the hill " * 20
    for shapes, config, length in (
        ((1, 64), None, 64),
        ("range", {"max_seq_length": 20}, 20),
        ("range", {"max_position_embeddings": 30}, 30),
    ):
        found = model(encoder(shapes=shapes), config=config)
        assert found.max_length == length
        np.testing.assert_allclose(found.token_embeddings(long), twin(long, length)["last_hidden_state"], **CLOSE)
        with pytest.raises(ContextLengthError, match=rf"202 tokens, and the model takes {length} at most") as caught:
            found.embed(long, truncation=False)
        assert (caught.value.value, caught.value.limit) == (202, length)


def test_texts_are_cut_at_the_side_that_the_tokenizer_says() -> None:
    left = Tokenizer.from_str(
        json.dumps(
            {
                **fixtures.config("wordpiece-bert-uncased"),
                "truncation": {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
            }
        )
    )
    backend = recorder()
    long = "the mill stands on the hill"
    (ids,) = (vector[:, 0].tolist() for vector in EncoderModel(backend, left).token_embeddings([long]))
    assert len(ids) == 8
    assert ids == left.encode(long, truncation={"max_length": 8, "direction": "left"}).ids


def test_texts_without_tokens() -> None:
    plain = Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-gpt2.json")
    with pytest.raises(ArgumentError, match="a text has no tokens"):
        EncoderModel(recorder(), plain).embed(["mill", ""])


# Masks


@pytest.mark.parametrize("shapes", SHAPES)
def test_filled_masks_are_the_twins(shapes: Any) -> None:
    text = "The [MASK] stands"
    (choices,) = model(encoder("fill-mask", shapes)).fill_mask(text, top_k=3)
    ids = TOKENIZER.encode(text).ids
    logits = twin(text)["token_scores"][ids.index(4)]
    scores = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert [choice.id for choice in choices] == np.argsort(-scores)[:3].tolist()
    for choice in choices:
        assert isinstance(choice, FilledMask)
        assert choice.score == pytest.approx(scores[choice.id], abs=1e-3)
        # The vocabulary has 420 tokens, the model 512 logits.
        assert choice.token == (TOKENIZER.decode([choice.id], skip_special_tokens=False) if choice.id < 420 else "")
        assert choice.text == TOKENIZER.decode([choice.id if id == 4 else id for id in ids], on_unknown="skip")


def test_several_masks() -> None:
    choices = model(encoder("fill-mask", "range")).fill_mask("[MASK] mill [MASK]", targets=["the", "of"])
    assert [len(part) for part in choices] == [2, 2]
    assert choices[0][0].text == f"[CLS] {choices[0][0].token} mill [MASK] [SEP]"
    assert choices[1][0].text == f"[CLS] [MASK] mill {choices[1][0].token} [SEP]"


def test_targets() -> None:
    filler = model(encoder("fill-mask", "range"))
    (everything,) = filler.fill_mask("A [MASK]", top_k=512)
    assert len(everything) == 512
    assert sum(choice.score for choice in everything) == pytest.approx(1)
    (some,) = filler.fill_mask("A [MASK]", targets=["mill", "the", "mill"])
    assert some == [choice for choice in everything if choice.token in ("mill", "the")]
    for targets, message in ((["mill", "windmill"], "'windmill' is no token"), ([], "targets is empty")):
        with pytest.raises(ArgumentError, match=message) as caught:
            filler.fill_mask("A [MASK]", targets=targets)
        assert caught.value.argument == "targets"


def test_mask_tokens() -> None:
    filler = model(encoder("fill-mask", "range"))
    with pytest.raises(ArgumentError, match=r"the text has no \[MASK\]"):
        filler.fill_mask("A mill")
    with pytest.raises(ArgumentError, match="top_k is 0"):
        filler.fill_mask("A [MASK]", top_k=0)
    with pytest.raises(ContextLengthError):
        filler.fill_mask("mill " * 70 + "[MASK]")
    assert filler.fill_mask("A mill", mask_token="mill")[0][0].text
    gpt2 = Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-gpt2.json")
    with pytest.raises(MissingTokenError, match=r"no token \[MASK\] or <mask>: pass mask_token="):
        model(encoder("fill-mask", "range"), gpt2).fill_mask("A [MASK]")
    roberta = Tokenizer.from_file(fixtures.TOKENIZERS / "bpe-roberta.json")
    text = "The <mask> stands"
    logits = twin(text, tokenizer=roberta)["token_scores"][roberta.encode(text).ids.index(4)]
    assert model(encoder("fill-mask", "range"), roberta).fill_mask(text)[0][0].id == logits.argmax()


# Labels


@pytest.mark.parametrize("shapes", SHAPES)
def test_labels_are_the_twins(shapes: Any) -> None:
    found = model(encoder("classification", shapes)).classify(TEXTS)
    for labels, text in zip(found, TEXTS, strict=True):
        logits = twin(text)["class_scores"]
        scores = np.exp(logits) / np.exp(logits).sum()
        assert [label.label for label in labels] == [f"LABEL_{index}" for index in np.argsort(-scores)]
        np.testing.assert_allclose([label.score for label in labels], -np.sort(-scores), **CLOSE)


def test_scores() -> None:
    package = encoder("classification", "range")
    logits = twin("A mill")["class_scores"]
    expected = {
        "softmax": np.exp(logits) / np.exp(logits).sum(),
        "sigmoid": 1 / (1 + np.exp(-logits)),
        "none": logits,
    }
    for config, function in (
        ({}, "softmax"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
    ):
        for asked in (None, "softmax", "sigmoid", "none"):
            labels = model(package, config=config).classify("A mill", function=asked)
            np.testing.assert_allclose([label.score for label in labels], -np.sort(-expected[asked or function]), **CLOSE)
    (only,) = model(encoder("classification", "range", model=Encoder(labels=1))).classify("A mill")
    assert 0 < only.score < 1
    with pytest.raises(ArgumentError, match="function is 'tanh'"):
        model(package).classify("A mill", function="tanh")
    with pytest.raises(ArgumentError, match="top_k is 0"):
        model(package).classify("A mill", top_k=0)


def test_probabilities_are_taken_as_they_are() -> None:
    found = model(encoder("classification", "range", outputs=("probabilities",))).classify("A mill")
    np.testing.assert_allclose([label.score for label in found], -np.sort(-twin("A mill")["class_scores"]), **CLOSE)


def test_names_of_labels() -> None:
    named = {"id2label": {"2": "wind", "0": "water", "1": "steam"}}
    plain = model(encoder("classification", "range"), config=named)
    assert plain.labels == ["water", "steam", "wind"]
    best = int(twin("A mill")["class_scores"].argmax())
    assert plain.classify("A mill", top_k=1)[0].label == ["water", "steam", "wind"][best]
    from_metadata = model(encoder("classification", "range", metadata={"classes": "a, b,c"}), config=named)
    assert from_metadata.labels == ["a", "b", "c"]
    assert isinstance(from_metadata.classify(["A mill"])[0][0], Label)
    assert model(encoder("classification", "range")).labels is None
    few = model(encoder("classification", "range"), config={"id2label": {"0": "water"}})
    with pytest.raises(PackageError, match="there are 1 labels, and the output 'logits' has 3 values"):
        few.classify("A mill")
    for damaged in ({"a": "b"}, {"1": "b"}, 3):
        with pytest.raises(ConfigError, match="id2label"):
            _ = model(encoder("classification", "range"), config={"id2label": damaged}).labels


def test_a_runtime_that_loses_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = recorder(shape=(4, 8))
    monkeypatch.setattr(Recorder, "predict", lambda *_: {"last_hidden_state": np.zeros((1, 8, 1), np.float32)})
    with pytest.raises(UnsupportedModelError, match="'last_hidden_state' has not 2 dimensions for each text"):
        EncoderModel(backend, TOKENIZER).embed(texts_of(5, 5))


def test_outputs_that_are_not_of_texts() -> None:
    with pytest.raises(UnsupportedModelError, match="'token_scores' has not 1 dimensions"):
        model(encoder("fill-mask", "range")).classify("A mill")
    with pytest.raises(UnsupportedModelError, match="'logits' has not 2 dimensions"):
        model(encoder("classification", "range")).fill_mask("A [MASK]")


# Loading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As such models are published."""
    shutil.copytree(encoder(shapes="range"), tmp_path / "Model.mlpackage")
    shutil.copy(fixtures.TOKENIZERS / "wordpiece-bert-uncased.json", tmp_path / "tokenizer.json")
    (tmp_path / "config.json").write_text('{"id2label": {"0": "only"}, "max_position_embeddings": 64}')
    return tmp_path


def test_from_pretrained(folder: Path) -> None:
    expected = model(encoder(shapes="range")).embed(TEXTS)
    for path in (folder, str(folder), folder / "Model.mlpackage"):
        found = EncoderModel.from_pretrained(path, backend="portable")
        np.testing.assert_array_equal(found.embed(TEXTS), expected)
        assert found.labels == ["only"]
        assert found.max_length == 64
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16, "do_lower_case": false}')
    assert EncoderModel.from_pretrained(folder, backend="portable").max_length == 16
    assert EncoderModel.from_pretrained(folder, function="main", backend="portable", threads=1).model.function.name == "main"


def test_tokenizers(folder: Path) -> None:
    kept = folder.parent / "tokenizer"
    kept.mkdir()
    shutil.move(folder / "tokenizer.json", kept / "tokenizer.json")
    without = EncoderModel.from_pretrained(folder, backend="portable")
    for call in (without.embed, without.token_embeddings):
        with pytest.raises(MissingTokenizerError, match="pass tokenizer="):
            call("A mill")
    assert without.tokenizer is None
    for tokenizer in (kept, str(kept), kept / "tokenizer.json", TOKENIZER):
        found = EncoderModel.from_pretrained(folder, tokenizer, backend="portable")
        assert getattr(found.tokenizer, "core", found.tokenizer) == TOKENIZER
        assert found.embed("A mill").any()
    with pytest.raises(MissingFileError):
        EncoderModel.from_pretrained(folder, folder / "none", backend="portable")


def test_damaged_folders(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json.* is no JSON"):
        EncoderModel.from_pretrained(folder, backend="portable")
    shutil.copytree(folder / "Model.mlpackage", folder / "Other.mlpackage")
    with pytest.raises(FolderError, match="several packages"):
        EncoderModel.from_pretrained(folder, backend="portable")
    with pytest.raises(MissingFileError):
        EncoderModel.from_pretrained(folder / "none", backend="portable")


def test_packages_that_are_no_encoders() -> None:
    import mil_packages

    with pytest.raises(UnsupportedModelError, match="has states"):
        model(mil_packages.stateful())
    with pytest.raises(UnsupportedModelError, match="'causalMask' is not known"):
        model(mil_packages.cached())
    with pytest.raises(UnsupportedModelError, match="no input is called input_ids or inputIds: there are 'x'"):
        model(mil_packages.plain({"x": ((1, 3), "fp16")}))
    with pytest.raises(UnsupportedModelError, match=r"'attention_mask' has the shape \(1, 1, 8, 8\), and not two dimensions"):
        EncoderModel(Recorder(Feature("input_ids", "int32", (1, 8)), Feature("attention_mask", "float16", (1, 1, 8, 8))), TOKENIZER)
    EncoderModel(Recorder(Feature("input_ids", "int32", (1, 8)), Feature("extra", "float16", (1,), is_optional=True)), TOKENIZER)


# Models of torch


def tokens_tokenizer() -> Tokenizer:
    """Whose texts are ids: "t5 t17"."""
    vocab = {f"t{id}": id for id in range(96)}
    return Tokenizer.from_str(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [],
                "pre_tokenizer": {"type": "WhitespaceSplit"},
                "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "t0"},
            }
        )
    )


@pytest.mark.parametrize("case", [case for case in cases() if case.family in ("bert", "t5-encoder")], ids=str)
def test_models_of_torch(case: Case, tmp_path: Path) -> None:
    found = EncoderModel.from_pretrained(case.path(tmp_path), tokens_tokenizer(), backend="portable")
    ids = expected(case.family)["ids"]
    lengths = [run[0][1] for run in case.runs]
    texts = [" ".join(f"t{id}" for id in ids[:length]) for length in lengths]
    if case.family == "t5-encoder":
        for vectors, length in zip(found.token_embeddings(texts), lengths, strict=True):
            rows = expected(case.family)[f"output-{length}"]
            np.testing.assert_array_less(np.abs(vectors - rows).max(axis=1), 1e-3 * np.abs(rows).max(axis=1))
        return
    for text, length in zip(texts, lengths, strict=True):
        (choices,) = found.fill_mask(text, top_k=96, mask_token="t70")
        (place,) = np.flatnonzero(ids[:length] == 70)
        logits = expected(case.family)[f"output-{length}"][place].astype(np.float64)
        scores = np.exp(logits - logits.max())
        assert [choice.id for choice in choices[:1]] == [scores.argmax()]
        for choice in choices:
            assert choice.score == pytest.approx(scores[choice.id] / scores.sum(), rel=5e-3)


@pytest.mark.macos
@pytest.mark.parametrize("shapes", SHAPES)
def test_core_ml_gives_the_twins_vectors(shapes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSSET_CACHE", str(tmp_path))
    found = EncoderModel.from_pretrained(encoder(shapes=shapes), TOKENIZER, compute_units="cpuOnly")
    assert found.model.name == "coremltools"
    expected = [unit(twin(text)["last_hidden_state"].mean(axis=0)) for text in TEXTS]
    np.testing.assert_allclose(found.embed(TEXTS), expected, rtol=0, atol=0.02)
