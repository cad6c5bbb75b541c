"""A model of bash's prompt: typed lines that wrap and scroll, and commands that print nothing."""

import re

from pipeline.terminal.recorder import Recorder, typed_at_end
from schema.actions import Phase
from schema.errors import UnsupportedKeyError
from schema.widths import CLASS, SHELL_SAFE

PROMPT = "$ "
SHELL, MESSAGE = int(Phase.SHELL), int(Phase.MESSAGE)
_COMMIT = re.compile(rb"git add -Af && git commit -qm ")
# One word as a script quotes it: bare, '...', "..." and $'...' pieces side by side.
_WORD = re.compile(rb"(?:\$'(?:[^'\\]|\\.)*'|'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s'\"\\])*", re.DOTALL)


class Shell:
    """The prompt, its line, and where the next character goes."""

    def __init__(self, recorder: Recorder) -> None:
        self.rec = recorder
        self.cols = recorder.cols
        self.last = recorder.rows - 1
        self.line = b""  # typed so far
        self.row_text = PROMPT  # text of the row that the cursor is on
        self.partial = b""
        self.wrapped = False  # the last character filled its row: the cursor is on an empty one
        self.full_row = ""  # the row that was left last
        self.rows_left = 0  # by the line being typed

    def feed(self, keys: bytes, at: int) -> tuple[int, bytes | None]:
        """Play `keys` from index `at` up to Enter or the end; (next index, the line if Enter was pressed)."""
        stop = keys.find(b"\r", at)
        typed = keys[at:] if stop < 0 else keys[at:stop]
        if typed:
            self._type(typed)
        if stop < 0:
            return len(keys), None
        self.rec.key(SHELL)
        self._mark_message()
        line, self.line = self.line, b""
        self._enter()
        return stop + 1, line

    def _enter(self) -> None:
        if self.wrapped and self.rows_left > self.rec.rows + 1:
            self._lose_the_last_row()
        if not self.wrapped:
            self._next_row()
        self.prompt()

    def _lose_the_last_row(self) -> None:
        """Readline (8.2, `_rl_move_vert`) does not go back to a row that its line has only beyond the screen's height.

        Before Enter it would, to print the row's last character once more; here it does so on the empty row. It does
        so only where the row has as many bytes as the screen has columns.
        """
        if self.full_row.isascii():
            text = self.full_row[-1:].rjust(self.cols).rstrip(" ")
            self.rec.put(self.rec.y, self.rec.table.intern(text))
        self.wrapped = False

    def prompt(self) -> None:
        """A new prompt on the cursor's row."""
        self.row_text = PROMPT
        self.wrapped = False
        self.rows_left = 0
        self.rec.put(self.rec.y, self.rec.table.intern(PROMPT.rstrip(" ")))
        self.rec.x = len(PROMPT)

    def _next_row(self) -> None:
        if self.rec.y == self.last:
            self.rec.scroll(0)
        else:
            self.rec.y += 1
        self.rec.x = 0
        self.full_row, self.row_text = self.row_text, ""
        self.rows_left += 1

    def _type(self, typed: bytes) -> None:
        self.line += typed
        if typed.isascii() and not self.partial:
            text = typed.decode("ascii")
            if not text.isprintable():
                raise UnsupportedKeyError(f"bash key in {typed!r} is not drawn")
            at = 0
            while at < len(text):
                part = text[at : at + self.cols - self.rec.x]
                self._type_ascii(part)
                at += len(part)
            return
        for byte in typed:
            self._type_byte(byte)

    def _type_ascii(self, part: str) -> None:
        """Text that at most fills the cursor's row."""
        start = len(self.row_text)
        self.row_text += part
        self.rec.run(SHELL, self.rec.y, typed_at_end(self.row_text, start, part), self.rec.x)
        self.wrapped = False
        if self.rec.x == self.cols:
            self._next_row()
            self.wrapped = True

    def _type_byte(self, byte: int) -> None:
        self.partial += bytes([byte])
        try:
            unit = self.partial.decode("utf-8")
        except UnicodeDecodeError as error:
            if "unexpected end" not in error.reason:
                raise UnsupportedKeyError(f"bash: {self.partial!r} is not UTF-8") from error
            self.rec.key(SHELL)
            return
        self.partial = b""
        width = int(CLASS[ord(unit)])
        if not (unit.isascii() and unit.isprintable()) and not SHELL_SAFE[ord(unit)]:
            raise UnsupportedKeyError(f"bash: {unit!r} is not drawn at the prompt")
        self.rec.key(SHELL)
        if self.rec.x + width > self.cols:
            self._next_row()
        self.row_text += unit
        self.rec.put(self.rec.y, self.rec.table.intern(self.row_text.rstrip(" ")))
        self.rec.x += width
        self.wrapped = False
        if self.rec.x == self.cols:
            self._next_row()
            self.wrapped = True

    def _mark_message(self) -> None:
        """The subject of a commit is a message, not shell."""
        commit = _COMMIT.match(self.line)
        if not commit:
            return
        word = _WORD.match(self.line, commit.end())
        assert word is not None
        enter = len(self.rec.phase) - 1
        start = enter - len(self.line) + word.start()
        stop = enter - len(self.line) + word.end()
        start = max(start, 0)
        self.rec.phase[start:stop] = bytes([MESSAGE]) * (stop - start)
