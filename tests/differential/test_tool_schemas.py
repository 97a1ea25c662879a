"""A function becomes the schema that transformers makes of it, and what it refuses is refused."""

# ruff: noqa: UP006, UP007, UP035, UP045 - hints as people write them

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import chat_cases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import russet
from russet.chat_template import get_json_schema

reference = pytest.importorskip("transformers.utils.chat_template_utils", reason="the reference is the package transformers")
pytestmark = pytest.mark.filterwarnings("default")


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 3
    NONE = None


class Nothing(enum.Enum):
    pass


class Objects(enum.Enum):
    LIST = [1]  # noqa: RUF012 - a value that JSON has and a schema has not


class Custom:
    def method(self, x: int) -> str:
        """A method.

        Args:
            x: a number
        """
        return ""

    @classmethod
    def of_class(cls, x: int) -> str:
        """A method of a class.

        Args:
            x: a number
        """
        return ""

    def typed_self(self: Any, x: int) -> None:
        """With a hint on self.

        Args:
            self: me
            x: a number
        """


HINTS: list[Any] = [
    int, float, str, bool, Any, None, type(None), list, tuple, dict, List, Dict, Tuple, list[int], List[str], dict[str, int], Dict[str, List[float]],
    dict[str, Any], tuple[int, str], Tuple[int, Optional[str]], tuple[int], tuple[int, ...], Optional[int], Union[int, str], Union[int, None, str],
    int | None, int | str | float, Union[list, tuple], Union[List[int], str], Optional[List[int]], Literal["a", "b"], Literal[1, "a", None, True],
    Literal[1], Optional[Literal["a"]], Union[Literal["a"], int], Colour, Optional[Colour], List[Colour], Nothing, Objects, Custom, Callable, set, bytes,
    complex, list[list[int]], Union[Colour, str], "int", "Optional[str]", "Unknown", Literal[b"a"], Ellipsis, list[Any], 3, Optional[Any],
]  # fmt: skip

DOCSTRINGS = [
    None,
    "",
    "   ",
    "Does it.",
    "Does it.\n\nArgs:\n    x: the value",
    "Does it.\n\nArgs:\n    x: the value\n    y: another",
    "Does it.\n\nArgs:\n    x: the value\n        over lines\n    that go on\n\n    and on\n",
    "Does it.\n\n    Args:\n        x: the value\n\n    Returns:\n        a thing\n        of parts\n\n    Raises:\n        ValueError: never",
    "Does it.\n\nReturns:\n    x: what\n\nArgs:\n    x: the value",
    "Does it. Args: none\n\nArgs:\n    x: the value",
    "Args:\n    x: the value",
    "Does it.\nArgs:\n  x:\n    the value\n  y: other\n",
    "Does it.\nArgs:\n  x:\n  y: other\n",
    "Does it.\nArgs:\n\tx: tab\n\ty: other\n",
    "Does it.\nArgs:\n  x (int): the value\n",
    "Does it.\nArgs:\n  *x: the value\n  x: the value: with colons: a\n",
    'Does it.\nArgs:\n  x: the value (choices: ["a", " b ", 3])\n',
    'Does it.\nArgs:\n  x: the value (CHOICES: ["a"])   \n',
    "Does it.\nArgs:\n  x: the value (choices: [a])\n",
    'Does it.\nArgs:\n  x: the value (choices: ["a"]) and more\n',
    "Does it.\nArgs: \n  x: the value\n",
    "Does it.\nArgs:\n  x: the value Returns: b\n",
    "Does it.\nArgs:\n  z: not there\n  x: once\n  x: twice\n",
    "Does it.\nArgs:\n  note\n  x: the value\n    y: deeper\n",
    "Does it.\n\nReturns:\n",
    "Does it.\nArgs:\n  x: v\nReturns:\n",
    "Does it.\nArgs:\n  x: v\nReturns: in a line",
    "Does it.\nArgs:\n  x: v\nReturns:\n\n\n  late\n\nRaises:\nx",
    "Grüße\u2003\n\nArgs:\n    x: «ü»\u2028 y",
]  # fmt: skip


def compare(function: Any) -> None:
    expected = chat_cases.outcome(lambda: reference.get_json_schema(function))
    given_ = chat_cases.outcome(lambda: get_json_schema(function))
    if expected[0] == "text":
        assert given_ == expected
        # The order of keys is what a template prints.
        assert str(given_) == str(expected)
    else:
        assert given_[0] == "ArgumentError", (expected, given_)


def with_doc(doc: str | None, hint: Any = int, returned: Any = str) -> Callable[..., Any]:
    def function(x):  # type: ignore[no-untyped-def]
        pass

    function.__doc__ = doc
    function.__annotations__ = {"x": hint, "return": returned}
    return function


@pytest.mark.parametrize("doc", DOCSTRINGS)
def test_docstrings(doc: str | None) -> None:
    compare(with_doc(doc))


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_hints(hint: Any) -> None:
    compare(with_doc("Does it.\n\nArgs:\n    x: the value", hint))
    compare(with_doc("Does it.\n\nArgs:\n    x: the value\n\nReturns:\n    a value", int, hint))


def test_functions() -> None:
    def defaults(a: int, b: str = "", *, c: float = 1.0, d: bool) -> None:
        """Several.

        Args:
            d: D
            c: C
            b: B
            a: A
        """

    def rest(a: int, *args: int, **kwargs: str) -> None:
        """The rest.

        Args:
            a: A
            args: B
            kwargs: C
        """

    def no_hint(a, b: int):  # type: ignore[no-untyped-def]
        """No hint.

        Args:
            a: A
            b: B
        """

    def nothing() -> int:
        """Nothing is taken."""
        return 0

    def self_first(self, x: int) -> None:  # type: ignore[no-untyped-def]
        """Not a method.

        Args:
            x: a number
        """

    functions = [defaults, rest, no_hint, nothing, self_first, chat_cases.get_weather, chat_cases.search]
    for function in [*functions, Custom().method, Custom.method, Custom.of_class, Custom().typed_self]:
        compare(function)


PIECES = st.sampled_from(
    [
        "Args:",
        "Returns:",
        "Raises:",
        "x:",
        "y: b",
        "x: a",
        "text",
        "\n",
        "\n\n",
        "    ",
        "  ",
        "\t",
        " ",
        ":",
        "(choices: [1])",
        'x: "',
        "é",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=24).map("".join))
def test_any_docstring(doc: str) -> None:
    compare(with_doc(doc))


def test_errors_say_what_is_missing() -> None:
    with pytest.raises(russet.ArgumentError, match="function cannot be described as a tool: it has no docstring"):
        get_json_schema(with_doc(None))
    with pytest.raises(russet.ArgumentError, match="does not describe the argument 'x'"):
        get_json_schema(with_doc("Does it."))
