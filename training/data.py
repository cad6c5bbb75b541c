"""Windows of film, straight from Parquet shards.

    reader = FilmReader(Warehouse("warehouse"))
    sampler = Sampler(reader.segments(window=128)["train"], window=128, seed=0)
    for batch in Loader(reader, sampler, batch=8, first_step=0):
        batch.cells_BTRC, batch.actions_BT

A window's start is uniform over all valid starts of all streams and depends on (seed, step, place in the batch) alone:
a resumed run, and a run on another number of ranks, sees the same batches. Windows cross episodes and shards. Decoded
row groups are kept (about 200 bytes a step) up to `cache_bytes`; a thread prepares the next batches.

Dimensions: B windows, T steps, R rows, C columns, N distinct rows of a row group, U steps or tokens of one.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from schema.decode import decode_rows
from schema.errors import ConfigError, CorruptError
from schema.geometry import Geometry
from training.streams import Group, Segment, Warehouse, split_segments
from training.tokens import Tokenizer

COLUMNS = ("frame", "style", "cursor_row", "cursor_col", "action", "phase")
Array = npt.NDArray[Any]


class Window(NamedTuple):
    """T consecutive steps: cell ids as training.model reads them, the key pressed at each, and its phase."""

    cells_TRC: npt.NDArray[np.int16] | npt.NDArray[np.int32]
    action_T: npt.NDArray[np.int64]
    phase_T: npt.NDArray[np.uint8]


class Batch(NamedTuple):
    """B windows, this rank's share of training step `step`."""

    step: int
    cells_BTRC: Tensor
    actions_BT: Tensor
    phases_BT: Tensor


class Decoded(NamedTuple):
    """A row group in memory: frame t is cells_NC[ids_UR[t]]."""

    ids_UR: npt.NDArray[np.int32]
    cells_NC: Array
    action_U: npt.NDArray[np.int64]
    phase_U: npt.NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in self)


def decode_cells(table: pa.Table, geometry: Geometry, max_code_point: int) -> tuple[npt.NDArray[np.int32], Array]:
    """Columns frame, style, cursor_row and cursor_col -> row numbers [T, R] and the cell ids of the rows [N, C].

    Cell ids as training.model reads them, int16 where they fit, else int32. Raises CorruptError.
    """
    rows = decode_rows(table, geometry, max_code_point)
    cells_NC: Array = rows.codes_NC.astype(np.int32)
    cells_NC += rows.style_NC.astype(np.int32) * max_code_point
    under = np.flatnonzero(rows.cursor_N >= 0)
    cells_NC[under, rows.cursor_N[under]] += 4 * max_code_point  # foreground and background swapped
    if 8 * max_code_point <= 1 << 15:
        cells_NC = cells_NC.astype(np.int16)
    return rows.ids_TR, cells_NC


class FilmReader:
    """Random access to the windows of a warehouse.

    With a `tokenizer`, a step of a window is an action token and its frame is the one where the token starts; without,
    it is a byte. Raises CorruptError, SchemaVersionError while reading.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        max_code_point: int = 256,
        cache_bytes: int = 1 << 29,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.warehouse, self.streams = warehouse, warehouse.streams
        self.geometry = warehouse.geometry
        self.max_code_point, self.tokenizer = max_code_point, tokenizer
        self._cache_bytes, self._held = cache_bytes, 0
        self._cache: OrderedDict[Group, Decoded] = OrderedDict()
        self._lock = threading.Lock()
        self._borders = [
            np.concatenate([[0], np.cumsum([self._count(group) for group in stream.groups])]) for stream in self.streams
        ]

    @property
    def lengths(self) -> list[int]:
        """Steps (or tokens) of each stream."""
        return [int(borders[-1]) for borders in self._borders]

    def segments(self, window: int) -> tuple[dict[str, list[Segment]], str]:
        """Train, validation and test, and how they were chosen (training.streams.split_segments)."""
        return split_segments([stream.split for stream in self.streams], self.lengths, window)

    def window(self, stream: int, start: int, length: int) -> Window:
        """Steps start .. start + length of a stream. Raises IndexError outside of it."""
        borders = self._borders[stream]
        if start < 0 or length < 1 or start + length > borders[-1]:
            raise IndexError(f"{self.streams[stream].repo_id}: steps {start}-{start + length} of {borders[-1]}")
        dtype = np.int16 if 8 * self.max_code_point <= 1 << 15 else np.int32
        cells_TRC = np.empty((length, *self.geometry), dtype)
        action_T, phase_T = np.empty(length, np.int64), np.empty(length, np.uint8)
        number = int(np.searchsorted(borders, start, side="right")) - 1
        done = 0
        while done < length:
            group = self._decoded(self.streams[stream].groups[number])
            first = start + done - int(borders[number])
            part = slice(first, first + length - done)
            ids_TR = group.ids_UR[part]
            here = slice(done, done + len(ids_TR))
            np.take(group.cells_NC, ids_TR, axis=0, out=cells_TRC[here], mode="clip")
            action_T[here], phase_T[here] = group.action_U[part], group.phase_U[part]
            done += len(ids_TR)
            number += 1
        return Window(cells_TRC, action_T, phase_T)

    def groups(self, stream: int) -> Iterator[Decoded]:
        """Every row group of a stream, decoded, in order."""
        for group in self.streams[stream].groups:
            yield self._decoded(group)

    def actions(self, segment: Segment) -> npt.NDArray[np.int64]:
        """Every action of a segment, without decoding its frames."""
        borders, groups = self._borders[segment.stream], self.streams[segment.stream].groups
        parts = []
        for number, group in enumerate(groups):
            low, high = max(segment.start, borders[number]), min(segment.stop, borders[number + 1])
            if low < high:
                action_U = self._keys(group)[0]
                parts.append(action_U[low - borders[number] : high - borders[number]])
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _count(self, group: Group) -> int:
        return group.steps if self.tokenizer is None else len(self._keys(group)[0])

    def _keys(self, group: Group) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
        """Actions of a row group, and with a tokenizer the steps where they start."""
        action_T = self.warehouse.read(group, ["action"]).column("action").to_numpy()
        if self.tokenizer is None:
            return action_T.astype(np.int64), None
        return self.tokenizer.encode(action_T.astype(np.uint8).tobytes())

    def _decoded(self, group: Group) -> Decoded:
        with self._lock:
            if group in self._cache:
                self._cache.move_to_end(group)
                return self._cache[group]
        decoded = self._decode(group)
        with self._lock:
            if group not in self._cache:
                self._cache[group] = decoded
                self._held += decoded.size
            while self._held > self._cache_bytes and len(self._cache) > 1:
                _, old = self._cache.popitem(last=False)
                self._held -= old.size
        return decoded

    def _decode(self, group: Group) -> Decoded:
        table = self.warehouse.read(group, COLUMNS)
        try:
            ids_TR, cells_NC = decode_cells(table, self.geometry, self.max_code_point)
        except CorruptError as error:
            raise CorruptError(f"{self.warehouse.root}/{group.path}: row group {group.row_group}: {error}") from error
        phase_T = table.column("phase").to_numpy().astype(np.uint8)
        if self.tokenizer is None:
            return Decoded(ids_TR, cells_NC, table.column("action").to_numpy().astype(np.int64), phase_T)
        action_U, start_U = self.tokenizer.encode(table.column("action").to_numpy().tobytes())
        return Decoded(ids_TR[start_U], cells_NC, action_U, phase_T[start_U])


class Sampler:
    """Draws window starts.

    Raises ConfigError when no segment is as long as the window. `skipped` counts the streams that are too short.
    """

    def __init__(self, segments: Sequence[Segment], window: int, seed: int = 0) -> None:
        self.window, self.seed = window, seed
        self.segments = [s for s in segments if s.stop - s.start >= window]
        self.skipped = len(segments) - len(self.segments)
        longest = max((s.stop - s.start for s in segments), default=0)
        if not self.segments:
            raise ConfigError(
                f"window of {window} steps, but the longest stream of this split has {longest}; "
                f"use a shorter one (--window {max(1, longest // 4)}) or harvest more commits"
            )
        self._ends = np.cumsum([s.stop - s.start - window + 1 for s in self.segments])

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


def collate(windows: Sequence[Window], step: int = 0) -> Batch:
    """Windows of one length -> tensors."""
    return Batch(
        step,
        torch.from_numpy(np.stack([w.cells_TRC for w in windows])),
        torch.from_numpy(np.stack([w.action_T for w in windows])),
        torch.from_numpy(np.stack([w.phase_T for w in windows])),
    )


def make_batch(reader: FilmReader, sampler: Sampler, batch: int, step: int, rank: int = 0, world: int = 1) -> Batch:
    """A rank's windows of a training step."""
    places = sampler.draw(step, batch)[rank::world]
    return collate([reader.window(*place, sampler.window) for place in places], step)


class Loader:
    """Batches of training steps first_step, first_step + 1, ..., prepared by a thread.

    `batch` windows a step over all ranks; this rank gets rows rank, rank + world, ... Closing stops the thread.
    `samplers(step)` may give another window length at each step (length warm-up).
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
        self._reader, self._batch, self._rank, self._world = reader, batch, rank, world
        self._sampler = sampler if callable(sampler) else lambda step: sampler
        self._queue: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(first_step,), daemon=True)
        self._thread.start()

    def _work(self, step: int) -> None:
        while not self._stop.is_set():
            try:
                sampler: Sampler = self._sampler(step)
                item: Batch | BaseException = make_batch(
                    self._reader, sampler, self._batch, step, self._rank, self._world
                )
            except BaseException as error:  # handed to the training loop, which raises it
                item = error
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return
            step += 1

    def __iter__(self) -> Iterator[Batch]:
        while True:
            item = self._queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop preparing."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
