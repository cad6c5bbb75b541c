"""The dataset card, and the loading that it shows."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipeline.shards.writer import StreamWriter, refuse
from pipeline.warehouse.build import build
from pipeline.warehouse.dataset_card import LOADING, main
from schema.columns import TABLES
from schema.config import ReplayConfig
from tests.takes import make_takes

CONFIG = ReplayConfig(rows=6, cols=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a warehouse of two families, a fork and a refusal."""
    root = tmp_path_factory.mktemp("root")
    for number, (name, family) in enumerate({"a/one": "f1", "b/two": "f2", "c/fork": "f1"}.items()):
        with StreamWriter(
            root / "warehouse", name, CONFIG, source=f"https://example.org/{name}", licence="MIT", family=family
        ) as writer:
            for take in make_takes(6, repo_id=name, seed=number):
                writer.append(take)
    refuse(root / "warehouse", "d/refused", CONFIG, "licence")
    build(root / "warehouse")
    assert main(["--warehouse", str(root / "warehouse")]) == 0
    return root


def train_steps(folder: Path) -> int:
    with duckdb.connect(str(folder / "warehouse" / "actions.db"), read_only=True) as db:
        query = "SELECT sum(steps) FROM repositories WHERE split = 'train' AND duplicate_of IS NULL"
        return int(db.execute(query).fetchall()[0][0])


@pytest.fixture(scope="module")
def card(folder: Path) -> str:
    return (folder / "warehouse" / "DATASET.md").read_text()


def test_card_names_sources_licences_splits_and_drops(card: str) -> None:
    for words in ("https://example.org/a/one", "| MIT |", "| train |", "| commit | bot |", "| repository | licence |"):
        assert words in card


def test_card_describes_every_column(card: str) -> None:
    for columns in TABLES.values():
        for column in columns:
            assert f"| `{column.name}` |" in card
            assert column.meaning in card


def test_card_says_what_it_is_not(card: str) -> None:
    assert "the typing is synthetic" in card
    assert "## Privacy" in card
    assert "arXiv 2510.06828" in card


def test_card_is_the_same_again(folder: Path, card: str) -> None:
    assert main(["--warehouse", str(folder / "warehouse")]) == 0
    assert (folder / "warehouse" / "DATASET.md").read_text() == card


def test_loading_works_as_shown(folder: Path, card: str) -> None:
    shown = LOADING.format(folder="warehouse/dataset")
    assert shown in card
    code = shown.removeprefix("```python\n").removesuffix("```") + "\nprint(film.num_rows)"
    environment = {**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    frame, rows = done.stdout.splitlines()
    assert frame.startswith("['")
    assert int(rows) == train_steps(folder)


def test_an_empty_warehouse_has_a_card(tmp_path: Path) -> None:
    tmp_path.joinpath("w").mkdir()
    build(tmp_path / "w")
    assert main(["--warehouse", str(tmp_path / "w")]) == 0


def test_a_warehouse_without_database_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--warehouse", str(tmp_path)]) == 2
    assert "python -m flows.harvest" in capsys.readouterr().err
    with StreamWriter(tmp_path, "a/one", CONFIG) as writer:
        writer.append(next(iter(make_takes(1, repo_id="a/one"))))
    assert main(["--warehouse", str(tmp_path)]) == 2
    assert "pipeline.warehouse build" in capsys.readouterr().err
