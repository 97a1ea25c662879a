"""The Python code of a chat template, with every repetition and every value that can grow charged to the budget.

Jinja compiles templates to Python functions. Its optimizer is off: it walks each expression once for each of its parts, which takes
minutes for expressions made for it. This generator writes the same functions, with calls of the render's
:class:`~russet.chat_template.budget.Budget` (``budget``) where Jinja writes plain operators.
What a loop or a macro costs per turn follows from its nodes and is written into the code as a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators

from russet.chat_template.budget import INTEGER_LIMIT

#: Nodes that one step pays for, at some 50 ns and 8 bytes each.
NODES_PER_STEP = 16
#: What takes longer, or makes a value that can be kept, in nodes.
WEIGHTS: dict[type[nodes.Node], int] = {
    nodes.CallBlock: 48,
    nodes.Concat: 16,
    nodes.Dict: 32,
    nodes.Getattr: 12,
    nodes.Getitem: 12,
    nodes.List: 16,
    nodes.Macro: 48,
    nodes.Tuple: 16,
}
_SCALAR_CONSTANTS = (str, int, float, bool, type(None))


def internal_name(code: str, lineno: int) -> nodes.InternalName:
    """An expression that is written as it stands. Jinja reserves the constructor for its parser."""
    name = object.__new__(nodes.InternalName)
    nodes.Node.__init__(name, code, lineno=lineno)
    return name


def cost(body: Iterable[nodes.Node]) -> int:
    """The steps of one run through `body`, without the loops and macros in it, which are charged themselves."""
    weight = 0
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        weight += WEIGHTS.get(type(node), 1)
        if isinstance(node, (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)):
            if isinstance(node, nodes.For):
                waiting += [node.iter, *node.else_]
            continue
        if isinstance(node, nodes.Output):
            weight += NODES_PER_STEP * sum(not isinstance(child, nodes.TemplateData) for child in node.nodes)
        waiting += node.iter_child_nodes()
    return 1 + weight // NODES_PER_STEP


class BudgetedCodeGenerator(CodeGenerator):
    """Jinja's generator with charges."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What a run through a list of nodes costs, by the list's id.
        self._costs: dict[int, int] = {}

    def write_commons(self) -> None:
        super().write_commons()
        self.writeline("budget = context.budget")
        self.writeline("concat = budget.concat")

    # Repetitions

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        self._costs[id(node.body)] = cost(node.body)
        for block in node.find_all(nodes.Block):
            self._costs[id(block.body)] = cost(block.body)
        super().visit_Template(node, frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        self._costs[id(node.body)] = cost(node.body)
        if node.test is not None:
            steps = cost([node.test])
            node.test = nodes.And(internal_name(f"budget.tick({steps})", node.lineno), node.test, lineno=node.lineno)
        super().visit_For(node, frame)

    def visit_Macro(self, node: nodes.Macro, frame: Frame) -> None:
        self._costs[id(node.body)] = cost(node.body)
        super().visit_Macro(node, frame)

    def visit_CallBlock(self, node: nodes.CallBlock, frame: Frame) -> None:
        self._costs[id(node.body)] = cost(node.body)
        super().visit_CallBlock(node, frame)

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        steps = self._costs.get(id(nodes))
        if steps is not None:
            self.writeline(f"budget.steps -= {steps}")
            self.writeline("if budget.steps < 0: budget.out_of_steps()")
        super().blockvisit(nodes, frame)

    # Values that grow

    def _binary(self, name: str, node: nodes.BinExpr, frame: Frame) -> None:
        self.write(f"budget.{name}(")
        self.visit(node.left, frame)
        self.write(", ")
        self.visit(node.right, frame)
        self.write(")")

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:
        terms = [node.right]
        rest = node.left
        while isinstance(rest, nodes.Add):
            terms.append(rest.right)
            rest = rest.left
        if len(terms) == 1:
            self._binary("add", node, frame)
            return
        self.write("budget.add_all((")
        for term in (rest, *reversed(terms)):
            self.visit(term, frame)
            self.write(", ")
        self.write("))")

    def visit_Sub(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._binary("subtract", node, frame)

    def visit_Mul(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._binary("multiply", node, frame)

    def visit_Pow(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._binary("power", node, frame)

    def visit_Mod(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._binary("modulo", node, frame)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile:
            self.write("(budget.escaped if context.eval_ctx.autoescape else budget.text)(")
        else:
            self.write("budget.escaped(" if frame.eval_ctx.autoescape else "budget.text(")

    def signature(
        self, node: nodes.Call | nodes.Filter | nodes.Test, frame: Frame, extra_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        if node.dyn_args is not None:
            node = copy(node)
            node.dyn_args = nodes.Call(
                internal_name("budget.spread", node.lineno), [node.dyn_args], [], None, None, lineno=node.lineno
            )
        super().signature(node, frame, extra_kwargs)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        if frame.eval_ctx.volatile:
            self.write("(budget.join_markup if context.eval_ctx.volatile else budget.join)((")
        else:
            self.write("budget.join_markup((" if frame.eval_ctx.autoescape else "budget.join((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:
        if type(node.value) is int and not -INTEGER_LIMIT < node.value < INTEGER_LIMIT:
            self.fail("a number with too many digits", node.lineno)
        super().visit_Const(node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("{")
        for pair in node.items:
            self._charged("key", pair.key, frame)
            self.write(": ")
            self.visit(pair.value, frame)
            self.write(", ")
        self.write("}")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):
            self.write("budget.cut(")
            self.visit(node.node, frame)
            for bound in (node.arg.start, node.arg.stop, node.arg.step):
                self.write(", ")
                if bound is None:
                    self.write("None")
                else:
                    self.visit(bound, frame)
            self.write(")")
            return
        self.write("environment.getitem(")
        self.visit(node.node, frame)
        self.write(", ")
        self._charged("key", node.arg, frame)
        self.write(")")

    def _charged(self, name: str, node: nodes.Expr, frame: Frame, *, free: bool = False) -> None:
        if free or isinstance(node, nodes.Const):
            self.visit(node, frame)
        else:
            self.write(f"budget.{name}(")
            self.visit(node, frame)
            self.write(")")

    # Values that are traversed

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        first, *others = node.ops
        if not others and first.op in ("in", "notin") and _is_list_of_scalars(first.expr):
            # Each comparison ends at once, so that nothing need be charged.
            self.write("(")
            self.visit(node.expr, frame)
            self.write(f" {operators[first.op]} ")
            self.visit(first.expr, frame)
            self.write(")")
            return
        if not others and first.op in ("in", "notin"):
            self.write("budget.contains(" if first.op == "in" else "(not budget.contains(")
            self.visit(node.expr, frame)
            self.write(", ")
            self.visit(first.expr, frame)
            self.write(")" if first.op == "in" else "))")
            return
        # A comparison with a short value ends at the first difference.
        free = not others and (_is_scalar(node.expr) or _is_scalar(first.expr))
        self.write("(")
        self._charged("operand", node.expr, frame, free=free)
        for operation in node.ops:
            self.write(f" {operators[operation.op]} ")
            self._charged("items" if operation.op in ("in", "notin") else "operand", operation.expr, frame, free=free)
        self.write(")")


def _is_list_of_scalars(node: nodes.Expr) -> bool:
    return isinstance(node, (nodes.List, nodes.Tuple)) and len(node.items) <= 64 and all(map(_is_scalar, node.items))


def _is_scalar(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, _SCALAR_CONSTANTS)
