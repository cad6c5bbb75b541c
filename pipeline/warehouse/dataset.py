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
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.shard_file import TableFile
from pipeline.shards.store import Store
from pipeline.warehouse.compact import is_packed
from pipeline.warehouse.splits import SPLITS
from schema.config import ReplayConfig
from schema.manifest import KINDS, Manifest, slug

FOLDER = "dataset"
UNASSIGNED = "unassigned"  # streams that a harvest under way has not given a split
DUPLICATES = "duplicates"
PLACES = (*(name for name, _ in SPLITS), DUPLICATES, UNASSIGNED)


class Part(NamedTuple):
    """A file of the folder. `groups`: only these row groups of the source are in it; empty: it is a link."""

    kind: str
    source: str
    config: ReplayConfig
    groups: tuple[int, ...] = ()


def places(repositories: pa.Table) -> dict[str, str]:
    """repo_id -> which of PLACES its files belong to, by the table `repositories`."""
    columns = (repositories.column(name).to_pylist() for name in ("repo_id", "split", "duplicate_of"))
    return {repo: DUPLICATES if other else split or UNASSIGNED for repo, split, other in zip(*columns, strict=True)}


def parts(streams: Sequence[Manifest], places: Mapping[str, str], full: Collection[str]) -> dict[str, Part]:
    """What the folder should hold: name, relative to the warehouse -> part, in the streams' order.

    `places` says which of PLACES each repository belongs to; `full` are the packs that hold no rows but their streams'.
    """
    found: dict[str, Part] = {}
    packed: dict[tuple[str, str], dict[str, tuple[ReplayConfig, set[int]]]] = {}
    for stream in streams:
        place = places.get(stream.repo_id, UNASSIGNED)
        name = re.sub("^_", "%5F", slug(stream.repo_id))  # readers of folders leave out _names
        for shard in stream.shards:
            for kind, ref in shard.files.items():
                if is_packed(ref.path):
                    groups = packed.setdefault((kind, ref.path), {}).setdefault(place, (stream.config, set()))[1]
                    groups.update(range(ref.row_groups[0], sum(ref.row_groups)))
                else:
                    found[f"{FOLDER}/{kind}/{place}/{name}-{shard.shard:05d}.parquet"] = Part(
                        kind, ref.path, stream.config
                    )
    for (kind, path), by_place in packed.items():
        name = "pack-" + path.rpartition("/")[2].split(".")[0]
        for place, (config, used) in by_place.items():
            if path in full and len(by_place) == 1:
                found[f"{FOLDER}/{kind}/{place}/{name}.parquet"] = Part(kind, path, config)
            else:
                chosen = tuple(sorted(used))
                digest = hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]
                found[f"{FOLDER}/{kind}/{place}/{name}-{digest}.parquet"] = Part(kind, path, config, chosen)
    return found


def update(store: Store, wanted: Mapping[str, Part], repositories: pa.Table) -> str:
    """Bring the folder up to date; a message where links are not possible, else "". Raises WarehouseError.

    Files of a stream appear in order and go in reverse, so that whoever lists the folder meanwhile sees a beginning of
    it. A file in the making lies outside of the folder, because DuckDB's patterns match hidden names, too.
    """
    if store.local is None:
        return ""
    present = _present(store)
    changed = [name for name, part in wanted.items() if not _is_there(store, part, present.get(name))]
    for name in sorted((present.keys() - wanted.keys()) | _rewritten(changed, present.keys()), reverse=True):
        store.delete(name)
    for name in changed:
        part = wanted[name]
        if part.groups:
            _copy(store, name, part)
        elif not store.link(part.source, name):
            return f"{store}/{FOLDER}: this file system has no links, so there is no folder of plain Parquet"
    _remove_empty(store)
    staged = store.stage(FOLDER)
    pq.write_table(repositories, staged, compression="zstd")
    store.publish(staged, f"{FOLDER}/repositories/repositories.parquet")
    return ""


def out_of_date(store: Store, wanted: Mapping[str, Part]) -> bool:
    """Whether the folder does not hold exactly these parts, as links or, in a copy of the warehouse, as copies."""
    if store.local is None:
        return False
    present = _present(store)
    return present.keys() != wanted.keys() or not all(
        _is_there(store, part, present[name]) or filecmp.cmp(present[name], store.path(part.source), shallow=False)
        for name, part in wanted.items()
    )


def _present(store: Store) -> dict[str, os.DirEntry[str]]:
    """The parts that the folder holds."""
    assert store.local is not None
    found = {}
    for kind in KINDS:
        for place in PLACES:
            folder = f"{FOLDER}/{kind}/{place}"
            with contextlib.suppress(FileNotFoundError), os.scandir(store.local / folder) as entries:
                found.update({f"{folder}/{entry.name}": entry for entry in entries if entry.name.endswith(".parquet")})
    return found


def _is_there(store: Store, part: Part, entry: "os.DirEntry[str] | None") -> bool:
    if entry is None or part.groups:  # a copy's name says what it holds
        return entry is not None
    return os.path.samefile(entry.path, store.path(part.source)) if os.path.exists(entry.path) else False


def _rewritten(changed: Iterable[str], present: Collection[str]) -> set[str]:
    """Names whose files change although they are not the last of their stream: its history was rewritten."""
    last = {_stream(name): name for name in sorted(present)}
    again = [name for name in changed if name in present]
    streams = {_stream(name) for name in again if name != last[_stream(name)]}
    return {name for name in again if _stream(name) in streams}


def _stream(name: str) -> str:
    return name.rpartition("-")[0]


def _copy(store: Store, name: str, part: Part) -> None:
    """Copy row groups of a pack."""
    copied = TableFile(store, FOLDER, part.kind, part.config)
    try:
        with store.open(part.source) as source:
            file = pq.ParquetFile(source)
            for group in part.groups:
                copied.write(file.read_row_group(group).cast(copied.schema))
        copied.publish(name)
    except OSError as error:
        raise store.refused(name, error) from error
    finally:
        copied.discard()


def _remove_empty(store: Store) -> None:
    assert store.local is not None
    for folder in (store.local / FOLDER).glob("*/*/"):
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
