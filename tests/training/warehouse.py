"""A small warehouse of made film, written the way the pipeline writes it: manifests, shards and actions.db."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schema.actions import Phase
from schema.columns import arrow_schema
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
        slug = repo.replace("/", "+")
        folder = root / "shards" / slug
        folder.mkdir(parents=True)
        table, shards = make_stream(steps, seed), []
        metadata = {"schema_version": version, "rows": str(ROWS), "cols": str(COLS)}
        for number, first in enumerate(range(0, steps, shard)):
            part = table.slice(first, shard).replace_schema_metadata(metadata)
            path = f"shards/{slug}/{number:05d}.steps.parquet"
            pq.write_table(part, root / path, row_group_size=group)
            groups = -(-len(part) // group)
            size = (root / path).stat().st_size
            ref = {"path": path, "sha256": "", "bytes": size, "rows": len(part), "row_groups": [0, groups]}
            shards.append({"first_step": first, "steps": len(part), "filmed": 1, "files": {"steps": ref}})
        manifest = {
            "schema_version": version, "repo_id": repo, "shards": shards,
            "config": {"rows": ROWS, "cols": COLS},
        }  # fmt: skip
        (folder / "stream.json").write_text(json.dumps(manifest))
    if database:
        with duckdb.connect(str(root / "actions.db")) as db:
            db.execute("CREATE TABLE repositories (repo_id VARCHAR, split VARCHAR, duplicate_of VARCHAR)")
            for repo in streams:
                split = (splits or {}).get(repo, "train")
                db.execute("INSERT INTO repositories VALUES (?, ?, NULL)", [repo, split])
    return root
