"""From a graph to one straight Python function.

Each node becomes a line ``v7 = f12(v3, v4)``: its function with constants bound, its results in local variables that are dropped
after their last use. Branches and loops become Python's own. That costs some 60 ns a node, where a loop over the nodes would
cost several times that. A second form of the same source calls a hook after each node, for timing and for looking at tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.portable.constants import Constant
from russet.coreml.portable.graph import Argument, Graph, Node, call
from russet.coreml.portable.operations.layout import slice_update_in_place
from russet.coreml.portable.states import InPlace, analyse
from russet.coreml.program import ValueType
from russet.errors import PackageError, UnsupportedModelError

#: Called with a node and what it gave.
Hook = Callable[[Node, tuple[Any, ...]], None]


def _rounded(value: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(value).astype(np.float16).astype(np.float32)


class Compiled:
    """A graph as a function. ``states`` are arrays of float16 by name, and are changed."""

    def __init__(self, graph: Graph, types: dict[str, ValueType], round_fp16: bool = False) -> None:
        self._graph = graph
        self._types = types
        self._round_fp16 = round_fp16
        self._in_place = analyse(graph)
        self._hooked: Callable[..., list[Any]] | None = None
        #: Whether an output may share memory with an input, a state, a constant or an output before it.
        self.may_share = self._sharing()
        self.source = ""
        self._plain: Callable[..., list[Any]] = self._compile(False)

    def run(self, inputs: dict[str, Any], hook: Hook | None = None) -> list[Any]:
        """Runs the function; ``inputs`` has the states' arrays too. Returns its outputs in order."""
        arguments = [inputs[name] for name in self._graph.inputs]
        if hook is None:
            return self._plain(None, *arguments)
        if self._hooked is None:
            self._hooked = self._compile(True)
        return self._hooked(hook, *arguments)

    def _sharing(self) -> list[bool]:
        shared = set(self._graph.inputs) | self._in_place.shown
        #: The name whose memory a name may show.
        shows: dict[str, str] = {}
        for node in self._graph.nodes:
            source = node.inputs.get("x")
            # A cast between float16 and float32 gives its argument, too.
            if isinstance(source, str) and (node.is_layout or node.kind == "cast"):
                shows.update(dict.fromkeys(node.outputs, shows.get(source, source)))
            if node.blocks or (isinstance(source, str) and source in shared and node.outputs[0] in shows):
                shared.update(node.outputs)
        found = []
        for output in self._graph.outputs:
            found.append(not isinstance(output, str) or output in shared or shows.get(output, output) in shared)
            if isinstance(output, str):
                shared.add(shows.get(output, output))
        return found

    def _compile(self, has_hook: bool) -> Callable[..., list[Any]]:
        writer = _Writer(self._types, self._in_place, self._round_fp16, has_hook)
        self.source = writer.function(self._graph)
        scope = writer.scope
        try:
            code = compile(self.source, "<ML Program>", "exec")
        except (SyntaxError, RecursionError) as error:
            # Python has limits for blocks within blocks.
            raise UnsupportedModelError(f"branches and loops lie too deep in one another: {error}") from error
        exec(code, scope)
        found: Callable[..., list[Any]] = scope["program"]
        return found


class _Writer:
    """Writes the source and collects what it refers to."""

    def __init__(self, types: dict[str, ValueType], in_place: InPlace, round_fp16: bool, has_hook: bool) -> None:
        self.scope: dict[str, Any] = {"F": np.float32, "rounded": _rounded}
        self._types = types
        self._in_place = in_place
        self._round_fp16 = round_fp16
        self._has_hook = has_hook
        self._variables: dict[str, str] = {}
        #: Names whose arrays are float16: states, and what only moves their elements.
        self._halves: set[str] = set()
        self._lines: list[str] = []

    def function(self, graph: Graph) -> str:
        parameters = ", ".join(["hook", *(self._variable(name) for name in graph.inputs)])
        self._lines = [f"def program({parameters}):"]
        if self._round_fp16:
            halves = (
                name for name in graph.inputs if (of_type := self._types[name]).kind == "tensor" and of_type.dtype == "float16"
            )
            self._lines += [f"    {variable} = rounded({variable})" for variable in map(self._variable, halves)]
        drops = _drops(graph)
        for index, node in enumerate(graph.nodes):
            self._node(node, "    ", index)
            if index in drops:
                self._lines.append("    " + " = ".join(self._variable(name) for name in drops[index]) + " = None")
        self._lines.append(f"    return [{', '.join(self._argument(output) for output in graph.outputs)}]")
        return "\n".join(self._lines) + "\n"

    def _variable(self, name: str) -> str:
        return self._variables.setdefault(name, f"v{len(self._variables)}")

    def _entered(self, value: Any) -> str:
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        return name

    def _argument(self, argument: Argument) -> str:
        if isinstance(argument, str):
            return self._full(argument)
        if isinstance(argument, Constant):
            return self._entered(argument.array())
        raise PackageError("a text is used as a tensor")

    def _full(self, name: str) -> str:
        """A name as float32 where its array is float16."""
        variable = self._variable(name)
        return f"{variable}.astype(F)" if name in self._halves else variable

    def _node(self, node: Node, indent: str, index: int | None = None) -> None:
        if node.kind == "read_state":
            (name,), state = node.outputs, node.inputs["input"]
            self._halves.add(name)
            copy = ".copy()" if index in self._in_place.copies else ""
            self._lines.append(f"{indent}{self._variable(name)} = {self._variable(state)}{copy}")
        elif node.kind == "write_state":
            state, data = self._variable(node.inputs["input"]), node.inputs["data"]
            value = self._variable(data) if isinstance(data, str) else self._argument(data)
            self._lines.append(f"{indent}if {value} is not {state}: {state}[...] = {value}")
        elif node.kind == "cond":
            self._cond(node, indent)
        elif node.kind == "while_loop":
            self._while_loop(node, indent)
        else:
            self._call(node, indent, index)
        if self._has_hook:
            outputs = "".join(f"{self._variable(name)}, " for name in node.outputs)
            self._lines.append(f"{indent}hook({self._entered(node)}, ({outputs}))")

    def _call(self, node: Node, indent: str, index: int | None) -> None:
        function, names = call(node, slice_update_in_place if index in self._in_place.updates else None)
        takes_halves = node.is_layout or node.takes_halves or node.kind == "slice_update"
        arguments = ", ".join(self._variable(name) if takes_halves else self._full(name) for name in names)
        results = [self._variable(name) for name in node.outputs]
        if (node.is_layout or node.kind == "slice_update") and node.inputs.get("x") in self._halves:
            self._halves.update(node.outputs)
        target = results[0] if len(results) == 1 else f"[{', '.join(results)}]"
        taken = "[0]" if len(results) == 1 and node.kind in _LISTS else ""
        self._lines.append(f"{indent}{target} = {self._entered(function)}({arguments}){taken}")
        if self._round_fp16 and not node.is_layout:
            for name, result, of_type in zip(node.outputs, results, node.types, strict=True):
                if of_type.dtype == "float16" and name not in self._halves:
                    self._lines.append(f"{indent}{result} = rounded({result})")

    def _block(self, graph: Graph, indent: str) -> list[str]:
        """The lines of a block, and its outputs as expressions."""
        for node in graph.nodes:
            self._node(node, indent)
        return [self._argument(output) for output in graph.outputs]

    def _cond(self, node: Node, indent: str) -> None:
        predicate, (true, false) = node.inputs["pred"], node.blocks
        self._lines.append(f"{indent}if {self._argument(predicate)}:")
        self._assign(node.outputs, self._block(true, indent + "    "), indent + "    ")
        self._lines.append(f"{indent}else:")
        self._assign(node.outputs, self._block(false, indent + "    "), indent + "    ")

    def _while_loop(self, node: Node, indent: str) -> None:
        given = node.inputs["loop_vars"]
        condition, body = node.blocks
        self._assign(node.outputs, [self._argument(part) for part in (given if isinstance(given, list) else [given])], indent)
        inner = indent + "    "
        outputs = [self._variable(name) for name in node.outputs]
        self._lines.append(f"{indent}while True:")
        self._assign(condition.inputs, outputs, inner)
        (goes_on,) = self._block(condition, inner)
        self._lines.append(f"{inner}if not {goes_on}: break")
        self._assign(body.inputs, outputs, inner)
        self._assign(node.outputs, self._block(body, inner), inner)

    def _assign(self, names: list[str], values: list[str], indent: str) -> None:
        targets = ", ".join(self._variable(name) for name in names)
        if targets:
            self._lines.append(f"{indent}{targets} = {', '.join(values)}")
        elif not values:
            self._lines.append(f"{indent}pass")


#: Operations whose functions give a list even of one result.
_LISTS = frozenset({"split", "topk"})


def _drops(graph: Graph) -> dict[int, list[str]]:
    """The names that nobody uses behind a node, by its index."""
    kept = {name for name in graph.outputs if isinstance(name, str)} | set(graph.inputs)
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        last.update(dict.fromkeys((*node.outputs, *node.names()), index))
    drops: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in kept:
            drops.setdefault(index, []).append(name)
    return drops
