"""Film -> Arrow columns of `steps`, one row group at a time, with no Python work per frame.

Rows that a group shows are marked, numbered in order of first appearance and spread over their spans, so that a
group's bytes depend on its frames alone: not on how the RowTable grew, nor on how the film was cut into pieces.

Suffixes: T steps, R screen rows, S spans, U rows that are used, N rows of the tables.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.film.frames import Changes, Film, RowTable, Spans
from schema.columns import FRAME, STYLE, STYLE_RUN
from schema.decode import style_ids, text_ids
from schema.screen import Runs

Ints = npt.NDArray[Any]


class Piece(NamedTuple):
    """Consecutive steps whose rows are numbered in one table. `episode_T` int32; the rest as in Film."""

    table: RowTable
    film: Film
    episode_T: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.film.action_T)

    def cut(self, start: int, stop: int) -> "Piece":
        """Steps [start, stop)."""
        if start == 0 and stop >= len(self):
            return self
        stop = min(stop, len(self))
        f, part = self.film, slice(start, stop)
        film = Film(
            f.changes.cut(start, stop), f.cursor_row_T[part], f.cursor_col_T[part], f.action_T[part], f.phase_T[part]
        )
        return Piece(self.table, film, self.episode_T[start:stop])


def first_appearance(numbers: Ints, size: int) -> Ints:
    """Distinct values of `numbers` (all < `size`) in the order of their first appearance [U].

    >>> first_appearance(np.array([7, 2, 7, 5]), 8).tolist()
    [7, 2, 5]
    """
    first = np.empty(size, np.int32)  # never filled: only entries that were just written are read
    order = np.arange(numbers.size, dtype=np.int32)
    first[numbers[::-1]] = order[::-1]
    used: Ints = numbers[first[numbers] == order]
    return used


class Used(NamedTuple):
    """The rows that spans show, in order of their first appearance on the screen, read row by row.

    `number_U` as the spans have them, `texts` of them, `styled_U` whether they have style runs, `runs` of those.
    """

    number_U: Ints
    texts: list[str]
    styled_U: Ints
    runs: list[Runs]


def _gathered(pieces: Sequence[Piece]) -> tuple[Spans, list[RowTable]]:
    """The frames of all pieces as one, numbered through their tables, which follow one another."""
    tables: list[RowTable] = []
    size, parts = 0, []
    for piece in pieces:
        if not tables or piece.table is not tables[-1]:
            size += len(tables[-1]) if tables else 0
            tables.append(piece.table)
        own = piece.film.changes
        number_C = own.number_C + np.int32(size) if size else own.number_C
        parts.append(Changes(own.step_C, own.row_C, number_C, own.steps, own.rows))
    return Changes.joined(parts).spans, tables


def _used(spans: Spans, tables: Sequence[RowTable]) -> Used:
    number_U = first_appearance(spans.as_read(), sum(map(len, tables)))
    texts: list[str] = []
    runs: list[Runs] = []
    styled_parts, base = [], 0
    for table in tables:  # each one's rows stand together: its pieces do
        own = number_U[(number_U >= base) & (number_U < base + len(table))] - base
        texts += map(table.texts.__getitem__, own.tolist())
        styled_N = np.zeros(len(table), np.bool_)
        styled_N[np.array(table.styled, np.int32)] = True
        styled_parts.append(styled_N[own])
        runs += map(table.runs.__getitem__, own[styled_parts[-1]].tolist())
        base += len(table)
    return Used(number_U, texts, np.concatenate(styled_parts), runs)


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
    spans, tables = _gathered(pieces)
    used = _used(spans, tables)
    steps, rows = spans.steps, spans.rows
    # one text in two styles, or in two tables, is one entry of the dictionary; hashing keeps the order
    text = pa.array(used.texts, pa.string()).dictionary_encode()
    text_U = text.indices.to_numpy()
    styled_U = used.styled_U
    # a used row's mark is its text's number, or ~k for the k-th row that has style runs
    mark_N = np.empty(sum(map(len, tables)), np.int32)
    mark_N[used.number_U] = np.where(styled_U, ~(np.cumsum(styled_U, dtype=np.int32) - 1), text_U)
    mark_TR = spans.spread(mark_N[spans.number_S])
    mark = mark_TR.ravel()
    styled = np.flatnonzero(mark < 0).astype(np.int32)
    styled_row = ~mark[styled]
    mark[styled] = text_U[styled_U][styled_row]
    style = _styles(used.runs, styled, styled_row, steps, rows)
    frame = pa.DictionaryArray.from_arrays(pa.array(mark), text.dictionary, safe=False)
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
    pairs = Changes.of(text_TR.astype(np.int64) * len(meanings) + style_TR)
    used = first_appearance(pairs.number_C, len(texts) * len(meanings))
    words, rowtable = texts.to_pylist(), RowTable()
    number_U = np.fromiter(
        (rowtable.intern(words[p // len(meanings)], meanings[p % len(meanings)]) for p in used.tolist()),
        np.int32,
        used.size,
    )
    remap = np.empty(len(texts) * len(meanings), np.int32)
    remap[used] = number_U
    film = Film(
        Changes(pairs.step_C, pairs.row_C, remap[pairs.number_C], pairs.steps, pairs.rows),
        *(chunk.column(n).to_numpy() for n in ("cursor_row", "cursor_col", "action", "phase")),
    )
    return Piece(rowtable, film, chunk.column("episode").to_numpy())
