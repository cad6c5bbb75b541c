"""The folder of plain Parquet: opened without a list of files, it holds the rows of the view `steps`, each once."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from pipeline.shards import writer as shards
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter, refuse
from pipeline.warehouse import dataset
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import full_packs
from schema.config import ReplayConfig
from tests.takes import make_takes

CONFIG = ReplayConfig(rows=6, cols=24)
Rows = list[tuple[str, int]]


def write(warehouse: Path, repo_id: str, episodes: int, *, seed: int = 0, **facts: Any) -> None:
    """Write a stream, or lengthen it."""
    with StreamWriter(warehouse, repo_id, CONFIG, **{"family": repo_id, "licence": "MIT", **facts}) as writer:
        for take in list(make_takes(episodes, repo_id=repo_id, seed=seed))[writer.manifest.episodes :]:
            writer.append(take)


def view(warehouse: Path) -> Rows:
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as db:
        return db.execute("SELECT repo_id, stream_step FROM steps ORDER BY ALL").fetchall()


def folder(warehouse: Path, place: str = "") -> Rows:
    table = pyarrow.dataset.dataset(warehouse / "dataset/steps" / place, format="parquet").to_table()
    return sorted(zip(table.column("repo_id").to_pylist(), table.column("stream_step").to_pylist(), strict=True))


def files(warehouse: Path, kind: str = "steps") -> set[str]:
    return {str(path.relative_to(warehouse / "dataset" / kind)) for path in (warehouse / "dataset" / kind).rglob("*.*")}


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    for name in ("a/a", "b/b", "c/c", "d/d", "_e"):
        write(tmp_path / "w", name, 4)
    build(tmp_path / "w")
    return tmp_path / "w"


def test_every_kind_of_reader_opens_it(warehouse: Path) -> None:
    steps, rows = warehouse / "dataset/steps", view(warehouse)
    assert folder(warehouse) == rows
    assert pq.read_table(steps).num_rows == len(rows)
    assert len(pd.read_parquet(steps)) == len(rows)
    assert sorted(pl.scan_parquet(steps).select("repo_id", "stream_step").collect().rows()) == rows
    assert pl.scan_parquet(steps / "**/*.parquet").select(pl.len()).collect().item() == len(rows)
    for pattern in ("**/*.parquet", "*/*.parquet"):
        query = f"SELECT repo_id, stream_step FROM '{steps}/{pattern}' ORDER BY ALL"
        assert duckdb.sql(query).fetchall() == rows


def test_columns_are_those_of_the_schema(warehouse: Path) -> None:
    whole = pyarrow.dataset.dataset(warehouse / "dataset/steps", format="parquet").to_table().sort_by("stream_step")
    stored = [shard.files["steps"].path for stream in manifests(Store(warehouse)) for shard in stream.shards]
    listed = pyarrow.dataset.dataset([str(warehouse / path) for path in stored]).to_table().sort_by("stream_step")
    assert whole.schema == listed.schema
    assert whole.select(["frame", "action"]).equals(listed.select(["frame", "action"]))


def test_splits_are_folders_and_no_family_is_in_two(warehouse: Path) -> None:
    places = {path.name for path in (warehouse / "dataset/steps").iterdir()}
    assert places == {"train", "validation", "test"}
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as db:
        splits = db.execute("SELECT split, list(repo_id ORDER BY repo_id) FROM repositories GROUP BY split").fetchall()
    assert {place: sorted({repo for repo, _ in folder(warehouse, place)}) for place in places} == dict(splits)


def test_duplicates_and_streams_without_a_split_stand_apart(warehouse: Path) -> None:
    write(warehouse, "f/fork", 4, seed=3, family="a/a")
    write(warehouse, "g/new", 4)
    build(warehouse, settle=False)
    assert {repo for repo, _ in folder(warehouse, "duplicates")} == {"f/fork"}
    assert {repo for repo, _ in folder(warehouse, "unassigned")} == {"g/new"}
    assert folder(warehouse) == view(warehouse)
    build(warehouse)
    assert not (warehouse / "dataset/steps/unassigned").exists()
    assert folder(warehouse) == view(warehouse)


def test_growth_is_seen_once_and_whoever_reads_the_old_database_is_not_disturbed(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_STEPS", 200)
    for episodes in (6, 9, 11, 20):
        before = view(warehouse)
        with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as reader:
            write(warehouse, "a/a", episodes)
            assert folder(warehouse) == before
            build(warehouse)
            assert reader.execute("SELECT repo_id, stream_step FROM steps ORDER BY ALL").fetchall() == before
        assert folder(warehouse) == view(warehouse)
        assert len(view(warehouse)) > len(before)


def test_files_are_links_and_cost_no_room(warehouse: Path) -> None:
    linked = [path for path in (warehouse / "dataset").rglob("*.parquet") if path.parent.name != "repositories"]
    assert linked
    assert {path.stat().st_nlink for path in linked} == {2}


def test_a_rewritten_history_is_shown_alone(warehouse: Path) -> None:
    takes = list(make_takes(9, repo_id="a/a", seed=7))
    with StreamWriter(warehouse, "a/a", CONFIG, family="a/a", outdated=lambda stream, in_place: "rewritten") as writer:
        for take in takes:
            writer.append(take)
    build(warehouse)
    assert folder(warehouse) == view(warehouse)


def test_a_pack_is_shown_without_the_rows_that_its_streams_left_behind(warehouse: Path) -> None:
    before = view(warehouse)
    main(["compact", "--warehouse", str(warehouse)])
    assert folder(warehouse) == before
    packed = [m.repo_id for m in manifests(Store(warehouse)) if any("packs" in ref.path for ref in m.files())]
    assert len(packed) > 1
    write(warehouse, packed[0], 8)
    build(warehouse)
    assert set(full_packs(Store(warehouse), list(manifests(Store(warehouse))))) != {
        ref.path for stream in manifests(Store(warehouse)) for ref in stream.files() if "packs" in ref.path
    }
    assert folder(warehouse) == view(warehouse)
    build(warehouse)
    assert folder(warehouse) == view(warehouse)


def test_packed_before_they_had_a_split_streams_stand_in_their_own(tmp_path: Path) -> None:
    for name in ("a/a", "b/b", "c/c", "d/d"):
        write(tmp_path, name, 4)
    main(["compact", "--warehouse", str(tmp_path)])
    assert len(files(tmp_path)) == 3
    assert folder(tmp_path) == view(tmp_path)
    for place in ("train", "validation", "test"):
        assert folder(tmp_path, place)


def test_removed_film_is_not_shown(warehouse: Path) -> None:
    main(["compact", "--warehouse", str(warehouse)])
    assert main(["remove", "a/a", "_e", "--warehouse", str(warehouse)]) == 0
    assert {repo for repo, _ in folder(warehouse)} == {"b/b", "c/c", "d/d"}
    assert folder(warehouse) == view(warehouse)
    shown = pyarrow.dataset.dataset(warehouse / "dataset/episodes", format="parquet").to_table(columns=["repo_id"])
    assert set(shown.column(0).to_pylist()) == {"b/b", "c/c", "d/d"}


def test_licences_come_with_it(warehouse: Path) -> None:
    refuse(warehouse, "g/gone", CONFIG, "licence")
    build(warehouse)
    table = pq.read_table(warehouse / "dataset/repositories")
    assert dict(zip(table.column("repo_id").to_pylist(), table.column("licence").to_pylist(), strict=True)) == {
        **dict.fromkeys(("_e", "a/a", "b/b", "c/c", "d/d"), "MIT"), "g/gone": None,
    }  # fmt: skip


def test_a_build_that_was_killed_before_it_is_made_up_for(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(warehouse, "a/a", 8)
    with monkeypatch.context() as killed:
        killed.setattr(dataset, "update", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(warehouse)
    assert main(["verify", "--warehouse", str(warehouse)]) == 2
    assert "dataset is older" in capsys.readouterr().err
    build(warehouse)
    assert folder(warehouse) == view(warehouse)


def test_a_copy_of_the_warehouse_is_right_and_shares_its_files_after_a_build(warehouse: Path, tmp_path: Path) -> None:
    shutil.copytree(warehouse, tmp_path / "copy")
    assert main(["verify", "--sample", "1", "--warehouse", str(warehouse)]) == main(
        ["verify", "--sample", "1", "--warehouse", str(tmp_path / "copy")]
    )
    build(tmp_path / "copy")
    test_files_are_links_and_cost_no_room(tmp_path / "copy")
    assert folder(tmp_path / "copy") == view(warehouse)


def refusing(*allowed: str) -> Callable[..., None]:
    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    return refuse


def test_without_hard_links_symbolic_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refusing())
    for episodes in (4, 7, 8):
        write(tmp_path / "w", "a/a", episodes)
        build(tmp_path / "w")
        assert folder(tmp_path / "w") == view(tmp_path / "w")
    (tmp_path / "w").rename(tmp_path / "moved")
    assert folder(tmp_path / "moved")


def test_without_any_links_the_build_says_so_and_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "link", refusing())
    monkeypatch.setattr(os, "symlink", refusing())
    write(tmp_path, "a/a", 4)
    assert main(["build", "--warehouse", str(tmp_path)]) == 0
    assert "has no links" in capsys.readouterr().out
    assert view(tmp_path)
    assert not list(tmp_path.rglob(".tmp*"))


def test_nothing_in_the_making_is_ever_inside(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    replaced = os.replace

    def watched(old: Path, new: Path) -> None:
        seen.update(files(warehouse))
        replaced(old, new)

    monkeypatch.setattr(os, "replace", watched)
    write(warehouse, "a/a", 8)
    main(["compact", "--warehouse", str(warehouse)])
    write(warehouse, "b/b", 8)
    build(warehouse)
    assert seen
    assert not [name for name in seen if ".tmp" in name]


def test_whoever_lists_the_folder_meanwhile_sees_a_beginning_of_every_stream(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Growth, then a rewritten history: no moment shows a step twice or one behind a gap."""
    monkeypatch.setattr(shards, "SHARD_STEPS", 200)
    put, moments = Store.link, []

    def watched(self: Store, name: str, other: str) -> bool:
        done = put(self, name, other)
        if "/steps/" in other:
            moments.append([step for repo, step in folder(warehouse) if repo == "a/a"])
        return done

    monkeypatch.setattr(Store, "link", watched)
    write(warehouse, "a/a", 20)
    build(warehouse)
    with StreamWriter(warehouse, "a/a", CONFIG, family="a/a", outdated=lambda stream, in_place: "rewritten") as writer:
        for take in make_takes(30, repo_id="a/a", seed=9):
            writer.append(take)
    build(warehouse)
    assert len(moments) > 5
    assert all(steps == list(range(len(steps))) for steps in moments)
