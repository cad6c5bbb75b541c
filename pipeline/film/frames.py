"""Film in memory: frames as indices into a growing table of distinct screen rows.

A frame is `rows` int32 (96 bytes at 24 rows, not 1,920 cells), so that a cursor move costs no new row and a typed
character costs one; and most frames differ from the one before in one row, so that frames are held as changes.
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


class Changes:
    """T frames of R screen rows, as C changes: from step `step_C` on, screen row `row_C` shows row `number_C`.

    They stand as they were drawn: steps never fall, every screen row has a change at step 0, and of several changes of
    one screen row at one step the last counts. `number_C` are numbers in the RowTable. Real film has 1.5 changes a
    step, and 24 or 48 rows.
    """

    def __init__(
        self,
        step_C: npt.NDArray[np.int32],
        row_C: npt.NDArray[np.int16],
        number_C: npt.NDArray[np.int32],
        steps: int,
        rows: int,
    ) -> None:
        self.step_C, self.row_C, self.number_C = step_C, row_C, number_C
        self.steps, self.rows = steps, rows

    @classmethod
    def of(cls, rows_TR: npt.NDArray[np.int32]) -> "Changes":
        """The changes of whole frames."""
        steps, rows = rows_TR.shape
        changed_TR = np.ones((steps, rows), np.bool_)
        changed_TR[1:] = rows_TR[1:] != rows_TR[:-1]
        step_C, row_C = np.nonzero(changed_TR)
        return cls(step_C.astype(np.int32), row_C.astype(np.int16), rows_TR[changed_TR], steps, rows)

    @cached_property
    def spans(self) -> "Spans":
        """The same frames, screen row by screen row."""
        order = np.argsort(self.row_C, kind="stable")  # 16 bits: numpy sorts those by radix
        step_S, number_S = self.step_C[order], self.number_C[order]
        start_S = self.row_C[order] * np.int32(self.steps) + step_S
        shown = np.ones(len(order), np.bool_)  # else it was drawn over before the next key
        np.not_equal(start_S[1:], start_S[:-1], out=shown[:-1])
        return Spans(number_S[shown], start_S[shown], step_S[shown], self.steps, self.rows)

    def cut(self, start: int, stop: int) -> "Changes":
        """Those of steps [start, stop)."""
        first, last = np.searchsorted(self.step_C, [start, stop])
        step_C, row_C, number_C = self.step_C[first:last], self.row_C[first:last], self.number_C[first:last]
        if start:  # what the first frame shows already
            number_R = np.empty(self.rows, np.int32)
            number_R[self.row_C[:first]] = self.number_C[:first]  # of equal places the last is kept
            step_C = np.concatenate([np.zeros(self.rows, np.int32), step_C - np.int32(start)])
            row_C = np.concatenate([np.arange(self.rows, dtype=np.int16), row_C])
            number_C = np.concatenate([number_R, number_C])
        return Changes(step_C, row_C, number_C, stop - start, self.rows)

    @staticmethod
    def joined(parts: "Sequence[Changes]") -> "Changes":
        """Frames one after the other, as one."""
        if len(parts) == 1:
            return parts[0]
        before = np.cumsum([0, *(part.steps for part in parts)], dtype=np.int32)
        return Changes(
            np.concatenate([part.step_C + base for part, base in zip(parts, before, strict=False)]),
            np.concatenate([part.row_C for part in parts]),
            np.concatenate([part.number_C for part in parts]),
            int(before[-1]),
            parts[0].rows,
        )


class Spans:
    """T frames of R screen rows, as S spans of steps in which a screen row goes on showing the same row.

    `number_S` are numbers in the RowTable, `step_S` where each span starts. `start_S`, rising, says the same when the
    frames are laid out screen row by screen row: screen row * T + step.
    """

    def __init__(
        self,
        number_S: npt.NDArray[np.int32],
        start_S: npt.NDArray[np.int32],
        step_S: npt.NDArray[np.int32],
        steps: int,
        rows: int,
    ) -> None:
        self.number_S, self.start_S, self.step_S = number_S, start_S, step_S
        self.steps, self.rows = steps, rows

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
        step_S = self.step_S.astype(np.int16) if self.steps < 1 << 15 else self.step_S  # by radix, if 16 bits hold them
        read: npt.NDArray[np.int32] = self.number_S[np.argsort(step_S, kind="stable")]
        return read


class Film(NamedTuple):
    """T consecutive steps: the screen before each key, and the key."""

    changes: Changes  # of what the screen's rows show
    cursor_row_T: npt.NDArray[np.int16]
    cursor_col_T: npt.NDArray[np.int16]
    action_T: npt.NDArray[np.uint8]
    phase_T: npt.NDArray[np.uint8]

    @property
    def frames(self) -> npt.NDArray[np.int32]:
        """Numbers in the RowTable [T, rows]: each frame, whole."""
        return self.changes.spans.frames
