"""Frames as changes and as spans, against whole frames."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.film.frames import Changes

ROWS = 3
frames = st.lists(st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS), min_size=1, max_size=20)


@given(frames, st.data())
def test_changes_are_cut_as_frames_are(numbers: list[list[int]], data: st.DataObject) -> None:
    rows_TR = np.array(numbers, np.int32)
    start = data.draw(st.integers(0, len(rows_TR) - 1))
    stop = data.draw(st.integers(start + 1, len(rows_TR)))
    assert np.array_equal(Changes.of(rows_TR).spans.frames, rows_TR)
    assert np.array_equal(Changes.of(rows_TR).cut(start, stop).spans.frames, rows_TR[start:stop])


@given(st.lists(frames, min_size=1, max_size=4))
def test_changes_are_joined_as_frames_are(parts: list[list[list[int]]]) -> None:
    joined = Changes.joined([Changes.of(np.array(part, np.int32)) for part in parts])
    assert joined.spans.frames.tolist() == [frame for part in parts for frame in part]


@given(frames)
def test_spans_are_read_as_frames_are(numbers: list[list[int]]) -> None:
    rows_TR = np.array(numbers, np.int32)
    changed = rows_TR[1:][rows_TR[1:] != rows_TR[:-1]]
    assert Changes.of(rows_TR).spans.as_read().tolist() == [*rows_TR[0].tolist(), *changed.tolist()]


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, ROWS - 1), st.integers(0, 3)), max_size=40),
    st.data(),
)
def test_changes_as_they_are_drawn_are_what_is_shown(
    steps: int, drawn: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """Rows in any order, and one drawn over before the next key."""
    drawn = [(0, row, 0) for row in range(ROWS)] + sorted(
        (one for one in drawn if one[0] < steps), key=lambda one: one[0]
    )
    frames_TR = np.array(
        [[[n for t, r, n in drawn if r == row and t <= step][-1] for row in range(ROWS)] for step in range(steps)]
    )
    step, row, number = zip(*drawn, strict=True)
    changes = Changes(np.array(step, np.int32), np.array(row, np.int16), np.array(number, np.int32), steps, ROWS)
    start = data.draw(st.integers(0, steps - 1))
    stop = data.draw(st.integers(start + 1, steps))
    assert np.array_equal(changes.spans.frames, frames_TR)
    assert np.array_equal(changes.cut(start, stop).spans.frames, frames_TR[start:stop])
    parts = [changes.cut(0, stop), *([changes.cut(stop, steps)] if stop < steps else [])]
    assert np.array_equal(Changes.joined(parts).spans.frames, frames_TR)
