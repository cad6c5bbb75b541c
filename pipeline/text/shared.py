"""What two strings, contents or lists of lines have in common at their start and at their end.

Slices are compared, not items: a file's shared lines cost some nanoseconds each.
"""

from collections.abc import Callable, Sequence
from typing import Any

_FIRST_STEP = 16  # items; each further step is twice as long


def shared_start(one: Sequence[Any], other: Sequence[Any], limit: int) -> int:
    """Items of the common start, `limit` at most; neither is shorter than that.

    >>> shared_start("abcd", "abxd", 4), shared_start([1, 2], [1, 2, 3], 2)
    (2, 2)
    """
    return _longest(limit, lambda start, stop: one[start:stop] == other[start:stop])


def shared_end(one: Sequence[Any], other: Sequence[Any], limit: int) -> int:
    """Items of the common end, `limit` at most; neither is shorter than that.

    >>> shared_end(b"abcd", b"xcd", 3)
    2
    """
    m, n = len(one), len(other)
    return _longest(limit, lambda start, stop: one[m - stop : m - start] == other[n - stop : n - start])


def _longest(limit: int, alike: Callable[[int, int], bool]) -> int:
    """The largest length up to `limit` such that `alike(0, length)`, asked about parts that follow one another."""
    known, step = 0, _FIRST_STEP
    while known < limit and alike(known, stop := min(known + step, limit)):
        known, step = stop, 2 * step
    if known == limit:
        return limit
    while stop - known > 1:
        middle = (known + stop) // 2
        if alike(known, middle):
            known = middle
        else:
            stop = middle
    return known
