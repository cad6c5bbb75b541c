"""A terminal to act in, one key at a time: what a model, a script or a person does instead of a recorded commit.

    env = TerminalEnv(rows=24, cols=80, files={"notes.txt": b"one\\n"})
    for key in b"vim notes.txt\\r":
        screen = env.step(key)
    print("\\n".join(screen.texts))

The screen is a model of bash, vim and nano; nothing is executed. It knows what a replay types: the commands in SILENT,
`vim` or `nano` with one file, and the keys that are drawn in them. For anything else `step` raises instead of guessing.
"""

import shlex
from collections.abc import Mapping

from pipeline.terminal.editors import PROGRAMS, program_of
from pipeline.terminal.terminal import Terminal
from schema.actions import action_name
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry
from schema.screen import Screen

ENTER = 0x0D
# what a replay types at the prompt besides an editor's name; none of it prints anything
SILENT = (
    "git checkout -q ", "git switch -q --orphan ", "git rm -q ", "git mv ", "git add -Af && git commit -qm ",
    "mkdir -p ", "rmdir ", "ln -sfn ", "rm ", "chmod +x ", "chmod -x ",
)  # fmt: skip


class TerminalEnv:
    """A terminal and the files that its editors open and write.

    `files`: contents by path, None for a file that does not exist yet; an editor writes back to it. A path that is not
    named is a new file, unless `closed`: then opening it raises. `start` is the screen to begin on, at an empty prompt
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
        """Whether bash reads the next key, not an editor."""
        return self.terminal.editor is None

    def step(self, key: int) -> Screen:
        """Press one key, a byte, and return the screen then.

        Raises UnsupportedKeyError, with the reason, where the screen would no longer be exact: the episode is over,
        `reset` begins another. ValueError: `key` is no byte.
        """
        if not 0 <= key < 256:
            raise ValueError(f"key {key}: a key is one byte, 0 to 255")
        terminal, editor = self.terminal, self.terminal.editor
        contents: list[bytes | None] = []
        if editor is None and key == ENTER:
            line = terminal.shell.line
            _check_line(line)
            if program_of(line) is not None:
                contents = [self._content(line)]
        try:
            terminal.play(bytes([key]), contents)
        except UnsupportedKeyError as error:
            raise UnsupportedKeyError(f"{action_name(key)} is not drawn here: {error}") from error
        if editor is not None and terminal.editor is None:  # it was left, with nothing unsaved
            self.files[_path(editor.name)] = None if editor.is_new else editor.content
        return self.screen

    def _content(self, line: bytes) -> bytes | None:
        """What the line's editor opens."""
        probe = Terminal(self.geometry)
        probe.shell.line = line
        try:
            probe.play(b"\r", [None])
        except UnsupportedKeyError:
            raise
        except ValueError as error:
            raise UnsupportedKeyError(
                f"{line.decode('utf-8', 'replace')!r} is not quoted as a replay quotes"
            ) from error
        assert probe.editor is not None
        path = _path(probe.editor.name)
        if self.closed and path not in self.files:
            raise UnsupportedKeyError(f"an editor was started on {path!r}, whose content is not held here")
        return self.files.get(path)


def _path(name: str) -> str:
    """A name as an editor holds it -> a path as `episodes.opened` stores it."""
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
    if words[0].encode("utf-8", "surrogateescape") in PROGRAMS:
        if len([word for word in words[1:] if word != "--"]) != 1 or program_of(line) is None:
            raise UnsupportedKeyError(f"{shown} does not open one file")
    elif not text.startswith(SILENT):
        raise UnsupportedKeyError(f"{shown} is no command that a replay types: what it would print is not known")
