"""Registers streams in the catalogue: what changed is read from manifests and Parquet files, all else stays as it is.

`Registration` works in a DuckDB connection: the views `was_*` are the catalogue as it was, the tables of KNOWN and
INNER_TABLES become what the next `actions.db` holds, and the views `now_*` are the catalogue as it will be.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.manifest import unreadable
from pipeline.shards.reader import own_rows
from pipeline.shards.store import Store
from pipeline.warehouse import splits as families
from pipeline.warehouse.catalogue import FILES, INNER_TABLES, KNOWN, all_rows, columns, definition, insert, segments
from pipeline.warehouse.changes import Changes
from pipeline.warehouse.dataset import FilePlace
from pipeline.warehouse.listing import OldFile, list_files
from pipeline.warehouse.splits import SPLITS, family_of
from pipeline.warehouse.views import quoted_list
from schema.columns import arrow_schema
from schema.manifest import PACKS, FileRef, Manifest, slug

BATCH = 500  # tables that are inserted together
LITERAL = 200  # ids that are written into a query: DuckDB then skips row groups by their least and greatest
_FAMILY = "coalesce(family, repo_id)"


class Schemas(NamedTuple):
    """Where the catalogue lies in a connection: the schemas of the recent rows and of the tables of INNER_TABLES."""

    recent: str
    inner: str


class Member(NamedTuple):
    """A stream as a member of its family, as it is registered."""

    repo_id: str
    family: str | None
    steps: int
    editor: str
    split: str | None = None
    duplicate_of: str | None = None


class Totals(NamedTuple):
    """Counts of the whole warehouse; episodes are those that were dropped, too."""

    streams: int = 0
    episodes: int = 0
    steps: int = 0


class Registration:
    """Of `changes`, over the catalogue that lies at `before`; None: there was none.

    Call its methods in their order. They raise CorruptError where a file cannot be read.
    """

    def __init__(
        self, store: Store, db: duckdb.DuckDBPyConnection, changes: Changes, before: Schemas | None = None
    ) -> None:
        self.store, self.db, self.streams = store, db, changes.streams
        self.touched: list[str] = []  # others, whose split or canonical member is not what it was
        for name, definitions in INNER_TABLES.items():
            db.execute(f"CREATE TABLE {name} ({definitions})")
            if before and name != "leftovers":
                db.execute(f"INSERT INTO {name} FROM {before.inner}.{name}")
        for name in KNOWN:
            db.execute(f"CREATE TABLE {name} ({definition(name)})")
            rows = f"SELECT {columns(name)} FROM main.{name} WHERE false"
            if before:
                rows = all_rows(store, db, name, f"{before.recent}.{name}", before.inner)
            db.execute(f"CREATE TEMP VIEW was_{name} AS {rows}")
        self.changed = [*(stream.repo_id for stream in self.streams), *self._registered_in(changes.gone)]
        self._ids("changed", self.changed)
        if before:
            for name in KNOWN:
                kept = f"SELECT {columns(name)} FROM {before.recent}.{name} WHERE repo_id NOT IN (FROM changed)"
                db.execute(f"INSERT INTO {name} {kept}")
        self._supersede("changed")

    def read(self, totals: Totals) -> Totals:
        """Take in what the changed streams hold, but for their rows of `repositories`; the warehouse's totals then."""
        db, streams = self.db, self.streams
        among = self._among("changed", self.changed)
        ((old_streams, old_steps),) = db.execute(
            f"SELECT count(*), coalesce(sum(steps), 0)::BIGINT FROM was_repositories WHERE repo_id {among}"
        ).fetchall()
        ((old_episodes,),) = db.execute(f"SELECT count(*) FROM was_episodes WHERE repo_id {among}").fetchall()
        insert(db, "shards", _table("shards", [row.model_dump() for m in streams for row in m.shard_rows()]))
        insert(db, "files", pa.Table.from_pylist([row for m in streams for row in file_rows(m)], schema=FILES))
        for name in ("episodes", "drops"):
            self._from_parquet(name)
        refused = [{"repo_id": m.repo_id, "scope": "repository", "rule": m.reason} for m in streams if m.reason]
        insert(db, "drops", _table("drops", refused))
        return Totals(
            totals.streams - old_streams + len(streams),
            totals.episodes - old_episodes + sum(m.episodes for m in streams),
            totals.steps - old_steps + sum(m.steps for m in streams),
        )

    def assign(self, *, settle: bool) -> list[str]:
        """Give splits, find duplicates, and fill `repositories`; messages for the user.

        Unless `settle`, streams without a split get none, because an empty split is filled from what is there in the
        end.
        """
        others = self._relatives(settle)
        fresh = [Member(m.repo_id, m.family, m.steps, m.editor) for m in self.streams]
        splits, messages = self._splits(others, fresh, settle)
        copies = families.duplicates([*others, *fresh], self._first_commits(others))
        rows = [m.repository(splits.get(m.repo_id), copies.get(m.repo_id)) for m in self.streams]
        insert(self.db, "repositories", _table("repositories", [row.model_dump() for row in rows]))
        after = [m._replace(split=splits.get(m.repo_id), duplicate_of=copies.get(m.repo_id)) for m in others]
        self._touch([m for m, before in zip(after, others, strict=True) if m != before])
        return messages

    def list_files(self) -> None:
        """Bring `listed` and `leftovers` up to date. Raises CorruptError."""
        rows = self.db.execute(
            "SELECT f.repo_id, f.kind, f.path, f.rows, f.first_group, f.skip, coalesce(s.first_step, 0)"
            " FROM was_files f LEFT JOIN (SELECT repo_id, shard, first_step FROM was_shards"
            f" WHERE repo_id {self._among('changed', self.changed)}) s USING (repo_id, shard)"
            f" WHERE f.repo_id {self._among('changed', self.changed)}"
        ).fetchall()
        list_files(self.store, self.db, self.streams, [OldFile(*row) for row in rows])

    def view_present(self) -> None:
        """Create the views `now_*`; they hold until the recent rows are folded."""
        for name in ("files", "repositories"):
            rows = all_rows(self.store, self.db, name, f"main.{name}", "main")
            self.db.execute(f"CREATE TEMP VIEW now_{name} AS {rows}")

    def shown(self, when: str, *, everything: bool = False) -> list[FilePlace]:
        """Files of changed and touched streams and of packs that they are or were in, with where the streams belong.

        `when`: "was" or "now"; the latter before the recent rows are folded. Ordered by stream.
        """
        if everything:
            return self._shown(when, "true")
        concerned = [*self.changed, *self.touched]
        self._ids("concerned", concerned)
        among = self._among("concerned", concerned)
        packed = f"WHERE repo_id {among} AND starts_with(path, '{PACKS}/')"
        packs = self.db.execute(f"SELECT path FROM was_files {packed} UNION SELECT path FROM files {packed}").fetchall()
        # one question for each: of an OR of both, no row group can be skipped
        found = self._shown(when, f"f.repo_id {among} AND r.repo_id {among} AND NOT starts_with(f.path, '{PACKS}/')")
        if packs:
            found += self._shown(when, f"f.path IN ({quoted_list(path for (path,) in packs)})")
        return found

    def _shown(self, when: str, where: str) -> list[FilePlace]:
        rows = self.db.execute(
            "SELECT f.repo_id, f.shard, f.kind, f.path, f.rows, f.first_group, f.groups, f.skip, r.split,"
            f" r.duplicate_of FROM {when}_files f JOIN {when}_repositories r USING (repo_id) WHERE {where}"
            " ORDER BY f.repo_id, f.shard, f.kind"
        ).fetchall()
        return [FilePlace(*row) for row in rows]

    def _relatives(self, settle: bool) -> list[Member]:
        """Unchanged streams of the families that changed streams are or were in, are without a split or in several."""
        concerned = {family_of(stream) for stream in self.streams}
        queries = [f"repo_id {self._among('changed', self.changed)}"]
        if settle:
            queries.append("steps > 0 AND split IS NULL")
            queries.append(f"{_FAMILY} IN (SELECT shared FROM ({families.parted('was_repositories')}))")
        for where in queries:
            found = self.db.execute(f"SELECT DISTINCT {_FAMILY} FROM was_repositories WHERE {where}").fetchall()
            concerned |= {family for (family,) in found}
        self._ids("families", concerned)
        rows = self.db.execute(
            "SELECT repo_id, family, steps, editor, split, duplicate_of FROM was_repositories"
            f" WHERE {_FAMILY} IN (FROM families) AND repo_id NOT IN (FROM changed) ORDER BY repo_id"
        ).fetchall()
        return [Member(*row) for row in rows]

    def _splits(
        self, others: Sequence[Member], fresh: Sequence[Member], settle: bool
    ) -> tuple[dict[str, str], list[str]]:
        known = {member.repo_id: member.split for member in others if member.split}
        known |= families.assigned(self.store, [m.repo_id for m in [*others, *fresh] if m.repo_id not in known])
        elsewhere = f"FROM was_repositories WHERE steps > 0 AND split IS NOT NULL AND {_FAMILY} NOT IN (FROM families)"
        filled = {split for (split,) in self.db.execute(f"SELECT DISTINCT split {elsewhere}").fetchall()}
        counts = dict.fromkeys(filled, 2)  # as good as many
        if len(filled) < len(SPLITS):
            counted = f"SELECT split, count(DISTINCT {_FAMILY}) {elsewhere} GROUP BY split"
            counts = dict(self.db.execute(counted).fetchall())
        splits, messages = families.assign([*others, *fresh], known, counts, self._moved(fresh))
        if not settle:
            splits, messages = {repo: split for repo, split in splits.items() if repo in known}, []
        new = {repo: split for repo, split in splits.items() if known.get(repo) != split}
        if new:
            families.write_registry(self.store, new)
        told = [
            f"{repo} is in split {split} now, as others of its history are: it was in {known[repo]}"
            for repo, split in new.items()
            if repo in known
        ]
        return splits, told + messages

    def _moved(self, fresh: Sequence[Member]) -> set[str]:
        """Those that had film of another family before."""
        among = self._among("changed", self.changed)
        query = f"SELECT repo_id, {_FAMILY} FROM was_repositories WHERE steps > 0 AND repo_id {among}"
        before = dict(self.db.execute(query).fetchall())
        return {
            member.repo_id for member in fresh if before.get(member.repo_id, family_of(member)) != family_of(member)
        }

    def _first_commits(self, others: Sequence[Member]) -> dict[str, datetime | None]:
        """repo_id -> when its earliest commit was made, of the changed streams and of these."""
        query = "SELECT repo_id, min(committed_at) FROM episodes WHERE repo_id IN (FROM changed) GROUP BY ALL"
        found = dict(self.db.execute(query).fetchall())
        if others:
            ids = [member.repo_id for member in others]
            self._ids("relatives", ids)
            among = self._among("relatives", ids)
            query = f"SELECT repo_id, min(committed_at) FROM was_episodes WHERE repo_id {among} GROUP BY ALL"
            found.update(self.db.execute(query).fetchall())
        return found

    def _touch(self, members: Sequence[Member]) -> None:
        """Give these streams, which did not change, their new split and canonical member; that makes them recent."""
        if not members:
            return
        self.touched = [member.repo_id for member in members]
        self._ids("touched", self.touched)
        self.db.execute(
            "CREATE OR REPLACE TEMP TABLE moving AS"
            " FROM touched WHERE repo_id NOT IN (SELECT repo_id FROM repositories)"
        )
        for name in KNOWN:
            self.db.execute(f"INSERT INTO {name} SELECT {columns(name)} FROM was_{name} WHERE repo_id IN (FROM moving)")
        self._supersede("moving")
        self.db.register("incoming", pa.Table.from_pylist([member._asdict() for member in members], schema=_MEMBER))
        self.db.execute(
            "UPDATE repositories SET split = i.split, duplicate_of = i.duplicate_of FROM incoming i"
            " WHERE repositories.repo_id = i.repo_id"
        )
        self.db.unregister("incoming")

    def _supersede(self, ids: str) -> None:
        """What segments have of the streams of this table holds no longer."""
        for segment in segments(self.db, "main"):
            number, path = segment.number, self.store.address(segment.path("repositories"))
            self.db.execute(
                f"INSERT INTO superseded SELECT {number}, repo_id FROM read_parquet(?) WHERE repo_id IN (FROM {ids})"
                f" AND repo_id NOT IN (SELECT repo_id FROM superseded WHERE number = {number})",
                [path],
            )

    def _registered_in(self, folders: Sequence[str]) -> list[str]:
        """Ids of registered streams by the names of their folders."""
        if not folders:
            return []
        known = {slug(repo): repo for (repo,) in self.db.execute("SELECT repo_id FROM was_repositories").fetchall()}
        return [known[name] for name in folders if name in known]

    def _from_parquet(self, name: str) -> None:
        """Rows of one table from the files of that kind; each row group is read once, a pack's too."""
        wanted: dict[str, list[FileRef]] = {}
        for stream in self.streams:
            for shard in stream.shards:
                if ref := shard.files.get(name):
                    wanted.setdefault(ref.path, []).append(ref)
        pending: list[pa.Table] = []
        for number, (path, refs) in enumerate(wanted.items(), 1):
            try:
                pending += (table.replace_schema_metadata(None) for table in _rows_of(self.store, path, refs))
            except (pa.ArrowException, OSError) as error:
                raise unreadable(self.store, path, error) from error
            if len(pending) >= BATCH or number == len(wanted):
                insert(self.db, name, pa.concat_tables(pending))
                pending = []

    def _ids(self, name: str, ids: Iterable[str]) -> None:
        """A temporary table of ids."""
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE {name} (repo_id VARCHAR)")
        insert(self.db, name, pa.table({"repo_id": pa.array(list(ids), pa.string())}))

    @staticmethod
    def _among(name: str, ids: Sequence[str]) -> str:
        """SQL: that a value is one of the ids, which are those of the table of this name, too."""
        return f"IN ({quoted_list(ids)})" if 0 < len(ids) <= LITERAL else f"IN (FROM {name})"


_MEMBER = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("repo_id", "family")),
        pa.field("steps", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("editor", "split", "duplicate_of")),
    ]
)


def file_rows(stream: Manifest) -> Iterator[dict[str, Any]]:
    """A stream's rows of the table `files`."""
    for shard in stream.shards:
        for kind, ref in shard.files.items():
            yield {
                "repo_id": stream.repo_id, "shard": shard.shard, "kind": kind, "path": ref.path, "sha256": ref.sha256,
                "bytes": ref.bytes, "rows": ref.rows, "first_group": ref.row_groups[0], "groups": ref.row_groups[1],
                "skip": ref.skip,
            }  # fmt: skip


def _rows_of(store: Store, path: str, refs: Sequence[FileRef]) -> Iterator[pa.Table]:
    """The rows of these parts of one file."""
    groups: dict[int, list[FileRef]] = {}
    for ref in refs:
        for number in range(ref.row_groups[0], sum(ref.row_groups)):
            groups.setdefault(number, []).append(ref)
    with store.open(path) as source:
        file = pq.ParquetFile(source)
        for number, parts in groups.items():
            table = file.read_row_group(number)
            if len(parts) > 1 and sum(ref.rows for ref in parts) == len(table):
                yield table  # wanted whole
            else:
                yield from (own_rows(table, ref) for ref in parts)


def _table(name: str, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(name))
