"""Writes a recording as an asciicast, version 2 or 3: the file format of asciinema, with commits as markers."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.watch.ansi import screen_sequence
from pipeline.watch.colours import Theme
from pipeline.watch.pace import USUAL, Pace
from pipeline.watch.recording import Chapter, ChapterFilm, Recording
from schema.pages.files import whole_file
from schema.screen import Screen, safe


def write_asciicast(
    recording: Recording,
    films: Iterable[ChapterFilm],
    target: Path,
    *,
    version: int = 2,
    pace: Pace = USUAL,
    view: Callable[[Screen], Screen] = lambda screen: screen,
    theme: Theme | None = None,
) -> int:
    """Write `films`, the recording's, as asciicast `version` 2 or 3, commits as markers; return its events.

    The file appears whole or not at all. Raises WarehouseError when it cannot be written.
    """
    events = 0
    with whole_file(target) as part, part.open("w", encoding="utf-8") as out:
        for event in _events(recording, films, version, pace, view, theme):
            out.write(json.dumps(event, ensure_ascii=False) + "\n")
            events += 1
    return events - 1


def _events(
    recording: Recording,
    films: Iterable[ChapterFilm],
    version: int,
    pace: Pace,
    view: Callable[[Screen], Screen],
    theme: Theme | None,
) -> Iterator[object]:
    rows, cols = recording.geometry
    title = safe(f"{recording.repo_id} {recording.chapters[0].commit[:12]}")
    if version == 2:
        yield {"version": 2, "width": cols, "height": rows, "title": title, "env": {"TERM": "xterm"}}
    else:
        yield {"version": 3, "term": {"cols": cols, "rows": rows, "type": "xterm"}, "title": title}
    before: Screen | None = None
    clock = said = 0.0
    for film in films:
        clock += pace.pause if before is not None else 0.0
        for at in range(len(film) + 1):
            now = view(film.step(at).screen)
            label = safe(_label(film.chapter)) if at == 0 else ""
            for kind, data in (("o", screen_sequence(before, now, cols, theme)), ("m", label)):
                if data:
                    yield [round(clock if version == 2 else clock - said, 6), kind, data]
                    said = clock
            clock += 1 / pace.rate if at < len(film) else 0.0
            before = now


def _label(chapter: Chapter) -> str:
    return f"{chapter.commit[:12]} {chapter.subject}"
