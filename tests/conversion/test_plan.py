"""Plans from config.json alone: what is supported, how large it will be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from test_forms import FORMS

import russet
from russet.conversion import plan
from russet.conversion.architectures import KNOWN, decoder_of
from russet.conversion.configuration import Config

_LLAMA = {"model_type": "llama", "vocab_size": 32000, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}


def sizes(hidden: int, wide: int, layers: int, heads: int, kv_heads: int, **more: Any) -> dict[str, Any]:
    return _LLAMA | {
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        **more,
    }


#: Published models: their sizes, and how many parameters their cards tell.
PUBLISHED = {
    "TinyLlama-1.1B": (sizes(2048, 5632, 22, 32, 4), 1_100_048_384),
    "Llama-2-7b": (sizes(4096, 11008, 32, 32, 32), 6_738_415_616),
    "Llama-3.2-1B": (sizes(2048, 8192, 16, 32, 8, vocab_size=128256, tie_word_embeddings=True), 1_235_814_400),
    "SmolLM2-135M": (sizes(576, 1536, 30, 9, 3, vocab_size=49152, tie_word_embeddings=True), 134_515_008),
    "Mistral-7B": (sizes(4096, 14336, 32, 32, 8, model_type="mistral", sliding_window=4096), 7_241_732_096),
    "Qwen2.5-0.5B": (
        sizes(896, 4864, 24, 14, 2, model_type="qwen2", vocab_size=151936, tie_word_embeddings=True),
        494_032_768,
    ),
    "Qwen3-0.6B": (
        sizes(1024, 3072, 28, 16, 8, model_type="qwen3", vocab_size=151936, head_dim=128, tie_word_embeddings=True),
        596_049_920,
    ),
    "SmolLM3-3B": (sizes(2048, 11008, 36, 16, 4, model_type="smollm3", vocab_size=128256), 3_075_098_624),
    "Phi-3-mini": (sizes(3072, 8192, 32, 32, 32, model_type="phi3", vocab_size=32064), 3_821_079_552),
    "gpt2": (
        {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024},
        124_439_808,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_published_models(name: str) -> None:
    config, parameters = PUBLISHED[name]
    decoder = decoder_of(Config(config))
    assert sum(tensor.size for tensor in decoder.tensors()) == parameters


@pytest.mark.parametrize(
    ("form", "quantize"),
    [
        ("range", "int4"),
        ("range", None),
        ("multifunction", "palette6"),
        ("fixed", "int8"),
        ("fixed", "palette4"),
        ("enumerated", "palette4"),
        ("enumerated-ids", None),
    ],
)
def test_the_size_is_that_of_the_package(
    form: str, quantize: str | None, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    options = FORMS[form] | {"context_length": 64, "quantize": quantize}
    case = ("gpt2", "smollm3", "mistral")[(len(form) + len(str(quantize))) % 3]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_bytes((checkpoint(case) / "config.json").read_bytes())
    planned = plan.make(tmp_path / "config", **options)
    report = russet.convert(checkpoint(case), tmp_path / "out", verify=False, **options)
    assert planned.package_bytes == pytest.approx(report.package_bytes, rel=0.02)
    model = russet.coreml.load(report.package, "portable")
    states = model.function.states.values()
    assert planned.state_bytes == sum(2 * state.shape[0] * state.shape[2] * state.shape[3] * state.shape[4] for state in states)


def test_many_layers_are_planned_from_few(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["SmolLM2-135M"][0] | {"num_hidden_layers": 16}))
    planned = plan.make(tmp_path, cache="none")
    assert planned._program_bytes() == pytest.approx(planned._program_bytes_of(16), rel=0.02)


def test_a_plan_without_coremltools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["SmolLM2-135M"][0]))
    exact = plan.make(tmp_path, quantize="int4", shapes="range").package_bytes

    def missing(*arguments: Any) -> None:
        raise russet.UnsupportedModelError("conversion needs coremltools")

    monkeypatch.setattr(plan.programs, "model_of", missing)
    assert plan.make(tmp_path, quantize="int4", shapes="range").package_bytes == pytest.approx(exact, rel=0.02)


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    for name, limit in (("TinyLlama-1.1B", 1e9), ("Mistral-7B", 1e9)):
        (tmp_path / "config.json").write_text(json.dumps(PUBLISHED[name][0]))
        assert plan.make(tmp_path, quantize="int4").memory_bytes < limit


def test_unknown_types_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(russet.UnsupportedModelError, match=f"'mamba' is not supported; known are {', '.join(KNOWN)}"):
        plan.make(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantization_config": {"bits": 4}}, "quantization_config: .*changes what the model computes"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ({"logits_scaling": 2.0}, "logits_scaling"),
        ({"num_local_experts": 8}, "num_local_experts"),
        ({"hidden_act": "xielu"}, "hidden_act: 'xielu' is not known; known are silu"),
        ({"rope_scaling": {"type": "mrope", "factor": 2.0}}, "'mrope' is not known; known are default, linear, dynamic"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 3}}, "'beta_fast' is not known for the scaling 'linear'"),
        ({"use_sliding_window": True, "sliding_window": 8, "model_type": "smollm3"}, "which layers have a window"),
        ({"layer_types": ["linear_attention"] * 22, "model_type": "qwen3"}, "layer_types: 'linear_attention'"),
    ],
)
def test_fields_that_are_not_supported_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["TinyLlama-1.1B"][0] | changes))
    with pytest.raises(russet.UnsupportedModelError, match=message):
        plan.make(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": None}, "hidden_size: it is None, and not a whole number above 0"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"hidden_size": 1e3}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_key_value_heads": 5}, "32 heads do not fit 5 of keys"),
        ({"tie_word_embeddings": 1}, "neither true nor false"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps"),
        ({"rope_scaling": {"type": "llama3", "factor": 2.0}}, "needs 'low_freq_factor'"),
        ({"rope_scaling": {"type": "linear", "factor": -2.0}}, "not a positive number"),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}}, "no list of 32 positive numbers"),
        ({"rope_scaling": [1]}, "not an object"),
        ({"model_type": 3}, "model_type"),
    ],
)
def test_fields_that_make_no_sense_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["TinyLlama-1.1B"][0] | changes))
    with pytest.raises(russet.ConfigError, match=message):
        plan.make(tmp_path)


def test_older_names_of_rotary_fields_mean_the_same() -> None:
    new = {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5}}
    old = {"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 5e5}
    base = PUBLISHED["TinyLlama-1.1B"][0]
    assert decoder_of(Config(base | new)).rotary == decoder_of(Config(base | old)).rotary


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("llama", {"num_key_value_heads": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000.0}),
        ("mistral", {"num_key_value_heads": 8, "rms_norm_eps": 1e-6, "sliding_window": 4096}),
        ("phi3", {"num_key_value_heads": 32, "rms_norm_eps": 1e-5, "sliding_window": None}),
        ("smollm3", {"num_key_value_heads": 4, "rope_theta": 2e6, "tie_word_embeddings": True, "no_rope_layer_interval": 4}),
        ("qwen3", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 28}),
    ],
)
def test_fields_that_are_absent_have_the_values_of_transformers(kind: str, meant: dict[str, Any]) -> None:
    full = sizes(2048, 5632, 30, 32, 8, model_type=kind) | meant
    turned_on = {"use_sliding_window"}
    absent = {name: value for name, value in full.items() if name not in meant or name in turned_on}
    assert decoder_of(Config(absent)) == decoder_of(Config(full))


def test_fields_that_nobody_reads_are_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(PUBLISHED["TinyLlama-1.1B"][0] | {"mystery": 3, "_private": 1, "use_cache": True})
    )
    assert plan.make(tmp_path).config.unread() == ["mystery"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": "paged"}, "cache: 'paged'"),
        ({"shapes": "fixed"}, "shapes: 'fixed' is not one of 'multifunction', 'range' with cache='stateful'"),
        ({"cache": "none", "shapes": "range"}, "shapes: 'range'"),
        ({"target": "iOS15"}, "target"),
        ({"target": "iOS17"}, "states need iOS18"),
        ({"query_lengths": (0, 8)}, "query_lengths"),
        ({"query_lengths": ()}, "query_lengths"),
        ({"query_lengths": (4096,)}, "fits a context of 2048"),
        ({"cache": "none", "shapes": "enumerated", "query_lengths": range(1, 200)}, "128 at most"),
        ({"logits": "first"}, "logits"),
        ({"precision": "bfloat16"}, "precision"),
        ({"quantize": "int2"}, "'int2' is not one of"),
        ({"quantize": {"*embed*": "float32", "*": "int8"}}, "'float32' in a package whose floats are float16"),
    ],
)
def test_arguments_that_do_not_go_together(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["TinyLlama-1.1B"][0]))
    with pytest.raises(russet.ArgumentError, match=message):
        plan.make(tmp_path, **options)


def test_a_context_beyond_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(checkpoints.manifest()["llama"]["config"]))
    with pytest.raises(russet.ContextLengthError, match="65; the checkpoint was made for 1 to 64"):
        plan.make(tmp_path, context_length=65)
    assert plan.make(tmp_path).form.context_length == 64
