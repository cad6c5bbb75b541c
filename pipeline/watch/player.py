"""Plays a recording in this terminal, with a line of the keys below it."""

import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.watch.ansi import paint, safe
from pipeline.watch.recording import RecordedStep, Recording, screens
from schema.actions import action_name
from schema.screen import Screen

SEEK = 20  # keys
_KEY = re.compile(rb"\x1b\[[A-Z]|.", re.DOTALL)  # an arrow, or one byte


class Player:
    """Plays a reel in this terminal. `rate` is keys a second."""

    def __init__(self, recording: Recording, rate: float, show_keys: bool) -> None:
        self.recording = recording
        self.rate = rate
        self.show_keys = show_keys
        self.paused = False
        self.typed: list[bytes] = []  # keys read and not yet obeyed
        self.chapters = {chapter.episode: chapter for chapter in recording.chapters}
        self.first = recording.chapters[0].first_step
        self.end = recording.chapters[-1].first_step + recording.chapters[-1].steps

    def play(self) -> None:
        """Until the last frame or `q`."""
        at: int | None = self.first
        while at is not None:
            at = self._play_from(at)

    def _play_from(self, step: int) -> int | None:
        """Play from a stream step; return the step to go on from after a jump, None at the end."""
        before: Screen | None = None
        pressed: list[str] = []
        for now in screens(self.recording, step):
            pressed = [*pressed[-11:], action_name(now.action) if now.action >= 0 else "end"]
            sys.stdout.write(paint(before, now.screen, self.recording.geometry.cols))
            before = now.screen
            jump = self._wait(step, now, pressed)
            if jump is not None:
                return None if jump < 0 else jump
            step += 1
        return None

    def _bar(self, step: int, now: RecordedStep, pressed: list[str]) -> str:
        rows, cols = self.recording.geometry
        chapter = self.chapters[now.episode]
        done = step - self.first
        text = f" {done}/{self.recording.steps} {chapter.commit[:8]} {self.rate:g}/s  {' '.join(pressed)}"
        y, x = now.screen.cursor_row, now.screen.cursor_col
        return f"\x1b[{rows + 1};1H\x1b[0;7m{safe(text)[:cols].ljust(cols)}\x1b[0m\x1b[{y + 1};{x + 1}H"

    def _wait(self, step: int, now: RecordedStep, pressed: list[str]) -> int | None:
        """Show the bar and wait for the next frame; a step to jump to, -1 to quit, None to go on."""
        started, last = time.monotonic(), now.action < 0
        while True:
            if self.show_keys:
                sys.stdout.write(self._bar(step, now, pressed))
            sys.stdout.flush()
            left = None if self.paused or last else max(0.0, started + 1 / self.rate - time.monotonic())
            if not self.typed:
                ready, _, _ = select.select([sys.stdin], [], [], left)
                if not ready:
                    return None
                self.typed = _KEY.findall(os.read(sys.stdin.fileno(), 256)) or [b""]
            key = self.typed.pop(0)
            if key in (b"q", b"\x03", b""):
                return -1
            if key == b" ":
                self.paused = not self.paused
            elif key in (b"+", b"="):
                self.rate = min(1000.0, self.rate * 1.5)
            elif key == b"-":
                self.rate = max(0.5, self.rate / 1.5)
            elif key == b"\x1b[C":
                return min(self.end, step + SEEK)
            elif key == b"\x1b[D":
                return max(self.first, step - SEEK)
            elif key in (b"n", b"p"):
                return self._chapter(step, 1 if key == b"n" else -1)

    def _chapter(self, step: int, way: int) -> int:
        starts = [chapter.first_step for chapter in self.recording.chapters]
        here = max(i for i, start in enumerate(starts) if start <= max(step, starts[0]))
        there = here + way
        return self.end if there >= len(starts) else starts[max(0, there)]


@contextmanager
def raw_terminal() -> Iterator[None]:
    """The alternate screen and unbuffered keys; the terminal is as before afterwards, whatever happens."""
    saved = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write("\x1b[?1049h\x1b[0m\x1b[2J")
        yield
    finally:
        sys.stdout.write("\x1b[0m\x1b[?1049l")
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)
