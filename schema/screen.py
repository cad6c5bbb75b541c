"""One screen: its rows as text, what is not plain, and the cursor. Style runs are grouped by row here alone."""

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from schema.widths import CLASS, COMPOSING, WIDE

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


def safe(text: str) -> str:
    """`text` with every control, format, surrogate and private character replaced by U+FFFD.

    Nothing that a terminal, or a page, could take for a command or a change of direction is left.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in text)


def row_cells(text: str) -> list[str]:
    """What each cell of a row shows: a character with the marks on it; the second cell of a wide one shows "".

    >>> row_cells("e\\u0301漢x")
    ['é', '漢', '', 'x']
    """
    if text.isascii():
        return list(text)
    cells: list[str] = []
    for unit in text:
        if not unit.isascii() and CLASS[ord(unit)] == COMPOSING and cells:
            cells[-1 if cells[-1] else -2] += unit
            continue
        cells.append(unit)
        if not unit.isascii() and CLASS[ord(unit)] == WIDE:
            cells.append("")
    return cells
