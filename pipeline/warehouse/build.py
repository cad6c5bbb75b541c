"""Registers the streams of a warehouse that changed (families, duplicates, splits) and swaps in a new `actions.db`."""

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from pipeline.shards.manifest import load, manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import WITHDRAWN
from pipeline.warehouse import changes, dataset
from pipeline.warehouse import splits as families
from pipeline.warehouse.catalogue import columns, fold, segments
from pipeline.warehouse.changes import Changes
from pipeline.warehouse.checks import check_by_hand, check_sizes
from pipeline.warehouse.compact import BUILD_LOCK, BUILD_WAIT, is_packed, pack
from pipeline.warehouse.dataset import Part
from pipeline.warehouse.listing import due
from pipeline.warehouse.present import UNFINISHED, look
from pipeline.warehouse.register import Registration, Totals
from pipeline.warehouse.sweep import EVERY_STREAM, sweep, to_sweep
from pipeline.warehouse.views import home, quoted, quoted_list
from pipeline.warehouse.writing import About, attach, local_file, write_database
from schema.catalogue import DATABASE, LAYOUT
from schema.catalogue import FOLDER as CATALOGUE
from schema.columns import arrow_schema
from schema.errors import CorruptError
from schema.manifest import MANIFEST, PACKS, Manifest, stream_folder
from schema.version import SCHEMA_VERSION


class Built(NamedTuple):
    """What is registered now, and messages for the user (`messages`)."""

    streams: int
    episodes: int
    steps: int
    messages: list[str]


def build(
    warehouse: Path | str | Store, *, settle: bool = True, check: bool = False, wait: float = BUILD_WAIT
) -> Built:
    """Register every stream that changed and swap in a new `actions.db`; readers of the old one are not disturbed.

    Where nothing changed, nothing is written, and where little did, little is read: not the manifests of other streams.
    `check` looks for what was changed by hand, too: streams' folders that came or went, manifests younger than the
    database, and files that are missing or cut.

    `settle=False`, for a harvest that is still running: repositories that have no split yet get none (null), because
    an empty split is filled by what is there in the end. An assigned split never changes, but that of a stream which
    another history replaced: a family is whole in one. An empty or new warehouse gives a database of empty tables.
    Small streams are packed, as pipeline.warehouse.compact says.
    Raises LockedError where another build goes on for longer than `wait` seconds; WarehouseError, CorruptError,
    SchemaVersionError.
    """
    store = warehouse if isinstance(warehouse, Store) else Store(warehouse)
    with store.lock(BUILD_LOCK, wait=wait):
        families.assigned(store, [])  # a damaged registry is found before it matters
        build = _Build(store, settle=settle, check=check)
        built = build.run()
        if build.waiting:
            packed = pack(store, build.waiting, least=1)  # the only one that is left of a pack leaves it, too
            again = _Build(store, settle=settle, sweeps=False).run()
            built = again._replace(messages=[*built.messages, *packed.damaged, *again.messages])
    return built


class _Build:
    """One build, under the lock. `waiting` are streams that are to be packed, and then registered, next.

    `sweeps=False`, for the second one of a call: it removes nothing, because the files that the first one superseded
    are those of the database that readers had when the call began.
    """

    def __init__(self, store: Store, *, settle: bool, check: bool = False, sweeps: bool = True) -> None:
        self.store, self.settle, self._sweeps = store, settle, sweeps
        self.waiting: list[Manifest] = []
        self._present = look(store, check=check)
        if check and self._present.usable:
            check_by_hand(store)
        self._changes = changes.take(store)
        if not self._present.usable:
            self._changes = Changes(list(manifests(store)), [])
            check_sizes(store, self._changes.streams)

    def run(self) -> Built:
        """Register what changed; nothing is written where nothing did."""
        store, present = self.store, self._present
        to_do = self._changes or present.leftovers or present.unfinished or (self.settle and present.about.unsettled)
        if present.usable and not to_do:
            return Built(*present.about.totals, [])
        store.write(UNFINISHED, b"")
        changed = self._changes.streams
        self._left = sweep(store, present, changed) if self._sweeps else to_sweep(present, changed)
        staged = store.stage(DATABASE)
        with ExitStack() as files:
            self._before = files.enter_context(local_file(store)) if present.usable else None
            write_database(store, staged, self._fill)
        store.publish(staged, DATABASE)
        line = dataset.update(store, self._wanted, self._unwanted, self._tables)
        changes.forget(store)
        store.delete(UNFINISHED)
        return Built(*self._totals, self._messages + ([line] if line else []))

    def _fill(self, db: duckdb.DuckDBPyConnection) -> About:
        """What the database is to hold, as pipeline.warehouse.writing wants it."""
        store, about = self.store, self._present.about
        attached = attach(db, self._before) if self._before else None
        place = attached[0] if attached else None
        registration = Registration(store, db, self._changes, place)
        self._totals = registration.read(about.totals if place else Totals())
        self._messages = registration.assign(settle=self.settle)
        registration.list_files()
        registration.view_present()
        everything = place is None or self._present.unfinished
        folders = [*self._left, *([EVERY_STREAM] if everything and self._present.exists else [])]
        for folder in folders:
            db.execute("INSERT INTO leftovers VALUES (?)", [folder])
        self._show(registration, everything)
        self.waiting = self._due(db)
        if self.waiting:  # a build that is killed before they are packed leaves them to the next one
            db.execute("INSERT INTO leftovers VALUES (?)", [PACKS])
        ((unsettled,),) = db.execute(
            "SELECT count(*) > 0 FROM repositories WHERE steps > 0 AND split IS NULL"
        ).fetchall()
        withdrawn = any(stream.reason in WITHDRAWN for stream in self._changes.streams)
        before = set(segments(db, "main"))
        following = fold(store, db, about.next_segment if place else 1, purge=withdrawn)
        if before.difference(segments(db, "main")):
            db.execute("INSERT INTO leftovers VALUES (?)", [CATALOGUE])
        self._tables = _tables(store, db)
        unsettled = unsettled or (place is not None and about.unsettled and not self.settle)
        return About(SCHEMA_VERSION, home(store), LAYOUT, following, unsettled, *self._totals)

    def _show(self, registration: Registration, everything: bool) -> None:
        """What the folder of plain Parquet is to hold of the streams that it has to be changed for."""
        rows_of = dataset.rows_in(self.store)
        self._unwanted: set[str] | None = None
        if self.store.local is None:
            self._wanted: dict[str, Part] = {}
            return
        self._wanted = dataset.parts(registration.shown("now", everything=everything), rows_of)
        if everything:
            return
        try:
            self._unwanted = set(dataset.parts(registration.shown("was"), rows_of))
        except CorruptError:  # a pack is lost whose streams were removed: what it was shown as is told by what stays
            self._wanted = dataset.parts(registration.shown("now", everything=True), rows_of)

    def _due(self, db: duckdb.DuckDBPyConnection) -> list[Manifest]:
        """Streams that are to be packed now."""
        paths = due(db)
        if not paths:
            return []
        repos = db.execute(f"SELECT DISTINCT repo_id FROM now_files WHERE path IN ({quoted_list(paths)})").fetchall()
        found = (load(self.store, f"{stream_folder(repo)}/{MANIFEST}") for (repo,) in repos)
        return [stream for stream in found if stream is not None and _may_move(stream)]


def _may_move(stream: Manifest) -> bool:
    """Whether a stream may be packed: nothing is to be added to it soon, or a pack is what it has to leave."""
    return stream.status == "complete" or any(is_packed(ref.path) for ref in stream.files())


def _tables(store: Store, db: duckdb.DuckDBPyConnection) -> dict[str, pa.Table | str]:
    """The files of `dataset/repositories`: the recent rows, and those of each segment."""
    if store.local is None:
        return {}
    found: dict[str, pa.Table | str] = {}
    names = columns("repositories")
    for segment in segments(db, "main"):
        path = segment.path("repositories")
        old = db.execute("SELECT repo_id FROM superseded WHERE number = ? ORDER BY ALL", [segment.number]).fetchall()
        if not old:
            found[f"{segment.name}.parquet"] = path
            continue
        name = f"{segment.name}-{len(old)}.parquet"
        if store.exists(f"{dataset.FOLDER}/repositories/{name}"):
            found[name] = f"{dataset.FOLDER}/repositories/{name}"
            continue
        where = f"repo_id NOT IN (SELECT repo_id FROM superseded WHERE number = {segment.number})"
        query = f"SELECT {names} FROM read_parquet({quoted(store.address(path))}) WHERE {where} ORDER BY repo_id"
        found[name] = _repositories(db, query)
    found["repositories.parquet"] = _repositories(db, f"SELECT {names} FROM repositories ORDER BY repo_id")
    return found


def _repositories(db: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return db.sql(query).to_arrow_table().cast(arrow_schema("repositories"))
