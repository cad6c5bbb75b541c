"""The SQL that reads a warehouse's Parquet files, wherever the database lies and however it was opened.

DuckDB resolves a relative path from the folder one asks from, and a view can learn neither where its database lies nor
under which name it is attached. A view therefore names its files below one folder, chosen each time it is asked:

- the folder of the database file that was opened, where that folder has the name of the warehouse's. It is read from
  the setting `temp_directory`, which is "<path of the file opened>.tmp" unless somebody set it. So a warehouse whose
  parent was renamed, or that was copied to another machine or mounted elsewhere, answers as it is;
- the folder where the database was last written (its home) in all other cases: attached beside other databases, say.

The first file that a view reads is a mark: it has no rows, and it is there if exactly the files of this database are.
Where it is missing, DuckDB's error is its name, which says what to do.

Everything here runs in DuckDB 1.0 and later: no lambdas, no subqueries in table functions.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.store import Store
from schema.catalogue import DATABASE

VIEWS = ("steps", "blobs")
MARKS = "if-moved"
REMEDY = "run python -m pipeline.warehouse build --warehouse FOLDER"
_BETWEEN = "|"  # stands between the names in a list; no stored name holds it
_OPENED = "current_setting('temp_directory')"


class Listed(NamedTuple):
    """A Parquet file of one kind. `hidden`: streams, and the step from which on their rows in it are film no more."""

    path: str
    sha256: str
    hidden: tuple[tuple[str, int], ...] = ()


class Source(NamedTuple):
    """Files of one kind that are read together; `where`, in SQL: these of their rows alone."""

    paths: Sequence[str]
    where: str = ""


def home(store: Store) -> str:
    """The folder that the views of a database written now are to read from, ending in a slash."""
    return f"{store.local.resolve()}/" if store.local is not None else f"{store.url}/"


def quoted(value: str) -> str:
    """A string in SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted_list(values: Iterable[str]) -> str:
    """Strings in SQL, between commas."""
    return ", ".join(map(quoted, values))


def mark(kind: str, files: Iterable[Listed]) -> str:
    """The name, relative to the warehouse, of the mark of these files of one kind."""
    return mark_of(kind, (f"{file.path} {file.sha256}" for file in files))


def mark_of(kind: str, lines: Iterable[str]) -> str:
    """The name of the mark of what these lines say."""
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return f"{MARKS}/{REMEDY} ({kind} {digest[:16]})"


def write_mark(store: Store, name: str, schema: pa.Schema) -> None:
    """Put the mark of this name in place. Raises WarehouseError."""
    if not store.exists(name):
        content = io.BytesIO()
        pq.write_table(schema.empty_table(), content)
        store.write(name, content.getvalue())


def film_sources(files: Sequence[Listed]) -> list[Source]:
    """Those of which every row is film together, and each other one by itself."""
    found = [Source([file.path for file in files if not file.hidden])]
    for file in files:
        whole = [repo for repo, step in file.hidden if step == 0]
        partly = [f"(repo_id = {quoted(repo)} AND stream_step >= {step})" for repo, step in file.hidden if step]
        rows = ([f"repo_id IN ({quoted_list(whole)})"] if whole else []) + partly
        if rows:
            found.append(Source([file.path], f"NOT ({' OR '.join(rows)})"))
    return found


def query(columns: str, sources: Iterable[Source], mark: str, store: Store) -> str:
    """A query for the rows of these files, of which the mark is the first."""
    folder, parts = _folder(store), []
    for number, source in enumerate(sources):
        paths = [*([] if number else [mark]), *source.paths]
        where = f" WHERE {source.where}" if source.where else ""
        parts.append(f"SELECT {columns} FROM read_parquet({_paths(folder, paths)}){where}")
    return " UNION ALL ".join(parts)


def _folder(store: Store) -> str:
    """SQL: the folder to read from, ending in a slash."""
    if store.local is None:
        return quoted(home(store))
    own = f"/{store.local.resolve().name}/{DATABASE}.tmp"
    folder = (
        f"CASE WHEN suffix('/' || {_OPENED}, {quoted(own)}) "
        f"THEN left({_OPENED}, length({_OPENED}) - {len(DATABASE) + len('.tmp')}) ELSE {quoted(home(store))} END"
    )
    for special in "[*?":  # of a pattern; in a folder's name they mean themselves
        folder = f"replace({folder}, '{special}', '[{special}]')"
    return folder


def _paths(folder: str, names: Iterable[str]) -> str:
    """SQL: the list of these files below the folder."""
    listed = quoted(_BETWEEN.join(["", *names]))
    return f"string_split(substr(replace({listed}, '{_BETWEEN}', chr(31) || {folder}), 2), chr(31))"
