"""Film to show: the commits of one repository in order, each with its screens and keys."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from pipeline.film.frames import Film, RowTable
from schema.geometry import Geometry
from schema.screen import Screen


class RecordedStep(NamedTuple):
    """One screen, the key pressed next and its phase (both -1 at the end), in episode number `episode`."""

    screen: Screen
    action: int
    episode: int
    phase: int


class Chapter(NamedTuple):
    """One commit: its ordinal, sha, subject, and number of steps."""

    episode: int
    commit: str
    subject: str
    first_step: int
    steps: int


class ChapterFilm(NamedTuple):
    """One commit's film in memory. `film.frames` counts in `table`; `final` is the screen that the last key left."""

    chapter: Chapter
    table: RowTable
    film: Film
    final: Screen

    def __len__(self) -> int:
        return len(self.film.action_T)

    def step(self, at: int) -> RecordedStep:
        """Step `at`; the final screen at `len()`."""
        if at == len(self):
            return RecordedStep(self.final, -1, self.chapter.episode, -1)
        rows = [self.table.row(number) for number in self.film.frames[at].tolist()]
        film = self.film
        screen = Screen(
            tuple(text for text, _ in rows),
            tuple(runs for _, runs in rows),
            int(film.cursor_row_T[at]),
            int(film.cursor_col_T[at]),
        )
        return RecordedStep(screen, int(film.action_T[at]), self.chapter.episode, int(film.phase_T[at]))


class Recording(Protocol):
    """Commits of one repository to be shown one after the other. Film is made, or read, when it is asked for."""

    @property
    def repo_id(self) -> str:
        """The repository's name."""

    @property
    def geometry(self) -> Geometry:
        """The screen's size, cells."""

    @property
    def chapters(self) -> Sequence[Chapter]:
        """The commits, in order."""

    def film(self, index: int) -> ChapterFilm | None:
        """The film of the `index`-th chapter; None where that commit cannot be filmed."""

    @property
    def steps(self) -> int | None:
        """Keys in all chapters; None where that is known only once they have been filmed."""

    def films(self) -> Iterator[ChapterFilm]:
        """The film of every chapter that has one, in order."""


def screens(recording: Recording) -> Iterator[RecordedStep]:
    """Every step of the recording, and last the screen that its last key left."""
    last: ChapterFilm | None = None
    for last in recording.films():
        yield from map(last.step, range(len(last)))
    if last is not None:
        yield last.step(len(last))
