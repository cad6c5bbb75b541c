"""Watch the film of a commit: `python -m pipeline.watch EPISODE`, or write it down with `--asciicast FILE`.

EPISODE is REPO_ID:ORDINAL, a repository's id, or a commit's sha. Commits are chapters.
Keys while it plays: space pause, + - speed, left right 20 keys back and on, n p next and previous commit, q quit.
"""

import argparse
import json
import os
import re
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.paint import paint, safe
from pipeline.scenes import Chapter, Picture, Reel, find_reel, pictures
from schema.actions import action_name
from schema.errors import ConfigError, GitreelError, WarehouseError

CHAPTER_PAUSE = 0.7  # seconds between commits
SEEK = 20  # keys
_KEY = re.compile(rb"\x1b\[[A-Z]|.", re.DOTALL)  # an arrow, or one byte


def write_asciicast(reel: Reel, target: Path, *, version: int = 2, rate: float = 30.0) -> int:
    """Write the reel as asciicast `version` 2 or 3 at `rate` keys a second, commits as markers; return its events.

    The file appears whole or not at all. Raises WarehouseError when it cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as out:
            events = 0
            for event in _events(reel, version, rate):
                out.write(json.dumps(event, ensure_ascii=False) + "\n")
                events += 1
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WarehouseError(f"{target}: cannot be written ({error.strerror}); choose another file") from error
    return events - 1


def _events(reel: Reel, version: int, rate: float) -> Iterator[object]:
    rows, cols = reel.geometry
    title = safe(f"{reel.repo_id} {reel.chapters[0].commit[:12]}")
    if version == 2:
        yield {"version": 2, "width": cols, "height": rows, "title": title, "env": {"TERM": "xterm"}}
    else:
        yield {"version": 3, "term": {"cols": cols, "rows": rows, "type": "xterm"}, "title": title}
    chapters = {chapter.episode: chapter for chapter in reel.chapters}
    before: Picture | None = None
    clock = said = 0.0
    for now in pictures(reel):
        new_chapter = now.action >= 0 and (before is None or before.episode != now.episode)
        if new_chapter and before is not None:
            clock += CHAPTER_PAUSE
        drawn = paint(before, now, cols)
        for kind, data in (("o", drawn), ("m", safe(_label(chapters[now.episode])) if new_chapter else "")):
            if data:
                stamp = clock if version == 2 else clock - said
                yield [round(stamp, 6), kind, data]
                said = clock
        clock += 1 / rate
        before = now


def _label(chapter: Chapter) -> str:
    return f"{chapter.commit[:12]} {chapter.subject}"


class Player:
    """Plays a reel in this terminal. `rate` is keys a second."""

    def __init__(self, reel: Reel, rate: float, show_keys: bool) -> None:
        self.reel = reel
        self.rate = rate
        self.show_keys = show_keys
        self.paused = False
        self.typed: list[bytes] = []  # keys read and not yet obeyed
        self.chapters = {chapter.episode: chapter for chapter in reel.chapters}
        self.first = reel.chapters[0].first_step
        self.end = reel.chapters[-1].first_step + reel.chapters[-1].steps

    def play(self) -> None:
        """Until the last frame or `q`."""
        at: int | None = self.first
        while at is not None:
            at = self._play_from(at)

    def _play_from(self, step: int) -> int | None:
        """Play from a stream step; return the step to go on from after a jump, None at the end."""
        before: Picture | None = None
        pressed: list[str] = []
        for now in pictures(self.reel, step):
            pressed = [*pressed[-11:], action_name(now.action) if now.action >= 0 else "end"]
            sys.stdout.write(paint(before, now, self.reel.geometry.cols))
            before = now
            jump = self._wait(step, now, pressed)
            if jump is not None:
                return None if jump < 0 else jump
            step += 1
        return None

    def _bar(self, step: int, now: Picture, pressed: list[str]) -> str:
        rows, cols = self.reel.geometry
        chapter = self.chapters[now.episode]
        done = step - self.first
        text = f" {done}/{self.reel.steps} {chapter.commit[:8]} {self.rate:g}/s  {' '.join(pressed)}"
        y, x = now.cursor
        return f"\x1b[{rows + 1};1H\x1b[0;7m{safe(text)[:cols].ljust(cols)}\x1b[0m\x1b[{y + 1};{x + 1}H"

    def _wait(self, step: int, now: Picture, pressed: list[str]) -> int | None:
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
        starts = [chapter.first_step for chapter in self.reel.chapters]
        here = max(i for i, start in enumerate(starts) if start <= max(step, starts[0]))
        there = here + way
        return self.end if there >= len(starts) else starts[max(0, there)]


@contextmanager
def _raw_terminal() -> Iterator[None]:
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


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.watch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("episode", help="REPO_ID:ORDINAL, REPO_ID or a commit's sha")
    parser.add_argument("--warehouse", type=Path, default=Path("warehouse"), help="folder (default: warehouse)")
    parser.add_argument("--episodes", type=int, default=1, metavar="N", help="commits to show; 0 for all (default 1)")
    parser.add_argument("--rate", type=float, default=30.0, help="keys a second (default 30)")
    parser.add_argument("--no-keys", action="store_true", help="do not show the keys below the film")
    parser.add_argument("--asciicast", type=Path, metavar="FILE", help="write an asciicast instead of playing")
    parser.add_argument(
        "--asciicast-version",
        type=int,
        choices=(2, 3),
        default=2,
        help="default 2: asciinema 2.4, the one on PyPI, plays no version 3",
    )
    options = parser.parse_args(arguments)
    try:
        if options.rate <= 0 or options.episodes < 0:
            raise ConfigError("--rate must be above 0 and --episodes 0 or more")
        reel = find_reel(options.warehouse, options.episode, options.episodes)
        if options.asciicast:
            events = write_asciicast(reel, options.asciicast, version=options.asciicast_version, rate=options.rate)
            print(f"{options.asciicast}: {reel.steps} steps, {len(reel.chapters)} commits, {events} events")
            return 0
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("not a terminal; write a file instead: add --asciicast FILE")
        size = shutil.get_terminal_size()
        rows, cols = reel.geometry
        if size.lines < rows + (not options.no_keys) or size.columns < cols:
            raise ConfigError(
                f"the film is {cols} columns by {rows} rows (and a line for keys, unless --no-keys);"
                f" this terminal is {size.columns} by {size.lines}: enlarge it"
            )
        with _raw_terminal():
            Player(reel, options.rate, not options.no_keys).play()
    except GitreelError as error:
        print(f"gitreel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
