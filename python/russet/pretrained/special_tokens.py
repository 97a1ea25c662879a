"""The special tokens of a tokenizer, as attributes.

What they are is one immutable :class:`SpecialTokens`, which a change replaces as a whole: a call that is under way on another
thread sees the one from before or the one after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from russet.errors import ArgumentError
from russet.tokenizers._added_token import AddedToken, Flags, flags_of, from_flags, is_added_token

if TYPE_CHECKING:
    from russet.tokenizers import Tokenizer

#: The special tokens that every tokenizer may have.
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

Token = str | AddedToken


class SpecialTokens(NamedTuple):
    """The tokens by name, and those without one."""

    names: tuple[str, ...] = NAMES
    named: dict[str, Token | None] = {}  # noqa: RUF012 - it is never changed
    extra: tuple[Token, ...] = ()

    def with_named(self, tokens: dict[str, Token | None]) -> SpecialTokens:
        """These, and more."""
        new = tuple(name for name in tokens if name not in self.names)
        return self._replace(names=self.names + new, named={**self.named, **tokens})

    def texts(self) -> list[str]:
        """The text of each, the named ones first, each once."""
        tokens = [self.named.get(name) for name in self.names]
        return list(dict.fromkeys(str(token) for token in (*tokens, *self.extra) if token is not None))


def own_token(token: Any, name: str) -> Token:
    """A text as it is, and an added token of any package as Russet's.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(token, (str, AddedToken)):
        return token
    if is_added_token(token):
        return from_flags(flags_of(token))
    raise ArgumentError(f"{name}={token!r}: a special token is a text or an AddedToken", argument=name)


def special(token: Token) -> AddedToken:
    """A text as the special token that ``add_special_tokens`` makes of it."""
    return token if isinstance(token, AddedToken) else AddedToken(token, normalized=False, special=True)


class _Named:
    """An attribute such as ``pad_token``, or ``pad_token_id``."""

    def __init__(self, name: str, is_id: bool) -> None:
        self.name, self.is_id = name, is_id

    def __get__(self, owner: SpecialTokensMixin | None, kind: type | None = None) -> Any:
        return self if owner is None else owner._named(self.name, self.is_id)

    def __set__(self, owner: SpecialTokensMixin, value: Any) -> None:
        owner._set_named(self.name, self.is_id, value)


class SpecialTokensMixin:
    """Special tokens by name: ``bos_token``, ``bos_token_id`` and so on, and ``extra_special_tokens``."""

    _special: SpecialTokens
    _tokenizer: Tokenizer

    bos_token, bos_token_id = _Named("bos_token", False), _Named("bos_token", True)
    eos_token, eos_token_id = _Named("eos_token", False), _Named("eos_token", True)
    unk_token, unk_token_id = _Named("unk_token", False), _Named("unk_token", True)
    sep_token, sep_token_id = _Named("sep_token", False), _Named("sep_token", True)
    pad_token, pad_token_id = _Named("pad_token", False), _Named("pad_token", True)
    cls_token, cls_token_id = _Named("cls_token", False), _Named("cls_token", True)
    mask_token, mask_token_id = _Named("mask_token", False), _Named("mask_token", True)

    @property
    def SPECIAL_TOKENS_ATTRIBUTES(self) -> list[str]:
        """The names that special tokens have here, a model's own ones included."""
        return list(self._special.names)

    @property
    def extra_special_tokens(self) -> list[str]:
        """The special tokens without a name."""
        return [str(token) for token in self._special.extra]

    @extra_special_tokens.setter
    def extra_special_tokens(self, tokens: Sequence[Token] | None) -> None:
        if tokens is not None and not isinstance(tokens, (list, tuple)):
            raise ArgumentError(f"extra_special_tokens={tokens!r}: it is a list", argument="extra_special_tokens")
        self._special = self._special._replace(extra=tuple(own_token(token, "extra_special_tokens") for token in tokens or ()))

    @property
    def extra_special_tokens_ids(self) -> list[int | None]:
        """Their ids."""
        return [self._id_of(token) for token in self.extra_special_tokens]

    @extra_special_tokens_ids.setter
    def extra_special_tokens_ids(self, ids: Sequence[int] | None) -> None:
        self.extra_special_tokens = [self._tokenizer.id_to_token(id) for id in ids or ()]  # type: ignore[misc]

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The text of each named special token."""
        special = self._special
        return {name: str(special.named[name]) for name in special.names if special.named.get(name) is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """The text of each special token, the named ones first, each once."""
        return self._special.texts()

    @property
    def all_special_ids(self) -> list[int | None]:
        """Their ids."""
        return [self._id_of(token) for token in self.all_special_tokens]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """The id of a token, or of each of a list; that of the unknown token for what is no token."""
        if isinstance(tokens, str):
            return self._id_of(tokens)
        return [self._id_of(token) for token in tokens]

    def _id_of(self, token: str) -> int | None:
        core = self._tokenizer._ready().core
        found = core.token_to_id(token)
        if found is None:
            unknown = self._special.named.get("unk_token")
            return None if unknown is None else core.token_to_id(str(unknown))
        return found

    def _named(self, name: str, is_id: bool) -> Any:
        token = self._special.named.get(name)
        if token is None:
            return None
        return self._id_of(str(token)) if is_id else str(token)

    def _set_named(self, name: str, is_id: bool, value: Any) -> None:
        if value is not None:
            value = own_token(self._tokenizer.id_to_token(int(value)) if is_id else value, name)
        self._special = self._special.with_named({name: value})

    def __getattr__(self, name: str) -> Any:
        # A model's own names, such as image_token and image_token_id.
        special = self.__dict__.get("_special")
        if special is not None:
            plain = name.removesuffix("_ids").removesuffix("_id")
            if plain in special.names:
                return self._named(plain, plain != name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name) and "_special" in self.__dict__:
            plain = name.removesuffix("_ids").removesuffix("_id")
            if plain in self._special.names:
                self._set_named(plain, plain != name, value)
                return
        object.__setattr__(self, name, value)

    # Adding tokens

    def add_tokens(self, new_tokens: Token | Sequence[Token], special_tokens: bool = False) -> int:
        """Adds tokens after the last id. Returns how many were new.

        A text that is being encoded on another thread is encoded as it was begun.
        """
        if not new_tokens:
            return 0
        given = new_tokens if isinstance(new_tokens, (list, tuple)) else [new_tokens]
        tokens: list[str | AddedToken] = [own_token(token, "new_tokens") for token in given]
        return self._tokenizer.add_special_tokens(tokens) if special_tokens else self._tokenizer.add_tokens(tokens)

    def add_special_tokens(self, special_tokens_dict: dict[str, Any], replace_extra_special_tokens: bool = True) -> int:
        """Names special tokens, and adds those that the vocabulary does not have. Returns how many were new.

        Args:
            special_tokens_dict: tokens by name, and ``extra_special_tokens`` with a list.
            replace_extra_special_tokens: whether the list replaces the one before; its tokens stay added in any case.

        Raises:
            ArgumentError: for a name that no special token has.
        """
        if not special_tokens_dict:
            return 0
        given = dict(special_tokens_dict)
        if "additional_special_tokens" in given and not given.get("extra_special_tokens"):
            given["extra_special_tokens"] = given.pop("additional_special_tokens")
        before = self._special
        named: dict[str, Token | None] = {}
        extra, adding = before.extra, list[AddedToken]()
        for name, value in given.items():
            if name == "extra_special_tokens":
                if not isinstance(value, (list, tuple)):
                    raise ArgumentError(f"extra_special_tokens={value!r}: it is a list", argument=name)
                known = {str(token) for token in before.extra}
                new = [special(own_token(token, name)) for token in value]
                new = [token for token in new if replace_extra_special_tokens or str(token) not in known]
                extra = tuple(new) if replace_extra_special_tokens and new else (*extra, *new)
                adding += new
            elif name in before.names:
                named[name] = special(own_token(value, name))
                adding.append(named[name])  # type: ignore[arg-type]
            else:
                raise ArgumentError(f"{name!r} is no special token; these are: {', '.join(before.names)}", argument=name)
        # Added first: no call may see a name whose token has no id yet.
        count = self.add_tokens(adding, special_tokens=True)
        self._special = before.with_named(named)._replace(extra=extra)
        return count


def missing_tokens(present: dict[int, Any], wanted: dict[int, AddedToken], tokens: SpecialTokens) -> list[AddedToken]:
    """What a tokenizer's settings name and its file does not have, in the order in which it is to be added.

    Args:
        present: the file's added tokens.
        wanted: those of its settings, by id; one that differs in a flag counts as missing.
        tokens: the special tokens.
    """
    flags: dict[Flags, None] = dict.fromkeys(flags_of(token) for token in present.values())
    adding: list[Token] = [token for _, token in sorted(wanted.items()) if flags_of(token) not in flags]
    known = {token.content for token in present.values()} | {str(token) for token in adding}
    adding += [token for name in tokens.names if (token := tokens.named.get(name)) is not None and str(token) not in known]
    adding = [token for index, token in enumerate(adding) if token not in adding[:index]]
    for token in tokens.extra:
        if str(token) not in known and token not in adding:
            adding.append(token)
    names = {str(token) for token in tokens.named.values() if token}
    made = []
    for token in adding:
        if isinstance(token, str):
            token = AddedToken(token, special=True)
        elif str(token) in names and not token.special:
            # Whether it is normalized follows from that, if nothing is said about it.
            token = AddedToken(token.content, **token._options, special=True)
        made.append(token)
    return made
