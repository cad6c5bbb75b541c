"""Lines as nano holds, measures and draws them.

A line is a `str` of *units*, a code point each. A byte that is not valid UTF-8 is a lone surrogate U+DC80-DCFF
(Python's surrogateescape) and is shown as U+FFFD; NUL and a combining mark are units like others. Nothing is folded
here (pipeline.text.clusters).

Columns are cells from the line's start. A line that is wider than the screen is shown from its *page* on, which
depends on the cursor's column alone. Checked cell for cell against the real program (tests/oracle).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from pipeline.text.cells import TAB_STOP, Ruler, Widths, display_column, expanded, is_simple
from schema.errors import UnsupportedKeyError
from schema.geometry import Style
from schema.screen import Runs
from schema.widths import CLASS, COMPOSING, SHELL_SAFE

REPLACEMENT = "\ufffd"  # what a byte that is not UTF-8 is shown as
DRAWN_MARKS = 4  # combining marks that ncurses keeps in a cell
_REVERSE = int(Style.REVERSE)
_WORD = re.compile("[0-9A-Za-z]+")
_TO_WORD = re.compile("[0-9A-Za-z]*[^0-9A-Za-z]+(?=[0-9A-Za-z])")
# Marks to vim, from Unicode 15 on, to which Debian 12's C library gives a cell or none at all.
_NEWER_MARKS = (
    (0xECE, 0xECE), (0x10EFD, 0x10EFF), (0x11241, 0x11241), (0x11F00, 0x11F01), (0x11F36, 0x11F3A), (0x11F40, 0x11F40),
    (0x11F42, 0x11F42), (0x13440, 0x13440), (0x13447, 0x13455), (0x1E08F, 0x1E08F), (0x1E4EC, 0x1E4EF),
)  # fmt: skip


def split_units(content: bytes) -> list[str]:
    """The lines of a file: what stands between its newlines, so that a file that ends in one has an empty last line."""
    return content.decode("utf-8", "surrogateescape").split("\n")


def join_units(lines: list[str]) -> bytes:
    """The inverse of `split_units`."""
    return "\n".join(lines).encode("utf-8", "surrogateescape")


@lru_cache(maxsize=1 << 14)
def glyph(unit: str) -> tuple[str, int]:
    """(what is drawn, its width in cells) of one unit that is not a tab.

    Raises UnsupportedKeyError for a code point that the C library, which nano asks, and the film's readers give
    different widths: a byte order mark, a zero width space, half of a Hangul syllable.
    """
    code = ord(unit)
    if code < 0x20:
        return "^" + chr(code + 0x40), 2
    if code == 0x7F:
        return "^?", 2
    if 0x80 <= code < 0xA0:  # the second byte of a C1 control, less 0x20; the last one would be DEL
        return "^" + ("=" if code == 0x9F else chr(code - 0x20)), 2
    if 0xDC80 <= code <= 0xDCFF:
        return REPLACEMENT, 1
    if SHELL_SAFE[code]:
        return unit, int(CLASS[code])
    if CLASS[code] == COMPOSING and not any(first <= code <= last for first, last in _NEWER_MARKS):
        return unit, 0
    raise UnsupportedKeyError(f"nano: U+{code:04X} is not drawn: it is not clear how wide it is")


WIDTHS = Widths(glyph)


def column_of(line: str, end: int, start: int = 0) -> int:
    """As `cells.display_column`, in nano."""
    return display_column(line, end, start, WIDTHS)


class NanoRuler(Ruler):
    """Measures nano's lines from where it measured last (pipeline.text.cells)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(WIDTHS)

    def column(self, line: str, end: int) -> int:
        """Cells taken by the first `end` units of `line`.

        The bytes of a character that is being typed, a cell each, are about to change: what is before them is kept.
        """
        known = end
        while known and end - known < 3 and broken(line[known - 1]):
            known -= 1
        return super().column(line, known) + end - known


def unit_at(line: str, column: int) -> int:
    """The unit that covers `column`; the line's end if none does.

    >>> unit_at("a\\tb", 5), unit_at("ab", 5)
    (1, 2)
    """
    if (near := line[: column + 1]).isascii() and near.isprintable():
        return min(column, len(line))
    start, reached = WIDTHS.within(line, 0, 0, column)
    for at, unit in enumerate(line[start:], start):
        reached += TAB_STOP - reached % TAB_STOP if unit == "\t" else glyph(unit)[1]
        if reached > column:
            return at
    return len(line)


def page_start(column: int, cols: int) -> int:
    """The first column shown of a line in which the cursor is at `column`."""
    if column + 2 < cols:
        return 0
    return column - 6 - (column - 6) % (cols - 8)


def draw(line: str, page: int, cols: int, cover: tuple[int, int] = (0, 0)) -> tuple[str, Runs]:
    """(text, style runs) of `line` on a row of `cols` cells, from column `page` on.

    `cover`: index and first column of the unit that covers column `page`, where that is not the line's start.
    A reversed `<` or `>` stands in the first or last cell where the line goes on there. What a line holds further on
    is not looked at. Raises UnsupportedKeyError.
    """
    edge = page + cols
    at, start = cover
    near = line[at : at + edge - start + 2]
    if is_simple(near):
        wide = expanded(near, start)
        # a tab that reaches over the edge is shown whole: no more of the line is left then
        more = start + len(wide) > edge and (near[-1] != "\t" or start + len(expanded(near[:-1], start)) >= edge)
        if not (page or more):
            return wide[:cols].rstrip(" "), ()
        cells = [*wide[page - start : edge - start]]
        if more:
            cells[-1] = ">"
    elif line.endswith("\r") and not page and is_simple(line[:-1]) and column_of(line, len(line) - 1) + 2 <= cols:
        return line[:-1].expandtabs(TAB_STOP) + "^M", ()  # a line of a CRLF file
    else:
        cells, more = _cells(line, page, edge, cover)
    runs = []
    if page:
        cells[:1] = "<"
        runs.append((0, 1, _REVERSE))
    if more:
        runs.append((cols - 1, 1, _REVERSE))
    return "".join(cells).rstrip(" "), tuple(runs)


def _cells(line: str, page: int, edge: int, cover: tuple[int, int]) -> tuple[list[str], bool]:
    """(the characters of a row, each with its marks, `>` included; whether the line goes on behind them)."""
    at, start = cover
    while not page and at < len(line) and line[at] != "\t" and glyph(line[at])[1] == 0:
        at += 1  # marks before the first character are not shown
    column, cells = page, list[str]()
    if start and at < len(line) and line[at] != "\t":  # its first cell is cut off, or will be under the `<`
        text, width = glyph(line[at])
        if width == 2 and len(text) == 2:
            if start < page:
                cells, column, at = [text[1]], column + 1, at + 1
        elif width == 2:
            cells = ["]"] if start < page else [" ", "]"]
            column, at = column + len(cells), at + 1
    while at < len(line):
        if column < edge:
            ordinary, column = WIDTHS.within(line, at, column, edge)
            cells += line[at:ordinary]
            at = ordinary
            if at == len(line):
                break
        unit = line[at]
        text, width = (" ", 1) if unit == "\t" else glyph(unit)
        if width == 0:
            _add_mark(cells, text)
        elif column >= edge:
            break
        elif unit == "\t":
            width = min(TAB_STOP - column % TAB_STOP, edge - column)
            cells += " " * width
        elif len(text) == 2:
            cells += text
        else:
            cells.append(text)
        column += width
        at += 1
    if column <= edge and at == len(line):
        if column == edge and cells and len(cells[-1]) > 1:
            raise UnsupportedKeyError("nano: combining marks in the last cell of a full row are not drawn")
        return cells, False
    last = cells.pop()
    if glyph(last[0])[1] == 2:
        cells.append("[")
    if column > edge and cells:
        cells.pop()  # half of a character stood in the last cell
    cells.append(">")
    return cells, True


def _add_mark(cells: list[str], mark: str) -> None:
    if not cells or cells[-1][0] == REPLACEMENT:
        raise UnsupportedKeyError("nano: a combining mark at the start of a line or on a broken character is not drawn")
    if len(cells[-1]) <= DRAWN_MARKS:
        cells[-1] += mark


def next_word(line: str, at: int) -> int | None:
    """Unit at which nano's next word (a run of letters and digits) starts; None if the line of ASCII has no more.

    >>> next_word("a_b (c)", 0), next_word("a_b (c)", 5)
    (2, None)
    """
    passed = _TO_WORD.match(line, at)
    return passed.end() if passed else None


def previous_word(line: str, at: int) -> int | None:
    """Unit at which the word before unit `at` starts; None if the line of ASCII has none there.

    >>> previous_word("a_b (c)", 4), previous_word("a_b (c)", 2), previous_word("(c)", 1)
    (2, 0, None)
    """
    while at and not line[at - 1].isalnum():
        at -= 1
    end = at
    while at and line[at - 1].isalnum():
        at -= 1
    return at if at < end else None


@lru_cache(maxsize=64)
def word_starts(line: str) -> list[int]:
    """Units at which the words of a line of ASCII start. Many ways to a place are compared in one line."""
    return [word.start() for word in _WORD.finditer(line)]


def broken(unit: str) -> bool:
    """Whether it stands for a byte that is not valid UTF-8."""
    return "\udc80" <= unit <= "\udcff"


def joined(before: str, after: str) -> str:
    """Two parts of a line side by side. Raises UnsupportedKeyError where bytes of both make up one character."""
    if before and after and broken(before[-1]) and broken(after[0]) and mended(before[-3:] + after[:3]):
        raise UnsupportedKeyError("nano: a cursor inside of a character is not drawn")
    return before + after


def mended(text: str) -> str:
    """`text` with its stray bytes read again, or "" if they are no characters."""
    again = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return again if again != text else ""


def shown_name(name: str) -> Iterator[tuple[str, int]]:
    """(what is drawn, cells) of each unit of a file's name in the title."""
    for unit in name:
        text, width = glyph(unit)
        if width == 0 or unit == "\t":
            raise UnsupportedKeyError("nano: combining marks and tabs in a file's name are not drawn")
        yield text, width
