"""Registers every stream of a warehouse (families, duplicates, splits) and swaps in a new `actions.db`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.shards.manifest import load, manifests
from pipeline.shards.store import TEMPORARY, Store
from pipeline.warehouse import dataset
from pipeline.warehouse import splits as families
from pipeline.warehouse.compact import PACKS, full_packs
from pipeline.warehouse.database import BUILD_LOCK, BUILD_WAIT, build_database, listed_files, open_database
from pipeline.warehouse.views import DATABASE, MARKS, VIEWS, mark
from schema.columns import arrow_schema
from schema.errors import GitreelError, WarehouseError
from schema.manifest import MANIFEST, PENDING, Manifest, stream_folder


class Built(NamedTuple):
    """What `build` registered, and messages for the user (`messages`)."""

    streams: int
    episodes: int
    steps: int
    messages: list[str]


def build(warehouse: Path | str | Store, *, settle: bool = True) -> Built:
    """Register every stream and swap in a new `actions.db`; readers of the old one are not disturbed.

    `settle=False`, for a harvest that is still running: repositories that have no split yet get none (null), because
    an empty split is filled by what is there; and streams that did not change are taken over from the present
    database, so that it costs little to build often. An assigned split never changes. An empty or new warehouse gives a
    database of empty tables. Raises WarehouseError, CorruptError, SchemaVersionError.
    """
    store = warehouse if isinstance(warehouse, Store) else Store(warehouse)
    with store.lock(BUILD_LOCK, wait=BUILD_WAIT):
        streams = list(manifests(store))
        known = families.read_registry(store)
        splits, messages = families.assign(streams, known)
        if settle and any(known.get(repo) != split for repo, split in splits.items()):
            families.write_registry(store, {**known, **splits})
        elif not settle:
            splits, messages = {repo: split for repo, split in splits.items() if repo in known}, []
        before = _listed(store)
        full = frozenset(full_packs(store, streams))
        staged = store.stage(DATABASE)
        build_database(store, streams, splits, full, staged, reuse=not settle)
        store.publish(staged, DATABASE)
        messages += _show_folder(store, streams, full)
        _sweep(store, streams, before)
    return Built(len(streams), sum(m.episodes for m in streams), sum(m.steps for m in streams), messages)


def _show_folder(store: Store, streams: Sequence[Manifest], full: frozenset[str]) -> list[str]:
    """Bring the folder of plain Parquet up to date; messages for the user."""
    with open_database(store, moved=True) as db:
        repositories = db.sql("FROM repositories ORDER BY repo_id").to_arrow_table()
    line = dataset.update(
        store,
        dataset.parts(streams, dataset.places(repositories), full),
        repositories.cast(arrow_schema("repositories")),
    )
    return [line] if line else []


def _listed(store: Store) -> set[str] | None:
    """Files that readers of the present database may open; None when that cannot be known."""
    if not store.exists(DATABASE):
        return set()
    try:
        with open_database(store, moved=True) as db:
            marks = {mark(kind, listed_files(db, kind)) for kind in VIEWS}
            return marks | {row[0] for row in db.execute("SELECT path FROM files").fetchall()}
    except GitreelError:  # damaged, or of another version: it is about to be replaced
        return None


def _sweep(store: Store, streams: Sequence[Manifest], before: set[str] | None) -> None:
    """Remove files of superseded tails and generations, except those that the database replaced just now names.

    A stream that is being written is left alone (on object storage, which has no lock: whatever is younger than a
    day); so is everything when that database could not be read.
    """
    listed = _listed(store)
    if before is None or listed is None:
        return
    known = before | listed
    # only `compact` makes packs, and only a build makes marks, under the lock that the caller holds
    for name in [*_parquet(store, PACKS), *store.names(MARKS)]:
        if name not in known:
            store.delete(name)
    for stream in streams:
        folder = stream_folder(stream.repo_id)
        known = before | {ref.path for ref in stream.files()}
        if all(name in known for name in _parquet(store, folder)):
            continue
        try:
            with store.lock(f"{folder}/.lock"):
                # read again under the lock: its writer may have committed since
                now = load(store, f"{folder}/{MANIFEST}")
                pending = load(store, f"{folder}/{PENDING}")
                for manifest in (now, pending):
                    known |= {ref.path for ref in manifest.files()} if manifest else set()
                for name in _parquet(store, folder):
                    if name not in known and (store.local or store.age(name) > 86_400):
                        store.delete(name)
        except WarehouseError:
            continue  # its writer is at work; the next build removes them


def _parquet(store: Store, folder: str) -> list[str]:
    names = store.names(folder, recursive=True)
    return [n for n in names if n.endswith(".parquet") and TEMPORARY not in n]
