"""The tokens that a packaged model has read: ids, and the cache of keys and values where the package has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from russet.coreml.contracts import Contract
from russet.coreml.reading import plan
from russet.errors import ArgumentError, ContextLengthError, UnsupportedModelError

if TYPE_CHECKING:
    from russet.coreml.language_model import LanguageModel

#: What is added to the scores of keys that are not seen: the least number of float16.
_HIDDEN = np.float32(-65504)


class PackageContext:
    """A :class:`russet.generation.Context` of a package. Not for two threads at once."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._contract: Contract = model.contract
        self._ids: list[int] = []
        self._state: Any = model.backend.make_state() if self._contract.cache == "states" else None
        inputs = model.backend.function.inputs
        #: Caches that are inputs, by name.
        self._caches: dict[str, NDArray[Any]] = {name: np.zeros(inputs[name].shape, np.float32) for name in self._contract.caches}

    @property
    def ids(self) -> Sequence[int]:
        """The ids of the tokens that were read."""
        return tuple(self._ids)

    def extend(self, ids: Sequence[int], *, all_logits: bool = False) -> NDArray[np.float32]:
        """Reads more tokens; see :meth:`russet.generation.Context.extend`.

        Raises:
            ArgumentError: if there are none, or one is not in the vocabulary.
            ContextLengthError: if they do not fit.
            UnsupportedModelError: if the package gives logits of the last token alone, cannot be run token by token, and all are
                asked for; or if no calls of the sizes that it takes end at the last token.
        """
        given = [int(id) for id in ids]
        before = len(self._ids)
        self._check(given, before)
        try:
            rows = self._read(given, all_logits)
        except BaseException:
            # What was read of it is not seen by later tokens.
            del self._ids[before:]
            raise
        return rows

    def _check(self, given: list[int], before: int) -> None:
        """Raises if ids cannot follow ``before`` others."""
        if not given:
            raise ArgumentError("ids: there are none; a context grows by one token at least")
        vocabulary = self._model.vocab_size
        if min(given) < 0 or max(given) >= vocabulary:
            wrong = next(id for id in given if not 0 <= id < vocabulary)
            raise ArgumentError(f"ids: {wrong} is not in the vocabulary of {vocabulary} tokens")
        total, limit = before + len(given), self._model.context_length
        if total > limit:
            raise ContextLengthError(f"{total} tokens; the context holds {limit}", value=total, limit=limit)

    def _read(self, given: list[int], all_logits: bool) -> NDArray[np.float32]:
        contract = self._contract
        if all_logits and contract.is_last_only and len(given) > 1:
            if 1 not in self._model.sizes and contract.last_index is None:
                raise UnsupportedModelError("the package gives logits of the last token alone, and takes no single tokens")
            return np.concatenate([self._read([id], False) for id in given])
        if contract.cache == "none":
            return self._whole(given, all_logits)
        room = self._model.context_length - len(self._ids)
        may_pad = not contract.is_last_only or contract.last_index is not None
        sizes = plan(len(given), self._model.sizes, room, may_pad)
        if sizes is None:
            raise self._no_plan(len(given), room, may_pad)
        found = []
        for size in sizes:
            part = given[:size]
            del given[:size]
            rows = self._call(part, size)
            self._ids += part
            if all_logits or not given:
                found.append(rows if all_logits else rows[-1:])
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _no_plan(self, count: int, room: int, may_pad: bool) -> Exception:
        what = f"{count} tokens cannot be read in calls of {self._model.sizes}"
        if may_pad:
            return ContextLengthError(f"{what}: the padding would not fit the {room} places that the context has left")
        return UnsupportedModelError(f"{what} without padding, and the package gives logits of the last place alone")

    def _whole(self, given: list[int], all_logits: bool) -> NDArray[np.float32]:
        """Without a cache the whole text is read again."""
        contract, before = self._contract, len(self._ids)
        ids = self._ids + given
        sizes = contract.sizes
        size = next((size for size in sizes.listed if size >= len(ids)), 0) if sizes.listed else max(len(ids), sizes.least)
        if contract.is_last_only and size != len(ids) and contract.last_index is None:
            message = f"{len(ids)} tokens are padded to {size}, and the package gives logits of the last place alone"
            raise UnsupportedModelError(message)
        inputs = {contract.ids: _padded(ids, size, self._model.pad_id)}
        self._add_places(inputs, 0, len(ids), size, size)
        rows = self._logits(self._model.function_for(size).predict(inputs), len(ids))
        self._ids = ids
        return rows[before:] if all_logits and not contract.is_last_only else rows[-1:]

    def _call(self, part: list[int], size: int) -> NDArray[np.float32]:
        """Reads some tokens behind those that were read, padded to ``size``. Returns the rows that the package gives of them."""
        contract, past = self._contract, len(self._ids)
        inputs: dict[str, Any] = {contract.ids: _padded(part, size, self._model.pad_id), **self._caches}
        keys = contract.keys
        seen = past + size if keys is None or not keys.listed else next(k for k in keys.listed if k >= past + size)
        self._add_places(inputs, past, len(part), size, seen)
        outputs = self._model.function_for(size).predict(inputs, self._state)
        for name, output in contract.caches.items():
            self._caches[name] = outputs[output]
        return self._logits(outputs, len(part))

    def _add_places(self, inputs: dict[str, Any], past: int, real: int, size: int, keys: int) -> None:
        """Adds mask, positions and the last index to a call's inputs."""
        contract = self._contract
        if contract.mask_kind == "causal":
            inputs[str(contract.mask)] = causal_mask(past, size, keys)
        elif contract.mask_kind == "attention":
            inputs[str(contract.mask)] = (np.arange(keys) < past + real).astype(np.int32)[None]
        if contract.position is not None:
            rank = len(self._model.backend.function.inputs[contract.position].shape)
            places = np.minimum(np.arange(past, past + size), self._model.context_length - 1).astype(np.int32)
            inputs[contract.position] = places[None] if rank == 2 else places[:1]
        if contract.last_index is not None:
            inputs[contract.last_index] = np.array([real - 1], np.int32)

    def _logits(self, outputs: Mapping[str, NDArray[Any]], real: int) -> NDArray[np.float32]:
        parts = [outputs[name] for name in self._contract.logits]
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        rows = rows.reshape(-1, rows.shape[-1])
        return rows if self._contract.is_last_only else rows[:real]

    def rewind(self, length: int) -> None:
        """Forgets all tokens but the first ``length``: their keys stay in the cache, where no later token sees them.

        Raises:
            ArgumentError: if fewer were read.
        """
        if not 0 <= length <= len(self._ids):
            raise ArgumentError(f"length: {length} tokens are to stay, and {len(self._ids)} were read")
        del self._ids[length:]

    def fork(self) -> PackageContext:
        """A copy that goes its own way."""
        other = PackageContext(self._model)
        other._ids = list(self._ids)
        other._caches = {name: cache.copy() for name, cache in self._caches.items()}
        for name in self._states():
            self._model.backend.write_state(other._state, name, self._model.backend.read_state(self._state, name))
        return other

    def _states(self) -> list[str]:
        return list(self._model.backend.function.states) if self._contract.cache == "states" else []

    def save(self) -> dict[str, NDArray[Any]]:
        """The ids and the caches, cut behind the last token where the axis of tokens is known."""
        found: dict[str, NDArray[Any]] = {"ids": np.array(self._ids, np.int32)}
        for name in self._states():
            found[name] = self._cut(self._model.backend.read_state(self._state, name)).copy()
        for name, cache in self._caches.items():
            found[name] = self._cut(cache).astype(np.float16)
        return found

    def _cut(self, cache: NDArray[Any]) -> NDArray[Any]:
        axis = self._token_axis(cache.shape)
        return cache if axis is None else cache.take(range(len(self._ids)), axis)

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Takes what :meth:`save` gave.

        Raises:
            ArgumentError: if names or shapes are not those of this model.
        """
        shapes = {name: self._model.backend.function.states[name].shape for name in self._states()}
        shapes |= {name: cache.shape for name, cache in self._caches.items()}
        if set(saved) != {"ids", *shapes}:
            raise ArgumentError(f"saved: it has {sorted(saved)}, and this model keeps {sorted({'ids', *shapes})}")
        ids = [int(id) for id in np.asarray(saved["ids"]).reshape(-1)]
        if ids:
            self._check(ids, 0)
        whole = {}
        for name, shape in shapes.items():
            target = np.zeros(shape, np.float16)
            given = np.asarray(saved[name])
            fits = given.ndim == target.ndim and all(a <= b for a, b in zip(given.shape, shape, strict=True))
            along = self._token_axis(shape)
            wanted = tuple(len(ids) if axis == along else size for axis, size in enumerate(shape))
            if not fits or given.dtype.kind != "f" or given.shape not in (wanted, shape):
                raise ArgumentError(f"saved: {name!r} has the shape {given.shape}, and this model's is {wanted}")
            target[tuple(slice(size) for size in given.shape)] = given
            whole[name] = target
        for name, array in whole.items():
            if name in self._caches:
                self._caches[name] = array.astype(np.float32)
            else:
                self._model.backend.write_state(self._state, name, array)
        self._ids = ids

    def _token_axis(self, shape: tuple[int, ...]) -> int | None:
        """The axis of a cache that tokens lie along, if one alone is as long as the context."""
        axes = [axis for axis, size in enumerate(shape) if size == self._model.context_length]
        return axes[0] if len(axes) == 1 else None


def _padded(ids: list[int], size: int, pad_id: int) -> NDArray[np.int32]:
    return np.array([ids + [pad_id] * (size - len(ids))], np.int32)


def causal_mask(past: int, size: int, keys: int) -> NDArray[np.float32]:
    """(1, 1, size, keys): token i of the call sees the ``past`` tokens before, those of the call before it, and itself."""
    mask = np.zeros((1, 1, size, keys), np.float32)
    if size == 1:
        mask[..., past + 1 :] = _HIDDEN
    else:
        mask[0, 0][np.arange(keys) > np.arange(past, past + size)[:, None]] = _HIDDEN
    return mask
