"""The backend over coremltools: each rule of Core ML against the stand-in, and the whole on a Mac."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

import mil_packages
import stand_in
from mil_packages import Decoder, coremltools, plain
from stand_in import CoreML, Crash

from russet.coreml.backend import Backend, Feature, FunctionDescription
from russet.coreml.compiled import CompiledModel, cache_folder, content_hash, describe_compiled
from russet.coreml.coremltools_backend import CoreMLModel, is_available
from russet.coreml.inputs import check_function, check_inputs
from russet.coreml.portable import PortableModel
from russet.errors import ArgumentError, MissingFileError, PackageError, RussetError, UnsupportedModelError

STATE = (1, 4)


def add(_: str, inputs: stand_in.Arrays, states: stand_in.Arrays) -> stand_in.Arrays:
    """What the packages of `plain` compute."""
    total = np.array([sum(float(value.sum()) for value in inputs.values())])
    for state in states.values():
        state += total.astype(np.float16)
    return {"y": total}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("RUSSET_CACHE", str(folder))
    return folder


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> CoreML:
    return stand_in.install(monkeypatch, add)


def two_inputs() -> Path:
    return plain({"x": ((1, 3), "fp16"), "n": ((2,), "int32")})


def stateful() -> Path:
    return plain({"x": ((1, 3), "fp32")}, {"s": STATE})


def listed() -> Path:
    ct = coremltools()
    return plain({"x": (ct.EnumeratedShapes([[1, 2], [1, 4]]), "fp32"), "n": (ct.EnumeratedShapes([[2], [4]]), "int32")})


def ranged() -> Path:
    return plain({"x": ((1, coremltools().RangeDim(1, 8)), "fp32")})


def functions() -> Path:
    def build(path: Path) -> None:
        parts = {name: plain({"x": ((1, size), "fp32")}, {"s": STATE}) for name, size in (("one", 1), ("two", 2))}
        mil_packages.join(parts, path, default="two")

    return mil_packages.kept("functions", build)


def edited(package: Path, folder: Path, edit: Callable[[Any], None]) -> Path:
    """A copy of a package whose specification was changed."""
    copy = Path(shutil.copytree(package, folder / "edited.mlpackage"))
    (model,) = copy.rglob("*.mlmodel")
    spec = coremltools().proto.Model_pb2.Model.FromString(model.read_bytes())
    edit(spec)
    model.write_bytes(spec.SerializeToString())
    return copy


X = np.ones((1, 3), np.float32)
N = np.array([1, 2], np.int32)


def run(model: CoreMLModel, *arguments: Any) -> float:
    return float(model.predict(*arguments)["y"][0])


# Loading


def test_it_is_a_backend(system: CoreML) -> None:
    model = CoreMLModel.load(two_inputs())
    assert isinstance(model, Backend)
    assert model.name == "coremltools"
    assert model.function is model.describe().functions["main"]
    assert run(model, {"x": X, "n": N}) == 6


def test_a_package_is_compiled_once(system: CoreML, cache: Path) -> None:
    for _ in range(3):
        CoreMLModel.load(two_inputs())
    assert len(system.compiled) == 1
    assert len(system.loaded) == 3
    assert {Path(path).is_relative_to(cache) for path, *_ in system.loaded} == {True}


def test_a_changed_package_is_compiled_again(system: CoreML, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two_inputs(), tmp_path / "copy.mlpackage"))
    CoreMLModel.load(two_inputs())
    CoreMLModel.load(copy)
    assert len(system.compiled) == 1
    (weights,) = copy.rglob("*.mlmodel")
    before = os.stat(weights)
    spec = coremltools().proto.Model_pb2.Model.FromString(weights.read_bytes())
    spec.description.metadata.author = "a"
    weights.write_bytes(spec.SerializeToString())
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    CoreMLModel.load(copy)
    assert len(system.compiled) == 2


def test_another_version_of_macos_compiles_again(system: CoreML, monkeypatch: pytest.MonkeyPatch) -> None:
    CoreMLModel.load(two_inputs())
    newer = stand_in.install(monkeypatch, add, version=(15, 2))
    CoreMLModel.load(two_inputs())
    assert len(newer.compiled) == 1


@pytest.mark.parametrize("damage", ["coremldata.bin", "metadata.json", "specification", ""])
def test_a_damaged_compiled_model_is_thrown_away(system: CoreML, cache: Path, damage: str) -> None:
    CoreMLModel.load(two_inputs())
    (compiled,) = cache.rglob("*.mlmodelc")
    if damage:
        (compiled / damage).unlink()
    else:
        shutil.rmtree(compiled)
    assert run(CoreMLModel.load(two_inputs()), {"x": X, "n": N}) == 6
    assert len(system.compiled) == 2
    CoreMLModel.load(two_inputs())
    assert len(system.compiled) == 2


def test_a_package_that_cannot_be_compiled_leaves_nothing(system: CoreML, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> str:
        raise RuntimeError('Error compiling model: "no".')

    proxy = coremltools().libcoremlpython._MLModelProxy
    monkeypatch.setattr(proxy, "compileModel", fail)
    with pytest.raises(UnsupportedModelError, match=r"was not compiled: Core ML says: Error compiling model.*portable"):
        CoreMLModel.load(two_inputs())
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert list((cache / "coreml").iterdir()) == []


def test_a_package_that_cannot_be_loaded_is_compiled_once(system: CoreML, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(coremltools().libcoremlpython._MLModelProxy, "__init__", fail)
    with pytest.raises(UnsupportedModelError, match="was not loaded: Core ML says: no"):
        CoreMLModel.load(two_inputs())
    assert len(system.compiled) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written(system: CoreML, cache: Path) -> None:
    cache.mkdir(mode=0o500)
    assert run(CoreMLModel.load(two_inputs()), {"x": X, "n": N}) == 6


def test_a_file_where_the_folder_should_be(system: CoreML, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_text("")
    temporary = cache.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    model = CoreMLModel.load(functions())
    assert run(model.with_function("one"), {"x": [[1.0]]}, model.make_state()) == 1
    assert len(system.compiled) == 1
    assert cache.read_text() == ""
    assert len(list(temporary.glob("russet-*"))) == 1
    del model
    gc.collect()
    assert list(temporary.glob("russet-*")) == []


def test_two_processes_compile_the_same_package(cache: Path) -> None:
    package = two_inputs()
    inner = CompiledModel(package, "v", stand_in.compile_to)

    def compile_while_another_does(source: Path, compiled: Path) -> None:
        inner.path()
        stand_in.compile_to(source, compiled)

    outer = CompiledModel(package, "v", compile_while_another_does)
    assert outer.path() == inner.path()
    assert len(list((cache / "coreml").iterdir())) == 1


def test_what_was_begun_long_ago_is_thrown_away(system: CoreML, cache: Path) -> None:
    old, new = (cache / "coreml" / f".unfinished-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    CoreMLModel.load(two_inputs())
    assert not old.exists()
    assert new.exists()


def test_the_hash_is_of_names_and_contents(tmp_path: Path) -> None:
    hashes = set()
    for number, files in enumerate([{"a": "1"}, {"b": "1"}, {"a": "2"}, {"a": "1", "b": ""}, {"a/b": "1"}, {"a": "1"}]):
        for name, text in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        hashes.add(content_hash(tmp_path / str(number)))
    assert len(hashes) == 5


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUSSET_CACHE", "~/here")
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("RUSSET_CACHE")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "russet"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "russet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "russet"


@pytest.mark.parametrize("package", [two_inputs, stateful, listed, ranged, functions])
def test_a_compiled_model_says_the_same_of_itself(system: CoreML, tmp_path: Path, package: Callable[[], Path]) -> None:
    compiled = tmp_path / "some.mlmodelc"
    stand_in.compile_to(package(), compiled)
    given = CoreMLModel.load(compiled)
    expected = CoreMLModel.load(package())
    assert given.describe() == expected.describe()
    assert given.function == expected.function
    assert len(system.compiled) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "[1]", '[{"inputSchema": [{}]}]', '[{"inputSchema": 3}]', '[{"inputSchema": [{"name": "x", "dataType": "Float16", "shape": "x"}]}]',
     '[{"inputSchema": [{"name": "x", "dataType": "Float16", "shape": "3"}]}]', '[{"inputSchema": [{"name": "x", "dataType": "Odd", "shape": "[1]"}]}]',
     '[{"inputSchema": [{"name": "x", "dataType": "Int32", "shape": "[\\"1\\"]"}]}]', "[" * 100000, '[{"functions": [1]}]', '[{"specificationVersion": "x"}]'],
)  # fmt: skip
def test_a_damaged_description_of_a_compiled_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(PackageError, match=r"metadata\.json"):
        describe_compiled(tmp_path)


def test_a_compiled_model_of_images(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text('[{"inputSchema": [{"name": "picture", "type": "Image"}]}]')
    with pytest.raises(UnsupportedModelError, match="'picture' is of the type Image"):
        describe_compiled(tmp_path)
    with pytest.raises(MissingFileError):
        describe_compiled(tmp_path / "none.mlmodelc")


@pytest.mark.parametrize(
    "name, units",
    [("all", "ALL"), ("cpuOnly", "CPU_ONLY"), ("cpuAndGPU", "CPU_AND_GPU"), ("cpuAndNeuralEngine", "CPU_AND_NE"),
     ("ALL", "ALL"), ("CPU_ONLY", "CPU_ONLY"), ("CPU_AND_GPU", "CPU_AND_GPU"), ("CPU_AND_NE", "CPU_AND_NE"), (None, "CPU_AND_GPU")],
)  # fmt: skip
def test_compute_units(system: CoreML, name: str | None, units: str) -> None:
    CoreMLModel.load(two_inputs(), **({} if name is None else {"compute_units": name}))
    assert system.loaded[-1][1] == units


@pytest.mark.parametrize("name", ["gpu", "", None, 1])
def test_unknown_compute_units(name: Any) -> None:
    with pytest.raises(ArgumentError, match="cpuAndNeuralEngine") as caught:
        CoreMLModel.load("none", compute_units=name)
    assert caught.value.argument == "compute_units"


def test_optimization_hints(system: CoreML) -> None:
    ct = coremltools()
    hints: dict[str, Any] = {
        "reshapeFrequency": "infrequent",
        "specializationStrategy": ct.SpecializationStrategy.FastPrediction,
        "allowLowPrecisionAccumulationOnGPU": True,
    }
    CoreMLModel.load(two_inputs(), optimization_hints=hints)
    expected = {
        "reshapeFrequency": "Infrequent",
        "specializationStrategy": "FastPrediction",
        "allowLowPrecisionAccumulationOnGPU": "True",
    }
    assert system.loaded[-1][3] == expected
    CoreMLModel.load(two_inputs(), optimization_hints={"specializationStrategy": "fastPrediction"})
    assert system.loaded[-1][3] == {"specializationStrategy": "FastPrediction"}


@pytest.mark.parametrize(
    "hints, message",
    [
        ({"speed": 1}, "there is no optimization hint 'speed'"),
        ({"reshapeFrequency": "often"}, "must be one of 'frequent', 'infrequent'"),
        ({"specializationStrategy": True}, "must be one of 'default', 'fastPrediction'"),
        ({"allowLowPrecisionAccumulationOnGPU": "yes"}, "must be True or False"),
    ],
)
def test_wrong_optimization_hints(system: CoreML, hints: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        CoreMLModel.load(two_inputs(), optimization_hints=hints)


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is here")
def test_not_macos(tmp_path: Path) -> None:
    assert not is_available()
    with pytest.raises(UnsupportedModelError, match=r"Core ML is there on macOS only; backend='portable' runs it"):
        CoreMLModel.load(two_inputs())
    with pytest.raises(UnsupportedModelError, match=r"load the \.mlpackage that it was made from"):
        CoreMLModel.load(tmp_path / "x.mlmodelc")


def test_without_coremltools(system: CoreML, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_available()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not is_available()
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(UnsupportedModelError, match=r"pip install 'russet\[coreml\]'"):
        CoreMLModel.load(two_inputs())


def test_coremltools_is_imported_without_a_word() -> None:
    code = "from russet.coreml import coremltools_backend as b; import sys; assert 'coremltools' not in sys.modules; b._import_coremltools()"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("package", [stateful, functions])
def test_macos_is_too_old(monkeypatch: pytest.MonkeyPatch, package: Callable[[], Path]) -> None:
    stand_in.install(monkeypatch, add, version=(14, 6))
    with pytest.raises(UnsupportedModelError, match=r"needs macOS 15\.0, and this is 14\.6; backend='portable'"):
        CoreMLModel.load(package())


def test_macos_is_too_old_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.install(monkeypatch, add, version=(12, 7))
    with pytest.raises(UnsupportedModelError, match="cpuAndNeuralEngine needs macOS 13"):
        CoreMLModel.load(two_inputs(), compute_units="cpuAndNeuralEngine")
    with pytest.raises(UnsupportedModelError, match="optimization hints need macOS 15"):
        CoreMLModel.load(two_inputs(), optimization_hints={"reshapeFrequency": "frequent"})


def test_a_function_on_an_older_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    system = stand_in.install(monkeypatch, add, version=(13, 1))
    model = CoreMLModel.load(plain({"x": ((1, 3), "fp16")}, target="iOS16"), function="main")
    assert run(model, {"x": X}) == 3
    assert system.loaded[-1][2] == ""


# Inputs


@pytest.mark.parametrize(
    "value",
    [
        N.astype(np.int64), N.astype(np.uint8), N.astype(np.uint64), N.astype(np.int16), N.astype(">i4"), N.astype(np.float64),
        np.array([[1, 9], [2, 9]], np.int32)[:, 0], [1, 2], (1, 2),
    ],
)  # fmt: skip
def test_integers_are_converted(system: CoreML, value: Any) -> None:
    assert run(CoreMLModel.load(two_inputs()), {"x": X, "n": value}) == 6
    assert system.given["n"][0] == np.int32


def test_booleans_are_converted(system: CoreML) -> None:
    assert run(CoreMLModel.load(two_inputs()), {"x": X, "n": np.array([True, False])}) == 4


@pytest.mark.parametrize(
    "value",
    [X.astype(np.float16), X.astype(np.float64), X.astype(">f4"), X.astype(np.int64), np.ones((3, 1), np.float32).T, X > 0,
     np.ones((1, 6), np.float32)[:, ::2], [[1, 1.0, True]]],
)  # fmt: skip
def test_floating_point_numbers_are_converted(system: CoreML, value: Any) -> None:
    assert run(CoreMLModel.load(two_inputs()), {"x": value, "n": N}) == 6
    assert system.given["x"][0] == np.float32


@pytest.mark.parametrize(
    "name, value, place",
    [
        ("n", np.array([1, 2**31]), r"2147483648 at \(1\)"),
        ("n", np.array([-(2**31) - 1, 0]), r"-2147483649 at \(0\)"),
        ("n", np.array([2**32 - 1, 0], np.uint32), r"4294967295 at \(0\)"),
        ("n", np.array([2**63, 0], np.uint64), r"9223372036854775808 at \(0\)"),
        ("n", np.array([0, 1.5]), r"1\.5 at \(1\)"),
        ("n", np.array([0, np.nan]), r"nan at \(1\)"),
        ("n", np.array([0, 1e20]), r"1e\+20 at \(1\)"),
        ("x", np.array([[0, 0, 2**24 + 1]]), r"16777217 at \(0, 2\)"),
        ("x", np.array([[0, 2**53 + 1, 0]]), r"9007199254740993 at \(0, 1\)"),
        ("x", np.array([[0, 0, 1e39]]), r"1e\+39 at \(0, 2\)"),
        ("n", np.array([1j, 0]), "no array of numbers"),
        ("n", np.array(["1", "2"]), "no array of numbers"),
        ("n", np.array([None, 2]), "no array of numbers"),
    ],
)
def test_values_that_do_not_fit(system: CoreML, name: str, value: Any, place: str) -> None:
    with pytest.raises(ArgumentError, match=place) as caught:
        CoreMLModel.load(two_inputs()).predict({"x": X, "n": N, name: value})
    assert caught.value.argument == name


def test_infinities_stay(system: CoreML) -> None:
    x = np.array([[-np.inf, 1, 2]])
    assert run(CoreMLModel.load(two_inputs()), {"x": x, "n": N}) == -np.inf


def test_what_was_given_is_not_changed(system: CoreML) -> None:
    x = X.astype(np.float16)
    x.flags.writeable = False
    given = {"x": x, "n": N}
    CoreMLModel.load(two_inputs()).predict(given)
    assert list(given) == ["x", "n"]
    assert given["x"] is x
    assert given["n"] is N


def test_what_need_not_be_copied_is_not(system: CoreML) -> None:
    x = X.copy()
    CoreMLModel.load(two_inputs()).predict({"x": x, "n": N})
    assert system.given["x"][2] == x.ctypes.data
    # But nobody else has the object that Core ML lets go of.
    assert system.given["x"][3] != id(x)
    x.flags.writeable = False
    CoreMLModel.load(two_inputs()).predict({"x": x, "n": N})
    assert system.given["x"][2] != x.ctypes.data


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_arrays_outlive_the_call(system: CoreML, count: int, kind: type[Any]) -> None:
    model = CoreMLModel.load(two_inputs())
    for _ in range(count):
        model.predict({"x": np.ones((1, 3), kind), "n": [1, 2]})
    # The stand-in lets go of the last call's arrays now.
    model.predict({"x": X, "n": N})


def test_large_arrays_are_kept_for_two_calls() -> None:
    model = CoreMLModel.__new__(CoreMLModel)
    from collections import deque

    model._kept = deque()
    small = np.zeros(8)
    for _ in range(100):
        model._keep([small])
    assert len(model._kept) == 8
    large = np.broadcast_to(np.zeros(1), (1 << 26,))
    for _ in range(5):
        model._keep([large])
        assert len(model._kept) >= 2
    assert len(model._kept) == 2


@pytest.mark.parametrize(
    "inputs, message, argument",
    [
        ({"x": X}, "the input 'n' of main is missing", "n"),
        ({"x": X, "n": N, "m": N}, "main has no input 'm': its inputs are 'x', 'n'", "m"),
        ({"x": X[0], "n": N}, r"'x' of main has the shape \(3\); allowed: \(1, 3\)", "x"),
        ({"x": np.ones((1, 4)), "n": N}, r"\(1, 4\)", "x"),
        ({"x": 1, "n": N}, r"the shape \(\)", "x"),
    ],
)
def test_names_and_shapes(system: CoreML, inputs: dict[str, Any], message: str, argument: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        CoreMLModel.load(two_inputs()).predict(inputs)
    assert caught.value.argument == argument


def test_an_optional_input(system: CoreML, tmp_path: Path) -> None:
    def make_optional(spec: Any) -> None:
        spec.description.input[1].type.isOptional = True

    model = CoreMLModel.load(edited(two_inputs(), tmp_path, make_optional))
    assert run(model, {"x": X}) == 3
    assert run(model, {"x": X, "n": N}) == 6
    with pytest.raises(ArgumentError, match="'x' of main is missing"):
        model.predict({"n": N})


def test_listed_shapes_go_together(system: CoreML) -> None:
    model = CoreMLModel.load(listed())
    for size in (2, 4):
        assert run(model, {"x": np.ones((1, size)), "n": np.ones(size, np.int32)}) == 2 * size
    with pytest.raises(ArgumentError, match=r"'x' \(1, 2\), 'n' \(4\)"):
        model.predict({"x": np.ones((1, 2)), "n": np.ones(4, np.int32)})
    with pytest.raises(ArgumentError, match=r"allowed: \(1, 2\), \(1, 4\)"):
        model.predict({"x": np.ones((1, 3)), "n": np.ones(4, np.int32)})


def test_ranges(system: CoreML) -> None:
    model = CoreMLModel.load(ranged())
    for size in (1, 5, 8):
        assert run(model, {"x": np.ones((1, size))}) == size
    for shape in ((1, 9), (1, 0), (2, 1), (1,)):
        with pytest.raises(ArgumentError, match=r"allowed: \(1, 1\.\.8\)"):
            model.predict({"x": np.ones(shape)})


def test_states_ranges_and_a_fixed_shape_do_not_go_together(system: CoreML) -> None:
    ct = coremltools()
    ranges = (1, ct.RangeDim(1, 8))
    with pytest.raises(UnsupportedModelError, match=r"'x' has ranged shapes and 'n' has one fixed shape.*issue 2548.*portable"):
        CoreMLModel.load(plain({"x": (ranges, "fp32"), "n": ((2,), "int32")}, {"s": STATE}))
    assert CoreMLModel.load(plain({"x": (ranges, "fp32"), "n": ((2,), "int32")})).function.inputs["x"].ranges
    model = CoreMLModel.load(plain({"x": (ranges, "fp32"), "n": ((ct.RangeDim(1, 2),), "int32")}, {"s": STATE}))
    assert run(model, {"x": [[1.0]], "n": [1]}, model.make_state()) == 2


def test_no_array_is_empty() -> None:
    ranges = Feature("r", "float32", (1,), ranges=((0, 2),))
    assert check_inputs(function([ranges]), {"r": [1, 2]})["r"].tolist() == [1, 2]
    with pytest.raises(ArgumentError, match=r"the shape \(0\)"):
        check_inputs(function([ranges]), {"r": []})


def function(inputs: list[Feature], states: list[Feature] | None = None) -> FunctionDescription:
    return FunctionDescription("f", {x.name: x for x in inputs}, {}, {x.name: x for x in states or []})


def test_functions_that_core_ml_does_not_run() -> None:
    fixed = Feature("a", "float16", (1,))
    two = Feature("two", "int32", (1,), enumerated=((1,), (2,)))
    three = Feature("three", "int32", (1,), enumerated=((1,), (2,), (3,)))
    ranges = Feature("r", "int32", (1,), ranges=((1, 2),))
    for inputs, states in (([fixed, two], [fixed]), ([fixed, two, ranges], []), ([ranges], [fixed])):
        check_function(function(inputs, states))
    with pytest.raises(UnsupportedModelError, match="'two' 2, 'three' 3"):
        check_function(function([two, three, fixed]))
    for flexible in (two, ranges):
        with pytest.raises(UnsupportedModelError, match="states must have one shape"):
            check_function(function([fixed], [flexible]))
    with pytest.raises(UnsupportedModelError, match="'r' has ranged shapes and 'two' has listed shapes"):
        check_function(function([ranges, two], [fixed]))


# States and functions


def test_states(system: CoreML) -> None:
    model = CoreMLModel.load(stateful())
    first, second = model.make_state(), model.make_state()
    assert not model.read_state(first, "s").any()
    run(model, {"x": X}, first)
    run(model, {"x": X}, first)
    assert (model.read_state(first, "s") == 6).all()
    assert not model.read_state(second, "s").any()
    value = np.arange(4, dtype=np.int64).reshape(STATE)
    model.write_state(second, "s", value)
    read = model.read_state(second, "s")
    assert read.dtype == np.float16
    assert (read == value).all()
    read[:] = 9
    assert (model.read_state(second, "s") == value).all()
    run(model, {"x": X}, second)
    assert (model.read_state(second, "s") == value + 3).all()


def test_a_state_is_needed_or_not(system: CoreML) -> None:
    with_states, without = CoreMLModel.load(stateful()), CoreMLModel.load(two_inputs())
    with pytest.raises(ArgumentError, match=r"main has states, and none was given"):
        with_states.predict({"x": X})
    assert run(without, {"x": X, "n": N}, without.make_state()) == 6
    for model, state in ((with_states, without.make_state()), (without, with_states.make_state()), (with_states, 3)):
        with pytest.raises(ArgumentError, match="another model") as caught:
            model.predict({"x": X} if model is with_states else {"x": X, "n": N}, state)
        assert caught.value.argument == "state"


def test_states_are_read_and_written_by_name(system: CoreML) -> None:
    model = CoreMLModel.load(stateful())
    state = model.make_state()
    with pytest.raises(ArgumentError, match="main has no state 't': its states are 's'"):
        model.read_state(state, "t")
    with pytest.raises(ArgumentError, match="main has no state 't'"):
        model.write_state(state, "t", np.zeros(STATE))
    with pytest.raises(ArgumentError, match=r"\(1, 4\), not \(4\)"):
        model.write_state(state, "s", np.zeros(4))
    with pytest.raises(ArgumentError, match="greater than 65504"):
        model.write_state(state, "s", np.full(STATE, 1e5))
    with pytest.raises(ArgumentError, match="none was given"):
        model.read_state(None, "s")
    assert not model.read_state(state, "s").any()


def test_functions_share_a_state(system: CoreML) -> None:
    model = CoreMLModel.load(functions())
    assert model.function.name == "two"
    one = model.with_function("one")
    assert one.function.name == "one"
    assert one.with_function("two") is model
    assert model.with_function("one") is one
    assert [name for _, _, name, _ in system.loaded] == ["two", "one"]
    state = model.make_state()
    model.predict({"x": np.ones((1, 2))}, state)
    one.predict({"x": np.ones((1, 1))}, state)
    assert (one.read_state(state, "s") == 3).all()
    assert CoreMLModel.load(functions(), function="one").function == one.function
    for load in (lambda: model.with_function("three"), lambda: CoreMLModel.load(functions(), function="three")):
        with pytest.raises(ArgumentError, match="has no function 'three': it has 'one', 'two'"):
            load()


def test_a_function_without_states_takes_the_state_of_another(system: CoreML) -> None:
    def build(path: Path) -> None:
        mil_packages.join({"one": stateful(), "two": plain({"x": ((1, 3), "fp32")})}, path, default="one")

    model = CoreMLModel.load(mil_packages.kept("mixed", build))
    state = model.make_state()
    assert run(model.with_function("two"), {"x": X}, state) == 3
    assert not model.read_state(state, "s").any()
    with pytest.raises(ArgumentError, match="two has no state 's': its states are none"):
        model.with_function("two").read_state(state, "s")
    with pytest.raises(ArgumentError, match="one has states, and the given one was made by a function without"):
        model.predict({"x": X}, model.with_function("two").make_state())


# The same as the portable runtime


def causal_mask(count: int, past: int, keys: int) -> np.ndarray[Any, Any]:
    rows, columns = np.arange(count)[:, None], np.arange(keys)[None]
    return np.where(columns <= rows + past, 0, -30000).astype(np.float16)[None, None]


def decode(model: Any, shapes: str, ids: list[int]) -> np.ndarray[Any, Any]:
    """The logits behind each of 20 ids: 16 at a time, then one by one."""
    state = model.make_state()
    given = []
    for begin, end in ((0, 16), (16, 17), (17, 18), (18, 19), (19, 20)):
        count = end - begin
        part = model.with_function(f"q{count}") if shapes == "multifunction" else model
        mask = causal_mask(count, begin, end if shapes == "range" else Decoder().context)
        logits = part.predict({"inputIds": [ids[begin:end]], "causalMask": mask}, state)["logits"]
        assert logits.dtype == np.float32
        assert logits.flags.c_contiguous
        given.append(logits[0])
    return np.concatenate(given)


IDS = list(range(3, 23))


@pytest.mark.parametrize("shapes", ["range", "enumerated", "multifunction"])
def test_a_decoder_through_the_stand_in(monkeypatch: pytest.MonkeyPatch, shapes: str) -> None:
    package = mil_packages.stateful(shapes)
    stand_in.install(monkeypatch, stand_in.portable_compute(package))
    logits = decode(CoreMLModel.load(package), shapes, IDS)
    assert np.abs(logits - Decoder().logits(IDS)).max() < 0.03
    assert np.abs(logits - decode(PortableModel(package), shapes, IDS)).max() < 0.01


# Calls and outputs


def test_outputs_are_float32(system: CoreML) -> None:
    for dtype, expected in (("fp16", np.float32), ("fp32", np.float32), ("int32", np.int32)):
        model = CoreMLModel.load(plain({"x": ((1, 3), "fp16")}, dtype=dtype))
        y = model.predict({"x": X})["y"]
        assert y.dtype == expected
        assert y.flags.c_contiguous
        assert y.flags.writeable


def test_an_output_that_is_no_array(system: CoreML, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = coremltools().libcoremlpython._MLModelProxy
    model = CoreMLModel.load(two_inputs())
    monkeypatch.setattr(proxy, "predict", lambda *_: {"y": {"a": 1.0}})
    with pytest.raises(UnsupportedModelError, match="the output 'y' is a dict"):
        model.predict({"x": X, "n": N})


def test_a_shape_that_was_not_declared(system: CoreML, monkeypatch: pytest.MonkeyPatch) -> None:
    system.compute = lambda *_: {"y": np.zeros(2)}
    with pytest.raises(UnsupportedModelError, match=r"the shape \(2,\), and the package declares \(1,\)"):
        CoreMLModel.load(two_inputs()).predict({"x": X, "n": N})


def test_errors_of_core_ml(system: CoreML) -> None:
    def fail() -> None:
        raise RuntimeError("{ NSLocalizedDescription = no; }")

    system.during = fail
    model = CoreMLModel.load(stateful())
    state = model.make_state()
    with pytest.raises(UnsupportedModelError, match=r"main: Core ML says: .*no.*portable"):
        model.predict({"x": X}, state)
    system.during = lambda: None
    assert run(model, {"x": X}, state) == 3


def test_calls_run_one_at_a_time(system: CoreML) -> None:
    system.during = lambda: time.sleep(0.02)
    model = CoreMLModel.load(functions())
    models = [model, model.with_function("one")]
    state = model.make_state()
    failed: list[BaseException] = []

    def call(index: int) -> None:
        try:
            models[index % 2].predict({"x": np.ones((1, 2 - index % 2))}, state)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (model.read_state(state, "s") == 9).all()


# The stand-in refuses what the tests above rely on


@pytest.mark.parametrize(
    "value, error",
    [
        (N.astype(np.int64), RuntimeError), (N > 0, RuntimeError), (N.astype(np.uint32), RuntimeError), (N.astype(">i4"), RuntimeError),
        ([1, 2], Crash), (np.array([[1, 9], [2, 9]], np.int32)[:, 0], RuntimeError), (np.broadcast_to(np.int32(1), (2,)), RuntimeError),
        (np.zeros(0, np.int32), Crash), (np.zeros(3, np.int32), RuntimeError),
    ],
)  # fmt: skip
def test_the_stand_in_refuses_values(system: CoreML, cache: Path, value: Any, error: type[BaseException]) -> None:
    model = raw(two_inputs(), cache)
    with pytest.raises(error):
        model.predict({"x": X, "n": value})


def test_the_stand_in_changes_the_dict_and_refuses_calls(system: CoreML, cache: Path) -> None:
    ct = coremltools()
    given = {"x": X.astype(np.float16), "n": N}
    raw(two_inputs(), cache / "0").predict(given)
    assert given["x"].dtype == np.float32
    with pytest.raises(RuntimeError, match="required but not specified"):
        raw(two_inputs(), cache / "1").predict({"x": X})
    with pytest.raises(RuntimeError, match="with a state"):
        raw(stateful(), cache / "2").predict({"x": X})
    with pytest.raises(Crash, match="another model"):
        raw(two_inputs(), cache / "3").predict({"x": X, "n": N}, raw(stateful(), cache / "4").make_state())
    with pytest.raises(RuntimeError, match="combination"):
        raw(listed(), cache / "5").predict({"x": np.ones((1, 2), np.float32), "n": np.ones(4, np.int32)})
    mixed = plain({"x": ((1, ct.RangeDim(1, 8)), "fp32"), "n": ((2,), "int32")}, {"s": STATE})
    model = raw(mixed, cache / "6")
    with pytest.raises(Crash, match="mixture"):
        model.predict({"x": X, "n": N}, model.make_state())
    model = raw(two_inputs(), cache / "7")
    model.predict({"x": X.copy(), "n": N})
    with pytest.raises(Crash, match="freed"):
        model.predict({"x": X, "n": N})


def raw(package: Path, folder: Path) -> Any:
    """coremltools' own model, without our care."""
    stand_in.compile_to(package, folder / "raw.mlmodelc")
    return coremltools().models.CompiledMLModel(str(folder / "raw.mlmodelc"))


# On a Mac


@pytest.mark.macos
def test_core_ml_runs_plain_packages() -> None:
    assert run(CoreMLModel.load(two_inputs()), {"x": X.astype(np.float16), "n": N.astype(np.int64)}) == 6
    assert run(CoreMLModel.load(ranged()), {"x": np.ones((1, 5))}) == 5
    assert run(CoreMLModel.load(listed()), {"x": np.ones((1, 4)), "n": np.ones(4, np.int64)}) == 8


@pytest.mark.macos
def test_core_ml_describes_a_compiled_model_as_its_package(cache: Path) -> None:
    for package in (two_inputs(), listed(), ranged(), stateful(), functions(), mil_packages.stateful("multifunction")):
        expected = CoreMLModel.load(package)
        (compiled,) = cache.rglob("*.mlmodelc")
        found = CoreMLModel.load(compiled).describe()
        assert found.functions == expected.describe().functions
        assert found.default_function == expected.describe().default_function
        shutil.rmtree(cache)


@pytest.mark.macos
def test_core_ml_keeps_states() -> None:
    model = CoreMLModel.load(stateful())
    state = model.make_state()
    assert not model.read_state(state, "s").any()
    for _ in range(12):
        model.predict({"x": X.astype(np.float16)}, state)
    assert (model.read_state(state, "s") == 36).all()
    model.write_state(state, "s", np.full(STATE, 2.5))
    model.predict({"x": X}, state)
    assert (model.read_state(state, "s") == 5.5).all()


@pytest.mark.macos
def test_core_ml_shares_a_state_between_functions() -> None:
    model = CoreMLModel.load(functions())
    state = model.make_state()
    model.predict({"x": np.ones((1, 2))}, state)
    model.with_function("one").predict({"x": np.ones((1, 1))}, state)
    assert (model.read_state(state, "s") == 3).all()


@pytest.mark.macos
@pytest.mark.parametrize("units", ["cpuOnly", "cpuAndGPU"])
@pytest.mark.parametrize("shapes", ["fixed", "enumerated", "range"])
def test_core_ml_gives_the_decoders_logits(shapes: str, units: str) -> None:
    decoder = Decoder()
    ids = list(range(3, 19))
    model = CoreMLModel.load(mil_packages.stateless(shapes), compute_units=units)
    length = decoder.context if shapes == "fixed" else len(ids)
    padded = np.zeros((1, length), np.int64)
    padded[0, : len(ids)] = ids
    logits = model.predict({"input_ids": padded, "attention_mask": (np.arange(length) < len(ids))[None]})["logits"][0, : len(ids)]
    assert np.abs(logits - decoder.logits(ids)).max() < 0.1


@pytest.mark.macos
@pytest.mark.parametrize("units", ["cpuOnly", "cpuAndGPU"])
@pytest.mark.parametrize("shapes", ["range", "enumerated", "multifunction"])
def test_core_ml_gives_the_decoders_logits_with_a_cache(shapes: str, units: str) -> None:
    model = CoreMLModel.load(mil_packages.stateful(shapes), compute_units=units)
    assert np.abs(decode(model, shapes, IDS) - Decoder().logits(IDS)).max() < 0.1


def test_errors_are_russets() -> None:
    with pytest.raises(RussetError):
        CoreMLModel.load("none.mlpackage")
