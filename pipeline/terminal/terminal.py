"""The terminal world: one screen, bash at its prompt, an editor when it is started. Keys in, film out.

The screen is what the real programs would show in a real terminal, cell for cell; nothing is executed.
"""

from collections.abc import Callable, Sequence

from pipeline.film.frames import Film, RowTable
from pipeline.terminal.editors import Editor, program_of, start
from pipeline.terminal.recorder import Recorder
from pipeline.terminal.shell import PROMPT, Shell
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry
from schema.screen import Screen

POLL_KEYS = 4_096  # keys between two calls of `poll`: some hundredths of a second


class Terminal:
    """One terminal that is never reset. `screen` resumes where another one was, at an empty prompt."""

    def __init__(self, geometry: Geometry, screen: Screen | None = None) -> None:
        if screen is None:
            blank = ("",) * (geometry.rows - 1)
            screen = Screen((PROMPT.rstrip(" "), *blank), ((),) * geometry.rows, 0, len(PROMPT))
        self.geometry = geometry
        self.opened = 0  # editors that the last call of `play` started
        self.stand_at(screen)

    def stand_at(self, screen: Screen) -> None:
        """Go to an empty prompt on `screen`, whatever the terminal is in the middle of. The RowTable starts anew."""
        self.recorder = Recorder(self.geometry, screen)
        self.shell = Shell(self.recorder)
        self.editor: Editor | None = None
        self._starting = False

    @property
    def in_editor(self) -> bool:
        """Whether an editor has the keyboard, or was being started when `play` raised: the last one `opened`."""
        return self.editor is not None or self._starting

    @property
    def table(self) -> RowTable:
        """The rows that films refer to by number."""
        return self.recorder.table

    def play(
        self, keys: bytes, contents: Sequence[bytes | None] = (), *, poll: Callable[[], None] = lambda: None
    ) -> Film:
        """The film of `keys`: len(keys) steps.

        `contents[i]` is the file that the i-th editor opens, None where there is none yet. Keys may stop anywhere, and
        go on in the next call. Raises UnsupportedKeyError for a key that is not drawn, and what `poll`, called every
        POLL_KEYS keys, raises to end it.
        """
        self.opened = 0
        for at in range(0, len(keys), POLL_KEYS):
            poll()
            self._feed(keys[at : at + POLL_KEYS], contents)
        return self.recorder.cut(keys)

    def _feed(self, keys: bytes, contents: Sequence[bytes | None]) -> None:
        at = 0
        while at < len(keys):
            if self.editor is not None:
                at = self.editor.feed(keys, at)
                if self.editor.done:
                    self.editor = None
                    self.shell.prompt()
                continue
            at, line = self.shell.feed(keys, at)
            if line is not None and (program := program_of(line)) is not None:
                if self.opened >= len(contents):
                    raise UnsupportedKeyError(f"{line!r}: no content was given for the file it opens")
                self.opened += 1
                self._starting = True
                self.editor = start(program, self.recorder, line, contents[self.opened - 1])
                self._starting = False

    def screen(self) -> Screen:
        """The screen as it is now."""
        return self.recorder.screen()

    def forget_rows(self) -> None:
        """Start a new RowTable; only at the shell's prompt, between two calls of `play`."""
        assert self.editor is None
        self.recorder.forget_rows()
