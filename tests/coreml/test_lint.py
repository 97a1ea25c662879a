"""The check list of Core ML's limits: each is found where it is broken, and nothing in packages that are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from russet.coreml.backend import Feature, FunctionDescription, ModelDescription
from russet.coreml.lint import RULES, _Case, lint
from russet.coreml.program import Blob, Block, Function, Operation, ValueType

IDS = Feature("inputIds", "int32", (1, 8))
MASK = Feature("causalMask", "float16", (1, 1, 8, 64))
LOGITS = Feature("logits", "float16", (1, 8, 96))
CACHE = Feature("keyCache", "float16", (2, 1, 2, 64, 32))
RANGE = ((1, 1), (1, 64))


def op(
    kind: str, outputs: list[str], *, shape: tuple[int, ...] = (1,), attributes: dict[str, Any] | None = None, **inputs: Any
) -> Operation:
    return Operation(
        kind,
        {name: [value] for name, value in inputs.items()},
        [(name, ValueType("tensor", "float16", shape)) for name in outputs],
        [],
        attributes or {},
    )


GOOD = [
    op("read_state", ["all"], input="keyCache"),
    op("slice_update", ["changed"], x="all", update="inputIds"),
    op("write_state", [], input="keyCache", data="changed"),
    op("read_state", ["now"], input="keyCache"),
    op("linear", ["logits"], x="now"),
]


def case(
    operations: list[Operation] = GOOD,
    *,
    inputs: tuple[Feature, ...] = (IDS, MASK),
    outputs: tuple[Feature, ...] = (LOGITS,),
    states: tuple[Feature, ...] = (CACHE,),
    version: int = 9,
    opset: str = "CoreML8",
) -> _Case:
    features = [{feature.name: feature for feature in each} for each in (inputs, outputs, states)]
    function = FunctionDescription("main", *features)
    program = Function([], opset, Block([], [feature.name for feature in outputs], operations))
    return _Case(ModelDescription({"main": function}, "main", {}, version), function, program)


def found(of: _Case) -> set[tuple[str, str, str]]:
    return {(rule, level, place) for rule, check in RULES.items() for level, place, _ in check(of)}


def test_nothing_is_found_in_a_function_that_is_right() -> None:
    assert found(case()) == set()
    ranged = (replace(IDS, ranges=RANGE), replace(MASK, ranges=((1, 1), (1, 1), (1, 64), (1, 64))))
    assert found(case(inputs=ranged)) == set()


STALE = [*GOOD[:4], op("slice_by_index", ["old"], x="all"), op("linear", ["logits"], x="now")]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (case(states=(replace(CACHE, dtype="float32"),)), ("states", "error", "keyCache")),
        (case(states=(replace(CACHE, ranges=RANGE),)), ("states", "error", "keyCache")),
        (case(states=(replace(CACHE, shape=(2, 1, 2, 64, 20)),)), ("states", "warning", "keyCache")),
        (case(version=8, opset="CoreML7"), ("states", "error", "keyCache")),
        (case(STALE), ("stale-state", "error", "all")),
        (case([*GOOD[:3], op("linear", ["logits"], x="all")]), ("stale-state", "error", "all")),
        (case([*GOOD[:2], op("write_state", [], input="keyCache", data="logits")]), ("state-output", "error", "logits")),
        (case(inputs=(replace(IDS, ranges=RANGE), MASK)), ("range-shapes", "error", "causalMask")),
        (case(inputs=(replace(IDS, ranges=((1, 1), (1, -1))),)), ("range-shapes", "error", "inputIds")),
        (
            case(inputs=(replace(IDS, ranges=RANGE), replace(MASK, enumerated=((1, 1, 8, 64),)))),
            ("range-shapes", "error", "causalMask"),
        ),
        (
            case(inputs=(replace(IDS, enumerated=tuple((1, n) for n in range(1, 130))),)),
            ("enumerated-shapes", "error", "inputIds"),
        ),
        (
            case(inputs=(replace(IDS, enumerated=((1, 8), (1, 1))), replace(MASK, enumerated=((1, 1, 8, 64),)))),
            ("enumerated-shapes", "error", "causalMask"),
        ),
        (
            case(
                inputs=(replace(IDS, enumerated=((1, 8),)), replace(MASK, enumerated=((1, 1, 8, 64),))),
                states=(),
                version=8,
                opset="CoreML7",
            ),
            ("enumerated-shapes", "error", "inputIds"),
        ),
        (case(outputs=(replace(LOGITS, dtype="float64"),)), ("types", "error", "logits")),
        (case(outputs=(replace(LOGITS, dtype="int8"),)), ("types", "error", "logits")),
        (case(outputs=(replace(LOGITS, shape=(1, 8, 50257)),)), ("types", "warning", "logits")),
        (case(states=(), version=6, opset="CoreML5"), ("types", "error", "logits")),
        (case(states=(), version=8), ("versions", "error", "CoreML8")),
        (
            case(
                [op("const", ["w"], attributes={"val": Blob("int4", (4, 4), "weight.bin", 64)})],
                states=(),
                version=8,
                opset="CoreML7",
            ),
            ("versions", "error", "w"),
        ),
        (case([*GOOD, op("reshape", ["deep"], shape=(1,) * 6, x="now")]), ("ranks", "error", "deep")),
        (case([*GOOD, op("relu", ["a/b"], x="now")]), ("names", "error", "a/b")),
    ],
)
def test_a_broken_limit_is_found(of: _Case, expected: tuple[str, str, str]) -> None:
    assert expected in found(of)


def test_functions_with_other_states() -> None:
    one, two = case(), case(states=(replace(CACHE, shape=(4, 1, 2, 64, 32)),))
    both = replace(one.description, functions={"main": one.function, "other": replace(two.function, name="other")})
    assert ("shared-states", "warning", "keyCache") in found(_Case(both, both.functions["other"], two.program))
    assert ("versions", "error", "main") in found(_Case(replace(both, specification_version=8), one.function, one.program))


mil_packages = pytest.importorskip("mil_packages")


def test_packages() -> None:
    pytest.importorskip("coremltools")
    for path in (
        mil_packages.stateful("multifunction"),
        mil_packages.stateful("range"),
        mil_packages.stateless("enumerated"),
        mil_packages.stateless("fixed"),
    ):
        assert lint(path) == []
    mixed = mil_packages.stateful("range", position=True)
    assert [(finding.level, finding.rule, finding.place) for finding in lint(mixed)] == [
        ("error", "range-shapes", "main: position")
    ]
