"""The pipeline from Python: film a repository, play a stored commit, act in a terminal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.harvester import HarvestConfig, Outcome, harvest_repository
from pipeline.shards.store import Store
from pipeline.terminal.env import TerminalEnv
from pipeline.warehouse.build import build
from pipeline.warehouse.checks import may_hold_film
from pipeline.watch.recording import Chapter, screens
from pipeline.watch.stored import StoredRecording, find_recording
from schema.config import ReplayConfig
from schema.geometry import Geometry
from schema.screen import Screen


def harvest(
    repository: str | Path, warehouse: str | Path = "warehouse", *, rows: int = 24, cols: int = 80, **settings: Any
) -> Outcome:
    """Film what is new of one repository, a folder or a URL, and build the warehouse's database.

    `warehouse` is a folder or s3://bucket/prefix, made if need be; `rows` and `cols` are the screen's size in cells;
    `settings` are further fields of schema.config.ReplayConfig, such as `max_commit_files`. No server is started.
    Run again, it films only new commits.

    Raises SourceError (a repository that cannot be used), WarehouseError, ConfigError, CorruptError,
    SchemaVersionError.
    """
    geometry = Geometry(rows, cols).check()
    config = HarvestConfig(
        warehouse=str(warehouse), replay=ReplayConfig.of(rows=geometry.rows, cols=geometry.cols, **settings)
    )
    may_hold_film(Store(str(warehouse)))
    outcome = harvest_repository(str(repository), config)
    build(Store(str(warehouse)))
    return outcome


class RecordedEpisode:
    """One stored commit: its screens, and the key pressed at each.

    Iterating gives (screen before the key, key) for each of its `len()` steps, any number of times.
    """

    def __init__(self, recording: StoredRecording) -> None:
        self._recording = recording

    @property
    def repo_id(self) -> str:
        """The repository's id in the warehouse."""
        return self._recording.repo_id

    @property
    def geometry(self) -> Geometry:
        """The screen's size, cells."""
        return self._recording.geometry

    @property
    def commit(self) -> str:
        """The commit's sha."""
        return self._chapter.commit

    @property
    def subject(self) -> str:
        """The commit's subject, as it was typed."""
        return self._chapter.subject

    def __len__(self) -> int:
        return self._chapter.steps

    def __iter__(self) -> Iterator[tuple[Screen, int]]:
        for step in screens(self._recording):
            if step.action >= 0:
                yield step.screen, step.action

    @property
    def final_screen(self) -> Screen:
        """The screen that the last key left."""
        return self._recording.film(0).final

    @property
    def _chapter(self) -> Chapter:
        return self._recording.chapters[0]


def open_episode(warehouse: str | Path, which: str) -> RecordedEpisode:
    """One episode of a warehouse's film, a folder.

    `which` is REPO_ID:ORDINAL, REPO_ID (its first filmed episode) or a commit's sha or a prefix of it.
    Raises WarehouseError.
    """
    return RecordedEpisode(find_recording(Path(warehouse), which))


__all__ = ["Outcome", "RecordedEpisode", "Screen", "TerminalEnv", "harvest", "open_episode"]
