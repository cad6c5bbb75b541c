"""Checking a warehouse: what is damaged, missing or drawn by other keys is found."""

import shutil
from pathlib import Path

import pytest

from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import compact
from schema.config import ReplayConfig
from tests.pipeline.warehouse.films import REPO, damaged, film
from tests.takes import make_takes


def test_verify_redraws_everything_from_its_keys(filmed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--warehouse", str(filmed / "warehouse"), "--sample", "0"]) == 0
    assert "10 episodes" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["steps", "episodes", "blobs", "drops"])
def test_verify_finds_a_changed_byte(copy: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(copy, kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["verify", "--warehouse", str(copy / "warehouse")]) == 2
    assert str(path.name) in capsys.readouterr().err


def test_verify_finds_a_missing_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(copy, "steps").unlink()
    assert main(["verify", "--warehouse", str(copy / "warehouse")]) == 2
    assert "is missing" in capsys.readouterr().err


def test_verify_finds_a_missing_file_that_the_folder_of_plain_parquet_shows(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (missing,) = (several / "warehouse/shards/b+b").glob("*.steps.parquet")
    missing.unlink()
    capsys.readouterr()
    assert main(["verify", "--warehouse", str(several / "warehouse")]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert f"{missing} is missing; remove the folder shards/b+b" in said.err
    assert "4 streams" in said.out


@pytest.mark.parametrize("damage", ["missing", "cut"])
@pytest.mark.parametrize("kind", ["steps", "episodes", "blobs"])
def test_a_damaged_pack_names_its_streams_and_its_advice_helps(
    several: Path, history: Path, kind: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = several / "warehouse"
    compact(Store(warehouse), 1 << 20)  # but for d/d, which is to grow
    build(warehouse)
    (pack,) = (warehouse / "packs").glob(f"*.{kind}.parquet")
    if damage == "missing":
        pack.unlink()
    else:
        pack.write_bytes(pack.read_bytes()[:-50])
    capsys.readouterr()
    assert main(["verify", "--warehouse", str(warehouse)]) == 2
    said = capsys.readouterr()
    first, *others = said.err.splitlines()
    assert first.startswith(str(pack))
    assert "film of a/a, b/b, c/c:" in first
    assert f"python -m pipeline.warehouse build --warehouse {warehouse}" in first
    for repo, line in zip("abc", others, strict=True):
        assert line.startswith(f"{repo}/{repo}: remove the folder {warehouse}/shards/{repo}+{repo};")
        assert line.endswith(f"python -m flows.harvest --repo PATH --warehouse {warehouse}")
        shutil.rmtree(warehouse / f"shards/{repo}+{repo}")
    assert "4 streams" in said.out
    assert main(["build", "--warehouse", str(warehouse)]) == 0
    for repo in "abc":
        film(history, warehouse, f"{repo}/{repo}")
    assert main(["build", "--warehouse", str(warehouse)]) == 0
    assert main(["verify", "--warehouse", str(warehouse)]) == 0


def test_verify_finds_film_that_its_keys_do_not_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StreamWriter(tmp_path, REPO, ReplayConfig(rows=6, cols=24)) as writer:
        for take in make_takes(3):
            writer.append(take)
    build(tmp_path)
    assert main(["verify", "--warehouse", str(tmp_path)]) == 2
    assert REPO in capsys.readouterr().err


def test_verify_finds_an_old_database(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StreamWriter(copy / "warehouse", "other/name", ReplayConfig(rows=6, cols=24)) as writer:
        writer.append(next(iter(make_takes(1, repo_id="other/name"))))
    assert main(["verify", "--warehouse", str(copy / "warehouse")]) == 2
    assert "pipeline.warehouse build" in capsys.readouterr().err
