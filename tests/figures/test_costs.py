"""costs: what cells of the same cost share, and how the time of a curve follows from it."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from figures import costs
from figures.cells import CELLS, CellConfig, named
from figures.rows import read_rows

TIMED = ("wall_time", "baselines", "params_vs_length")  # figures that compare time


def test_cells_that_cost_alike_share_a_name() -> None:
    base = costs.cost_key(CellConfig())
    assert base == "base-s0"
    assert {costs.cost_key(CellConfig(**change)) for change in ({"updates": 9}, {"seed": 3}, {"film": 100})} == {base}
    assert costs.cost_key(CellConfig(width=128, updates=9)) == "d128-s0"


def test_a_turn_is_one_update_at_least_and_then_as_many_as_there_is_time_for() -> None:
    made, spent = costs.turn(itertools.count(), 0.0)
    assert made == 1
    assert spent >= 0

    def slow() -> Iterator[int]:
        for number in itertools.count():
            until = time.process_time() + 0.01
            while time.process_time() < until:
                pass
            yield number

    made, spent = costs.turn(slow(), 0.05)
    assert 1 < made <= 6
    assert spent >= 0.05


def test_every_cell_whose_time_is_compared_was_measured_on_one_processor() -> None:
    rows = named(read_rows(costs.COSTS.with_name("results.csv"), CELLS))
    for name in TIMED:
        for config in importlib.import_module(f"figures.{name}.config").FIGURE.cells():
            key = CELLS.key(config)
            if key in rows:
                seconds = costs.timed(config, rows[key]).seconds
                assert list(seconds) == list(rows[key].seconds)
                last = config.updates
                assert seconds[last] == pytest.approx(last * costs.costs()[costs.cost_key(config)])
    with costs.COSTS.open(encoding="utf-8") as lines:
        assert len({line.split(",")[3] for line in lines}) == 2  # the title, and the processor


def test_a_cost_that_was_not_measured_names_the_command(tmp_path: Path) -> None:
    result = next(iter(named(read_rows(costs.COSTS.with_name("results.csv"), CELLS)).values()))
    with pytest.raises(ValueError, match=r"nothing of d77-s0; run python -m figures\.costs"):
        costs.timed(CellConfig(width=77), result)
    assert costs.costs(tmp_path / "nothing.csv") == {}


def test_help_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        costs.main(["--help"])
    assert exit_status.value.code == 0
    assert "learner/costs.csv" in capsys.readouterr().out
