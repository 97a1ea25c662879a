"""The ways to run a program agree: fused or not, hooked or not, rounded, by several threads, with states changed in place or copied."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_packages import Array, Case, cases

import russet.coreml
from russet.coreml.portable import compiler
from russet.coreml.portable.constants import Stored, look_up
from russet.coreml.portable.fusion import fuse
from russet.coreml.portable.graph import Graph, Node, Reader, Text
from russet.coreml.portable.lowering import Matrices, lower
from russet.coreml.portable.states import InPlace
from russet.coreml.program import Block, Operation, Tensor, ValueType

CASES = [case for case in cases() if case.form in ("fixed", "stateful-range")]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


def steps(case: Case) -> list[dict[str, Array]]:
    return [inputs for inputs, _ in case.steps(case.runs[0])]


def states(state: Any) -> dict[str, Array]:
    return dict(state.arrays)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_groups_give_what_their_operations_give(case: Case, unpacked: Path) -> None:
    fused = russet.coreml.load(case.path(unpacked), backend="portable")
    plain = russet.coreml.load(case.path(unpacked), backend="portable", fuse=False)
    first, second = fused.make_state(), plain.make_state()
    for inputs in steps(case):
        actual, expected = fused.predict(inputs, first)[case.output], plain.predict(inputs, second)[case.output]
        np.testing.assert_allclose(actual, expected, 0, 1e-4 * np.abs(expected).max())
    for name, array in states(first).items():
        np.testing.assert_allclose(array, states(second)[name], 2e-3, 1e-4)


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hook_changes_nothing_and_sees_what_is_declared(case: Case, fuse: bool, unpacked: Path) -> None:
    from mil_operations import assert_declared

    model: Any = russet.coreml.load(case.path(unpacked), backend="portable", fuse=fuse)
    plain, hooked, timed = model.make_state(), model.make_state(), model.make_state()
    for inputs in steps(case):
        expected = model.predict(inputs, plain)
        captured = model.capture(inputs, hooked)
        times = model.profile(inputs, timed)
        np.testing.assert_array_equal(captured[case.output].astype(np.float32), expected[case.output])
        assert_declared(model, captured)
        assert {time.name for time in times} - {""} <= set(captured)
        assert all(time.seconds >= 0 for time in times)
    for name, array in states(plain).items():
        np.testing.assert_array_equal(states(hooked)[name], array)
        np.testing.assert_array_equal(states(timed)[name], array)


def test_capture_takes_names(unpacked: Path) -> None:
    case = CASES[0]
    model: Any = russet.coreml.load(case.path(unpacked), backend="portable")
    (inputs, *_) = steps(case)
    assert set(model.capture(inputs, names={case.output, "nothing"})) == {case.output}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rounding_rounds_every_result(case: Case, unpacked: Path) -> None:
    from mil_operations import declared

    model: Any = russet.coreml.load(case.path(unpacked), backend="portable", round_fp16=True)
    types = dict(declared(model.package.program.functions[model.function.name].block))
    halves = 0
    for name, value in model.capture(steps(case)[0], model.make_state()).items():
        if types[name].dtype == "float16":
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(value, value.astype(np.float16).astype(np.float32), name)
            halves += 1
    assert halves > 10


FLOATS = ValueType("tensor", "float16", (3,))


def constant(*values: float) -> Tensor:
    return Tensor("float16", (3,), np.float16(values).view(np.uint8))


def compiled(block: Block, inputs: list[tuple[str, ValueType]], round_fp16: bool = False) -> compiler.Compiled:
    def no_blob(blob: Any) -> Any:
        raise AssertionError(blob)

    reader = Reader(no_blob, round_fp16)
    graph = reader.graph(block, inputs)
    lower(graph, Matrices(1))
    return compiler.Compiled(graph, reader.types, round_fp16)


def test_rounding_rounds_inputs_and_constants() -> None:
    operations = [
        Operation("add", {"x": [constant(0.1, 1000, 3)], "y": [constant(0.2, 0.3, 1e-4)]}, [("sum", FLOATS)], [], {}),
        Operation("mul", {"x": ["x"], "y": ["sum"]}, [("y", FLOATS)], [], {}),
    ]
    block, x = Block([], ["y"], operations), np.float32([0.3, 1.0001, 7])
    halves = [np.float16(values) for values in ([0.1, 1000, 3], [0.2, 0.3, 1e-4], x)]
    (rounded,) = compiled(block, [("x", FLOATS)], True).run({"x": x})
    np.testing.assert_array_equal(rounded, (halves[2] * (halves[0] + halves[1])).astype(np.float32))
    (exact,) = compiled(block, [("x", FLOATS)]).run({"x": x})
    np.testing.assert_allclose(exact, x * (halves[0].astype(np.float32) + halves[1].astype(np.float32)), 1e-6)


def test_threads_do_not_disturb_each_other(unpacked: Path) -> None:
    case = next(case for case in CASES if case.family == "llama" and case.is_stateful)
    model = russet.coreml.load(case.path(unpacked), backend="portable", threads=1)
    all_inputs = [
        [{**inputs, "inputIds": (inputs["inputIds"] + shift) % 32} for inputs in steps(case)]
        for shift in range(4)
        for _ in range(4)
    ]

    def run(sequence: list[dict[str, Array]]) -> list[Array]:
        state = model.make_state()
        return [model.predict(inputs, state)[case.output] for inputs in sequence]

    expected = [run(sequence) for sequence in all_inputs]
    with ThreadPoolExecutor(4) as threads:
        actual = list(threads.map(run, all_inputs))
    for some, others in zip(actual, expected, strict=True):
        for one, other in zip(some, others, strict=True):
            np.testing.assert_array_equal(one, other)


# States in place. All values have four rows of three numbers.

WHOLE, ROW = ValueType("tensor", "float16", (4, 3)), ValueType("tensor", "float16", (1, 3))
INPUTS = [("s", ValueType("state", "float16", (4, 3))), ("t", ValueType("state", "float16", (4, 3))), ("x", WHOLE), ("u", ROW)]


def indices(*values: int) -> Tensor:
    return Tensor("int32", (len(values),), np.int32(values))


@st.composite
def programs(draw: st.DrawFn) -> Block:
    """Reads, updates, views, sums and writes of two states, in any order that names allow."""
    wholes, rows, operations = ["x"], ["u"], []
    origins: dict[str, str] = {}
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(["read", "read", "update", "update", "update", "write", "write", "view", "row", "sum"]))
        state, name, row = draw(st.sampled_from(["s", "t"])), draw(st.sampled_from(wholes)), draw(st.integers(0, 3))
        output = f"v{number}"
        begin, end = {"begin": [indices(row, 0)]}, {"end": [indices(row + 1, 3)]}
        if kind == "read":
            operations.append(Operation("read_state", {"input": [state]}, [(output, WHOLE)], [], {}))
            origins[output] = state
        elif kind == "update":
            inputs = {"x": [name], "update": [draw(st.sampled_from(rows))], **begin, **end}
            operations.append(Operation("slice_update", inputs, [(output, WHOLE)], [], {}))
            # Most updates are of a state, and are written to it.
            if name in origins and draw(st.booleans()):
                operations.append(Operation("write_state", {"input": [origins[name]], "data": [output]}, [], [], {}))
            origins[output] = origins.get(name, state)
        elif kind == "write":
            operations.append(Operation("write_state", {"input": [state], "data": [name]}, [], [], {}))
            continue
        elif kind == "view":
            operations.append(Operation(draw(st.sampled_from(["identity", "reverse"])), {"x": [name]}, [(output, WHOLE)], [], {}))
        elif kind == "row":
            operations.append(Operation("slice_by_index", {"x": [name], **begin, **end}, [(output, ROW)], [], {}))
        else:
            operations.append(Operation("add", {"x": [name], "y": [draw(st.sampled_from(wholes))]}, [(output, WHOLE)], [], {}))
        (rows if kind == "row" else wholes).append(output)
    outputs = draw(st.lists(st.sampled_from(wholes + rows), min_size=1, max_size=4, unique=True))
    return Block([], outputs, operations)


def copying(graph: Graph) -> InPlace:
    """Nothing is done in place."""
    return InPlace({index for index, node in enumerate(graph.nodes) if node.kind == "read_state"})


def run(program: compiler.Compiled) -> tuple[list[Array], list[dict[str, Array]]]:
    """What two runs, one behind the other, give, and the states that they leave."""
    arrays: dict[str, Array] = {name: np.zeros((4, 3), np.float16) for name in "st"}
    outputs, left = [], []
    for number in range(2):
        arrays |= {"x": np.float32(np.arange(12).reshape(4, 3) + number), "u": np.float32([[50, 60, 70 + number]])}
        values = program.run(arrays)
        outputs += [np.array(value) if shares else value for value, shares in zip(values, program.may_share, strict=True)]
        left.append({name: arrays[name].copy() for name in "st"})
    return outputs, left


@settings(max_examples=400, deadline=None)
@given(programs())
def test_states_in_place_are_states_that_are_copied(block: Block) -> None:
    in_place = compiled(block, INPUTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "analyse", copying)
        copied = compiled(block, INPUTS)
    (actual, states), (expected, expected_states) = run(in_place), run(copied)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(states, expected_states, strict=True):
        np.testing.assert_equal(one, other)


def test_an_update_that_is_written_back_is_made_in_place() -> None:
    operations = [
        Operation("read_state", {"input": ["s"]}, [("r", WHOLE)], [], {}),
        Operation(
            "slice_update", {"x": ["r"], "update": ["u"], "begin": [indices(1, 0)], "end": [indices(2, 3)]}, [("n", WHOLE)], [], {}
        ),
        Operation("write_state", {"input": ["s"], "data": ["n"]}, [], [], {}),
    ]
    program = compiled(Block([], ["u"], operations), INPUTS)
    assert program._in_place.updates == {1}
    assert not program._in_place.copies


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    counts=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    vector=st.integers(1, 3),
    axis=st.sampled_from([0, 1, -1]),
    seed=st.integers(0, 99),
)
def test_values_are_looked_up_in_the_table_of_their_block(
    blocks: tuple[int, int], counts: tuple[int, int], vector: int, axis: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows, columns = blocks[0] * counts[0], blocks[1] * counts[1]
    indices = random.integers(0, 4, (rows, columns)).astype(np.uint8)
    tables = random.standard_normal((*blocks, 4, vector)).astype(np.float32)
    sizes = [rows, columns]
    sizes[axis] *= vector
    expected = np.zeros(sizes, np.float32)
    for row, column in np.ndindex(rows, columns):
        values = tables[row // counts[0], column // counts[1], indices[row, column]]
        for part, value in enumerate(values):
            place = [row, column]
            place[axis] = place[axis] * vector + part
            expected[tuple(place)] = value
    np.testing.assert_array_equal(look_up(indices, tables, axis), expected)


def of_type(dtype: str, *shape: int) -> ValueType:
    return ValueType("tensor", dtype, shape)


def test_a_convolution_whose_padding_is_not_known_is_not_taken_for_a_product() -> None:
    weight = Stored(np.ones((2, 3, 1), np.float32), "float32", (2, 3, 1))
    node = Node(
        "conv", {"x": "x", "weight": weight, "pad_type": Text("custom"), "pad": "pad"}, ["y"], [of_type("float32", 1, 2, 6)]
    )
    lower(Graph(["x", "pad"], ["y"], [node]), Matrices(1))
    assert node.function is None
    del node.inputs["pad"]
    lower(Graph(["x"], ["y"], [node]), Matrices(1))
    assert node.function is not None


@pytest.mark.parametrize(("kind", "is_fused"), [("fp16", True), ("int32", False)])
def test_a_norm_goes_on_behind_casts_of_floats_alone(kind: str, is_fused: bool) -> None:
    """x / rms(x), cast, times a weight: a cast to integers cuts digits off, and no norm has that."""
    dtype = {"fp16": "float16", "int32": "int32"}[kind]
    row, one = of_type("float32", 1, 4), of_type("float32", 1, 1)
    weight = Stored(np.ones(4, np.float32), "float32", (4,))
    axes, keep = Stored(np.array([-1]), "int32", (1,)), Stored(np.array(True), "bool", ())
    nodes = [
        Node("square", {"x": "x"}, ["squares"], [row]),
        Node("reduce_mean", {"x": "squares", "axes": axes, "keep_dims": keep}, ["mean"], [one]),
        Node("rsqrt", {"x": "mean"}, ["factor"], [one]),
        Node("mul", {"x": "x", "y": "factor"}, ["normed"], [row]),
        Node("cast", {"x": "normed", "dtype": Text(kind)}, ["cast"], [of_type(dtype, 1, 4)]),
        Node("mul", {"x": "cast", "y": weight}, ["y"], [of_type(dtype, 1, 4)]),
    ]
    graph = Graph(["x"], ["y"], nodes)
    fuse(graph, {"x": row} | {node.outputs[0]: node.types[0] for node in nodes}, 1)
    assert [node.kind for node in graph.nodes] == (["rms_norm"] if is_fused else ["rms_norm", "cast", "mul"])
