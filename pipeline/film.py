"""Film in memory: frames as indices into a growing table of distinct screen rows.

A frame is `rows` int32 (96 bytes at 24 rows, not 1,920 cells), so that a cursor move costs no new row and a typed
character costs one.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# style runs of one row, plain cells left out: (start, length, style), cells, by start
Runs = tuple[tuple[int, int, int], ...]


class RowTable:
    """Distinct screen rows, numbered in the order they were first drawn.

    `texts[i]` is the row's text (right-trimmed; a wide character is one character), `runs[i]` its style runs.
    The same text in another style is another row. Two drawn rows are equal if and only if their numbers are;
    some numbers are never used by a frame.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.runs: list[Runs] = []
        self.index: dict[str | tuple[str, Runs], int] = {}  # a plain row's key is its text alone
        self.intern("")

    def intern(self, text: str, runs: Runs = ()) -> int:
        """The row's number; a new one if it was never drawn."""
        key = (text, runs) if runs else text
        number = self.index.get(key)
        if number is None:
            number = self.index[key] = len(self.texts)
            self.texts.append(text)
            self.runs.append(runs)
        return number

    def intern_plain(self, texts: list[str]) -> list[int]:
        """The numbers of many plain rows at once."""
        start = len(self.texts)
        count = len(texts)
        # A row already known keeps its number and the one set aside for it is never used.
        numbers = list(map(self.index.setdefault, texts, range(start, start + count)))
        self.texts += texts
        self.runs += [()] * count
        return numbers

    def __len__(self) -> int:
        return len(self.texts)


class Screen(NamedTuple):
    """One screen, independent of any table: the resume point between episodes."""

    texts: tuple[str, ...]
    runs: tuple[Runs, ...]
    cursor_row: int
    cursor_col: int


class Film(NamedTuple):
    """T consecutive steps: the screen before each key, and the key."""

    rows_TR: npt.NDArray[np.int32]  # [T, rows] numbers in the RowTable
    cursor_row_T: npt.NDArray[np.int16]
    cursor_col_T: npt.NDArray[np.int16]
    action_T: npt.NDArray[np.uint8]
    phase_T: npt.NDArray[np.uint8]
