"""Writes `actions.db`, beside the old one: what is to be in it is worked out in memory (pipeline.warehouse.register).

`blobs` and `steps` are views over the listed Parquet files, because they are the bulk (copying blobs would double the
warehouse at every build, and a lookup by id reads the column of ids alone). `repositories`, `episodes`, `shards`,
`drops` and `files` are real tables, or, where there are segments, views over these and the recent rows.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

import duckdb

from pipeline.messages import pasteable
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse.catalogue import (
    INNER_TABLES,
    KNOWN,
    columns,
    definition,
    listed_files,
    schema,
    segments,
    sources,
)
from pipeline.warehouse.changes import Changes
from pipeline.warehouse.macros import macros
from pipeline.warehouse.register import Registration, Schemas, Totals
from pipeline.warehouse.views import VIEWS, film_sources, home, mark, mark_of, query, quoted, write_mark
from schema.catalogue import DATABASE, INNER, LAYOUT
from schema.columns import TABLES, arrow_schema
from schema.errors import CorruptError, WarehouseError
from schema.version import SCHEMA_VERSION

COPIED = 0  # instead: a copy of a database that was written elsewhere, which the next build writes from nothing
STORAGE = "v1.0.0"  # oldest DuckDB whose command line opens the file


class About(NamedTuple):
    """What a database says of itself."""

    schema_version: str
    home: str
    layout: int
    next_segment: int
    unsettled: bool  # there are streams without a split
    streams: int
    episodes: int
    steps: int

    @property
    def totals(self) -> Totals:
        """Counts of the whole warehouse."""
        return Totals(self.streams, self.episodes, self.steps)

    @classmethod
    def nothing(cls) -> Self:
        """Of no database."""
        return cls(SCHEMA_VERSION, "", LAYOUT, 1, False, 0, 0, 0)


ABOUT = (
    "schema_version VARCHAR, home VARCHAR, layout INTEGER, next_segment BIGINT, unsettled BOOLEAN, streams BIGINT,"
    " episodes BIGINT, steps BIGINT"
)
Fill = Callable[[duckdb.DuckDBPyConnection], About]


def attach(db: duckdb.DuckDBPyConnection, path: Path) -> tuple[Schemas, About] | None:
    """Attach a database file as `before`, read only: where its catalogue lies, and what it says of itself; None where
    an older gitreel wrote it.

    Raises duckdb.Error where it is damaged.
    """
    db.execute(f"ATTACH {quoted(str(path))} AS before (READ_ONLY)")
    about = db.execute("SELECT * FROM before.about").fetchone() or ()
    if len(about) != len(About._fields) or about[0] != SCHEMA_VERSION:
        return None
    inner = f"before.{INNER}"
    return Schemas(inner if segments(db, inner) else "before.main", inner), About(*about)


@contextmanager
def local_file(store: Store) -> Iterator[Path]:
    """The database as a file of this machine."""
    if store.local is not None:
        yield store.local / DATABASE
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        path.write_bytes(store.read(DATABASE))
        yield path


def write_database(store: Store, target: Path, fill: Fill) -> None:
    """Write the new file `target`: `fill` makes the tables of KNOWN and INNER_TABLES in the connection's own memory.

    Raises WarehouseError, CorruptError.
    """
    _discard(target)  # of a build that was killed
    if refusal := _attempt(store, target, fill):
        _discard(target)
        raise WarehouseError(
            f"{target}: {refusal}; make it writable or free some space, then run: python -m pipeline.warehouse build"
        )


def copy_database(store: Store, target: Path) -> None:
    """Write the present database to the new file `target`, its views for where the warehouse is now.

    Raises WarehouseError, CorruptError.
    """

    def fill(db: duckdb.DuckDBPyConnection) -> About:
        attached = attach(db, files.enter_context(local_file(store)))
        if attached is None:  # of an older gitreel
            registration = Registration(store, db, Changes(list(manifests(store)), []))
            totals = registration.read(Totals())
            registration.assign(settle=False)
            registration.list_files()
            # nothing is folded: the warehouse may be read-only, and the next build begins from nothing
            return About(SCHEMA_VERSION, home(store), COPIED, 1, True, *totals)
        place, about = attached
        for names, where in ((INNER_TABLES, place.inner), (KNOWN, place.recent)):
            for name in names:
                db.execute(f"CREATE TABLE {name} ({INNER_TABLES.get(name) or definition(name)})")
                db.execute(f"INSERT INTO {name} FROM {where}.{name}")
        return about._replace(home=home(store), layout=COPIED)

    with ExitStack() as files:
        write_database(store, target, fill)


def let_find(db: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Let the connection resolve the files of the views."""
    if store.local is None:
        from schema.bucket import S3Files  # see pipeline.shards.store

        db.register_filesystem(S3Files(store.fs))


def _attempt(store: Store, target: Path, fill: Fill) -> str:
    """Write it; why it cannot be done, or "": an error raised here would keep the broken connection in its frames."""
    try:
        with duckdb.connect() as db:
            db.execute("SET threads = 2")
            let_find(db, store)
            about = fill(db)
            db.execute(f"ATTACH {quoted(str(target))} AS film (STORAGE_VERSION {quoted(STORAGE)})")
            db.execute("USE film")
            db.execute("BEGIN")
            _copy_tables(db, store)
            _create_film(db, store)
            db.execute(f"CREATE TABLE about ({ABOUT})")
            db.execute(f"INSERT INTO about VALUES ({', '.join('?' * len(about))})", [*about])
            _comment(db)
            db.execute("COMMIT")
            db.execute("USE memory")
            db.execute("DETACH film")
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
        return str(error).rpartition("Original error: ")[2].splitlines()[0]
    except duckdb.Error as error:
        raise CorruptError(
            f"{store}: its catalogue cannot be read ({str(error).splitlines()[0]}); "
            f"run: python -m pipeline.warehouse build --warehouse {pasteable(str(store))}"
        ) from error
    return ""


def _discard(target: Path) -> None:
    """Remove a database in the making, with what DuckDB keeps beside it."""
    for leftover in target.parent.glob(f"{target.name}*"):
        leftover.unlink(missing_ok=True)


def _copy_tables(db: duckdb.DuckDBPyConnection, store: Store) -> None:
    """The tables of memory, and where there are segments the views over both."""
    db.execute(f"CREATE SCHEMA {INNER}")
    for name, definitions in INNER_TABLES.items():
        db.execute(f"CREATE TABLE {INNER}.{name} ({definitions})")
        db.execute(f"INSERT INTO {INNER}.{name} FROM memory.main.{name}")
    known = segments(db, INNER)
    for name in KNOWN:
        table = f"{INNER}.{name}" if known else name
        db.execute(f"CREATE TABLE {table} ({definition(name)})")
        db.execute(f"INSERT INTO {table} FROM memory.main.{name}")
        if known:
            there = mark_of(name, (segment.name for segment in known))
            write_mark(store, there, schema(name))
            older = query(columns(name), sources(db, name, INNER), there, store)
            db.execute(f"CREATE VIEW {name} AS SELECT {columns(name)} FROM {table} UNION ALL {older}")


def _create_film(db: duckdb.DuckDBPyConnection, store: Store) -> None:
    """The views and macros over the files that are listed."""
    steps = ""
    for name in VIEWS:
        files = listed_files(db, name, INNER)
        there = mark(name, files)
        write_mark(store, there, arrow_schema(name))
        rows = query(", ".join(f'"{c.name}"' for c in TABLES[name]), film_sources(files), there, store)
        steps = rows if name == "steps" else steps
        try:
            db.execute(f"CREATE VIEW {name} AS {rows}")
            db.execute(f"SELECT 1 FROM {name} LIMIT 0")  # finds every file
        except duckdb.Error as error:
            raise CorruptError(
                f"{store}: a file of {name} cannot be read ({str(error).splitlines()[0]}); it is named by "
                f"python -m pipeline.warehouse verify --warehouse {pasteable(str(store))}"
            ) from error
    for macro in macros(steps):
        db.execute(macro)


def _comment(db: duckdb.DuckDBPyConnection) -> None:
    """Every column's meaning and unit, for `duckdb_columns()`."""
    for name, of_table in TABLES.items():
        for column in of_table:
            if name not in VIEWS:
                meaning = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
                db.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {quoted(meaning)}')
