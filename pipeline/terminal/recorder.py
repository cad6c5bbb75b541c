"""Writes film while keys are played: what changed on the screen, and when.

Between keys only the changed rows are noted, as (step, row, number in the RowTable). The frame of step t is the screen
*before* key t, so a key's effect is noted for step t + 1.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.film.frames import Changes, Film, RowTable
from schema.geometry import Geometry
from schema.screen import Runs, Screen

MEMORY = 1 << 24  # units of the lines whose drawing is remembered
# an array takes a slice of another one much faster than a list or a range
_RAMP = array("i", np.arange(1 << 19, dtype="i").tobytes())
_RAMP_H = array("h", np.arange(1 << 15, dtype="h").tobytes())


def _ramp(start: int, stop: int) -> "array[int]":
    return _RAMP[start:stop] if stop < len(_RAMP) else array("i", range(start, stop))


def typed_at_end(line: str, column: int, part: str) -> list[str]:
    """What a row shows after each character of `part` is typed at the end of a line; `line` is the whole row then."""
    rows = [line[:k] for k in range(column + 1, column + len(part) + 1)]
    space = part.find(" ")
    if space == 0:
        rows[0] = rows[0].rstrip(" ")
        space = part.find(" ", 1)
    while space > 0:  # a space at the end of a row shows nothing new
        rows[space] = rows[space - 1]
        space = part.find(" ", space + 1)
    return rows


class Recorder:
    """The screen as it is now, and the film since the last `cut`.

    `t` counts keys since the last cut, `now` holds one RowTable number a row, (`y`, `x`) is the cursor. `lines` is for
    whoever draws: lines of text, by what they are, to the number of the row that shows them from their start;
    `remembered` counts their units.
    """

    __slots__ = (
        "table", "rows", "cols", "lines", "remembered", "now", "y", "x", "t",
        "_step", "_row", "_number", "_cursor_y", "_cursor_x", "phase",
    )  # fmt: skip

    def __init__(self, geometry: Geometry, screen: Screen) -> None:
        self.rows, self.cols = geometry
        self.table = RowTable()
        self.now = [self.table.intern(*row) for row in zip(screen.texts, screen.runs, strict=True)]
        self.y, self.x = screen.cursor_row, screen.cursor_col
        self.lines: dict[str, int] = {}
        self.remembered = 0
        self._start()

    def _start(self) -> None:
        self.t = 0
        self._step, self._row = array("i", bytes(4 * self.rows)), _RAMP_H[: self.rows]
        self._number = array("i", self.now)
        self._cursor_y, self._cursor_x = array("h"), array("h")
        self.phase = bytearray()

    def key(self, phase: int) -> None:
        """One key is pressed on the screen as it is."""
        self._cursor_y.append(self.y)
        self._cursor_x.append(self.x)
        self.phase.append(phase)
        self.t += 1

    def keys(self, count: int, phase: int) -> None:
        """`count` keys are pressed that change nothing."""
        self._cursor_y += array("h", (self.y,)) * count
        self._cursor_x += array("h", (self.x,)) * count
        self.phase += bytes((phase,)) * count
        self.t += count

    def put(self, row: int, number: int) -> None:
        """Screen row `row` now shows row `number`."""
        if self.now[row] != number:
            self.now[row] = number
            self._step.append(self.t)
            self._row.append(row)
            self._number.append(number)

    def put_from(self, row: int, numbers: list[int]) -> None:
        """Screen rows from `row` on now show `numbers`."""
        count = len(numbers)
        self.now[row : row + count] = numbers
        self._step += array("i", (self.t,)) * count
        self._row += _RAMP_H[row : row + count]
        self._number += array("i", numbers)

    def run(self, phase: int, row: int, texts: list[str], column: int, runs: Runs = ()) -> None:
        """len(texts) keys, each of which changes only row `row`, to texts[k] in style `runs`, and the cursor's column.

        The cursor is in column `column` + k before key k.
        """
        count = len(texts)
        number = self.table.extend(texts, runs)
        t = self.t
        self._cursor_y += array("h", (self.y,)) * count
        self._cursor_x += _RAMP_H[column : column + count]
        self.phase += bytes((phase,)) * count
        self._step += _ramp(t + 1, t + 1 + count)
        self._row += array("h", (row,)) * count
        self._number += _ramp(number, number + count)
        self.now[row] = number + count - 1
        self.x = column + count
        self.t = t + count

    def moves(self, phase: int, rows: Sequence[int], columns: Sequence[int]) -> None:
        """len(rows) keys that move the cursor alone: key k to row rows[k], column columns[k]."""
        self._cursor_y += array("h", (self.y, *rows[:-1]))
        self._cursor_x += array("h", (self.x, *columns[:-1]))
        self.phase += bytes((phase,)) * len(rows)
        self.y, self.x = rows[-1], columns[-1]
        self.t += len(rows)

    def redraws(self, phase: int, row: int, texts: list[str], columns: Sequence[int], runs: Runs = ()) -> None:
        """len(texts) keys: key k makes row `row` texts[k] in style `runs`, and puts the cursor in column columns[k]."""
        x = self.x
        self.run(phase, row, texts, x, runs)
        self._cursor_x[-len(texts) :] = array("h", (x, *columns[:-1]))
        self.x = columns[-1]

    def remember(self, lines: dict[str, int], text: str, number: int, every: Iterable[dict[str, int]]) -> None:
        """Note in `lines` which row shows a line; `every` is emptied when the lines remembered get many or long."""
        self.remembered += len(text)
        if self.remembered > MEMORY:
            self.remembered = len(text)
            for each in every:
                each.clear()
        lines[text] = number

    def scroll(self, number: int) -> None:
        """The whole screen moves up by one; the last row shows `number`."""
        self.put_from(0, [*self.now[1:], number])

    def cut(self, keys: bytes) -> Film:
        """The film of `keys`, pressed since the last cut; [T, rows]. Starts the next one."""
        assert self.t == len(keys) == len(self.phase)
        step_C = np.frombuffer(self._step, np.int32)
        shown = slice(int(np.searchsorted(step_C, self.t)))  # what changed behind the last key is on none of its frames
        row_C, number_C = np.frombuffer(self._row, np.int16), np.frombuffer(self._number, np.int32)
        film = Film(
            changes=Changes(step_C[shown], row_C[shown], number_C[shown], self.t, self.rows),
            cursor_row_T=np.frombuffer(self._cursor_y, np.int16),
            cursor_col_T=np.frombuffer(self._cursor_x, np.int16),
            action_T=np.frombuffer(keys, np.uint8),
            phase_T=np.frombuffer(bytes(self.phase), np.uint8),
        )
        self._start()
        return film

    def screen(self) -> Screen:
        """The screen as it is now, free of the table."""
        return Screen(
            tuple([self.table.texts[n] for n in self.now]),
            tuple([self.table.runs.get(n, ()) for n in self.now]),
            self.y,
            self.x,
        )

    def forget_rows(self) -> None:
        """Start a new RowTable, right after a cut: memory stays bounded, numbers start again."""
        assert self.t == 0
        screen = self.screen()
        self.table = RowTable()
        self.lines = {}
        self.remembered = 0
        self.now = [self.table.intern(*row) for row in zip(screen.texts, screen.runs, strict=True)]
        self._start()
