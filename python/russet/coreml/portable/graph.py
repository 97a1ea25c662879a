"""A function's block as a graph of nodes: constants found, arguments by parameter, names that are given once.

Nothing is computed here but constants. What comes out is plain enough to look through for patterns (``fusion``), for states that
can be updated in place (``states``) and for values that can be dropped (``compiler``).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from russet.coreml.portable.compression import DECOMPRESSIONS
from russet.coreml.portable.constants import Constant, Stored, runtime_dtype
from russet.coreml.portable.operations import LAYOUTS, OPERATIONS
from russet.coreml.portable.operations.registry import check_size
from russet.coreml.portable.weights import elements
from russet.coreml.program import Blob, Block, Operation, Tensor, ValueType
from russet.errors import PackageError, RussetError, UnsupportedModelError, UnsupportedOperationError

#: Results of operations on constants with more elements than this are computed when they are needed.
_GREATEST_FOLDED = 1 << 16
#: Operations that run blocks, or touch states.
CONTROL = frozenset({"cond", "while_loop", "read_state", "write_state"})


@dataclass
class Text:
    """A constant text, or a list of texts."""

    value: str | list[str]


#: What an argument is: a name that the program computes, a constant, or a list of such.
Argument = Any


@dataclass
class Node:
    """An operation that runs when the program does."""

    kind: str
    #: By parameter: a name (``str``), a :class:`Constant`, a :class:`Text`, or a list of names and constants.
    inputs: dict[str, Argument]
    outputs: list[str]
    types: list[ValueType]
    blocks: list[Graph] = field(default_factory=list)
    #: Computes the outputs from the named inputs, in order, if another pass has chosen how.
    function: Callable[..., Any] | None = None
    #: Whether the function takes arrays of float16 (states) as they are.
    takes_halves: bool = False

    @property
    def is_layout(self) -> bool:
        """Whether its results may share memory with its argument ``x``."""
        return self.kind in LAYOUTS

    def names(self) -> Iterator[str]:
        """The names that it uses, those within its blocks included."""
        for argument in self.inputs.values():
            for part in argument if isinstance(argument, list) else (argument,):
                if isinstance(part, str):
                    yield part
        for block in self.blocks:
            given = set(block.inputs)
            for node in block.nodes:
                yield from (name for name in node.names() if name not in given)
                given.update(node.outputs)
            yield from (name for name in block.outputs if isinstance(name, str) and name not in given)


@dataclass
class Graph:
    """Nodes in order. Outputs are names or constants."""

    inputs: list[str]
    outputs: list[Argument]
    nodes: list[Node]


class Reader:
    """Turns blocks into graphs. Blocks within blocks see the names around them.

    With ``round_fp16``, constants of float16 that are computed here are rounded, as their operations' results would be.
    """

    def __init__(self, read_blob: Callable[[Blob], Any], round_fp16: bool = False) -> None:
        self._read_blob = read_blob
        self._round_fp16 = round_fp16
        #: The constants met, by name.
        self.constants: dict[str, Constant | Text] = {}
        #: The types of all names that are computed.
        self.types: dict[str, ValueType] = {}
        #: What names mean, block by block from the outermost: blocks side by side may give the same names.
        self._scopes: list[dict[str, str]] = []

    def graph(self, block: Block, inputs: list[tuple[str, ValueType]] | None = None) -> Graph:
        """The graph of a block.

        Raises:
            PackageError: if a name is used that is not given before, or is given twice, or a constant is damaged.
            UnsupportedOperationError: if there is no such operation here.
        """
        self._scopes.append({})
        given = [self._enter(name, of_type) for name, of_type in (block.inputs if inputs is None else inputs)]
        nodes = [node for operation in block.operations if (node := self._node(operation)) is not None]
        outputs = [self._resolve(name, "an output") for name in block.outputs]
        self._scopes.pop()
        return Graph(given, outputs, nodes)

    def _own(self, name: str) -> str:
        """A name of its own for what the block at hand calls so."""
        if name in self._scopes[-1]:
            raise PackageError(f"the name {name!r} is given twice")
        own, count = name, len(self.types) + len(self.constants)
        while own in self.types or own in self.constants:
            own, count = f"{name}#{count}", count + 1
        self._scopes[-1][name] = own
        return own

    def _enter(self, name: str, of_type: ValueType) -> str:
        if of_type.kind in ("tensor", "state") and -1 not in of_type.shape:
            check_size(list(of_type.shape))
        own = self._own(name)
        self.types[own] = of_type
        return own

    def _resolve(self, name: str, place: str) -> Argument:
        own = next((scope[name] for scope in reversed(self._scopes) if name in scope), None)
        if own is None:
            raise PackageError(f"{place}: the name {name!r} is not given before it is used")
        return self.constants.get(own, own)

    def _value(self, value: Any, place: str) -> Constant | Text:
        if isinstance(value, Tensor):
            if isinstance(value.elements, list):
                return Text(value.elements[0] if value.shape == () and value.elements else value.elements)
            return Stored(elements(value), value.dtype, value.shape)
        if isinstance(value, Blob):
            if value.dtype in ("string", "bool"):
                raise PackageError(f"{place}: {value.dtype} cannot lie in a file of weights")
            return Stored(self._read_blob(value), value.dtype, value.shape)
        raise PackageError(f"{place}: lists and dictionaries are not supported here")

    def _node(self, operation: Operation) -> Node | None:
        kind = operation.kind
        place = f"{kind} {operation.outputs[0][0]!r}" if operation.outputs else kind
        if kind == "const":
            self._constant(operation, place)
            return None
        inputs = {name: self._argument(bindings, f"{place}.{name}") for name, bindings in operation.inputs.items()}
        if kind in DECOMPRESSIONS:
            self._decompressed(operation, inputs, place)
            return None
        if kind not in OPERATIONS and kind not in CONTROL:
            message = f"{place}: the portable runtime does not have the operation {kind!r}"
            raise UnsupportedOperationError(message, operation=kind)
        _check_arguments(kind, inputs, place)
        blocks = [self.graph(block) for block in operation.blocks]
        node = Node(kind, inputs, [name for name, _ in operation.outputs], [of_type for _, of_type in operation.outputs], blocks)
        self._check_states(node, place)
        if kind in ("cond", "while_loop"):
            _check_blocks(node, place)
        if kind not in CONTROL and not any(True for _ in node.names()) and self._folded(node, place):
            return None
        node.outputs = [self._enter(name, of_type) for name, of_type in operation.outputs]
        return node

    def _check_states(self, node: Node, place: str) -> None:
        """A state is read and written as a whole, and is no tensor."""
        for parameter, argument in node.inputs.items():
            for part in argument if isinstance(argument, list) else (argument,):
                is_state = isinstance(part, str) and self.types[part].kind == "state"
                if is_state != (node.kind in ("read_state", "write_state") and parameter == "input"):
                    raise PackageError(f"{place}.{parameter}: {'a state' if is_state else 'no state'} is given")
        if any(of_type.kind != "tensor" for of_type in node.types):
            raise UnsupportedModelError(f"{place}: it gives something else than tensors, which is not supported")

    def _argument(self, bindings: list[Any], place: str) -> Argument:
        found = [self._resolve(part, place) if isinstance(part, str) else self._value(part, place) for part in bindings]
        if not found:
            raise PackageError(f"{place}: the argument is empty")
        # A list of one tensor is written like that tensor; operations that take lists know.
        return found[0] if len(found) == 1 else found

    def _constant(self, operation: Operation, place: str) -> None:
        value = operation.attributes.get("val", operation.inputs.get("val"))
        if value is None or len(operation.outputs) != 1:
            raise PackageError(f"{place}: a constant without a value")
        self._name_constant(operation.outputs[0], self._value(value, place), place)

    def _name_constant(self, output: tuple[str, ValueType], value: Constant | Text, place: str) -> None:
        name, of_type = output
        if isinstance(value, Constant) and (of_type.kind != "tensor" or of_type.shape != value.shape):
            raise PackageError(f"{place}: the value has the shape {list(value.shape)}, and its type says {list(of_type.shape)}")
        self.constants[self._own(name)] = value

    def _decompressed(self, operation: Operation, inputs: Mapping[str, Argument], place: str) -> None:
        parameters: dict[str, Constant] = {}
        attributes = {name: self._value(value, place) for name, value in operation.attributes.items() if name != "name"}
        for name, value in {**attributes, **inputs}.items():
            if isinstance(value, Constant):
                parameters[name] = value
            elif not isinstance(value, Text):
                raise PackageError(f"{place}.{name}: it has to be a constant")
        try:
            found = DECOMPRESSIONS[operation.kind](parameters)
        except KeyError as error:
            raise PackageError(f"{place}: the argument {error} is missing") from None
        if len(found) != len(operation.outputs):
            raise PackageError(f"{place}: it gives {len(found)} constants, and the program takes {len(operation.outputs)}")
        for output, value in zip(operation.outputs, found, strict=True):
            self._name_constant(output, value, place)

    def _folded(self, node: Node, place: str) -> bool:
        """Computes a node of constants, if what it gives is small."""
        if any(of_type.kind != "tensor" or -1 in of_type.shape for of_type in node.types):
            return False
        if sum(math.prod(of_type.shape) for of_type in node.types) > _GREATEST_FOLDED:
            return False
        function, _ = call(node)
        try:
            with np.errstate(all="ignore"):
                found = function()
        except RussetError:
            raise
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            raise PackageError(f"{place}: {error}") from error
        results = list(found) if isinstance(found, list) else [found]
        if len(results) != len(node.outputs):
            raise PackageError(f"{place}: it gives {len(results)} tensors, and the program takes {len(node.outputs)}")
        for name, of_type, result in zip(node.outputs, node.types, results, strict=True):
            array = np.asarray(result)
            if self._round_fp16 and of_type.dtype == "float16":
                with np.errstate(over="ignore"):
                    array = array.astype(np.float16)
            value = Stored(array.astype(runtime_dtype(of_type.dtype or "float32"), copy=False), str(of_type.dtype), array.shape)
            self._name_constant((name, of_type), value, place)
        return True


def _check_arguments(kind: str, inputs: Mapping[str, Argument], place: str) -> None:
    """Raises if an operation does not take these parameters, or does not do without others."""
    taken = _PARAMETERS.get(kind) or _parameters(OPERATIONS[kind])
    missing = [name for name, is_needed in taken.items() if is_needed and name not in inputs]
    unknown = [name for name in inputs if name not in taken and name != "name"]
    if missing or unknown:
        what = f"the argument {missing[0]!r} is missing" if missing else f"there is no parameter {unknown[0]!r}"
        raise PackageError(f"{place}: {what}")
    for name, argument in inputs.items():
        parts = argument if isinstance(argument, list) else [argument]
        is_list = name in _LISTS or (kind, name) == ("while_loop", "loop_vars")
        if not is_list and isinstance(argument, list) and any(isinstance(part, str) for part in parts):
            raise PackageError(f"{place}.{name}: a list of tensors where one is taken")
        are_texts = [isinstance(part, Text) and isinstance(part.value, str) for part in parts]
        if any(is_text != (name in _TEXTS) for is_text in are_texts) or (name in _TEXTS and len(parts) > 1):
            raise PackageError(f"{place}.{name}: {'no text' if name in _TEXTS else 'a text'} is given")


#: Parameters that are texts.
_TEXTS = frozenset(
    {"dtype", "equation", "interpolation_mode", "mode", "output_dtype", "output_indices_dtype", "pad_type", "sampling_mode"}
)
#: The parameters of operations that are no functions, and whether they are needed.
_PARAMETERS: Mapping[str, Mapping[str, bool]] = {
    "cond": {"pred": True},
    "while_loop": {"loop_vars": True},
    "read_state": {"input": True},
    "write_state": {"input": True, "data": True},
}


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, bool]:
    """The parameters of a function, and whether they are needed."""
    if isinstance(function, np.ufunc):
        return dict.fromkeys(("x", "y")[: function.nin], True)
    return {name: it.default is it.empty for name, it in inspect.signature(function).parameters.items()}


def _check_blocks(node: Node, place: str) -> None:
    """A branch gives what the node gives; a loop's condition and body take it, and the body gives it too."""
    outputs, blocks = len(node.outputs), node.blocks
    fits = len(blocks) == 2
    if fits and node.kind == "cond":
        fits = all((len(block.inputs), len(block.outputs)) == (0, outputs) for block in blocks)
    elif fits:
        given = node.inputs["loop_vars"]
        condition, body = blocks
        fits = (len(condition.inputs), len(condition.outputs)) == (outputs, 1)
        fits = fits and (len(body.inputs), len(body.outputs)) == (outputs, outputs)
        fits = fits and (len(given) if isinstance(given, list) else 1) == outputs
    if not fits:
        raise PackageError(f"{place}: its blocks do not take and give what it does")


def native(value: Constant | Text | list[Constant] | str) -> Any:
    """A constant as Python's own numbers, lists and texts.

    Raises:
        PackageError: if it is a name, which is not known before the program runs.
    """
    if isinstance(value, str):
        raise PackageError(f"{value!r} is given where a constant is needed")
    if isinstance(value, list):
        return [native(part) for part in value]
    return value.value if isinstance(value, Text) else value.array().tolist()


#: Parameters that are arrays; others are numbers, lists and texts of Python's if they are constant.
_ARRAYS = frozenset(
    {
        "a", "attn_mask", "b", "beta", "bias", "cond", "data", "gamma", "indices", "input", "key", "mean", "query", "ref_tensor",
        "ref_tensors", "update", "updates", "value", "values", "variance", "weight", "x", "y",
    }
)  # fmt: skip
#: Operations whose parameter of the same name is a number all the same.
_NUMBERS = {("fill", "value"), ("fill_like", "value"), ("elu", "beta"), ("clip", "beta"), ("clamped_relu", "beta"),
            ("linear_activation", "beta"), ("scaled_tanh", "beta"), ("sigmoid_hard", "beta"), ("local_response_norm", "beta"),
            ("softplus_parametric", "beta")}  # fmt: skip
#: Parameters that are lists of tensors.
_LISTS = frozenset({"values", "ref_tensors"})


def call(node: Node, instead: Callable[..., Any] | None = None) -> tuple[Callable[..., Any], list[str]]:
    """The function of a node (or another one with the same parameters) and the names that it takes, in order.

    Raises:
        PackageError: if the operation does not take these arguments.
    """
    if node.function is not None:
        return node.function, list(node.names())
    function = instead or OPERATIONS[node.kind]
    constants: dict[str, Any] = {}
    dynamic: list[tuple[str, int | None]] = []
    names: list[str] = []
    for parameter, argument in node.inputs.items():
        if parameter in _LISTS:
            parts = argument if isinstance(argument, list) else [argument]
            constants[parameter] = [None if isinstance(part, str) else part.array() for part in parts]
            for index, part in enumerate(parts):
                if isinstance(part, str):
                    dynamic.append((parameter, index))
                    names.append(part)
        elif isinstance(argument, str):
            dynamic.append((parameter, None))
            names.append(argument)
        elif parameter in _ARRAYS and (node.kind, parameter) not in _NUMBERS and isinstance(argument, Constant):
            array = argument.array()
            constants[parameter] = array[()] if array.shape == () else array
        elif parameter not in ("name",):
            constants[parameter] = native(argument)
    return _bind(function, constants, dynamic), names


def _bind(function: Callable[..., Any], constants: dict[str, Any], dynamic: list[tuple[str, int | None]]) -> Callable[..., Any]:
    """A function of the dynamic arguments alone."""
    if isinstance(function, np.ufunc):
        order = ("x", "y")[: function.nin]
        if [parameter for parameter, _ in dynamic] == list(order):
            return function
        if order == ("x", "y") and dynamic == [("x", None)]:
            second = constants["y"]
            return lambda x: function(x, second)
        if order == ("x", "y") and dynamic == [("y", None)]:
            first = constants["x"]
            return lambda y: function(first, y)
        values = constants
        return lambda *given: function(*({**values, **{p: g for (p, _), g in zip(dynamic, given, strict=True)}}[n] for n in order))
    if all(index is None for _, index in dynamic):
        parameters = [parameter for parameter, _ in dynamic]
        if parameters == list(inspect.signature(function).parameters)[: len(parameters)]:
            return partial(function, **constants) if constants else function
        return lambda *given: function(**dict(zip(parameters, given, strict=True)), **constants)

    def with_lists(*given: Any) -> Any:
        arguments = {parameter: list(value) if parameter in _LISTS else value for parameter, value in constants.items()}
        for (parameter, index), value in zip(dynamic, given, strict=True):
            if index is None:
                arguments[parameter] = value
            else:
                arguments[parameter][index] = value
        return function(**arguments)

    return with_lists
