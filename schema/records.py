"""One frozen model a table row; field for field the columns of schema.columns (a test holds them together)."""

from datetime import datetime
from typing import Literal, NamedTuple

from schema.config import FrozenModel


class StyleRun(NamedTuple):
    """`length` cells of row `row` from column `start` drawn in `style` (schema.geometry.Style)."""

    row: int
    start: int
    length: int
    style: int


class Opened(FrozenModel):
    """A file that vim opened; `blob` is None when it did not exist."""

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
