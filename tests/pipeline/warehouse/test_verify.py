"""Checking a warehouse: what is damaged, missing or drawn by other keys is found."""

from pathlib import Path

import pytest

from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from schema.config import ReplayConfig
from tests.pipeline.warehouse.films import REPO, damaged
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
