"""Damaged and hostile packages: each is refused with a typed error, within 2 GB and the time limit, or runs."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from isolated import run
from programs import (
    BOOL,
    FLOAT,
    HALF,
    INT,
    INT4,
    INT8,
    STRING,
    UINT1,
    Name,
    blob,
    block,
    constant,
    field,
    model,
    named,
    operation,
    package,
    tensor,
    value,
    weights,
)

PACKAGES = Path(__file__).parent.parent / "data" / "packages"
MEMORY = 2 << 30

#: Loads packages and runs them once; everything that is no error of Russet is a failure.
CODE = """
import random, warnings, traceback
from pathlib import Path
import numpy as np
import russet.coreml
from russet import RussetError
from russet.coreml.package import Package

warnings.simplefilter("error")
RUNS = 0

def attempt(path):
    global RUNS
    try:
        model = russet.coreml.load(path, backend="portable", threads=1)
        inputs = {name: np.zeros(feature.shape, "int32" if feature.dtype == "int32" else "float32")
                  for name, feature in model.function.inputs.items() if np.prod(feature.shape, dtype=float) < 1e8}
        model.predict(inputs, model.make_state())
        RUNS += 1
        return "runs"
    except RussetError as error:
        assert "Internal" not in type(error).__name__
        return type(error).__name__ + ": " + str(error)
    except Exception as error:
        return "LEAK " + "".join(traceback.format_exception(error)[-2:])
"""

X = [("x", FLOAT, (4,))]
Y = [("y", FLOAT, (4,))]
ANY = [("y", FLOAT, (None,))]
STATE = [("s", HALF, (4,))]


def one(kind: str, inputs: dict[str, Any], outputs: Any = ANY, given: Any = X, **options: Any) -> bytes:
    """A program of one operation."""
    return model([operation(kind, inputs, outputs, **options)], given, outputs)


def loops(depth: int) -> bytes:
    """Loops in the bodies of loops."""

    def loop(level: int) -> bytes:
        names = [(f"b{level}", FLOAT, (4,))]
        condition = block(
            [operation("less", {"x": 1.0, "y": 0.0}, [(f"c{level}", BOOL, ())])], [f"c{level}"], [(f"a{level}", FLOAT, (4,))]
        )
        inside = [loop(level - 1)] if level else []
        body = block(inside, [f"b{level}"], names)
        return operation("while_loop", {"loop_vars": Name("x")}, [(f"o{level}", FLOAT, (4,))], [condition, body])

    return model([loop(depth), operation("relu", {"x": Name(f"o{depth}")}, Y)], X, Y)


def branches(depth: int) -> bytes:
    def branch(level: int) -> bytes:
        inside = [branch(level - 1)] if level else []
        blocks = [block(inside, [f"o{level - 1}" if level else "x"]), block([], ["x"])]
        return operation("cond", {"pred": True}, [(f"o{level}", FLOAT, (4,))], blocks)

    return model([branch(depth), operation("relu", {"x": Name(f"o{depth}")}, Y)], X, Y)


def doubling(count: int) -> bytes:
    operations = [
        operation("concat", {"values": (Name(f"v{i}" if i else "x"),) * 2, "axis": 0}, [(f"v{i + 1}", FLOAT, (None,))])
        for i in range(count)
    ]
    return model([*operations, operation("relu", {"x": Name(f"v{count}")}, ANY)], X, ANY)


def outer(kind: str) -> bytes:
    """A result of 2^40 elements from two of 2^20."""
    sizes = [("x", FLOAT, (1 << 20, 1))]
    turned = operation("reshape", {"x": Name("x"), "shape": [1, 1 << 20]}, [("t", FLOAT, (1, 1 << 20))])
    return model(
        [turned, operation(kind, {"x": Name("x"), "y": Name("t")}, [("y", FLOAT, (None, None))])],
        sizes,
        [("y", FLOAT, (None, None))],
    )


W = weights((2, bytes(64)), (1, bytes(32)))


def weighted(given: bytes, dtype: int = FLOAT, shape: tuple[int, ...] = (4, 4)) -> bytes:
    operations = [constant("w", dtype, shape, given), operation("linear", {"x": Name("x"), "weight": Name("w")}, Y)]
    return model(operations, X, Y)


def header(kind: int = 2, size: int = 64, start: int = 128, sentinel: int = 0xDEADBEEF) -> bytes:
    import struct

    return bytes(64) + struct.pack("<IIQQQ", sentinel, kind, size, start, 0).ljust(64, b"\0") + bytes(64)


def decompressed(kind: str, arguments: dict[str, Any]) -> bytes:
    attributes = {name: given if isinstance(given, bytes) else value(given) for name, given in arguments.items()}
    compressed = operation(kind, {}, [("w", FLOAT, (4, 4))], attributes=attributes)
    return model([compressed, operation("linear", {"x": Name("x"), "weight": Name("w")}, Y)], X, Y)


RELU = operation("relu", {"x": Name("x")}, Y)
WHOLE = model([RELU], X, Y)
PACKAGE, LIMIT, ARGUMENT = "PackageError", "LimitError", "ArgumentError"
UNSUPPORTED, OPERATION = "UnsupportedModelError", "UnsupportedOperationError"

#: name: (program, the error, what its message says)
PROGRAMS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", PACKAGE, "ML Program"),
    "neural-network": (field(1, 4) + field(500, b""), PACKAGE, "neural network"),
    "no-function": (field(1, 9) + field(2, b"") + field(502, b""), PACKAGE, "no function"),
    "no-description": (WHOLE[WHOLE.index(field(502, b"")[:2]) :], PACKAGE, "descri"),
    "unknown-operation": (one("crop_resize", {"x": Name("x")}), OPERATION, "crop_resize"),
    "list-operation": (one("make_list", {"x": Name("x")}), OPERATION, "make_list"),
    "unknown-data-type": (one("relu", {"x": Name("x")}, [("y", 77, (4,))]), PACKAGE, "data type 77"),
    "huge-type": (model([operation("relu", {"x": Name("x")}, [("z", FLOAT, (1 << 30, 1 << 30))]), RELU], X, Y), LIMIT, "1152921504606846976"),
    "huge-size": (one("relu", {"x": Name("x")}, [("y", FLOAT, (1 << 50,))]), PACKAGE, "dimension"),
    "huge-input": (model([RELU], [("x", FLOAT, (1 << 34,))], Y), LIMIT, "17179869184"),
    "huge-state": (
        model([operation("read_state", {"input": Name("s")}, Y)], X, Y, [("s", HALF, (1 << 30, 1 << 30))]), LIMIT, "1152921504606846976"),
    "great-state": (model([operation("relu", {"x": Name("x")}, Y)], X, Y, [("s", HALF, (1 << 32,))]), LIMIT, "state"),
    "huge-fill": (one("fill", {"shape": [1 << 20, 1 << 20], "value": 1.0}, [("y", FLOAT, (None, None))]), LIMIT, "1099511627776"),
    "great-fill": (one("fill", {"shape": [1 << 30], "value": 1.0}), LIMIT, "memory"),
    "negative-fill": (one("fill", {"shape": [-1], "value": 1.0}), PACKAGE, "negative"),
    "huge-tile": (one("tile", {"x": Name("x"), "reps": [(1 << 31) - 1]}, given=[("x", FLOAT, (1024,))]), LIMIT, "limit"),
    "huge-range": (one("range_1d", {"start": 0.0, "end": 1e12, "step": 1.0}), LIMIT, "1000000000000|limit"),
    "endless-range": (one("range_1d", {"start": 0, "end": 5, "step": 0}), PACKAGE, "by 0"),
    "infinite-range": (one("range_1d", {"start": 0.0, "end": float("inf"), "step": 1.0}), PACKAGE, "inf"),
    "huge-one-hot": (one("one_hot", {"indices": Name("x"), "one_hot_vector_size": (1 << 31) - 1}, [("y", INT, (None, None))],
                         [("x", INT, (1024,))]), LIMIT, "limit"),
    "huge-pad": (one("pad", {"x": Name("x"), "pad": [(1 << 31) - 1] * 2 + [1 << 20, 0]}, [("y", FLOAT, (None, None))],
                     [("x", FLOAT, (4, 4))]), LIMIT, "limit"),
    "huge-reshape": (one("reshape", {"x": Name("x"), "shape": [1 << 20, 1 << 20]}, [("y", FLOAT, (None, None))]), PACKAGE, "reshape"),
    "huge-upsample": (one("upsample_nearest_neighbor", {"x": Name("x"), "scale_factor_height": 1e6, "scale_factor_width": 1e6},
                          [("y", FLOAT, (1, None, None))], [("x", FLOAT, (1, 4, 4))]), LIMIT, "limit"),
    "huge-resize": (one("resize_bilinear", {"x": Name("x"), "target_size_height": 1 << 30, "target_size_width": 1 << 30},
                        [("y", FLOAT, (1, None, None))], [("x", FLOAT, (1, 4, 4))]), LIMIT, "limit"),
    "huge-convolution": (one("conv_transpose", {"x": Name("x"), "weight": tensor(FLOAT, (1, 1, 1), [1.0]), "strides": [(1 << 31) - 1]},
                             [("y", FLOAT, (1, 1, None))], [("x", FLOAT, (1, 1, 64))]), LIMIT, "limit"),
    "huge-pooling": (one("max_pool", {"x": Name("x"), "kernel_sizes": [1], "pad_type": "custom", "pad": [(1 << 31) - 1] * 2},
                         [("y", FLOAT, (1, 8, None))], [("x", FLOAT, (1, 8, 64))]), LIMIT, "limit"),
    "doubling": (doubling(60), LIMIT, "limit|memory"),
    "outer-sum": (outer("add"), LIMIT, "memory"),
    "outer-product": (outer("matmul"), LIMIT, "memory"),
    "deep-branches": (branches(200), PACKAGE, "64 deep"),
    "deep-loops": (loops(25), UNSUPPORTED, "too deep"),
    "given-twice": (model([RELU, RELU], X, Y), PACKAGE, "'y' is given twice"),
    "input-given-twice": (model([RELU], [*X, *X], Y), PACKAGE, "'x' is given twice|agree"),
    "used-before": (model([operation("relu", {"x": Name("z")}, Y), operation("relu", {"x": Name("x")}, [("z", FLOAT, (4,))])], X, Y), PACKAGE,
                    "'z' is not given"),
    "output-not-given": (model([], X, Y), PACKAGE, "'y' is not given"),
    "output-unknown": (model([RELU], X, [("z", FLOAT, (4,))], names=["y"]), PACKAGE, "do not agree"),
    "argument-missing": (one("linear", {"x": Name("x")}), PACKAGE, "'weight' is missing"),
    "argument-missing-lowered": (one("matmul", {"x": Name("x")}), PACKAGE, "'y' is missing"),
    "argument-missing-elementwise": (one("add", {"x": Name("x")}), PACKAGE, "'y' is missing"),
    "argument-unknown": (one("relu", {"x": Name("x"), "alpha": 1.0}), PACKAGE, "no parameter 'alpha'"),
    "argument-empty": (one("relu", {"x": ()}), PACKAGE, "is empty"),
    "argument-list": (one("relu", {"x": (Name("x"), Name("x"))}), PACKAGE, "list of tensors"),
    "argument-text": (one("relu", {"x": "text"}), PACKAGE, "text"),
    "argument-number-as-text": (one("softmax", {"x": Name("x"), "axis": "last"}), PACKAGE, "a text is given"),
    "cast-to-text": (one("cast", {"x": Name("x"), "dtype": "string"}), OPERATION, "string"),
    "pad-mode": (one("pad", {"x": Name("x"), "pad": [1, 1], "mode": "wrap"}), PACKAGE, "wrap"),
    "axis-beyond": (one("reduce_sum", {"x": Name("x"), "axes": [7]}, [("y", FLOAT, ())]), PACKAGE, "7"),
    "permutation": (one("transpose", {"x": Name("x"), "perm": [0, 0]}), PACKAGE, ""),
    "split-by-zero": (one("split", {"x": Name("x"), "num_splits": 0, "axis": 0}), PACKAGE, ""),
    "groups-zero": (one("conv", {"x": Name("x"), "weight": tensor(FLOAT, (1, 1, 2), [1.0, 1.0]), "groups": 0}, [("y", FLOAT, (1, 1, None))],
                        [("x", FLOAT, (1, 1, 4))]), PACKAGE, ""),
    "block-zero": (one("depth_to_space", {"x": Name("x"), "block_size": 0}, [("y", FLOAT, (1, 4, None, 4))], [("x", FLOAT, (1, 4, 4, 4))]), PACKAGE, ""),
    "equation": (one("einsum", {"values": (Name("x"), Name("x")), "equation": "(("}), PACKAGE, ""),
    "index-inside": (one("gather", {"x": tensor(FLOAT, (2,), [1.0, 2.0]), "indices": Name("x")}, [("y", FLOAT, (4,))],
                         [("x", INT, (4,))]), "runs", ""),
    "index-beyond-constant": (one("gather", {"x": Name("x"), "indices": 9}, [("y", FLOAT, ())]), ARGUMENT, "9"),
    "outputs-too-many": (one("split", {"x": Name("x"), "num_splits": 2, "axis": 0}, [("y", FLOAT, (2,))] * 1), "runs|PackageError", ""),
    "constant-too-short": (model([constant("c", FLOAT, (4,), tensor(FLOAT, (4,), [1.0])), RELU], X, Y), PACKAGE, "are not these"),
    "constant-other-shape": (model([constant("c", FLOAT, (4,), tensor(FLOAT, (1,), [1.0])), RELU], X, Y), PACKAGE, "its type says"),
    "constant-without-value": (model([operation("const", {}, [("c", FLOAT, (4,))]), RELU], X, Y), PACKAGE, "without a value"),
    "constant-rank": (weighted(tensor(FLOAT, (1,) * 100, [1.0]), FLOAT, (1,) * 100), PACKAGE, ""),
    "constant-packed": (model([constant("c", INT4, (4,), tensor(INT4, (4,), [1, 2, 3, 4])), operation("add", {"x": Name("x"), "y": Name("c")}, Y)],
                              X, Y), PACKAGE, "int4"),
    "cond-one-block": (one("cond", {"pred": True}, Y, blocks=[block([], ["x"])]), PACKAGE, "blocks"),
    "cond-no-output": (one("cond", {"pred": True}, Y, blocks=[block([], ["x"]), block([], [])]), PACKAGE, "blocks"),
    "loop-without-variables": (one("while_loop", {}, Y, blocks=[block([], ["x"])] * 2), PACKAGE, "'loop_vars' is missing"),
    "loop-blocks": (one("while_loop", {"loop_vars": Name("x")}, Y, blocks=[block([], ["x"])] * 2), PACKAGE, "blocks"),
    "state-as-tensor": (model([operation("relu", {"x": Name("s")}, Y)], X, Y, STATE), PACKAGE, "a state is given"),
    "tensor-as-state": (model([operation("read_state", {"input": Name("x")}, Y)], X, Y), PACKAGE, "no state is given"),
    "state-in-branch": (
        model([operation("cond", {"pred": True}, Y, [block([operation("read_state", {"input": Name("s")}, [("r", HALF, (4,))])], ["r"]),
                                                     block([], ["x"])])], X, Y, STATE), UNSUPPORTED, "branch"),
    "write-other-shape": (
        model([operation("write_state", {"input": Name("s"), "data": tensor(FLOAT, (3,), [1.0] * 3)}, []), RELU], X, Y, STATE), PACKAGE, "shape"),
    "description-other-rank": (model([RELU], X, Y).replace(named("x", FLOAT, (4,)), named("x", FLOAT, (2, 2))), PACKAGE, "agree|announced|byte"),
    "shape-lies": (model([operation("add", {"x": Name("x"), "y": tensor(FLOAT, (3,), [1.0] * 3)}, Y)], X, Y), PACKAGE, "shapes"),
    "offset-beyond": (weighted(blob(FLOAT, (4, 4), "@model_path/weights/w.bin", 1 << 20)), PACKAGE, "the file has"),
    "offset-near-2^64": (weighted(blob(FLOAT, (4, 4), "@model_path/weights/w.bin", (1 << 64) - 8)), PACKAGE, "the file has"),
    "offset-negative": (weighted(blob(FLOAT, (4, 4), "@model_path/weights/w.bin", -64)), PACKAGE, "the file has"),
    "offset-in-data": (weighted(blob(FLOAT, (4, 4), "@model_path/weights/w.bin", 128)), PACKAGE, "no tensor begins"),
    "weights-shape": (weighted(blob(FLOAT, (1 << 20, 1 << 20), "@model_path/weights/w.bin", 64), FLOAT, (1 << 20, 1 << 20)), PACKAGE, "takes"),
    "weights-type": (weighted(blob(HALF, (4, 4), "@model_path/weights/w.bin", 64), HALF), PACKAGE, "takes it for float16"),
    "weights-missing": (weighted(blob(FLOAT, (4, 4), "@model_path/weights/other.bin", 64)), "MissingFileError", "weights"),
    "weights-folder": (weighted(blob(FLOAT, (4, 4), "@model_path/weights", 64)), "MissingFileError", "weights"),
    "weights-empty": (weighted(blob(FLOAT, (4, 4), "@model_path/empty.bin", 64)), PACKAGE, "empty"),
    "weights-outside": (weighted(blob(FLOAT, (4, 4), "@model_path/../../../secret", 64)), PACKAGE, "leads out"),
    "weights-absolute": (weighted(blob(FLOAT, (4, 4), "/etc/passwd", 64)), PACKAGE, "leads out"),
    "weights-nul": (weighted(blob(FLOAT, (4, 4), "a\0b", 64)), PACKAGE, "leads out"),
    "weights-long-name": (weighted(blob(FLOAT, (4, 4), "a" * 5000, 64)), "FileError", ""),
    "weights-of-text": (weighted(blob(STRING, (4, 4), "@model_path/weights/w.bin", 64), STRING), PACKAGE, "string"),
    "header-size": (weighted(blob(FLOAT, (4, 4), "@model_path/size.bin", 64)), PACKAGE, "takes 64"),
    "header-start": (weighted(blob(FLOAT, (4, 4), "@model_path/start.bin", 64)), PACKAGE, "beyond"),
    "header-start-near-2^64": (weighted(blob(FLOAT, (4, 4), "@model_path/far.bin", 64)), PACKAGE, "beyond"),
    "header-sentinel": (weighted(blob(FLOAT, (4, 4), "@model_path/sentinel.bin", 64)), PACKAGE, "no tensor begins"),
    "header-kind": (weighted(blob(FLOAT, (4, 4), "@model_path/kind.bin", 64)), PACKAGE, "type 99"),
    "quantized-missing": (decompressed("constexpr_blockwise_shift_scale", {"scale": 1.0}), PACKAGE, "'data' is missing"),
    "quantized-blocks": (decompressed("constexpr_blockwise_shift_scale", {
        "data": tensor(INT8, (4, 4), bytes(16)), "scale": tensor(FLOAT, (3, 1), [1.0] * 3)}), PACKAGE, "blocks"),
    "affine-axis": (decompressed("constexpr_affine_dequantize", {
        "quantized_data": tensor(INT8, (4, 4), bytes(16)), "scale": [1.0, 2.0], "zero_point": tensor(INT8, (), bytes(1)), "axis": 0}), PACKAGE, ""),
    "affine-scalar": (decompressed("constexpr_affine_dequantize", {
        "quantized_data": tensor(INT8, (), bytes(1)), "scale": 1.0, "zero_point": tensor(INT8, (), bytes(1)), "axis": 0}), PACKAGE, ""),
    "palette-short": (decompressed("constexpr_lut_to_dense", {"indices": tensor(INT8, (1,), bytes(1)), "lut": [1.0, 2.0], "shape": [1 << 20, 1 << 20]}),
                      PACKAGE, "too few"),
    "palette-tables": (decompressed("constexpr_lut_to_dense", {"indices": tensor(INT4, (4, 4), bytes(8)), "lut": [1.0] * 16}), PACKAGE, "tables"),
    "palette-vectors": (decompressed("constexpr_lut_to_dense", {
        "indices": tensor(UINT1, (1 << 14, 1 << 14), bytes(1 << 25)), "lut": tensor(FLOAT, (1, 1, 2, 4096), [0.0] * 8192), "vector_axis": 0}), LIMIT,
        "limit"),
    "sparse-count": (decompressed("constexpr_sparse_to_dense", {"nonzero_data": [1.0], "mask": tensor(UINT1, (4, 4), b"\xff\xff")}), PACKAGE, "mask"),
}  # fmt: skip

MANIFESTS: dict[str, tuple[Any, str, str]] = {
    "no-json": (b"{", PACKAGE, "no JSON"),
    "empty": (b"", PACKAGE, "no JSON"),
    "not-text": (b"\xff\xfe", PACKAGE, "no JSON"),
    "deep": (b"[" * 200_000, PACKAGE, "no JSON"),
    "long-number": (b"1" * 100_000, PACKAGE, "no JSON"),
    "list": ([], PACKAGE, "which item"),
    "no-item": ({"rootModelIdentifier": "m"}, PACKAGE, "which item"),
    "list-as-name": ({"itemInfoEntries": {}, "rootModelIdentifier": []}, PACKAGE, "which item"),
}
for name, path in {
    "absolute": "/etc/passwd", "outside": "../../secret", "inside-and-out": "a/../../../secret", "backslash": "..\\secret", "drive": "C:/secret", "nul": "a\0b",
    "no-text": 7, "nothing": "", "surrogate": "\ud800",
}.items():  # fmt: skip
    manifest = {"itemInfoEntries": {"m": {"path": path}}, "rootModelIdentifier": "m"}
    MANIFESTS[f"path-{name}"] = (manifest, PACKAGE, "leads out")
for name, path in {"missing": "com.apple.CoreML/other", "folder": "com.apple.CoreML"}.items():
    MANIFESTS[f"path-{name}"] = (
        {"itemInfoEntries": {"m": {"path": path}}, "rootModelIdentifier": "m"},
        "MissingFileError",
        "missing|no file",
    )
MANIFESTS["path-long"] = ({"itemInfoEntries": {"m": {"path": "a" * 5000}}, "rootModelIdentifier": "m"}, "FileError", "")


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How every crafted package ended, each tried in one process."""
    folder = tmp_path_factory.mktemp("damaged")
    files = {"weights/w.bin": W, "empty.bin": b"", "size.bin": header(size=1 << 62), "start.bin": header(start=129),
             "far.bin": header(start=(1 << 64) - 32), "sentinel.bin": header(sentinel=1), "kind.bin": header(kind=99)}  # fmt: skip
    for name, (program, *_) in PROGRAMS.items():
        package(folder / f"program-{name}", program, files)
    for name, (manifest, *_) in MANIFESTS.items():
        package(folder / f"manifest-{name}", model([RELU], X, Y), manifest=manifest)
    (folder / "secret").write_bytes(model([RELU], X, Y))
    code = (
        CODE
        + f"""
for path in sorted(Path({str(folder)!r}).iterdir()):
    ending = attempt(path)
    with open({str(folder / "endings")!r}, "a") as file:
        file.write(json.dumps([path.name, ending]) + "\\n")
"""
    )
    ending = run(code, seconds=200, memory=MEMORY)
    written = (folder / "endings").read_text().splitlines()
    assert ending.status == "ok", f"{ending} behind {written[-1]}"
    return dict(json.loads(line) for line in written)


def expect(ending: str, kind: str, message: str) -> None:
    assert not ending.startswith("LEAK"), ending
    assert re.match(kind, ending), ending
    assert re.search(message, ending), ending


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_refused(name: str, endings: dict[str, str]) -> None:
    expect(endings[f"program-{name}"], *PROGRAMS[name][1:])


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_refused(name: str, endings: dict[str, str]) -> None:
    expect(endings[f"manifest-{name}"], *MANIFESTS[name][1:])


def test_a_folder_without_a_manifest_and_a_symbolic_link(tmp_path: Path) -> None:
    import russet.coreml

    with pytest.raises(russet.MissingFileError):
        russet.coreml.load(tmp_path / "nothing", backend="portable")
    with pytest.raises(russet.MissingFileError):
        russet.coreml.load(tmp_path, backend="portable")
    linked = package(tmp_path / "linked", model([RELU], X, Y))
    file = linked / "Data" / "com.apple.CoreML" / "model.mlmodel"
    (tmp_path / "elsewhere").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    loaded = russet.coreml.load(linked, backend="portable")
    assert loaded.predict({"x": [-1.0, 2, -3, 4]})["y"].tolist() == [0, 2, 0, 4]


# Real packages, damaged at random.


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    for family, form in (("gpt2", "stateful-range"), ("bert", "fixed")):
        with tarfile.open(PACKAGES / f"{family}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        for path in folder.glob("*.mlpackage"):
            if path.name == f"{form}.mlpackage":
                path.rename(folder / family)
            else:
                shutil.rmtree(path)
    return folder


def damaged(real: Path, body: str, seconds: float = 200) -> Any:
    """Runs `body`, which calls `change(family, part, bytes)` for each damaged file, and returns what it counts."""
    code = (
        CODE
        + f"""
FOLDER = Path({str(real)!r})
PARTS = {{family: {{"model": next((FOLDER / family).rglob("model.mlmodel")), "weights": next((FOLDER / family).rglob("weight.bin")),
                  "manifest": FOLDER / family / "Manifest.json"}} for family in ("gpt2", "bert")}}
WHOLE = {{(family, part): path.read_bytes() for family, parts in PARTS.items() for part, path in parts.items()}}
LEAKS, TRIED = [], 0

def change(family, part, data):
    global TRIED
    path = PARTS[family][part]
    path.write_bytes(data)
    ending = attempt(FOLDER / family)
    path.write_bytes(WHOLE[family, part])
    TRIED += 1
    if ending.startswith("LEAK"):
        LEAKS.append((TRIED, ending[-400:]))
    return ending

assert attempt(FOLDER / "gpt2") == attempt(FOLDER / "bert") == "runs"
{body}
assert not LEAKS, (len(LEAKS), LEAKS[:3])
value = TRIED, RUNS
"""
    )
    ending = run(code, seconds=seconds, memory=MEMORY)
    assert ending.status == "ok", ending
    return tuple(json.loads(ending.value.replace("(", "[").replace(")", "]")))


def test_truncated_models_are_refused(real: Path) -> None:
    tried, runs = damaged(
        real,
        """
for family in ("gpt2", "bert"):
    model = WHOLE[family, "model"]
    for end in [*range(0, 300), *range(300, len(model), 211), len(model) - 1]:
        change(family, "model", model[:end])
""",
    )
    assert tried > 600
    assert runs == 2


def test_models_with_other_bytes_run_or_are_refused(real: Path) -> None:
    tried, _ = damaged(
        real,
        """
random.seed(11)
for number in range(500):
    family = ("gpt2", "bert")[number % 2]
    model = bytearray(WHOLE[family, "model"])
    for _ in range(random.choice([1, 1, 2, 8])):
        model[random.randrange(len(model))] = random.choice([0, 1, 2, 127, 128, 255, random.randrange(256)])
    change(family, "model", bytes(model))
""",
    )
    assert tried == 500


def test_weights_that_are_cut_short_or_changed(real: Path) -> None:
    tried, _ = damaged(
        real,
        """
random.seed(12)
weights = WHOLE["gpt2", "weights"]
for end in [0, 1, 63, 64, 65, 100, 127, 128, *range(200, len(weights), len(weights) // 40)]:
    assert change("gpt2", "weights", weights[:end]) != "runs", end
headers = [at for at in range(64, len(weights) - 64, 64) if weights[at : at + 4] == bytes.fromhex("efbeadde")]
assert len(headers) > 10
for number in range(150):
    changed = bytearray(weights)
    changed[random.choice(headers) + random.randrange(32)] ^= 1 << random.randrange(8)
    change("gpt2", "weights", bytes(changed))
""",
    )
    assert tried > 150


# Operations with arguments that make no sense.


def test_operations_with_any_arguments_run_or_are_refused(tmp_path: Path) -> None:
    code = (
        CODE
        + f"""
import inspect, signal
sys.path.insert(0, TESTS + "/robustness")
from programs import *
from russet.coreml.portable.operations import OPERATIONS
random.seed(13)

CONSTANTS = [0, 1, -1, 2, 3, 7, 2**31 - 1, -(2**31), 0.0, 1.5, -1.0, float("inf"), float("nan"), 1e30, True, False, "", "same", "valid", "custom",
             "constant", "LINEAR", "EXACT", "update", "int32", "fp16", "ab,bc->ac", [], [0], [1], [-1], [0, 1], [2, 2], [0, 0, 0], [1, 1, 1, 1],
             [2**31 - 1], [2**31 - 1, 2**31 - 1], [-5, 7], [0.5, 2.0], [True, False], [1, 0, 2]]
NAMES = ["x", "m", "t", "i", "k"]
INPUTS = [("x", FLOAT, (4,)), ("m", FLOAT, (2, 3)), ("t", FLOAT, (1, 4, 2, 2)), ("i", INT, (3,)), ("k", INT, (2, 2))]

def random_value():
    if random.random() < 0.5:
        return Name(random.choice(NAMES))
    return random.choice(CONSTANTS)

def parameters(function):
    if isinstance(function, np.ufunc):
        return ["x", "y"][: function.nin]
    return [name for name, it in inspect.signature(function).parameters.items() if it.default is it.empty or random.random() < 0.4]

LEAKS, TRIED = [], 0
path = package(Path({str(tmp_path)!r}) / "p", b"")
file = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("slow")))
for kind, function in sorted(OPERATIONS.items()):
    for _ in range(16):
        inputs = {{}}
        for name in parameters(function):
            given = random_value()
            if name in ("values", "ref_tensors"):
                given = tuple(random_value() for _ in range(random.randrange(1, 3)))
            elif name in ("x", "input", "data", "query") and random.random() < 0.8:
                given = Name(random.choice(NAMES))
            inputs[name] = given
        shape = random.choice([(None,), (), (4,), (None, None), (1, None, None, None)])
        outputs = [("y", random.choice([FLOAT, FLOAT, HALF, INT]), shape)]
        file.write_bytes(model([operation(kind, inputs, outputs)], INPUTS, [("y", FLOAT, shape)]))
        signal.alarm(10)
        ending = attempt(path)
        signal.alarm(0)
        TRIED += 1
        if ending.startswith("LEAK"):
            LEAKS.append((kind, inputs, ending[-300:]))
assert not LEAKS, (len(LEAKS), LEAKS[:40])
value = [TRIED, RUNS]
"""
    )
    ending = run(code, seconds=200, memory=MEMORY)
    assert ending.status == "ok", ending
    tried, runs = json.loads(ending.value)
    assert tried > 1500
    assert runs > 50
