"""Stored episodes as scenes to show: the screens of consecutive commits, row by row, read from the warehouse."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb

from pipeline.shards.store import Store
from pipeline.warehouse.database import open_database
from schema.errors import WarehouseError
from schema.geometry import Geometry
from schema.screen import Screen, StyleRun, runs_by_row

BATCH = 4096  # steps read at a time


class RecordedStep(NamedTuple):
    """One screen and the key pressed next (-1 at the end), in episode number `episode`."""

    screen: Screen
    action: int
    episode: int


class Chapter(NamedTuple):
    """One commit: its ordinal, sha, subject, and number of steps."""

    episode: int
    commit: str
    subject: str
    first_step: int
    steps: int


class Recording(NamedTuple):
    """Consecutive filmed episodes of one repository."""

    warehouse: Store
    repo_id: str
    geometry: Geometry
    chapters: tuple[Chapter, ...]

    @property
    def steps(self) -> int:
        """Steps in all chapters."""
        return sum(chapter.steps for chapter in self.chapters)


def find_recording(warehouse: Path | str, which: str, count: int = 1) -> Recording:
    """`count` filmed episodes (0: all) from `which` on.

    `which` is REPO_ID:ORDINAL, REPO_ID (its first episode) or a commit's sha or a prefix of it.
    Raises WarehouseError, CorruptError, SchemaVersionError.
    """
    store = Store(warehouse)
    with open_database(store) as db:
        start = _start(db, which, warehouse)
        repo_id, episode = start
        rows = db.execute(
            "SELECT episode, commit, subject, first_step, steps FROM episodes"
            " WHERE repo_id = ? AND episode >= ? AND steps > 0 ORDER BY episode" + (f" LIMIT {count}" if count else ""),
            [repo_id, episode],
        ).fetchall()
        size = db.execute("SELECT rows, cols FROM repositories WHERE repo_id = ?", [repo_id]).fetchone()
    if not rows or size is None:
        raise WarehouseError(f"{which}: no filmed episode there; list them: {_listing(warehouse)}")
    return Recording(store, repo_id, Geometry(*size), tuple(Chapter(*row) for row in rows))


def _listing(warehouse: Path | str) -> str:
    return f"duckdb {warehouse}/actions.db 'SELECT repo_id, episode, commit, subject FROM episodes'"


def _start(db: duckdb.DuckDBPyConnection, which: str, warehouse: Path | str) -> tuple[str, int]:
    repo_id, _, ordinal = which.rpartition(":")
    if repo_id and ordinal.isdigit():
        return repo_id, int(ordinal)
    if db.execute("SELECT 1 FROM repositories WHERE repo_id = ?", [which]).fetchone():
        return which, 0
    if re.fullmatch(r"[0-9a-f]{4,64}", which):
        found = db.execute(
            'SELECT repo_id, episode, "commit" FROM episodes WHERE starts_with("commit", ?) ORDER BY ALL LIMIT 2',
            [which],
        ).fetchall()
        if len({commit for _, _, commit in found}) == 1 < len(found):
            films = " and ".join(f"{repo_id}:{episode}" for repo_id, episode, _ in found)
            raise WarehouseError(f"{which}: {films} film this commit; name one of them")
        if len(found) > 1:
            raise WarehouseError(f"{which}: more than one commit begins so; give more digits of it")
        if found:
            return str(found[0][0]), int(found[0][1])
    raise WarehouseError(
        f"{which!r}: neither REPO_ID:ORDINAL nor a repository nor a commit; list them: {_listing(warehouse)}"
    )


def screens(recording: Recording, first_step: int | None = None) -> Iterator[RecordedStep]:
    """Every screen of the reel from stream step `first_step` on (default: its first), and last the final screen."""
    last = recording.chapters[-1]
    start = recording.chapters[0].first_step if first_step is None else first_step
    with open_database(recording.warehouse) as db:
        while start < last.first_step + last.steps:
            table = db.execute(
                "SELECT frame, style, cursor_row, cursor_col, action, episode FROM steps"
                " WHERE repo_id = ? AND stream_step >= ? AND stream_step < ? ORDER BY stream_step",
                [recording.repo_id, start, min(start + BATCH, last.first_step + last.steps)],
            ).fetchall()
            yield from (_step(*row) for row in table)
            start += BATCH
        final = db.execute(
            "SELECT final_frame, final_style, final_cursor_row, final_cursor_col FROM episodes"
            " WHERE repo_id = ? AND episode = ?",
            [recording.repo_id, last.episode],
        ).fetchone()
        assert final is not None
        frame, style, row, col = final
        yield _step(frame, style, row, col, -1, last.episode)


def _step(frame: list[str], style: list[dict[str, int]], row: int, col: int, action: int, episode: int) -> RecordedStep:
    runs = runs_by_row((StyleRun(**run) for run in style), len(frame))
    return RecordedStep(Screen(tuple(frame), runs, row, col), action, episode)
