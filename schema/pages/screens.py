"""Terminal screens as the data that screen.js draws: distinct rows once, and what changes from screen to screen."""

from collections.abc import Iterable
from typing import Any

from schema.screen import Runs, Screen, row_cells, safe


def screens_data(screens: Iterable[Screen]) -> dict[str, Any]:
    """Consecutive screens, of one size, for JSON.

    `rows`: every distinct row, in order of its first appearance; see `row_data`.
    `changes`: for each screen the number of rows that differ from the screen before (the first: from rows numbered -1),
    then for each of these its place and its number in `rows`. `cursors`: row and column of each screen's cursor.
    """
    numbers: dict[tuple[str, Runs], int] = {}
    changes: list[int] = []
    cursors: list[int] = []
    before: Screen | None = None
    for now in screens:
        at = len(changes)
        changes.append(0)
        for place, row in enumerate(zip(now.texts, now.runs, strict=True)):
            if before is None or row[0] != before.texts[place] or row[1] != before.runs[place]:
                changes[at] += 1
                changes += (place, numbers.setdefault(row, len(numbers)))
        cursors += (now.cursor_row, now.cursor_col)
        before = now
    return {"rows": [row_data(*row) for row in numbers], "changes": changes, "cursors": cursors}


def row_data(text: str, runs: Runs) -> Any:
    """One row: its text where that is plain and ASCII; else [text, or its cells, and its style runs end to end].

    >>> row_data("ab", ()), row_data("a漢", ((0, 1, 1),))
    ('ab', [['a', '漢', ''], [0, 1, 1]])
    """
    shown: str | list[str] = safe(text)
    if not text.isascii():
        shown = row_cells(safe(text))
    flat = [number for run in runs for number in run]
    return shown if isinstance(shown, str) and not flat else [shown, flat]
