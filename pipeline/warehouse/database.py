"""Builds and opens `actions.db`. It is built beside the old one, then takes its place: readers never wait or fail.

`repositories`, `episodes`, `shards` and `drops` are real tables; `blobs` and `steps` are views over the listed Parquet
files, because they are the bulk (copying blobs would double the warehouse at every build, and a lookup by id reads
the column of ids alone). `files` lists every file, and the views are written from it (pipeline.warehouse.views).

The views name the folder that the warehouse was in when they were written. Whoever opens the database here after the
folder was moved or copied writes it anew first, from its own tables.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.store import Store
from pipeline.temporary import TemporaryFolder
from pipeline.warehouse import splits as families
from pipeline.warehouse.compact import is_packed
from pipeline.warehouse.macros import macros
from pipeline.warehouse.views import DATABASE, VIEWS, Listed, home, quoted, source, write_mark
from schema.columns import TABLES, arrow_schema
from schema.errors import CorruptError, WarehouseError, one_line
from schema.manifest import MANIFEST, FileRef, Manifest
from schema.version import SCHEMA_VERSION, check_version

REAL_TABLES = ("repositories", "episodes", "shards", "drops")
FILES = "repo_id VARCHAR, kind VARCHAR, path VARCHAR, sha256 VARCHAR, bytes BIGINT, whole BOOLEAN"
BUILD_LOCK = ".build.lock"
BUILD_WAIT = 120.0  # seconds, for another build of the same warehouse
STORAGE = "v1.0.0"  # oldest DuckDB whose command line opens the file
_copies: dict[str, TemporaryFolder] = {}  # of databases that cannot be written anew, until this process ends


class _Moved(Exception):
    """The database was written for another folder than the one it is in."""


def build_database(
    store: Store,
    streams: Sequence[Manifest],
    splits: Mapping[str, str],
    full: Collection[str],
    target: Path,
    *,
    reuse: bool = False,
) -> None:
    """Write the database of `streams` and their splits to the new file `target`.

    `full` are the packs that hold no rows but their streams'. `reuse` takes the episodes and drops of streams that did
    not change from the present database instead of their Parquet files. Raises WarehouseError, CorruptError.
    """
    if not reuse:
        _check_sizes(store, streams)

    def fill(db: duckdb.DuckDBPyConnection) -> None:
        before = _attach_before(db, store) if reuse else None
        _fill(db, "shards", _table("shards", [s.model_dump() for m in streams for s in m.shard_rows()]))
        for name in ("episodes", "drops"):
            _from_parquet(db, store, name, streams, before)
        _add_refusals(db, streams)
        first = dict(db.execute("SELECT repo_id, min(committed_at) FROM episodes GROUP BY ALL").fetchall())
        copies = families.duplicates(streams, first)
        known = [m.repository(splits.get(m.repo_id), copies.get(m.repo_id)) for m in streams]
        _fill(db, "repositories", _table("repositories", [r.model_dump() for r in known]))
        _list_files(db, streams, full)

    _write(store, target, fill)


def _check_sizes(store: Store, streams: Iterable[Manifest]) -> None:
    """Raise CorruptError where a file that the views read is missing or cut. DuckDB opens the first one alone."""
    for kind in VIEWS if store.local is not None else ():  # in a bucket this would be a request a file
        for path, size in sorted({(ref.path, ref.bytes) for _, ref in _refs(streams, kind)}):
            if (found := store.size(path)) != size:
                wrong = "missing" if found is None else f"{found} bytes, its manifest says {size}"
                raise _unreadable(f"{store}/{path}", ValueError(wrong))


def copy_database(store: Store, target: Path) -> None:
    """Write the present database to the new file `target`, its views for where the warehouse is now.

    Raises WarehouseError, CorruptError.
    """

    def fill(db: duckdb.DuckDBPyConnection) -> None:
        with _local_file(store) as present:
            db.execute(f"ATTACH {quoted(str(present))} AS before (READ_ONLY)")
            for name in (*REAL_TABLES, "files"):
                columns = FILES if name == "files" else _columns(name)
                db.execute(f"CREATE TABLE {name} ({columns})")
                db.execute(f"INSERT INTO {name} BY NAME SELECT * FROM before.{name}")

    _write(store, target, fill)


def _write(store: Store, target: Path, fill: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    _discard(target)  # of a build that was killed
    if refusal := _attempt(store, target, fill):
        _discard(target)
        raise WarehouseError(
            f"{target}: {refusal}; make it writable or free some space, then run: python -m pipeline.warehouse build"
        )


def _attempt(store: Store, target: Path, fill: Callable[[duckdb.DuckDBPyConnection], None]) -> str:
    """Write it; why it cannot be done, or "": an error raised here would keep the broken connection in its frames."""
    try:
        with duckdb.connect() as db:
            db.execute("SET threads = 2")
            _let_find(db, store)
            db.execute(f"ATTACH {quoted(str(target))} AS film (STORAGE_VERSION {quoted(STORAGE)})")
            db.execute("USE film")
            db.execute("BEGIN")
            fill(db)
            _create_views(db, store)
            db.execute("CREATE TABLE about AS SELECT ? AS schema_version, ? AS home", [SCHEMA_VERSION, home(store)])
            _comment(db)
            db.execute("COMMIT")
            db.execute("USE memory")
            db.execute("DETACH film")
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
        return str(error).rpartition("Original error: ")[2].splitlines()[0]
    return ""


def _discard(target: Path) -> None:
    """Remove a database in the making, with what DuckDB keeps beside it."""
    for leftover in target.parent.glob(f"{target.name}*"):
        leftover.unlink(missing_ok=True)


def _attach_before(db: duckdb.DuckDBPyConnection, store: Store) -> dict[str, set[tuple[str, str]]] | None:
    """Attach the present database as `before`; repo_id -> its files (path, sha256). None when it is of no use."""
    if store.local is None or not store.exists(DATABASE):
        return None
    try:
        db.execute(f"ATTACH {quoted(str(store.local / DATABASE))} AS before (READ_ONLY)")
        if db.execute("SELECT schema_version FROM before.about").fetchone() != (SCHEMA_VERSION,):
            return None
        found: dict[str, set[tuple[str, str]]] = {}
        for repo, path, sha256 in db.execute("SELECT repo_id, path, sha256 FROM before.files").fetchall():
            found.setdefault(repo, set()).add((path, sha256))
        return found
    except duckdb.Error:  # damaged, or not ours: everything is read from Parquet
        return None


def _add_refusals(db: duckdb.DuckDBPyConnection, streams: Sequence[Manifest]) -> None:
    refused = [{"repo_id": m.repo_id, "scope": "repository", "rule": m.reason} for m in streams if m.reason]
    if refused:
        db.register("refused", _table("drops", refused))
        db.execute("INSERT INTO drops BY NAME SELECT * FROM refused")
        db.unregister("refused")


def _list_files(db: duckdb.DuckDBPyConnection, streams: Sequence[Manifest], full: Collection[str]) -> None:
    """Every file of every kind: what readers of this database may open."""
    rows = [
        {
            "repo_id": m.repo_id, "kind": kind, "path": ref.path, "sha256": ref.sha256, "bytes": ref.bytes,
            "whole": not is_packed(ref.path) or ref.path in full,
        }
        for m in streams
        for shard in m.shards
        for kind, ref in shard.files.items()
    ]  # fmt: skip
    db.execute(f"CREATE TABLE files ({FILES})")
    if rows:
        db.register("incoming", pa.Table.from_pylist(rows))
        db.execute("INSERT INTO files BY NAME SELECT * FROM incoming")
        db.unregister("incoming")


def listed_files(db: duckdb.DuckDBPyConnection, kind: str) -> list[Listed]:
    """The files of one kind that the database lists.

    Of a pack that holds rows of no stream any more only its streams' steps are read; contents nobody asks for do no
    harm.
    """
    rows = db.execute(
        "SELECT path, any_value(sha256), bool_and(whole), list(DISTINCT repo_id ORDER BY repo_id) FROM files"
        " WHERE kind = ? GROUP BY path ORDER BY path",
        [kind],
    ).fetchall()
    return [
        Listed(path, sha256, () if whole or kind != "steps" else tuple(repos)) for path, sha256, whole, repos in rows
    ]


@contextmanager
def open_database(store: Store, *, moved: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """The present database, read only, its views readable wherever the caller stands.

    One that was written for another folder is first written anew; where that is not possible, a copy of it is read, and
    a line on standard error says so. `moved=True` opens it as it is: only its tables can be asked.
    Raises WarehouseError when it is missing, SchemaVersionError, CorruptError when it is damaged.
    """
    _must_exist(store)
    try:
        with _local_file(store) as path, _connected(store, path, moved) as db:
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
            f"--warehouse {store}"
        )
    raise WarehouseError(f"{store}/{DATABASE} is missing; run: python -m pipeline.warehouse build --warehouse {store}")


@contextmanager
def _local_file(store: Store) -> Iterator[Path]:
    """The database as a file of this machine."""
    if store.local is not None:
        yield store.local / DATABASE
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        path.write_bytes(store.read(DATABASE))
        yield path


@contextmanager
def _connected(store: Store, path: Path, moved: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the database file. Raises _Moved unless that is allowed, CorruptError, SchemaVersionError."""
    remedy = f"run: python -m pipeline.warehouse build --warehouse {store}"
    try:
        with duckdb.connect() as db:  # opened by its path, it could be the one that this process opened before a build
            db.execute(f"ATTACH {quoted(str(path))} AS film (READ_ONLY)")
            db.execute("USE film")
            _let_find(db, store)
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
    with _local_file(store) as path:
        yield path


def _let_find(db: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Let the connection resolve the files of the views."""
    if store.local is None:
        from schema.bucket import S3Files  # see pipeline.shards.store

        db.register_filesystem(S3Files(store.fs))


def _table(name: str, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(name))


def _fill(db: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    db.execute(f"CREATE TABLE {name} ({_columns(name)})")
    if len(rows):
        db.register("incoming", rows)
        db.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
        db.unregister("incoming")


def _columns(name: str) -> str:
    return ", ".join(f'"{c.name}" {sql_type(c.type)}{"" if c.nullable else " NOT NULL"}' for c in TABLES[name])


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type of schema.columns."""
    if pa.types.is_dictionary(kind):
        return sql_type(kind.value_type)
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{f.name}" {sql_type(f.type)}' for f in kind) + ")"
    names = {
        pa.string(): "VARCHAR", pa.binary(): "BLOB", pa.bool_(): "BOOLEAN", pa.uint8(): "UTINYINT",
        pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT",
        pa.timestamp("s", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
    }  # fmt: skip
    return names[kind]


def _refs(streams: Iterable[Manifest], kind: str) -> list[tuple[Manifest, FileRef]]:
    return [(m, s.files[kind]) for m in streams for s in m.shards if kind in s.files]


def _from_parquet(
    db: duckdb.DuckDBPyConnection,
    store: Store,
    name: str,
    streams: Sequence[Manifest],
    before: Mapping[str, set[tuple[str, str]]] | None,
    batch: int = 500,
) -> None:
    """A real table from the files of one kind; of streams whose files are those of `before`, from that database."""
    db.execute(f"CREATE TABLE {name} ({_columns(name)})")
    same = [s.repo_id for s in streams if before and before.get(s.repo_id) == {(r.path, r.sha256) for r in s.files()}]
    if same:
        db.register("same", pa.table({"repo_id": same}))
        where = "" if name == "episodes" else " AND scope <> 'repository'"
        db.execute(f"INSERT INTO {name} SELECT * FROM before.{name} WHERE repo_id IN (SELECT repo_id FROM same){where}")
        db.unregister("same")
        kept = set(same)
        streams = [s for s in streams if s.repo_id not in kept]
    wanted: dict[str, list[int]] = {}  # each file is opened once, a packed one too
    for _, ref in _refs(streams, name):
        wanted.setdefault(ref.path, []).extend(range(ref.row_groups[0], sum(ref.row_groups)))
    pending: list[pa.Table] = []
    for number, (path, groups) in enumerate(wanted.items(), 1):
        try:
            with store.open(path) as source:
                pending.append(pq.ParquetFile(source).read_row_groups(groups).replace_schema_metadata(None))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(f"{store}/{path}", error) from error
        if len(pending) == batch or number == len(wanted):
            db.register("incoming", pa.concat_tables(pending))
            db.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
            db.unregister("incoming")
            pending = []


def _unreadable(what: str, error: Exception) -> CorruptError:
    return CorruptError(
        f"{what} cannot be read ({str(error).splitlines()[0]}); see what else: python -m pipeline.warehouse verify, "
        "then remove that stream's folder and harvest it again"
    )


def _create_views(db: duckdb.DuckDBPyConnection, store: Store) -> None:
    """The views and macros over the files that are listed."""
    steps = ""
    for name in VIEWS:
        files = listed_files(db, name)
        write_mark(store, name, files)
        query = source(name, files, store)
        steps = query if name == "steps" else steps
        try:
            db.execute(f"CREATE VIEW {name} AS {query}")
            db.execute(f"SELECT 1 FROM {name} LIMIT 0")  # finds every file
        except duckdb.Error as error:
            raise _unreadable(f"{store}: a file of {name}", error) from error
    for macro in macros(steps):
        db.execute(macro)


def _comment(db: duckdb.DuckDBPyConnection) -> None:
    """Every column's meaning and unit, for `duckdb_columns()`."""
    for name, columns in TABLES.items():
        for column in columns:
            if name not in ("steps", "blobs"):
                meaning = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
                db.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {quoted(meaning)}')
