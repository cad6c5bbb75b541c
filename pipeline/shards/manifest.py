"""Reads and writes the streams' manifests of a warehouse, and checks the files that they name.

A stream whose manifest is to be written is first named by a file `changed/<slug>`, so that a build reads the manifests
of changed streams alone (pipeline.warehouse.changes).
"""

import hashlib
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from pipeline.messages import pasteable
from pipeline.shards.store import Store
from schema.catalogue import CHANGED
from schema.errors import CorruptError
from schema.manifest import MANIFEST, PACKS, FileRef, Manifest, parse_manifest, slug, stream_folder


def load(store: Store, name: str) -> Manifest | None:
    """The manifest file `name`, None when it is missing. Raises CorruptError, SchemaVersionError."""
    try:
        data = store.read(name)
    except FileNotFoundError:
        return None
    return parse_manifest(data, f"{store}/{name}")


def manifests(store: Store) -> Iterator[Manifest]:
    """Every stream of the warehouse, by folder name. Raises WarehouseError, CorruptError, SchemaVersionError."""
    for name in store.names("shards", recursive=True):
        if name.count("/") == 2 and name.endswith(f"/{MANIFEST}"):
            manifest = load(store, name)
            if manifest is not None:
                yield manifest


def publish(store: Store, manifest: Manifest) -> None:
    """Put a stream's manifest in place and see that the next build reads it. The caller holds the stream's lock.

    A kill between the two leaves a name in `changed` whose stream is as it was, which costs the next build one read. A
    build may have taken the name before the manifest was there: it is named again.
    """
    mark_changed(store, manifest.repo_id)
    store.write(f"{stream_folder(manifest.repo_id)}/{MANIFEST}", manifest.dump())
    mark_changed(store, manifest.repo_id)


def publish_all(store: Store, streams: Sequence[Manifest]) -> None:
    """`publish` for many. The caller holds all of their locks."""
    names = {f"{CHANGED}/{slug(stream.repo_id)}": b"" for stream in streams}
    store.write_all(names)
    store.write_all({f"{stream_folder(stream.repo_id)}/{MANIFEST}": stream.dump() for stream in streams})
    store.write_all({name: data for name, data in names.items() if store.local is None or not store.exists(name)})


def mark_changed(store: Store, repo_id: str) -> None:
    """See that the next build reads this stream's manifest."""
    name = f"{CHANGED}/{slug(repo_id)}"
    if store.local is None or not store.exists(name):
        store.write(name, b"")


def check(store: Store, ref: FileRef, *, advice: str = "") -> None:
    """Raise CorruptError unless the file is there with the size and checksum that its manifest names.

    `advice` is what the error says to do; without it, what helps a warehouse.
    """
    digest = hashlib.sha256()
    try:
        with store.open(ref.path) as file:
            while block := file.read(8 << 20):
                digest.update(block)
    except FileNotFoundError:
        found = "is missing"
    else:
        if digest.hexdigest() == ref.sha256:
            return
        found = f"has sha256 {digest.hexdigest()[:12]}, its manifest says {ref.sha256[:12]}"
    raise CorruptError(f"{store}/{ref.path} {found}; {advice or remedy(ref.path)}")


def unreadable(store: Store, path: str, error: Exception) -> CorruptError:
    """The error for a file of film, or of its records, that is missing or cannot be read."""
    missing = isinstance(error, FileNotFoundError) or not str(error)
    reason = "missing" if missing else str(error).splitlines()[0]
    see = f"see what else: python -m pipeline.warehouse verify --warehouse {pasteable(str(store))}"
    return CorruptError(f"{store}/{path} cannot be read ({reason}); {see}; then {remedy(path)}")


def remedy(path: str) -> str:
    """What to do about a damaged file of film: what is removed is harvested again, and nothing else is removed."""
    if path.startswith(f"{PACKS}/"):
        return (
            "for the small streams in it, which python -m pipeline.warehouse verify names: remove their folders below "
            "shards/, and harvest those repositories again"
        )
    return (
        f"remove the folder {path.rpartition('/')[0]} and harvest the repository again: "
        "python -m flows.harvest --repo PATH"
    )


def same_place(one: str, other: str) -> bool | None:
    """Whether two sources, as the warehouse stores them (`shown`), are the same place; None if that cannot be told.

    Of a folder only its name is stored, and of some streams nothing: two folders of one name may be one that was moved.

    >>> same_place("https://host/a/b", "ssh://host/a/b.git"), same_place("https://host/a/b", "https://other/a/b")
    (True, False)
    >>> same_place("b", "b"), same_place("b", "https://host/b"), same_place("", "b")
    (None, False, None)
    """
    if not one or not other or (one == other and "://" not in one):
        return None
    return _place(one) == _place(other)


def _place(shown: str) -> tuple[str, str]:
    """Host and path, without what does not tell repositories apart: the protocol, the port, '.git'."""
    if "://" not in shown:
        return "", shown
    url = urlsplit(shown)
    return url.hostname or "", unquote(url.path).strip("/").removesuffix(".git")
