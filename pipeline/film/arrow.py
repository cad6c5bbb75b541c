"""Film -> Arrow columns of `steps`, one row group at a time, with no Python work per frame.

Rows that a group shows are marked, numbered in order of first appearance and remapped by one `np.take`, so that a
group's bytes depend on its frames alone: not on how the RowTable grew, nor on how the film was cut into pieces.

Suffixes: T steps, R screen rows, U rows that are used, N rows of the table.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.film.frames import Film, RowTable
from schema.columns import FRAME, STYLE, STYLE_RUN
from schema.decode import style_ids, text_ids
from schema.screen import Runs

Ints = npt.NDArray[Any]
_STYLED = np.int32(-(2**31))


class Piece(NamedTuple):
    """Consecutive steps whose rows are numbered in one table. `episode_T` int32; the rest as in Film."""

    table: RowTable
    film: Film
    episode_T: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.film.action_T)

    def cut(self, start: int, stop: int) -> "Piece":
        """Steps [start, stop), no copy."""
        f, part = self.film, slice(start, stop)
        film = Film(f.rows_TR[part], f.cursor_row_T[part], f.cursor_col_T[part], f.action_T[part], f.phase_T[part])
        return Piece(self.table, film, self.episode_T[part])


def first_appearance(numbers_TR: Ints, size: int) -> Ints:
    """Distinct values of `numbers_TR` (all < `size`) in reading order of their first appearance [U].

    Only cells that differ from the frame before are looked at: nothing else can be new.

    >>> first_appearance(np.array([[7, 2], [7, 5]]), 8).tolist()
    [7, 2, 5]
    """
    changed = numbers_TR[1:][numbers_TR[1:] != numbers_TR[:-1]]
    fresh = np.concatenate([numbers_TR[0], changed])
    first = np.empty(size, np.int32)  # never filled: only entries that were just written are read
    order = np.arange(fresh.size, dtype=np.int32)
    first[fresh[::-1]] = order[::-1]
    used: Ints = fresh[first[fresh] == order]
    return used


def _film(films: Sequence[Film]) -> Film:
    """Films one after the other, as one."""
    rows, cursor_row, cursor_col, action, phase = (np.concatenate(c) for c in zip(*films, strict=True))
    return Film(rows, cursor_row, cursor_col, action, phase)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours over one table become one piece."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and groups[-1][0].table is piece.table:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [
        group[0]
        if len(group) == 1
        else Piece(
            group[0].table,
            _film([p.film for p in group]),
            np.concatenate([p.episode_T for p in group]),
        )
        for group in groups
    ]


def _styles(runs: Sequence[Runs], styled: Ints, row_U: Ints, steps: int, rows: int) -> pa.Array:
    """The `style` column. `runs`: of each styled row; `styled`: the places [T * rows] that show one, `row_U` which."""
    count_U = np.fromiter(map(len, runs), np.int32, len(runs))
    run_FK = np.array([run for of_row in runs for run in of_row], np.int16).reshape(-1, 3)
    first_U = np.cumsum(count_U, dtype=np.int32) - count_U
    step = styled // rows
    offsets = np.zeros(steps + 1, np.int32)
    np.cumsum(np.bincount(step, minlength=steps), out=offsets[1:])
    row, pick = (styled - step * rows).astype(np.int16), first_U[row_U]  # numpy's % is 5 times slower
    if count_U.max(initial=0) > 1:  # rarely: most styled rows are one run, a status row or a `~`
        repeat = count_U[row_U]
        ends = np.concatenate([[0], np.cumsum(repeat)])
        pick = np.arange(ends[-1]) + np.repeat(pick - ends[:-1], repeat)
        row, offsets = np.repeat(row, repeat), ends[offsets].astype(np.int32)
    start, length, style = np.ascontiguousarray(run_FK.T)
    columns = [row, start[pick], length[pick], style.astype(np.uint8)[pick]]
    flat = pa.StructArray.from_arrays([pa.array(c) for c in columns], fields=list(STYLE_RUN))
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=STYLE)


def row_group(repo_id: str, first_step: int, pieces: Sequence[Piece], schema: pa.Schema) -> pa.Table:
    """The `steps` table of consecutive pieces; `first_step` is the stream_step of the first."""
    pieces = _joined(pieces)
    used = [first_appearance(p.film.rows_TR, len(p.table)) for p in pieces]
    texts: list[str] = []
    runs: list[Runs] = []
    styled_parts = []
    for piece, used_U in zip(pieces, used, strict=True):
        texts += map(piece.table.texts.__getitem__, used_U.tolist())
        styled_N = np.zeros(len(piece.table), np.bool_)
        styled_N[np.array(piece.table.styled, np.int32)] = True
        styled_parts.append(styled_N[used_U])
        runs += map(piece.table.runs.__getitem__, used_U[styled_parts[-1]].tolist())
    # one text in two styles, or in two tables, is one entry of the dictionary; hashing keeps the order
    text = pa.array(texts, pa.string()).dictionary_encode()
    # rows used -> their text's number, its sign set when they have style runs: one `np.take` does for both columns
    styled_U = np.concatenate(styled_parts)
    number_U = np.cumsum(styled_U, dtype=np.int32) - 1  # among the rows that have style runs
    mark_U = np.where(styled_U, _STYLED, 0).astype(np.int32) | text.indices.to_numpy()
    steps, rows = sum(map(len, pieces)), pieces[0].film.rows_TR.shape[1]
    mark_TR = np.empty((steps, rows), np.int32)
    at, base, styled, styled_row = 0, 0, [], []
    for piece, used_U in zip(pieces, used, strict=True):
        local_N = np.empty(len(piece.table), np.int32)
        local_N[used_U] = number_U[base : base + used_U.size]
        mark_N = np.empty(len(piece.table), np.int32)
        mark_N[used_U] = mark_U[base : base + used_U.size]
        part_TR = mark_TR[at : at + len(piece)]
        np.take(mark_N, piece.film.rows_TR, out=part_TR, mode="clip")
        cells = np.flatnonzero(part_TR < 0).astype(np.int32)
        styled.append(cells + np.int32(at * rows))
        styled_row.append(local_N[piece.film.rows_TR.ravel()[cells]])
        at, base = at + len(piece), base + used_U.size
    style = _styles(runs, np.concatenate(styled), np.concatenate(styled_row), steps, rows)
    mark_TR &= ~_STYLED
    frame = pa.DictionaryArray.from_arrays(pa.array(mark_TR.ravel()), text.dictionary, safe=False)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(steps, np.int32)), [repo_id]),
        pa.array(np.arange(first_step, first_step + steps, dtype=np.int64)),
        pa.array(np.concatenate([p.episode_T for p in pieces])),
        pa.ListArray.from_arrays(pa.array(np.arange(0, (steps + 1) * rows, rows, dtype=np.int32)), frame, type=FRAME),
        style,
        *(pa.array(np.concatenate(c)) for c in zip(*(p.film[1:] for p in pieces), strict=True)),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def piece_of(table: pa.Table, rows: int) -> Piece:
    """The inverse of `row_group`: stored steps -> a piece over a table of its own."""
    chunk = table.combine_chunks()
    text_TR, texts = text_ids(chunk.column("frame").chunk(0), rows)
    style_TR, meanings = style_ids(chunk.column("style").chunk(0), rows)
    pair_TR = text_TR.astype(np.int64) * len(meanings) + style_TR
    used = first_appearance(pair_TR, len(texts) * len(meanings))
    words, rowtable = texts.to_pylist(), RowTable()
    number_U = np.fromiter(
        (rowtable.intern(words[p // len(meanings)], meanings[p % len(meanings)]) for p in used.tolist()),
        np.int32,
        used.size,
    )
    remap = np.empty(len(texts) * len(meanings), np.int32)
    remap[used] = number_U
    film = Film(
        remap[pair_TR],
        *(chunk.column(n).to_numpy() for n in ("cursor_row", "cursor_col", "action", "phase")),
    )
    return Piece(rowtable, film, chunk.column("episode").to_numpy())
