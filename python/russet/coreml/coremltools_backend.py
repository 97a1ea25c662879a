"""Runs packages with Core ML itself, on macOS, through coremltools.

The one module that imports coremltools, when a package is first loaded. coremltools is thin here: it passes arrays to Core ML
without a copy, takes only some types, converts others silently, and holds Python's global lock while Core ML runs. What follows
from that is done here, and tested against ``tests/coreml/stand_in.py``, which enforces it:

- Each call gets a dict of its own (coremltools writes into it), with contiguous, writeable arrays of the types that it takes.
- Names, values, shapes and states are checked before the call; see :mod:`russet.coreml.inputs`.
- Core ML lets go of input arrays some time after a call, from a thread without the global lock. So each array is an object that
  nobody else uses, and is kept alive for some calls more: its last reference always goes here.
- Calls of a package run one at a time.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from russet.coreml.backend import FunctionDescription, ModelDescription
from russet.coreml.compiled import CompiledModel, describe_compiled
from russet.coreml.coremltools_import import coremltools
from russet.coreml.inputs import check_function, check_inputs, state_feature, state_value
from russet.errors import ArgumentError, RussetError, UnsupportedModelError

__all__ = ["CoreMLModel", "CoreMLState", "is_available"]

_PORTABLE = "backend='portable' runs it on any system"

#: By lower-case name: Apple's and coremltools'.
_COMPUTE_UNITS = {
    "all": "ALL",
    "cpuonly": "CPU_ONLY",
    "cpu_only": "CPU_ONLY",
    "cpuandgpu": "CPU_AND_GPU",
    "cpu_and_gpu": "CPU_AND_GPU",
    "cpuandneuralengine": "CPU_AND_NE",
    "cpu_and_ne": "CPU_AND_NE",
}

#: The class in coremltools of each hint; none for those that are true or false.
_HINTS = {
    "reshapeFrequency": "ReshapeFrequency",
    "specializationStrategy": "SpecializationStrategy",
    "allowLowPrecisionAccumulationOnGPU": None,
}

#: The least macOS for a specification version: states and several functions came with 9.
_MACOS = {5: (11, 0), 6: (12, 0), 7: (13, 0), 8: (14, 0), 9: (15, 0), 10: (26, 0)}
_MACOS_OF_STATES = (15, 0)
_MACOS_OF_NEURAL_ENGINE = (13, 0)

#: Arrays of so many calls are kept alive, at least of two, and of the others only while they are smaller together.
_KEPT_CALLS = 8
_KEPT_BYTES = 1 << 26


def macos_version() -> tuple[int, ...] | None:
    """The version of macOS, or none on another system."""
    if platform.system() != "Darwin":
        return None
    return tuple(int(part) for part in platform.mac_ver()[0].split(".") if part.isdigit())


def is_available() -> bool:
    """Whether this is macOS, and coremltools is installed. It is not imported."""
    return macos_version() is not None and importlib.util.find_spec("coremltools") is not None


class CoreMLState:
    """A state that one package made. Only :class:`CoreMLModel` looks inside."""

    def __init__(self, package: _Loaded, held: Any) -> None:
        self._package = package
        #: coremltools' state; none if the function has no states.
        self._held = held


class CoreMLModel:
    """A function of a package, loaded by Core ML: a :class:`~russet.coreml.backend.Backend`.

    Made by :meth:`load`. Safe to call from several threads, one of which runs at a time.
    """

    name = "coremltools"

    def __init__(self, package: _Loaded, function: FunctionDescription) -> None:
        self._package = package
        self._function = function
        self._model = package.model(function)
        self._kept: deque[tuple[int, list[NDArray[Any]]]] = deque()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        function: str | None = None,
        compute_units: str = "cpuAndGPU",
        optimization_hints: Mapping[str, Any] | None = None,
    ) -> CoreMLModel:
        """Loads an ``.mlpackage``, compiled once and kept (see :mod:`russet.coreml.compiled`), or an ``.mlmodelc``.

        ``function`` is a name; without one, the package's default function. ``compute_units`` is ``"all"``, ``"cpuOnly"``,
        ``"cpuAndGPU"`` or ``"cpuAndNeuralEngine"``, or coremltools' name of it. ``optimization_hints`` needs macOS 15:
        ``reshapeFrequency`` (``"frequent"``, ``"infrequent"``), ``specializationStrategy`` (``"default"``, ``"fastPrediction"``),
        ``allowLowPrecisionAccumulationOnGPU`` (a bool).

        Raises:
            UnsupportedModelError: if this is not macOS, or it is too old for the package; if coremltools is not installed; if Core
                ML cannot load the package.
            MissingFileError: if there is no package.
            PackageError: if it is damaged.
            ArgumentError: if it has no such function, or a name is not one of those above.
        """
        units = _COMPUTE_UNITS.get(compute_units.lower()) if isinstance(compute_units, str) else None
        if units is None:
            names = "'all', 'cpuOnly', 'cpuAndGPU', 'cpuAndNeuralEngine'"
            raise ArgumentError(f"compute_units is {compute_units!r}, and must be one of {names}", argument="compute_units")
        version = macos_version()
        if version is None:
            way_out = (
                "only Core ML runs a compiled model: load the .mlpackage that it was made from"
                if _is_compiled(Path(path))
                else _PORTABLE
            )
            raise UnsupportedModelError(f"{Path(path).name}: Core ML is there on macOS only; {way_out}")
        hints = dict(optimization_hints or {})
        if hints and version < _MACOS_OF_STATES:
            raise UnsupportedModelError(f"optimization hints need macOS 15, and this is {_dotted(version)}")
        if units == "CPU_AND_NE" and version < _MACOS_OF_NEURAL_ENGINE:
            raise UnsupportedModelError(f"cpuAndNeuralEngine needs macOS 13, and this is {_dotted(version)}")
        package = _Loaded(Path(path), version, units, hints)
        return package.function(function)

    @property
    def function(self) -> FunctionDescription:
        """The function that :meth:`predict` runs."""
        return self._function

    def describe(self) -> ModelDescription:
        """The whole package."""
        return self._package.description

    def with_function(self, name: str) -> CoreMLModel:
        """Another function of the same package, loaded when it is first asked for. A state that one made serves the other.

        Raises:
            ArgumentError: if the package has no such function.
        """
        return self._package.function(name)

    def make_state(self) -> CoreMLState:
        """A new state, all zeros; for a function without states, one that holds nothing."""
        if not self._function.states:
            return CoreMLState(self._package, None)
        with self._package.lock, _core_ml_errors(f"{self._package.path.name} made no state"):
            return CoreMLState(self._package, self._model.make_state())

    def predict(self, inputs: Mapping[str, ArrayLike], state: Any = None) -> dict[str, NDArray[Any]]:
        """Runs the function once. Neither ``inputs`` nor its arrays are changed; ``state`` is.

        Returns:
            The outputs by name: float32 for what is declared float16 or float32, else as declared. The arrays are the caller's.

        Raises:
            ArgumentError: if an input is missing, unknown, or of values or a shape that the package does not allow; if the
                function has states and ``state`` is none, or is of another package.
            UnsupportedModelError: if Core ML fails.
        """
        arrays = check_inputs(self._function, inputs)
        held = self._held(state)
        with self._package.lock:
            self._keep(list(arrays.values()))
            with _core_ml_errors(f"{self._package.path.name}, {self._function.name}"):
                given = self._model.predict(arrays, held)
        return {name: self._output(name, value) for name, value in given.items()}

    def read_state(self, state: Any, name: str) -> NDArray[Any]:
        """A copy of a state's array, of the declared type.

        Raises:
            ArgumentError: if there is no such state.
        """
        feature = state_feature(self._function, name)
        with self._package.lock, _core_ml_errors(f"the state {name!r} was not read"):
            return np.array(self._held(state).read_state(name), feature.dtype, order="C")

    def write_state(self, state: Any, name: str, value: ArrayLike) -> None:
        """Replaces a state's array.

        Raises:
            ArgumentError: if there is no such state, or the shape or a value does not fit.
        """
        array = state_value(self._function, name, value)
        with self._package.lock, _core_ml_errors(f"the state {name!r} was not written"):
            self._keep([array])
            self._held(state).write_state(name, array)

    def _held(self, state: Any) -> Any:
        if state is None:
            if self._function.states:
                message = f"{self._function.name} has states, and none was given: make one by make_state()"
                raise ArgumentError(message, argument="state")
            return None
        if not isinstance(state, CoreMLState) or state._package is not self._package:
            raise ArgumentError("the state was made by another model", argument="state")
        if self._function.states and state._held is None:
            message = f"{self._function.name} has states, and the given one was made by a function without"
            raise ArgumentError(message, argument="state")
        return state._held if self._function.states else None

    def _keep(self, arrays: list[NDArray[Any]]) -> None:
        """Keeps the arrays alive until Core ML has let go of them."""
        self._kept.append((sum(array.nbytes for array in arrays), arrays))
        while len(self._kept) > _KEPT_CALLS or (len(self._kept) > 2 and sum(size for size, _ in self._kept) > _KEPT_BYTES):
            self._kept.popleft()

    def _output(self, name: str, value: Any) -> NDArray[Any]:
        if not isinstance(value, (np.ndarray, float, int)):
            raise UnsupportedModelError(f"the output {name!r} is a {type(value).__name__}, and only arrays are supported")
        array = np.ascontiguousarray(value)
        declared = self._function.outputs.get(name)
        flexible = any(feature.enumerated or feature.ranges for feature in self._function.inputs.values())
        if declared and declared.shape and not flexible and array.shape != declared.shape:
            raise UnsupportedModelError(
                f"Core ML gave the output {name!r} the shape {array.shape}, and the package declares {declared.shape}"
            )
        return array


class _Loaded:
    """What the functions of a loaded package share."""

    def __init__(self, path: Path, version: tuple[int, ...], units: str, hints: Mapping[str, Any]) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._functions: dict[str, CoreMLModel] = {}
        self._loading = threading.Lock()
        self._version = version
        self._compiled: CompiledModel | None = None
        # Before coremltools is imported, which takes seconds.
        self.description = describe_compiled(path) if _is_compiled(path) else _describe_package(path)
        needed = _MACOS.get(self.description.specification_version, (0,))
        several = any(name != "main" for name in self.description.functions)
        if several or any(function.states for function in self.description.functions.values()):
            needed = max(needed, _MACOS_OF_STATES)
        if version < needed:
            raise UnsupportedModelError(f"{path.name} needs macOS {_dotted(needed)}, and this is {_dotted(version)}; {_PORTABLE}")
        self._several = several
        self._coremltools = _import_coremltools()
        self._units = self._coremltools.ComputeUnit[units]
        self._hints = {name: self._hint(name, value) for name, value in hints.items()} or None
        if not _is_compiled(path):
            self._compiled = CompiledModel(path, f"macos{_dotted(version)}", self._compile)

    def function(self, name: str | None) -> CoreMLModel:
        name = self.description.default_function if name is None else name
        if name not in self.description.functions:
            known = ", ".join(map(repr, self.description.functions))
            raise ArgumentError(f"{self.path.name} has no function {name!r}: it has {known}", argument="function")
        with self._loading:
            if name not in self._functions:
                function = self.description.functions[name]
                check_function(function)
                self._functions[name] = CoreMLModel(self, function)
            return self._functions[name]

    def model(self, function: FunctionDescription) -> Any:
        """coremltools' model of a function."""
        if self._compiled is None:
            with _core_ml_errors(f"{self.path.name} was not loaded"):
                return self._load(self.path, function)
        compiled = self._compiled.path()
        with _core_ml_errors(f"{self.path.name} was not loaded"):
            try:
                return self._load(compiled, function)
            except RuntimeError:
                if self._compiled.is_fresh:
                    raise
                # What was kept is damaged, or another system made it.
                self._compiled.discard()
                return self._load(self._compiled.path(), function)

    def _load(self, compiled: Path, function: FunctionDescription) -> Any:
        # The name of an only function is left out: macOS before 15 takes none.
        name = function.name if self._several else None
        return self._coremltools.models.CompiledMLModel(str(compiled), self._units, name, self._hints)

    def _compile(self, package: Path, compiled: Path) -> None:
        with _core_ml_errors(f"{package.name} was not compiled"):
            self._coremltools.models.utils.compile_model(str(package), str(compiled))

    def _hint(self, name: str, value: Any) -> Any:
        if name not in _HINTS:
            message = f"there is no optimization hint {name!r}: there are {', '.join(map(repr, _HINTS))}"
            raise ArgumentError(message, argument="optimization_hints")
        kind = _HINTS[name]
        if kind is None:
            if not isinstance(value, bool):
                raise ArgumentError(f"{name} is {value!r}, and must be True or False", argument="optimization_hints")
            return value
        values = getattr(self._coremltools, kind)
        found = [member for member in values if member is value or member.name.lower() == str(value).lower()]
        if not found:
            names = ", ".join(repr(member.name[0].lower() + member.name[1:]) for member in values)
            raise ArgumentError(f"{name} is {value!r}, and must be one of {names}", argument="optimization_hints")
        return found[0]


def _is_compiled(path: Path) -> bool:
    return path.suffix == ".mlmodelc"


def _describe_package(path: Path) -> ModelDescription:
    from russet.coreml.package import Package

    return Package(path).program.description


def _import_coremltools() -> Any:
    otherwise = f"coremltools is not installed, or cannot be imported: pip install 'russet[coreml]'; {_PORTABLE}"
    with coremltools("coremltools.models.utils", otherwise=otherwise) as module:
        return module


class _core_ml_errors:
    """Turns what coremltools raises for Core ML's errors into ours."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        # UnsupportedModelError is a RuntimeError, too.
        if isinstance(error, RuntimeError) and not isinstance(error, RussetError):
            raise UnsupportedModelError(f"{self._what}: Core ML says: {error}; {_PORTABLE}") from error


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
