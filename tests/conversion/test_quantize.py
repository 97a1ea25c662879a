"""Quantized packages are as wrong as quantizing in NumPy makes them, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest
from test_forms import BOUND, assert_close

import russet
from russet.conversion import quantize
from russet.conversion.decoder import Tensor
from russet.coreml.description import describe
from russet.coreml.package import Package
from russet.coreml.portable.weights import WeightFile, unpack

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(5)
MATRIX = (RANDOM.standard_normal((48, 96)) * RANDOM.uniform(0.1, 3, (48, 1))).astype(np.float16).astype(np.float32)


def naive_linear(matrix: Array, bits: int, block: int) -> Array:
    """Block by block: the largest magnitude is 7.5 or 127 steps."""
    found = np.empty_like(matrix)
    limit = 2 ** (bits - 1)
    for row in range(len(matrix)):
        for begin in range(0, matrix.shape[1], block):
            part = matrix[row, begin : begin + block]
            scale = np.float32(np.float16(np.abs(part).max() / (7.5 if bits == 4 else 127)))
            steps = np.zeros_like(part) if scale == 0 else np.clip(np.rint(part / scale), -limit, limit - 1)
            found[row, begin : begin + block] = steps * scale
    return found


@pytest.mark.parametrize(("kind", "bits", "block"), [("int8", 8, 96), ("int4", 4, 32)])
def test_whole_numbers_are_those_of_the_naive_loop(kind: str, bits: int, block: int) -> None:
    encoding = quantize.encoding_for(Tensor("w", MATRIX.shape), kind, "float16", True)
    matrix = MATRIX.copy()
    matrix[3, :32] = 0
    matrix[4, 32:64] = 1e-9
    np.testing.assert_array_equal(encoding.decode(encoding.encode(matrix, "w")), naive_linear(matrix, bits, block))


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_whole_numbers_beside_those_of_coremltools(kind: str, tmp_path: Path) -> None:
    """They are the same for int8; for int4 coremltools leaves the least number out, so that its steps are longer."""
    from russet.coreml.coremltools_import import coremltools

    with coremltools() as ct:
        import coremltools.optimize.coreml as optimize
        from coremltools.converters.mil import Builder as mb

        @mb.program(input_specs=[mb.TensorSpec((1, 96), dtype=ct.converters.mil.mil.types.fp16)], opset_version=ct.target.iOS18)
        def program(x: Any) -> Any:
            return mb.linear(x=x, weight=MATRIX.astype(np.float16))

        plain = ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
        blocks = {"granularity": "per_block", "block_size": 32} if kind == "int4" else {"granularity": "per_channel"}
        config = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", dtype=kind, weight_threshold=0, **blocks)
        optimize.linear_quantize_weights(plain, optimize.OptimizationConfig(global_config=config)).save(
            str(tmp_path / "x.mlpackage")
        )
    package = Package(tmp_path / "x.mlpackage")
    (operation,) = [each for each in package.program.functions["main"].block.operations if each.kind.startswith("constexpr")]
    data, scale = (operation.inputs[name][0] for name in ("data", "scale"))
    file = WeightFile(package.file(data.file))  # type: ignore[union-attr]
    theirs = {"data": unpack(file.read(data), data.dtype, data.shape), "scale": file.read(scale)}  # type: ignore[arg-type, union-attr]
    encoding = quantize.encoding_for(Tensor("w", MATRIX.shape), kind, "float16", True)
    ours = encoding.encode(MATRIX, "w")
    longer = 7.5 / 7 if kind == "int4" else 1
    np.testing.assert_allclose(ours["scale"].astype(np.float32) * longer, theirs["scale"].astype(np.float32), rtol=2e-3)
    assert np.abs(ours["data"].astype(int) - theirs["data"].astype(int)).max() <= 1
    errors = [float(np.square(encoding.decode(parts) - MATRIX).sum()) for parts in (ours, theirs)]
    assert errors[0] < (0.95 if kind == "int4" else 1.001) * errors[1]


def best_error(values: Array, count: int) -> float:
    """The least squared error of `count` clusters, by dynamic programming. O(count n^2)."""
    values = np.sort(values.astype(np.float64))
    n = len(values)
    sums, squares = (np.concatenate([[0], np.cumsum(values**power)]) for power in (1, 2))

    def error(begin: int, end: int) -> float:
        return float(squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin))

    best = [0.0] + [float("inf")] * n
    for _ in range(count):
        best = [0.0] + [min(best[begin] + error(begin, end) for begin in range(end)) for end in range(1, n + 1)]
    return best[n]


def naive_k_means(values: Array, count: int) -> Array:
    """Lloyd's rounds, element by element."""
    values = np.sort(values.astype(np.float64))
    steps = (np.arange(count) + 0.5) / count
    low, high = values[0], values[-1]
    centres = (values[(steps * len(values)).astype(int)] + low + (high - low) * steps) / 2
    before = None
    for _ in range(100):
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values, "right")
        if before is not None and (nearest == before).all():
            break
        before = nearest
        centres = np.array(
            [values[nearest == index].mean() if (nearest == index).any() else centres[index] for index in range(count)]
        )
    return centres.astype(np.float32)


def some_values(seed: int, size: int) -> Array:
    random = np.random.default_rng(seed)
    return (random.standard_normal(size) * random.choice([1, 1, 1, 4], size)).astype(np.float32)


def test_k_means_is_that_of_the_naive_loop() -> None:
    groups = np.stack([some_values(seed, 300) for seed in range(6)])
    for count in (4, 16, 64):
        centres = quantize.k_means(groups, count)
        for row, group in enumerate(groups):
            np.testing.assert_allclose(centres[row], naive_k_means(group, count), rtol=1e-5, atol=1e-6)
            # Whatever rows are beside it.
            np.testing.assert_allclose(quantize.k_means(group[None], count)[0], centres[row], rtol=1e-6, atol=1e-7)


def test_k_means_of_numbers_that_count_several_times() -> None:
    values = some_values(9, 50).astype(np.float16).astype(np.float32)
    counts = np.random.default_rng(9).integers(1, 9, 50)
    many = np.repeat(values, counts)[None]
    np.testing.assert_allclose(quantize.k_means(values[None], 8, counts[None]), quantize.k_means(many, 8), rtol=1e-5, atol=1e-6)
    found = quantize._distinct(np.random.default_rng(1).permutation(many[0])[None])
    assert dict(zip(found[0][0].tolist(), found[1][0].tolist(), strict=True)) == {
        value: int(counts[values == value].sum()) for value in values.tolist()
    }


@pytest.mark.parametrize("seed", range(4))
def test_k_means_is_near_the_best_clusters(seed: int) -> None:
    values = some_values(seed, 160)
    (centres,) = quantize.k_means(values[None], 8)
    nearest = np.abs(values[:, None] - centres).argmin(axis=1)
    assert (np.diff(centres) >= 0).all()
    assert ((values - centres[nearest]) ** 2).sum() <= 1.6 * best_error(values, 8)


def test_k_means_of_few_values() -> None:
    centres = quantize.k_means(np.array([[1.0, 1.0, -2.0]], np.float32), 16)
    assert {1.0, -2.0} <= set(centres[0].tolist())
    assert quantize.k_means(np.full((2, 5), 3, np.float32), 4).tolist() == [[3.0] * 4] * 2


@pytest.mark.parametrize("kind", ["palette4", "palette6"])
def test_palettes_take_the_nearest_value(kind: str) -> None:
    encoding = quantize.encoding_for(Tensor("w", MATRIX.shape), kind, "float16", True)
    parts = encoding.encode(MATRIX, "w")
    assert parts["lut"].shape == (3, 1, 1 << int(kind[-1]), 1)
    tables = np.repeat(parts["lut"][:, 0, :, 0].astype(np.float32), 16, axis=0)
    nearest = np.abs(MATRIX[:, :, None] - tables[:, None]).min(axis=2)
    np.testing.assert_array_equal(np.abs(encoding.decode(parts) - MATRIX), nearest)
    # The same bits, whatever the order of blocks: nothing is drawn by lot.
    again = encoding.encode(MATRIX[16:32], "w")
    np.testing.assert_array_equal(again["lut"][0], parts["lut"][1])


@pytest.mark.parametrize(("dtype", "low", "high"), [("int4", -8, 7), ("uint4", 0, 15), ("uint6", 0, 63), ("int8", -128, 127)])
def test_packed_elements_are_read_back(dtype: str, low: int, high: int) -> None:
    values = RANDOM.integers(low, high + 1, (3, 24)).astype(dtype.replace("4", "8").replace("6", "8"))
    data = np.frombuffer(quantize.packed(values, dtype), np.uint8)
    assert len(data) == quantize.byte_count(quantize.Part(dtype, values.shape))
    read = unpack(data, dtype, values.shape) if dtype != "int8" else data.view(np.int8).reshape(values.shape)
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("target", ["iOS18", "iOS16"])
@pytest.mark.parametrize("kind", ["int8", "int4", "palette4", "palette6"])
def test_a_quantized_package_is_the_package_of_the_quantized_checkpoint(
    kind: str, target: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"cache": "none", "target": target, "context_length": 64, "logits": "all", "verify": False}
    if kind == "int4" and target == "iOS16":
        with pytest.raises(russet.ArgumentError, match="'int4' needs the target iOS18"):
            russet.convert(checkpoint("llama-tied"), tmp_path / "no", quantize=kind, **options)
        return
    russet.convert(checkpoint("llama-tied"), tmp_path / "quantized", quantize=kind, **options)
    tensors = checkpoints.tensors_of("llama-tied")
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and kind.startswith("int"):
            tensors[name] = naive_linear(tensor, int(kind[3:]), 32 if kind == "int4" else tensor.shape[1])
        elif tensor.ndim == 2:
            encoding = quantize.encoding_for(Tensor(name, tensor.shape), kind, "float16", target == "iOS18")
            lut = encoding.encode(tensor, name)["lut"].astype(np.float32).reshape(-1, 1 << int(kind[-1]))
            assert len(lut) == (1 if target == "iOS16" else len(tensor) // 16)
            tables = np.repeat(lut, len(tensor) // len(lut), axis=0)
            nearest = np.abs(tensor[:, :, None] - tables[:, None]).argmin(axis=2)
            tensors[name] = np.take_along_axis(tables, nearest, axis=1)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "config.json").write_text(json.dumps(checkpoints.manifest()["llama-tied"]["config"]))
    checkpoints.write_safetensors(plain / "model.safetensors", tensors, "F32")
    # In float32, which holds products of scales and whole numbers.
    russet.convert(plain, tmp_path / "expected", precision="float32", **options)
    ids, logits = checkpoints.golden("llama-tied")
    given, expected = (
        russet.LanguageModel.from_pretrained(tmp_path / name, backend="portable").logits(ids) for name in ("quantized", "expected")
    )
    assert_close(given, expected, BOUND)
    # And it is quantized.
    assert (np.abs(given - logits).max(axis=-1) > 3 * BOUND * np.abs(logits).max(axis=-1)).any()


def test_rules_by_name(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    rules = {"*embed*": "float16", "*down_proj*": "int8", "*mlp*": "palette6", "*": "int4"}
    report = russet.convert(checkpoint("llama"), tmp_path / "out", quantize=rules, context_length=64, query_lengths=(1,))
    weights = describe(tmp_path / "out")["weights"]
    # Two layers: down; gate and up; q, k, v, o and the head.
    assert {name: weights[name]["tensors"] for name in ("int8", "uint6", "int4")} == {"int8": 2, "uint6": 4, "int4": 9}
    assert weights["int8"]["elements"] == 2 * 64 * 128
    assert report.parity is not None and report.parity.difference < BOUND
    with pytest.raises(russet.ArgumentError, match="'int3' is not one of"):
        russet.convert(checkpoint("llama"), tmp_path / "no", quantize={"*": "int3"})


@pytest.mark.parametrize(
    ("shape", "kind", "expected"),
    [
        ((96, 80), "int4", "int4 of 16"),
        ((96, 36), "int4", "int8"),
        ((90, 64), "palette4", "palette4 of 0"),
        ((96, 64), "palette4", "palette4 of 16"),
        ((96,), "int4", "float16"),
    ],
)
def test_shapes_that_do_not_divide(shape: tuple[int, ...], kind: str, expected: str) -> None:
    encoding = quantize.encoding_for(Tensor("w", shape), kind, "float16", True)
    size = getattr(encoding, "group", getattr(encoding, "block", None)) if encoding.kind != "int8" else None
    assert encoding.kind + ("" if size is None else f" of {size}") == expected
    matrix = RANDOM.standard_normal(shape).astype(np.float32)
    off = np.abs(encoding.decode(encoding.encode(matrix, "w")) - matrix).max()
    assert off < {"int4": 0.5, "palette4": 1.0}.get(encoding.kind, 0.02)


def test_elements_that_float16_does_not_hold(tmp_path: Path) -> None:
    tensors = checkpoints.tensors_of("llama")
    name = "model.layers.0.mlp.up_proj.weight"
    for value, message in ((1e5, "too large for float16"), (np.nan, "not finite")):
        folder = checkpoints.write(tmp_path / f"bad-{value}", "llama")
        changed = tensors | {name: tensors[name].copy()}
        changed[name][3, 4] = value
        checkpoints.write_safetensors(folder / "model.safetensors", changed, "F32")
        for kind in (None, "int4", "palette4"):
            if kind == "int4" and value == 1e5:
                continue  # its scale is small enough
            with pytest.raises(russet.CheckpointError, match=f"{name}: .*{message}"):
                russet.convert(folder, tmp_path / "out", quantize=kind, query_lengths=(1,))
            assert not (tmp_path / "out").exists()
