"""Reads the streams' manifests of a warehouse, checks the files that they name, and tells their sources apart."""

import hashlib
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from pipeline.shards.store import Store
from schema.errors import CorruptError
from schema.manifest import MANIFEST, FileRef, Manifest, parse_manifest


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


def check(store: Store, ref: FileRef) -> None:
    """Raise CorruptError unless the file is there with the size and checksum that its manifest names."""
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
    raise CorruptError(
        f"{store}/{ref.path} {found}; remove the folder {ref.path.rsplit('/', 1)[0]} and harvest the "
        "repository again: python -m flows.harvest --repo PATH"
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
