"""A buffer in nano's window: which lines are drawn, when, and where the cursor goes.

Nano draws lazily, and its laziness is part of the screen: a key draws only the lines that nano takes for changed, by
the column that the cursor *wanted* before. So each method here does what nano's function of the same purpose does
(winio.c of nano 7.2), even where a line is left as it was before.

Rows, lines and columns count from 0. `top` is the line in the first text row, which is screen row 1.
"""

from typing import cast

from pipeline.terminal.nano import bars
from pipeline.terminal.recorder import Recorder
from pipeline.text.cells import Simple
from pipeline.text.nano_lines import NanoRuler, draw, page_start, split_units, unit_at
from schema.errors import UnsupportedKeyError
from schema.screen import Runs


class Window:
    """A file just opened, and the screen that shows it.

    `wanted` is the column that ^P and ^N keep to; `row` the text row that the cursor was in after the last key.
    """

    def __init__(self, recorder: Recorder, name: str, content: bytes | None) -> None:
        if name == "-" or name.startswith("~"):
            raise UnsupportedKeyError(f"nano: {name!r} would be read as the standard input or somebody's home folder")
        self.rec = recorder
        self.cols, self.height = recorder.cols, recorder.rows - 2
        self.name = name
        self.is_new = content is None
        self.lines = split_units(content or b"")
        self._is_simple = Simple()  # for the cursor's line
        self._cursor, self._edge = NanoRuler(), NanoRuler()  # measure up to the cursor, and to the page's start
        self.line = self.unit = self.top = self.row = 0
        self.wanted = 0
        self.modified = False
        self.message = ""
        self.stale = False  # all of the window is to be drawn again
        self.paged = False  # a line may be drawn from another column than its first on
        self.focusing = True  # a line that is out of sight is then brought to the middle
        self.done = False
        self._draw_title()
        self._refresh()
        self._say("New File" if self.is_new else f"Read {self._count_lines()}")

    def _count_lines(self) -> str:
        count = len(self.lines) - (self.lines[-1] == "")
        return f"{count} line" if count == 1 else f"{count} lines"

    def _draw_title(self) -> None:
        self.rec.put(0, self.rec.table.intern(*bars.title(self.name, self.modified, self.cols)))

    def _say(self, message: str) -> None:
        self.message = message
        self.rec.put(self.height + 1, self.rec.table.intern(*bars.status(message, self.cols)))

    def _changed(self) -> None:
        if not self.modified:
            self.modified = True
            self._draw_title()

    # -- lines

    @property
    def _text(self) -> str:
        return self.lines[self.line]

    def _column(self) -> int:
        """The cursor's column in its line."""
        text = self._text
        if self._is_simple(text) and "\t" not in text[: self.unit]:
            return self.unit
        return self._cursor.column(text, self.unit)

    def _page(self, column: int) -> int:
        return page_start(column, self.cols)

    def _number(self, text: str) -> int:
        """RowTable number of a line from its start on."""
        number = self.rec.lines.get(text)
        if number is None:
            number = self.rec.table.intern(*draw(text, 0, self.cols))
            self._remember(text, number)
        return number

    def _remember(self, text: str, number: int) -> None:
        """Note which row shows a line from its start on."""
        self.rec.remember(self.rec.lines, text, number, (self.rec.lines,))

    def _draw_line(self, line: int) -> None:
        """One line, from its start on."""
        self.rec.put(1 + line - self.top, self._number(self.lines[line]))

    def _draw_current(self) -> None:
        """The cursor's line, on the cursor's page. It is not remembered: each key of a long line would add a copy."""
        self.rec.put(1 + self.line - self.top, self._current_number(self._page(self._column())))

    def _current_number(self, page: int) -> int:
        """RowTable number of the cursor's line from column `page` on."""
        return self.rec.table.intern(*self._drawn(self._text, page))

    def _drawn(self, text: str, page: int) -> tuple[str, Runs]:
        """The cursor's line, or its start, from column `page` on."""
        self.paged = self.paged or page > 0
        cover = self._edge.cover(text, page) if page else (0, 0)
        return draw(text, page, self.cols, cover)

    # -- the view

    def _is_off_screen(self) -> bool:
        return not 0 <= self.line - self.top < self.height

    def _centre(self) -> None:
        self.top = max(0, self.line - self.height // 2)

    def _flow(self) -> None:
        """Bring the cursor's line, out of sight, to the edge that is nearer."""
        self.top = self.line if self.line < self.top else max(0, self.line - self.height + 1)

    def _refresh(self) -> None:
        """Draw all of the window."""
        if self._is_off_screen():
            if self.focusing:
                self._centre()
            else:
                self._flow()
        shown = self.lines[self.top : self.top + self.height]
        known = list(map(self.rec.lines.get, shown))
        numbers = list(map(self._number, shown)) if None in known else cast("list[int]", known)
        numbers += [0] * (self.height - len(shown))
        self.stale = self.paged = False
        if page := self._page(self._column()):
            numbers[self.line - self.top] = self._current_number(page)
        self.rec.put_from(1, numbers)
        self._place()

    def _settle(self) -> None:
        """After a key: draw what is stale, and put the screen's cursor in its place."""
        if self.stale:
            self._refresh()
        else:
            self._place()
        self.focusing = True

    def _place(self) -> None:
        column = self._column()
        self.row = self.line - self.top
        self.rec.y, self.rec.x = 1 + self.row, column if column + 2 < self.cols else column - self._page(column)

    def _redraw(self, old_line: int) -> None:
        """After a move from `old_line`: scroll the cursor into sight, and draw the lines whose page changed."""
        was, self.wanted = self.wanted, self._column()
        if max(was, self.wanted) + 2 < self.cols and 0 <= self.line - self.top < self.height:
            return  # both are on the first page
        if self._is_off_screen():
            self._flow()
            self.stale = True
            return
        moved = old_line != self.line
        if moved and self._page(was):
            self._draw_line(old_line)
        if self._page(was) != self._page(self.wanted) or (moved and self._page(self.wanted)):
            self._draw_current()

    def _scroll(self, down: bool) -> None:
        """Move the window by one line, so that the cursor's comes into it.

        The line beside it is drawn, too, where the wanted column is on another page than the first.
        """
        now, height = self.rec.now, self.height
        if down:
            self.top += 1
            self.rec.put_from(1, [*now[2 : height + 1], 0])
        else:
            self.top -= 1
            self.rec.put_from(1, [0, *now[1:height]])
        count = 2 if self._page(self.wanted) else 1
        first = self.top + height - count if down else self.top
        for line in range(first, min(first + count, len(self.lines))):
            if line == self.line:
                self._draw_current()
            else:
                self._draw_line(line)

    # -- moves

    def _move_lines(self, step: int) -> None:
        """^P (-1) and ^N (1)."""
        old, line = self.line, self.line + step
        if not 0 <= line < len(self.lines):
            return
        target = self.wanted
        self.line = line
        self.unit = unit_at(self._text, target)
        if self.row == (0 if step < 0 else self.height - 1):
            self._scroll(step > 0)
        else:
            self._redraw(old)
        self.wanted = target

    def _go_to(self, line: int, column: int | None) -> None:
        """^_: to a line and column, brought to the middle."""
        self.line = min(max(line, 1), len(self.lines)) - 1
        if column is not None:
            self.wanted = max(column, 1) - 1
        self.unit = unit_at(self._text, self.wanted)
        self._centre()
        self.stale = True
