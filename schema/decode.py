"""Arrow columns of `steps` -> numpy grids, decoding each distinct row once and spreading it with one `np.take`.

Suffixes: T steps, R screen rows, C screen columns, N distinct rows, S distinct styles of a row.
Read the columns with their dictionary (pyarrow does so on its own for gitreel's shards).

    table = pq.ParquetFile("00000.steps.parquet").read_row_group(0)
    grids = decode_frames(table, Geometry(24, 80), max_code_point=256)
    grids.codes_TRC[t, r, c]  # code point of a cell; 0 is the second cell of a wide character
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schema.errors import CorruptError
from schema.geometry import Geometry
from schema.widths import CELLS

Ints = npt.NDArray[Any]
BLANK = 0x20


class Grids(NamedTuple):
    """Whole screens. `codes_TRC` is uint8 when `max_code_point` <= 256, else uint32; `style_TRC` uint8."""

    codes_TRC: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
    style_TRC: npt.NDArray[np.uint8] | None
    cursor_row_T: npt.NDArray[np.int16]
    cursor_col_T: npt.NDArray[np.int16]


class Rows(NamedTuple):
    """Distinct screen rows and where they stand: the frames are `codes_NC[ids_TR]`.

    Two rows have one id exactly when text, style runs and cursor column (-1: cursor elsewhere) are equal.
    """

    ids_TR: npt.NDArray[np.int32]
    codes_NC: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
    style_NC: npt.NDArray[np.uint8]
    cursor_N: npt.NDArray[np.int16]


def decode_texts(texts: pa.Array, cols: int, max_code_point: int | None = None) -> Ints:
    """Rows of text -> code points [N, cols], blanks after the end.

    Wide characters take two cells, the second 0; combining marks take none and are left out. Code points from
    `max_code_point` up become `max_code_point - 1` (None: kept). uint8 when `max_code_point` <= 256, else uint32.
    Raises CorruptError for a row wider than the screen.
    """
    dtype = np.uint8 if max_code_point is not None and max_code_point <= 256 else np.uint32
    texts = texts.cast(pa.string())
    count = len(texts)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1]
    data = texts.buffers()[2]
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data else np.empty(0, np.uint8)
    codes = np.full(count * cols, BLANK, dtype)
    if raw.size == 0 or raw.max() < 0x80:
        points, length_N = raw, np.diff(offsets)
        width_N, cells = length_N, None
    else:
        points = np.frombuffer(raw.tobytes().decode().encode("utf-32-le"), np.uint32)
        length_N = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        cells = CELLS[points].astype(np.int64)
        total = np.concatenate([[0], np.cumsum(cells)])
        end_N = np.cumsum(length_N)
        width_N = total[end_N] - total[end_N - length_N]
    if count and width_N.max(initial=0) > cols:
        raise CorruptError(
            f"frame: a row of {width_N.max()} cells on a screen of {cols}; "
            "check the shards: python -m pipeline.warehouse verify"
        )
    start_N = np.arange(count, dtype=np.int64) * cols
    if cells is None:
        shift_N = start_N - (np.cumsum(length_N) - length_N)
        codes[np.arange(points.size) + np.repeat(shift_N, length_N)] = points
        if max_code_point is not None and max_code_point < 0x80:
            np.minimum(codes, max_code_point - 1, out=codes)
        return codes.reshape(count, cols)
    where = total[:-1] + np.repeat(start_N - total[end_N - length_N], length_N)
    if not cells.all():  # a combining mark has no cell: its base is the cell's code point
        points, where, cells = points[cells > 0], where[cells > 0], cells[cells > 0]
    clamped = points if max_code_point is None else np.minimum(points, max_code_point - 1)
    codes[where] = clamped.astype(dtype)
    codes[where[cells == 2] + 1] = 0
    return codes.reshape(count, cols)


def _distinct(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Distinct keys in order of first appearance, and each key's number. Hashing: 10x np.unique, which sorts."""
    encoded = pa.array(keys).dictionary_encode()
    return encoded.dictionary.to_numpy(), encoded.indices.to_numpy()


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def text_ids(chunk: pa.Array, rows: int) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """One chunk of `frame` -> (numbers [T, rows], distinct texts [N]). Raises CorruptError on another height."""
    values = chunk.flatten()
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    numbers = values.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if numbers.size != len(chunk) * rows:
        raise CorruptError(
            f"frame: {numbers.size} rows in {len(chunk)} steps, not {rows} each; "
            "read the shard with its own geometry (rows and cols in its metadata)"
        )
    return numbers.reshape(len(chunk), rows), values.dictionary


def style_ids(chunk: pa.Array, rows: int) -> tuple[npt.NDArray[np.int32], list[tuple[tuple[int, int, int], ...]]]:
    """One chunk of `style` -> (style number of every row [T, rows], what each number means).

    Number 0 is plain; the others are tuples of (start, length, style) runs.
    """
    count = len(chunk)
    ids = np.zeros(count * rows, np.int32)
    runs = chunk.flatten()
    meanings: list[tuple[tuple[int, int, int], ...]] = [()]
    if len(runs) == 0:
        return ids.reshape(count, rows), meanings
    row, start, length, style = (runs.field(i).to_numpy(zero_copy_only=False).astype(np.int64) for i in range(4))
    lengths_T = pc.list_value_length(chunk).to_numpy(zero_copy_only=False)
    cell = np.repeat(np.arange(count, dtype=np.int64) * rows, lengths_T) + row
    keys, key = _distinct((start << 24) | (length << 8) | style)
    parts = [(int(k >> 24), int((k >> 8) & 0xFFFF), int(k & 0xFF)) for k in keys]
    new_row = np.empty(cell.size, np.bool_)
    new_row[0] = True
    np.not_equal(cell[1:], cell[:-1], out=new_row[1:])
    if new_row.all():  # nearly always: no row has two runs
        ids[cell] = key + 1
        return ids.reshape(count, rows), [*meanings, *((part,) for part in parts)]
    first = np.flatnonzero(new_row)
    nth = np.arange(cell.size) - np.repeat(first, np.diff(np.append(first, cell.size)))
    for depth in range(int(nth.max()) + 1):  # once per run of the busiest row, not per step
        here = np.flatnonzero(nth == depth)
        pair = ids[cell[here]].astype(np.int64) * len(keys) + key[here]
        distinct, inverse = _distinct(pair)
        base = len(meanings)
        meanings += [(*meanings[int(p) // len(keys)], parts[int(p) % len(keys)]) for p in distinct]
        ids[cell[here]] = base + inverse
    return ids.reshape(count, rows), meanings


def style_rows(meanings: list[tuple[tuple[int, int, int], ...]], cols: int) -> npt.NDArray[np.uint8]:
    """Style runs -> style of every cell [S, cols]."""
    styles = np.zeros((len(meanings), cols), np.uint8)
    for number, runs in enumerate(meanings):
        for start, length, style in runs:
            styles[number, start : start + length] = style
    return styles


def _spread(distinct_NC: Ints, ids_TR: npt.NDArray[np.int32], out_TRC: Ints) -> None:
    # mode="clip" lets numpy write straight into `out`; Arrow has already checked the indices
    np.take(distinct_NC, ids_TR, axis=0, out=out_TRC, mode="clip")


def decode_frames(
    table: pa.Table | pa.RecordBatch,
    geometry: Geometry,
    max_code_point: int | None = None,
    *,
    style: bool = True,
    out: Ints | None = None,
) -> Grids:
    """Columns frame, style, cursor_row and cursor_col of `table` -> Grids.

    `max_code_point`: as in `decode_texts`. `style=False` leaves the styles out (column not needed). `out`: an array
    [>= T, rows, cols] to write the code points to, so that a loop touches no new memory.
    Raises CorruptError, and ValueError for an `out` that does not fit.
    """
    rows, cols = geometry
    total = table.num_rows
    dtype = np.uint8 if max_code_point is not None and max_code_point <= 256 else np.uint32
    if out is not None and (out.dtype != dtype or out.shape[1:] != (rows, cols) or len(out) < total):
        raise ValueError(f"out: {out.dtype} {out.shape}, not {np.dtype(dtype)} with room for {(total, rows, cols)}")
    codes_TRC = np.empty((total, rows, cols), dtype) if out is None else out[:total]
    done = 0
    for chunk in _chunks(table.column("frame")):
        ids_TR, texts = text_ids(chunk, rows)
        _spread(decode_texts(texts, cols, max_code_point), ids_TR, codes_TRC[done : done + len(chunk)])
        done += len(chunk)
    style_TRC = None
    if style:
        style_TRC = np.zeros((total, rows, cols), np.uint8)
        done = 0
        for chunk in _chunks(table.column("style")):
            ids_TR, meanings = style_ids(chunk, rows)
            _spread(style_rows(meanings, cols), ids_TR, style_TRC[done : done + len(chunk)])
            done += len(chunk)
    return Grids(codes_TRC, style_TRC, *_cursors(table))


def _cursors(
    table: pa.Table | pa.RecordBatch,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    row_T, col_T = (table.column(name).to_numpy() for name in ("cursor_row", "cursor_col"))
    return row_T.astype(np.int16, copy=False), col_T.astype(np.int16, copy=False)


def decode_rows(table: pa.Table | pa.RecordBatch, geometry: Geometry, max_code_point: int | None = None) -> Rows:
    """Columns frame, style, cursor_row and cursor_col -> distinct rows and their ids, for work done once a row.

    No screen is built. Ids are dense: every one of 0..N-1 is used. Raises CorruptError.
    """
    rows, cols = geometry
    frame, style = pa.chunked_array(_chunks(table.column("frame"))), table.column("style")
    chunk = frame.unify_dictionaries().combine_chunks() if len(_chunks(frame)) > 1 else frame.chunk(0)
    text_TR, texts = text_ids(chunk, rows)
    runs = style.combine_chunks() if isinstance(style, pa.ChunkedArray) else style
    style_TR, meanings = style_ids(runs, rows)
    row_T, col_T = _cursors(table)
    plain_TR = text_TR.astype(np.int64) * len(meanings) + style_TR
    # the cursor's rows get numbers of their own, beyond all others
    steps = np.arange(len(row_T))
    cursor_key, cursor_id = _distinct(plain_TR[steps, row_T] * (cols + 1) + col_T)
    used = np.zeros(len(texts) * len(meanings), np.bool_)
    seen_TR = plain_TR.copy()
    seen_TR[steps, row_T] = seen_TR[steps, (row_T + 1) % rows]  # the cursor's own rows do not count as plain
    used[seen_TR.ravel()] = True
    plain_key = np.flatnonzero(used)
    dense = np.zeros(used.size, np.int32)
    dense[plain_key] = np.arange(plain_key.size)
    ids_TR = dense[seen_TR]
    ids_TR[steps, row_T] = plain_key.size + cursor_id
    pair_N = np.concatenate([plain_key, cursor_key // (cols + 1)])
    cursor_N = np.full(pair_N.size, -1, np.int16)
    cursor_N[plain_key.size :] = cursor_key % (cols + 1)
    text_N = pair_N // len(meanings)
    shown = np.zeros(len(texts), np.bool_)  # of a slice of a table, few texts of the dictionary
    shown[text_N] = True
    nth = np.cumsum(shown) - 1
    codes_NC = decode_texts(texts.filter(pa.array(shown)), cols, max_code_point)[nth[text_N]]
    return Rows(ids_TR, codes_NC, style_rows(meanings, cols)[pair_N % len(meanings)], cursor_N)
