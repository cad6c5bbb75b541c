"""Packs small streams into shared files, without changing a row: a million repositories need not be millions of files.

Row groups are copied whole and keep their stream's borders, so that a manifest can name "row groups 7 to 9 of
packs/….parquet". A packed stream grows as before: its writer reads the packed tail back and writes a file of its own;
the rows left behind are hidden by the `steps` view, and go at the next `compact`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pyarrow.parquet as pq

from pipeline.shards.manifest import load, manifests
from pipeline.shards.shard_file import TableFile
from pipeline.shards.store import Store
from pipeline.warehouse import splits as families
from schema.errors import WarehouseError
from schema.manifest import KINDS, MANIFEST, FileRef, Manifest, stream_folder

PACKS = "packs"
PACK_STEPS = 4 << 20
PACK_STREAMS = 512  # all are locked while they are packed


class Compacted(NamedTuple):
    """Streams packed, the files they had, and the files they share now."""

    streams: int
    files_before: int
    files_after: int


def compact(store: Store, small_steps: int) -> Compacted:
    """Pack every complete stream shorter than `small_steps`. The caller rebuilds the database afterwards.

    A stream that is being written is left out. Killed at any moment it leaves each stream in its own files or in the
    pack. Raises WarehouseError, CorruptError, SchemaVersionError.
    """
    with store.lock(".build.lock", wait=120.0):
        everything = list(manifests(store))
        full = set(full_packs(store, everything))
        waiting = [m for m in everything if 0 < m.steps < small_steps and m.status == "complete"]
        waiting = [m for m in waiting if any(ref.path not in full for ref in m.files())]
        done = Compacted(0, 0, 0)
        for batch in _batches(waiting, families.read_registry(store)):
            done = Compacted(*(a + b for a, b in zip(done, _pack(store, batch), strict=True)))
    return done


def repack(store: Store) -> None:
    """Pack anew what shares a file with rows that belong to no stream any more: those go with the next two builds.

    Raises WarehouseError, CorruptError, SchemaVersionError.
    """
    with store.lock(".build.lock", wait=120.0):
        everything = list(manifests(store))
        full = set(full_packs(store, everything))
        shared = [m for m in everything if any(is_packed(ref.path) and ref.path not in full for ref in m.files())]
        for batch in _batches(shared, families.read_registry(store), least=1):
            _pack(store, batch, least=1)


def is_packed(path: str) -> bool:
    """Whether the file is one that streams share."""
    return path.startswith(f"{PACKS}/")


def full_packs(store: Store, streams: Sequence[Manifest]) -> Iterator[str]:
    """Packed files of which every row group belongs to a stream."""
    used: dict[str, int] = {}
    for stream in streams:
        for ref in stream.files():
            if is_packed(ref.path):
                used[ref.path] = used.get(ref.path, 0) + ref.row_groups[1]
    for path, groups in used.items():
        with store.open(path) as file:
            if pq.ParquetFile(file).metadata.num_row_groups == groups:
                yield path


def _batches(streams: Sequence[Manifest], splits: Mapping[str, str], least: int = 2) -> Iterator[list[Manifest]]:
    """Streams of one setting and one split, by name, up to a pack's size; fewer than `least` are left as they are."""
    settings: dict[tuple[str, str | None], list[Manifest]] = {}
    for stream in streams:
        settings.setdefault((stream.config.digest, splits.get(stream.repo_id)), []).append(stream)
    for alike in settings.values():
        batch: list[Manifest] = []
        for stream in alike:
            if batch and (len(batch) == PACK_STREAMS or sum(m.steps for m in batch) + stream.steps > PACK_STEPS):
                yield batch
                batch = []
            batch.append(stream)
        if len(batch) >= least:
            yield batch


def _pack(store: Store, batch: Sequence[Manifest], least: int = 2) -> Compacted:
    with ExitStack() as locks:
        members = []
        for stream in batch:
            try:
                locks.enter_context(store.lock(f"{stream_folder(stream.repo_id)}/.lock"))
            except WarehouseError:
                continue  # being written
            if load(store, f"{stream_folder(stream.repo_id)}/{MANIFEST}") == stream:
                members.append(stream)
        if len(members) < least:
            return Compacted(0, 0, 0)
        before = {ref.path for m in members for ref in m.files()}
        name = hashlib.sha256("".join(sorted(ref.sha256 for m in members for ref in m.files())).encode()).hexdigest()
        places: dict[tuple[str, int, str], tuple[int, int]] = {}
        packed = {
            kind: ref for kind in KINDS if (ref := _pack_kind(store, members, kind, f"{PACKS}/{name[:16]}", places))
        }
        for stream in members:
            shards = tuple(
                shard.model_copy(
                    update={
                        "files": {
                            kind: ref.model_copy(
                                update={
                                    **packed[kind].model_dump(include={"path", "sha256", "bytes"}),
                                    "row_groups": places[stream.repo_id, shard.shard, kind],
                                }
                            )
                            for kind, ref in shard.files.items()
                        }
                    }
                )
                for shard in stream.shards
            )
            moved = stream.model_copy(update={"shards": shards})
            store.write(f"{stream_folder(stream.repo_id)}/{MANIFEST}", moved.dump())
    return Compacted(len(members), len(before), len(packed))


def _pack_kind(
    store: Store,
    members: Sequence[Manifest],
    kind: str,
    base: str,
    places: dict[tuple[str, int, str], tuple[int, int]],
) -> FileRef | None:
    """Copy all row groups of one kind into one file; `places` gets where each shard's rows are then."""
    name = f"{base}.{kind}.parquet"
    packed = TableFile(store, name, kind, members[0].config)
    try:
        for stream in members:
            for shard in stream.shards:
                if ref := shard.files.get(kind):
                    places[stream.repo_id, shard.shard, kind] = (packed.groups, ref.row_groups[1])
                    with store.open(ref.path) as source:
                        file = pq.ParquetFile(source)
                        for group in range(ref.row_groups[0], sum(ref.row_groups)):
                            packed.write(file.read_row_group(group).cast(packed.schema))
        return packed.publish(name)
    except OSError as error:
        raise store.refused(name, error) from error
    finally:
        packed.discard()
