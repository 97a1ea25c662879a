"""What patterns over a graph ask: who gives a name, and who uses it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from russet.coreml.portable.constants import Constant
from russet.coreml.portable.graph import Graph, Node
from russet.coreml.program import ValueType

Array = NDArray[Any]


class View:
    """Who gives a name, and how often it is used."""

    def __init__(self, graph: Graph, types: dict[str, ValueType], threads: int) -> None:
        self.types = types
        self.threads = threads
        self._givers = {name: node for node in graph.nodes for name in node.outputs}
        self._uses: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.names():
                self._uses.setdefault(name, []).append(node)
        self._kept = {name for name in graph.outputs if isinstance(name, str)}

    def giver(self, name: Any, *kinds: str) -> Node | None:
        """The node that gives a name, if it is of one of these kinds and was not changed by another pass."""
        node = self._givers.get(name) if isinstance(name, str) else None
        return node if node is not None and node.kind in kinds and node.function is None else None

    def only_user(self, node: Node, *kinds: str) -> Node | None:
        """The node that alone uses what a node gives, once."""
        (name,) = node.outputs
        users = self._uses.get(name, [])
        return users[0] if len(users) == 1 and name not in self._kept and users[0].kind in kinds else None

    def is_used_once(self, node: Node) -> bool:
        """Whether what a node gives is used in one place alone."""
        return all(len(self._uses.get(name, [])) == 1 and name not in self._kept for name in node.outputs)

    def uncast(self, name: Any) -> Any:
        """The name before casts between float16 and float32, which are the same here."""
        while (node := self.giver(name, "cast")) is not None and self.is_float_cast(node):
            name = node.inputs["x"]
        return name

    def is_float_cast(self, node: Node) -> bool:
        """Whether a cast is between float16 and float32."""
        source = self.types.get(node.inputs["x"]) if isinstance(node.inputs["x"], str) else None
        return source is not None and source.dtype in ("float16", "float32") and node.types[0].dtype in ("float16", "float32")

    def becomes(self, node: Node, kind: str, inputs: dict[str, Any], function: Callable[..., Array]) -> None:
        """Makes a node one that calls a kernel. What lay before it is dropped if nobody else uses it."""
        node.kind, node.inputs, node.function = kind, inputs, function


def other(node: Node, name: Any) -> Any:
    """The other argument of a node with two, or none if neither is ``name``."""
    x, y = node.inputs.get("x"), node.inputs.get("y")
    return y if x == name else x if y == name else None


def pair(node: Node) -> tuple[Any, Any]:
    return node.inputs.get("x"), node.inputs.get("y")


def scalar(value: Any) -> float | None:
    """A constant of one element."""
    return float(value.array().reshape(-1)[0]) if isinstance(value, Constant) and math.prod(value.shape) == 1 else None
