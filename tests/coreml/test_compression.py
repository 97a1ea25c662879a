"""Every compression of weights that coremltools writes gives what its decompress_weights gives."""

from __future__ import annotations

import gc
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

from mil_packages import convert, coremltools

import russet.coreml
from russet.coreml.portable.constants import Constant
from russet.coreml.portable.graph import Reader

Array = np.ndarray[Any, Any]

#: Products of weights are summed in float32 by kernels that take them as they are stored, and never round a weight to float16 as
#: decompress_weights does: scale * (data - offset) is kept. So predictions are near, and constants, which are rounded, equal.
BOUND = 2e-3
#: Which arguments of the model are weights.
WEIGHTS = {"gather": "x", "linear": "weight", "matmul": "y", "conv": "weight"}

needs_kmeans = pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="k-means needs scikit-learn")


def write(path: Path, target: str) -> None:
    """Embedding (96, 64), linear (128, 64), matmul (128, 64), convolution (32, 64, 4)."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil import Function
    from coremltools.converters.mil.mil import types

    random = np.random.default_rng(3)

    def weights(*shape: int) -> Array:
        return (random.standard_normal(shape) / 8).astype(np.float16)

    ct = coremltools()
    with Function({"ids": mb.placeholder((1, 16), dtype=types.int32)}, opset_version=getattr(ct.target, target)) as function:
        x = mb.gather(x=weights(96, 64), indices=function.inputs["ids"], axis=0, name="embedded")
        x = mb.linear(x=x, weight=weights(128, 64), bias=weights(128), name="widened")
        x = mb.matmul(x=x, y=weights(128, 64), name="narrowed")
        x = mb.conv(x=mb.transpose(x=x, perm=[0, 2, 1]), weight=weights(32, 64, 4), name="convolved")
        function.set_outputs([mb.cast(x=x, dtype="fp32", name="y")])
    convert(function, path, target=target)


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages without compression, by target."""
    folder, found = tmp_path_factory.mktemp("dense"), {}
    for target in ("iOS16", "iOS18"):
        found[target] = folder / f"{target}.mlpackage"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(found[target], target)
    return found


def quantize(model: Any, joint: bool = False, **options: Any) -> Any:
    cto = coremltools().optimize.coreml
    config = cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(weight_threshold=512, **options))
    return cto.linear_quantize_weights(model, config, **({"joint_compression": True} if joint else {}))


def palettize(model: Any, joint: bool = False, **options: Any) -> Any:
    cto = coremltools().optimize.coreml
    config = cto.OptimizationConfig(global_config=cto.OpPalettizerConfig(weight_threshold=512, **options))
    return cto.palettize_weights(model, config, **({"joint_compression": True} if joint else {}))


def prune(model: Any, joint: bool = False, threshold: float | None = None, **options: Any) -> Any:
    cto = coremltools().optimize.coreml
    if threshold is None:
        one = cto.OpMagnitudePrunerConfig(weight_threshold=512, **options)
    else:
        one = cto.OpThresholdPrunerConfig(threshold=threshold, weight_threshold=512, minimum_sparsity_percentile=0.1)
    return cto.prune_weights(model, cto.OptimizationConfig(global_config=one), **({"joint_compression": True} if joint else {}))


def mix(model: Any) -> Any:
    cto = coremltools().optimize.coreml
    quantized = cto.OpLinearQuantizerConfig(dtype="int4", granularity="per_block", block_size=16, weight_threshold=512)
    config = cto.OptimizationConfig(op_name_configs={"widened": quantized, "narrowed": quantized})
    model = cto.linear_quantize_weights(model, config)
    config = cto.OptimizationConfig(
        op_name_configs={
            "embedded": cto.OpPalettizerConfig(mode="uniform", nbits=6, weight_threshold=512),
            "convolved": cto.OpPalettizerConfig(mode="uniform", nbits=2, weight_threshold=512),
        }
    )
    return cto.palettize_weights(model, config)


def quantize_blocks(model: Any) -> Any:
    cto = coremltools().optimize.coreml
    sizes = {"embedded": (8, 16), "widened": (8, 16), "narrowed": (0, 4), "convolved": (4, 8, 2)}
    options = {"dtype": "int4", "granularity": "per_block", "weight_threshold": 512}
    configs = {name: cto.OpLinearQuantizerConfig(block_size=block, **options) for name, block in sizes.items()}
    return cto.linear_quantize_weights(model, cto.OptimizationConfig(op_name_configs=configs))


def round_off(model: Any) -> Any:
    """Leaves a few values, which the mode "unique" finds."""
    return coremltools().optimize.coreml.decompress_weights(quantize(model, dtype="int4", granularity="per_tensor"))


def few_values(weight: Array) -> tuple[Array, Array]:
    """A look-up table of four values and the indices into it, for the mode "custom"."""
    table = np.quantile(weight, [0.1, 0.4, 0.6, 0.9]).astype(weight.dtype)
    return table, np.abs(weight.reshape(-1, 1) - table).argmin(axis=1).astype(np.uint8)


#: name: (target, what compresses in turn, operations of the compressed program)
FORMS: dict[str, tuple[str, list[tuple[Any, dict[str, Any]]], set[str]]] = {}
for mode in ("linear_symmetric", "linear"):
    for dtype in ("int8", "uint8", "int4", "uint4"):
        for granularity in ("per_tensor", "per_channel", "per_block"):
            options: dict[str, Any] = {"mode": mode, "dtype": dtype, "granularity": granularity}
            options |= {"block_size": 16} if granularity == "per_block" else {}
            FORMS[f"{mode}-{dtype}-{granularity}"] = ("iOS18", [(quantize, options)], {"constexpr_blockwise_shift_scale"})
FORMS["blocks-of-two-axes"] = ("iOS18", [(quantize_blocks, {})], {"constexpr_blockwise_shift_scale"})
for nbits in (1, 2, 3, 4, 6, 8):
    FORMS[f"palette-{nbits}"] = ("iOS18", [(palettize, {"mode": "uniform", "nbits": nbits})], {"constexpr_lut_to_dense"})
    if nbits != 3:
        FORMS[f"old-palette-{nbits}"] = ("iOS16", [(palettize, {"mode": "uniform", "nbits": nbits})], {"constexpr_lut_to_dense"})
for axis in (0, 1):
    options = {"mode": "uniform", "nbits": 4, "granularity": "per_grouped_channel", "group_size": 8, "channel_axis": axis}
    FORMS[f"palette-groups-{axis}"] = ("iOS18", [(palettize, options)], {"constexpr_lut_to_dense"})
FORMS["palette-scales"] = (
    "iOS18",
    [(palettize, {"mode": "uniform", "nbits": 4, "enable_per_channel_scale": True})],
    {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"},
)
FORMS["palette-groups-scales"] = (
    "iOS18",
    [
        (
            palettize,
            {
                "mode": "uniform",
                "nbits": 3,
                "granularity": "per_grouped_channel",
                "group_size": 4,
                "enable_per_channel_scale": True,
            },
        )
    ],
    {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"},
)
FORMS["palette-custom"] = ("iOS18", [(palettize, {"mode": "custom", "lut_function": few_values})], {"constexpr_lut_to_dense"})
for name, options in {
    "magnitude": {"target_sparsity": 0.6},
    "magnitude-blocks": {"target_sparsity": 0.5, "block_size": 2, "dim": 0},
    "n-m": {"n_m_ratio": (2, 4)},
    "threshold": {"threshold": 0.1},
}.items():
    FORMS[f"prune-{name}"] = ("iOS18", [(prune, options)], {"constexpr_sparse_to_dense"})
    FORMS[f"old-prune-{name}"] = ("iOS16", [(prune, options)], {"constexpr_sparse_to_dense"})
for dtype in ("int8", "uint8", "int4"):
    FORMS[f"prune-quantize-{dtype}"] = (
        "iOS18",
        [(prune, {"target_sparsity": 0.6}), (quantize, {"dtype": dtype, "joint": True})],
        {"constexpr_sparse_to_dense", "constexpr_sparse_blockwise_shift_scale"},
    )
FORMS["prune-palettize"] = (
    "iOS18",
    [(prune, {"target_sparsity": 0.6}), (palettize, {"mode": "uniform", "nbits": 4, "joint": True})],
    {"constexpr_sparse_to_dense", "constexpr_lut_to_sparse"},
)
FORMS["palettize-quantize"] = (
    "iOS18",
    [(palettize, {"mode": "uniform", "nbits": 4}), (quantize, {"dtype": "int8", "granularity": "per_tensor", "joint": True})],
    {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"},
)
FORMS["prune-palettize-quantize"] = (
    "iOS18",
    [
        (prune, {"target_sparsity": 0.6}),
        (palettize, {"mode": "uniform", "nbits": 4, "joint": True}),
        (quantize, {"dtype": "int8", "granularity": "per_tensor", "joint": True}),
    ],
    {"constexpr_sparse_to_dense", "constexpr_lut_to_sparse", "constexpr_blockwise_shift_scale"},
)
for dtype in ("int8", "uint8"):
    for mode in ("linear_symmetric", "linear"):
        for granularity in ("per_tensor", "per_channel"):
            options = {"mode": mode, "dtype": dtype, "granularity": granularity}
            FORMS[f"old-{mode}-{dtype}-{granularity}"] = ("iOS16", [(quantize, options)], {"constexpr_affine_dequantize"})
FORMS["mixed"] = ("iOS18", [(mix, {})], {"constexpr_blockwise_shift_scale", "constexpr_lut_to_dense"})
FORMS["unique"] = ("iOS18", [(round_off, {}), (palettize, {"mode": "unique"})], {"constexpr_lut_to_dense"})
KMEANS: dict[str, dict[str, Any]] = {
    "kmeans": {"mode": "kmeans", "nbits": 4},
    "kmeans-groups": {"mode": "kmeans", "nbits": 3, "granularity": "per_grouped_channel", "group_size": 16},
    "vectors": {"mode": "kmeans", "nbits": 4, "cluster_dim": 2},
}
for name, options in KMEANS.items():
    FORMS[name] = ("iOS18", [(palettize, options)], {"constexpr_lut_to_dense"})


def weights(model: Any) -> dict[str, Constant]:
    """The constants that are weights, before anything is made of them."""
    function = model.package.program.functions["main"]
    nodes = Reader(model._shared._blob).graph(function.block, function.inputs).nodes
    return {node.kind: node.inputs[WEIGHTS[node.kind]] for node in nodes if node.kind in WEIGHTS}


def compress(package: Path, changes: list[tuple[Any, dict[str, Any]]], folder: Path) -> None:
    """Writes the compressed package and the decompressed one."""
    model = coremltools().models.MLModel(str(package), skip_model_load=True)
    for change, options in changes:
        model = change(model, **options)
    model.save(str(folder / "compressed.mlpackage"))
    coremltools().optimize.coreml.decompress_weights(model).save(str(folder / "dense.mlpackage"))


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_kmeans if name in KMEANS else ()) for name in FORMS])
def test_a_compression_gives_what_its_decompression_gives(name: str, dense: dict[str, Path], tmp_path: Path) -> None:
    target, changes, kinds = FORMS[name]
    with warnings.catch_warnings():
        # coremltools leaves folders to be cleaned up.
        warnings.simplefilter("ignore")
        compress(dense[target], changes, tmp_path)
        gc.collect()
    compare(tmp_path, kinds)


def compare(folder: Path, kinds: set[str]) -> None:
    actual: Any = russet.coreml.load(folder / "compressed.mlpackage", backend="portable")
    expected: Any = russet.coreml.load(folder / "dense.mlpackage", backend="portable")
    found = {operation.kind for operation in actual.package.program.functions["main"].block.operations}
    assert {kind for kind in found if kind.startswith("constexpr")} == kinds
    assert not any(
        operation.kind.startswith("constexpr") for operation in expected.package.program.functions["main"].block.operations
    )
    first, second = weights(actual), weights(expected)
    assert set(first) == set(second) == set(WEIGHTS)
    for kind, constant in first.items():
        assert constant.dtype == second[kind].dtype
        np.testing.assert_array_equal(constant.dense, second[kind].dense, kind)
    ids = np.random.default_rng(5).integers(0, 96, (1, 16))
    one, other = actual.predict({"ids": ids})["y"], expected.predict({"ids": ids})["y"]
    np.testing.assert_allclose(one, other, 0, BOUND * np.abs(other).max())


def test_a_cast_of_constants(tmp_path: Path) -> None:
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil import Function
    from coremltools.converters.mil.mil import types

    values = np.float16([0.1, 2, -3])
    with Function({"x": mb.placeholder((3,), dtype=types.fp32)}, opset_version=coremltools().target.iOS16) as function:
        weight = mb.constexpr_cast(source_val=values, output_dtype="fp32")
        function.set_outputs([mb.add(x=function.inputs["x"], y=weight, name="y")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        convert(function, tmp_path / "cast.mlpackage", target="iOS16")
    model: Any = russet.coreml.load(tmp_path / "cast.mlpackage", backend="portable")
    assert "constexpr_cast" in {operation.kind for operation in model.package.program.functions["main"].block.operations}
    np.testing.assert_array_equal(model.predict({"x": np.zeros(3)})["y"], values.astype(np.float32))
