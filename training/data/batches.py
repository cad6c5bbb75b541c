"""Batches of windows: where they start, how they are put together, and a loader that prepares them ahead.

    reader = FilmReader(Warehouse("warehouse"))
    segments, how_they_were_chosen = reader.segments(window=128)
    with Loader(reader, Sampler(segments["train"], window=128, seed=0), batch=8) as loader:
        batch = next(iter(loader))  # there is no last one
    batch.cells_BTRC, batch.actions_BT

A window's start is uniform over all valid starts of all streams and depends on (seed, step, place in the batch) alone:
a resumed run, and a run on another number of ranks, sees the same batches. Threads prepare the next batches.

Dimensions: B windows, T steps, R rows, C columns.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from schema.errors import ConfigError
from training.data.splits import Segment, Segments
from training.data.windows import FilmReader, FilmWindow


class Batch(NamedTuple):
    """B windows, this rank's share of training step `step`."""

    step: int
    cells_BTRC: Tensor
    actions_BT: Tensor
    phases_BT: Tensor
    previous_BT: Tensor | None = None  # the key pressed before each step; None: only the window's own are known
    resets_BT: Tensor | None = None  # bool: what came before a step is to be forgotten; None: nowhere


class Sampler:
    """Draws window starts.

    Raises ConfigError when no segment is as long as the window. `skipped` counts the streams that are too short.
    """

    def __init__(self, segments: Sequence[Segment], window: int, seed: int = 0) -> None:
        self.window, self.seed = window, seed
        known = Segments.of(segments)
        self.segments = known.where(known.steps >= window)
        self.skipped = len(known) - len(self.segments)
        longest = int(known.steps.max(initial=0))
        if not len(self.segments):
            raise ConfigError(
                f"window of {window} steps, but the longest stream of this split has {longest}; "
                f"use a shorter one (--window {max(1, longest // 4)}) or harvest more commits"
            )
        self._ends = np.cumsum(self.segments.steps - window + 1)

    @property
    def starts(self) -> int:
        """Number of valid starts."""
        return int(self._ends[-1])

    def place(self, number: int) -> tuple[int, int]:
        """Valid start `number` -> (stream, step)."""
        index = int(np.searchsorted(self._ends, number, side="right"))
        segment = self.segments[index]
        before = int(self._ends[index - 1]) if index else 0
        return segment.stream, segment.start + number - before

    def draw(self, step: int, batch: int) -> list[tuple[int, int]]:
        """The `batch` places of training step `step`, all ranks together."""
        random = np.random.default_rng([self.seed, step])
        return [self.place(int(n)) for n in random.integers(0, self.starts, batch)]

    def spread(self, count: int) -> list[tuple[int, int]]:
        """At most `count` places, evenly spread and not overlapping where there is room: for validation."""
        room = max(1, self.starts // self.window)
        count = min(count, room)
        return [self.place(int(n)) for n in np.linspace(0, self.starts - 1, count).astype(np.int64)]


def collate(windows: Sequence[FilmWindow], step: int = 0) -> Batch:
    """Windows of one length -> tensors."""
    return Batch(
        step,
        torch.from_numpy(np.stack([w.cells_TRC for w in windows])),
        torch.from_numpy(np.stack([w.action_T for w in windows])),
        torch.from_numpy(np.stack([w.phase_T for w in windows])),
    )


def consecutive_places(reader: FilmReader, split: str, window: int) -> Iterator[tuple[int, int]]:
    """(stream, step) of every window of a split, one behind the other in each stream. Raises ConfigError (none)."""
    segments, words = reader.segments(window)
    if not len(segments[split]):
        raise ConfigError(f"{reader.warehouse.root}: no {split} film ({words}); use another split, or harvest more")
    long_enough = Sampler(segments[split], window).segments
    return ((s.stream, step) for s in long_enough for step in range(s.start, s.stop - window + 1, window))


def make_batch(reader: FilmReader, sampler: Sampler, batch: int, step: int, rank: int = 0, world: int = 1) -> Batch:
    """A rank's windows of a training step."""
    places = sampler.draw(step, batch)[rank::world]
    return collate([reader.window(*place, sampler.window) for place in places], step)


class Prefetcher:
    """prepare(first_step), prepare(first_step + 1), ..., `ahead` of them under way in `threads`. Closing stops them."""

    def __init__(self, prepare: Callable[[int], Batch], first_step: int, ahead: int = 3, threads: int = 3) -> None:
        self._prepare = prepare
        self._steps = itertools.count(first_step)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._coming = deque(self._pool.submit(prepare, next(self._steps)) for _ in range(ahead))

    def __iter__(self) -> Iterator[Batch]:
        while True:
            batch = self._coming.popleft().result()  # raises what went wrong in the thread
            self._coming.append(self._pool.submit(self._prepare, next(self._steps)))
            yield batch

    def close(self) -> None:
        """Stop preparing."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Loader(Prefetcher):
    """Batches of training steps first_step, first_step + 1, ..., `ahead` of them prepared by as many threads.

    `batch` windows a step over all ranks; this rank gets rows rank, rank + world, ... `samplers(step)` may give another
    window length at each step (length warm-up).
    """

    def __init__(
        self,
        reader: FilmReader,
        sampler: Sampler | Any,
        batch: int,
        first_step: int = 0,
        rank: int = 0,
        world: int = 1,
        ahead: int = 3,
    ) -> None:
        if batch % world:
            raise ConfigError(
                f"batch {batch} does not divide by {world} ranks; use --batch {batch // world * world or world}"
            )
        sampler_at = sampler if callable(sampler) else lambda step: sampler
        super().__init__(
            lambda step: make_batch(reader, sampler_at(step), batch, step, rank, world), first_step, ahead, ahead
        )
