"""The folder `dataset/`: the film as plain Parquet, for programs that open a folder and no database.

    dataset/steps/{train,validation,test}/owner+name-00000.parquet    a file a shard
    dataset/steps/duplicates/…                                        repositories that copy another one
    dataset/{episodes,blobs,drops}/…                                  likewise
    dataset/repositories/repositories.parquet                         licences, sources, splits

All files of `steps` together are the rows of the view `steps`. They are links to the warehouse's own files: they cost
no room, and a name stands for one shard however often its file is superseded, so that nothing is there twice. A pack is
copied where some of its rows belong elsewhere. The folder is brought up to date at every build, file by file. Object
storage has no links, and no such folder.
"""

import contextlib
import filecmp
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.manifest import unreadable
from pipeline.shards.reader import own_texts
from pipeline.shards.shard_file import WRITING
from pipeline.shards.store import Store
from pipeline.warehouse.compact import is_packed
from pipeline.warehouse.splits import SPLITS
from schema.manifest import KINDS, slug

FOLDER = "dataset"
UNASSIGNED = "unassigned"  # streams that a harvest under way has not given a split
DUPLICATES = "duplicates"
PLACES = (*(name for name, _ in SPLITS), DUPLICATES, UNASSIGNED)


def place_of(split: str | None, duplicate_of: str | None) -> str:
    """Which of PLACES the files of a stream belong to."""
    return DUPLICATES if duplicate_of else split or UNASSIGNED


class FilePlace(NamedTuple):
    """A stream's file, or its part of a pack, and what its place in the folder depends on."""

    repo_id: str
    shard: int
    kind: str
    path: str
    rows: int
    first_group: int
    groups: int
    skip: int
    split: str | None
    duplicate_of: str | None

    @property
    def place(self) -> str:
        """Which of PLACES it belongs to."""
        return place_of(self.split, self.duplicate_of)


class Part(NamedTuple):
    """A file of the folder. `rows`: these rows of the source, (row group, first, count) each; empty: it is a link."""

    kind: str
    source: str
    rows: tuple[tuple[int, int, int], ...] = ()


def places(repositories: pa.Table) -> dict[str, str]:
    """repo_id -> which of PLACES its files belong to, by the table `repositories`."""
    columns = (repositories.column(name).to_pylist() for name in ("repo_id", "split", "duplicate_of"))
    return {repo: place_of(split, other) for repo, split, other in zip(*columns, strict=True)}


def parts(files: Iterable[FilePlace], rows_of: Callable[[str], int]) -> dict[str, Part]:
    """What the folder should hold of these files: name, relative to the warehouse -> part, in the order of `files`.

    Of a pack all streams' parts must be among them; `rows_of` counts the rows of a pack.
    """
    found: dict[str, Part] = {}
    packed: dict[tuple[str, str], dict[str, list[FilePlace]]] = {}
    for file in files:
        if is_packed(file.path):
            packed.setdefault((file.kind, file.path), {}).setdefault(file.place, []).append(file)
        else:
            name = re.sub("^_", "%5F", slug(file.repo_id))  # readers of folders leave out _names
            found[f"{FOLDER}/{file.kind}/{file.place}/{name}-{file.shard:05d}.parquet"] = Part(file.kind, file.path)
    for (kind, path), by_place in packed.items():
        name = "pack-" + path.rpartition("/")[2].split(".")[0]
        for place, members in by_place.items():
            if sum(file.rows for file in members) == rows_of(path):
                found[f"{FOLDER}/{kind}/{place}/{name}.parquet"] = Part(kind, path)
                continue
            chosen = tuple(sorted({rows for file in members for rows in _rows(file)}))
            digest = hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]
            found[f"{FOLDER}/{kind}/{place}/{name}-{digest}.parquet"] = Part(kind, path, chosen)
    return found


def _rows(file: FilePlace) -> Iterable[tuple[int, int, int]]:
    """(row group, first, count) of a part of a pack; count -1: to the end of the row group."""
    if file.groups == 1:
        return [(file.first_group, file.skip, file.rows)]
    return [(group, 0, -1) for group in range(file.first_group, file.first_group + file.groups)]


def rows_in(store: Store) -> Callable[[str], int]:
    """A function that counts the rows of a Parquet file, each file once."""
    known: dict[str, int] = {}

    def rows(path: str) -> int:
        if path not in known:
            try:
                with store.open(path) as file:
                    known[path] = pq.ParquetFile(file).metadata.num_rows
            except (pa.ArrowException, OSError) as error:
                raise unreadable(store, path, error) from error
        return known[path]

    return rows


def update(
    store: Store, wanted: Mapping[str, Part], unwanted: Collection[str] | None, tables: Mapping[str, pa.Table | str]
) -> str:
    """Bring the folder up to date; a message where links are not possible, else "". Raises WarehouseError.

    `unwanted` are the names that go, None for all that are not wanted. `tables` are the files of `repositories`: what
    is in them, or the file of the warehouse that they are.

    Files of a stream appear in order and go in reverse, so that whoever lists the folder meanwhile sees a beginning of
    it. A file in the making lies outside of the folder, because DuckDB's patterns match hidden names, too.
    """
    if store.local is None:
        return ""
    present = _present(store) if unwanted is None else _present_of(store, {*wanted, *unwanted})
    changed = [name for name, part in wanted.items() if not _is_there(store, part, present.get(name))]
    for name in sorted((present.keys() - wanted.keys()) | _rewritten(changed, present.keys()), reverse=True):
        store.delete(name)
    for name in changed:
        part = wanted[name]
        if part.rows:
            _copy(store, name, part)
        elif not store.link(part.source, name):
            return f"{store}/{FOLDER}: this file system has no links, so there is no folder of plain Parquet"
    _remove_empty(store)
    _show_tables(store, tables)
    return ""


def _show_tables(store: Store, tables: Mapping[str, pa.Table | str]) -> None:
    """Let the files of `repositories` be these."""
    folder = f"{FOLDER}/repositories"
    for name, source in tables.items():
        if isinstance(source, pa.Table):
            staged = store.stage(FOLDER)
            pq.write_table(source, staged, compression="zstd")
            store.publish(staged, f"{folder}/{name}")
        elif not store.exists(f"{folder}/{name}"):
            store.link(source, f"{folder}/{name}")
    for other in store.names(folder):
        if other.rpartition("/")[2] not in tables:
            store.delete(other)


def out_of_date(store: Store, wanted: Mapping[str, Part]) -> bool:
    """Whether the folder does not hold exactly these parts, as links or, in a copy of the warehouse, as copies."""
    if store.local is None:
        return False
    present = _present(store)
    return present.keys() != wanted.keys() or not all(
        _is_there(store, part, present[name]) or filecmp.cmp(present[name], store.path(part.source), shallow=False)
        for name, part in wanted.items()
    )


def _present_of(store: Store, names: Iterable[str]) -> dict[str, str]:
    """Those of these parts that the folder holds, with their paths."""
    assert store.local is not None
    return {name: path for name in names if os.path.lexists(path := store.path(name))}


def _present(store: Store) -> dict[str, str]:
    """The parts that the folder holds, with their paths."""
    assert store.local is not None
    found: dict[str, str] = {}
    for kind in KINDS:
        for place in PLACES:
            folder = f"{FOLDER}/{kind}/{place}"
            names: list[str] = []
            with contextlib.suppress(FileNotFoundError), os.scandir(store.local / folder) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(".parquet")]
            found.update({f"{folder}/{name}": store.path(f"{folder}/{name}") for name in names})
    return found


def _is_there(store: Store, part: Part, path: str | None) -> bool:
    if path is None or part.rows:  # a copy's name says what it holds
        return path is not None
    source = store.path(part.source)
    return os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source)


def _rewritten(changed: Iterable[str], present: Collection[str]) -> set[str]:
    """Names whose files change although they are not the last of their stream: its history was rewritten."""
    last = {_stream(name): name for name in sorted(present)}
    again = [name for name in changed if name in present]
    streams = {_stream(name) for name in again if name != last[_stream(name)]}
    return {name for name in again if _stream(name) in streams}


def _stream(name: str) -> str:
    return name.rpartition("-")[0]


def _copy(store: Store, name: str, part: Part) -> None:
    """Copy rows of a pack."""
    staged = store.stage(FOLDER)
    try:
        with store.open(part.source) as source:
            file = pq.ParquetFile(source)
            with pq.ParquetWriter(staged, file.schema_arrow, **WRITING[part.kind]) as copied:
                for number in sorted({group for group, _, _ in part.rows}):
                    table = file.read_row_group(number)
                    cuts = [table.slice(*_cut(rows)) for rows in part.rows if rows[0] == number]
                    chosen = own_texts(pa.concat_tables(cuts).combine_chunks())
                    copied.write_table(chosen, row_group_size=max(1, len(chosen)))
        store.publish(staged, name)
    except OSError as error:
        raise store.refused(name, error) from error
    finally:
        staged.unlink(missing_ok=True)


def _cut(rows: tuple[int, int, int]) -> tuple[int, int | None]:
    _, first, count = rows
    return first, None if count < 0 else count


def _remove_empty(store: Store) -> None:
    assert store.local is not None
    for folder in (store.local / FOLDER).glob("*/*/"):
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
