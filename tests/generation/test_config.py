"""Which values a generation has: those of the call, then those of generation_config.json, then ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from table_model import TableModel

import russet
from russet.generation import GenerationConfig, generate


def write(folder: Path, values: object) -> Path:
    (folder / "generation_config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


# Files


def test_a_file_is_read(tmp_path: Path) -> None:
    values = {
        "bos_token_id": 128000,
        "do_sample": True,
        "eos_token_id": [128001, 128008, 128009],
        "max_length": 4096,
        "temperature": 0.6,
        "top_p": 0.9,
        "transformers_version": "4.42.3",
        "chat_format": "chatml",
        "pad_token_id": None,
    }
    config = GenerationConfig.from_pretrained(write(tmp_path, values))
    assert config.eos_ids == (128001, 128008, 128009)
    assert (config.temperature, config.top_p, config.do_sample, config.max_length) == (0.6, 0.9, True, 4096)
    assert config.draws
    assert config.ignored == ("transformers_version", "chat_format")
    assert config == GenerationConfig.from_pretrained(tmp_path / "generation_config.json")
    assert GenerationConfig.from_dict(config.to_dict()) == config


def test_a_folder_without_the_file_gives_nothing(tmp_path: Path) -> None:
    assert GenerationConfig.from_pretrained(tmp_path) == GenerationConfig()
    with pytest.raises(russet.MissingFileError):
        GenerationConfig.from_pretrained(tmp_path / "elsewhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"top_k": ' + b"9" * 5000 + b"}"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "generation_config.json").write_bytes(content)
    with pytest.raises(russet.ConfigError):
        GenerationConfig.from_pretrained(tmp_path)


UNSUPPORTED = {
    "penalty_alpha": 0.6,
    "dola_layers": "high",
    "constraints": [1],
    "force_words_ids": [[1]],
    "num_beam_groups": 2,
    "diversity_penalty": 0.5,
    "watermarking_config": {"bias": 2.0},
    "token_healing": True,
    "encoder_repetition_penalty": 1.5,
    "encoder_no_repeat_ngram_size": 3,
    "assistant_early_exit": 4,
    "assistant_ensemble_weight": 0.5,
    "use_mtp": True,
    "speculation_type": "dflash",
}
NEUTRAL = {
    "penalty_alpha": 0.0,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "token_healing": False,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "use_mtp": False,
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_would_change_results_and_is_not_supported_is_an_error(name: str) -> None:
    with pytest.raises(russet.ConfigError) as of_file:
        GenerationConfig.from_dict({name: UNSUPPORTED[name]})
    assert of_file.value.place == name
    with pytest.raises(russet.ArgumentError) as of_call:
        generate(TableModel(), [1], **{name: UNSUPPORTED[name]})
    assert of_call.value.argument == name
    for neutral in (None, *([NEUTRAL[name]] if name in NEUTRAL else [])):
        assert GenerationConfig.from_dict({name: neutral}) == GenerationConfig()
        assert len(generate(TableModel(), [1], max_new_tokens=1, **{name: neutral}).token_ids) == 1


def test_what_changes_no_token_is_ignored() -> None:
    harmless = {
        "use_cache": True,
        "pad_token_id": 0,
        "cache_implementation": "static",
        "num_assistant_tokens_schedule": "heuristic",
    }
    assert GenerationConfig.from_dict({**harmless, "output_scores": True}) == GenerationConfig()
    assert len(generate(TableModel(), [1], max_new_tokens=2, **harmless).token_ids) == 2


@pytest.mark.parametrize("name", ["output_scores", "output_logits", "output_attentions", "return_dict_in_generate"])
def test_an_output_that_does_not_come_is_refused(name: str) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], **{name: True})
    assert caught.value.argument == name
    assert len(generate(TableModel(), [1], max_new_tokens=2, **{name: False}).token_ids) == 2


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="temprature"):
        generate(TableModel(), [1], temprature=0.5)


def test_every_keyword_of_the_sampler_is_a_field() -> None:
    signature = russet.Sampler.__text_signature__
    assert signature is not None
    names = {each.split("=")[0].strip() for each in signature.strip("()").split(",")} - {"*", "prompt_length", ""}
    assert len(names) > 40
    assert names <= set(GenerationConfig().__dataclass_fields__)
    config = GenerationConfig(**dict.fromkeys(names))
    assert set(config._processors(1)) <= names | {"prompt_length"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", 1.5),
        ("max_new_tokens", True),
        ("num_beams", 0),
        ("num_return_sequences", -1),
        ("seed", -1),
        ("eos_token_id", [1, -1]),
        ("eos_token_id", ["a"]),
        ("do_sample", 1),
        ("temperature", "hot"),
        ("temperature", -1.0),
        ("top_p", 1.5),
        ("length_penalty", float("nan")),
        ("max_time", "1 s"),
        ("on_context_end", "wrap"),
        ("num_keep", -1),
        ("early_stopping", "no"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, value: object) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], **{"do_sample": True, name: value})
    assert caught.value.argument == name
    if name not in ("temperature", "top_p") or isinstance(value, str):
        with pytest.raises(russet.ConfigError) as of_file:
            GenerationConfig.from_dict({name: value})
        assert of_file.value.place == name


# Which value counts


def with_config(values: dict[str, Any]) -> TableModel:
    model = TableModel()
    model.generation_config = GenerationConfig.from_dict(values)  # type: ignore[attr-defined]
    return model


def test_the_call_goes_before_the_file() -> None:
    model = with_config({"max_new_tokens": 9, "eos_token_id": 31})
    assert len(generate(model, [1]).token_ids) == 9
    assert len(generate(model, [1], max_new_tokens=4).token_ids) == 4
    assert len(generate(model, [1], max_new_tokens=None).token_ids) == 9
    assert len(generate(model, [1], max_length=4).token_ids) == 3
    assert len(generate(model, [1], generation_config=GenerationConfig(max_new_tokens=5)).token_ids) == 5
    assert len(generate(model, [1], generation_config=GenerationConfig(max_new_tokens=5), max_new_tokens=6).token_ids) == 6
    assert len(generate(with_config({"max_length": 4}), [1]).token_ids) == 3
    assert len(generate(with_config({"max_length": 4}), [1], max_new_tokens=8).token_ids) == 8


@pytest.mark.parametrize(
    ("file", "call", "draws"),
    [
        ({}, {}, False),
        ({}, {"temperature": 0.7}, True),
        ({}, {"temperature": 1.0}, True),
        ({}, {"temperature": 0}, False),
        ({}, {"temperature": 0, "top_k": 40}, False),
        ({}, {"top_k": 40}, True),
        ({}, {"top_p": 0.9}, True),
        ({}, {"min_p": 0.1}, True),
        ({}, {"typical_p": 0.5}, True),
        ({}, {"do_sample": True}, True),
        ({}, {"do_sample": False, "temperature": 0.7}, False),
        ({}, {"do_sample": True, "temperature": 0.0}, False),
        ({}, {"repetition_penalty": 1.2}, False),
        # What a file says counts for calls that say nothing,
        ({"do_sample": True}, {}, True),
        ({"do_sample": True, "temperature": 0.6}, {}, True),
        ({"do_sample": False, "temperature": 0.6}, {}, False),
        ({"temperature": 0.6}, {}, True),
        ({"top_k": 20}, {}, True),
        # what transformers writes where nothing was chosen asks for nothing,
        ({"temperature": 1.0, "top_k": 50, "top_p": 1.0}, {}, False),
        # and a call that asks for something gets it.
        ({"do_sample": True, "temperature": 0.6}, {"do_sample": False}, False),
        ({"do_sample": True, "temperature": 0.6}, {"temperature": 0}, False),
        ({"do_sample": False}, {"temperature": 0.7}, True),
        ({"do_sample": False}, {"top_p": 0.7}, True),
        ({"temperature": 0.0}, {"do_sample": True}, False),
    ],
)
def test_when_tokens_are_drawn(file: dict[str, Any], call: dict[str, Any], draws: bool) -> None:
    assert GenerationConfig.from_dict(file).updated(call).draws is draws
    texts = {tuple(generate(with_config(file), [1], max_new_tokens=20, seed=seed, **call).token_ids) for seed in range(4)}
    assert (len(texts) > 1) is draws


def test_filters_that_are_not_given_are_off() -> None:
    """Of 32 tokens each is drawn in the end, where transformers would draw from 50 of more."""
    model = TableModel(vocab_size=80, sharpness=0.01)
    drawn = {generate(model, [1], max_new_tokens=1, do_sample=True, seed=seed).token_ids[0] for seed in range(1500)}
    assert len(drawn) == 80


def test_filters_are_off_where_the_best_is_taken() -> None:
    """The XTC filter takes the best away."""
    values = {"xtc_probability": 1.0, "xtc_threshold": 0.01}
    assert generate(TableModel(), [1], do_sample=False, **values).token_ids == generate(TableModel(), [1]).token_ids
