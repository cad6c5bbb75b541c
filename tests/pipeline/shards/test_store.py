"""Folders and object storage behave alike; the latter against a local S3 server."""

import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.database import open_database
from pipeline.warehouse.dataset_card import main as write_card
from pipeline.warehouse.redraw import main as redraw
from pipeline.watch.__main__ import main as watch
from schema.config import ReplayConfig
from schema.errors import WarehouseError
from schema.manifest import PACKS
from tests.disk import small_disk
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


NOWHERE = [
    "/proc/foo", "/dev/null", "{folder}/file", "{folder}/file/w", "{folder}/dangling", "{folder}/loop",
    "{folder}/" + "x" * 300, "{folder}/what?", "", "s3://", "s3:/", "ftp://host/x",
]  # fmt: skip


@pytest.mark.parametrize("place", NOWHERE, ids=str)
def test_where_no_warehouse_can_be_is_one_line_for_writers_and_readers(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder\n")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    place = place.format(folder=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WarehouseError) as refused:
        write(place, "owner/name", 0, 2)
    assert "\n" not in str(refused.value)
    assert "warehouse" in str(refused.value)
    for program, arguments in (
        (main, ["build"]), (main, ["verify"]), (main, ["compact"]), (main, ["stats"]), (main, ["remove", "owner/name"]),
        (write_card, []), (watch, ["owner/name"]), (redraw, ["owner/name"]),
    ):  # fmt: skip
        assert program([*arguments, "--warehouse", place]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_only_warehouse_is_one_line_for_writers_and_open_for_readers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        write(str(disk / "w"), "owner/name", 0, 4)
        build(disk / "w")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for arguments in (["stats"], ["verify", "--sample", "1"]):
            main([*arguments, "--warehouse", str(disk / "w")])
            assert "Read-only" not in capsys.readouterr().err
        for arguments in (["build"], ["compact"], ["remove", "owner/name"]):
            assert main([*arguments, "--warehouse", str(disk / "w")]) == 2
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert "Read-only file system" in error
        with pytest.raises(WarehouseError, match="Read-only"):
            write(str(disk / "other"), "owner/name", 0, 2)


def test_a_folder_without_film_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for program, arguments in ((main, ["stats"]), (write_card, []), (watch, ["owner/name"])):
        assert program([*arguments, "--warehouse", str(tmp_path)]) == 2
        assert f"python -m flows.harvest --repo PATH --warehouse {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
