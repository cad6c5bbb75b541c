"""The common start and end of two sequences, against a loop over their items."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.shared import shared_end, shared_start

FEW = st.text("ab", max_size=90) | st.builds(
    lambda text, count: text * count, st.text("abc", max_size=5), st.integers(0, 60)
)


def counted(one: Sequence[object], other: Sequence[object], limit: int) -> int:
    return next((at for at in range(limit) if one[at] != other[at]), limit)


@given(FEW, FEW, FEW, FEW)
def test_shared_ends_are_those_that_a_loop_counts(start: str, one: str, other: str, end: str) -> None:
    a, b = start + one + end, start + other + end
    for x, y in ((a, b), (a.encode(), b.encode()), (list(a), list(b))):
        for limit in {0, min(len(x), len(y)) // 2, min(len(x), len(y))}:
            assert shared_start(x, y, limit) == counted(x, y, limit)
            assert shared_end(x, y, limit) == counted(x[::-1], y[::-1], limit)
