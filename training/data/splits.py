"""Which steps are for training, which are held out for validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Segment(NamedTuple):
    """Steps `start` to `stop` of stream number `stream`."""

    stream: int
    start: int
    stop: int


def split_segments(
    splits: Sequence[str | None], lengths: Sequence[int], window: int
) -> tuple[dict[str, list[Segment]], str]:
    """Steps of each split, and in words how they were chosen. `lengths` may count steps or tokens.

    By family where the warehouse has both train and validation. Otherwise the last 10 % of each stream, behind a gap
    of one window, is validation.
    """
    whole = [Segment(number, 0, length) for number, length in enumerate(lengths)]
    by_name = {name: [s for s in whole if splits[s.stream] == name] for name in ("train", "validation", "test")}
    if by_name["train"] and by_name["validation"]:
        counts = ", ".join(f"{name} {len(segments)}" for name, segments in by_name.items())
        return by_name, f"by family: {counts} streams"
    if by_name["test"] and len(by_name["test"]) < len(whole):
        whole = [s for s in whole if s not in by_name["test"]]
    else:
        by_name["test"] = []
    train, validation = [], []
    for segment in whole:
        border = segment.stop - max(segment.stop // 10, window)
        train.append(Segment(segment.stream, 0, max(0, border - window)))
        validation.append(Segment(segment.stream, max(0, border), segment.stop))
    words = "the last 10 % of each stream's steps is validation, behind a gap of one window"
    return {"train": train, "validation": validation, "test": by_name["test"]}, words


def share(segments: Sequence[Segment], most: int) -> list[Segment]:
    """The first part of every segment, equal shares, about `most` steps in all."""
    total = sum(segment.stop - segment.start for segment in segments)
    part = min(1.0, most / max(1, total))
    return [s._replace(stop=s.start + max(1, int((s.stop - s.start) * part))) for s in segments]
