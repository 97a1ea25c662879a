"""How a prompt is divided into calls of the sizes that a package takes.

A call of a size above the tokens that are left is padded. Padding costs time, writes nonsense behind the context's end (which no
later token sees) and, where the package gives the logits of its last place alone, loses the ones that are wanted. So the plan
with the fewest padded tokens is taken, and of those the one with the fewest calls; only the last call can be padded.
"""

from __future__ import annotations

from functools import lru_cache

from russet.coreml.contracts import Sizes


def plan(count: int, sizes: Sizes, room: int, may_pad: bool) -> list[int] | None:
    """The sizes of the calls that read ``count`` tokens, in order: large ones first.

    Args:
        count: Tokens to read, at least one.
        sizes: The sizes that the package takes.
        room: How many places the context has left: no call goes beyond.
        may_pad: Whether the last call may have padding.

    Returns:
        The sizes, or none if there is no way.
    """
    if not sizes.listed:
        whole, rest = divmod(count, sizes.greatest)
        found = [sizes.greatest] * whole
        if rest == 0:
            return found
        if rest >= sizes.least:
            return [*found, rest]
        if found and count - sizes.least >= 0 and sizes.greatest + rest >= 2 * sizes.least:
            return [*found[1:], sizes.greatest + rest - sizes.least, sizes.least]
        return [*found, sizes.least] if may_pad and count - rest + sizes.least <= room else None
    # Far from the end the largest calls are the fewest.
    largest = sizes.listed[-1]
    whole = max(0, count // largest - 1)
    last = _fewest(count - whole * largest, sizes.listed, room - whole * largest, may_pad)
    return None if last is None else [largest] * whole + list(last)


@lru_cache(maxsize=4096)
def _fewest(count: int, sizes: tuple[int, ...], room: int, may_pad: bool) -> tuple[int, ...] | None:
    # best[n]: (padded tokens, calls, the first size) for the n last tokens.
    best: list[tuple[int, int, int] | None] = [(0, 0, 0)]
    for left in range(1, count + 1):
        found: tuple[int, int, int] | None = None
        for size in sizes:
            if size <= left:
                rest = best[left - size]
                candidate = None if rest is None else (rest[0], rest[1] + 1, size)
            else:
                fits = may_pad and count - left + size <= room
                candidate = (size - left, 1, size) if fits else None
            if candidate is not None and (found is None or (candidate[0], candidate[1], -size) < (found[0], found[1], -found[2])):
                found = candidate
        best.append(found)
    calls = []
    left = count
    while left > 0:
        step = best[left]
        if step is None:
            return None
        calls.append(step[2])
        left -= step[2]
    return tuple(calls)
