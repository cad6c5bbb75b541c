"""The Parquet files of one shard while it grows: steps, episodes, blobs, drops.

Bytes depend on the shard's episodes alone. Row groups of steps are counted from the shard's first step, groups of blobs
by their size; a shard that is read back and continued is the same file as one written at once.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.film.arrow import Piece, piece_of, row_group
from pipeline.film.frames import Film, RowTable
from pipeline.shards.reader import tables_of
from pipeline.shards.store import Store
from schema.columns import arrow_schema
from schema.config import ReplayConfig
from schema.manifest import KINDS, FileRef, ShardEntry, file_metadata
from schema.records import Drop, Episode

GROUP_STEPS = 16_384
GROUP_BLOB_BYTES = 32 << 20
GROUP_RECORDS = 4_096

_COMMON: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "version": "2.6"}
WRITING: dict[str, dict[str, Any]] = {
    "steps": {
        **_COMMON,
        "use_dictionary": ["repo_id", "episode", "frame.list.element", "phase"],
        "column_encoding": {"stream_step": "DELTA_BINARY_PACKED"},
        "dictionary_pagesize_limit": 64 << 20,
        "data_page_size": 8 << 20,
        "write_batch_size": 1 << 14,
        "write_statistics": ["repo_id", "stream_step", "episode", "action", "phase"],
    },
    "episodes": {
        **_COMMON,
        "dictionary_pagesize_limit": 8 << 20,
        "write_statistics": ["repo_id", "episode"],
    },
    "blobs": {
        **_COMMON,
        "compression_level": 9,  # a fifth smaller, and contents are few
        "use_dictionary": False,
        "data_page_size": 2 * GROUP_BLOB_BYTES,
        "write_batch_size": 1 << 20,
        "write_statistics": ["size"],
    },
    "drops": {**_COMMON, "write_statistics": ["repo_id", "episode"]},
}  # each choice was measured: warehouse/README.md, "Bytes a frame"


class TableFile:
    """One Parquet file, staged beside its place until `publish`."""

    def __init__(self, store: Store, name: str, kind: str, config: ReplayConfig) -> None:
        self.store, self.kind = store, kind
        self.schema = arrow_schema(kind, file_metadata(config, kind))
        self.staged: Path = store.stage(name)
        self.rows = self.groups = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """One row group."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.staged, self.schema, **WRITING[self.kind])
        self._writer.write_table(table.replace_schema_metadata(self.schema.metadata), row_group_size=len(table))
        self.rows += len(table)
        self.groups += 1

    def publish(self, name: str) -> FileRef | None:
        """Close the file and put it in place; None when it has no row."""
        if self._writer is None:
            return None
        self._writer.close()
        self._writer = None
        with self.staged.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = self.staged.stat().st_size
        self.store.publish(self.staged, name)
        return FileRef(path=name, sha256=digest, bytes=size, rows=self.rows, row_groups=(0, self.groups))

    def discard(self) -> None:
        """Remove what was staged."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            try:
                writer.close()
            except OSError:  # a full disk: the footer does not fit either, and the file goes anyway
                self.staged.unlink(missing_ok=True)
        self.staged.unlink(missing_ok=True)


class ShardFile:
    """One shard in the making. `name` is its base name, `folder/NNNNN`."""

    def __init__(
        self,
        store: Store,
        name: str,
        repo_id: str,
        config: ReplayConfig,
        first_step: int,
        first_episode: int,
    ) -> None:
        self.store, self.name, self.repo_id, self.config = store, name, repo_id, config
        self.first_step, self.first_episode = first_step, first_episode
        self.steps = self.episodes = self.filmed = 0
        self._files = {kind: TableFile(store, f"{name}.{kind}.parquet", kind, config) for kind in KINDS}
        self._pieces: list[Piece] = []
        self._pending = 0
        self._blobs: list[tuple[str, str, bytes]] = []
        self._blob_bytes = 0
        self._records: dict[str, list[dict[str, Any]]] = {"episodes": [], "drops": []}

    def add(
        self,
        episode: Episode,
        film: Film | None,
        table: RowTable,
        blobs: Iterable[tuple[str, bytes]],
        drops: Iterable[Drop],
    ) -> None:
        """Append one episode; `film` is None when it has no step."""
        if film is not None and len(film.action_T):
            number = np.full(len(film.action_T), episode.episode, np.int32)
            self._add_piece(Piece(table, film, number))
        paths = {opened.blob: opened.path for opened in reversed(episode.opened)}
        for blob, content in blobs:
            self._add_blob(paths.get(blob, ""), blob, content)
        self._add_records("episodes", [_episode_row(episode)])
        self._add_records("drops", [drop.model_dump() for drop in drops])
        self.episodes += 1
        self.filmed += episode.status == "filmed"

    def continue_from(self, entry: ShardEntry) -> None:
        """Take over the rows of an open shard. Raises CorruptError through the reader when a file is damaged."""
        paths: dict[str, str] = {}
        for kind in ("episodes", "drops", "blobs", "steps"):
            if kind not in entry.files:
                continue
            ref = entry.files[kind]
            for stored in tables_of(self.store, ref):
                table = stored.cast(self._files[kind].schema)
                if kind == "steps":
                    self._take_steps(table)
                elif kind == "blobs":
                    self._take_blobs(table, paths)
                else:
                    self._add_records(kind, table.to_pylist())
                if kind == "episodes":
                    for opened in table.column("opened").to_pylist():
                        for one in opened:
                            paths.setdefault(one["blob"], one["path"])
        self.episodes, self.filmed = entry.episodes, entry.filmed

    def publish(self, name: str) -> dict[str, FileRef]:
        """Write what is pending and put every file in place under base name `name`."""
        while self._pending:
            self._write_steps()
        self._write_blobs()
        for kind in self._records:
            self._write_records(kind)
        refs = {k: f.publish(f"{name}.{k}.parquet") for k, f in self._files.items()}
        return {kind: ref for kind, ref in refs.items() if ref is not None}

    def discard(self) -> None:
        """Leave nothing behind."""
        for file in self._files.values():
            file.discard()

    def _take_steps(self, table: pa.Table) -> None:
        if len(table) == GROUP_STEPS and not self._pending:
            self._files["steps"].write(table)
            self.steps += len(table)
        else:
            self._add_piece(piece_of(table, self.config.rows))

    def _take_blobs(self, table: pa.Table, paths: dict[str, str]) -> None:
        rows = table.to_pylist()
        if sum(len(row["content"]) for row in rows) >= GROUP_BLOB_BYTES and not self._blobs:
            # A full group stays as it is. Sorted by path, its contents could fill one before the last of them.
            self._files["blobs"].write(table)
            return
        for row in rows:
            self._add_blob(paths.get(row["blob"], ""), row["blob"], row["content"])

    def _add_piece(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._pending += len(piece)
        self.steps += len(piece)
        while self._pending >= GROUP_STEPS:
            self._write_steps()

    def _write_steps(self) -> None:
        taken, missing = [], min(GROUP_STEPS, self._pending)
        while missing:
            piece = self._pieces[0]
            taken.append(piece.cut(0, missing))
            if len(piece) > missing:
                self._pieces[0] = piece.cut(missing, len(piece))
            else:
                self._pieces.pop(0)
            missing -= len(taken[-1])
        file = self._files["steps"]
        file.write(row_group(self.repo_id, self.first_step + file.rows, taken, file.schema))
        self._pending -= sum(map(len, taken))

    def _add_blob(self, path: str, blob: str, content: bytes) -> None:
        self._blobs.append((path, blob, content))
        self._blob_bytes += len(content)
        if self._blob_bytes >= GROUP_BLOB_BYTES:
            self._write_blobs()

    def _write_blobs(self) -> None:
        """Versions of one path side by side: zstd then stores their difference."""
        if self._blobs:
            self._blobs.sort(key=lambda b: b[0])
            schema = self._files["blobs"].schema
            columns = [
                [b for _, b, _ in self._blobs],
                [len(c) for *_, c in self._blobs],
                [c for *_, c in self._blobs],
            ]
            self._files["blobs"].write(
                pa.Table.from_arrays(
                    [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)],
                    schema=schema,
                )
            )
            self._blobs, self._blob_bytes = [], 0

    def _add_records(self, kind: str, rows: list[dict[str, Any]]) -> None:
        self._records[kind] += rows
        while len(self._records[kind]) >= GROUP_RECORDS:
            self._write_records(kind)

    def _write_records(self, kind: str) -> None:
        rows, self._records[kind] = self._records[kind][:GROUP_RECORDS], self._records[kind][GROUP_RECORDS:]
        if rows:
            self._files[kind].write(pa.Table.from_pylist(rows, schema=self._files[kind].schema))


def _episode_row(episode: Episode) -> dict[str, Any]:
    fields = dict(episode)
    fields["opened"] = [dict(o) for o in episode.opened]
    fields["final_style"] = [
        {"row": row, "start": start, "length": length, "style": style}  # four times as fast as _asdict
        for row, start, length, style in episode.final_style
    ]
    return fields
