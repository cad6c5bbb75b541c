"""Which streams changed since the last build: their manifests are read, and no others.

A writer names its stream in `changed/` before it writes the manifest (pipeline.shards.manifest). A build moves the
names to `changed/taken/`, reads those manifests, and forgets the names when its database is in place: killed at any
moment, the next build reads them again. The name of a stream that is being written stays, because more is to come.
"""

from typing import NamedTuple

from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from schema.catalogue import CHANGED
from schema.errors import WarehouseError
from schema.manifest import MANIFEST, Manifest

TAKEN = f"{CHANGED}/taken"


class Changes(NamedTuple):
    """Manifests of streams that changed, and names of streams' folders, below `shards`, that are gone."""

    streams: list[Manifest]
    gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.streams or self.gone)


def take(store: Store) -> Changes:
    """The streams that changed. Raises WarehouseError, CorruptError, SchemaVersionError."""
    names = [name.rpartition("/")[2] for folder in (CHANGED, TAKEN) for name in store.names(folder)]
    found = {name: _take(store, name) for name in dict.fromkeys(names)}
    return Changes(
        [stream for _, stream in sorted(found.items()) if stream is not None],
        [name for name, stream in sorted(found.items()) if stream is None],
    )


def waiting(store: Store) -> bool:
    """Whether any stream changed since the last build."""
    return bool(store.names(CHANGED) or store.names(TAKEN))


def forget(store: Store) -> None:
    """The streams that were taken are registered."""
    for name in store.names(TAKEN):
        store.delete(name)


def _take(store: Store, name: str) -> Manifest | None:
    folder = f"shards/{name}"
    if store.exists(f"{folder}/{MANIFEST}"):
        try:
            # under the lock, so that no writer comes between the name and the manifest
            with store.lock(f"{folder}/.lock"):
                stream = load(store, f"{folder}/{MANIFEST}")
                _move(store, name)
                return stream
        except WarehouseError:  # its writer is at work
            return load(store, f"{folder}/{MANIFEST}")
    _move(store, name)
    return load(store, f"{folder}/{MANIFEST}")


def _move(store: Store, name: str) -> None:
    if store.exists(f"{CHANGED}/{name}"):
        if store.local is not None:
            (store.local / TAKEN).mkdir(exist_ok=True)
        store.rename(f"{CHANGED}/{name}", f"{TAKEN}/{name}")
