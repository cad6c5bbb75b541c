"""Which files the views over film read, which streams wait to be packed, and what of a pack is no film any more.

The table `listed` has a row for every file: one of a stream's own, or a pack. `pile` names the streams that it may be
packed with (pipeline.warehouse.compact), null where it stays as it is; `streams` and `rows` count what of it is film.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.shards.manifest import unreadable
from pipeline.shards.store import Store
from pipeline.shards.writer import SHARD_STEPS, WITHDRAWN
from pipeline.warehouse.catalogue import insert
from pipeline.warehouse.compact import FEW_PACKS, FIRST_STREAMS, PACK_STEPS, PACK_STREAMS, is_packed, pile_of
from pipeline.warehouse.views import quoted_list
from schema.manifest import PACKS, FileRef, Manifest, stream_folder

MANY_HIDDEN = 256  # streams left behind in one pack: it is written anew
_LISTED = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("kind", "path", "sha256", "pile")),
        *(pa.field(name, pa.int64()) for name in ("streams", "rows")),
        pa.field("hidden", pa.list_(pa.string())),
        pa.field("hidden_from", pa.list_(pa.int64())),
    ]
)


class OldFile(NamedTuple):
    """A file of a stream as it was registered before, or its part of a pack."""

    repo_id: str
    kind: str
    path: str
    rows: int
    first_group: int
    skip: int
    first_step: int


class _Pack:
    """One file of a pack, as `listed` has it."""

    def __init__(self, sha256: str, pile: str, streams: int = 0, rows: int = 0) -> None:
        self.sha256, self.pile, self.streams, self.rows = sha256, pile, streams, rows
        self.hidden: dict[str, int] = {}  # stream -> the step from which on its rows are no film any more
        self.new: list[FileRef] = []


def list_files(
    store: Store, db: duckdb.DuckDBPyConnection, streams: Sequence[Manifest], old: Sequence[OldFile]
) -> None:
    """Take the files of `streams` in, whose files were `old`; `leftovers` gets the folders of files that are no more.

    Raises CorruptError.
    """
    packs: dict[tuple[str, str], _Pack] = {}
    now = {(m.repo_id, ref.path, ref.row_groups[0], ref.skip) for m in streams for ref in m.files()}
    concerned = sorted(
        {file.path for file in old} | {ref.path for m in streams for ref in m.files() if is_packed(ref.path)}
    )
    db.register("concerned_paths", pa.table({"path": pa.array(concerned, pa.string())}))
    for kind, path, sha256, pile, count, rows, repos, steps in db.execute(
        "SELECT kind, path, sha256, pile, streams, rows, hidden, hidden_from FROM listed"
        f" WHERE path IN (SELECT path FROM concerned_paths) AND starts_with(path, '{PACKS}/')"
    ).fetchall():
        packs[kind, path] = _Pack(sha256, pile, count, rows)
        packs[kind, path].hidden.update(zip(repos, steps, strict=True))
    known = set(packs)
    db.execute("DELETE FROM listed WHERE path IN (SELECT path FROM concerned_paths)")
    db.unregister("concerned_paths")
    for file in old:
        if is_packed(file.path):
            pack = packs[file.kind, file.path]
            pack.streams, pack.rows = pack.streams - 1, pack.rows - file.rows
            if (file.repo_id, file.path, file.first_group, file.skip) not in now:
                pack.hidden[file.repo_id] = min(file.first_step, pack.hidden.get(file.repo_id, file.first_step))
    own = []
    for stream in streams:
        waits = stream.status == "complete" and 0 < stream.steps < SHARD_STEPS
        pile = pile_of(stream) if waits else None
        for shard in stream.shards:
            for kind, ref in shard.files.items():
                if is_packed(ref.path):
                    pack = packs.setdefault((kind, ref.path), _Pack(ref.sha256, pile_of(stream)))
                    pack.streams, pack.rows = pack.streams + 1, pack.rows + ref.rows
                    pack.new.append(ref)
                else:
                    own.append(_row(kind, ref.path, ref.sha256, pile, 1, ref.rows, {}))
    for (kind, path), pack in packs.items():
        if kind == "steps" and (kind, path) not in known:
            pack.hidden = _dead(store, path, pack.new)
    shared = [
        _row(kind, path, pack.sha256, pack.pile, pack.streams, pack.rows, pack.hidden)
        for (kind, path), pack in sorted(packs.items())
        if pack.streams
    ]
    insert(db, "listed", pa.Table.from_pylist([*own, *shared], schema=_LISTED))
    named = {row["path"] for row in (*own, *shared)}
    left = {PACKS if is_packed(file.path) else stream_folder(file.repo_id) for file in old if file.path not in named}
    insert(db, "leftovers", pa.table({"folder": pa.array(sorted(left), pa.string())}))


def due(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Paths, of files of steps, whose streams are to be packed now, by the rule of pipeline.warehouse.compact.

    So are those that share a pack with film that was withdrawn, which is to leave the disk. The view
    `now_repositories` is there.
    """
    found = db.execute(
        f"""
        SELECT path FROM (
            SELECT *, count(*) OVER pile AS many, sum(rows) OVER pile AS steps
            FROM (SELECT *, starts_with(path, '{PACKS}/') AS packed FROM listed
                  WHERE kind = 'steps' AND pile IS NOT NULL)
            WHERE NOT packed OR (2 * streams < {PACK_STREAMS} AND 2 * rows < {PACK_STEPS})
            WINDOW pile AS (PARTITION BY pile, packed))
        WHERE CASE WHEN packed THEN many >= {FEW_PACKS} ELSE many >= {FIRST_STREAMS} OR steps >= {PACK_STEPS} END
        UNION SELECT path FROM listed WHERE kind = 'steps' AND len(hidden) >= {MANY_HIDDEN}
        UNION SELECT path FROM (SELECT path, unnest(hidden) AS repo_id FROM listed WHERE kind = 'steps')
            JOIN now_repositories USING (repo_id) WHERE reason IN ({quoted_list(WITHDRAWN)})
        """
    ).fetchall()
    return [path for (path,) in found]


def _row(
    kind: str, path: str, sha256: str, pile: str | None, streams: int, rows: int, hidden: dict[str, int]
) -> dict[str, object]:
    return {
        "kind": kind, "path": path, "sha256": sha256, "pile": pile, "streams": streams, "rows": rows,
        "hidden": list(hidden), "hidden_from": list(hidden.values()),
    }  # fmt: skip


def _dead(store: Store, path: str, live: Iterable[FileRef]) -> dict[str, int]:
    """Streams of which a pack has rows that no manifest names, with the first of those steps. Raises CorruptError."""
    live = list(live)
    try:
        with store.open(path) as source:
            file = pq.ParquetFile(source)
            if file.metadata.num_rows == sum(ref.rows for ref in live):
                return {}
            found: dict[str, int] = {}
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=["repo_id", "stream_step"])
                dead = np.ones(len(table), bool)
                for ref in live:
                    if ref.row_groups[0] <= number < sum(ref.row_groups):
                        dead[ref.part(len(table))] = False
                rows = table.filter(pa.array(dead))
                rows = rows.set_column(0, "repo_id", pc.cast(rows.column("repo_id"), pa.string()))
                for row in rows.group_by("repo_id").aggregate([("stream_step", "min")]).to_pylist():
                    step = row["stream_step_min"]
                    found[row["repo_id"]] = min(step, found.get(row["repo_id"], step))
            return found
    except (pa.ArrowException, OSError) as error:
        raise unreadable(store, path, error) from error
