"""What a build looks for when it is asked to check: changes that were made by hand, files that are missing or cut."""

import os
from collections.abc import Iterable

from pipeline.shards.store import Store
from pipeline.warehouse.database import open_database
from pipeline.warehouse.register import unreadable
from pipeline.warehouse.views import DATABASE, VIEWS
from schema.catalogue import CHANGED
from schema.manifest import MANIFEST, Manifest, slug


def mark_what_differs(store: Store) -> None:
    """Have the next build read streams that came or went without it, and manifests younger than the database."""
    with open_database(store, moved=True) as db:
        known = {slug(repo) for (repo,) in db.execute("SELECT repo_id FROM repositories").fetchall()}
    if store.local is None:
        names = store.names("shards", recursive=True)
        young, present = set[str](), {name.split("/")[1] for name in names if name.endswith(f"/{MANIFEST}")}
    else:
        built = os.stat(store.path(DATABASE)).st_mtime_ns
        times = dict(_times(store))
        young, present = {name for name, time in times.items() if time >= built}, set(times)
    store.write_all({f"{CHANGED}/{name}": b"" for name in young | (present ^ known)})


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


def check_sizes(store: Store, streams: Iterable[Manifest] | None = None) -> None:
    """Raise CorruptError where a file of these streams, or of all that are registered, is missing or cut.

    DuckDB opens the first one alone. Of `streams` those that the views read: the others are read anyway. Not in a
    bucket, where this would be a request a file.
    """
    if store.local is None:
        return
    if streams is None:
        with open_database(store, moved=True) as db:
            wanted = db.execute("SELECT DISTINCT path, bytes FROM files ORDER BY path").fetchall()
    else:
        refs = (shard.files.get(kind) for stream in streams for shard in stream.shards for kind in VIEWS)
        wanted = sorted({(ref.path, ref.bytes) for ref in refs if ref is not None})
    for path, size in wanted:
        if (found := store.size(path)) != size:
            wrong = "missing" if found is None else f"{found} bytes, its manifest says {size}"
            raise unreadable(f"{store}/{path}", ValueError(wrong))
