"""A recording that is read from a warehouse: consecutive filmed commits of one repository."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb

from pipeline.film.arrow import piece_of
from pipeline.messages import pasteable
from pipeline.shards.store import Store
from pipeline.warehouse.database import open_database
from pipeline.watch.recording import Chapter, ChapterFilm
from schema.errors import WarehouseError
from schema.geometry import Geometry
from schema.screen import Screen, StyleRun, runs_by_row


class StoredRecording(NamedTuple):
    """Consecutive filmed episodes of one repository in a warehouse."""

    warehouse: Store
    repo_id: str
    geometry: Geometry
    chapters: tuple[Chapter, ...]

    @property
    def steps(self) -> int:
        """Steps in all chapters."""
        return sum(chapter.steps for chapter in self.chapters)

    def film(self, index: int) -> ChapterFilm:
        """The film of the `index`-th chapter. Raises WarehouseError, CorruptError."""
        with open_database(self.warehouse) as db:
            return _read(db, self, self.chapters[index])

    def films(self) -> Iterator[ChapterFilm]:
        """The film of every chapter; the database is opened once. Raises WarehouseError, CorruptError."""
        with open_database(self.warehouse) as db:
            yield from (_read(db, self, chapter) for chapter in self.chapters)


def find_recording(warehouse: Path | str, which: str, count: int = 1) -> StoredRecording:
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
    return StoredRecording(store, repo_id, Geometry(*size), tuple(Chapter(*row) for row in rows))


def _listing(warehouse: Path | str) -> str:
    return f"duckdb {pasteable(f'{warehouse}/actions.db')} 'SELECT repo_id, episode, commit, subject FROM episodes'"


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


def _read(db: duckdb.DuckDBPyConnection, recording: StoredRecording, chapter: Chapter) -> ChapterFilm:
    found = db.sql(
        "SELECT frame, style, cursor_row, cursor_col, action, phase, episode FROM steps"
        " WHERE repo_id = ? AND stream_step >= ? AND stream_step < ? ORDER BY stream_step",
        params=[recording.repo_id, chapter.first_step, chapter.first_step + chapter.steps],
    ).to_arrow_table()
    piece = piece_of(found, recording.geometry.rows)
    [(final_frame, final_style, row, col)] = db.execute(
        "SELECT final_frame, final_style, final_cursor_row, final_cursor_col FROM episodes"
        " WHERE repo_id = ? AND episode = ?",
        [recording.repo_id, chapter.episode],
    ).fetchall()
    runs = runs_by_row((StyleRun(**run) for run in final_style), len(final_frame))
    return ChapterFilm(chapter, piece.table, piece.film, Screen(tuple(final_frame), runs, row, col))
