"""A stand-in of Core ML on macOS: what coremltools' native module gives, with its rules, on any system.

:func:`install` puts it under coremltools, whose Python code (``CompiledMLModel``, ``MLState``, ``compile_model``) then runs as on
macOS. The rules are those of coremltools 9.0's ``coremlpython/*.mm`` and of the issues that are named; whatever would end the
process, or corrupt it, raises :class:`Crash`, which is no ``Exception``.

What a model computes is a function of its inputs and states, named by the test; see :data:`Compute`.
"""

from __future__ import annotations

import gc
import json
import tempfile
import threading
import types
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mil_packages import coremltools
from numpy.typing import NDArray

from russet.coreml.portable import PortableModel

Arrays = dict[str, NDArray[Any]]
#: The function's name, the inputs (float32 and int32), and the states (float16, to be changed in place) give the outputs.
Compute = Callable[[str, Arrays, Arrays], Arrays]

_MACOS_OF_VERSION = {6: (12, 0), 7: (13, 0), 8: (14, 0), 9: (15, 0), 10: (26, 0)}


class Crash(BaseException):
    """The process ends, or its memory is corrupt."""


class CoreML:
    """The system: its version, what was asked of it, and what models compute."""

    def __init__(self, version: tuple[int, ...], compute: Compute) -> None:
        self.version = version
        self.compute = compute
        self.compiled: list[str] = []
        self.loaded: list[tuple[str, str, str, dict[str, str]]] = []
        #: Called while a prediction runs.
        self.during: Callable[[], None] = lambda: None
        self.busy = threading.Lock()
        #: Type, shape, address and identity of the arrays of the last call.
        self.given: dict[str, tuple[np.dtype[Any], tuple[int, ...], int, int]] = {}


def install(monkeypatch: pytest.MonkeyPatch, compute: Compute, version: tuple[int, ...] = (15, 1)) -> CoreML:
    """Makes this process look like macOS, with coremltools on Core ML."""
    system = CoreML(version, compute)
    ct = coremltools()
    proxy = type("_MLModelProxy", (_Proxy,), {"system": system})
    module = types.ModuleType("coremltools.libcoremlpython")
    module._MLModelProxy = proxy  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    monkeypatch.setattr(ct, "libcoremlpython", module, raising=False)
    for part in (ct.models.model, ct.models._compiled_model):
        monkeypatch.setattr(part, "_MLModelProxy", proxy)
    for part in (ct.models.model, ct.models._compiled_model, ct.models.utils):
        monkeypatch.setattr(part, "_macos_version", lambda: version)
    monkeypatch.setattr(ct.models.utils, "_is_macos", lambda: True)
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.mac_ver", lambda: (".".join(map(str, version)), ("", "", ""), "arm64"))
    return system


def compile_to(package: Path, compiled: Path) -> None:
    """An ``.mlmodelc`` folder as Core ML writes it, as far as it can be read without Core ML, and the specification for us."""
    spec = coremltools().utils.load_spec(str(package))
    compiled.mkdir(parents=True)
    (compiled / "coremldata.bin").write_bytes(b"\x01")
    (compiled / "specification").write_bytes(spec.SerializeToString())
    (compiled / "metadata.json").write_text(json.dumps([metadata(spec)]), encoding="utf-8")


class _Proxy:
    """``_MLModelProxy``: a loaded function of a model."""

    system: CoreML

    def __init__(self, path: str, units: str, function: str, hints: dict[str, str], asset: Any = None) -> None:
        if not all(isinstance(value, str) for value in (path, units, function)) or not isinstance(hints, dict):
            raise TypeError("__init__(): incompatible constructor arguments")
        if units not in ("ALL", "CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE"):
            raise Crash("assertion failed: computeUnits == ALL")
        for name, value in hints.items():
            values = {
                "reshapeFrequency": ("Frequent", "Infrequent"),
                "specializationStrategy": ("Default", "FastPrediction"),
                "allowLowPrecisionAccumulationOnGPU": ("True", "False"),
            }
            if value not in values[name]:
                raise Crash("assertion failed")
        if function and self.system.version < (15, 0):
            raise RuntimeError("The 'functionName' property can only be set on macOS >= 15.0")
        if not path.endswith(".mlmodelc"):
            raise AssertionError("a package is compiled at each load")
        folder = Path(path)
        if not all((folder / name).is_file() for name in ("coremldata.bin", "metadata.json", "specification")):
            raise RuntimeError('{ NSLocalizedDescription = "Unable to load model: A valid manifest does not exist"; }')
        spec = coremltools().proto.Model_pb2.Model.FromString((folder / "specification").read_bytes())
        self._model = folder.resolve()
        description = spec.description
        if description.functions:
            name = function or description.defaultFunctionName
            found = [entry for entry in description.functions if entry.name == name]
            if not found:
                raise RuntimeError(f'{{ NSLocalizedDescription = "there is no function {function}"; }}')
            description = found[0]
        elif function:
            raise RuntimeError('{ NSLocalizedDescription = "functionName is for models with several functions"; }')
        self._name = function or spec.description.defaultFunctionName or "main"
        self._inputs = {entry.name: entry.type for entry in description.input}
        self._outputs = {entry.name: entry.type.multiArrayType for entry in description.output}
        self._states = {entry.name: entry.type.stateType.arrayType for entry in description.state}
        self._lingering: list[weakref.ref[Any]] = []
        self.system.loaded.append((path, units, function, dict(hints)))

    @classmethod
    def compileModel(cls, path: str) -> str:
        spec = coremltools().utils.load_spec(path)
        if cls.system.version < _MACOS_OF_VERSION[spec.specificationVersion]:
            raise RuntimeError('Error compiling model: "the specification is newer than this system".')
        folder = Path(tempfile.mkdtemp()) / (Path(path).stem + ".mlmodelc")
        compile_to(Path(path), folder)
        cls.system.compiled.append(path)
        return str(folder)

    @staticmethod
    def maximum_supported_specification_version() -> int:
        return 10

    def newState(self) -> _State:
        if self.system.version < (15, 0):
            raise RuntimeError("Stateful model is only available on macOS >= 15.0")
        return _State(self._model, {name: np.zeros(tuple(array.shape), np.float16) for name, array in self._states.items()})

    def predict(self, inputs: dict[str, Any], state: _State | None) -> dict[str, Any]:
        if type(inputs) is not dict or not (state is None or isinstance(state, _State)):
            raise TypeError("predict(): incompatible function arguments")
        if not self.system.busy.acquire(blocking=False):
            raise Crash("two predictions at a time")
        try:
            self._release()
            values = {name: _feature_value(value) for name, value in inputs.items()}
            arrays = self._checked(values)
            self._check_state(state)
            self.system.given = {name: (value.dtype, value.shape, value.ctypes.data, id(value)) for name, value in inputs.items()}
            self.system.during()
            states = state.arrays if state and self._states else {}
            outputs = self.system.compute(self._name, arrays, states)
            assert outputs.keys() == self._outputs.keys()
            # Core ML keeps the arrays bound after the call, and lets go of them later, on a thread without the global lock.
            self._lingering = [weakref.ref(value) for value in inputs.values()]
            return {name: self._given(name, np.asarray(value)) for name, value in outputs.items()}
        finally:
            self.system.busy.release()

    def _release(self) -> None:
        gc.collect()
        if any(reference() is None for reference in self._lingering):
            raise Crash("an array was freed on a thread without the global lock")

    def _checked(self, values: dict[str, NDArray[Any]]) -> Arrays:
        arrays = {}
        for name, feature in self._inputs.items():
            if name not in values:
                if feature.isOptional:
                    continue
                raise RuntimeError(f'{{ NSLocalizedDescription = "Feature {name} is required but not specified."; }}')
            value, array = values[name], feature.multiArrayType
            kind = array.WhichOneof("ShapeFlexibility")
            if kind == "enumeratedShapes":
                if value.shape not in _shapes(array):
                    raise RuntimeError('{ NSLocalizedDescription = "Shape was not in enumerated set of allowed shapes"; }')
            elif kind == "shapeRange":
                if not _in_range(array, value.shape):
                    raise RuntimeError('{ NSLocalizedDescription = "the provided shape is not compatible"; }')
            elif value.shape != tuple(array.shape):
                raise RuntimeError('{ NSLocalizedDescription = "MultiArray shape does not match"; }')
            if not value.flags.c_contiguous:
                raise RuntimeError("E5RT: tensor_buffer has known strides while the operand has unknown strides (issue 2730)")
            # Converted silently, whatever is lost.
            with np.errstate(all="ignore"):
                arrays[name] = value.astype(_numpy_type(array)).astype(np.int32 if _numpy_type(array) == np.int32 else np.float32)
        # Issue 2548: a fixed shape counts as a list of one.
        kinds = {feature.multiArrayType.WhichOneof("ShapeFlexibility") == "shapeRange" for feature in self._inputs.values()}
        if self._states and len(kinds) == 2:
            raise Crash(
                "EnumeratedWithRangeInputsException: A model doesn't allow a mixture of enumerated and range shape flexibility"
            )
        # Issue 2271: listed shapes go together by their place.
        places = [
            {place for place, shape in enumerate(_shapes(feature.multiArrayType)) if shape == arrays[name].shape}
            for name, feature in self._inputs.items()
            if name in arrays and feature.multiArrayType.WhichOneof("ShapeFlexibility") == "enumeratedShapes"
        ]
        if places and not set.intersection(*places):
            raise RuntimeError('{ NSLocalizedDescription = "shapes do not match any listed combination"; }')
        return arrays

    def _check_state(self, state: _State | None) -> None:
        if self._states and state is None:
            raise RuntimeError('{ NSLocalizedDescription = "The model has states; use the prediction method with a state."; }')
        if state is not None and (state.model != self._model or not self._states):
            raise Crash("the state is of another model")

    def _given(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        kind = _numpy_type(self._outputs[name])
        value = value.astype(kind)
        # Strides are Core ML's own.
        return np.repeat(value.astype(np.float32) if kind == np.float16 else value, 2, axis=-1)[..., ::2]


class _State:
    """``_State``: arrays of float16, read and written as float32."""

    def __init__(self, model: Path, arrays: Arrays) -> None:
        self.model = model
        self.arrays = arrays

    def read_state(self, name: str) -> NDArray[np.float32]:
        if name not in self.arrays:
            raise RuntimeError("Invalid state name")
        return self.arrays[name].astype(np.float32)

    def write_state(self, name: str, value: Any) -> None:
        value = _feature_value(value)
        if name not in self.arrays or value.shape != self.arrays[name].shape:
            raise RuntimeError("Invalid state name or shape")
        with np.errstate(over="ignore"):
            self.arrays[name][:] = value


def _feature_value(value: Any) -> NDArray[Any]:
    """``convertValueToObjC``."""
    if isinstance(value, list | tuple):
        raise Crash("nil as a feature value")
    if not isinstance(value, np.ndarray):
        raise RuntimeError("value type not convertible")
    if value.dtype.kind + str(value.dtype.itemsize) not in ("i4", "f4", "f8") or not value.dtype.isnative:
        raise RuntimeError("Unsupported array type")
    if not value.flags.writeable:
        raise RuntimeError("array is not writeable")
    if value.size == 0:
        raise Crash("nil as an array")
    return value


def _numpy_type(array: Any) -> type[Any]:
    name = array.ArrayDataType.Name(array.dataType)
    return {"FLOAT16": np.float16, "FLOAT32": np.float32, "DOUBLE": np.float64, "INT32": np.int32}[name]


def _shapes(array: Any) -> list[tuple[int, ...]]:
    return [tuple(entry.shape) for entry in array.enumeratedShapes.shapes]


def _in_range(array: Any, shape: tuple[int, ...]) -> bool:
    ranges = [(entry.lowerBound, entry.upperBound) for entry in array.shapeRange.sizeRanges]
    return len(shape) == len(ranges) and all(
        low <= size and (high < 0 or size <= high) for size, (low, high) in zip(shape, ranges, strict=True)
    )


def metadata(spec: Any) -> dict[str, Any]:
    """``metadata.json`` of a compiled model: strings in schemas, lists as strings too."""
    description = spec.description

    def schema(features: Any) -> list[dict[str, str]]:
        return [_schema(feature) for feature in features]

    def interface(part: Any) -> dict[str, Any]:
        return {"inputSchema": schema(part.input), "outputSchema": schema(part.output), "stateSchema": schema(part.state)}

    functions: Mapping[str, Any] = {entry.name: interface(entry) for entry in description.functions}
    whole = functions[description.defaultFunctionName] if functions else interface(description)
    return {
        "metadataOutputVersion": "3.0",
        "specificationVersion": spec.specificationVersion,
        "shortDescription": description.metadata.shortDescription,
        "author": description.metadata.author,
        "userDefinedMetadata": dict(description.metadata.userDefined),
        **whole,
        **({"functions": [{"name": name, **entry} for name, entry in functions.items()]} if functions else {}),
        "modelType": {"name": "MLModelType_mlProgram"},
        "generatedClassName": "model",
        "method": "predict",
    }


def _schema(feature: Any) -> dict[str, str]:
    is_state = feature.type.WhichOneof("Type") == "stateType"
    array = feature.type.stateType.arrayType if is_state else feature.type.multiArrayType
    names = {"FLOAT16": "Float16", "FLOAT32": "Float32", "DOUBLE": "Double", "INT32": "Int32"}
    entry = {
        "name": feature.name,
        "type": "State" if is_state else "MultiArray",
        "isOptional": "1" if feature.type.isOptional else "0",
        "dataType": names[array.ArrayDataType.Name(array.dataType)],
        "shape": str(list(array.shape)),
        "shortDescription": "",
    }
    if is_state:
        return entry
    kind = array.WhichOneof("ShapeFlexibility")
    entry["hasShapeFlexibility"] = "1" if kind else "0"
    if kind == "enumeratedShapes":
        entry["enumeratedShapes"] = str([list(shape) for shape in _shapes(array)])
    elif kind == "shapeRange":
        entry["shapeRange"] = str([[entry.lowerBound, entry.upperBound] for entry in array.shapeRange.sizeRanges])
    return entry


def portable_compute(package: Path) -> Compute:
    """What the portable runtime gives."""
    model = PortableModel(package)
    parts = {name: model.with_function(name) for name in model.describe().functions}

    def compute(name: str, inputs: Arrays, states: Arrays) -> Arrays:
        state = parts[name].make_state()
        for own, value in states.items():
            parts[name].write_state(state, own, value)
        outputs = parts[name].predict(inputs, state)
        for own, value in states.items():
            value[:] = parts[name].read_state(state, own)
        return outputs

    return compute
