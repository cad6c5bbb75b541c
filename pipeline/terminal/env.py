"""A terminal to act in, one key at a time: what a model, a script or a person does instead of a recorded commit.

    env = TerminalEnv(rows=24, cols=80, files={"notes.txt": b"one\\n"})
    for key in b"vim notes.txt\\r":
        screen = env.step(key)
    print("\\n".join(screen.texts))

The screen is a model of bash and vim; nothing is executed. It knows what a replay types: the commands in SILENT, `vim`
with one file, and the keys that pipeline.terminal.vim draws. For anything else `step` raises instead of guessing.
"""

import shlex
from collections.abc import Mapping

from pipeline.terminal.terminal import Terminal
from schema.actions import action_name
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry
from schema.screen import Screen

ENTER = 0x0D
# what a replay types at the prompt besides vim; none of it prints anything
SILENT = (
    "git checkout -q ", "git switch -q --orphan ", "git rm -q ", "git mv ", "git add -Af && git commit -qm ",
    "mkdir -p ", "rmdir ", "ln -sfn ", "rm ", "chmod +x ", "chmod -x ",
)  # fmt: skip


class TerminalEnv:
    """A terminal and the files that its vim opens and writes.

    `files`: contents by path, None for a file that does not exist yet; vim writes back to it. A path that is not named
    is a new file, unless `closed`: then opening it raises. `start` is the screen to begin on, at an empty prompt
    (default: a blank screen). Raises ConfigError for a size at which the screen model does not hold.
    """

    def __init__(
        self,
        rows: int = 24,
        cols: int = 80,
        files: Mapping[str, bytes | None] | None = None,
        *,
        start: Screen | None = None,
        closed: bool = False,
    ) -> None:
        self.geometry = Geometry(rows, cols).check()
        self.start, self.closed = start, closed
        self._first_files = dict(files or {})
        self.reset()

    def reset(self) -> Screen:
        """Begin anew: the first screen, the first files."""
        self.files: dict[str, bytes | None] = dict(self._first_files)
        self.terminal = Terminal(self.geometry, self.start)
        return self.screen

    @property
    def screen(self) -> Screen:
        """The screen as it is now."""
        return self.terminal.screen()

    @property
    def at_prompt(self) -> bool:
        """Whether bash reads the next key, not vim."""
        return self.terminal.vim is None

    def step(self, key: int) -> Screen:
        """Press one key, a byte, and return the screen then.

        Raises UnsupportedKeyError, with the reason, where the screen would no longer be exact: the episode is over,
        `reset` begins another. ValueError: `key` is no byte.
        """
        if not 0 <= key < 256:
            raise ValueError(f"key {key}: a key is one byte, 0 to 255")
        terminal, vim = self.terminal, self.terminal.vim
        contents: list[bytes | None] = []
        if vim is None and key == ENTER:
            line = terminal.shell.line
            _check_line(line)
            if line.startswith(b"vim "):
                contents = [self._content(line)]
        try:
            terminal.play(bytes([key]), contents)
        except UnsupportedKeyError as error:
            raise UnsupportedKeyError(f"{action_name(key)} is not drawn here: {error}") from error
        if vim is not None and terminal.vim is None:  # :q, with nothing unsaved
            self.files[_path(vim.name)] = None if vim.is_new else vim.content
        return self.screen

    def _content(self, line: bytes) -> bytes | None:
        """What the line's vim opens."""
        probe = Terminal(self.geometry)
        probe.shell.line = line
        try:
            probe.play(b"\r", [None])
        except ValueError as error:
            raise UnsupportedKeyError(
                f"{line.decode('utf-8', 'replace')!r} is not quoted as a replay quotes"
            ) from error
        assert probe.vim is not None
        path = _path(probe.vim.name)
        if self.closed and path not in self.files:
            raise UnsupportedKeyError(f"vim was started on {path!r}, whose content is not held here")
        return self.files.get(path)


def _path(name: str) -> str:
    """A name as vim shows it -> a path as `episodes.opened` stores it."""
    return name.replace("\0", "\n").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _check_line(line: bytes) -> None:
    """Raise UnsupportedKeyError for a line at the prompt that would print something."""
    text = line.decode("utf-8", "surrogateescape")
    shown = repr(line.decode("utf-8", "replace"))
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UnsupportedKeyError(f"{shown} is not a whole line of shell") from error
    if not words:
        return
    if words[0] == "vim":
        if len([word for word in words[1:] if word != "--"]) != 1 or not text.startswith("vim "):
            raise UnsupportedKeyError(f"{shown} does not open one file")
    elif not text.startswith(SILENT):
        raise UnsupportedKeyError(f"{shown} is no command that a replay types: what it would print is not known")
