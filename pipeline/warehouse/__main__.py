"""The warehouse as a whole: `python -m pipeline.warehouse COMMAND [--warehouse FOLDER]`.

    build    register every stream (families, duplicates, splits) and swap in a new actions.db
    verify   checksums, counts, lineage; redraw a sample of episodes from their keys
    compact  pack small streams into shared files, without changing a row
    stats    what is in it
    report   the same as a page, with screens of some repositories
    export   write film as a dataset folder to be sent or published
    import   take such a folder's film in, equal to the byte
    remove   take out an owner's film, or one repository's, for good

A warehouse is a folder or s3://bucket/prefix. Errors are one line and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.crawl.opt_out import OPT_OUT
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import SHARD_STEPS
from pipeline.warehouse.build import build
from pipeline.warehouse.checks import need_warehouse
from pipeline.warehouse.compact import compact
from pipeline.warehouse.export import Moved, export, import_folder, names_listed
from pipeline.warehouse.remove import remove
from pipeline.warehouse.report import write_report
from pipeline.warehouse.splits import SPLITS
from pipeline.warehouse.stats import stats
from pipeline.warehouse.verify import verify
from schema.catalogue import DATABASE
from schema.errors import ConfigError, clear_errors, one_line

COMMANDS = {
    "build": "register every stream and swap in a new actions.db",
    "verify": "checksums, counts, lineage, and a sample redrawn from its keys",
    "compact": "pack small streams into shared files, then build",
    "stats": "what is in it",
    "report": "what is in it, as a page for a browser",
    "export": "write film as a dataset folder, which Hugging Face's datasets and others open",
    "import": "take the film of an exported folder in",
    "remove": "take out an owner's film, or one repository's; no later harvest films it again",
}


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.warehouse", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if name == "remove":
            command.add_argument("names", nargs="+", metavar="OWNER[/NAME]", help="whose film goes")
            command.add_argument("--future", action="store_true", help="also names of which there is no film yet")
        elif name in ("export", "import"):
            command.add_argument("place", metavar="FOLDER", help="the dataset folder")
        else:
            command.add_argument("folder", nargs="?", help="the same as --warehouse")
        command.add_argument("--warehouse", help="folder or s3://bucket/prefix (default: warehouse)")
        if name == "export":
            command.add_argument("--split", choices=[split for split, _ in SPLITS], default="", help="this split alone")
            command.add_argument("--repo", action="append", default=[], metavar="REPO_ID", help="these alone")
        if name == "report":
            command.add_argument("--html", type=Path, required=True, metavar="FILE", help="the page to write")
        if name == "verify":
            command.add_argument("--sample", type=int, default=3, help="episodes redrawn of each stream; 0: all")
            command.add_argument("--seed", type=int, default=0, help="which ones")
        if name == "compact":
            command.add_argument(
                "--small", type=int, default=SHARD_STEPS, help="steps; shorter streams are packed (default %(default)s)"
            )
    options = parser.parse_args(arguments)
    if options.command == "verify" and options.sample < 0:
        raise ConfigError(f"--sample {options.sample}: write a number of episodes, or 0 for all")
    if options.command == "compact" and options.small < 1:
        raise ConfigError(f"--small {options.small}: write a number of steps, 1 or more")
    named = [name for name in (getattr(options, "folder", None), options.warehouse) if name is not None]
    if len(set(named)) > 1:
        raise ConfigError(f"{named[0]} and --warehouse {named[1]}: two warehouses; name only one of them")
    store = Store(named[0] if named else "warehouse")
    if options.command == "import":
        moved = import_folder(Store(options.place), store)
        print(f"{options.place}: {_moved(moved)} checked and taken in")
    if options.command in ("build", "compact", "remove"):
        need_warehouse(store)
    store.need()
    if options.command == "export":
        moved = export(store, Store(options.place), split=options.split, repos=options.repo)
        print(f"{options.place}: {_moved(moved)} written; take it in with: python -m pipeline.warehouse import FOLDER")
        if moved.copies:
            print(f"copies of other streams that stayed out: {moved.copies}; {names_listed(store)}")
        return 0
    if options.command == "verify":
        return _verify(store, options.sample, options.seed)
    if options.command == "report":
        if options.html.suffix != ".html":
            raise ConfigError(f"--html {options.html}: a page's name ends in .html, for example warehouse.html")
        print(f"{options.html}: {write_report(store, options.html):,} bytes; open it in a browser")
        return 0
    if options.command == "stats":
        stats(store)
        return 0
    if options.command == "compact":
        packed = compact(store, options.small)
        print(f"{packed.streams} streams: {packed.files_before} files became {packed.files_after}")
    if options.command == "remove":
        removed = remove(store, options.names, future=options.future)
        print(
            f"{removed.streams} streams emptied ({removed.steps:,} steps); {store}/{OPT_OUT} names "
            f"{', '.join(options.names)}: take a line out of it to film them again"
        )
        build(store)  # files leave the database with the first build, the disk with the second
    built = build(store, check=options.command == "build")
    print(f"{store}/{DATABASE}: {built.streams} streams, {built.episodes:,} episodes, {built.steps:,} steps")
    for line in built.messages:
        print(one_line(line))
    return 0


def _moved(moved: Moved) -> str:
    return f"{moved.streams} streams, {moved.steps:,} steps, {moved.files} files ({moved.bytes:,} bytes)"


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
