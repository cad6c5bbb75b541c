"""What vim's window shows of a buffer: rows, status line, message, cursor, and when it scrolls.

All rows, columns and lines count from 0. `top` is the buffer line in screen row 0, `left` the first text column.
"""

from functools import lru_cache
from typing import cast

from pipeline.terminal.recorder import Recorder
from pipeline.text.cells import (
    LONG,
    Ruler,
    cell_count,
    cut_left,
    draw,
    is_shifted,
    is_simple,
    letter,
    printable,
    unit_cells,
)
from pipeline.text.clusters import bases, is_mark
from pipeline.text.lines import split_lines
from schema.errors import UnsupportedKeyError
from schema.geometry import Style
from schema.screen import Runs

_TILDE = ("~", ((0, 1, int(Style.BOLD)),))


def shortened(text: str, room: int) -> str:
    """An ASCII message, its middle left out if it is wider than `room` cells."""
    if len(text) <= room:
        return text
    half = (room - 3) // 2
    return text[:half] + "..." + text[len(text) - (room - 3 - half) :]


@lru_cache(maxsize=1 << 12)
def _with_pending(text: str, pending: bytes, at: int) -> str:
    """The last row with a pending command's keys from column `at` on; most are pressed again and again."""
    return text + " " * (at - cell_count(text)) + pending.decode("ascii")[-10:]


class Window:
    """A buffer just opened, and the screen that shows it."""

    def __init__(self, recorder: Recorder, name: str, content: bytes | None) -> None:
        self.rec = recorder
        self.height = recorder.rows - 2
        self.cols = recorder.cols
        self.name = name.replace("\n", "\0")  # so vim shows it
        self.is_new = content is None
        self.lines, self.ended = split_lines(content or b"")
        self.saved_ended = self.ended
        self.empty = not content  # vim's "no lines in buffer", shown as 0/1
        self.modified = False
        self.line = self.top = self.left = 0
        self.wanted: int | None = None  # the column that `|` asked for
        self._edge, self._cursor = Ruler(), Ruler()  # measure up to the window's left edge, and to the cursor
        self.stale = False  # the cursor is drawn where a deleted tab ended
        self.unit = self._first_word()
        self.insert = False
        self.literal = False  # Ctrl-V was pressed
        self.pending = b""  # count and operator typed so far
        self.command: bytes | None = None  # the command line after ':'
        self.partial = b""  # first bytes of a UTF-8 character
        self.message: tuple[str, Runs] = ("", ())
        self.done = False
        # left -> buffer line -> row number; whole lines are remembered from one file to the next
        self._drawn_at: dict[int, dict[str, int]] = {0: recorder.lines}
        self._drawn = self._drawn_at[0]
        self._heads: dict[bool, tuple[str, int]] = {}  # status line's left part and its cells, by whether changed
        self._status: tuple[bool, int, int] = (False, -1, -1)
        self._status_runs: Runs = ((0, self.cols, int(Style.BOLD_REVERSE)),)
        self._tilde = recorder.table.intern(*_TILDE)
        self._draw_all()
        self._draw_message()
        self._place()

    def _number(self, text: str) -> int:
        """RowTable number of one buffer line in the window."""
        number = self._drawn.get(text)
        if number is None:
            ruler = self._edge if text is self.lines[self.line] else Ruler()  # which knows the cursor's line alone
            number = self.rec.table.intern(*draw(text, self.left, self.cols, self._cover(text, ruler)))
            self._remember(text, number)
        return number

    def _remember(self, text: str, number: int) -> None:
        """Note which row shows a line in the window as it is scrolled."""
        self.rec.remember(self._drawn, text, number, self._drawn_at.values())

    def _cells(self, text: str) -> tuple[str, Runs]:
        """(text, style runs) of the cursor's line, or of its start, in the window."""
        return draw(text, self.left, self.cols, self._cover(text, self._edge))

    def _cover(self, text: str, ruler: Ruler) -> tuple[int, int]:
        """Index and first cell of the unit at the window's left edge, or of one before it where that costs little."""
        near = text[: self.left + self.cols] if self.left else ""
        return (0, 0) if len(near) <= LONG and is_simple(near) else ruler.cover(text, self.left)

    def _numbers(self, first: int, count: int) -> list[int]:
        """RowTable numbers of `count` screen rows from buffer line `first` on, `~` past the end."""
        shown = self.lines[first : first + count]
        numbers = list(map(self._drawn.get, shown))
        if None in numbers:
            numbers = [self._number(text) if n is None else n for n, text in zip(numbers, shown, strict=True)]
        if len(numbers) < count:
            numbers += [self._tilde] * (count - len(numbers))
        return cast("list[int]", numbers)

    def _draw_all(self) -> None:
        self.rec.put_from(0, self._numbers(self.top, self.height))
        self._draw_status()

    def _draw_from(self, line: int) -> None:
        row = line - self.top
        self.rec.put_from(row, self._numbers(line, self.height - row))

    def _draw_line(self) -> None:
        """The cursor's line, just changed. It is not remembered: each key of a long line would add a copy of it."""
        text = self.lines[self.line]
        if self.left and not text.isascii() and is_shifted(text, self.left, self._cover(text, self._edge)):
            raise UnsupportedKeyError("vim: wide text behind a control character cut at the left edge is not drawn")
        self.rec.put(self.line - self.top, self.rec.table.intern(*self._cells(text)))

    def _draw_status(self) -> None:
        changed = self.modified or (self.ended != self.saved_ended and not (self.is_new and self.empty))
        shown = 0 if self.empty else self.line + 1
        total = len(self.lines)
        key = (changed, shown, total)
        if key == self._status:
            return
        self._status = key
        if changed not in self._heads:
            head = f"{printable(self.name)} {'[+]' if changed else ''}"
            self._heads[changed] = head, cell_count(head)
        head, width = self._heads[changed]
        tail = f"{shown}/{total}"
        if width + len(tail) <= self.cols:
            text = head + tail.rjust(self.cols - width)
        else:
            text = "<" + cut_left(head + tail, self.cols)
            text = (text + " " * (self.cols - cell_count(text))).rstrip(" ")
        self.rec.put(self.height, self.rec.table.intern(text, self._status_runs))

    def _draw_message(self) -> None:
        """The last row: the message, and the keys of a pending command over its right end."""
        text, runs = self.message
        if self.pending or self.literal:
            at = self.cols - 11
            if text:
                text = text[:at]  # no message of wide characters is as long as this
                self.message = (text.rstrip(" "), runs)
            text = _with_pending(text, b"^V" if self.literal else self.pending, at)
        self.rec.put(self.height + 1, self.rec.table.intern(text.rstrip(" "), runs))

    def _say(self, text: str, runs: Runs = ()) -> None:
        self.message = (text, runs)
        self._draw_message()

    def _draw_caret(self) -> None:
        """The bold ^ over the cursor's cell while Ctrl-V waits for its key."""
        row = self.line - self.top
        text, runs = self._cells(self.lines[self.line])
        x = self.rec.x
        if text.isascii():
            text = text.ljust(x)
            drawn = text[:x] + "^" + text[x + 1 :]
            if not runs or runs[0][0] == x:
                self.rec.put(row, self.rec.table.intern(drawn, runs or ((x, 1, int(Style.BOLD)),)))
                return
        else:
            # Cells, then one of them replaced: a wide character under the caret leaves a blank second cell.
            cells: list[str] = []
            for unit in text:
                if is_mark(unit):
                    cells[-1 if cells[-1] else -2] += unit
                else:
                    cells += [unit] if letter(unit)[1] < 2 or letter(unit)[2] else [unit, ""]
            cells += [" "] * (x + 1 - len(cells))
            if x + 1 < len(cells) and cells[x + 1] == "":
                cells[x + 1] = " "
            cells[x] = "^"
            drawn = "".join(cells)
        bold = {at for start, length, _ in runs for at in range(start, start + length)}
        bold.add(x)
        merged: list[tuple[int, int, int]] = []
        for at in sorted(bold):
            if merged and merged[-1][0] + merged[-1][1] == at:
                merged[-1] = (merged[-1][0], merged[-1][1] + 1, int(Style.BOLD))
            else:
                merged.append((at, 1, int(Style.BOLD)))
        self.rec.put(row, self.rec.table.intern(drawn.rstrip(" "), tuple(merged)))

    def _place(self) -> None:
        """Scroll the window so that it shows the cursor, as vim would, and put the screen's cursor there."""
        line, top, height = self.line, self.top, self.height
        if line < top:
            above = top - line
            self.top = self._centred(False) if above >= max(2, height // 2 - 1) else line
        elif line >= top + height:
            scroll = line - top - height + 1
            used = scroll + min(scroll - 1, len(self.lines) - 1 - line)
            if scroll > height + 1:
                self.top = self._centred(False)
            elif used > height or scroll >= height:
                self.top = self._centred(True)
            else:
                self.top = top + scroll
        text = self.lines[line]
        if len(text) <= LONG and text.isascii() and text.isprintable():
            start = cursor = self.unit
            width = 1
        else:
            start = cursor = self._cursor.column(text, self.unit)
            width = unit_cells(text, self.unit, start)
            if not self.insert and self.unit < len(text) and text[self.unit] == "\t":
                cursor += width - 1
        left = self.left
        if start < left or start + width > left + self.cols:
            self.left = max(0, cursor - self.cols // 2)
        if self.top != top or self.left != left:
            if self.left != left:
                self._drawn = self._drawn_at.setdefault(self.left, {})
            elif not self.insert and (-height + 2 if height > 4 else 0) < self.top - top < min(
                height, len(self.lines) - top
            ):
                self._say("")  # vim moves the rows that stay in the window, and clears its message
            self._draw_all()
        elif self._status[1] != (0 if self.empty else line + 1):
            self._draw_status()
        self.rec.y, self.rec.x = line - self.top, cursor - self.left
        self.wanted = None
        self.stale = False

    def _centred(self, above_first: bool) -> int:
        """The top line that brings the cursor's line to the middle."""
        top = self.line
        bottom = self.line
        above = below = 0
        used = 1
        while top > 0:
            if above <= below if above_first else above < below:
                used += 1
                if used > self.height:
                    break
                above += 1
                top -= 1
            else:
                if bottom < len(self.lines) - 1:
                    used += 1
                    if used > self.height:
                        break
                    bottom += 1
                below += 1
        return top

    def _first_word(self) -> int:
        """Unit of the cursor line's first character that is not white; its last unit if all are."""
        text = self.lines[self.line]
        stripped = text.lstrip(" \t")
        if not text.isascii() and bases(stripped[:1]) == " ":
            raise UnsupportedKeyError("vim: the first word of a line where a mark is on a space is not drawn")
        return len(text) - len(stripped) if stripped else max(0, len(text) - 1)

    def _changed(self) -> None:
        self.modified = True
        self.empty = False
