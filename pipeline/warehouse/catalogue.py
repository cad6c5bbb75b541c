"""The catalogue: what `actions.db` knows of every stream, kept so that one more costs little more among any number.

Rows of the streams registered last are real tables of `actions.db`. As soon as there are more than RECENT such streams
they become a *segment*, five Parquet files that never change: catalogue/000007-<hash>.{repositories,…}.parquet. A
stream that is registered again is recent again, and the rows that a segment has of it are superseded. Segments of one
size are merged when there are FEW, so that there are few, and a row is written anew once for every factor of FEW.

`listed` are the files that the views over film read, and which streams' rows in a pack are no film any more.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.shards.store import Store
from pipeline.warehouse.views import Listed, Source, quoted, quoted_list
from schema.catalogue import FOLDER, Segment
from schema.columns import arrow_schema

RECENT = 1024  # streams whose rows are tables of actions.db
FEW = 16  # segments of one size
KNOWN = ("repositories", "episodes", "shards", "drops", "files")
FILES = pa.schema(
    [
        pa.field("repo_id", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("first_group", pa.int64(), nullable=False),
        pa.field("groups", pa.int64(), nullable=False),
        pa.field("skip", pa.int64(), nullable=False),
    ]
)
INNER_TABLES = {
    "segments": "number BIGINT, name VARCHAR, streams BIGINT",
    "superseded": "number BIGINT, repo_id VARCHAR",
    "listed": "kind VARCHAR, path VARCHAR, sha256 VARCHAR, pile VARCHAR, streams BIGINT, rows BIGINT,"
    " hidden VARCHAR[], hidden_from BIGINT[]",
    "leftovers": "folder VARCHAR",
}


def schema(name: str) -> pa.Schema:
    """The Arrow schema of one of KNOWN."""
    return FILES if name == "files" else arrow_schema(name)


def columns(name: str) -> str:
    """Names of a table's columns, in SQL."""
    return ", ".join(f'"{column}"' for column in schema(name).names)


def definition(name: str) -> str:
    """A table's columns with their types, in SQL."""
    return ", ".join(f'"{f.name}" {sql_type(f.type)}{"" if f.nullable else " NOT NULL"}' for f in schema(name))


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


def segments(db: duckdb.DuckDBPyConnection, inner: str) -> list[Segment]:
    """The segments that the schema `inner` names, oldest first."""
    return [Segment(*row) for row in db.execute(f"FROM {inner}.segments ORDER BY number").fetchall()]


def sources(
    db: duckdb.DuckDBPyConnection, name: str, inner: str, only: Sequence[Segment] | None = None
) -> list[Source]:
    """The files of a table's segments: together those of which every row holds, and each other one by itself.

    `inner`: the schema of INNER_TABLES, as it is called when the query is asked. `only`: of these segments alone.
    """
    known = segments(db, inner) if only is None else only
    partly = {number for (number,) in db.execute(f"SELECT DISTINCT number FROM {inner}.superseded").fetchall()}
    found = [Source([one.path(name) for one in known if one.number not in partly])]
    for one in known:
        if one.number in partly:
            old = f"repo_id NOT IN (SELECT repo_id FROM {inner}.superseded WHERE number = {one.number})"
            found.append(Source([one.path(name)], old))
    return found


def all_rows(store: Store, db: duckdb.DuckDBPyConnection, name: str, recent: str, inner: str) -> str:
    """A query for every row of one table: the recent ones in `recent`, and those of the segments that still hold."""
    recent_rows = f"SELECT {columns(name)} FROM {recent}"
    return " UNION ALL ".join([recent_rows, *_rows_of(store, name, sources(db, name, inner))])


def _rows_of(store: Store, name: str, found: Sequence[Source]) -> list[str]:
    """A query for the rows of each of these sources that has files."""
    parts = []
    for source in found:
        if source.paths:
            paths = quoted_list(store.address(path) for path in source.paths)
            where = f" WHERE {source.where}" if source.where else ""
            parts.append(f"SELECT {columns(name)} FROM read_parquet([{paths}]){where}")
    return parts


def listed_files(db: duckdb.DuckDBPyConnection, kind: str, inner: str) -> list[Listed]:
    """The files that the view of one kind reads.

    Of steps in a pack, those that are no film any more are left out; contents that nobody asks for do no harm.
    """
    rows = db.execute(
        f"SELECT path, sha256, hidden, hidden_from FROM {inner}.listed WHERE kind = ? ORDER BY path", [kind]
    ).fetchall()
    return [
        Listed(path, sha256, tuple(zip(repos, steps, strict=True)) if kind == "steps" else ())
        for path, sha256, repos, steps in rows
    ]


def fold(store: Store, db: duckdb.DuckDBPyConnection, number: int, *, purge: bool = False) -> int:
    """Write segments, the first of this number, until few streams are recent and few segments of one size; the next.

    In `db` are the tables of KNOWN, of recent rows, and INNER_TABLES, in its present schema. `purge`: no segment is to
    hold a row that is superseded, because somebody's film was removed.
    """
    ((recent,),) = db.execute("SELECT count(*) FROM repositories").fetchall()
    if recent > RECENT:
        _write_segment(store, db, number, {name: f"SELECT {columns(name)} FROM {name}" for name in KNOWN})
        for name in KNOWN:
            db.execute(f"DELETE FROM {name}")
        number += 1
    while chosen := _to_merge(db, purge):
        queries = {name: " UNION ALL ".join(_rows_of(store, name, sources(db, name, "main", chosen))) for name in KNOWN}
        _write_segment(store, db, number, queries)
        merged = ", ".join(str(one.number) for one in chosen)
        db.execute(f"DELETE FROM segments WHERE number IN ({merged})")
        db.execute(f"DELETE FROM superseded WHERE number IN ({merged})")
        number += 1
    return number


def _to_merge(db: duckdb.DuckDBPyConnection, purge: bool) -> Sequence[Segment]:
    """Segments to become one: FEW of one size, or those of which more than half is superseded."""
    rows = db.execute(
        "SELECT number, name, streams, (SELECT count(*) FROM superseded o WHERE o.number = s.number) FROM segments s"
    ).fetchall()
    half = [Segment(*row) for *row, old in rows if 2 * old > row[2] or (purge and old)]
    if half:
        return half
    sizes: dict[int, list[Segment]] = {}
    for *row, old in rows:
        sizes.setdefault(int(math.log(max(row[2] - old, RECENT) / RECENT, FEW)), []).append(Segment(*row))
    return next((alike for alike in sizes.values() if len(alike) >= FEW), [])


def _write_segment(store: Store, db: duckdb.DuckDBPyConnection, number: int, queries: dict[str, str]) -> None:
    """Write the rows of these queries as a segment; one without streams is none."""
    staged: dict[str, Path] = {}
    whole = hashlib.sha256()
    try:
        for name, query in queries.items():
            staged[name] = store.stage(f"{FOLDER}/{name}")
            ordered = f"SELECT * FROM ({query}) ORDER BY {'repo_id, episode' if name == 'episodes' else 'ALL'}"
            db.execute(f"COPY ({ordered}) TO {quoted(str(staged[name]))} (FORMAT parquet, COMPRESSION zstd)")
            with staged[name].open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        ((streams,),) = db.execute(
            f"SELECT count(*) FROM read_parquet({quoted(str(staged['repositories']))})"
        ).fetchall()
        if not streams:
            return
        segment = Segment(number, f"{number:06d}-{whole.hexdigest()[:16]}", streams)
        for name, path in staged.items():
            store.publish(path, segment.path(name))
        db.execute("INSERT INTO segments VALUES (?, ?, ?)", [*segment])
    finally:
        for path in staged.values():
            path.unlink(missing_ok=True)


def insert(db: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Add rows to a table, by the names of their columns."""
    if len(rows):
        db.register("incoming", rows)
        db.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
        db.unregister("incoming")
