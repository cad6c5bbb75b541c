"""Every column of every table. Writers, loaders, SQL, documentation and tests all read this one.

A *step* is (frame, action): the screen before the key, and the key. An *episode* is one commit's steps. A repository's
*stream* is its episodes in order, in one terminal that is never reset.
"""

from typing import NamedTuple

import pyarrow as pa


class Column(NamedTuple):
    """One column: `unit` is empty where there is none."""

    name: str
    type: pa.DataType
    unit: str
    nullable: bool
    meaning: str


STYLE_RUN = pa.struct(
    [
        pa.field("row", pa.int16(), nullable=False),
        pa.field("start", pa.int16(), nullable=False),
        pa.field("length", pa.int16(), nullable=False),
        pa.field("style", pa.uint8(), nullable=False),
    ]
)
STYLE = pa.list_(pa.field("run", STYLE_RUN, nullable=False))
SCREEN = pa.list_(pa.field("row", pa.string(), nullable=False))
OPENED = pa.list_(
    pa.field(
        "file",
        pa.struct([pa.field("path", pa.string(), nullable=False), pa.field("blob", pa.string())]),
        nullable=False,
    )
)
FRAME = pa.list_(pa.field("row", pa.dictionary(pa.int32(), pa.string()), nullable=False))

STEPS = (
    Column("repo_id", pa.dictionary(pa.int32(), pa.string()), "", False, "the repository"),
    Column("stream_step", pa.int64(), "steps", False, "gap-free from 0 in a stream; the file's order"),
    Column("episode", pa.int32(), "", False, "ordinal of the commit in its stream"),
    Column("frame", FRAME, "rows", False, "the screen before the key: `rows` rows, right-trimmed"),
    Column("style", STYLE, "cells", False, "runs of cells that are not plain, by row then start"),
    Column("cursor_row", pa.int16(), "cells", False, "cursor row, 0 at the top"),
    Column("cursor_col", pa.int16(), "cells", False, "cursor column, 0 at the left"),
    Column("action", pa.uint8(), "byte", False, "the key pressed next"),
    Column("phase", pa.uint8(), "enum", False, "schema.actions.Phase"),
)
EPISODES = (
    Column("repo_id", pa.string(), "", False, "the repository"),
    Column("episode", pa.int32(), "", False, "ordinal of the commit in its stream, dropped ones included"),
    Column("commit", pa.string(), "sha", False, "the commit"),
    Column("parent", pa.string(), "sha", True, "its first parent; null for a root"),
    Column("authored_at", pa.timestamp("s", tz="UTC"), "s", True, "author time; null if out of range"),
    Column("committed_at", pa.timestamp("s", tz="UTC"), "s", True, "committer time; null if out of range"),
    Column("author", pa.string(), "", True, "keyed hash of the author's e-mail; null without a key"),
    Column("subject", pa.string(), "", False, "the subject as typed"),
    Column("status", pa.string(), "", False, "'filmed' or 'dropped'"),
    Column("reason", pa.string(), "", True, "why it was dropped"),
    Column("files", pa.int32(), "files", False, "files changed by the commit"),
    Column("files_typed", pa.int32(), "files", False, "files changed by typing; the others came by checkout"),
    Column("lines", pa.int64(), "lines", False, "added and removed lines of valid, hand-written text"),
    Column("lines_typed", pa.int64(), "lines", False, "those of them that were typed"),
    Column("first_step", pa.int64(), "steps", False, "stream_step of its first step"),
    Column("steps", pa.int64(), "steps", False, "number of steps; 0 for a dropped commit"),
    Column("tree", pa.string(), "sha", False, "tree in the terminal's folder after it"),
    Column("opened", OPENED, "", False, "files in the order they were opened; blob is null for a new file"),
    Column("final_frame", SCREEN, "rows", False, "the screen after its last key"),
    Column("final_style", STYLE, "cells", False, "that screen's style runs"),
    Column("final_cursor_row", pa.int16(), "cells", False, "that screen's cursor row"),
    Column("final_cursor_col", pa.int16(), "cells", False, "that screen's cursor column"),
)
BLOBS = (
    Column("blob", pa.string(), "sha", False, "git's object id of the content"),
    Column("size", pa.int64(), "bytes", False, "length of the content"),
    Column("content", pa.binary(), "bytes", False, "the file's bytes when it was opened"),
)
DROPS = (
    Column("repo_id", pa.string(), "", False, "the repository"),
    Column("episode", pa.int32(), "", True, "ordinal of the commit; null for a whole repository"),
    Column("commit", pa.string(), "sha", True, "the commit"),
    Column("path", pa.string(), "", True, "the file; null when the whole commit was dropped"),
    Column("scope", pa.string(), "", False, "'repository', 'commit' (stepped over) or 'file' (brought by checkout)"),
    Column("rule", pa.string(), "", False, "the reason, a fixed word: binary, too-large, generated, secret, ..."),
)
REPOSITORIES = (
    Column("repo_id", pa.string(), "", False, "owner/name, or a local folder's name; behind it @EDITOR, but for vim"),
    Column("source", pa.string(), "", False, "URL or folder name it was cloned from, without credentials"),
    Column("head", pa.string(), "sha", True, "newest commit filmed"),
    Column("family", pa.string(), "sha", True, "oldest root commit: forks share it"),
    Column("licence", pa.string(), "SPDX", True, "licence identifier; null if unknown"),
    Column("split", pa.string(), "", True, "train, validation or test"),
    Column("duplicate_of", pa.string(), "", True, "repo_id of the canonical member of its family"),
    Column("status", pa.string(), "", False, "'complete', 'partial' or 'refused'"),
    Column("reason", pa.string(), "", True, "why it was refused"),
    Column("episodes", pa.int64(), "episodes", False, "commits filmed"),
    Column("steps", pa.int64(), "steps", False, "length of its stream"),
    Column("rows", pa.int16(), "cells", True, "screen height"),
    Column("cols", pa.int16(), "cells", True, "screen width"),
    Column("editor", pa.string(), "", False, "the editor that files are edited in: vim or nano"),
    Column("motion", pa.string(), "", False, "how its cursor goes: jumps, or arrows (nano alone)"),
    Column("repository", pa.string(), "", False, "repo_id without @EDITOR: the same for its film in every editor"),
    Column("tool_version", pa.string(), "", False, "gitreel's version"),
    Column("config_hash", pa.string(), "", False, "schema.config.ReplayConfig.digest"),
)
SHARDS = (
    Column("repo_id", pa.string(), "", False, "the repository"),
    Column("shard", pa.int32(), "", False, "ordinal in its stream"),
    Column("path", pa.string(), "", False, "file of steps, relative to the warehouse"),
    Column("sha256", pa.string(), "", False, "checksum of that file"),
    Column("bytes", pa.int64(), "bytes", False, "size of that file"),
    Column("first_step", pa.int64(), "steps", False, "stream_step of its first step"),
    Column("steps", pa.int64(), "steps", False, "steps in it"),
    Column("first_episode", pa.int32(), "", False, "first episode in it"),
    Column("episodes", pa.int32(), "episodes", False, "episodes in it, dropped ones included"),
    Column("closed", pa.bool_(), "", False, "closed shards never change; only the last may be open"),
    Column("schema_version", pa.string(), "", False, "schema.version.SCHEMA_VERSION"),
    Column("tool_version", pa.string(), "", False, "gitreel's version"),
    Column("config_hash", pa.string(), "", False, "schema.config.ReplayConfig.digest"),
    Column("rows", pa.int16(), "cells", False, "screen height"),
    Column("cols", pa.int16(), "cells", False, "screen width"),
    Column("vim_version", pa.string(), "", False, "the vim whose widths, and in its own film screen, are drawn"),
    Column("width_hash", pa.string(), "", False, "schema.widths.WIDTH_HASH"),
    Column("editor", pa.string(), "", False, "the editor that files are edited in: vim or nano"),
    Column("editor_version", pa.string(), "", False, "the version of it whose screen is drawn"),
)
TABLES = {
    "steps": STEPS,
    "episodes": EPISODES,
    "blobs": BLOBS,
    "drops": DROPS,
    "repositories": REPOSITORIES,
    "shards": SHARDS,
}


def arrow_schema(table: str, metadata: dict[str, str] | None = None) -> pa.Schema:
    """The Arrow schema of one of TABLES, with `metadata` as its key-value metadata. Raises KeyError."""
    fields = [pa.field(c.name, c.type, nullable=c.nullable) for c in TABLES[table]]
    return pa.schema(fields, metadata=dict(metadata) if metadata else None)
