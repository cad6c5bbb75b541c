"""A model of vim's screen: the keys that a replay types, drawn as vim 9 draws them under the settings of film.vim.

Supported: Normal mode `{n}G {n}| 0 <CR> - {n}l {n}w fx i I a A o O {n}x D C c{n}l cw ctx dtx dw
{n}cc {n}dd`, Insert mode text,
`<CR> <BS> <Tab> <C-V>x <Esc>`, command lines `:w :q :set nobin (no)eol`. Other keys raise UnsupportedKeyError.
Exactness is checked cell for cell against the real program (tests/oracle).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar

from pipeline.terminal.vim.insert import INSERT_ROW, InsertMode
from pipeline.terminal.vim.window import shortened
from pipeline.text.cells import TAB_STOP, bold_glyphs, cell_count, cut_left, glyph, is_simple, letter, printable
from pipeline.text.clusters import bases
from pipeline.text.lines import join_lines
from pipeline.text.words import next_word, word_end
from schema.actions import Phase
from schema.errors import UnsupportedKeyError

COMMAND, MOTION = int(Phase.COMMAND_LINE), int(Phase.MOTION)
_DIGITS = frozenset(b"123456789")


class Vim(InsertMode):
    """One run of vim, from the Enter that starts it to the Enter of `:q`.

    `feed` plays keys until they end or vim does (`done`).
    """

    def feed(self, keys: bytes, at: int) -> int:
        """Play `keys` from index `at`; return the index after the last key taken (all, or up to `:q`)."""
        end = len(keys)
        while at < end and not self.done:
            if self.command is not None:
                at = self._command_key(keys, at)
            elif self.insert:
                at = self._insert_keys(keys, at)
            else:
                self._normal_key(keys[at])
                at += 1
        return at

    def _normal_key(self, key: int) -> None:
        pending = self.pending
        self.rec.key(COMMAND if key == 0x3A and not pending else MOTION)
        what, count, action = _meaning(pending, key)
        if what == "wait":
            self._wait_for_more(key)
            return
        self.pending = b""
        if pending:
            self._draw_message()
        if what == "find":
            self._find(pending[-2:-1], chr(key), pending)
        elif action is None:
            raise UnsupportedKeyError(f"vim key {what} in Normal mode is not drawn; play this film with the real vim")
        else:
            action(self, count, pending[:1].isdigit())

    def _wait_for_more(self, key: int) -> None:
        self.pending += bytes([key])
        self._draw_message()

    def _find(self, operator: bytes, wanted: str, pending: bytes) -> None:
        """`f` to a character, `ct` and `dt` up to one."""
        text = self.lines[self.line]
        found = bases(text).find(wanted, self.unit + 1)
        if found < 0 or len(pending) != (2 if operator in (b"c", b"d") else 1) or not " " <= wanted <= "~":
            raise UnsupportedKeyError(f"vim keys {pending!r} and {wanted!r} are not drawn here")
        if operator == b"c":
            self._change_units(found - self.unit, True)
        elif operator == b"d":
            self._delete_char(found - self.unit, True)
        else:
            self.unit = found
            self._place()

    def _go_line(self, count: int, counted: bool) -> None:
        self._to_line(count - 1 if counted else len(self.lines) - 1)

    def _down(self, count: int, counted: bool) -> None:
        if self.line + count >= len(self.lines):
            raise UnsupportedKeyError("vim: <CR> past the last line is not drawn")
        self._to_line(self.line + count)

    def _up(self, count: int, counted: bool) -> None:
        if self.line < count:
            raise UnsupportedKeyError("vim: - past the first line is not drawn")
        if 0 < self.top - self.line + count < max(2, self.height // 2 - 1):
            # The window follows the cursor's old column first, then its new one.
            wanted = self.left + self.rec.x if self.wanted is None else self.wanted
            self.line -= count
            self.unit = self._unit_at(wanted)
            self._place()
            self.line += count
        self._to_line(self.line - count)

    def _to_line(self, line: int) -> None:
        self.line = min(line, len(self.lines) - 1)
        self.unit = self._first_word()
        self._place()

    def _to_column(self, count: int, counted: bool) -> None:
        self.unit = self._unit_at(count - 1)
        self._place()
        self.wanted = count - 1

    def _right(self, count: int, counted: bool) -> None:
        if self.unit + count >= len(self.lines[self.line]):
            raise UnsupportedKeyError("vim: l past the end of the line is not drawn")
        self.unit += count
        self._place()

    def _forward_word(self, count: int, counted: bool) -> None:
        for _ in range(count):
            self.unit = self._next_word()
        self._place()

    def _change_word(self, count: int, counted: bool) -> None:
        text = self._plain_line(count)
        if text[self.unit : self.unit + 1] in ("", " ", "\t"):
            raise UnsupportedKeyError("vim: cw on a blank is not drawn")
        self._change_units(word_end(text, self.unit) - self.unit, True)

    def _delete_word(self, count: int, counted: bool) -> None:
        self._plain_line(count)
        self._delete_char(self._next_word() - self.unit, True)

    def _next_word(self) -> int:
        found = next_word(self._plain_line(1), self.unit)
        if found is None:
            raise UnsupportedKeyError("vim: w past the end of the line is not drawn")
        return found

    def _plain_line(self, count: int) -> str:
        """The cursor's line, if its words are known."""
        text = self.lines[self.line]
        if count > 1 or not is_simple(text):
            raise UnsupportedKeyError("vim: w is drawn in visible ASCII, and behind an operator without a count")
        return text

    def _unit_at(self, wanted: int) -> int:
        """Unit of the cursor line that covers column `wanted`, or the last one."""
        text = self.lines[self.line]
        if text.isascii() and text.isprintable():
            return max(0, min(wanted, len(text) - 1))
        column = 0
        for at, unit in enumerate(text):
            column += TAB_STOP - column % TAB_STOP if unit == "\t" else glyph(unit)[1]
            if column > wanted:
                return at
        return max(0, len(text) - 1)

    def _to_start(self, count: int, counted: bool) -> None:
        self.unit = 0
        self._place()

    def _delete_units(self, count: int) -> None:
        text = self.lines[self.line]
        self.lines[self.line] = text[: self.unit] + text[self.unit + count :]
        self._changed()

    def _delete_char(self, count: int, counted: bool) -> None:
        if not self.lines[self.line]:
            raise UnsupportedKeyError("vim: x on an empty line is not drawn")
        self._delete_units(count)
        self._after_delete()

    def _delete_rest(self, count: int, counted: bool) -> None:
        if not self.lines[self.line]:
            return
        self._delete_units(len(self.lines[self.line]))
        self._after_delete()

    def _after_delete(self) -> None:
        self.unit = max(0, min(self.unit, len(self.lines[self.line]) - 1))
        self._place()
        self._draw_line()
        self._draw_status()

    def _check_lines(self, count: int) -> None:
        if count > 1 and self.line == len(self.lines) - 1:
            raise UnsupportedKeyError("vim: a count past the last line is not drawn")

    def _clear_scrolled(self, removed: int, added: int) -> None:
        """Vim clears its message when it moves the rows below changed lines instead of drawing them again."""
        row = self.line - self.top
        below = row + removed
        if self.line + removed < len(self.lines) and below < self.height and below - added < self.height - 2:
            self._say("")

    def _delete_lines(self, count: int, counted: bool) -> None:
        self._check_lines(count)
        if self.empty:
            return
        self._clear_scrolled(count, 0)
        del self.lines[self.line : self.line + count]
        self._changed()
        first = self.line
        if not self.lines:
            self.lines = [""]
            self.empty = True
        self.line = min(self.line, len(self.lines) - 1)
        self.unit = self._first_word()
        if first - self.top < self.height:
            self._draw_from(first)
        if self.empty:
            self._say(shortened("--No lines in buffer--", self.cols - 12))
        self._place()
        self._draw_status()

    def _insert_here(self, count: int, counted: bool) -> None:
        self._start_insert()

    def _insert_first(self, count: int, counted: bool) -> None:
        text = self.lines[self.line]
        if not text.isascii():
            self._first_word()  # raises where a mark is on a space before it
        self.unit = len(text) - len(text.lstrip(" \t"))
        self._start_insert()

    def _append_here(self, count: int, counted: bool) -> None:
        self.unit = min(self.unit + 1, len(self.lines[self.line]))
        self._start_insert()

    def _append_end(self, count: int, counted: bool) -> None:
        self.unit = len(self.lines[self.line])
        self._start_insert()

    def _open_below(self, count: int, counted: bool) -> None:
        self.line += 1
        self._open()

    def _open_above(self, count: int, counted: bool) -> None:
        self._open()

    def _open(self) -> None:
        self.lines.insert(self.line, "")
        self.unit = 0
        self._changed()
        self._shift_down(self.line)
        self._start_insert()
        self._draw_status()

    def _shift_down(self, line: int) -> None:
        """Draw the rows from buffer line `line` on, if it is in the window."""
        if line - self.top < self.height:
            self._draw_from(line)

    def _change_rest(self, count: int, counted: bool) -> None:
        self._change_units(len(self.lines[self.line]), True)

    def _change_units(self, count: int, counted: bool) -> None:
        text, x = self.lines[self.line], self.rec.x
        if not text:
            self._start_insert()
            return
        last_tab = self.unit > 0 and text[self.unit] == "\t" and self.unit + count >= len(text)
        self._delete_units(count)
        self._draw_line()
        if last_tab:  # vim's cursor stays on the tab's last cell until the next key
            self.insert = self.stale = True
            self._say(*INSERT_ROW)
            self.rec.x = x
        else:
            self._start_insert()
        self._draw_status()

    def _change_lines(self, count: int, counted: bool) -> None:
        self._check_lines(count)
        if self.empty:
            self._start_insert()
            return
        self.lines[self.line : self.line + count] = [""]
        self.unit = 0
        self._changed()
        self._draw_from(self.line)
        self._start_insert()
        self._draw_status()

    def _start_command(self, count: int, counted: bool) -> None:
        self.command = b""
        self._say(":")
        self.rec.y, self.rec.x = self.height + 1, 1

    def _command_key(self, keys: bytes, at: int) -> int:
        assert self.command is not None
        stop = keys.find(b"\r", at)
        typed = keys[at:] if stop < 0 else keys[at:stop]
        for key in typed:
            if not 0x20 <= key < 0x7F:
                raise UnsupportedKeyError(f"vim key {bytes([key])!r} on the command line is not drawn")
            self.rec.key(COMMAND)
            self.command += bytes([key])
            self._say(":" + self.command.decode("ascii"))
            self.rec.x += 1
        if stop < 0:
            return len(keys)
        self.rec.key(COMMAND)
        action = self.command_lines.get(self.command)
        if action is None:
            raise UnsupportedKeyError(f"vim command :{self.command.decode()} is not drawn")
        self.command = None
        action(self)
        return stop + 1

    def _write(self) -> None:
        size = len(join_lines(self.lines, self.ended))
        count = len(self.lines)
        ended = self.ended
        if self.empty:
            size = count = 0
            ended = True
        flags = ("[New]" if self.is_new else "") + ("" if ended else "[noeol]")
        text = f'"{self.name}" {flags}{" " if flags else ""}{count}L, {size}B'
        room = self.cols - 12
        if cell_count(printable(text)) > room:
            if any(letter(unit)[2] for unit in self.name):  # vim counts its bytes and its cells, and may wait for Enter
                raise UnsupportedKeyError(f"vim: the message of the odd name {self.name!r} is too wide to be drawn")
            text = "<" + cut_left(text, room)
        self.is_new = self.modified = False
        self.saved_ended = self.ended
        self._say(printable(text), bold_glyphs(text))
        self._draw_status()
        self._place()

    def _quit(self) -> None:
        if self.modified:
            raise UnsupportedKeyError("vim: :q with unsaved changes is not drawn")
        self._say("$ ".rstrip(" "))
        self.rec.y, self.rec.x = self.height + 1, 2
        self.done = True

    def _end_of_line_flag(self) -> None:
        self._say(self.message[0][: self.cols - 11])  # the pending keys' place is cleared
        self._draw_status()
        self._place()

    def _set_no_end(self) -> None:
        self.ended = False
        self._end_of_line_flag()

    def _set_end(self) -> None:
        self.ended = True
        self._end_of_line_flag()

    @property
    def content(self) -> bytes:
        """What `:w` writes now."""
        return b"" if self.empty else join_lines(self.lines, self.ended)

    normal_keys: ClassVar[dict[bytes, Callable[["Vim", int, bool], None]]] = {
        b"G": _go_line,
        b"\r": _down,
        b"-": _up,
        b"|": _to_column,
        b"0": _to_start,
        b"l": _right,
        b"w": _forward_word,
        b"x": _delete_char,
        b"D": _delete_rest,
        b"dd": _delete_lines,
        b"i": _insert_here,
        b"I": _insert_first,
        b"a": _append_here,
        b"A": _append_end,
        b"o": _open_below,
        b"O": _open_above,
        b"C": _change_rest,
        b"cl": _change_units,
        b"cw": _change_word,
        b"dw": _delete_word,
        b"cc": _change_lines,
        b":": _start_command,
    }
    command_lines: ClassVar[dict[bytes, Callable[["Vim"], None]]] = {
        b"w": _write,
        b"q": _quit,
        b"set nobin noeol": _set_no_end,
        b"set nobin eol": _set_end,
    }


@lru_cache(maxsize=1 << 14)
def _meaning(pending: bytes, key: int) -> tuple[str, int, Callable[[Vim, int, bool], None] | None]:
    """What a Normal mode key does after `pending`: ("wait", "find" or its name, its count, its action if it has one).

    A count before the operator and one behind it are multiplied, as in vim.
    """
    operator = pending[-1:]
    if operator in (b"f", b"t"):
        return "find", 1, None
    if key in _DIGITS or (key == 0x30 and operator.isdigit()):
        return "wait", 1, None
    changes = operator in (b"c", b"d")
    if (key in b"cdf" and not changes) or (key == 0x74 and changes):
        return "wait", 1, None
    if operator.isdigit():
        operator = bytes(place for place in pending if place in b"cd")[-1:]
    count = 1
    for part in pending.replace(b"c", b"d").split(b"d"):
        count *= int(part or 1)
    name = operator + bytes([key])
    return repr(name), count, Vim.normal_keys.get(name)
