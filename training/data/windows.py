"""Windows of film, decoded straight from Parquet shards.

    reader = FilmReader(Warehouse("warehouse"))
    window = reader.window(stream=0, start=100, length=64)
    window.cells_TRC, window.action_T

Windows cross episodes and shards. The row groups used last are kept, undecoded (about 100 bytes a step), up to
`cache_bytes`; only a window's own steps are decoded.

Dimensions: T steps, R rows, C columns, N distinct rows of a row group, U steps or tokens of one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schema.decode import decode_rows
from schema.errors import CorruptError
from schema.geometry import Geometry
from training.data.splits import Segment, Segments, split_segments
from training.data.streams import KEPT, RowGroup
from training.data.tokenizer import Tokenizer
from training.data.warehouse import MovedError, Warehouse

COLUMNS = ("frame", "style", "cursor_row", "cursor_col", "action", "phase")
Array = npt.NDArray[Any]
T = TypeVar("T")


class FilmWindow(NamedTuple):
    """T consecutive steps: cell ids as training.model.frame_head reads them, the key pressed at each, and its phase."""

    cells_TRC: npt.NDArray[np.int16] | npt.NDArray[np.int32]
    action_T: npt.NDArray[np.int64]
    phase_T: npt.NDArray[np.uint8]


class DecodedGroup(NamedTuple):
    """A row group, decoded: frame u is cells_NC[ids_UR[u]]."""

    ids_UR: npt.NDArray[np.int32]
    cells_NC: Array
    action_U: Array
    phase_U: npt.NDArray[np.uint8]


class CachedGroup(NamedTuple):
    """A row group in memory, undecoded; numbers are of the smallest unsigned type that holds them."""

    screens: pa.Table  # U rows: frame, style, cursor_row, cursor_col
    action_U: Array
    phase_U: npt.NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return int(self.screens.get_total_buffer_size()) + self.action_U.nbytes + self.phase_U.nbytes


def decode_cells(table: pa.Table, geometry: Geometry, max_code_point: int) -> tuple[npt.NDArray[np.int32], Array]:
    """Columns frame, style, cursor_row and cursor_col -> row numbers [T, R] and the cell ids of the rows [N, C].

    Cell ids as training.model.frame_head reads them, int16 where they fit, else int32. Raises CorruptError.
    """
    rows = decode_rows(table, geometry, max_code_point)
    cells_NC: Array = rows.codes_NC.astype(np.int32)
    cells_NC += rows.style_NC.astype(np.int32) * max_code_point
    under = np.flatnonzero(rows.cursor_N >= 0)
    cells_NC[under, rows.cursor_N[under]] += 4 * max_code_point  # foreground and background swapped
    if 8 * max_code_point <= 1 << 15:
        cells_NC = cells_NC.astype(np.int16)
    return rows.ids_TR, cells_NC


def compact_frames(frame: pa.ChunkedArray) -> pa.Array:
    """Column `frame` in one piece, its rows numbered by the smallest unsigned type that holds the numbers."""
    lists = frame.unify_dictionaries().combine_chunks()
    rows = lists.values if pa.types.is_dictionary(lists.type.value_type) else lists.values.dictionary_encode()
    smallest = pa.from_numpy_dtype(np.min_scalar_type(len(rows.dictionary)))
    numbers = rows.indices.cast(smallest, safe=False)  # they fit, and Arrow has checked them against the dictionary
    return pa.ListArray.from_arrays(lists.offsets, pa.DictionaryArray.from_arrays(numbers, rows.dictionary, safe=False))


class Layout(NamedTuple):
    """Where a stream lies at one moment: its row groups, the first step (or token) of each, and at last its length."""

    groups: tuple[RowGroup, ...]
    borders: npt.NDArray[np.int64]


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
        self._cache_bytes, self._cached_bytes, self._full = cache_bytes, 0, False
        self._cache: OrderedDict[RowGroup, CachedGroup] = OrderedDict()
        self._lock = threading.Lock()
        self._layouts: OrderedDict[int, Layout] = OrderedDict()

    @cached_property
    def lengths(self) -> list[int]:
        """Steps (or tokens) of each stream."""
        found: list[int] = self._all_lengths.tolist()
        return found

    @cached_property
    def _all_lengths(self) -> npt.NDArray[np.int64]:
        if self.tokenizer is None:
            return self.streams.lengths
        return np.array([self._reading(number, self._length) for number in range(len(self.streams))], np.int64)

    def _length(self, stream: int) -> int:
        return int(self._layout(stream).borders[-1])

    def segments(self, window: int) -> tuple[dict[str, Segments], str]:
        """Train, validation and test, and how they were chosen (training.data.splits.split_segments)."""
        return split_segments(self.streams.splits, self._all_lengths, window)

    def window(self, stream: int, start: int, length: int) -> FilmWindow:
        """Steps start .. start + length of a stream. Raises IndexError outside of it."""
        return self._reading(stream, lambda stream: self._window(stream, start, length))

    def _window(self, stream: int, start: int, length: int) -> FilmWindow:
        groups, borders = self._layout(stream)
        if start < 0 or length < 1 or start + length > borders[-1]:
            raise IndexError(f"{self.streams[stream].repo_id}: steps {start}-{start + length} of {borders[-1]}")
        dtype = np.int16 if 8 * self.max_code_point <= 1 << 15 else np.int32
        cells_TRC = np.empty((length, *self.geometry), dtype)
        action_T, phase_T = np.empty(length, np.int64), np.empty(length, np.uint8)
        number = int(np.searchsorted(borders, start, side="right")) - 1
        done = 0
        while done < length:
            group = groups[number]
            first = start + done - int(borders[number])
            part = slice(first, min(first + length - done, int(borders[number + 1] - borders[number])))
            cached = self._cached_group(group, part.stop)
            ids_TR, cells_NC = self._decode(group, cached.screens.slice(part.start, part.stop - part.start))
            here = slice(done, done + len(ids_TR))
            np.take(cells_NC, ids_TR, axis=0, out=cells_TRC[here], mode="clip")
            action_T[here], phase_T[here] = cached.action_U[part], cached.phase_U[part]
            done += len(ids_TR)
            number += 1
        return FilmWindow(cells_TRC, action_T, phase_T)

    def groups(self, stream: int) -> Iterator[DecodedGroup]:
        """Every row group of a stream, decoded, in order."""
        given = 0
        while True:
            try:
                for group in self._groups(stream, given):
                    given += len(group.action_U)
                    yield group
                return
            except MovedError as moved:
                self.warehouse.look_again(self.streams[stream].repo_id, moved)

    def _groups(self, stream: int, given: int) -> Iterator[DecodedGroup]:
        """The same, behind the first `given` steps or tokens."""
        groups, borders = self._layout(stream)
        for group, start, stop in zip(groups, borders[:-1], borders[1:], strict=True):
            if stop <= given:
                continue
            cached, rest = self._cached_group(group, int(stop - start)), slice(max(0, given - start), None)
            ids_UR, cells_NC = self._decode(group, cached.screens)
            yield DecodedGroup(ids_UR[rest], cells_NC, cached.action_U[rest], cached.phase_U[rest])

    def actions(self, segment: Segment) -> npt.NDArray[np.int64]:
        """Every action of a segment, without decoding its frames."""
        return self._reading(segment.stream, lambda _: self._actions(segment))

    def _actions(self, segment: Segment) -> npt.NDArray[np.int64]:
        groups, borders = self._layout(segment.stream)
        parts = []
        for number, group in enumerate(groups):
            low, high = max(segment.start, borders[number]), min(segment.stop, borders[number + 1])
            if low < high:
                action_U = self._keys(group)[0]
                parts.append(action_U[low - borders[number] : high - borders[number]])
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _reading(self, stream: int, read: Callable[[int], T]) -> T:
        """What `read` gives, wherever the stream's film has been packed meanwhile."""
        while True:
            try:
                return read(stream)
            except MovedError as moved:
                self.warehouse.look_again(self.streams[stream].repo_id, moved)

    def _layout(self, stream: int) -> Layout:
        """Where a stream lies now. Raises CorruptError where it is not divided into the tokens that it was."""
        groups = self.streams[stream].groups
        known = self._layouts.get(stream)
        if known is not None and known.groups is groups:
            return known
        if known is not None and [each.steps for each in known.groups] == [each.steps for each in groups]:
            layout = Layout(groups, known.borders)
        elif known is not None and self.tokenizer is not None:  # a token ends where its row group does
            raise CorruptError(
                f"{self.streams[stream].repo_id}: its row groups, and so its tokens, changed: start again"
            )
        else:
            layout = Layout(groups, np.concatenate([[0], np.cumsum([self._count(group) for group in groups])]))
        with self._lock:
            self._layouts[stream] = layout
            if self.tokenizer is None and len(self._layouts) > KEPT:
                self._layouts.popitem(last=False)
        return layout

    def _count(self, group: RowGroup) -> int:
        return group.steps if self.tokenizer is None else len(self._keys(group)[0])

    def _keys(self, group: RowGroup) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
        """Actions of a row group, and with a tokenizer the steps where they start."""
        action_T = self.warehouse.read(group, ["action"]).column("action").to_numpy()
        if self.tokenizer is None:
            return action_T.astype(np.int64), None
        return self.tokenizer.encode(action_T.astype(np.uint8).tobytes())

    def _cached_group(self, group: RowGroup, steps: int) -> CachedGroup:
        """A row group's first `steps` steps or tokens, at least.

        While there is room, groups are read whole. Then only as far as needed, and whole where more is needed soon.
        """
        with self._lock:
            cached = self._cache.get(group)
            if cached is not None and len(cached.action_U) >= steps:
                self._cache.move_to_end(group)
                return cached
            whole = cached is not None or not self._full or self.tokenizer is not None
        read = self._read(group, None if whole else steps)
        with self._lock:
            cached = self._cache.pop(group, None)
            if cached is not None:
                self._cached_bytes -= cached.size
                read = max(read, cached, key=lambda one: len(one.action_U))  # another thread was here
            self._cache[group] = read
            self._cached_bytes += read.size
            while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
                _, old = self._cache.popitem(last=False)
                self._cached_bytes -= old.size
                self._full = True
        return read

    def _read(self, group: RowGroup, steps: int | None) -> CachedGroup:
        table = self.warehouse.read(group, COLUMNS, steps)
        action_U, phase_U = (table.column(name).to_numpy().astype(np.uint8) for name in ("action", "phase"))
        screens = table.select(("style", "cursor_row", "cursor_col")).combine_chunks()
        screens = screens.append_column("frame", compact_frames(table.column("frame")))
        if self.tokenizer is None:
            return CachedGroup(screens, action_U, phase_U)
        token_U, start_U = self.tokenizer.encode(action_U.tobytes())
        smallest = np.min_scalar_type(len(self.tokenizer))
        return CachedGroup(screens.take(start_U), token_U.astype(smallest), phase_U[start_U])

    def _decode(self, group: RowGroup, screens: pa.Table) -> tuple[npt.NDArray[np.int32], Array]:
        try:
            return decode_cells(screens, self.geometry, self.max_code_point)
        except CorruptError as error:
            raise CorruptError(f"{self.warehouse.root}/{group.path}: row group {group.row_group}: {error}") from error
