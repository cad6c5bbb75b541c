"""Removes files that neither the present database nor any stream names: of superseded tails, generations and packs.

A file that a build supersedes stays until the next one, because somebody may have opened the database a moment before.

Object storage has no lock: one machine builds a bucket at a time. There a file that nothing names may be one that
another machine has yet to name, and it stays for a day.
"""

from collections.abc import Iterable, Sequence

from pipeline.shards.manifest import load
from pipeline.shards.store import TEMPORARY, Store
from pipeline.warehouse.present import UNFINISHED, Present
from pipeline.warehouse.views import MARKS
from schema.catalogue import FOLDER as CATALOGUE
from schema.errors import WarehouseError
from schema.manifest import MANIFEST, PACKS, PENDING, Manifest, stream_folder

EVERY_STREAM = "shards"  # among leftovers: the folder of every stream
DAY = 86_400.0  # seconds


def sweep(store: Store, present: Present, changed: Sequence[Manifest]) -> list[str]:
    """Sweep what the last build left over and the folders of changed streams; folders that are to be swept again.

    A stream that is being written is left alone; so is everything when the present database cannot be read. Under the
    build's lock. Raises WarehouseError.
    """
    if present.held is None:
        return list(present.leftovers)
    known = present.held | {ref.path for stream in changed for ref in stream.files()} | {UNFINISHED}
    left = list[str]()
    if present.usable:
        # only packing makes packs, and only builds make marks and segments, under the lock that the caller holds
        for folder in (PACKS, MARKS, CATALOGUE):
            superfluous = [name for name in store.names(folder) if name not in known and TEMPORARY not in name]
            if not _delete(store, superfluous):
                left.append(folder)
    folders = set(to_sweep(present, changed))
    if EVERY_STREAM in folders:
        folders = {"/".join(name.split("/")[:2]) for name in _parquet(store, "shards")}
    left += (folder for folder in folders if folder.startswith("shards/") and not _swept(store, folder, known))
    return sorted(left)


def to_sweep(present: Present, changed: Sequence[Manifest]) -> list[str]:
    """Folders in which there may be files that nothing names."""
    return sorted({stream_folder(stream.repo_id) for stream in changed} | set(present.leftovers))


def _swept(store: Store, folder: str, known: Iterable[str]) -> bool:
    """Sweep one stream's folder; False where files had to be left."""
    superfluous = set(_parquet(store, folder)).difference(known)
    if not superfluous:
        return True
    try:
        with store.lock(f"{folder}/.lock"):
            # read again under the lock: its writer may have committed since
            for name in (MANIFEST, PENDING):
                if manifest := load(store, f"{folder}/{name}"):
                    superfluous -= {ref.path for ref in manifest.files()}
            return _delete(store, superfluous)
    except WarehouseError:
        return False  # its writer is at work; a later build removes them


def _delete(store: Store, superfluous: Iterable[str]) -> bool:
    """Delete these files; False where some were left because they are too young."""
    young = {name for name in superfluous if store.local is None and store.age(name) <= DAY}
    for name in set(superfluous) - young:
        store.delete(name)
    return not young


def _parquet(store: Store, folder: str) -> list[str]:
    names = store.names(folder, recursive=True)
    return [n for n in names if n.endswith(".parquet") and TEMPORARY not in n]
