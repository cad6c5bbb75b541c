"""The editors that the prompt starts, by the name of their program: the one place where an editor is chosen."""

from collections.abc import Mapping
from typing import Protocol

from pipeline.terminal.nano.editor import Nano
from pipeline.terminal.recorder import Recorder
from pipeline.terminal.vim.normal import Vim
from pipeline.text.quoting import unquote


class Editor(Protocol):
    """An editor with one file open."""

    name: str  # the file's, as the editor shows it
    is_new: bool  # there is no such file yet
    done: bool  # it was left: the prompt is next

    def feed(self, keys: bytes, at: int) -> int:
        """Play `keys` from index `at` until they end or the editor is left; the index after the last key taken.

        Raises UnsupportedKeyError for a key that is not drawn.
        """

    @property
    def content(self) -> bytes:
        """What saving writes now."""


class Program(Protocol):
    """Starts an editor on a file, None where there is none yet, and draws it. Raises UnsupportedKeyError."""

    def __call__(self, recorder: Recorder, name: str, content: bytes | None) -> Editor: ...


PROGRAMS: Mapping[bytes, Program] = {b"vim": Vim, b"nano": Nano}


def program_of(line: bytes) -> Program | None:
    """What a line typed at the prompt starts."""
    return PROGRAMS.get(line.partition(b" ")[0]) if b" " in line else None


def start(program: Program, recorder: Recorder, line: bytes, content: bytes | None) -> Editor:
    """The program started on the file that the line names. Raises UnsupportedKeyError; ValueError for odd quoting."""
    return program(recorder, unquote(line)[-1].decode("utf-8", "surrogateescape"), content)
