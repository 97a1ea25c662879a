"""What the parts of a tokenizer have in common: each is a view of its saved form.

A view is made from a tokenizer's part or from a pickle. What it can do, it does through a tokenizer that has nothing but this
part, compiled when first needed. Where a field of it is set, its saved form is replaced, and the tokenizer that has this part gets
another one by assignment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, ClassVar, NoReturn, TypeVar, cast

from russet import _core
from russet.tokenizers._scores import with_exact_scores
from russet.tokenizers._strings import missing

_NOTHING = (
    '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,'
    '"post_processor":null,"decoder":null,"model":{"type":"BPE","dropout":null,"unk_token":null,'
    '"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,'
    '"ignore_merges":false,"vocab":{},"merges":[]}}'
)

View = TypeVar("View", bound="Component")


@lru_cache(maxsize=1)
def nothing() -> _core.Tokenizer:
    """A tokenizer without any part."""
    return _core.Tokenizer.from_str(_NOTHING)


class Component:
    """A part of a tokenizer, known by its saved form."""

    #: The key in tokenizer.json.
    _part: ClassVar[str]
    #: The name of the family's base class, in every package.
    _family: ClassVar[str]
    #: The classes of the family by ``type``.
    _classes: ClassVar[dict[str, type[Component]]]

    _saved: str
    _compiled: _core.Tokenizer | None = None
    #: Puts a changed saved form in place of the one before, where the part is kept, and gives it as it is kept there.
    _keep: Callable[[str, str], str] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        missing(f"making {type(self).__module__.rpartition('.')[2]}.{type(self).__name__} in Python")

    @classmethod
    def _view(cls: type[View], saved: str) -> View:
        kind = cast("type[View]", cls._classes[json.loads(saved)["type"]])
        view = object.__new__(kind)
        view._saved = saved
        return view

    @property
    def _core(self) -> _core.Tokenizer:
        if self._compiled is None:
            self._compiled = nothing()._with_part(self._part, self._saved)
        return self._compiled

    def _field(self, name: str) -> Any:
        return json.loads(self._saved)[name]

    def _set_field(self, name: str, value: Any) -> None:
        form = json.loads(self._saved)
        if isinstance(form[name], bool) and not isinstance(value, bool):
            raise TypeError(f"'{type(value).__name__}' object is not an instance of 'bool'")
        form[name] = value
        self._rewrite(dumped(form))

    def _rewrite(self, saved: str) -> None:
        if self._keep is None:
            self._compiled = nothing()._with_part(self._part, saved)
            self._saved = self._compiled._part(self._part, False) or ""
        else:
            self._saved, self._compiled = self._keep(self._saved, saved), None

    def __getstate__(self) -> bytes:
        return self._saved.encode()

    def __setstate__(self, state: bytes) -> None:
        self._saved, self._compiled = state.decode(), None

    def __repr__(self) -> str:
        from russet.tokenizers._repr import long_form

        return long_form(self._saved, self._part)

    def __str__(self) -> str:
        from russet.tokenizers._repr import short_form

        return short_form(self._saved, self._part)

    @staticmethod
    def custom(component: Any) -> Any:
        """A component that is written in Python."""
        missing("a component written in Python")


class Sequence(Component):
    """What the sequences of all families have in common."""

    #: The key of the list.
    _list: ClassVar[str]

    def _item(self, index: int) -> Component:
        item = self._view(dumped(self._items(index)[index]))
        item._keep = partial(self._keep_item, index)
        return item

    def _items(self, index: int) -> list[Any]:
        items: list[Any] = self._field(self._list)
        if index < 0:
            raise OverflowError("can't convert negative int to unsigned")
        if index >= len(items):
            raise IndexError("Index not found")
        return items

    def _set_item(self, index: int, component: Any) -> None:
        saved = saved_form(component, type(self))
        if saved is None:
            raise TypeError(f"'None' object is not an instance of '{self._family}'")
        items = self._items(index)
        items[index] = json.loads(saved)
        self._rewrite(dumped({**json.loads(self._saved), self._list: items}))

    def _keep_item(self, index: int, before: str, after: str) -> str:
        items = self._field(self._list)
        if index >= len(items) or dumped(items[index]) != before:
            changed_since()
        items[index] = json.loads(after)
        self._rewrite(dumped({**json.loads(self._saved), self._list: items}))
        return dumped(self._field(self._list)[index])


def dumped(form: Any) -> str:
    """A saved form as text."""
    return json.dumps(form, ensure_ascii=False, separators=(",", ":"))


def changed_since() -> NoReturn:
    """Says that a view is not of what is there now."""
    missing("changing a component that is not there any more", "read it again from the tokenizer")


def field(name: str, doc: str, convert: Any = None, store: Any = None) -> property:
    """A field of the saved form: ``convert`` makes the value of what is saved, ``store`` what is saved of a value."""

    def read(component: Component) -> Any:
        value = component._field(name)
        return value if convert is None else convert(value)

    def write(component: Component, value: Any) -> None:
        component._set_field(name, value if store is None else store(value))

    return property(read, write, doc=doc)


def saved_form(component: Any, kind: type[Component]) -> str | None:
    """The saved form of a component of this package or of ``tokenizers``.

    Raises:
        TypeError: if it is of another family.
        NotImplementedError: if it is written in Python.
    """
    if component is None:
        return None
    if kind._family not in (base.__name__ for base in type(component).__mro__):
        raise TypeError(f"'{type(component).__name__}' object is not an instance of '{kind._family}'")
    try:
        state: bytes = component.__getstate__()
    except Exception as error:
        raise NotImplementedError(f"a {kind._family} written in Python is not supported by russet yet") from error
    return state.decode() if isinstance(component, Component) else with_exact_scores(state.decode())
