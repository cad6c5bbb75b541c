"""Plays a recording in this terminal, with two lines below it: what is shown, and the keys pressed."""

import os
import re
import select
import sys
import termios
import time
import tty
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.watch.ansi import screen_sequence
from pipeline.watch.colours import Theme
from pipeline.watch.marks import indenting, marks
from pipeline.watch.pace import FAST, MAX_RATE, MIN_RATE, Pace
from pipeline.watch.recording import ChapterFilm, Recording
from schema.actions import action_name
from schema.screen import Screen, safe

SEEK = 20  # keys
KEPT_FILMS = 4  # commits in memory
_KEY = re.compile(rb"\x1b\[[A-Z]|.", re.DOTALL)  # an arrow, or one byte


class Place(NamedTuple):
    """Step `step` of the `chapter`-th commit; past its last step, the screen that the commit left."""

    chapter: int
    step: int


class Player:
    """Plays a recording. `bars` is the number of lines below the film, 0 to 2; `view` what is shown of a screen."""

    def __init__(
        self,
        recording: Recording,
        pace: Pace,
        *,
        bars: int = 2,
        loop: bool = False,
        skip_indentation: bool = False,
        view: Callable[[Screen], Screen] = lambda screen: screen,
        theme: Theme | None = None,
    ) -> None:
        self.recording, self.rate, self.pause = recording, pace.rate, pace.pause
        self.bars, self.loop, self.skip_indentation = bars, loop, skip_indentation
        self.view, self.theme = view, theme
        self.paused = self.fast = False
        self.typed: list[bytes] = []  # keys read and not yet obeyed
        self._films: dict[int, ChapterFilm | None] = {}
        self._indents: dict[int, npt.NDArray[np.bool_]] = {}

    def play(self) -> None:
        """Until `q`, or until the last screen has been seen and a key was pressed."""
        place: Place | None = Place(0, 0)
        while place is not None:
            place = self._play_from(place)

    def _play_from(self, place: Place) -> Place | None:
        """Play on from a place; the place of a jump, None at the end."""
        before: Screen | None = None
        while True:
            film = self._film(place.chapter)
            if film is None or place.step > len(film):
                following = self._following(place.chapter, film)
                if following is None:
                    return None
                place = following
                continue
            now = self.view(film.step(place.step).screen)
            sys.stdout.write(screen_sequence(before, now, self.recording.geometry.cols, self.theme))
            before = now
            answer = self._wait(film, place, now)
            if answer is not None:
                return answer if answer.chapter >= 0 else None
            place = place._replace(step=place.step + 1)

    def _following(self, chapter: int, film: ChapterFilm | None) -> Place | None:
        """The next chapter's start; after the last one the first one's in a loop."""
        if chapter + 1 < len(self.recording.chapters):
            return Place(chapter + 1, 0)
        return Place(0, 0) if self.loop and any(self._films.values()) else None

    def _film(self, chapter: int) -> ChapterFilm | None:
        if chapter not in self._films:
            film = self._films[chapter] = self.recording.film(chapter)
            if film and self.skip_indentation:
                self._indents[chapter] = indenting(film.film)
            if len(self._films) > KEPT_FILMS:
                oldest = next(iter(self._films))
                del self._films[oldest]
                self._indents.pop(oldest, None)
        return self._films[chapter]

    @property
    def _speed(self) -> float:
        return self.rate * (FAST if self.fast else 1)

    def _seconds(self, film: ChapterFilm, place: Place) -> float | None:
        """How long a screen stays; None: until a key is pressed."""
        if self.paused or self._ends(film, place):
            return None
        if place.step == len(film):
            return self.pause / (FAST if self.fast else 1)
        if self.skip_indentation and self._indents[place.chapter][place.step]:
            return 0.0
        return 1 / self._speed

    def _wait(self, film: ChapterFilm, place: Place, shown: Screen) -> Place | None:
        """Show the bars and wait for the next frame; a place to jump to, chapter -1 to quit, None to go on."""
        started = time.monotonic()
        while True:
            sys.stdout.write(self._bars(film, place, shown))
            sys.stdout.flush()
            seconds = self._seconds(film, place)
            left = None if seconds is None else max(0.0, started + seconds - time.monotonic())
            if not self.typed:
                ready, _, _ = select.select([sys.stdin], [], [], left)
                if not ready:
                    return None
                self.typed = _KEY.findall(os.read(sys.stdin.fileno(), 256)) or [b""]
            answer = self._obey(self.typed.pop(0), film, place)
            if answer is not None:
                return answer

    def _obey(self, key: bytes, film: ChapterFilm, place: Place) -> Place | None:
        """What a key asks for: a place, chapter -1 to quit, None for what changes no place."""
        if key in (b"q", b"\x03", b""):
            return Place(-1, 0)
        if key == b" ":
            self.paused = not self.paused
        elif key in (b"+", b"="):
            self.rate = min(MAX_RATE, self.rate * 1.5)
        elif key == b"-":
            self.rate = max(MIN_RATE, self.rate / 1.5)
        elif key == b"f":
            self.fast = not self.fast
        elif key in (b"\x1b[C", b"\x1b[D", b".", b","):
            keys = SEEK if key.startswith(b"\x1b") else 1
            return self._moved(film, place, keys if key in (b"\x1b[C", b".") else -keys)
        elif key in (b"c", b"C", b"l", b"L"):
            found = marks(film.film)
            steps = found.changes if key in (b"c", b"C") else found.lines
            return self._at_mark(film, place, steps, forward=key.islower())
        elif key in (b"n", b"p"):
            return self._chapter(place, 1 if key == b"n" else -1)
        elif key in (b"g", b"\x1b[H", b"G", b"\x1b[F"):
            return place._replace(step=0 if key in (b"g", b"\x1b[H") else len(film))
        return None

    def _moved(self, film: ChapterFilm, place: Place, keys: int) -> Place:
        """So many keys on or back; past the commit's ends, the next commit's start or the last one's end."""
        step = place.step + keys
        if step < 0 and place.chapter > 0:
            earlier = self._film(place.chapter - 1)
            return Place(place.chapter - 1, len(earlier) if earlier else 0)
        if step > len(film) and place.chapter + 1 < len(self.recording.chapters):
            return Place(place.chapter + 1, 0)
        return place._replace(step=max(0, min(step, len(film))))

    def _at_mark(self, film: ChapterFilm, place: Place, steps: list[int], *, forward: bool) -> Place:
        at = bisect_right(steps, place.step) if forward else bisect_left(steps, place.step) - 1
        if 0 <= at < len(steps):
            return place._replace(step=steps[at])
        return self._moved(film, place, len(film) + 1 if forward else -place.step or -1)

    def _chapter(self, place: Place, way: int) -> Place:
        there = place.chapter + way
        if there >= len(self.recording.chapters):
            film = self._film(place.chapter)
            return place._replace(step=len(film) if film else 0)
        return Place(max(0, there), 0)

    def _ends(self, film: ChapterFilm, place: Place) -> bool:
        """Whether this is the last screen of all."""
        return place.chapter + 1 == len(self.recording.chapters) and place.step == len(film) and not self.loop

    def _bars(self, film: ChapterFilm, place: Place, shown: Screen) -> str:
        """The lines below the film; then the cursor is where the film has it."""
        rows, cols = self.recording.geometry
        lines = [self._status(film, place, cols), self._pressed(film, place, cols)][: self.bars]
        drawn = "".join(
            f"\x1b[{rows + 1 + at};1H\x1b[0;7m{line.ljust(cols)}\x1b[0m" for at, line in enumerate(map(safe, lines))
        )
        return f"{drawn}\x1b[{shown.cursor_row + 1};{shown.cursor_col + 1}H" if drawn else ""

    def _status(self, film: ChapterFilm, place: Place, cols: int) -> str:
        """Which repository, commit and subject; how far, how fast, and how long it still takes."""
        left = (len(film) - place.step) / self._speed
        later = self.recording.chapters[place.chapter + 1 :]
        known = all(chapter.steps for chapter in later)  # what is filmed as it plays has no length yet
        left += sum(chapter.steps / self._speed + self.pause for chapter in later) if known else 0.0
        rate = f"{self.rate:,.0f}" if self.rate >= 100 else f"{self.rate:.3g}"
        word = f"{rate}/s{' fast' if self.fast else ''}{' paused' if self.paused else ''}"
        tail = f" {place.step}/{len(film)} {word} {_clock(left)}{'' if known else '+'} left "
        chapter = film.chapter
        head = f" {self.recording.repo_id} {chapter.commit[:8]} {chapter.subject}"
        room = max(0, cols - len(tail))
        return (head if len(head) <= room else head[: max(0, room - 1)] + "…").ljust(room) + tail[:cols]

    def _pressed(self, film: ChapterFilm, place: Place, cols: int) -> str:
        keys = film.film.action_T[max(0, place.step - cols // 2) : place.step + 1].tolist()
        end = ["end: q leaves" if self._ends(film, place) else "end"] if place.step == len(film) else []
        line = " ".join([*map(action_name, keys), *end])
        return line[-cols:] if len(line) > cols else line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.999), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
