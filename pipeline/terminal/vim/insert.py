"""Vim's Insert mode: text, line breaks, literal control characters, drawn one by one or in bulk."""

import re

from pipeline.terminal.recorder import typed_at_end
from pipeline.terminal.vim.window import Window
from pipeline.text.cells import cell_count, draw, expanded, is_simple, letter
from pipeline.text.clusters import is_mark, is_stand_in, stand_in, unfold
from schema.actions import Phase
from schema.errors import UnsupportedKeyError
from schema.geometry import Style

INSERT = int(Phase.INSERT)
INSERT_ROW = ("-- INSERT --", ((0, 12, int(Style.BOLD)),))
_BEYOND = rb"(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
_TYPED = re.compile(rb"[ -~]+(?:%b+[ -~]*)*|(?:%b+[ -~]*)+" % (_BEYOND, _BEYOND))  # ASCII first: three times faster
_CR, _ESC, _BS, _CTRL_V, _TAB = 0x0D, 0x1B, 0x08, 0x16, 0x09


class InsertMode(Window):
    """What Insert mode's keys do."""

    def _start_insert(self) -> None:
        self.insert = True
        self._say(*INSERT_ROW)
        self._place()

    def _insert_keys(self, keys: bytes, at: int) -> int:
        if self.literal or self.partial:
            return self._insert_byte(keys, at)
        typed = _TYPED.match(keys, at)
        if typed:
            self._type(typed[0])
            return typed.end()
        key = keys[at]
        self.rec.key(INSERT)
        if key == _ESC:
            self._leave_insert()
        elif key == _CR:
            self._break_line()
        elif key == _TAB:
            self._put_unit("\t")
        elif key == _BS:
            self._erase()
        elif key == _CTRL_V:
            self.literal = True
            self._draw_message()
            self._draw_caret()
        elif key >= 0xC2:
            self.partial = bytes([key])
        else:
            raise UnsupportedKeyError(f"vim key {bytes([key])!r} in Insert mode is not drawn")
        return at + 1

    def _insert_byte(self, keys: bytes, at: int) -> int:
        """One key that belongs to a Ctrl-V or to a character begun before."""
        self.rec.key(INSERT)
        if self.literal:
            if not (keys[at] < 0x20 or keys[at] == 0x7F) or keys[at] in (0x00, 0x03, 0x0A):
                raise UnsupportedKeyError(f"vim key <C-V>{bytes([keys[at]])!r} is not drawn")
            self.literal = False
            self._draw_message()
            self._put_unit(chr(keys[at]))
            return at + 1
        self.partial += keys[at : at + 1]
        try:
            unit = self.partial.decode("utf-8")
        except UnicodeDecodeError as error:
            if "unexpected end" not in error.reason:
                raise UnsupportedKeyError(f"vim: {self.partial!r} is not UTF-8") from error
            return at + 1
        self.partial = b""
        self._put_typed(unit)
        return at + 1

    def _put_typed(self, unit: str) -> None:
        """Type one code point: a mark goes to the character before the cursor."""
        if not is_mark(unit):
            self._put_unit(stand_in(unit) if is_stand_in(unit) else unit)
            return
        if not self.unit:
            raise UnsupportedKeyError("vim: a combining mark at the start of a line is not drawn")
        text = self.lines[self.line]
        whole = stand_in(unfold(text[self.unit - 1]) + unit)
        self.lines[self.line] = text[: self.unit - 1] + whole + text[self.unit :]
        self._after_insert()

    def _put_unit(self, unit: str) -> None:
        text = self.lines[self.line]
        self.lines[self.line] = text[: self.unit] + unit + text[self.unit :]
        self.unit += 1
        self._after_insert()

    def _after_insert(self) -> None:
        self._changed()
        self._draw_line()
        self._place()
        self._draw_status()

    def _break_line(self) -> None:
        text = self.lines[self.line]
        head, tail = text[: self.unit], text[self.unit :]
        self.lines[self.line : self.line + 1] = [head, tail]
        left, row = self.left, self.line - self.top
        self.line += 1
        self.unit = 0
        self._changed()
        if tail:  # else the row goes on showing what it shows
            self.rec.put(row, self._number(head))
        below = self._number(tail)
        now, height = self.rec.now, self.height
        if row + 1 < height:
            self.rec.put_from(row + 1, [below, *now[row + 1 : height - 1]])
        elif left == 0:  # in the last row: the window moves by one line and nothing else does
            self.top += 1
            self.rec.put_from(0, [*now[1:height], below])
        if left == 0:
            self.rec.y, self.rec.x = self.line - self.top, 0
            self.wanted, self.stale = None, False
        else:
            self._place()
        if self.left == left:
            self._draw_status()

    def _erase(self) -> None:
        if self.unit == 0:
            raise UnsupportedKeyError("vim: <BS> at the start of a line is not drawn")
        text = self.lines[self.line]
        self.lines[self.line] = text[: self.unit - 1] + text[self.unit :]
        self.unit -= 1
        self._after_insert()

    def _leave_insert(self) -> None:
        self.insert = False
        self.unit = max(0, self.unit - 1)
        self._say("")
        self._place()

    def _type(self, run: bytes) -> None:
        """Text without control characters, in as few strokes as the window allows."""
        if self.stale:
            first = run.decode("utf-8")[0].encode("utf-8")
            self.rec.keys(len(first), INSERT)
            self._put_typed(first.decode("utf-8"))
            run = run[len(first) :]
        if not run.isascii():
            self._type_wide(run.decode("utf-8"))
            return
        typed = run.decode("ascii")
        at, end = 0, len(typed)
        if typed and (not self.modified or self.empty):  # the first key also changes the status line
            self.rec.key(INSERT)
            self._put_unit(typed[0])
            at = 1
        while at < end:
            text = self.lines[self.line]
            head, tail = text[: self.unit], text[self.unit :]
            room = self.cols - 1 - self.rec.x  # keys that can be typed before the window moves
            count = 0
            if room > 0:
                part = typed[at : at + room]
                count = self._type_simple(head, part, tail) or self._type_between(head, part, tail)
            if not count:
                self.rec.key(INSERT)
                self._put_unit(typed[at])
                count = 1
            at += count

    def _type_simple(self, head: str, part: str, tail: str) -> int:
        """Type `part`, which the window need not move for, if the row shows plain cells, and tabs before it alone.

        Returns how many units that are, all or none.
        """
        count, cols, x = len(part), self.cols, self.rec.x
        at, cell = self._cover(head, self._edge)
        shown, rest = head[at:], tail[: cols - x]
        if not (is_simple(shown) and rest.isascii() and rest.isprintable()):
            return 0
        before = expanded(shown, cell)[self.left - cell :]  # x cells
        if tail:
            rows = [before + part[:k] + rest for k in range(1, count + 1)]
            if len(before) + count + len(rest) > cols or rest[-1] == " ":
                rows = [row[:cols].rstrip(" ") for row in rows]
        else:
            line = before + part
            rows = typed_at_end(line, x, part)
        self.rec.run(INSERT, self.line - self.top, rows, x)
        line = self.lines[self.line] = head + part + tail
        if not self.left:
            self._remember(line, self.rec.now[self.line - self.top])
        self.unit += count
        return count

    def _type_between(self, head: str, typed: str, tail: str) -> int:
        """Type as much of `typed` as fits between what is drawn on both sides; return how many units, maybe none.

        The line may hold anything, but no tab behind the cursor: that would change its width.
        """
        x, cols = self.rec.x, self.cols
        if "\t" in tail or (self.left and not head.replace("\t", "").isprintable()):
            return 0  # a control character at the window's left edge shifts the row
        after, after_runs = draw(tail, 0, cols + 1)
        room = cols - max(1, cell_count(after)) - x
        before, runs = self._cells(head)
        before += " " * (x - cell_count(before))
        row, intern, start = self.line - self.top, self.rec.table.intern, x
        count = 0
        for unit in typed:
            if unit.isascii():
                width = size = 1
            else:
                _, width, bold = letter(unit)
                if bold or not width or is_stand_in(unit):
                    break
                size = len(unit.encode("utf-8"))
            if x + width - start > room:
                break
            before += unit
            self.rec.keys(size, INSERT)
            x += width
            count += 1
            shifted = tuple((x + at, length, style) for at, length, style in after_runs)
            self.rec.put(row, intern((before + after).rstrip(" "), runs + shifted))
            self.rec.x = x
        self.lines[self.line] = head + typed[:count] + tail
        self.unit += count
        return count

    def _type_wide(self, typed: str) -> None:
        at, end = 0, len(typed)
        while at < end:
            text = self.lines[self.line]
            count = 0
            if self.modified and not self.empty:
                part = typed[at : at + self.cols]
                count = self._type_between(text[: self.unit], part, text[self.unit :])
            if not count:
                self.rec.keys(len(typed[at].encode("utf-8")), INSERT)
                self._put_typed(typed[at])
                count = 1
            at += count
