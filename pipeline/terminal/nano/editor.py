"""A model of nano's screen: the keys that a replay types, drawn as nano 7.2 draws them under film.nanorc.

Supported, one byte each: ^F ^B ^N ^P ^A ^E (moves), ^G ^O (next and previous word), ^_ LINE[,COLUMN] Enter, ^D ^H
(delete), ^K (cut the line), ^T (delete up to the next word), Enter, Tab, any other byte that is text, ^Q and a control
character (verbatim), ^S (save), ^X (leave, with nothing unsaved). Other keys raise UnsupportedKeyError.
Exactness is checked cell for cell against the real program (tests/oracle).
"""

import re
from collections.abc import Callable
from typing import ClassVar

from pipeline.terminal.nano import bars
from pipeline.terminal.nano.typing import INSERT, MOTION, TYPED, Typing
from pipeline.text.cells import LONG
from pipeline.text.nano_lines import column_of, glyph, join_units, next_word, previous_word, unit_at
from schema.actions import Phase, action_name
from schema.errors import UnsupportedKeyError

COMMAND = int(Phase.COMMAND_LINE)
_REPEATED = re.compile(rb"(?:\x02{2,}|\x04{2,}|\x08{2,}|\x06{2,}|\x0e{2,}|\x10{2,})")
_ENTER, _COMMA, _NEWLINE, _DEL = 0x0D, 0x2C, 0x0A, 0x7F
_DIGITS = frozenset(b"0123456789")
_MAX_ANSWER = 20  # digits of a line and a column, and more than enough


class Nano(Typing):
    """One run of nano, from the Enter that starts it to the ^X that ends it.

    `feed` plays keys until they end or nano does (`done`).
    """

    answer: str | None = None  # to the question for a line number, while it is asked
    verbatim = False  # ^Q was pressed

    def feed(self, keys: bytes, at: int) -> int:
        """Play `keys` from index `at`; return the index after the last key taken (all, or up to ^X)."""
        end = len(keys)
        while at < end and not self.done:
            if self.answer is not None:
                self._answer_key(keys[at], self.answer)
            elif self.verbatim:
                self._verbatim_key(keys[at])
            elif typed := TYPED.match(keys, at):
                self._type(typed[0].decode("utf-8"))
                at = typed.end()
                continue
            elif count := self._repeated(keys, at):
                at += count
                continue
            else:
                self._key(keys[at])
            at += 1
        return at

    def _key(self, key: int) -> None:
        if key >= 0x80:
            self.rec.key(INSERT)
            self._wipe()
            self._put(chr(0xDC00 + key))
            self._settle()
            return
        phase, action = self.bound.get(key, (0, None))
        if action is None:
            raise UnsupportedKeyError(f"nano key {action_name(key)} is not drawn; play this film with the real nano")
        self.rec.key(phase)
        self._wipe()
        action(self)
        if not (self.done or self.answer is not None):
            self._settle()

    def _repeated(self, keys: bytes, at: int) -> int:
        """Play a key that is pressed several times, as far as it changes nothing but what is quickly drawn; how far."""
        run = _REPEATED.match(keys, at)
        if run is None or self.message:
            return 0
        return self.repeatable[keys[at]](self, run.end() - at)

    # -- moves

    def lines_run(self, step: int, count: int) -> int:
        """As many of `count` ^P or ^N as stay on the first page, in the window or at its edge; how many that is."""
        wanted, line = self.wanted, self.line
        count = min(count, line if step < 0 else len(self.lines) - 1 - line)
        if count < 1 or wanted + 2 >= self.cols:
            return 0
        room = self.row if step < 0 else self.height - 1 - self.row
        if not room:
            return self._scroll_run(step, count)
        count = min(count, room)
        passed = self.lines[line + 1 : line + 1 + count] if step > 0 else self.lines[line - count : line][::-1]
        columns = [
            min(wanted, len(text))
            if len(text) <= LONG and text.isascii() and text.isprintable()
            else column_of(text, unit_at(text, wanted))
            for text in passed
        ]
        first = 1 + self.row + step
        self.rec.moves(MOTION, range(first, first + step * count, step), columns)
        self.line += step * count
        self.row += step * count
        self.unit = unit_at(passed[-1], wanted)
        return count

    def _scroll_run(self, step: int, count: int) -> int:
        """`count` ^P or ^N at the window's edge, each of which moves the window by a line."""
        rec, height, wanted = self.rec, self.height, self.wanted
        for _ in range(count):
            self.line += step
            self.top += step
            text = self._text
            rec.key(MOTION)
            now, number = rec.now, self._number(text)
            rec.put_from(1, [*now[2 : height + 1], number] if step > 0 else [number, *now[1:height]])
            self.unit = unit_at(text, wanted)
            rec.x = self._column()
        return count

    def units_run(self, step: int, count: int) -> int:
        """As many of `count` ^B or ^F as stay in a line of visible ASCII and on the first page; how many that is."""
        text, unit = self._text, self.unit
        count = min(count, unit if step < 0 else min(len(text), self.cols - 3) - unit)
        if count < 1 or max(unit, self.wanted) + 2 >= self.cols or not self._is_simple(text) or "\t" in text:
            return 0
        self.rec.moves(MOTION, (self.rec.y,) * count, range(unit + step, unit + step * (count + 1), step))
        self.unit = self.wanted = unit + step * count
        return count

    def _up(self) -> None:
        self._move_lines(-1)

    def _down(self) -> None:
        self._move_lines(1)

    def _right(self) -> None:
        old, text = self.line, self._text
        if self.unit < len(text):
            self.unit += 1
            while self.unit < len(text) and _is_mark(text[self.unit]):
                self.unit += 1
        elif self.line + 1 < len(self.lines):
            self.line, self.unit = self.line + 1, 0
        self._redraw(old)

    def _left(self) -> None:
        old, text = self.line, self._text
        if self.unit:
            self.unit -= 1
            while self.unit and _is_mark(text[self.unit]):
                self.unit -= 1
        elif self.line:
            self.line -= 1
            self.unit = len(self._text)
        self._redraw(old)

    def _home(self) -> None:
        self._within(0)

    def _end(self) -> None:
        self._within(len(self._text))

    def _within(self, unit: int) -> None:
        """To a unit of the cursor's line, as ^A and ^E go."""
        was, self.unit = self._column(), unit
        self.wanted = self._column()
        if self._page(was) != self._page(self.wanted):
            self._draw_current()

    def _next_word(self) -> None:
        self._to_word(next_word(self._ascii_line(), self.unit))

    def _previous_word(self) -> None:
        self._to_word(previous_word(self._ascii_line(), self.unit))

    def _ascii_line(self) -> str:
        if not self._is_simple(self._text):
            raise UnsupportedKeyError("nano: words are drawn in visible ASCII alone")
        return self._text

    def _to_word(self, unit: int | None) -> None:
        if unit is None:
            raise UnsupportedKeyError("nano: a word of another line is not drawn")
        self.unit = unit
        self._redraw(self.line)

    # -- the question for a line number

    def _ask(self) -> None:
        self.answer = ""
        self._draw_question()

    def _draw_question(self) -> None:
        assert self.answer is not None
        row, self.rec.x = bars.prompt(self.answer, self.cols)
        self.rec.y = self.height + 1
        self.rec.put(self.height + 1, self.rec.table.intern(*row))

    def _answer_key(self, key: int, answer: str) -> None:
        line, comma, column = answer.partition(",")
        self.rec.key(COMMAND)
        if key == _ENTER and line and (column or not comma):
            self.answer = None
            self._say("")
            self._go_to(int(line), int(column) if column else None)
            self._settle()
        elif len(answer) < _MAX_ANSWER and (key in _DIGITS or (key == _COMMA and line and not comma)):
            self.answer = answer + chr(key)
            self._draw_question()
        else:
            raise UnsupportedKeyError(f"nano: {action_name(key)} after the line number {answer!r} is not drawn")

    # -- the rest

    def _start_verbatim(self) -> None:
        self.verbatim = True
        self._say("Verbatim Input")

    def _verbatim_key(self, key: int) -> None:
        self.rec.key(INSERT)
        if not (key < 0x20 or key == _DEL) or key == _NEWLINE:
            raise UnsupportedKeyError(f"nano: ^Q and {action_name(key)} are not drawn")
        self.verbatim = False
        self._put(chr(key))
        self._say("")
        self._settle()

    def _tab(self) -> None:
        self._put("\t")

    def _save(self) -> None:
        self.is_new = self.modified = False
        self._draw_title()
        self._say(f"Wrote {self._count_lines()}")

    def _leave(self) -> None:
        if self.modified:
            raise UnsupportedKeyError("nano: ^X with unsaved changes is not drawn")
        self.rec.put(self.height + 1, 0)
        self.rec.y, self.rec.x = self.height + 1, 0
        self.done = True

    @property
    def content(self) -> bytes:
        """What ^S writes now."""
        return join_units(self.lines)

    bound: ClassVar[dict[int, tuple[int, Callable[["Nano"], None]]]] = {
        0x01: (MOTION, _home),
        0x02: (MOTION, _left),
        0x04: (MOTION, Typing.delete),
        0x05: (MOTION, _end),
        0x06: (MOTION, _right),
        0x07: (MOTION, _next_word),
        0x08: (MOTION, Typing.backspace),
        0x09: (INSERT, _tab),
        0x0B: (MOTION, Typing.cut_line),
        0x0D: (INSERT, Typing.enter),
        0x0E: (MOTION, _down),
        0x0F: (MOTION, _previous_word),
        0x10: (MOTION, _up),
        0x11: (INSERT, _start_verbatim),
        0x13: (COMMAND, _save),
        0x14: (MOTION, Typing.chop_word),
        0x18: (COMMAND, _leave),
        0x1F: (COMMAND, _ask),
    }
    repeatable: ClassVar[dict[int, Callable[["Nano", int], int]]] = {
        0x02: lambda nano, count: nano.units_run(-1, count),
        0x04: Typing.delete_run,
        0x08: Typing.backspace_run,
        0x06: lambda nano, count: nano.units_run(1, count),
        0x0E: lambda nano, count: nano.lines_run(1, count),
        0x10: lambda nano, count: nano.lines_run(-1, count),
    }


def _is_mark(unit: str) -> bool:
    return unit != "\t" and glyph(unit)[1] == 0
