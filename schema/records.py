"""One frozen model a table row; field for field the columns of schema.columns (a test holds them together)."""

from datetime import datetime
from typing import Any, Literal

from schema.config import FrozenModel
from schema.editors import Editor, Motion
from schema.screen import Screen, StyleRun, runs_by_row, style_runs


class Opened(FrozenModel):
    """A file that the editor opened; `blob` is None when it did not exist."""

    path: str
    blob: str | None


class Episode(FrozenModel):
    """One commit of a stream, and the resume point after it."""

    repo_id: str
    episode: int
    commit: str
    parent: str | None
    authored_at: datetime | None
    committed_at: datetime | None
    author: str | None
    subject: str
    status: Literal["filmed", "dropped"]
    reason: str | None
    files: int
    files_typed: int
    lines: int
    lines_typed: int
    first_step: int
    steps: int
    tree: str
    opened: tuple[Opened, ...]
    final_frame: tuple[str, ...]
    final_style: tuple[StyleRun, ...]
    final_cursor_row: int
    final_cursor_col: int

    @property
    def final_screen(self) -> Screen:
        """The screen that the episode left: where the next one starts."""
        runs = runs_by_row(self.final_style, len(self.final_frame))
        return Screen(self.final_frame, runs, self.final_cursor_row, self.final_cursor_col)


def final_fields(screen: Screen) -> dict[str, Any]:
    """The fields of an episode that left `screen`."""
    return {
        "final_frame": screen.texts,
        "final_style": style_runs(screen.runs),
        "final_cursor_row": screen.cursor_row,
        "final_cursor_col": screen.cursor_col,
    }


class Drop(FrozenModel):
    """Something that was not filmed, and why. Never holds the matched value."""

    repo_id: str
    episode: int | None
    commit: str | None
    path: str | None
    scope: Literal["repository", "commit", "file"]
    rule: str


class Repository(FrozenModel):
    """One harvested (or refused) repository."""

    repo_id: str
    source: str
    head: str | None
    family: str | None
    licence: str | None
    split: Literal["train", "validation", "test"] | None
    duplicate_of: str | None
    status: Literal["complete", "partial", "refused"]
    reason: str | None
    episodes: int
    steps: int
    rows: int | None
    cols: int | None
    editor: Editor
    motion: Motion
    repository: str
    tool_version: str
    config_hash: str


class Shard(FrozenModel):
    """One file of consecutive steps of one stream."""

    repo_id: str
    shard: int
    path: str
    sha256: str
    bytes: int
    first_step: int
    steps: int
    first_episode: int
    episodes: int
    closed: bool
    schema_version: str
    tool_version: str
    config_hash: str
    rows: int
    cols: int
    vim_version: str
    width_hash: str
    editor: Editor
    editor_version: str
