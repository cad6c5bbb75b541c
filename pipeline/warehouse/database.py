"""Opens `actions.db`, wherever its folder is now.

The views name the folder that the warehouse was in when they were written. Whoever opens the database here after the
folder was moved or copied writes it anew first, from its own tables.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipeline.messages import pasteable
from pipeline.shards.store import Store
from pipeline.temporary import TemporaryFolder
from pipeline.warehouse.compact import BUILD_LOCK, BUILD_WAIT
from pipeline.warehouse.views import home, quoted
from pipeline.warehouse.writing import copy_database, let_find, local_file
from schema.catalogue import DATABASE
from schema.errors import CorruptError, WarehouseError, one_line
from schema.manifest import MANIFEST
from schema.version import check_version

_copies: dict[str, TemporaryFolder] = {}  # of databases that cannot be written anew, until this process ends


class _Moved(Exception):
    """The database was written for another folder than the one it is in."""


@contextmanager
def open_database(store: Store, *, moved: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """The present database, read only, its views readable wherever the caller stands.

    One that was written for another folder is first written anew; where that is not possible, a copy of it is read, and
    a line on standard error says so. `moved=True` opens it as it is: only its tables can be asked.
    Raises WarehouseError when it is missing, SchemaVersionError, CorruptError when it is damaged.
    """
    _must_exist(store)
    try:
        with local_file(store) as path, _connected(store, path, moved) as db:
            yield db
        return
    except _Moved as error:
        elsewhere = str(error)
    with _brought_home(store, elsewhere) as path, _connected(store, path, True) as db:
        yield db


def _must_exist(store: Store) -> None:
    if store.exists(DATABASE):
        return
    store.need()
    if not any(name.endswith(f"/{MANIFEST}") for name in store.names("shards", recursive=True)):
        raise WarehouseError(
            f"warehouse {store}: holds no film; film a repository: python -m flows.harvest --repo PATH "
            f"--warehouse {pasteable(str(store))}"
        )
    raise WarehouseError(f"{store}/{DATABASE} is missing; {_build(store)}")


def _build(store: Store) -> str:
    """The command that makes the database."""
    return f"run: python -m pipeline.warehouse build --warehouse {pasteable(str(store))}"


@contextmanager
def _connected(store: Store, path: Path, moved: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the database file. Raises _Moved unless that is allowed, CorruptError, SchemaVersionError."""
    remedy = _build(store)
    try:
        with duckdb.connect() as db:  # opened by its path, it could be the one that this process opened before a build
            db.execute(f"ATTACH {quoted(str(path))} AS film (READ_ONLY)")
            db.execute("USE film")
            let_find(db, store)
            about = db.execute("SELECT * FROM about").fetchall()
            version, *homes = about[0] if about else (None,)
            check_version(version, f"{store}/{DATABASE}")
            if not homes:
                raise CorruptError(f"{store}/{DATABASE}: written by an older gitreel; {remedy}")
            if not moved and not _is_home(store, homes[0]):
                raise _Moved(homes[0])
            yield db
    except duckdb.Error as error:
        raise CorruptError(f"{store}/{DATABASE}: {str(error).splitlines()[0]}; {remedy}") from error


def _is_home(store: Store, folder: str) -> bool:
    if folder == home(store):
        return True
    try:
        return store.local is not None and Path(folder).samefile(store.local)
    except OSError:
        return False


@contextmanager
def _brought_home(store: Store, elsewhere: str) -> Iterator[Path]:
    """The database, written anew for where the warehouse is now: in its place, or as a copy where it is read-only."""
    if str(store) not in _copies:
        try:
            with store.lock(BUILD_LOCK, wait=BUILD_WAIT):
                staged = store.stage(DATABASE)
                copy_database(store, staged)
                store.publish(staged, DATABASE)
        except WarehouseError as error:
            reason = str(error).split(";")[0]
            said = f"{store}/{DATABASE} was written in {elsewhere} and cannot be written anew ({reason})"
            print(one_line(f"{said}; this program reads a copy, DuckDB alone may not find the film"), file=sys.stderr)
            folder = TemporaryFolder("moved")
            copy_database(store, folder.path / DATABASE)
            _copies[str(store)] = folder
    if str(store) in _copies:
        yield _copies[str(store)].path / DATABASE
        return
    with local_file(store) as path:
        yield path
