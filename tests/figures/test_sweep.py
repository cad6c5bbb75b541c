"""The sweep runner: resumes, checks to the last bit, and redraws from the CSV alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from figures import sweep
from figures.rows import Row, cell_key, parse_table, read_rows, render
from training.tasks.train import TaskConfig


def cell(seed: int, updates: int = 4, rate: float = 0.01) -> TaskConfig:
    return TaskConfig(
        task="frjt", model="lstm", layers=1, width=8, settings={"recurrent_init": "orthogonal"},
        size=2, rate=rate, updates=updates, batch=4, seed=seed,
    )  # fmt: skip


@dataclasses.dataclass
class Drawn:
    """Stands in for a plot: remembers its rows."""

    rows: list[Row] = dataclasses.field(default_factory=list)

    def __call__(self, rows: Sequence[Any], png: Path) -> None:
        self.rows = list(rows)
        png.parent.mkdir(parents=True, exist_ok=True)
        png.write_bytes(b"")


@pytest.fixture
def drawn() -> Drawn:
    return Drawn()


@pytest.fixture
def figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: Drawn) -> sweep.Figure:
    monkeypatch.setattr(sweep, "ROOT", tmp_path / "figures")
    monkeypatch.setattr(sweep, "RUNS", tmp_path / "runs")
    return sweep.Figure(
        name="toy",
        cpu_hours=0.1,
        cells=lambda: [cell(seed) for seed in (1, 0)],
        quick_cells=lambda: [cell(0, updates=2)],
        full_cells=lambda: [cell(seed) for seed in range(3)],
        rate_cells=lambda: [cell(0, rate=rate) for rate in (0.01, 0.5)],
        plot=drawn,
    )


def test_a_sweep_appends_resumes_and_plots(figure: sweep.Figure, drawn: Drawn) -> None:
    assert sweep.main(figure, ["--seeds", "1"]) == 0
    first = (figure.folder / "results.csv").read_text()
    assert [row.config.seed for row in drawn.rows] == [0]
    assert sweep.main(figure, []) == 0
    second = (figure.folder / "results.csv").read_text()
    assert second.startswith(first)
    assert [row.config.seed for row in drawn.rows] == [0, 1]
    assert sweep.main(figure, []) == 0
    assert (figure.folder / "results.csv").read_text() == second


def test_a_cell_reruns_to_the_committed_row(figure: sweep.Figure, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.main(figure, [])
    key = cell_key(cell(0))
    assert sweep.main(figure, ["--cell", key, "--check"]) == 0
    assert "the same to the last bit" in capsys.readouterr().out
    results = figure.folder / "results.csv"
    row = read_rows(results)[0]
    results.write_text(results.read_text().replace(repr(row.result.loss), "0.5", 1))
    assert sweep.main(figure, ["--cell", key, "--check"]) == 1
    assert "DIFFERENT loss" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        sweep.main(figure, ["--cell", "nothing"])


def test_quick_and_full_stay_out_of_the_committed_folder(figure: sweep.Figure) -> None:
    assert sweep.main(figure, ["--quick"]) == 0
    assert sweep.main(figure, ["--full", "--only=-s2"]) == 0
    assert not figure.folder.exists()
    assert len(read_rows(sweep.RUNS / "toy" / "quick.csv")) == 1
    assert [r.config.seed for r in read_rows(sweep.RUNS / "toy" / "full.csv")] == [2]


def test_the_best_rate_has_the_lowest_loss(figure: sweep.Figure) -> None:
    with pytest.raises(ValueError, match=r"run python -m figures\.toy rates first"):
        sweep.best_rate("toy", "lstm", 1, 2)
    assert sweep.main(figure, ["rates"]) == 0
    rows = read_rows(figure.folder / "learning_rates.csv")
    best = min(rows, key=lambda row: row.result.loss)
    assert sweep.best_rate("toy", "lstm", 1, 2) == best.config.rate


def test_a_spent_budget_stops_the_sweep(figure: sweep.Figure, capsys: pytest.CaptureFixture[str]) -> None:
    poor = figure.model_copy(update={"cpu_hours": 1e-9})
    sweep.main(poor, [])
    assert "stopping" in capsys.readouterr().out
    assert len(read_rows(figure.folder / "results.csv")) == 1


def test_a_budget_is_of_the_cells_asked_for_alone(figure: sweep.Figure, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.main(figure, [])
    poor = figure.model_copy(update={"cpu_hours": 1e-9, "cells": lambda: [cell(7)]})  # others' rows in the same file
    sweep.main(poor, [])
    assert "stopping" not in capsys.readouterr().out
    assert len(read_rows(figure.folder / "results.csv")) == 3


def test_a_damaged_file_is_named(figure: sweep.Figure, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.main(figure, ["--seeds", "1"])
    with (figure.folder / "results.csv").open("a") as lines:
        lines.write("lstm,frjt\n")
    with pytest.raises(SystemExit):
        sweep.main(figure, ["plot"])
    assert "results.csv, line 3: not a result row" in capsys.readouterr().err


def test_tables_survive_the_csv() -> None:
    table = {1: 0.1 + 0.2, 64: 1.0}
    assert {int(k): float(v) for k, v in parse_table(render(table)).items()} == table


def test_the_table_gives_mean_and_range(figure: sweep.Figure, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.main(figure, [])
    capsys.readouterr()
    assert sweep.main(figure, ["table"]) == 0
    printed = capsys.readouterr().out
    values = [row.result.accuracy for row in read_rows(figure.folder / "results.csv")]
    assert f"| lstm | 1 | 592 | 2 | 4 | 2 | {sweep.spread(values)} |" in printed
    assert "2 runs" in printed


def test_longer_trainings_stand_apart(figure: sweep.Figure) -> None:
    rows = [Row(config, None) for config in (cell(0), cell(1), cell(0, updates=16))]
    usual, long = sweep.longer(rows)
    assert [row.config.updates for row in usual] == [4, 4]
    assert [row.config.updates for row in long] == [16]
    sweep.main(figure.model_copy(update={"cells": lambda: [cell(0), cell(0, updates=8)]}), [])
    lines = sweep.table(read_rows(figure.folder / "results.csv")).splitlines()
    assert [line.split(" | ")[4] for line in lines[2:4]] == ["4", "8"]
