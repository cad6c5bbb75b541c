"""Builds that pack: in a bucket, beside readers of the database before, around damaged and withdrawn film."""

from pathlib import Path

import duckdb
import pytest

from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse import catalogue, listing
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import PACKS, is_packed
from pipeline.warehouse.database import open_database
from pipeline.warehouse.splits import natural_split
from schema.config import ReplayConfig
from tests.takes import make_takes

CONFIG = ReplayConfig(rows=6, cols=24)
NAMES = [name for name in (f"o/{number}" for number in range(40)) if natural_split(name) == "train"]  # of one pile


def write(warehouse: Path | str | Store, repo_id: str, episodes: int) -> None:
    """Write a stream, or lengthen it."""
    with StreamWriter(warehouse, repo_id, CONFIG, family=repo_id, licence="MIT") as writer:
        for take in list(make_takes(episodes, repo_id=repo_id))[writer.manifest.episodes :]:
            writer.append(take)


def steps(warehouse: Path | str | Store) -> dict[str, int]:
    """repo_id -> how many steps the view holds."""
    with open_database(warehouse if isinstance(warehouse, Store) else Store(warehouse)) as db:
        return dict(db.execute("SELECT repo_id, count(*) FROM steps GROUP BY ALL").fetchall())


def length(repo_id: str, episodes: int) -> int:
    return sum(take.episode.steps for take in make_takes(episodes, repo_id=repo_id))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of three streams, packs of three, two of either become one."""
    monkeypatch.setattr(catalogue, "RECENT", 2)
    monkeypatch.setattr(catalogue, "FEW", 2)
    monkeypatch.setattr(listing, "FIRST_STREAMS", 3)
    monkeypatch.setattr(listing, "FEW_PACKS", 2)


def test_small_streams_of_a_bucket_are_packed(bucket: str) -> None:
    store = Store(f"{bucket}/packed")
    for name in NAMES[:4]:
        write(store, name, 2)
        build(store)
    assert store.names(PACKS)
    assert {is_packed(ref.path) for stream in manifests(store) for ref in stream.files()} == {True, False}
    assert steps(store) == {name: length(name, 2) for name in NAMES[:4]}


def test_a_reader_of_the_database_before_is_not_disturbed_by_a_build_that_packs(tmp_path: Path) -> None:
    for name in NAMES[:2]:
        write(tmp_path, name, 2)
    build(tmp_path)
    build(tmp_path)
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{tmp_path}/actions.db' AS film (READ_ONLY)")
        before = db.execute("FROM film.steps ORDER BY ALL").fetchall()
        write(tmp_path, NAMES[0], 4)  # its tail is superseded
        write(tmp_path, NAMES[2], 2)  # fills a pile
        build(tmp_path)
        assert list((tmp_path / PACKS).iterdir())
        assert db.execute("FROM film.steps ORDER BY ALL").fetchall() == before
    build(tmp_path)
    assert not list(tmp_path.glob("shards/**/*.parquet"))
