"""Frames as spans, against whole frames."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.film.frames import Spans

ROWS = 3
frames = st.lists(st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS), min_size=1, max_size=20)


@given(frames, st.data())
def test_spans_are_cut_as_frames_are(numbers: list[list[int]], data: st.DataObject) -> None:
    rows_TR = np.array(numbers, np.int32)
    start = data.draw(st.integers(0, len(rows_TR) - 1))
    stop = data.draw(st.integers(start + 1, len(rows_TR)))
    assert np.array_equal(Spans.of(rows_TR).frames, rows_TR)
    assert np.array_equal(Spans.of(rows_TR).cut(start, stop).frames, rows_TR[start:stop])


@given(st.lists(frames, min_size=1, max_size=4))
def test_spans_are_joined_as_frames_are(parts: list[list[list[int]]]) -> None:
    joined = Spans.joined([Spans.of(np.array(part, np.int32)) for part in parts])
    assert joined.frames.tolist() == [frame for part in parts for frame in part]


@given(frames)
def test_spans_are_read_as_frames_are(numbers: list[list[int]]) -> None:
    rows_TR = np.array(numbers, np.int32)
    changed = rows_TR[1:][rows_TR[1:] != rows_TR[:-1]]
    assert Spans.of(rows_TR).as_read().tolist() == [*rows_TR[0].tolist(), *changed.tolist()]
