"""What the present database says, as the next build needs it."""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.store import Store
from pipeline.warehouse.catalogue import KNOWN, listed_files, segments
from pipeline.warehouse.changes import waiting
from pipeline.warehouse.database import open_database
from pipeline.warehouse.register import Schemas
from pipeline.warehouse.views import MARKS, VIEWS, home, mark, mark_of
from pipeline.warehouse.writing import About, attach, let_find, local_file
from schema.catalogue import DATABASE, FOLDER, LAYOUT, Segment
from schema.errors import GitreelError

UNFINISHED = f"{FOLDER}/unfinished"  # a build's work on other files than the database is not done


class Present(NamedTuple):
    """The present database.

    `usable`: its catalogue can be gone on with: it is of this layout, and was written where the warehouse is now.
    `held`: files, relative to the warehouse, that its readers may open; None where that cannot be known. `leftovers`:
    folders with files of the database before it. `unfinished`: a build was killed.
    """

    exists: bool
    usable: bool
    unfinished: bool
    about: About
    held: frozenset[str] | None
    leftovers: tuple[str, ...]


def look(store: Store, *, check: bool = False) -> Present:
    """The present database; `check`: read its segments whole, not their ends alone. Raises WarehouseError."""
    unfinished = store.exists(UNFINISHED)
    nothing = Present(False, False, unfinished, About.nothing(), frozenset(), ())
    if not store.exists(DATABASE):
        return nothing
    with local_file(store) as path, duckdb.connect() as db:
        let_find(db, store)
        try:
            attached = attach(db, path)
            if attached is None:
                return nothing._replace(exists=True, held=_held_by_an_older(store, db))
            place, about = attached
            leftovers = [folder for (folder,) in db.execute(f"SELECT folder FROM {place.inner}.leftovers").fetchall()]
            usable = (about.home, about.layout) == (home(store), LAYOUT)
            # what was lost or damaged is made up for by reading every manifest again
            usable = usable and _readable(store, segments(db, place.inner), check)
            return Present(True, usable, unfinished, about, frozenset(_held(db, place)), tuple(leftovers))
        except duckdb.Error:  # damaged: it is about to be replaced
            return nothing._replace(exists=True, held=None)


def registered(store: Store) -> bool:
    """Whether the database describes every stream as it is now.

    A killed harvest may have left an older database, or one built under way, in which new streams have no split.
    """
    if store.local is None or not store.exists(DATABASE) or waiting(store):
        return False
    try:
        with open_database(store, moved=False):
            present = look(store)
    except GitreelError:  # damaged, or of another version
        return False
    return present.usable and not present.unfinished and not present.about.unsettled


def _readable(store: Store, known: Sequence[Segment], check: bool) -> bool:
    """Whether the files of these segments are there and can be read: their ends, because a file that was cut has none,
    or with `check` all that is in them. Objects in a bucket are put whole.
    """
    paths = {segment.path(name) for segment in known for name in KNOWN}
    if not paths.issubset(store.names(FOLDER)):
        return False
    for path in paths if store.local is not None else ():
        try:
            with store.open(path) as file:
                found = pq.ParquetFile(file)
                for number in range(found.num_row_groups if check else 0):
                    found.read_row_group(number)
        except (pa.ArrowException, OSError):
            return False
    return True


def _held(db: duckdb.DuckDBPyConnection, place: Schemas) -> set[str]:
    known = segments(db, place.inner)
    found = {mark(kind, listed_files(db, kind, place.inner)) for kind in VIEWS}
    found |= {mark_of(name, (segment.name for segment in known)) for name in KNOWN if known}
    found |= {segment.path(name) for segment in known for name in KNOWN}
    return found | {path for (path,) in db.execute(f"SELECT path FROM {place.inner}.listed").fetchall()}


def _held_by_an_older(store: Store, db: duckdb.DuckDBPyConnection) -> frozenset[str] | None:
    """The same of a database of gitreel 0.2 and before."""
    try:
        paths = db.execute("SELECT path FROM before.files").fetchall()
    except duckdb.Error:
        return None
    return frozenset(path for (path,) in paths) | frozenset(store.names(MARKS))
