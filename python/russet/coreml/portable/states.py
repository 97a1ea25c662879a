"""Which updates of states can be made in place.

A program reads a state, makes a changed copy and writes that back; the array is megabytes, and a token changes a few hundred bytes
of it. The copy is left out where nobody can tell: the value before the change is not used after it, and what was changed is
written to the state before the state is read again.

``read_state`` gives the state's own array. A name *shows* a state while it may share that memory: what ``read_state`` gives,
views of it, and the results of updates in place. When the state changes, names that show it must not be used any more; a
``read_state`` whose name is used all the same becomes a copy, and the analysis starts again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from russet.coreml.portable.graph import Graph
from russet.errors import UnsupportedModelError


@dataclass
class InPlace:
    """What the analysis found, by index of a node in the graph."""

    #: Nodes ``read_state`` that have to copy.
    copies: set[int] = field(default_factory=set)
    #: Nodes ``slice_update`` that may change their argument.
    updates: set[int] = field(default_factory=set)
    #: Names that may share memory with a state at the end.
    shown: set[str] = field(default_factory=set)


def analyse(graph: Graph) -> InPlace:
    """Finds the updates in place. O(nodes) for each read that has to copy.

    Raises:
        UnsupportedModelError: if a state is touched within a branch or a loop.
    """
    for node in graph.nodes:
        for block in node.blocks:
            _refuse_states(block)
    last_use = _last_uses(graph)
    found = InPlace()
    while (late := _pass(graph, last_use, found)) is not None:
        found = InPlace(found.copies | {late})
    return found


def _refuse_states(graph: Graph) -> None:
    for node in graph.nodes:
        if node.kind in ("read_state", "write_state"):
            raise UnsupportedModelError("a state is used within a branch or a loop, which is not supported")
        for block in node.blocks:
            _refuse_states(block)


def _last_uses(graph: Graph) -> dict[str, int]:
    found = {name: index for index, node in enumerate(graph.nodes) for name in node.names()}
    return found | {name: len(graph.nodes) for name in graph.outputs if isinstance(name, str)}


@dataclass
class _Shown:
    """A name that shows a state."""

    state: str
    #: The node ``read_state`` that it comes from.
    read: int
    #: Whether it is the whole array, not a view of a part.
    is_whole: bool


def _pass(graph: Graph, last_use: dict[str, int], found: InPlace) -> int | None:
    """Walks once over the nodes. Returns a read that has to copy, if one turns up."""
    shown: dict[str, _Shown] = {}
    found.updates.clear()

    def late(state: str, index: int) -> int | None:
        """A read of the state that is still used behind the node at ``index``, which changes it."""
        used = (it.read for name, it in shown.items() if it.state == state and last_use.get(name, -1) > index)
        return next(used, None)

    for index, node in enumerate(graph.nodes):
        if node.kind == "read_state":
            if index not in found.copies:
                shown[node.outputs[0]] = _Shown(node.inputs["input"], index, True)
            continue
        if node.kind == "write_state":
            state, data = node.inputs["input"], node.inputs["data"]
            given = shown.get(data) if isinstance(data, str) else None
            if given is not None and given.state == state and given.is_whole:
                continue
            if (read := late(state, index)) is not None:
                return read
            for name in [name for name, it in shown.items() if it.state == state]:
                del shown[name]
            continue
        source = node.inputs.get("x")
        first = shown.get(source) if isinstance(source, str) else None
        if first is None:
            continue
        if node.is_layout:
            for name in node.outputs:
                shown[name] = _Shown(first.state, first.read, False)
        elif node.kind == "slice_update" and first.is_whole and _is_written(graph, index, first.state):
            if any(it.state == first.state and last_use.get(name, -1) > index for name, it in shown.items()):
                # The old value is used later. A copy of it would be made as well: let the update make its own.
                continue
            for name in [name for name, it in shown.items() if it.state == first.state]:
                del shown[name]
            found.updates.add(index)
            shown[node.outputs[0]] = _Shown(first.state, first.read, True)
    found.shown = set(shown)
    return None


def _is_written(graph: Graph, index: int, state: str) -> bool:
    """Whether the result of the node, or of updates of it, is written to the state before the state is read again."""
    name = graph.nodes[index].outputs[0]
    for node in graph.nodes[index + 1 :]:
        if node.kind == "slice_update" and node.inputs.get("x") == name:
            name = node.outputs[0]
        elif node.kind == "write_state" and node.inputs["input"] == state:
            return bool(node.inputs["data"] == name)
        elif node.kind == "read_state" and node.inputs["input"] == state:
            return False
    return False
