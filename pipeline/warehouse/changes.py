"""Which streams changed since the last build: their manifests are read, and no others.

A writer names its stream in `changed/` before it writes the manifest (pipeline.shards.manifest). A build moves the
names to `changed/.taken/`, reads those manifests, and forgets the names when its database is in place: killed at any
moment, the next build reads them again. The name of a stream that is being written stays, because more is to come. A
name is moved before the manifest is read, and named again once it is written, so that none is forgotten unread.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from schema.catalogue import CHANGED
from schema.errors import WarehouseError
from schema.manifest import MANIFEST, Manifest

TAKEN = f"{CHANGED}/.taken"  # no stream's folder begins with a dot


class Changes(NamedTuple):
    """Manifests of streams that changed, and names of streams' folders, below `shards`, that are gone."""

    streams: list[Manifest]
    gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.streams or self.gone)


def take(store: Store) -> Changes:
    """The streams that changed. Raises WarehouseError, CorruptError, SchemaVersionError."""
    found = {name: _take(store, name) for name in dict.fromkeys(_named(store))}
    return Changes(
        [stream for _, stream in sorted(found.items()) if stream is not None],
        [name for name, stream in sorted(found.items()) if stream is None],
    )


def changed(store: Store) -> Iterator[Manifest]:
    """The streams that changed, left to the next build. Raises as `take` does."""
    for name in dict.fromkeys(_named(store)):
        if (stream := load(store, f"shards/{name}/{MANIFEST}")) is not None:
            yield stream


def waiting(store: Store) -> bool:
    """Whether any stream changed since the last build."""
    return bool(_named(store))


def forget(store: Store) -> None:
    """The streams that were taken are registered."""
    for name in store.names(TAKEN):
        store.delete(name)


def _named(store: Store) -> list[str]:
    """Names of streams' folders; what begins with a dot is a name that is being written, or TAKEN itself."""
    names = [name.rpartition("/")[2] for folder in (CHANGED, TAKEN) for name in store.names(folder)]
    return [name for name in names if not name.startswith(".")]


def _take(store: Store, name: str) -> Manifest | None:
    folder = f"shards/{name}"
    if store.exists(f"{folder}/{MANIFEST}"):
        try:
            with store.lock(f"{folder}/.lock"):
                _move(store, name)
                return load(store, f"{folder}/{MANIFEST}")
        except WarehouseError:  # its writer is at work
            return load(store, f"{folder}/{MANIFEST}")
    _move(store, name)
    return load(store, f"{folder}/{MANIFEST}")


def _move(store: Store, name: str) -> None:
    if store.exists(f"{CHANGED}/{name}"):
        if store.local is not None:
            (store.local / TAKEN).mkdir(exist_ok=True)
        store.rename(f"{CHANGED}/{name}", f"{TAKEN}/{name}")
