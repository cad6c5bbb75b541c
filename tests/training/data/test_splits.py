"""Splits: by family, or the end of every stream."""

from training.data.splits import Segment, split_segments
from training.data.windows import FilmReader


def test_splits_are_by_family_where_the_warehouse_has_them(reader: FilmReader) -> None:
    segments, words = reader.segments(window=32)
    assert [s.stream for s in segments["train"]] == [0, 1]
    assert segments["validation"] == [Segment(2, 0, 500)]
    assert segments["test"] == [Segment(3, 0, 300)]
    assert words.startswith("by family")


def test_one_repository_alone_holds_out_its_end_behind_a_gap() -> None:
    segments, _ = split_segments(["train"], [1000], window=30)
    assert segments == {"train": [Segment(0, 0, 870)], "validation": [Segment(0, 900, 1000)], "test": []}
