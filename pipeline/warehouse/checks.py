"""What is looked for before a warehouse is written: whether it is one; and in a build that is asked to check, changes
that were made by hand, and files that are missing or cut.
"""

import os
from collections.abc import Iterable

from pipeline.crawl.opt_out import OPT_OUT
from pipeline.shards.manifest import unreadable
from pipeline.shards.store import Store
from pipeline.warehouse.compact import BUILD_LOCK
from pipeline.warehouse.database import open_database
from pipeline.warehouse.splits import REGISTRY
from pipeline.warehouse.views import VIEWS
from schema.catalogue import CHANGED, DATABASE
from schema.errors import WarehouseError
from schema.manifest import MANIFEST, PACKS, Manifest, slug

OURS = {DATABASE, "shards", PACKS, CHANGED, REGISTRY, OPT_OUT, BUILD_LOCK}  # one of them is in every warehouse
BESIDE = {"README.md", "queries.sql", "lost+found"}  # may lie in a folder before film does: ours, and a new disk's


def need_warehouse(store: Store) -> None:
    """Raise WarehouseError where there is no such folder, or one that holds other things and nothing of a warehouse."""
    store.need()
    may_hold_film(store)


def may_hold_film(store: Store) -> None:
    """Raise WarehouseError where there is a folder that holds other things and nothing of a warehouse.

    An empty folder may become a warehouse, and so may one that holds hidden files and those of BESIDE alone.
    """
    entries = store.entries()
    others = {name for name in entries - BESIDE if not name.startswith(".")}
    if others and not entries & OURS:
        raise WarehouseError(
            f"warehouse {store}: holds other things and no film, so nothing is written there; name the folder that "
            f"holds shards and {DATABASE}, or a new one for film: python -m flows.harvest --repo PATH --warehouse NEW"
        )


def check_by_hand(store: Store) -> None:
    """Have the next build read streams that came or went without it, and manifests younger than the database.

    Raises CorruptError where a file of the others is missing or cut.
    """
    with open_database(store, moved=True) as db:
        known = {slug(repo) for (repo,) in db.execute("SELECT repo_id FROM repositories").fetchall()}
        rows = db.execute("SELECT repo_id, path, bytes FROM files").fetchall()
    if store.local is None:
        names = store.names("shards", recursive=True)
        young, present = set[str](), {name.split("/")[1] for name in names if name.endswith(f"/{MANIFEST}")}
    else:
        built = os.stat(store.path(DATABASE)).st_mtime_ns
        times = dict(_times(store))
        young, present = {name for name, time in times.items() if time >= built}, set(times)
    differing = young | (present ^ known)
    store.write_all({f"{CHANGED}/{name}": b"" for name in differing})
    _check_sizes(store, {(path, size) for repo, path, size in rows if slug(repo) not in differing})


def _times(store: Store) -> Iterable[tuple[str, int]]:
    """Folder and modification time, ns, of every stream's manifest."""
    try:
        folders = os.scandir(store.path("shards"))
    except FileNotFoundError:
        return
    with folders:
        for folder in folders:
            try:
                yield folder.name, os.stat(f"{folder.path}/{MANIFEST}").st_mtime_ns
            except (FileNotFoundError, NotADirectoryError):
                continue


def check_sizes(store: Store, streams: Iterable[Manifest]) -> None:
    """Raise CorruptError where a file of these streams that the views read is missing or cut.

    DuckDB opens the first one alone; files of the other kinds are read anyway.
    """
    refs = (shard.files.get(kind) for stream in streams for shard in stream.shards for kind in VIEWS)
    _check_sizes(store, {(ref.path, ref.bytes) for ref in refs if ref is not None})


def _check_sizes(store: Store, files: Iterable[tuple[str, int]]) -> None:
    """Not in a bucket, where this would be a request a file."""
    for path, size in sorted(files) if store.local is not None else ():
        if (found := store.size(path)) != size:
            wrong = "missing" if found is None else f"{found} bytes, its manifest says {size}"
            raise unreadable(store, path, ValueError(wrong))
