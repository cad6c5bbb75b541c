"""Film in memory: frames as indices into a growing table of distinct screen rows.

A frame is `rows` int32 (96 bytes at 24 rows, not 1,920 cells), so that a cursor move costs no new row and a typed
character costs one.
"""

from array import array
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


class Film(NamedTuple):
    """T consecutive steps: the screen before each key, and the key."""

    rows_TR: npt.NDArray[np.int32]  # [T, rows] numbers in the RowTable
    cursor_row_T: npt.NDArray[np.int16]
    cursor_col_T: npt.NDArray[np.int16]
    action_T: npt.NDArray[np.uint8]
    phase_T: npt.NDArray[np.uint8]
