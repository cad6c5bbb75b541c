"""Reads one stored stream: episodes in order, ranges of steps, contents by id."""

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.shards.manifest import unreadable
from pipeline.shards.store import Store
from schema.errors import CorruptError
from schema.manifest import FileRef, Manifest
from schema.records import Episode, Opened
from schema.screen import StyleRun
from schema.version import check_version

KEPT_BYTES = 128 << 20  # of shared row groups, while a pack is written
KEPT_GROUPS = 3  # row groups of blobs in memory, 32 MiB of contents each


class Group(NamedTuple):
    """One row group, or the stream's part of one: its file, its number there, and its first row among the stream's.

    In the row group the part begins behind `skip` rows of other streams.
    """

    path: str
    number: int
    first: int
    rows: int
    skip: int = 0


class StreamReader:
    """One stream of a warehouse. Every method raises CorruptError, SchemaVersionError, WarehouseError."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self.store, self.manifest = store, manifest
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()
        self._contents: OrderedDict[Group, dict[str, bytes]] = OrderedDict()

    def groups(self, kind: str) -> Iterator[Group]:
        """Row groups of one kind, in the stream's order."""
        first = 0
        for shard in self.manifest.shards:
            if ref := shard.files.get(kind):
                for number in range(ref.row_groups[0], sum(ref.row_groups)):
                    part = ref.part(self._file(ref.path).metadata.row_group(number).num_rows)
                    yield Group(ref.path, number, first, part.stop - part.start, part.start)
                    first += part.stop - part.start

    def table(self, group: Group, columns: list[str] | None = None) -> pa.Table:
        """The stream's rows of one row group."""
        try:
            table = self._file(group.path).read_row_group(group.number, columns=columns)
            return table if len(table) == group.rows else table.slice(group.skip, group.rows)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.store, group.path, error) from error

    def stored_bytes(self, group: Group) -> int:
        """Bytes of a group's row group in its file, every column, footer apart; of a shared one, its share by rows."""
        found = self._file(group.path).metadata.row_group(group.number)
        size: int = sum(found.column(i).total_compressed_size for i in range(found.num_columns))
        return size * group.rows // max(1, int(found.num_rows))

    def steps(self, first: int, count: int, columns: list[str] | None = None) -> pa.Table:
        """Steps [first, first + count) of the stream."""
        parts = []
        for group in self.groups("steps"):
            start, stop = max(first, group.first), min(first + count, group.first + group.rows)
            if start < stop:
                parts.append(self.table(group, columns).slice(start - group.first, stop - start))
        return pa.concat_tables(parts)

    def episodes(self) -> Iterator[Episode]:
        """Every episode, dropped ones included."""
        for group in self.groups("episodes"):
            for row in self.table(group).to_pylist():
                yield _episode(row)

    def commits(self) -> Iterator[tuple[str, str | None]]:
        """(commit, why it was stepped over) of every episode, without reading the rest of them."""
        for group in self.groups("episodes"):
            table = self.table(group, ["commit", "reason"])
            yield from zip(table.column("commit").to_pylist(), table.column("reason").to_pylist(), strict=True)

    def content(self, blob: str) -> bytes:
        """A content that was opened, by its id."""
        group = self.blobs.get(blob)
        if group is None:
            raise CorruptError(
                f"{self.store}/{self.manifest.folder}: content {blob[:12]} is not stored; "
                "remove that folder and harvest the repository again: python -m flows.harvest --repo PATH"
            )
        if group not in self._contents:
            table = self.table(group, ["blob", "content"])
            self._contents[group] = dict(
                zip(table.column("blob").to_pylist(), table.column("content").to_pylist(), strict=True)
            )
            if len(self._contents) > KEPT_GROUPS:
                self._contents.popitem(last=False)
        self._contents.move_to_end(group)
        return self._contents[group][blob]

    @cached_property
    def blobs(self) -> dict[str, Group]:
        """Where each content lies, by its id."""
        found: dict[str, Group] = {}
        for group in self.groups("blobs"):
            found.update(dict.fromkeys(self.table(group, ["blob"]).column("blob").to_pylist(), group))
        return found

    def _file(self, path: str) -> pq.ParquetFile:
        if path not in self._files:
            try:
                file = pq.ParquetFile(self.store.open(path))
            except (pa.ArrowException, OSError) as error:
                raise unreadable(self.store, path, error) from error
            metadata = file.schema_arrow.metadata or {}
            check_version(metadata.get(b"schema_version", b"").decode() or None, f"{self.store}/{path}")
            self._files[path] = file
            if len(self._files) > 16:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(path)
        return self._files[path]


def _episode(row: dict[str, Any]) -> Episode:
    return Episode.model_validate(
        {
            **row,
            "opened": tuple(Opened(**one) for one in row["opened"]),
            "final_frame": tuple(row["final_frame"]),
            "final_style": tuple(StyleRun(**run) for run in row["final_style"]),
        }
    )


def tables_of(store: Store, ref: FileRef, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of one file, or of its part of a pack, a row group at a time, as in a file of the stream's own.

    Raises OSError and pyarrow's errors.
    """
    with store.open(ref.path) as source:
        file = pq.ParquetFile(source)
        for number in range(ref.row_groups[0], sum(ref.row_groups)):
            yield own_rows(file.read_row_group(number, columns=columns), ref)


class SharedGroups:
    """Row groups of packs, the last ones that were read: neighbours in a pack mostly lie in the same one.

    Read for each of its streams anew, a row group of 4,096 episodes is decoded a thousand times, and whoever keeps the
    streams' rows keeps as many copies of it.
    """

    def __init__(self, store: Store, kept_bytes: int = KEPT_BYTES) -> None:
        self._store, self._kept_bytes = store, kept_bytes
        self._kept: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()

    def tables(self, ref: FileRef) -> Iterator[pa.Table]:
        """As `tables_of`, of a part of a pack."""
        for number in range(ref.row_groups[0], sum(ref.row_groups)):
            yield own_rows(self._read(ref.path, number), ref)

    def _read(self, path: str, number: int) -> pa.Table:
        if (table := self._kept.pop((path, number), None)) is None:
            with self._store.open(path) as source:
                table = pq.ParquetFile(source).read_row_group(number)
        self._kept[path, number] = table
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > self._kept_bytes:
            self._kept.popitem(last=False)
        return table


def own_rows(table: pa.Table, ref: FileRef) -> pa.Table:
    """A file's rows of a row group.

    The dictionaries of a shared one hold the texts of other streams, too: those of its parts hold their own, as the
    writer numbers them, so that the same bytes are written again.
    """
    part = ref.part(len(table))
    if (part.start, part.stop) == (0, len(table)):
        return table
    return own_texts(table.slice(part.start, part.stop - part.start))


def own_texts(table: pa.Table) -> pa.Table:
    """The same rows with dictionaries that hold nothing else, in order of first appearance."""
    for place, name in enumerate(table.column_names):
        column = table.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            table = table.set_column(place, table.field(place), column.dictionary_decode().dictionary_encode())
        elif pa.types.is_list(column.type) and pa.types.is_dictionary(column.type.value_type):
            values = column.flatten().dictionary_decode().dictionary_encode()
            offsets = pc.subtract(column.offsets, column.offsets[0])
            table = table.set_column(place, table.field(place), pa.ListArray.from_arrays(offsets, values, column.type))
    return table
