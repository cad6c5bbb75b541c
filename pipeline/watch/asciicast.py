"""Writes a recording as an asciicast, version 2 or 3: the file format of asciinema, with commits as markers."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.watch.ansi import paint, safe
from pipeline.watch.recording import Chapter, RecordedStep, Recording, screens
from schema.errors import WarehouseError

CHAPTER_PAUSE = 0.7  # seconds between commits


def write_asciicast(recording: Recording, target: Path, *, version: int = 2, rate: float = 30.0) -> int:
    """Write the reel as asciicast `version` 2 or 3 at `rate` keys a second, commits as markers; return its events.

    The file appears whole or not at all. Raises WarehouseError when it cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as out:
            events = 0
            for event in _events(recording, version, rate):
                out.write(json.dumps(event, ensure_ascii=False) + "\n")
                events += 1
        part.replace(target)
    except WarehouseError:  # of the film that was read
        raise
    except OSError as error:
        raise WarehouseError(f"{target}: cannot be written ({error.strerror}); choose another file") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return events - 1


def _events(recording: Recording, version: int, rate: float) -> Iterator[object]:
    rows, cols = recording.geometry
    title = safe(f"{recording.repo_id} {recording.chapters[0].commit[:12]}")
    if version == 2:
        yield {"version": 2, "width": cols, "height": rows, "title": title, "env": {"TERM": "xterm"}}
    else:
        yield {"version": 3, "term": {"cols": cols, "rows": rows, "type": "xterm"}, "title": title}
    chapters = {chapter.episode: chapter for chapter in recording.chapters}
    before: RecordedStep | None = None
    clock = said = 0.0
    for now in screens(recording):
        new_chapter = now.action >= 0 and (before is None or before.episode != now.episode)
        if new_chapter and before is not None:
            clock += CHAPTER_PAUSE
        drawn = paint(before.screen if before else None, now.screen, cols)
        for kind, data in (("o", drawn), ("m", safe(_label(chapters[now.episode])) if new_chapter else "")):
            if data:
                stamp = clock if version == 2 else clock - said
                yield [round(stamp, 6), kind, data]
                said = clock
        clock += 1 / rate
        before = now


def _label(chapter: Chapter) -> str:
    return f"{chapter.commit[:12]} {chapter.subject}"
