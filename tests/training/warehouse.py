"""A small warehouse of made film, written the way the pipeline writes it: manifests, shards and actions.db."""

import hashlib
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schema.actions import Phase
from schema.columns import arrow_schema
from schema.config import ReplayConfig
from schema.manifest import MANIFEST, FileRef, Manifest, ShardEntry, slug
from schema.version import SCHEMA_VERSION

ROWS, COLS = 8, 24
LINES = ("import os", "def main():", "    return os.getcwd()", "class Grid:", "    pass", "print(main())")


def make_stream(steps: int, seed: int = 0) -> pa.Table:
    """A typist: lines appear key by key on a screen that scrolls; the last row shows -- INSERT --."""
    random = np.random.default_rng(seed)
    screen, text, line, at = [""] * ROWS, "", "", 0
    columns: dict[str, list[object]] = {name: [] for name in arrow_schema("steps").names}
    for step in range(steps):
        if at == len(line):
            action, phase = 13, Phase.INSERT
        else:
            action, phase = ord(line[at]), Phase.INSERT
        shown = [*screen[:-2], text, "-- INSERT --"]
        columns["repo_id"].append(f"repo/{seed}")
        columns["stream_step"].append(step)
        columns["episode"].append(step // 100)
        columns["frame"].append([row.rstrip() for row in shown])
        columns["style"].append([{"row": ROWS - 1, "start": 0, "length": 12, "style": 1}])
        columns["cursor_row"].append(ROWS - 2)
        columns["cursor_col"].append(len(text))
        columns["action"].append(action)
        columns["phase"].append(int(phase))
        if at == len(line):
            screen = [*screen[1:-2], text, "", ""]
            text, line, at = "", LINES[int(random.integers(len(LINES)))], 0
        else:
            text, at = text + line[at], at + 1
    return pa.table(columns, schema=arrow_schema("steps"))


def shard_entry(number: int, first: int, root: Path, path: str, rows: int, groups: int, version: str) -> ShardEntry:
    """One shard of one episode: its steps alone."""
    data = (root / path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    steps = FileRef(path=path, sha256=digest, bytes=len(data), rows=rows, row_groups=(0, groups))
    return ShardEntry(
        shard=number, closed=True, first_step=first, steps=rows, first_episode=number, episodes=1, filmed=1,
        schema_version=version, tool_version="0", vim_version="9.0", width_hash="0", files={"steps": steps},
    )  # fmt: skip


def write_warehouse(
    root: Path,
    streams: dict[str, int],
    splits: dict[str, str] | None = None,
    group: int = 150,
    shard: int = 400,
    database: bool = True,
    version: str = SCHEMA_VERSION,
) -> Path:
    """`streams`: repository -> steps. Row groups of `group` steps, shards of `shard`."""
    for seed, (repo, steps) in enumerate(streams.items()):
        folder = root / "shards" / slug(repo)
        folder.mkdir(parents=True)
        table, shards = make_stream(steps, seed), []
        metadata = {"schema_version": version, "rows": str(ROWS), "cols": str(COLS)}
        for number, first in enumerate(range(0, steps, shard)):
            part = table.slice(first, shard).replace_schema_metadata(metadata)
            path = f"shards/{slug(repo)}/{number:05d}.steps.parquet"
            pq.write_table(part, root / path, row_group_size=group)
            shards.append(shard_entry(number, first, root, path, len(part), -(-len(part) // group), version))
        manifest = Manifest(
            schema_version=version, repo_id=repo, status="complete", config=ReplayConfig(rows=ROWS, cols=COLS),
            shards=tuple(shards),
        )  # fmt: skip
        (folder / MANIFEST).write_bytes(manifest.dump())
    if database:
        with duckdb.connect(str(root / "actions.db")) as db:
            db.execute("CREATE TABLE repositories (repo_id VARCHAR, split VARCHAR, duplicate_of VARCHAR)")
            for repo in streams:
                split = (splits or {}).get(repo, "train")
                db.execute("INSERT INTO repositories VALUES (?, ?, NULL)", [repo, split])
    return root
