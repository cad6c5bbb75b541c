"""Film of a repository built here, stored without Prefect; and what is asked of a warehouse."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipeline.replay import replay
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.redraw import open_stream
from schema.config import ReplayConfig
from schema.manifest import Manifest

CONFIG = ReplayConfig(rows=8, cols=40)
REPO = "owner/name"
ORDERED = "SELECT * FROM steps ORDER BY repo_id, stream_step"


def film(git_dir: Path, warehouse: Path, repo_id: str = REPO, *, upto: int | None = None) -> Manifest:
    """Harvest without Prefect, clone or filters of repositories."""
    with StreamWriter(warehouse, repo_id, CONFIG, source="a folder", licence="MIT", family=repo_id) as writer:
        for take in replay(git_dir, repo_id, CONFIG, resume=writer.resume_point):
            writer.append(take)
            if upto is not None and take.episode.episode == upto:
                break
    return writer.manifest


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "warehouse" / "actions.db"), read_only=True) as db:
        return db.execute(query).fetchall()


def damaged(copy: Path, kind: str) -> Path:
    manifest = open_stream(Store(copy / "warehouse"), REPO)
    return copy / "warehouse" / manifest.shards[0].files[kind].path


def held(root: Path) -> set[str]:
    """Repositories of which any file of the warehouse has a step, listed or not."""
    files = [path for path in root.rglob("*.parquet") if "steps" in str(path.relative_to(root))]
    return {repo for path in files for repo in pq.read_table(path, columns=["repo_id"]).column(0).to_pylist()}
