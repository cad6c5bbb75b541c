"""Folders and object storage behave alike; the latter against a local S3 server."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import PACKS
from pipeline.warehouse.database import open_database
from schema.config import ReplayConfig
from schema.errors import WarehouseError
from tests.takes import make_takes

CONFIG = ReplayConfig(rows=6, cols=24)


def write(warehouse: str, name: str, start: int, end: int) -> None:
    with StreamWriter(warehouse, name, CONFIG, family=name) as writer:
        for take in list(make_takes(end, repo_id=name))[start:]:
            writer.append(take)


@pytest.fixture(params=["folder", "bucket"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "w")
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


def test_a_stream_grows_and_is_asked(warehouse: str) -> None:
    write(warehouse, "owner/name", 0, 4)
    write(warehouse, "owner/name", 4, 9)
    build(warehouse)
    steps = sum(t.episode.steps for t in make_takes(9))
    with open_database(Store(warehouse)) as db:
        assert db.execute("SELECT count(*) FROM steps").fetchone() == (steps,)
        assert db.execute("SELECT count(*) FROM episodes").fetchone() == (9,)
        assert len(db.execute("FROM screen('owner/name', 3)").fetchall()) == 6


def test_object_storage_holds_the_bytes_of_a_folder(bucket: str, tmp_path: Path) -> None:
    for place in (str(tmp_path), f"{bucket}/same"):
        write(place, "owner/name", 0, 9)
    local, remote = Store(tmp_path), Store(f"{bucket}/same")
    names = [n for n in local.names("shards", recursive=True) if not n.endswith(".lock")]
    assert names == remote.names("shards", recursive=True)
    assert [local.read(n) for n in names] == [remote.read(n) for n in names]


def test_every_command_runs(warehouse: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/a", "b/b", "c/c", "d/d", "e/e", "f/f"):
        write(warehouse, name, 0, 4)
    for command in ("build", "stats", "compact", "build"):
        assert main([command, "--warehouse", warehouse]) == 0
    assert Store(warehouse).names(PACKS)
    assert capsys.readouterr().err == ""


def test_files_are_read_back(warehouse: str) -> None:
    store = Store(warehouse)
    store.write("a/b", b"one")
    store.write("a/b", b"two")
    assert store.read("a/b") == b"two"
    assert store.names("a") == ["a/b"]
    assert store.names("none") == []
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")
    with pytest.raises(FileNotFoundError):
        store.read("a/b")


def test_nothing_staged_is_left_behind(warehouse: str) -> None:
    write(warehouse, "owner/name", 0, 4)
    build(warehouse)
    assert [n for n in Store(warehouse).names("", recursive=True) if ".tmp-" in n] == []


def test_a_bucket_that_is_not_there_is_one_line(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--warehouse", "s3://no-such-bucket/w"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(WarehouseError):
        write("s3://no-such-bucket/w", "owner/name", 0, 2)


def test_shards_are_read_in_place(bucket: str) -> None:
    write(f"{bucket}/parquet", "owner/name", 0, 4)
    store = Store(f"{bucket}/parquet")
    (name,) = [n for n in store.names("shards", recursive=True) if n.endswith(".steps.parquet")]
    with store.open(name) as file:
        assert pq.ParquetFile(file).metadata.num_rows == sum(t.episode.steps for t in make_takes(4))
