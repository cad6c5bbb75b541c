"""One screen: its rows as text, what is not plain, and the cursor. Style runs are grouped by row here alone."""

from collections.abc import Iterable
from typing import NamedTuple

# style runs of one row, plain cells left out: (start, length, style), cells, by start
Runs = tuple[tuple[int, int, int], ...]


class StyleRun(NamedTuple):
    """`length` cells of row `row` from column `start` drawn in `style` (schema.geometry.Style)."""

    row: int
    start: int
    length: int
    style: int


class Screen(NamedTuple):
    """What a terminal shows: right-trimmed rows, the style runs of each, and the cursor in cells from 0."""

    texts: tuple[str, ...]
    runs: tuple[Runs, ...]
    cursor_row: int
    cursor_col: int


def style_runs(runs: Iterable[Runs]) -> tuple[StyleRun, ...]:
    """Style runs of every row, top to bottom, as they are stored.

    >>> style_runs([(), ((0, 3, 1),)])
    (StyleRun(row=1, start=0, length=3, style=1),)
    """
    return tuple(StyleRun(row, *run) for row, found in enumerate(runs) for run in found)


def runs_by_row(runs: Iterable[StyleRun], rows: int) -> tuple[Runs, ...]:
    """The inverse of `style_runs` for a screen of `rows` rows."""
    grouped: list[list[tuple[int, int, int]]] = [[] for _ in range(rows)]
    for run in runs:
        grouped[run.row].append((run.start, run.length, run.style))
    return tuple(tuple(of_row) for of_row in grouped)
