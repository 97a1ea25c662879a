"""What a chat template may spend: steps, memory and output, counted while it renders.

A template is foreign code. The sandbox keeps it from reaching anything but its values; a :class:`Budget` keeps it from running for
ever and from filling the memory. The compiled template charges it

- a few steps for each turn of a loop and each call of a macro, by the size of what is repeated;
- for each value made from others (``+``, ``~``, ``*``, ``%``, slices, filters, methods), before it is made where it can be much
  larger than what it is made of;
- for each traversal (comparison, hash, JSON, text of a list) by the *expanded* size: ``[x, x]`` thirty times over is a small value
  whose text would have 2^30 parts.

Memory is what was made in total, so it also bounds what can be kept. One step takes around a microsecond at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from types import GeneratorType, MappingProxyType
from typing import Any, NoReturn

from jinja2.runtime import Undefined
from jinja2.utils import Namespace
from markupsafe import Markup, escape

from russet.errors import TemplateLimitError

#: Steps of one rendering.
MAX_STEPS = 1_000_000
#: Characters of one rendering, and of any one value on the way.
MAX_OUTPUT = 16 << 20
#: Bytes of all values made while rendering, as a multiple of the characters of output.
MEMORY_PER_OUTPUT = 8
#: Calls of macros, blocks and recursive loops inside each other: about what Python's own limit allows.
MAX_CALL_DEPTH = 200
#: Lists in lists: Python hashes nested tuples on the C stack, without a check.
MAX_NESTING = 200
#: Whole numbers stay below this in magnitude, so that arithmetic takes constant time.
INTEGER_BITS = 16384
INTEGER_LIMIT = 1 << INTEGER_BITS

#: Filters that give their items one by one and take from another that does, in one rendering. Python runs such chains, and takes
#: them apart, on the C stack; after this many the items are put into a list between them.
MAX_CHAINED = 100
#: Python's hashes of whole numbers are the same for all multiples of this.
_HASH_MODULUS = 2**61 - 1
_WORD = 1 << 128
#: Values with fewer nodes are measured again rather than remembered.
_SMALL = 16

#: Values of these types have no parts.
SCALARS = frozenset({str, int, float, bool, type(None), Undefined, complex})
_SHORT = 64
_NUMBERS = frozenset({int, float, bool})
_EMPTY: dict[Any, Any] = {}
_COLLECTIONS: tuple[type[Any], ...] = (list, tuple, set, frozenset, type(_EMPTY.keys()), type(_EMPTY.values()))
_ITEMS: type[Any] = type(_EMPTY.items())
_PRINTF = re.compile(r"%(?:\([^()]*\))?([^a-zA-Z%(]*)[a-zA-Z%]")
_NESTED_KEY = re.compile(r"%\([^()]*\(")
_DIGITS = re.compile(r"\d+")

_Weight = tuple[int, int]

#: The budget of the rendering that runs in this thread, for the parts of Jinja that are given no context.
current: ContextVar[Budget] = ContextVar("russet_template_budget")


class Budget:
    """The counters of one rendering. Every method that charges raises :class:`russet.TemplateLimitError` when nothing is left."""

    __slots__ = (
        "call_depth",
        "chained",
        "kept",
        "max_output",
        "max_steps",
        "memory",
        "position",
        "spans",
        "steps",
        "trees",
        "weights",
    )

    def __init__(self, max_steps: int, max_output: int, trees: set[int]) -> None:
        self.max_steps, self.max_output = max_steps, max_output
        self.steps = max_steps
        self.memory = max_output * MEMORY_PER_OUTPUT
        self.call_depth = 0
        self.chained = 0
        #: The ids of lists and dicts that the caller gave. They are trees, so their text is as long as they are large.
        self.trees = trees
        #: Nodes and characters of what was measured, by id; `kept` keeps the ids from being used again.
        self.weights: dict[int, _Weight] = {}
        self.kept: list[Any] = []
        #: Characters of output so far, and where assistants speak; None where nobody asked.
        self.position = 0
        self.spans: list[tuple[int, int]] | None = None

    # Charging

    def tick(self, cost: int) -> bool:
        """Takes steps. True, so that it can stand in a condition."""
        self.steps -= cost
        if self.steps < 0:
            self.out_of_steps()
        return True

    def out_of_steps(self) -> NoReturn:
        raise TemplateLimitError(
            f"the chat template took more than {self.max_steps} steps", value=self.max_steps + 1, limit=self.max_steps
        )

    def reserve(self, size: int) -> None:
        """Takes memory for one value of `size` bytes or characters that is about to be made."""
        if size > self.max_output:
            raise TemplateLimitError(
                f"the chat template makes a value of {short(size)} characters; the limit is {self.max_output}",
                value=size,
                limit=self.max_output,
            )
        self.take_memory(size)

    def take_memory(self, size: int) -> None:
        self.memory -= size
        self.steps -= size >> 8
        if self.memory < 0:
            limit = self.max_output * MEMORY_PER_OUTPUT
            raise TemplateLimitError(
                f"the chat template made values of more than {limit} bytes", value=limit - self.memory, limit=limit
            )
        if self.steps < 0:
            self.out_of_steps()

    def made(self, value: Any) -> Any:
        """`value`, which was just made from others, after its memory was taken."""
        if isinstance(value, str):
            if len(value) > _SHORT:
                self.reserve(len(value) if value.isascii() else 4 * len(value))
            else:
                self.memory -= 64
        elif isinstance(value, (list, tuple, dict, set, frozenset)):
            self.take_memory(64 + 72 * len(value))
        elif isinstance(value, int):
            self.check_integer(value)
        elif isinstance(value, bytes):
            self.reserve(len(value))
        elif type(value) is GeneratorType:
            self.take_memory(512)
            return self.counted(value)
        return value

    def check_integer(self, value: int) -> None:
        if -_WORD < value < _WORD:
            return
        self.take_memory(32 + (value.bit_length() >> 3))
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise TemplateLimitError(
                f"the chat template computes a number of {value.bit_length()} bits",
                value=value.bit_length(),
                limit=INTEGER_BITS,
            )

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """`values`, each of which takes a step and room in a list when it is drawn."""
        for value in values:
            self.steps -= 1
            self.memory -= 72
            if self.steps < 0 or self.memory < 0:
                self.take_memory(0)
            yield value

    # Measuring

    def measure(self, value: Any) -> _Weight:
        """How many nodes and characters `value` has, what is in it twice counted twice. Charges for a traversal."""
        nodes, size = self._weigh(value, 0)[0]
        self.tick((nodes >> 4) + (size >> 10))
        return nodes, size

    def _weigh(self, value: Any, depth: int) -> tuple[_Weight, bool]:
        """The weight, and whether it stays: a namespace can change."""
        if isinstance(value, str):
            return (1, len(value)), True
        kind = type(value)
        if kind is int:
            return (1, 1 + value.bit_length() // 3), True
        if kind in SCALARS:
            return (1, 24), True
        found = self.weights.get(id(value))
        if found is not None:
            return found, True
        children: Iterable[Any] = value
        stays = True
        if isinstance(value, _COLLECTIONS):
            pass
        elif isinstance(value, (dict, MappingProxyType)):
            children = (part for pair in value.items() for part in pair)
        elif isinstance(value, _ITEMS):
            children = (part for pair in value for part in pair)
        elif isinstance(value, Namespace):
            children, stays = object.__getattribute__(value, "_Namespace__attrs").values(), False
        elif kind is range:
            return (len(value), 8 * len(value)), True
        elif isinstance(value, bytes):
            return (1, 4 * len(value)), True
        else:
            return (1, 64), True
        if depth > MAX_NESTING:
            raise TemplateLimitError(f"the chat template nests values deeper than {MAX_NESTING}", value=depth, limit=MAX_NESTING)
        nodes, size = 1, 2
        for child in children:
            self.tick(1)
            (child_nodes, child_size), child_stays = self._weigh(child, depth + 1)
            nodes += child_nodes
            size += child_size + 4
            stays = stays and child_stays
        if stays and nodes > _SMALL:
            self.weights[id(value)] = nodes, size
            self.kept.append(value)
        return (nodes, size), stays

    def operand(self, value: Any) -> Any:
        """`value`, charged for a comparison or a hash."""
        if type(value) is str:
            if len(value) > _SHORT:
                self.tick(len(value) >> 5)
        elif type(value) not in SCALARS:
            self.measure(value)
        return value

    def items(self, value: Any) -> Any:
        """`value`, charged for a search among its items."""
        return self.operand(list(value) if type(value) is GeneratorType else value)

    def key(self, value: Any) -> Any:
        """`value`, charged for a hash."""
        if type(value) not in SCALARS:
            self.measure(value)
        return value

    def keys(self, values: Any) -> None:
        """Charges for a set or a dict of `values`: whole numbers can be chosen so that all have one hash."""
        if isinstance(values, range):
            large = len(values) if max(abs(values.start), abs(values.stop)) >= _HASH_MODULUS else 0
        elif isinstance(values, (list, tuple)):
            large = 0
            for value in values:
                first = value[0] if isinstance(value, (list, tuple)) and value else value
                if type(first) is int and not -_HASH_MODULUS < first < _HASH_MODULUS:
                    large += 1
            self.tick(len(values) >> 4)
        else:
            return
        self.tick(large * large >> 4)

    def room_for_names(self, names: dict[str, Any]) -> None:
        """Charges for ``**names`` in a call, which copies them."""
        self.take_memory(104 * len(names))

    # Text

    def before_text(self, value: Any) -> None:
        """Charges for the text of `value`, which is not a string, before it is written."""
        if type(value) not in SCALARS:
            nodes, size = self.measure(value)
            self.tick((nodes >> 1) + (size >> 6))
            self.reserve(size + 4 * nodes)

    def text(self, value: Any) -> str:
        """``str(value)``."""
        if type(value) is str:
            return value
        self.before_text(value)
        written = str(value)
        self.made(written)
        return written

    def escaped(self, value: Any) -> Markup:
        """``escape(value)``: at most five times as long."""
        self.before_text(value)
        if isinstance(value, str) and len(value) > _SHORT:
            self.reserve(5 * len(value))
        return escape(value)

    def concat(self, pieces: Iterable[str]) -> str:
        """The pieces of a macro, a block or a filtered section in one text."""
        if type(pieces) is not list and type(pieces) is not tuple:
            pieces = list(pieces)
        size = sum(map(len, pieces))
        if size <= _SHORT:
            self.memory -= 64
            return "".join(pieces)
        self.reserve(size)
        joined = "".join(pieces)
        if not joined.isascii():
            self.take_memory(3 * size)
        return joined

    def join(self, values: tuple[Any, ...]) -> str:
        """``a ~ b``."""
        return self.concat([value if type(value) is str else self.text(value) for value in values])

    def join_markup(self, values: tuple[Any, ...]) -> str:
        """``a ~ b`` with automatic escaping: if a part is escaped, all are."""
        if any(hasattr(value, "__html__") for value in values):
            return Markup(self.concat([self.escaped(value) for value in values]))
        return self.join(values)

    # Operators

    def add(self, left: Any, right: Any) -> Any:
        if isinstance(left, str) and isinstance(right, str):
            size = len(left) + len(right)
            if size > _SHORT:
                # Markup escapes what is added to it.
                self.reserve(size if left.isascii() and right.isascii() and type(left) is type(right) else 5 * size)
            else:
                self.memory -= 64
            return left + right
        if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            self.take_memory(64 + 8 * (len(left) + len(right)))
            return left + right  # type: ignore[operator]
        return self._number(left + right)

    def add_all(self, terms: tuple[Any, ...]) -> Any:
        """``a + b + c ...``, mostly of strings."""
        for term in terms:
            if type(term) is not str:
                break
        else:
            return self.concat(terms)
        total = terms[0]
        for term in terms[1:]:
            total = self.add(total, term)
        return total

    def subtract(self, left: Any, right: Any) -> Any:
        if type(left) not in _NUMBERS:
            self.key(left)
            self.key(right)
            self.keys(right)
        return self._number(left - right)

    def multiply(self, left: Any, right: Any) -> Any:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (str, bytes)) and isinstance(times, int):
                wide = 1 if isinstance(sequence, bytes) or sequence.isascii() else 4
                self.reserve(len(sequence) * max(times, 0) * wide)
                return left * right
            if isinstance(sequence, (list, tuple)) and isinstance(times, int):
                self.reserve(64 + 8 * len(sequence) * max(times, 0))
                return left * right
        return self._number(left * right)

    def power(self, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int) and right > 0:
            bits = left.bit_length() * right
            if bits > 2 * INTEGER_BITS:
                raise TemplateLimitError(
                    f"the chat template computes a number of about {short(bits)} bits", value=bits, limit=INTEGER_BITS
                )
        return self._number(left**right)

    def modulo(self, left: Any, right: Any) -> Any:
        if isinstance(left, (str, bytes)):
            self.before_printf(left, right)
            return self.made(left % right)
        return self._number(left % right)

    def _number(self, value: Any) -> Any:
        if type(value) is int:
            self.check_integer(value)
        elif type(value) not in _NUMBERS:
            return self.made(value)
        return value

    def before_printf(self, template: str | bytes, values: Any) -> None:
        """Charges for ``template % values`` by its widths and by what can be put in."""
        self.tick(len(template) >> 2)
        described = template if isinstance(template, str) else template.decode("latin-1")
        nodes, size = self.measure(values)
        size += 8 * nodes
        specifications = [described] if _NESTED_KEY.search(described) else _PRINTF.findall(described)
        numbers = sum(int(digits[:12]) for flags in specifications for digits in _DIGITS.findall(flags))
        if any("*" in flags for flags in specifications):
            widths = values if isinstance(values, tuple) else (values,)
            numbers += sum(abs(value) for value in widths if isinstance(value, int))
        if not isinstance(values, tuple):
            size *= max(1, len(specifications))  # a mapping's values can be named again and again
        self.reserve(len(template) + size + numbers)

    def contains(self, item: Any, container: Any) -> bool:
        """``item in container``."""
        kind = type(container)
        if kind is dict:
            self.key(item)
        elif kind is str:
            if len(container) > _SHORT:
                self.tick(len(container) >> 5)
        elif (kind is list or kind is tuple) and type(item) in SCALARS:
            self.tick(len(container) >> 3)
        else:
            self.operand(item)
            container = self.items(container)
        return item in container

    def cut(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """``value[start:stop:step]``."""
        part = value[start:stop:step]
        if isinstance(part, (list, tuple)):
            self.take_memory(64 + 8 * len(part))
            return part
        return self.made(part)

    def spread(self, values: Iterable[Any]) -> list[Any]:
        """``*values`` in a call."""
        return list(self.counted(values))

    # Calls

    def enter(self) -> None:
        """One call deeper. The caller takes it back from ``call_depth``."""
        self.call_depth += 1
        if self.call_depth > MAX_CALL_DEPTH:
            self.too_deep()

    def too_deep(self) -> NoReturn:
        raise TemplateLimitError(
            f"the chat template calls itself deeper than {MAX_CALL_DEPTH}", value=self.call_depth, limit=MAX_CALL_DEPTH
        )


def short(number: int) -> str:
    """A number for a message; Python does not write very large ones."""
    return str(number) if number.bit_length() < 256 else f"2^{number.bit_length() - 1}"


def concat_blocks(pieces: Iterable[str]) -> str:
    """``environment.concat`` for the parts of Jinja that know no budget: ``self.block()``."""
    return current.get().concat(pieces)
