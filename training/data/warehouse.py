"""What there is to train on: the streams of a warehouse, their splits, and where each step lies.

A stream's manifest (schema.manifest) says which files hold its steps; `actions.db` says its split and whether it
duplicates another. Works on a folder or on an fsspec URL (s3://...).
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schema.actions import Phase
from schema.bucket import S3Files, s3_filesystem
from schema.columns import arrow_schema
from schema.editors import Editor
from schema.errors import ConfigError, CorruptError, WarehouseError
from schema.geometry import Geometry, Style
from schema.manifest import MANIFEST, Manifest, parse_manifest
from schema.version import check_version

HARVEST = "harvest first: python -m flows.harvest --repo PATH"


class RowGroup(NamedTuple):
    """One row group of a shard: `steps` consecutive steps of its stream."""

    path: str
    row_group: int
    steps: int


class Stream(NamedTuple):
    """One repository's film in one editor.

    `split` is None where `actions.db` does not know it; `digest` identifies the film.
    """

    repo_id: str
    split: str | None
    geometry: Geometry
    groups: tuple[RowGroup, ...]
    steps: int
    digest: str
    editor: Editor = "vim"


class Warehouse:
    """Reads which files a warehouse has: of `only` these repositories, if any are named, and of film in `editor`.

    With an editor a repository is named as such (pallets/click), or by its film's id (pallets/click@nano).
    Raises WarehouseError (no folder), ConfigError (no shards), CorruptError, SchemaVersionError.
    """

    def __init__(self, root: str | Path, only: Sequence[str] = (), editor: Editor | None = None) -> None:
        self.root = str(root).rstrip("/")
        self.verify = f"run: python -m pipeline.warehouse verify {self.root}"
        try:
            self._fs, self._path = _file_system(self.root)
            found = self._fs.exists(self._path)
        except _refusals() as error:
            why = _line(error)
            raise WarehouseError(f"{self.root}: not reachable ({why}); use a folder or s3://BUCKET/PREFIX") from error
        if not found:
            raise WarehouseError(f"{self.root}: no such warehouse; {HARVEST} --warehouse {self.root}")
        self._local = self._fs.protocol in ("file", ("file", "local"))
        self._footer = lru_cache(maxsize=256)(self._read_footer)  # a window reads its shard again, not its footer
        self._kept = lru_cache(maxsize=64)(lambda path, thread: self.open(path))  # nor opens it again; one a thread
        self._checked: dict[tuple[str, int, tuple[str, ...]], int] = {}  # steps of a row group found as they should be
        known = self._repositories()
        self.notes: list[str] = [] if known else [f"{self.root}: no actions.db, so no splits by family"]
        self.episodes = self.bytes = self.steps = 0  # of the streams kept
        streams = []
        filmed = set[str]()
        for manifest in self._manifests():
            names = {manifest.repo_id, manifest.repository_id} if editor else {manifest.repo_id}
            if editor not in (None, manifest.config.editor) or (only and names.isdisjoint(only)):
                continue
            row = known.get(manifest.repo_id, {})
            if row.get("duplicate_of"):
                self.notes.append(f"{manifest.repo_id}: left out, duplicates {row['duplicate_of']}")
                continue
            stream = self._stream(manifest, row.get("split"))
            if stream.steps:
                streams.append(stream)
                filmed |= names
                self.steps += stream.steps
                self.episodes += sum(shard.filmed for shard in manifest.shards)
                self.bytes += sum(ref.bytes for shard in manifest.shards if (ref := shard.files.get("steps")))
        harvest = f"{HARVEST} --warehouse {self.root}" + (f" --editor {editor}" if editor else "")
        where = f" in {editor}" if editor else ""
        if missing := set(only) - filmed:
            raise ConfigError(f"{self.root}: no film of {', '.join(sorted(missing))}{where}; {harvest}")
        if not streams:
            raise ConfigError(f"{self.root}: no shards{where}; {harvest}")
        self.streams: tuple[Stream, ...] = tuple(streams)
        self.geometry = self._one_geometry()

    def open(self, path: str) -> pq.ParquetFile:
        """A shard's Parquet file. Raises CorruptError, SchemaVersionError."""
        footer = self._footer(path)
        try:
            name = f"{self._path}/{path}"
            source = pa.OSFile(name) if self._local else self._fs.open(name)
            return pq.ParquetFile(source, pre_buffer=not self._local, metadata=footer)  # where a request is slow: few
        except (OSError, pa.ArrowException) as error:
            raise CorruptError(f"{self.root}/{path}: not readable ({_line(error)}); {self.verify}") from error

    def _read_footer(self, path: str) -> pq.FileMetaData:
        where = f"{self.root}/{path}"
        try:
            with self._fs.open(f"{self._path}/{path}") as source:
                footer = pq.read_metadata(source)
        except (OSError, pa.ArrowException) as error:
            raise CorruptError(f"{where}: not readable ({_line(error)}); {self.verify}") from error
        check_version((footer.metadata or {}).get(b"schema_version", b"").decode() or None, where)
        return footer

    def read(self, group: RowGroup, columns: Sequence[str], steps: int | None = None) -> pa.Table:
        """One row group's columns, or their first `steps` steps. Raises CorruptError, SchemaVersionError."""
        # kept, a file of an object store would hold on to every range that it fetched
        file = self._kept(group.path, threading.get_ident()) if self._local else self.open(group.path)
        try:
            if steps is None:
                table = file.read_row_group(group.row_group, columns=list(columns), use_threads=False)
            else:
                table = _first_steps(file, group.row_group, columns, steps)
        except (OSError, pa.ArrowException, IndexError) as error:
            where = f"{self.root}/{group.path}"
            raise CorruptError(f"{where}: not readable ({_line(error)}); {self.verify}") from error
        finally:
            if not self._local:
                file.close()
        if table.num_rows != (group.steps if steps is None else steps):
            raise CorruptError(f"{self.root}/{group.path}: row group {group.row_group} changed; {self.verify}")
        read = (group.path, group.row_group, tuple(columns))
        if table.num_rows > self._checked.get(read, 0):  # windows come back to a group; what it holds does not change
            if wrong := complaint(table, columns, self.geometry):
                raise CorruptError(f"{self.root}/{group.path}: row group {group.row_group}: {wrong}; {self.verify}")
            self._checked[read] = table.num_rows
        return table

    def tables(self, repo_id: str, kind: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Row groups of a stream's `kind` of file: "episodes", "blobs", "drops" or "steps", in order.

        A kind without rows has none. Raises ConfigError (no such stream), CorruptError, SchemaVersionError.
        """
        for manifest in self._manifests():
            if manifest.repo_id != repo_id:
                continue
            for shard in manifest.shards:
                ref = shard.files.get(kind)
                if ref is None:
                    continue
                first, count = ref.row_groups
                with self.open(ref.path) as file:
                    for number in range(first, first + count):
                        try:
                            yield file.read_row_group(number, columns=columns and list(columns))
                        except (OSError, pa.ArrowException, IndexError) as error:
                            where = f"{self.root}/{ref.path}"
                            raise CorruptError(f"{where}: not readable ({_line(error)}); {self.verify}") from error
            return
        raise ConfigError(f"{self.root}: no film of {repo_id}; {HARVEST} --warehouse {self.root}")

    def _repositories(self) -> dict[str, dict[str, Any]]:
        """repo_id -> split and duplicate_of; empty without a database."""
        if not self._fs.exists(f"{self._path}/actions.db"):
            return {}
        with tempfile.TemporaryDirectory() as folder:
            local = f"{self._path}/actions.db"
            if not self._local:
                local = f"{folder}/actions.db"
                self._fs.get_file(f"{self._path}/actions.db", local)
            try:
                with duckdb.connect(local, read_only=True) as db:
                    rows = db.execute("SELECT repo_id, split, duplicate_of FROM repositories").fetchall()
            except duckdb.Error as error:
                raise CorruptError(
                    f"{self.root}/actions.db: not readable ({_line(error)}); "
                    f"run: python -m pipeline.warehouse build {self.root}"
                ) from error
        return {repo: {"split": split, "duplicate_of": other} for repo, split, other in rows}

    def _manifests(self) -> Iterator[Manifest]:
        """Every stream's manifest, in the order of their folders."""
        for name in sorted(self._fs.glob(f"{self._path}/shards/*/{MANIFEST}")):
            yield parse_manifest(self._fs.cat_file(name), f"{self.root}/{'/'.join(name.split('/')[-3:])}")

    def _stream(self, manifest: Manifest, split: str | None) -> Stream:
        groups = []
        digest = hashlib.sha256()
        for shard in manifest.shards:
            ref = shard.files.get("steps")
            if ref is None:
                continue
            digest.update(ref.sha256.encode())
            first, count = ref.row_groups
            with self.open(ref.path) as file:
                self._check_geometry(file, ref.path, manifest.config.geometry)
                if file.num_row_groups < first + count:
                    raise CorruptError(f"{self.root}/{ref.path}: row groups missing; {self.verify}")
                for number in range(first, first + count):
                    steps = file.metadata.row_group(number).num_rows
                    groups.append(RowGroup(ref.path, number, steps))
            if sum(g.steps for g in groups) != shard.first_step + shard.steps:
                raise CorruptError(f"{self.root}/{ref.path}: steps missing; {self.verify}")
        steps = sum(group.steps for group in groups)
        size = manifest.config.geometry
        editor = manifest.config.editor
        return Stream(manifest.repo_id, split, size, tuple(groups), steps, digest.hexdigest()[:12], editor)

    def _check_geometry(self, file: pq.ParquetFile, path: str, size: Geometry) -> None:
        """A shard of another size would be padded or cut without a word. Raises CorruptError."""
        said = file.schema_arrow.metadata or {}
        found = "x".join(said[name].decode() for name in (b"rows", b"cols") if name in said)
        if found and found != str(size):
            raise CorruptError(f"{self.root}/{path}: film at {found} in a stream of {size}; {self.verify}")

    def _one_geometry(self) -> Geometry:
        sizes = {stream.geometry: stream.repo_id for stream in self.streams}
        if len(sizes) > 1:
            listed = ", ".join(f"{size} ({repo})" for size, repo in sorted(sizes.items()))
            raise ConfigError(
                f"{self.root}: screens of different sizes: {listed}; film them into one folder a size: "
                "python -m flows.harvest --repo PATH --warehouse NEW_FOLDER"
            )
        return next(iter(sizes))


def _first_steps(file: pq.ParquetFile, row_group: int, columns: Sequence[str], steps: int) -> pa.Table:
    """A row group read no further than its first steps: on average this saves a third of the reading.

    By one thread: the loader's own share the processors already.
    """
    batches, rows = [], 0
    for batch in file.iter_batches(steps, row_groups=[row_group], columns=list(columns), use_threads=False):
        batches.append(batch)
        rows += batch.num_rows
        if rows >= steps:
            break
    return pa.Table.from_batches(batches).slice(0, steps)


def complaint(table: pa.Table, columns: Sequence[str], size: Geometry) -> str:
    """What in a row group of steps is not as the schema says, so that it would train wrongly; "" for nothing."""
    contract = arrow_schema("steps")
    limits = {"cursor_row": size.rows, "cursor_col": size.cols, "phase": len(Phase)}
    for name in columns:
        if name not in table.column_names:
            return f"no column {name}"
        column, kind = table.column(name), contract.field(name).type
        if column.type != kind and not (pa.types.is_list(kind) and pa.types.is_list(column.type)):
            return f"{name} is {column.type}, not {kind}"
        if column.null_count:
            return f"{column.null_count} values of {name} are missing"
        if name in limits and not _within(column, 0, limits[name]):
            return f"{name} is not between 0 and {limits[name] - 1}"
        if name == "style" and len(runs := column.combine_chunks().flatten()):
            row, start, length, style = (runs.field(part) for part in ("row", "start", "length", "style"))
            fits = _within(row, 0, size.rows) and _within(start, 0, size.cols) and _within(length, 1, size.cols + 1)
            if not (fits and _within(style, 0, len(Style)) and _within(pc.add(start, length), 1, size.cols + 1)):
                return "a run of style lies outside of the screen, or is of an unknown style"
    return ""


def _within(values: pa.Array | pa.ChunkedArray, low: int, high: int) -> bool:
    """low <= every value < high."""
    numbers = values.to_numpy(zero_copy_only=False)
    return not len(numbers) or bool(numbers.min() >= low and numbers.max() < high)  # NaN, where one is missing: False


def _file_system(root: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Where a warehouse lies: s3:// as the harvest reaches it, other addresses and folders as fsspec does."""
    if root.startswith("s3://"):
        return S3Files(s3_filesystem()), root.removeprefix("s3://")
    files, path = fsspec.core.url_to_fs(root)
    return files, path


def _refusals() -> tuple[type[Exception], ...]:
    """What a file system raises for an address that it cannot use; botocore's errors are no OSErrors."""
    botocore = sys.modules.get("botocore.exceptions")
    return (ValueError, ImportError, OSError, *([botocore.BotoCoreError] if botocore else []))


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
