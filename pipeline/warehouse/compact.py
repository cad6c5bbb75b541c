"""Packs small streams into shared files, without changing a row: a million repositories need not be millions of files.

Streams stand in a pack by name, one behind the other. Those that are shorter than a row group share row groups, so that
a reader finds one stream by the groups' least and greatest names; longer ones keep theirs. A manifest names its part:
"row group 7 of packs/….parquet, 812 rows behind the first 3,400". A packed stream grows as before: its writer reads the
packed tail back and writes a file of its own; the rows left behind are hidden by the view `steps` until the pack is
written anew.

The rule, as a harvest goes: complete streams shorter than a shard wait in files of their own, in piles of one setting
and one split; FIRST_STREAMS of a pile become a pack, and FEW_PACKS small packs become one large pack. `compact` packs
what waits at once.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.messages import pasteable
from pipeline.shards.manifest import load, manifests, publish_all
from pipeline.shards.reader import SharedGroups, tables_of
from pipeline.shards.shard_file import GROUP_BLOB_BYTES, GROUP_RECORDS, GROUP_STEPS, TableFile
from pipeline.shards.store import Store
from pipeline.warehouse.splits import family_of, natural_split
from schema.errors import CorruptError, WarehouseError
from schema.manifest import KINDS, MANIFEST, PACKS, FileRef, Manifest, stream_folder

PACK_STREAMS, PACK_STEPS = 4096, 16 << 20  # of a large pack, at most
FIRST_STREAMS, FEW_PACKS = 256, 16
LOCKED = 256  # streams at a time: each lock is an open file
BUILD_LOCK = ".build.lock"
BUILD_WAIT = 120.0  # seconds, for another build of the same warehouse


class Compacted(NamedTuple):
    """Streams packed, the files they had, and the files they share now; `damaged`: of files that cannot be read."""

    streams: int
    files_before: int
    files_after: int
    damaged: tuple[str, ...] = ()  # a message for each, whose streams are left as they are


def compact(store: Store, small_steps: int) -> Compacted:
    """Pack every complete stream shorter than `small_steps`. The caller rebuilds the database afterwards.

    A stream that is being written is left out. Killed at any moment it leaves each stream in its own files or in the
    pack. Raises WarehouseError, SchemaVersionError, and CorruptError, when all others are packed.
    """
    with store.lock(BUILD_LOCK, wait=BUILD_WAIT):
        everything = list(manifests(store))
        full = set(full_packs(store, everything))
        waiting = [m for m in everything if 0 < m.steps < small_steps and m.status == "complete"]
        waiting = [m for m in waiting if any(ref.path not in full for ref in m.files())]
        return _checked(pack(store, waiting))


def repack(store: Store) -> None:
    """Pack anew what shares a file with rows that belong to no stream any more: those go with the next two builds.

    Raises WarehouseError, SchemaVersionError, and CorruptError, when all others are packed.
    """
    with store.lock(BUILD_LOCK, wait=BUILD_WAIT):
        streams = list(manifests(store))
        full = set(full_packs(store, streams))
        shared = [m for m in streams if any(is_packed(ref.path) and ref.path not in full for ref in m.files())]
        _checked(pack(store, shared, least=1))


def _checked(done: Compacted) -> Compacted:
    if done.damaged:
        raise CorruptError(done.damaged[0])
    return done


def pack(store: Store, streams: Iterable[Manifest], least: int = 2) -> Compacted:
    """Pack these streams, pile by pile; fewer than `least` of a pile are left as they are. Under the build's lock.

    So are streams with a file that cannot be read: they must not keep the others from being packed.
    Raises WarehouseError.
    """
    packed = before = after = 0
    damaged: list[str] = []
    for batch in _batches(streams, least):
        while len(batch) >= least:
            try:
                done = _pack(store, batch)
            except _UnreadableError as error:
                damaged.append(str(error))
                batch = [stream for stream in batch if all(ref.path != error.path for ref in stream.files())]
                continue
            packed, before, after = packed + done.streams, before + done.files_before, after + done.files_after
            break
    return Compacted(packed, before, after, tuple(damaged))


def pile_of(stream: Manifest) -> str:
    """Streams of one pile may share a pack: one setting, and the split that a family has by nature."""
    return f"{stream.config.digest} {natural_split(family_of(stream))}"


def is_packed(path: str) -> bool:
    """Whether the file is one that streams share."""
    return path.startswith(f"{PACKS}/")


def full_packs(store: Store, streams: Iterable[Manifest]) -> Iterator[str]:
    """Packed files of which every row belongs to a stream."""
    used: dict[str, int] = {}
    for stream in streams:
        for ref in stream.files():
            if is_packed(ref.path):
                used[ref.path] = used.get(ref.path, 0) + ref.rows
    for path, rows in used.items():
        try:
            with store.open(path) as file:
                found = pq.ParquetFile(file).metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise CorruptError(str(_UnreadableError(store, path, error))) from error
        if found == rows:
            yield path


def _batches(streams: Iterable[Manifest], least: int) -> Iterator[list[Manifest]]:
    """Streams of one pile, by name, up to a pack's size."""
    piles: dict[str, list[Manifest]] = {}
    for stream in sorted(streams, key=lambda m: m.repo_id):
        piles.setdefault(pile_of(stream), []).append(stream)
    for _, alike in sorted(piles.items()):
        batch: list[Manifest] = []
        steps = 0
        for stream in alike:
            if batch and (len(batch) == PACK_STREAMS or steps + stream.steps > PACK_STEPS):
                yield batch
                batch, steps = [], 0
            batch.append(stream)
            steps += stream.steps
        if len(batch) >= least:
            yield batch


def _pack(store: Store, batch: Sequence[Manifest]) -> Compacted:
    """Write one pack, then the manifests of its members, but of those that changed meanwhile or are being written."""
    lines = [f"{m.repo_id} {ref.path} {ref.sha256} {ref.row_groups} {ref.skip}\n" for m in batch for ref in m.files()]
    base = f"{PACKS}/{hashlib.sha256(''.join(lines).encode()).hexdigest()[:16]}"
    packed: dict[str, FileRef] = {}
    places: dict[tuple[str, int, str], Place] = {}
    for kind in KINDS:
        if ref := _PackFile(store, f"{base}.{kind}.parquet", kind, batch[0]).write(batch, places):
            packed[kind] = ref
    before, count = set[str](), 0
    for first in range(0, len(batch), LOCKED):
        with ExitStack() as locks:
            members = []
            for stream in batch[first : first + LOCKED]:
                folder = stream_folder(stream.repo_id)
                try:
                    locks.enter_context(store.lock(f"{folder}/.lock"))
                except WarehouseError:
                    continue  # being written
                if load(store, f"{folder}/{MANIFEST}") == stream:
                    members.append(stream)
            publish_all(store, [_moved(stream, packed, places) for stream in members])
        before |= {ref.path for stream in members for ref in stream.files()}
        count += len(members)
    return Compacted(count, len(before), len(packed))


class _UnreadableError(Exception):
    """A file of a stream, or a pack, cannot be read; says which, and what to do."""

    def __init__(self, store: Store, path: str, error: Exception) -> None:
        reason = "missing" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
        super().__init__(
            f"{store}/{path} cannot be read ({reason}); its streams are not packed; see what else: "
            f"python -m pipeline.warehouse verify --warehouse {pasteable(str(store))}"
        )
        self.path = path


class Place(NamedTuple):
    """Where the rows of a file lie in a pack."""

    first: int
    groups: int
    skip: int


def _moved(stream: Manifest, packed: Mapping[str, FileRef], places: Mapping[tuple[str, int, str], Place]) -> Manifest:
    """The stream's manifest when its rows are in the pack."""
    shards = []
    for shard in stream.shards:
        files = {}
        for kind, ref in shard.files.items():
            place = places[stream.repo_id, shard.shard, kind]
            same = packed[kind].model_dump(include={"path", "sha256", "bytes"})
            there = {**same, "row_groups": (place.first, place.groups), "skip": place.skip}
            files[kind] = ref.model_copy(update=there)
        shards.append(shard.model_copy(update={"files": files}))
    return stream.model_copy(update={"shards": tuple(shards)})


class _PackFile:
    """The file of one kind of a pack, in the making."""

    def __init__(self, store: Store, name: str, kind: str, stream: Manifest) -> None:
        self.store, self.name, self.kind = store, name, kind
        self.file = TableFile(store, name, kind, stream.config)
        self.waiting: list[pa.Table] = []  # of the row group in the making
        self.rows = self.bytes = 0
        self.shared = SharedGroups(store)

    def write(self, members: Sequence[Manifest], places: dict[tuple[str, int, str], Place]) -> FileRef | None:
        """Every member's rows of this kind; `places` gets where each shard's are. None where there are none.

        Raises WarehouseError, _UnreadableError.
        """
        try:
            for stream in members:
                for shard in stream.shards:
                    if ref := shard.files.get(self.kind):
                        places[stream.repo_id, shard.shard, self.kind] = self._add(ref)
            self._flush()
            return self.file.publish(self.name)
        except OSError as error:
            raise self.store.refused(self.name, error) from error
        finally:
            self.file.discard()

    def _add(self, ref: FileRef) -> Place:
        try:
            found = self.shared.tables(ref) if is_packed(ref.path) else tables_of(self.store, ref)
            tables = [table.cast(self.file.schema) for table in found]
        except (pa.ArrowException, OSError) as error:
            raise _UnreadableError(self.store, ref.path, error) from error
        rows, size = ref.rows, sum(table.nbytes for table in tables) if self.kind == "blobs" else 0
        if not self._fits(rows, size):
            self._flush()
        if len(tables) == 1 and self._fits(rows, size):
            place = Place(self.file.groups, 1, self.rows)
            self.waiting += tables
            self.rows, self.bytes = self.rows + rows, self.bytes + size
            return place
        place = Place(self.file.groups, len(tables), 0)
        for table in tables:
            self.file.write(table)
        return place

    def _fits(self, rows: int, size: int) -> bool:
        """Whether so much more goes into the row group in the making."""
        limit = GROUP_STEPS if self.kind == "steps" else GROUP_RECORDS
        return self.rows + rows <= limit and self.bytes + size <= GROUP_BLOB_BYTES

    def _flush(self) -> None:
        if self.waiting:
            self.file.write(pa.concat_tables(self.waiting).unify_dictionaries().combine_chunks())
        self.waiting, self.rows, self.bytes = [], 0, 0
