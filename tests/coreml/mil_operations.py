"""Small programs of single operations: many in one package, with what coremltools or a twin in NumPy says that they give.

A case builds its operations twice: from inputs of the package, which are known when it runs, and from constants, which are
known when it is loaded. What is expected is coremltools' own value inference of the constants, or the case's twin.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mil_packages import coremltools

from russet.coreml.portable import PortableModel
from russet.coreml.portable.constants import runtime_dtype
from russet.coreml.program import Block, ValueType

Array = np.ndarray[Any, Any]

#: Types that inputs and outputs of packages have; others are cast within the program.
_OUTSIDE = {"float32": "fp32", "float16": "fp16", "int32": "int32"}
_INSIDE = {"bool": "bool", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16"}


@dataclass
class Case:
    """Operations over inputs: ``build(mb, *inputs)`` gives a result, or several."""

    name: str
    build: Callable[..., Any]
    inputs: list[Array]
    twin: Callable[..., Any] | None
    #: How far a result may be from what is expected, relative and absolute.
    bound: float = 1e-5
    expected: list[Array] = field(default_factory=list)
    #: Whether it is built from constants, too.
    folds: bool = True


class Suite:
    """Cases for one version of the operations, such as ``iOS18``."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.cases: dict[str, Case] = {}

    def add(
        self, name: str, build: Callable[..., Any], *inputs: Any, twin: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        """Adds a case; numbers and arrays keep their types, except that Python's floats become float32 and its integers int32."""
        assert name not in self.cases, name
        self.cases[name] = Case(name, build, [_array(value) for value in inputs], twin, **options)

    def convert(self, path: Path) -> None:
        """Writes the package, and notes what is expected."""
        # Infinities, and old habits of coremltools.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            self._convert(path)

    def _convert(self, path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil import Function, Program
        from coremltools.converters.mil.mil import types

        of_type = {"fp16": types.fp16, "fp32": types.fp32, "int32": types.int32}
        placeholders = {
            name: mb.placeholder(array.shape, dtype=of_type[_OUTSIDE[array.dtype.name]]) for name, array in self.inputs().items()
        }
        with Function(placeholders, opset_version=getattr(ct.target, self.target)) as function:
            outputs = []
            for case in self.cases.values():
                given = [self._given(mb, function, case, index) for index in range(len(case.inputs))]
                outputs += self._named(mb, f"{case.name}", _several(case.build(mb, *given)))
                if case.folds:
                    constants = _several(case.build(mb, *(value[()] for value in case.inputs)))
                    outputs += self._named(mb, f"{case.name}_folded", constants)
                if case.twin is not None:
                    case.expected = [np.asarray(value) for value in _several(case.twin(*case.inputs))]
                else:
                    case.expected = [np.asarray(result.val) for result in constants]
                    assert all(value.dtype != object for value in case.expected), f"{case.name} has no value"
            function.set_outputs(outputs)
        program = Program()
        program.add_function("main", function)
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, self.target),
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
            # Passes would compute what is constant, and change what is not.
            pass_pipeline=ct.PassPipeline.EMPTY,
        )
        model.save(str(path))

    def inputs(self) -> dict[str, Array]:
        """The package's inputs."""
        found = {}
        for case in self.cases.values():
            for index, array in enumerate(case.inputs):
                outside = array if array.dtype.name in _OUTSIDE else array.astype(np.int32)
                found[_input(case, index)] = outside.reshape(1) if outside.ndim == 0 else outside
        return found

    def results(self, outputs: Mapping[str, Array]) -> Iterator[tuple[str, list[Array]]]:
        """The results by case, of inputs and of constants."""
        for case in self.cases.values():
            for name in (case.name, f"{case.name}_folded")[: 1 + case.folds]:
                yield name, [outputs[_output(name, index)] for index in range(len(case.expected))]

    def _given(self, mb: Any, function: Any, case: Case, index: int) -> Any:
        name, array = _input(case, index), case.inputs[index]
        given = function.inputs[name]
        if array.ndim == 0:
            given = mb.squeeze(x=given, axes=[0])
        return mb.cast(x=given, dtype=_INSIDE[array.dtype.name]) if array.dtype.name in _INSIDE else given

    @staticmethod
    def _named(mb: Any, name: str, results: Sequence[Any]) -> list[Any]:
        from coremltools.converters.mil.mil import types

        found = []
        for index, result in enumerate(results):
            if types.builtin_to_string(result.dtype) not in ("fp16", "fp32", "int32"):
                result = mb.cast(x=result, dtype="int32")
            if result.rank == 0:
                result = mb.expand_dims(x=result, axes=[0])
            found.append(mb.identity(x=result, name=_output(name, index)))
        return found


def _array(value: Any) -> Array:
    if isinstance(value, float):
        return np.asarray(value, np.float32)
    if isinstance(value, bool | int):
        return np.asarray(value, bool if isinstance(value, bool) else np.int32)
    array = np.asarray(value)
    return array.astype({"float64": "float32", "int64": "int32"}.get(array.dtype.name, array.dtype.name))


def _several(results: Any) -> list[Any]:
    return list(results) if isinstance(results, list | tuple) else [results]


def _input(case: Case, index: int) -> str:
    return f"{case.name}_in{index}".replace("-", "_minus_")


def _output(name: str, index: int) -> str:
    return f"{name}_out{index}".replace("-", "_minus_")


def declared(block: Block) -> Iterator[tuple[str, ValueType]]:
    """The types that a program declares of what operations give."""
    for operation in block.operations:
        yield from operation.outputs
        for inner in operation.blocks:
            yield from declared(inner)


def kinds(block: Block) -> Iterator[str]:
    """The operations of a program."""
    for operation in block.operations:
        yield operation.kind
        for inner in operation.blocks:
            yield from kinds(inner)


def assert_declared(model: PortableModel, captured: Mapping[str, Array]) -> None:
    """Every tensor has the type and the shape that the program declares, as far as it is known."""
    types = dict(declared(model.package.program.functions[model.function.name].block))
    assert captured
    for name, value in captured.items():
        # Blocks side by side give the same names, which are numbered.
        of_type = types[name.split("#")[0]]
        assert len(of_type.shape) == value.ndim, (name, of_type, value.shape)
        assert all(size in (-1, own) for size, own in zip(of_type.shape, value.shape, strict=True)), (name, of_type, value.shape)
        # States, and views of them, stay as they are.
        allowed = {runtime_dtype(str(of_type.dtype))} | ({np.dtype(np.float16)} if model.function.states else set())
        assert value.dtype in allowed, (name, of_type, value.dtype)
