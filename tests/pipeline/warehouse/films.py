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
from tests.takes import make_takes

CONFIG = ReplayConfig(rows=8, cols=40)
TINY = ReplayConfig(rows=6, cols=24)
TABLES = ("repositories", "episodes", "shards", "drops", "files", "steps", "blobs")
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


def write(warehouse: Path | str | Store, repo_id: str, episodes: int, family: str = "") -> Manifest:
    """Write a stream of made commits, or lengthen it."""
    with StreamWriter(warehouse, repo_id, TINY, family=family or repo_id, licence="MIT") as writer:
        for take in list(make_takes(episodes, repo_id=repo_id))[writer.manifest.episodes :]:
            writer.append(take)
    return writer.manifest


def told(warehouse: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table and view."""
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{warehouse}/actions.db' AS film (READ_ONLY)")
        db.execute("USE film")
        return {name: db.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in TABLES}


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
