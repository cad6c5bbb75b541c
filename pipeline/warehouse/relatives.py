"""Which streams of a warehouse share a history with others: its database knows, and manifests younger than it."""

from collections.abc import Iterable

import duckdb

from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse.catalogue import all_rows
from pipeline.warehouse.changes import changed
from pipeline.warehouse.splits import family_of
from pipeline.warehouse.writing import attach, let_find, local_file
from schema.catalogue import DATABASE


def relatives(store: Store, families: Iterable[str]) -> dict[str, str]:
    """repo_id -> family, of every stream with film that is of one of these families.

    Raises WarehouseError, CorruptError, SchemaVersionError.
    """
    wanted = set(families)
    known = _registered(store, wanted)
    found, streams = ({}, manifests(store)) if known is None else (known, changed(store))
    for stream in streams:
        found.pop(stream.repo_id, None)
        if stream.steps and family_of(stream) in wanted:
            found[stream.repo_id] = family_of(stream)
    return found


def _registered(store: Store, families: set[str]) -> dict[str, str] | None:
    """The same of the database; None where there is none, or it is damaged or of another version."""
    if not store.exists(DATABASE):
        return None
    with local_file(store) as path, duckdb.connect() as db:
        let_find(db, store)
        try:
            if (attached := attach(db, path)) is None:
                return None
            place, _ = attached
            rows = all_rows(store, db, "repositories", f"{place.recent}.repositories", place.inner)
            query = (
                f"SELECT repo_id, coalesce(family, repo_id) AS shared FROM ({rows})"
                " WHERE steps > 0 AND shared IN (SELECT unnest(?))"
            )
            return dict(db.execute(query, [sorted(families)]).fetchall())
        except duckdb.Error:
            return None
