"""Which steps are for training, which are held out for validation and test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SPLITS = ("train", "validation", "test")
Numbers = npt.NDArray[np.int64]
SHARED = 4096  # segments of which a sample is taken


class Segment(NamedTuple):
    """Steps `start` to `stop` of stream number `stream`."""

    stream: int
    start: int
    stop: int


class Segments(Sequence[Segment]):
    """Many segments as three columns: a hundred thousand are cut, counted and drawn from in milliseconds."""

    def __init__(self, stream: npt.ArrayLike, start: npt.ArrayLike, stop: npt.ArrayLike) -> None:
        columns = (np.asarray(column, np.int64) for column in (stream, start, stop))
        self.stream, self.start, self.stop = columns

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Segments:
        """The same segments as columns."""
        if isinstance(segments, cls):
            return segments
        return cls(*np.array(segments, np.int64).reshape(-1, 3).T)

    @property
    def steps(self) -> Numbers:
        """The length of each."""
        return self.stop - self.start

    def where(self, mask: npt.NDArray[np.bool_]) -> Segments:
        """Those of which the mask is true."""
        chosen = np.flatnonzero(mask)  # found once for three columns
        return Segments(self.stream[chosen], self.start[chosen], self.stop[chosen])

    def __len__(self) -> int:
        return len(self.stream)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> Segments: ...
    def __getitem__(self, number: int | slice) -> Segment | Segments:
        if isinstance(number, slice):
            return Segments(self.stream[number], self.start[number], self.stop[number])
        return Segment(int(self.stream[number]), int(self.start[number]), int(self.stop[number]))

    def __iter__(self) -> Iterator[Segment]:
        return map(Segment, self.stream.tolist(), self.start.tolist(), self.stop.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


def split_segments(
    splits: Sequence[str | None] | pa.DictionaryArray, lengths: Sequence[int] | Numbers, window: int
) -> tuple[dict[str, Segments], str]:
    """Steps of each split, and in words how they were chosen. `lengths` may count steps or tokens.

    By family where the warehouse has both train and validation. Otherwise the last 10 % of each stream, behind a gap
    of one window, is validation.
    """
    names = splits if isinstance(splits, pa.DictionaryArray) else pa.array(splits, pa.string()).dictionary_encode()
    numbers, used = names.indices.fill_null(-1).to_numpy(), names.dictionary.to_pylist()
    of_split = {name: numbers == (used.index(name) if name in used else len(used)) for name in SPLITS}
    length = np.asarray(lengths, np.int64)
    whole = Segments(np.arange(len(length)), np.zeros_like(length), length)
    by_name = {name: whole.where(mask) for name, mask in of_split.items()}
    if len(by_name["train"]) and len(by_name["validation"]):
        counts = ", ".join(f"{name} {len(segments)}" for name, segments in by_name.items())
        return by_name, f"by family: {counts} streams"
    test = by_name["test"]
    if len(test) and len(test) < len(whole):
        whole = whole.where(~of_split["test"])
    else:
        test = test[:0]
    border = whole.stop - np.maximum(whole.stop // 10, window)
    train = Segments(whole.stream, np.zeros_like(border), np.maximum(0, border - window))
    validation = Segments(whole.stream, np.maximum(0, border), whole.stop)
    words = "the last 10 % of each stream's steps is validation, behind a gap of one window"
    return {"train": train, "validation": validation, "test": test}, words


def share(segments: Sequence[Segment], most: int) -> Segments:
    """The first part of every segment, equal shares, about `most` steps in all.

    Of more than SHARED segments as many of them, evenly spread: opening a stream costs more than reading its keys.
    """
    known = Segments.of(segments)
    if len(known) > SHARED:
        chosen = np.zeros(len(known), bool)
        chosen[np.linspace(0, len(known) - 1, SHARED).astype(np.int64)] = True
        known = known.where(chosen)
    part = min(1.0, most / max(1, int(known.steps.sum())))
    stop = known.start + np.maximum(1, (known.steps * part).astype(np.int64))
    return Segments(known.stream, known.start, stop)
