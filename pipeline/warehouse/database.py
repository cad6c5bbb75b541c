"""Builds `actions.db`: beside the old one, then in its place, so that readers never wait and never fail.

`repositories`, `episodes`, `shards` and `drops` are real tables; `blobs` and `steps` are views over the listed Parquet
files, because they are the bulk (copying blobs would double the warehouse at every build, and a lookup by id reads
the column of ids alone).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.store import Store
from pipeline.warehouse import splits as families
from pipeline.warehouse.compact import PACKS, full_packs
from pipeline.warehouse.macros import MACROS
from schema.bucket import S3Files
from schema.columns import TABLES, arrow_schema
from schema.errors import CorruptError, WarehouseError
from schema.manifest import FileRef, Manifest
from schema.version import SCHEMA_VERSION, check_version

DATABASE = "actions.db"
STORAGE = "v1.0.0"  # oldest DuckDB whose command line opens the file


def prefix(store: Store) -> str:
    """What stands before a file's name in the views: the folder's own name, or the whole URL of object storage."""
    return store.local.name if store.local is not None else store.url


def build_database(
    store: Store, streams: Sequence[Manifest], splits: Mapping[str, str], target: Path, *, reuse: bool = False
) -> None:
    """Write the database of `streams` and their splits to the new file `target`.

    `reuse` takes the episodes and drops of streams that did not change from the present database instead of their
    Parquet files. Raises WarehouseError, CorruptError.
    """
    _discard(target)  # of a build that was killed
    if refusal := _write(store, streams, splits, target, reuse):
        _discard(target)
        raise WarehouseError(
            f"{target}: {refusal}; make it writable or free some space, then run: python -m pipeline.warehouse build"
        )


def _write(store: Store, streams: Sequence[Manifest], splits: Mapping[str, str], target: Path, reuse: bool) -> str:
    """Do so; why it could not be done, or "". An error raised here would keep the broken connection in its frames."""
    try:
        with duckdb.connect() as db:
            db.execute("SET threads = 2")
            _let_find(db, store)
            before = _attach_before(db, store) if reuse else None
            db.execute(f"ATTACH {_text(str(target))} AS film (STORAGE_VERSION {_text(STORAGE)})")
            db.execute("USE film")
            db.execute("BEGIN")
            _fill(db, "shards", _table("shards", [s.model_dump() for m in streams for s in m.shard_rows()]))
            for name in ("episodes", "drops"):
                _from_parquet(db, store, name, streams, before)
            _add_refusals(db, streams)
            first = dict(db.execute("SELECT repo_id, min(committed_at) FROM episodes GROUP BY ALL").fetchall())
            copies = families.duplicates(streams, first)
            known = [m.repository(splits.get(m.repo_id), copies.get(m.repo_id)) for m in streams]
            _fill(db, "repositories", _table("repositories", [r.model_dump() for r in known]))
            for view in ("steps", "blobs"):
                _create_view(db, store, view, streams)
            for macro in MACROS:
                db.execute(macro)
            db.execute("CREATE TABLE about AS SELECT ? AS schema_version", [SCHEMA_VERSION])
            _list_files(db, streams)
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
        db.execute(f"ATTACH {_text(str(store.local / DATABASE))} AS before (READ_ONLY)")
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


def _list_files(db: duckdb.DuckDBPyConnection, streams: Sequence[Manifest]) -> None:
    """Every file of every kind: what readers of this database may open."""
    rows = [
        {"repo_id": m.repo_id, "kind": kind, "path": ref.path, "sha256": ref.sha256, "bytes": ref.bytes}
        for m in streams
        for shard in m.shards
        for kind, ref in shard.files.items()
    ]
    db.execute("CREATE TABLE files (repo_id VARCHAR, kind VARCHAR, path VARCHAR, sha256 VARCHAR, bytes BIGINT)")
    if rows:
        db.register("incoming", pa.Table.from_pylist(rows))
        db.execute("INSERT INTO files BY NAME SELECT * FROM incoming")
        db.unregister("incoming")


@contextmanager
def open_database(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """The present database, read only. Raises WarehouseError when it is missing, CorruptError when it is damaged.

    Its views resolve wherever the caller stands.
    """
    if not store.exists():
        raise WarehouseError(f"warehouse {store}: no such folder; make one with: python -m flows.harvest --repo PATH")
    if not store.exists(DATABASE):
        raise WarehouseError(
            f"{store}/{DATABASE} is missing; run: python -m pipeline.warehouse build --warehouse {store}"
        )
    with TemporaryDirectory() as folder:
        path = store.local / DATABASE if store.local else Path(folder) / DATABASE
        if not store.local:
            path.write_bytes(store.read(DATABASE))
        try:
            with duckdb.connect(str(path), read_only=True) as db:
                _let_find(db, store)
                version = db.execute("SELECT schema_version FROM about").fetchone()
                check_version(version[0] if version else None, f"{store}/{DATABASE}")
                yield db
        except duckdb.Error as error:
            raise CorruptError(
                f"{store}/{DATABASE}: {str(error).splitlines()[0]}; run: python -m pipeline.warehouse build "
                f"--warehouse {store}"
            ) from error


def _let_find(db: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Let the connection resolve the files of the views."""
    if store.local is not None:
        db.execute(f"SET file_search_path = {_text(str(store.local.parent))}")
    else:
        db.register_filesystem(S3Files(store.fs))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _list(values: Iterable[str]) -> str:
    return ", ".join(map(_text, values))


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


def _create_view(db: duckdb.DuckDBPyConnection, store: Store, name: str, streams: Sequence[Manifest]) -> None:
    query = _view(store, name, streams)
    try:
        db.execute(query)
    except duckdb.Error as error:
        raise _unreadable(f"{store}: a file of {name}", error) from error


def _view(store: Store, name: str, streams: Sequence[Manifest]) -> str:
    """CREATE VIEW over the listed files; of no rows when there are none (an empty list of files is an error)."""
    refs = _refs(streams, name)
    paths = sorted({ref.path for _, ref in refs})
    columns = ", ".join(f'"{c.name}"' for c in TABLES[name])
    if not paths:
        nothing = ", ".join(f'NULL::{sql_type(c.type)} AS "{c.name}"' for c in TABLES[name])
        return f"CREATE VIEW {name} AS SELECT {nothing} WHERE false"
    shared: dict[str, list[str]] = {}
    if name == "steps":  # rows that a packed stream left behind are hidden (of contents they do no harm)
        full = set(full_packs(store, streams))
        for stream, ref in refs:
            if ref.path.startswith(f"{PACKS}/") and ref.path not in full:
                shared.setdefault(ref.path, []).append(stream.repo_id)
    parts = []
    if whole := [path for path in paths if path not in shared]:
        parts.append(f"SELECT {columns} FROM read_parquet([{_list(f'{prefix(store)}/{path}' for path in whole)}])")
    for path, members in sorted(shared.items()):
        parts.append(
            f"SELECT {columns} FROM read_parquet([{_list([f'{prefix(store)}/{path}'])}]) "
            f"WHERE repo_id IN ({_list(sorted(set(members)))})"
        )
    return f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}"


def _comment(db: duckdb.DuckDBPyConnection) -> None:
    """Every column's meaning and unit, for `duckdb_columns()`."""
    for name, columns in TABLES.items():
        for column in columns:
            if name not in ("steps", "blobs"):
                meaning = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
                db.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {_text(meaning)}')
