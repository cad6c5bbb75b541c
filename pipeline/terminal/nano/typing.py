"""Nano's keys that change the text: typed characters, byte by byte or in bulk, line breaks, deletions."""

import re

from pipeline.terminal.nano.window import Window
from pipeline.terminal.recorder import typed_at_end
from pipeline.text.cells import is_simple
from pipeline.text.nano_lines import TAB_STOP, broken, glyph, joined, mended, next_word
from schema.actions import Phase
from schema.errors import UnsupportedKeyError

INSERT, MOTION = int(Phase.INSERT), int(Phase.MOTION)
TYPED = re.compile(rb"[ -~]+")


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
        self.lines[self.line] = joined(before, after)
        self.unit = len(before)
        self._changed()
        self.wanted = self._column()
        self._draw_current()

    def _type(self, typed: str) -> None:
        """Visible ASCII, in as few strokes as the window allows."""
        at, end = 0, len(typed)
        while at < end:
            count = 0
            if self.modified and not self.message:
                count = self._type_simple(typed, at)
            if not count:
                self.rec.key(INSERT)
                self._wipe()
                self._put(typed[at])
                self._place()
                count = 1
            at += count

    def _type_simple(self, typed: str, at: int) -> int:
        """Type what fits into a line of plain cells, and of tabs before the cursor, that is not paged; how much."""
        text, x = self._text, self.rec.x
        head, tail = text[: self.unit], text[self.unit :]
        if "\t" in tail or not is_simple(text) or self._page(self._column()):
            return 0
        room = min(self.cols - 3 - x, self.cols - x - len(tail))
        if room < 2:
            return 0
        part = typed[at : at + room]
        count = len(part)
        line = (head.expandtabs(TAB_STOP) if "\t" in head else head) + part
        if tail:
            rows = [line[:k] + tail for k in range(x + 1, x + count + 1)]
            if tail[-1] == " ":
                rows = [row.rstrip(" ") for row in rows]
        else:
            rows = typed_at_end(line, x, part)
        self.rec.run(INSERT, 1 + self.row, rows, x)
        whole = self.lines[self.line] = head + part + tail
        self._remember(whole, self.rec.now[1 + self.row])
        self.unit += count
        self.wanted = x + count
        return count

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
        """As many of `count` ^D as take visible ASCII out of a line that fits the row; how many that is."""
        text = self._text
        count = min(count, len(text) - self.unit)
        if count < 1 or len(text) > self.cols or not (text.isascii() and text.isprintable()) or not self.modified:
            return 0
        if self._page(self.unit):
            return 0
        head, tail = text[: self.unit], text[self.unit :]
        rows = [(head + tail[k:]).rstrip(" ") for k in range(1, count + 1)]
        self.rec.redraws(MOTION, 1 + self.row, rows)
        self.lines[self.line] = head + tail[count:]
        self.wanted = self.unit
        return count

    def _take(self) -> None:
        """Take out the code point or the line break behind the cursor."""
        self.wanted = self._column()
        text = self._text
        if self.unit < len(text):
            self.lines[self.line] = joined(text[: self.unit], text[self.unit + 1 :])
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
        if self.unit == len(text) or not is_simple(text):
            raise UnsupportedKeyError("nano: ^T is drawn before visible ASCII alone")
        end = next_word(text, self.unit)
        self.lines[self.line] = text[: self.unit] + ("" if end is None else text[end:])
        self.wanted = self._column()
        self._changed()
        self.stale = True
