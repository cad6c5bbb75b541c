"""One line of text as vim draws it: which cells, in which style, cut to the window.

A line is a `str` of *units*: a code point each; a stand-in for one with combining marks (pipeline.text.clusters); a
lone surrogate U+DC80-DCFF for a byte that is not valid UTF-8 (Python's surrogateescape), which vim shows as `<xx>`.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import Any

from pipeline.text.clusters import DRAWN, bases, is_drawable, is_stand_in, unfold
from pipeline.text.shared import shared_start
from schema.geometry import Style
from schema.screen import Runs
from schema.widths import CLASS, COMPOSING

TAB_STOP = 8
LONG = 4096  # units above which no more of a line is looked at, for a key or a comparison, than must be
BOLD = int(Style.BOLD)

# Valid UTF-8 to vim, not to Unicode: overlong forms, surrogates, beyond U+10FFFF.
_ODD_UTF8 = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xed[\xa0-\xbf][\x80-\xbf]"
    rb"|\xf0[\x80-\x8f][\x80-\xbf]{2}|\xf4[\x90-\xbf][\x80-\xbf]{2}"
    rb"|[\xf5-\xf7][\x80-\xbf]{3}|[\xf8-\xfb][\x80-\xbf]{4}|[\xfc-\xfd][\x80-\xbf]{5}"
)


def has_odd_utf8(content: bytes) -> bool:
    """Whether vim would read characters here that Unicode does not have."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _ODD_UTF8.search(content) is not None
    return False


def has_odd_marks(content: bytes) -> bool:
    """Whether there are combining marks that are not drawn as vim does; see `clusters.is_drawable`."""
    return not content.isascii() and not is_drawable(content.decode("utf-8", "surrogateescape"))


@lru_cache(maxsize=1 << 14)
def glyph(unit: str) -> tuple[str, int, bool]:
    """(what is drawn, its width in cells, whether it is bold) of one unit of a line that is not a tab."""
    if is_stand_in(unit):
        return unfold(unit)[: 1 + DRAWN], int(CLASS[ord(bases(unit))]), False
    return letter(unit)


@lru_cache(maxsize=1 << 14)
def letter(unit: str) -> tuple[str, int, bool]:
    """As `glyph`, of one code point of a text that has no stand-ins: a name, a message, a row."""
    code = ord(unit)
    if code < 0x20:
        return "^" + chr(code + 64), 2, True
    if code == 0x7F:
        return "^?", 2, True
    if 0xDC80 <= code <= 0xDCFF:
        return f"<{code - 0xDC00:02x}>", 4, True
    kind = int(CLASS[code])
    if kind == 3:
        text = f"<{code:02x}>" if code < 0x100 else f"<{code:04x}>"
        return text, len(text), True
    return unit, kind, False


class Widths(dict[str, int]):
    """Cells of each ordinary character, one that is drawn as it is in one cell or two; 0 for all others.

    `drawn`: how an editor draws a unit that is no tab: what is drawn, its cells, whether it is bold. Filled as asked.
    """

    def __init__(self, drawn: Callable[[str], tuple[Any, ...]]) -> None:
        super().__init__({"\t": 0})
        self.drawn = drawn

    def __missing__(self, unit: str) -> int:
        text, width, *bold = self.drawn(unit)
        self[unit] = ordinary = width if text == unit and bold != [True] else 0
        return ordinary

    def within(self, line: str, at: int, column: int, edge: int) -> tuple[int, int]:
        """(index, column) behind the ordinary characters from index `at`, in cell `column`, that end by cell `edge`.

        20 times faster than looking at one after the other.
        """
        units = line[at : at + max(0, edge - column)]
        if units.isascii() and units.isprintable():
            return at + len(units), column + len(units)
        cells = list(map(self.__getitem__, units))
        if 0 in cells:
            del cells[cells.index(0) :]
        ends = list(accumulate(cells, initial=column))
        count = bisect_right(ends, edge) - 1
        return at + count, ends[count]


WIDTHS = Widths(lambda unit: glyph(unit))
DRAWN_WIDTHS = Widths(letter)  # of what is on the screen already, where no unit stands for others


def is_simple(line: str) -> bool:
    """Whether each unit is one plain cell, or a tab."""
    return line.isascii() and (line.isprintable() or line.replace("\t", "").isprintable())


class Simple:
    """Whether lines are simple (`is_simple`); that of the line asked about last is known.

    Who changes that line says what it is then, so that a long one is not read again for every key.
    """

    __slots__ = ("_answer", "_line")

    def __init__(self) -> None:
        self._line, self._answer = "", True

    def __call__(self, line: str) -> bool:
        if line is not self._line:
            self.note(line, is_simple(line))
        return self._answer

    def note(self, line: str, answer: bool) -> str:
        """Note whether a line is simple; returns the line."""
        self._line, self._answer = line, answer
        return line


def expanded(line: str, start: int = 0) -> str:
    """`line`, whose first unit is in cell `start` and which holds plain cells and tabs, with its tabs as spaces."""
    if "\t" not in line:
        return line
    before = start % TAB_STOP
    return (" " * before + line).expandtabs(TAB_STOP)[before:]


def display_column(line: str, end: int, start: int = 0, widths: Widths = WIDTHS) -> int:
    """Cells taken by the first `end` units of `line`, which starts in cell `start`, in the editor of `widths`."""
    head = line[:end]
    if head.isascii():
        if head.isprintable():
            return len(head)
        if not start and head.replace("\t", "").isprintable():
            return len(head.expandtabs(TAB_STOP))
    cells = list(map(widths.__getitem__, head))
    if 0 not in cells:
        return sum(cells)
    column = start
    for unit in head:
        column += TAB_STOP - column % TAB_STOP if unit == "\t" else widths.drawn(unit)[1]
    return column - start


class Ruler:
    """Measures lines from where it measured last, while what came before is the same: typing into a long line of tabs
    and wide characters would otherwise measure all of it anew for every key.
    """

    __slots__ = ("_column", "_head", "_widths")

    def __init__(self, widths: Widths = WIDTHS) -> None:
        self._widths = widths  # of the editor
        self._head = ""
        self._column = 0

    def column(self, line: str, end: int) -> int:
        """Cells taken by the first `end` units of `line`."""
        at = self._start(line)
        if at > end:
            at = self._back(end)
        self._column += display_column(line[at:end], end - at, self._column, self._widths)
        self._head = line[:end]
        return self._column

    def cover(self, line: str, column: int) -> tuple[int, int]:
        """(index, first cell) of the unit that covers `column`; those of the line's end where none does."""
        at = self._start(line)
        if self._column > column:
            at = self._back(0)
        start = at
        at, self._column = self._widths.within(line, at, self._column, column)
        while at < len(line):
            width = display_column(line[at], 1, self._column, self._widths)
            if self._column + width > column:
                break
            self._column += width
            at += 1
        if at != start or at != len(self._head):
            self._head = line[:at]
        return at, self._column

    def _start(self, line: str) -> int:
        """Units of `line` that are measured already."""
        if line.startswith(self._head):
            return len(self._head)
        return self._back(shared_start(line, self._head, min(len(line), len(self._head))))

    def _back(self, end: int) -> int:
        """Forget what is measured behind the first `end` units; return how many are measured still: `end`, or none.

        None where a tab is among what is forgotten: how wide it was is not known any more.
        """
        behind = self._head[end:]
        if len(behind) > end or "\t" in behind:
            self._head, self._column = "", 0
        else:
            self._head = self._head[:end]
            self._column -= display_column(behind, len(behind), widths=self._widths)
        return len(self._head)


def unit_cells(line: str, at: int, start: int) -> int:
    """Cells of the unit at index `at`, which starts in cell `start`; 1 past the end of the line."""
    if at >= len(line):
        return 1
    unit = line[at]
    return TAB_STOP - start % TAB_STOP if unit == "\t" else glyph(unit)[1]


def draw(line: str, left: int, cols: int, cover: tuple[int, int] = (0, 0)) -> tuple[str, Runs]:
    """(text, style runs) of `line` in a window of `cols` cells whose first column is `left`.

    `cover`: index and first cell of a unit that starts at `left` or before, if it is known. What a line holds behind
    the window is not looked at.
    """
    at, column = cover
    hidden = left - column  # cells
    near = line[at : at + hidden + cols]
    if is_simple(near):
        return expanded(near, column)[hidden : hidden + cols].rstrip(" "), ()
    if near.endswith("\r") and at + len(near) == len(line) and is_simple(near[:-1]):  # a line of a CRLF file
        text = expanded(near[:-1], column)
        x = len(text) - hidden
        if 0 <= x <= cols - 2:
            return text[hidden:] + "^M", ((x, 2, BOLD),)
    out: list[str] = []
    runs: list[tuple[int, int, int]] = []
    edge, shift = left + cols, 0
    while at < len(line):
        if column >= left and not shift:
            ordinary, column = WIDTHS.within(line, at, column, edge)
            out.append(line[at:ordinary])
            at = ordinary
            if at == len(line):
                break
        unit, at = line[at], at + 1
        if unit == "\t":
            text, width, bold = "", TAB_STOP - column % TAB_STOP, False
        else:
            text, width, bold = glyph(unit)
        start, column = column, column + width
        if column <= left:
            continue
        x = max(start, left) - left + shift
        if x >= cols:
            break
        if unit == "\t":
            out.append(" " * min(column - max(start, left), cols - x))
        elif bold:
            if start < left and width == 2:
                shift += 1  # a control character cut at the left edge is drawn whole
                shown = text[: cols - x]
            else:
                shown = text[max(0, left - start) :][: cols - x]
            out.append(shown)
            if runs and runs[-1][0] + runs[-1][1] == x:
                runs[-1] = (runs[-1][0], runs[-1][1] + len(shown), BOLD)
            else:
                runs.append((x, len(shown), BOLD))
        elif start < left:
            out.append("<")
            runs.append((x, 1, BOLD))  # nothing is drawn before it
        elif x + width > cols:
            out.append(">")
            if runs and runs[-1][0] + runs[-1][1] == x:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, BOLD)
            else:
                runs.append((x, 1, BOLD))
        else:
            out.append(text)
        if column + shift >= edge:
            break
    return "".join(out).rstrip(" "), tuple(runs)


def is_shifted(line: str, left: int, cover: tuple[int, int]) -> bool:
    """Whether wide text is drawn one cell to the right of where vim's cursor goes. `cover`: of column `left`.

    A control character cut at the window's left edge is drawn whole. Changing wide text behind it, vim then writes
    the second half of a character.
    """
    at, column = cover
    if at == len(line) or column != left - 1 or line[at] == "\t" or glyph(line[at])[1:] != (2, True):
        return False
    return any(width == 2 and not bold for _, width, bold in map(glyph, set(line) - {"\t"}))


def cut_left(text: str, room: int) -> str:
    """`text`, unit by unit from the left, dropped until it is narrower than `room` cells."""
    width = sum(letter(unit)[1] for unit in text)
    n = 0
    while width >= room:
        width -= 1 if text[n].isascii() else letter(text[n])[1]  # so does vim, for `^X` too
        n += 1
    while n and n < len(text) and CLASS[ord(text[n])] == COMPOSING:
        n += 1  # what is composed with the last one goes with it
    return text[n:]


def printable(text: str) -> str:
    """`text` as vim shows it in messages and the status line: `^X` and `<xx>` spelt out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter(unit)[0] for unit in text)


def bold_glyphs(text: str) -> Runs:
    """Where `printable(text)` holds a bold `^X` or `<xx>`."""
    runs: list[tuple[int, int, int]] = []
    column = 0
    if not (text.isascii() and text.isprintable()):
        for unit in text:
            _, width, bold = letter(unit)
            if bold and runs and sum(runs[-1][:2]) == column:
                runs[-1] = (runs[-1][0], runs[-1][1] + width, BOLD)
            elif bold:
                runs.append((column, width, BOLD))
            column += width
    return tuple(runs)


def cell_count(text: str) -> int:
    """Cells of text that holds no tab."""
    if text.isascii():
        return len(text)
    cells = list(map(DRAWN_WIDTHS.__getitem__, text))
    return sum(letter(unit)[1] for unit in text) if 0 in cells else sum(cells)
