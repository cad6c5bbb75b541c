"""The warehouse as a whole: `python -m pipeline.warehouse {build,verify,compact,stats,remove} [--warehouse FOLDER]`.

    build    register every stream (families, duplicates, splits) and swap in a new actions.db
    verify   checksums, counts, lineage; redraw a sample of episodes from their keys
    compact  pack small streams into shared files, without changing a row
    stats    what is in it
    remove   take out an owner's film, or one repository's, for good

A warehouse is a folder or s3://bucket/prefix. Errors are one line and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from pipeline import families
from pipeline.catalogue import DATABASE, build_database, open_database
from pipeline.compact import PACKS, compact
from pipeline.manifest import MANIFEST, PENDING, Manifest, load, manifests, stream_folder
from pipeline.opt_out import OPT_OUT, remove
from pipeline.shards import SHARD_STEPS
from pipeline.stats import stats
from pipeline.store import TEMPORARY, Store, one_line
from pipeline.verify import verify
from schema.errors import GitreelError, WarehouseError

BUILD_WAIT = 120.0  # seconds, for another build of the same warehouse
COMMANDS = {
    "build": "register every stream and swap in a new actions.db",
    "verify": "checksums, counts, lineage, and a sample redrawn from its keys",
    "compact": "pack small streams into shared files, then build",
    "stats": "what is in it",
    "remove": "take out an owner's film, or one repository's; no later harvest films it again",
}


class Built(NamedTuple):
    """What `build` registered, and what there is to tell about it."""

    streams: int
    episodes: int
    steps: int
    told: list[str]


def build(warehouse: Path | str | Store, *, settle: bool = True) -> Built:
    """Register every stream and swap in a new `actions.db`; readers of the old one are not disturbed.

    `settle=False`, for a harvest that is still running: repositories that have no split yet get none (null), because
    an empty split is filled by what is there; and streams that did not change are taken over from the present
    database, so that it costs little to build often. An assigned split never changes. An empty or new warehouse gives a
    database of empty tables. Raises WarehouseError, CorruptError, SchemaVersionError.
    """
    store = warehouse if isinstance(warehouse, Store) else Store(warehouse)
    with store.lock(".build.lock", wait=BUILD_WAIT):
        streams = list(manifests(store))
        known = families.read_registry(store)
        splits, told = families.assign(streams, known)
        if settle and any(known.get(repo) != split for repo, split in splits.items()):
            families.write_registry(store, {**known, **splits})
        elif not settle:
            splits, told = {repo: split for repo, split in splits.items() if repo in known}, []
        before = _listed(store)
        staged = store.stage(DATABASE)
        build_database(store, streams, splits, staged, reuse=not settle)
        store.publish(staged, DATABASE)
        _sweep(store, streams, before)
    return Built(len(streams), sum(m.episodes for m in streams), sum(m.steps for m in streams), told)


def _listed(store: Store) -> set[str] | None:
    """Files that readers of the present database may open; None when that cannot be known."""
    if not store.exists(DATABASE):
        return set()
    try:
        with open_database(store) as db:
            return {row[0] for row in db.execute("SELECT path FROM files").fetchall()}
    except GitreelError:  # damaged, or of another version: it is about to be replaced
        return None


def _sweep(store: Store, streams: Sequence[Manifest], before: set[str] | None) -> None:
    """Remove files of superseded tails and generations, except those that the database replaced just now names.

    A stream that is being written is left alone (on object storage, which has no lock: whatever is younger than a
    day); so is everything when that database could not be read.
    """
    if before is None:
        return
    known = before | {ref.path for stream in streams for ref in stream.files()}
    for name in _parquet(store, PACKS):  # only `compact` makes them, under the lock that the caller holds
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.warehouse", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if name == "remove":
            command.add_argument("names", nargs="+", metavar="OWNER[/NAME]", help="whose film goes")
        else:
            command.add_argument("folder", nargs="?", help="the same as --warehouse")
        command.add_argument("--warehouse", default="warehouse", help="folder or s3://bucket/prefix")
        if name == "verify":
            command.add_argument("--sample", type=int, default=3, help="episodes redrawn of each stream; 0: all")
            command.add_argument("--seed", type=int, default=0, help="which ones")
        if name == "compact":
            command.add_argument(
                "--small", type=int, default=SHARD_STEPS, help="steps; shorter streams are packed (default %(default)s)"
            )
    options = parser.parse_args(arguments)
    try:
        store = Store(getattr(options, "folder", None) or options.warehouse)
        if not store.exists():
            raise WarehouseError(
                f"warehouse {store}: no such folder; make one with: python -m flows.harvest --repo PATH"
            )
        if options.command == "verify":
            return _verify(store, options.sample, options.seed)
        if options.command == "stats":
            stats(store, Console())
            return 0
        if options.command == "compact":
            packed = compact(store, options.small)
            print(f"{packed.streams} streams: {packed.files_before} files became {packed.files_after}")
        if options.command == "remove":
            removed = remove(store, options.names)
            print(
                f"{removed.streams} streams emptied ({removed.steps:,} steps); {store}/{OPT_OUT} names "
                f"{', '.join(options.names)}: take a line out of it to film them again"
            )
            build(store)  # files leave the database with the first build, the disk with the second
        built = build(store)
        print(f"{store}/{DATABASE}: {built.streams} streams, {built.episodes:,} episodes, {built.steps:,} steps")
        for line in built.told:
            print(one_line(line))
    except GitreelError as error:
        print(one_line(error), file=sys.stderr)
        return 2
    return 0


def _verify(store: Store, sample: int, seed: int) -> int:
    found = verify(store, list(manifests(store)), sample, seed)
    for line in found.wrong:
        print(one_line(line), file=sys.stderr)
    print(
        f"{store}: {found.streams} streams, {found.files} files ({found.bytes:,} bytes), {found.episodes:,} episodes, "
        f"{found.steps:,} steps and {found.contents:,} contents checked; {found.redrawn_episodes} episodes "
        f"({found.redrawn_steps:,} steps) redrawn from their keys; {len(found.wrong)} wrong"
    )
    return 2 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
