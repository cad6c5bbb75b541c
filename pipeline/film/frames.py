"""Film in memory: frames as indices into a growing table of distinct screen rows.

A frame is `rows` int32 (96 bytes at 24 rows, not 1,920 cells), so that a cursor move costs no new row and a typed
character costs one; and most frames differ from the one before in one row, so that frames are held as spans.
"""

from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schema.screen import Runs


class RowTable:
    """Screen rows, numbered in the order they were first drawn.

    `texts[i]` is the row's text (right-trimmed; a wide character is one character, a combining mark follows what it is
    on and takes no cell), `runs[i]` its style runs, if it has any; `styled` are the numbers of those that do, rising.
    The same text in another style is another row. Rows with one number are equal; equal rows may have two, since those
    that a run of typed text passes through are not looked up (`pipeline.film.arrow` finds them).
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.runs: dict[int, Runs] = {}
        self.styled = array("i")
        self.index: dict[str | tuple[str, Runs], int] = {}  # a plain row's key is its text alone
        self.intern("")

    def intern(self, text: str, runs: Runs = ()) -> int:
        """The row's number; a new one if it was never drawn."""
        key = (text, runs) if runs else text
        number = self.index.get(key)
        if number is None:
            number = self.index[key] = len(self.texts)
            self.texts.append(text)
            if runs:
                self.runs[number] = runs
                self.styled.append(number)
        return number

    def extend(self, texts: list[str], runs: Runs = ()) -> int:
        """Append the rows that a run of typed text passes through, all in one style; return the first one's number.

        Looking each of them up costs more than drawing it, and hardly one was ever shown before: only the last, which
        stays on the screen, can be found again by `intern`.
        """
        start = len(self.texts)
        self.texts += texts
        self.index.setdefault((texts[-1], runs) if runs else texts[-1], len(self.texts) - 1)
        if runs:
            numbers = range(start, len(self.texts))
            self.runs.update(dict.fromkeys(numbers, runs))
            self.styled.extend(numbers)
        return start

    def row(self, number: int) -> tuple[str, Runs]:
        """(text, style runs) of one row."""
        return self.texts[number], self.runs.get(number, ())

    def __len__(self) -> int:
        return len(self.texts)


class Spans:
    """T frames of R screen rows, as S spans of steps in which a screen row goes on showing the same row.

    `number_S` are numbers in the RowTable. `start_S`, rising, says where each span starts when the frames are laid out
    screen row by screen row: at screen row * T + step. Real film has 1.5 spans a step, and 24 or 48 rows.
    """

    def __init__(self, number_S: npt.NDArray[np.int32], start_S: npt.NDArray[np.int32], steps: int, rows: int) -> None:
        self.number_S, self.start_S = number_S, start_S
        self.steps, self.rows = steps, rows

    @classmethod
    def of(cls, rows_TR: npt.NDArray[np.int32]) -> "Spans":
        """The spans of whole frames."""
        steps, rows = rows_TR.shape
        numbers = rows_TR.T.ravel()
        starts = np.ones((rows, steps), np.bool_)
        starts[:, 1:] = (rows_TR[1:] != rows_TR[:-1]).T
        start_S = np.flatnonzero(starts).astype(np.int32)
        return cls(numbers[start_S], start_S, steps, rows)

    @cached_property
    def frames(self) -> npt.NDArray[np.int32]:
        """Whole frames: the number of the row that each screen row shows at each step."""
        return self.spread(self.number_S)

    def spread(self, value_S: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """A value for each span -> one for each step and screen row [T, R]."""
        length_S = np.diff(self.start_S, append=self.steps * self.rows)
        return np.ascontiguousarray(np.repeat(value_S, length_S).reshape(self.rows, self.steps).T)

    def as_read(self) -> npt.NDArray[np.int32]:
        """Their numbers in the order in which they come on the screen: frame by frame, row by row."""
        row_S, step_S = np.divmod(self.start_S, self.steps)
        read: npt.NDArray[np.int32] = self.number_S[np.argsort(step_S * np.int32(self.rows) + row_S)]
        return read

    def cut(self, start: int, stop: int) -> "Spans":
        """Those of steps [start, stop)."""
        row_S, step_S = np.divmod(self.start_S, self.steps)
        end_S = np.append(self.start_S[1:], self.steps * self.rows) - row_S * self.steps
        kept = (step_S < stop) & (end_S > start)
        count = stop - start
        start_S = row_S[kept] * np.int32(count) + (np.maximum(step_S[kept], start) - start)
        return Spans(self.number_S[kept], start_S.astype(np.int32), count, self.rows)

    @staticmethod
    def joined(parts: "Sequence[Spans]") -> "Spans":
        """Frames one after the other, as one."""
        if len(parts) == 1:
            return parts[0]
        places = [np.divmod(part.start_S, part.steps) for part in parts]
        row_S = np.concatenate([row for row, _ in places])
        before = np.cumsum([0, *(part.steps for part in parts)], dtype=np.int32)
        step_S = np.concatenate([step + base for (_, step), base in zip(places, before, strict=False)])
        order = np.argsort(row_S.astype(np.int16), kind="stable")  # 16 bits: numpy sorts those by radix
        start_S = row_S[order] * before[-1] + step_S[order]
        number_S = np.concatenate([part.number_S for part in parts])[order]
        return Spans(number_S, start_S, int(before[-1]), parts[0].rows)


class Film(NamedTuple):
    """T consecutive steps: the screen before each key, and the key."""

    spans: Spans  # what the screen's rows show
    cursor_row_T: npt.NDArray[np.int16]
    cursor_col_T: npt.NDArray[np.int16]
    action_T: npt.NDArray[np.uint8]
    phase_T: npt.NDArray[np.uint8]

    @property
    def frames(self) -> npt.NDArray[np.int32]:
        """Numbers in the RowTable [T, rows]: each frame, whole."""
        return self.spans.frames
