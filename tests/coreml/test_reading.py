"""Plans for reading a prompt in calls of the sizes that a package takes, beside a search over all of them."""

from __future__ import annotations

from itertools import product

import pytest

from russet.coreml.contracts import Sizes
from russet.coreml.reading import plan


def best(count: int, sizes: tuple[int, ...], room: int, may_pad: bool) -> tuple[int, int] | None:
    """The fewest padded tokens, and then the fewest calls, by trying everything."""
    found = None
    for calls in range(1, count + 1):
        for parts in product(sizes, repeat=calls):
            total, before = sum(parts), sum(parts[:-1])
            padding = total - count
            if before < count <= total <= room and (padding == 0 or may_pad):
                found = min(found or (padding, calls), (padding, calls))
    return found


@pytest.mark.parametrize("sizes", [(1,), (1, 3), (2, 5), (3,), (1, 4, 6), (4, 6), (2, 3, 7)])
@pytest.mark.parametrize("may_pad", [True, False])
def test_the_plan_is_the_best_there_is(sizes: tuple[int, ...], may_pad: bool) -> None:
    for count in range(1, 9):
        for room in range(count, count + 4):
            found = plan(count, Sizes(sizes), room, may_pad)
            expected = best(count, sizes, room, may_pad)
            assert (found is None) == (expected is None), (count, room)
            if found is not None:
                assert (sum(found) - count, len(found)) == expected, (count, room, found)
                assert sum(found[:-1]) < count
                assert sum(found) <= room


def test_a_long_prompt_is_read_in_large_calls() -> None:
    assert plan(1000, Sizes((1, 16, 64, 128)), 2048, True) == [128] * 7 + [64, 16, 16] + [1] * 8
    assert plan(100_000, Sizes((1, 128)), 1 << 20, True) == [128] * 781 + [1] * 32


@pytest.mark.parametrize(
    ("count", "least", "greatest", "may_pad", "expected"),
    [
        (7, 1, 10, True, [7]),
        (25, 1, 10, True, [10, 10, 5]),
        (12, 4, 10, False, [8, 4]),
        (2, 4, 10, True, [4]),
        (2, 4, 10, False, None),
        (21, 4, 10, False, [10, 7, 4]),
    ],
)
def test_a_range_of_sizes(count: int, least: int, greatest: int, may_pad: bool, expected: list[int] | None) -> None:
    assert plan(count, Sizes((), least, greatest), 100, may_pad) == expected
