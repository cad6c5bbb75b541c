"""Writes a recording as one HTML file that plays it: its commits are packed in the page, and unpacked one at a time."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.watch.colours import Theme, offered
from pipeline.watch.marks import marks
from pipeline.watch.pace import FAST, USUAL, Pace
from pipeline.watch.recording import ChapterFilm, Recording
from schema.actions import VOCABULARY, Phase, action_name
from schema.pages.page import Page, packed, write_page
from schema.pages.screens import screens_data
from schema.screen import Screen, safe


class Written(NamedTuple):
    """What a film's page holds."""

    bytes: int
    steps: int
    commits: int


def write_film_page(
    recording: Recording,
    films: Iterable[ChapterFilm],
    target: Path,
    *,
    pace: Pace = USUAL,
    seconds: float | None = None,
    view: Callable[[Screen], Screen] = lambda screen: screen,
    theme: Theme | None = None,
) -> Written:
    """Write the page that plays `films`, the recording's, at a pace, or so that all take `seconds`.

    `view` is what is shown of a screen; `theme` gives its colours, which the page's reader may change.

    Raises WarehouseError when the file cannot be written, and what reading the films raises.
    """
    chapters: list[dict[str, Any]] = []

    def blocks() -> Iterator[tuple[str, str]]:
        for film in films:
            chapters.append(
                {
                    "episode": film.chapter.episode,
                    "commit": film.chapter.commit,
                    "subject": safe(film.chapter.subject),
                    "steps": len(film),
                }
            )
            yield f"film-{film.chapter.episode}", packed(json.dumps(_chapter_data(film, view), separators=(",", ":")))

    page = Page(
        package="pipeline.watch",
        template="film.html",
        title=safe(recording.repo_id),
        styles=("film.css",),
        scripts=("film.js",),
        values={"summary": ""},  # the script counts
        data={
            "film": {
                "rows": recording.geometry.rows,
                "cols": recording.geometry.cols,
                "rate": pace.rate,
                "seconds": seconds,
                "pause": pace.pause,
                "fast": FAST,
                "theme": theme.name if theme else None,
                "themes": [each._asdict() for each in offered(theme)],
                "keys": [action_name(action) for action in range(VOCABULARY)],
                "phases": [phase.name.lower().replace("_", " ") for phase in Phase],
                "chapters": chapters,
            }
        },
    )
    size = write_page(page, target, blocks())
    return Written(size, sum(chapter["steps"] for chapter in chapters), len(chapters))


def _chapter_data(film: ChapterFilm, view: Callable[[Screen], Screen]) -> dict[str, Any]:
    """One commit's screens, its final one included, with the key pressed on each and its phase."""
    data = screens_data(view(film.step(at).screen) for at in range(len(film) + 1))
    found = marks(film.film)
    return {
        **data,
        "keys": film.film.action_T.tolist(),
        "phases": film.film.phase_T.tolist(),
        "changeMarks": found.changes,
        "lineMarks": found.lines,
    }
