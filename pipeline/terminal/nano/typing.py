"""Nano's keys that change the text: typed characters, byte by byte or in bulk, line breaks, deletions."""

import re
from collections.abc import Sequence

from pipeline.terminal.nano.window import Window
from pipeline.terminal.recorder import typed_at_end
from pipeline.text.cells import cell_count, expanded, is_simple
from pipeline.text.nano_lines import (
    REPLACEMENT,
    broken,
    column_of,
    draw,
    glyph,
    joined,
    mended,
    next_word,
)
from schema.actions import Phase
from schema.errors import UnsupportedKeyError
from schema.geometry import Style
from schema.screen import Runs

INSERT, MOTION = int(Phase.INSERT), int(Phase.MOTION)
REVERSE = int(Style.REVERSE)
_BEYOND = (
    rb"(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})"
)  # a character of UTF-8 that is no ASCII, whole
TYPED = re.compile(rb"[ -~]+(?:%b+[ -~]*)*|(?:%b+[ -~]*)+" % (_BEYOND, _BEYOND))  # ASCII first: three times faster


class Typing(Window):
    """What a key puts in or takes out."""

    def _wipe(self) -> None:
        """A message lasts until the next key."""
        if self.message:
            self._say("")

    def _put(self, unit: str) -> None:
        """A whole character, or one byte of it, at the cursor."""
        text = self._text
        before, after = text[: self.unit] + unit, text[self.unit :]
        if broken(unit) and (whole := mended(before[-4:])):
            before = before[:-4] + whole
        simple = self._is_simple(text) and is_simple(unit)
        self.lines[self.line] = self._is_simple.note(joined(before, after), simple)
        self.unit = len(before)
        self._changed()
        self.wanted = self._column()
        self._draw_current()

    def _type(self, typed: str) -> None:
        """Visible ASCII and whole characters beyond it, in as few strokes as the window allows."""
        at, end = 0, len(typed)
        ascii_only = typed.isascii()
        while at < end:
            count = 0
            if self.modified and not self.message:
                count = self._type_simple(typed, at) if ascii_only else 0
                count = count or self._type_wide(typed, at)
            if not count:
                for unit in _bytes(typed[at]):
                    self.rec.key(INSERT)
                    self._wipe()
                    self._put(unit)
                    self._place()
                count = 1
            at += count

    def _type_simple(self, typed: str, at: int) -> int:
        """Type what one page shows, into a line of plain cells and of tabs before the cursor; how much that is."""
        text, column = self._text, self._column()
        head, tail = text[: self.unit], text[self.unit :]
        if "\t" in tail or not self._is_simple(text):
            return 0
        page = self._page(column)
        room = page + self.cols - 3 - column
        beyond = column + len(tail) - page - self.cols  # cells that the line has behind the window
        if beyond <= 0:
            room = min(room, -beyond)
        if room < 2:
            return 0
        part = typed[at : at + room]
        count = len(part)
        line = expanded(head)[page:] + part
        x = column - page
        if page or tail:
            rows, runs = self._rows_typed(line, x, tail, page > 0, beyond > 0)
        else:
            rows, runs = typed_at_end(line, x, part), ()
        self.paged = self.paged or page > 0
        self.rec.run(INSERT, 1 + self.row, rows, x, runs)
        whole = self.lines[self.line] = self._is_simple.note(head + part + tail, True)
        if not page:
            self._remember(whole, self.rec.now[1 + self.row])
        self.unit += count
        self.wanted = column + count
        return count

    def _rows_typed(self, line: str, x: int, tail: str, before: bool, behind: bool) -> tuple[list[str], Runs]:
        """What the cursor's row shows after each character of `line` from column `x` on; `tail` follows.

        `line` begins where the page does; `before` and `behind` it the line goes on, as `nano_lines.draw` shows.
        """
        cols = self.cols
        if before:
            line = "<" + line[1:]
        rows = [line[:k] + tail[: cols - k] for k in range(x + 1, len(line) + 1)]
        if behind:
            rows = [row[:-1] + ">" for row in rows]
        elif (line + tail)[-1] == " " or " " in line[x:]:
            rows = [row.rstrip(" ") for row in rows]
        return rows, self._edges(before, behind)

    def _type_wide(self, typed: str, at: int) -> int:
        """Type what one page shows, between whatever is drawn on both sides and fits; how much that is."""
        text, column = self._text, self._column()
        head, tail = text[: self.unit], text[self.unit :]
        if "\t" in tail or (tail and glyph(tail[0])[1] == 0) or broken(head[-1:]) or broken(tail[:1]):
            return 0  # a tab's width would change; marks and bytes may belong to what is typed
        page = self._page(column)
        x = column - page
        after, behind = draw(tail, 0, self.cols - 1 - x)
        if behind:
            return 0
        room = min(self.cols - 3, self.cols - 1 - column_of(tail, len(tail)))  # up to there the cursor may go
        before, runs = self._drawn(head, page)
        before += " " * (x - cell_count(before))
        rows, columns, start = list[str](), list[int](), at
        for unit in typed[at:]:
            shown, width = glyph(unit)
            count = len(unit.encode("utf-8"))
            if not width or x + max(width, count - 1) > room:
                break
            rows += [before + REPLACEMENT * k + after for k in range(1, count)]
            columns += range(x + 1, x + count)
            before += shown
            x += width
            rows.append(before + after)
            columns.append(x)
            at += 1
        if rows:
            self.rec.redraws(INSERT, 1 + self.row, [row.rstrip(" ") for row in rows], columns, runs)
            self.lines[self.line] = head + typed[start:at] + tail
            self.unit += at - start
            self.wanted = page + x
        return at - start

    def enter(self) -> None:
        """Break the line at the cursor."""
        text = self._text
        self.lines[self.line : self.line + 1] = [text[: self.unit], text[self.unit :]]
        self.line += 1
        self.unit = self.wanted = 0
        self._changed()
        if self.paged:
            self.stale, self.focusing = True, False
            return
        # what a whole refresh would draw: the rows below the cursor's go down, or those above it up
        pair = [self._number(self.lines[self.line - 1]), self._number(self.lines[self.line])]
        row, now, height = self.line - self.top, self.rec.now, self.height
        if row < height:
            self.rec.put_from(row, [*pair, *now[1 + row : height]])
        else:
            self.top += 1
            self.rec.put_from(1, [*now[2:height], *pair])

    def delete(self) -> None:
        """^D: a character with its marks, or the line break."""
        self._take()
        text = self._text
        while self.unit < len(text) and text[self.unit] != "\t" and glyph(text[self.unit])[1] == 0:
            self._take()
            text = self._text

    def delete_run(self, count: int) -> int:
        """As many of `count` ^D as take out visible ASCII, and leave `>` at the row's end or leave none; how many."""
        text, unit = self._text, self.unit
        page = self._page(unit)
        room = self.cols - (unit - page)  # cells from the cursor on
        behind = len(text) - unit - room > 1
        count = min(count, len(text) - unit - (room + 1 if behind else 0))
        if count < 1 or not self.modified or not self._is_simple(text) or "\t" in text:
            return 0
        rows = [text[page:unit] + text[unit + k : unit + k + room] for k in range(1, count + 1)]
        self._draw_run(rows, [unit - page] * count, page, behind)
        self.lines[self.line] = text[:unit] + text[unit + count :]
        self.wanted = unit
        return count

    def backspace_run(self, count: int) -> int:
        """As many of `count` ^H as take out visible ASCII, stay on the page, and leave `>` or leave none; how many."""
        text, unit = self._text, self.unit
        page = self._page(unit)
        behind = len(text) - page - self.cols > 1
        count = min(count, unit - (page + 6 if page else 0))
        if behind:
            count = min(count, len(text) - page - self.cols - 1)
        if count < 1 or not self.modified or not self._is_simple(text) or "\t" in text:
            return 0
        edge = page + self.cols
        rows = [text[page : unit - k] + text[unit : edge + k] for k in range(1, count + 1)]
        self._draw_run(rows, range(unit - page - 1, unit - page - count - 1, -1), page, behind)
        self.lines[self.line] = text[: unit - count] + text[unit:]
        self.unit = self.wanted = unit - count
        return count

    def _draw_run(self, rows: list[str], columns: Sequence[int], page: int, behind: bool) -> None:
        """Keys that take something out: the cursor's row after each, from `page` on, and the cursor's column."""
        self.paged = self.paged or page > 0
        if page:
            rows = ["<" + row[1:] for row in rows]
        rows = [row[:-1] + ">" if behind else row.rstrip(" ") for row in rows]
        self.rec.redraws(MOTION, 1 + self.row, rows, columns, self._edges(page > 0, behind))

    def _edges(self, before: bool, behind: bool) -> Runs:
        """The style of a row on which `<` or `>` says that the line goes on there."""
        return ((0, 1, REVERSE),) * before + ((self.cols - 1, 1, REVERSE),) * behind

    def _take(self) -> None:
        """Take out the code point or the line break behind the cursor."""
        self.wanted = self._column()
        text = self._text
        if self.unit < len(text):
            simple = self._is_simple(text)
            left = self.lines[self.line] = joined(text[: self.unit], text[self.unit + 1 :])
            if simple or is_simple(text[self.unit]):
                self._is_simple.note(left, simple)
        elif self.line + 1 < len(self.lines):
            self.lines[self.line : self.line + 2] = [joined(text, self.lines[self.line + 1])]
            self.stale = True
        else:
            return
        if not self.stale:
            self._draw_current()
        self._changed()

    def backspace(self) -> None:
        """^H: the code point or the line break before the cursor."""
        if self.unit:
            self.unit -= 1
        elif self.line:
            old = self.line
            self.line -= 1
            self.unit = len(self._text)
            self._redraw(old)
        else:
            return
        self._take()

    def cut_line(self) -> None:
        """^K: the whole line; of the last one its text."""
        if self.line + 1 < len(self.lines):
            del self.lines[self.line]
        elif self._text:
            self.lines[self.line] = ""
        else:
            self._say("Nothing was cut")
            return
        self.unit = self.wanted = 0
        self._changed()
        self.stale = True

    def chop_word(self) -> None:
        """^T: up to the next word, or to the line's end if there is none before it."""
        text = self._text
        if self.unit == len(text) or not self._is_simple(text):
            raise UnsupportedKeyError("nano: ^T is drawn before visible ASCII alone")
        end = next_word(text, self.unit)
        self.lines[self.line] = self._is_simple.note(text[: self.unit] + ("" if end is None else text[end:]), True)
        self.wanted = self._column()
        self._changed()
        self.stale = True


def _bytes(unit: str) -> str:
    """A character as the units that its bytes are until it is whole."""
    return unit if unit.isascii() else unit.encode("utf-8").decode("ascii", "surrogateescape")
