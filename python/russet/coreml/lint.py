"""Checks a package against the limits of Core ML, which are found out late otherwise: on a device, or by wrong numbers.

``error`` is what Core ML refuses, ends the process over, or computes wrongly; ``warning`` what is known to fail on some units.
Nothing is run. Sources: Core ML's and coremltools' documents, and the issues of ``apple/coremltools`` that messages name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from russet.coreml import settings
from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.coreml.package import Package
from russet.coreml.program import Blob, Block, Function, Operation

__all__ = ["RULES", "Finding", "lint"]

_IOS16, _IOS18, _IOS26 = 7, 9, 10
_GREATEST_RANK = 5
_GREATEST_ENUMERATED = 128
#: Units move rows of this many elements.
_ROW_ELEMENTS = 32
_OPSETS = {"CoreML5": 6, "CoreML6": 7, "CoreML7": 8, "CoreML8": 9, "CoreML9": 10}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_@]*")


@dataclass(frozen=True)
class Finding:
    """A limit that a package breaks."""

    level: Literal["error", "warning"]
    #: The limit, one of :data:`RULES`.
    rule: str
    #: The function, and the name in it.
    place: str
    message: str


@dataclass(frozen=True)
class _Case:
    """A function and what it belongs to."""

    description: ModelDescription
    function: FunctionDescription
    program: Function

    @property
    def version(self) -> int:
        return self.description.specification_version


_Found = Iterator[tuple[Literal["error", "warning"], str, str]]


def lint(path: Path) -> list[Finding]:
    """What a package breaks, errors first.

    Args:
        path: An ``.mlpackage``, or the folder that holds it.

    Raises:
        MissingFileError: if there is none.
        PackageError: if it is damaged.
    """
    program = Package(settings.package_in(path)).program
    found = []
    for name, function in program.functions.items():
        if name in program.description.functions:
            case = _Case(program.description, program.description.functions[name], function)
            for rule, check in RULES.items():
                found += [Finding(level, rule, f"{name}: {place}", message) for level, place, message in check(case)]
    return sorted(found, key=lambda finding: finding.level)


def _states(case: _Case) -> _Found:
    for state in case.function.states.values():
        if case.version < _IOS18:
            yield "error", state.name, f"states need iOS 18, and the specification is {case.version}"
        if state.dtype != "float16":
            yield "error", state.name, f"a state of {state.dtype}; states are float16"
        if state.ranges or state.enumerated:
            yield "error", state.name, "the shape of a state cannot vary (#2537)"
        if state.shape and state.shape[-1] % _ROW_ELEMENTS:
            yield (
                "warning",
                state.name,
                f"its last axis has {state.shape[-1]} elements, no multiple of 32: the Neural Engine fails (#2631)",
            )


def _state_reads(case: _Case) -> _Found:
    """What was read before a state changed is not used after it."""
    read: dict[str, str] = {}
    stale: set[str] = set()
    for operation in case.program.block.operations:
        names = _names(operation)
        if operation.kind == "write_state":
            (state,) = _argument(operation, "input")
            stale |= {name for name, of in read.items() if of == state}
            read = {name: of for name, of in read.items() if of != state}
            names = _argument(operation, "data")
        for name in names:
            if name in stale:
                yield "error", name, f"it was read from a state before an update, and {operation.kind} uses it afterwards (#2786)"
        if operation.kind == "read_state":
            (state,) = _argument(operation, "input")
            read |= dict.fromkeys((name for name, _ in operation.outputs), state)


def _state_outputs(case: _Case) -> _Found:
    outputs = set(case.program.block.outputs)
    for operation in case.program.block.operations:
        if operation.kind == "write_state":
            for name in _argument(operation, "data"):
                if name in outputs:
                    yield "error", name, "an output is what is written to a state: Core ML crashes (#2713)"


def _ranges(case: _Case) -> _Found:
    inputs = case.function.inputs.values()
    varying = [feature for feature in inputs if _has_range(feature)]
    for feature in varying:
        if any(high < 0 for _, high in feature.ranges):
            yield "error", feature.name, "a size without an upper bound; an ML Program needs one"
    for feature in inputs if varying else ():
        if feature.enumerated:
            yield "error", feature.name, "enumerated and range shapes are mixed"
        elif not _has_range(feature) and case.function.states:
            yield "error", feature.name, "a fixed input beside ranges and states: Core ML aborts (#2548)"


def _has_range(feature: Feature) -> bool:
    return any(low != high for low, high in feature.ranges)


def _enumerated(case: _Case) -> _Found:
    listed = [feature for feature in case.function.inputs.values() if feature.enumerated]
    for feature in listed:
        count = len(feature.enumerated)
        if count > _GREATEST_ENUMERATED:
            yield "error", feature.name, f"{count} shapes; {_GREATEST_ENUMERATED} are allowed"
        if len(listed) > 1 and case.version < _IOS18:
            yield "error", feature.name, f"{len(listed)} inputs have enumerated shapes; before iOS 18 one may"
        if count != len(listed[0].enumerated):
            yield (
                "error",
                feature.name,
                f"{count} shapes, and {listed[0].name!r} has {len(listed[0].enumerated)}: they go by index (#2271)",
            )


def _types(case: _Case) -> _Found:
    function = case.function
    for feature in (*function.inputs.values(), *function.outputs.values()):
        if feature.dtype == "float16" and case.version < _IOS16:
            yield "error", feature.name, "float16 arrays need iOS 16"
        elif feature.dtype == "int8" and case.version < _IOS26:
            yield "error", feature.name, "int8 arrays need iOS 26"
        elif feature.dtype not in ("float16", "float32", "int32", "int8"):
            yield "error", feature.name, f"arrays of {feature.dtype} are not for ML Programs"
    for feature in function.outputs.values():
        if feature.dtype == "float16" and feature.shape and feature.shape[-1] % _ROW_ELEMENTS:
            yield (
                "warning",
                feature.name,
                f"float16 rows of {feature.shape[-1]} elements, no multiple of 32: some systems give garbage (#1893)",
            )


def _versions(case: _Case) -> _Found:
    needed = _OPSETS.get(case.program.opset)
    if needed is not None and needed > case.version:
        yield "error", case.program.opset, f"its operations need specification {needed}, and it is {case.version}"
    if len(case.description.functions) > 1 and case.version < _IOS18:
        yield "error", case.function.name, "several functions need iOS 18"
    for operation in _operations(case.program.block):
        for value in (*operation.attributes.values(), *(each for given in operation.inputs.values() for each in given)):
            if isinstance(value, Blob) and re.fullmatch(r"u?int[1-6]", value.dtype) and case.version < _IOS18:
                yield "error", operation.outputs[0][0], f"{value.dtype} needs iOS 18"


def _shared_states(case: _Case) -> _Found:
    default = case.description.functions[case.description.default_function]
    if case.function.states and case.function.states != default.states:
        yield (
            "warning",
            ", ".join(case.function.states),
            f"the states are not those of {default.name!r}: one state cannot serve both",
        )


def _ranks(case: _Case) -> _Found:
    for operation in _operations(case.program.block):
        for name, of_type in operation.outputs:
            if len(of_type.shape) > _GREATEST_RANK and not operation.kind.startswith("const"):
                yield "error", name, f"it has {len(of_type.shape)} axes; {_GREATEST_RANK} are allowed"


def _spelling(case: _Case) -> _Found:
    function = case.function
    names = [*function.inputs, *function.outputs, *function.states]
    names += [name for operation in _operations(case.program.block) for name, _ in operation.outputs]
    for name in names:
        if not _NAME.fullmatch(name):
            yield "error", name, "a name has letters, digits and underscores, and begins with none of the digits"


def _operations(block: Block) -> Iterator[Operation]:
    for operation in block.operations:
        yield operation
        for inner in operation.blocks:
            yield from _operations(inner)


def _names(operation: Operation) -> list[str]:
    return [name for inputs in operation.inputs.values() for name in inputs if isinstance(name, str)]


def _argument(operation: Operation, name: str) -> list[str]:
    return [value for value in operation.inputs.get(name, []) if isinstance(value, str)]


#: The limits, by name.
RULES: dict[str, Callable[[_Case], _Found]] = {
    "states": _states,
    "stale-state": _state_reads,
    "state-output": _state_outputs,
    "range-shapes": _ranges,
    "enumerated-shapes": _enumerated,
    "types": _types,
    "versions": _versions,
    "shared-states": _shared_states,
    "ranks": _ranks,
    "names": _spelling,
}
