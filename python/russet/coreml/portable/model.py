"""A package that runs anywhere: the portable :class:`~russet.coreml.backend.Backend`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.coreml.inputs import check_inputs, state_feature, state_value
from russet.coreml.package import Package
from russet.coreml.portable.compiler import Compiled, Hook
from russet.coreml.portable.fusion import fuse as fuse_groups
from russet.coreml.portable.graph import Node, Reader
from russet.coreml.portable.lowering import Matrices, lower
from russet.coreml.portable.weights import WeightFile
from russet.coreml.program import Blob
from russet.errors import ArgumentError, LimitError, PackageError, RussetError


class State:
    """The states of a sequence: float16 arrays by name, all zeros at first."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self.arrays = {name: np.zeros(feature.shape, np.float16) for name, feature in features.items()}


@dataclass(frozen=True)
class OperationTime:
    """How long an operation took."""

    kind: str
    #: The name of what it gives.
    name: str
    seconds: float


class PortableModel:
    """A function of a package. Any number of threads may use one; a state belongs to one at a time.

    Args:
        path: The package.
        function: One of its functions; the default one if none is given.
        round_fp16: Rounds what every float16 operation gives, as hardware does that computes in float16. Otherwise such
            values are kept in float32, which is faster and more exact.
        fuse: Does groups of operations by one kernel, such as norms; what lies within them cannot be captured then.
        threads: How many threads the kernels use; 0 is as many as ``RUSSET_NUM_THREADS`` says, or the machine has.

    Raises:
        MissingFileError: if the package or a file of it is missing.
        PackageError: if the package is damaged.
        UnsupportedOperationError: if the program has an operation that the runtime does not have.
    """

    name = "portable"

    def __init__(
        self,
        path: str | os.PathLike[str],
        function: str | None = None,
        *,
        round_fp16: bool = False,
        fuse: bool = True,
        threads: int = 0,
    ) -> None:
        self._shared = _Shared(Package(path), round_fp16, fuse and not round_fp16, Matrices(threads))
        self._select(function)

    def _select(self, function: str | None) -> None:
        description = self._shared.package.program.description
        name = description.default_function if function is None else function
        if name not in description.functions:
            known = ", ".join(map(repr, description.functions))
            raise _argument("function", f"the package has no function {name!r}; it has {known}")
        self.function: FunctionDescription = description.functions[name]
        self._compiled = self._shared.compiled(name)

    @property
    def package(self) -> Package:
        """The package that is run."""
        return self._shared.package

    @property
    def fingerprint(self) -> str:
        """What tells the package from others."""
        return self.package.fingerprint

    def describe(self) -> ModelDescription:
        """What the package says of itself."""
        return self.package.program.description

    def with_function(self, name: str) -> PortableModel:
        """Another function of the package, with the same weights in memory; a state serves both."""
        other = object.__new__(type(self))
        other._shared = self._shared
        other._select(name)
        return other

    def make_state(self) -> State:
        """A new state, all zeros."""
        try:
            return State(self.function.states)
        except MemoryError as error:
            raise LimitError(f"{self.function.name}: there is no memory for a state: {error}") from error

    def predict(self, inputs: Mapping[str, ArrayLike], state: State | None = None) -> dict[str, NDArray[Any]]:
        """Runs the function once; ``state`` is changed.

        Returns:
            Its outputs by name, float32 or int32.

        Raises:
            ArgumentError: if an input is missing, unknown, or of a type or shape that the package does not allow, or holds an
                index that is out of a table; if there is no state where one is needed.
        """
        return self._run(inputs, state, None)

    def profile(self, inputs: Mapping[str, ArrayLike], state: State | None = None) -> list[OperationTime]:
        """Runs the function once and says how long each operation took, in order."""
        times: list[OperationTime] = []
        before = time.perf_counter()

        def hook(node: Node, outputs: tuple[Any, ...]) -> None:
            nonlocal before
            now = time.perf_counter()
            times.append(OperationTime(node.kind, node.outputs[0] if node.outputs else "", now - before))
            before = time.perf_counter()

        self._run(inputs, state, hook)
        return times

    def capture(
        self, inputs: Mapping[str, ArrayLike], state: State | None = None, names: set[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Runs the function once and returns what operations gave, by name: all of it, or these names alone."""
        found: dict[str, NDArray[Any]] = {}

        def hook(node: Node, outputs: tuple[Any, ...]) -> None:
            for name, value in zip(node.outputs, outputs, strict=True):
                if names is None or name in names:
                    found[name] = np.array(value)

        self._run(inputs, state, hook)
        return found

    def read_state(self, state: State, name: str) -> NDArray[np.float16]:
        """A copy of a state's array."""
        state_feature(self.function, name)
        return state.arrays[name].copy()

    def write_state(self, state: State, name: str, value: ArrayLike) -> None:
        """Replaces a state's array."""
        state.arrays[name][...] = state_value(self.function, name, value)

    def _run(self, inputs: Mapping[str, ArrayLike], state: State | None, hook: Hook | None) -> dict[str, NDArray[Any]]:
        arrays: dict[str, Any] = check_inputs(self.function, inputs)
        for name in self.function.inputs:
            if name not in arrays:
                raise _argument(name, "the portable runtime has no default values: pass the input though it is optional")
        if self.function.states:
            arrays.update(self._states(state))
        try:
            with np.errstate(all="ignore"):
                values = self._compiled.run(arrays, hook)
        except RussetError:
            raise
        except MemoryError as error:
            raise LimitError(f"{self.function.name}: there is no memory for a tensor: {error}") from error
        except (ValueError, TypeError, ArithmeticError, KeyError) as error:
            raise PackageError(f"{self.function.name}: the program does not fit its own shapes or types: {error}") from error
        except IndexError as error:
            raise _argument("inputs", str(error)) from error
        found = {}
        for feature, value, may_share in zip(
            self._shared.outputs[self.function.name], values, self._compiled.may_share, strict=True
        ):
            dtype = np.float32 if feature.dtype == "float16" else np.dtype(feature.dtype)
            found[feature.name] = np.array(value, dtype) if may_share else np.asarray(value, dtype)
        return found

    def _states(self, state: State | None) -> Mapping[str, NDArray[np.float16]]:
        if state is None:
            raise _argument("state", "the function has states: pass what make_state() gives")
        for name, feature in self.function.states.items():
            if name not in state.arrays or state.arrays[name].shape != feature.shape:
                raise _argument("state", f"it has no {name!r} {feature.allowed()}; it was made by another package")
        return state.arrays


def _argument(name: str, message: str) -> ArgumentError:
    return ArgumentError(f"{name}: {message}", argument=name)


class _Shared:
    """What the functions of a package share."""

    def __init__(self, package: Package, round_fp16: bool, fuses: bool, matrices: Matrices) -> None:
        self.package = package
        self._fuses = fuses
        self.outputs: dict[str, list[Feature]] = {}
        self._round_fp16 = round_fp16
        self._matrices = matrices
        self._files: dict[str, WeightFile] = {}
        self._blobs: dict[Blob, NDArray[Any]] = {}
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, name: str) -> Compiled:
        """A function, compiled when it is first asked for."""
        if name not in self._compiled:
            self._check(name)
            try:
                self._compiled[name] = self._compile(name)
            except RussetError:
                raise
            except MemoryError as error:
                raise LimitError(f"{name}: there is no memory for a constant: {error}") from error
            except (ValueError, TypeError, ArithmeticError, LookupError) as error:
                # Constants that an operation makes no sense of.
                raise PackageError(f"{name}: the program does not fit its own shapes or types: {error}") from error
        return self._compiled[name]

    def _compile(self, name: str) -> Compiled:
        function = self.package.program.functions[name]
        reader = Reader(self._blob, self._round_fp16)
        graph = reader.graph(function.block, function.inputs)
        if self._fuses:
            fuse_groups(graph, reader.types, self._matrices.threads)
        lower(graph, self._matrices)
        return Compiled(graph, reader.types, self._round_fp16)

    def _check(self, name: str) -> None:
        """Raises if the program and its description tell different things of a function."""
        function, described = self.package.program.functions[name], self.package.program.description.functions[name]
        inputs = {name: of_type for name, of_type in function.inputs if of_type.kind != "state"}
        states = {name: of_type for name, of_type in function.inputs if of_type.kind == "state"}
        missing = set(described.inputs) ^ set(inputs)
        missing |= set(described.states) ^ set(states)
        missing |= set(described.outputs) ^ set(function.block.outputs)
        if not missing:
            missing = {name for name, feature in described.inputs.items() if len(feature.shape) != len(inputs[name].shape)}
            missing |= {name for name, feature in described.states.items() if feature.shape != states[name].shape}
        if missing:
            raise PackageError(f"{name}: the program and its description do not agree about {', '.join(sorted(missing))}")
        self.outputs[name] = [described.outputs[output] for output in function.block.outputs]

    def _blob(self, blob: Blob) -> NDArray[Any]:
        # Functions of a package share weights: the same place is the same array.
        if blob not in self._blobs:
            if blob.file not in self._files:
                self._files[blob.file] = WeightFile(self.package.file(blob.file))
            self._blobs[blob] = self._files[blob.file].read(blob)
        return self._blobs[blob]
