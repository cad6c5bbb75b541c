"""What the plan makes of the settings, the machine and the minutes."""

from pathlib import Path

import pytest
import torch

from schema.errors import ConfigError
from tests.training.warehouse import write_warehouse
from training.loop.config import FitConfig
from training.loop.plan import UPDATES, Cost, affordable_validations, check_memory, fewer_updates, planned_updates
from training.loop.run import fit
from training.model.config import ModelConfig


def test_a_model_that_cannot_fit_is_refused_before_it_is_built() -> None:
    model = ModelConfig(rows=48, cols=160, width=1024, attention_layers=3, heads=8)
    with pytest.raises(ConfigError, match=r"needs about .* GB for windows of 1048576"):
        check_memory(model, FitConfig(), 1 << 20, torch.device("cpu"), 1)


def test_a_run_that_becomes_slower_ends_earlier_but_not_untrained() -> None:
    assert fewer_updates(done=100, steps=2000, left=1900.0, each=1.0) == 2000
    assert fewer_updates(done=100, steps=2000, left=1000.0, each=1.0) == 1100
    assert fewer_updates(done=100, steps=2000, left=1.0, each=1.0) == UPDATES
    assert fewer_updates(done=10, steps=50, left=1.0, each=1.0) == 50


def test_the_plan_keeps_to_the_minutes() -> None:
    updates = planned_updates(2.0, spent=10.0, cost=Cost(0.5, 2.0), evaluations=4)
    assert 10 + updates * 0.5 + 5 * 2.0 <= 120
    assert updates > 100


@pytest.mark.parametrize(
    ("minutes", "validation", "asked", "found"),
    [(10.0, 4.0, 6, 6), (10.0, 15.0, 6, 3), (10.0, 100.0, 6, 1), (2.0, 4.0, 6, 2), (2.0, 0.0, 6, 6), (10.0, 4.0, 2, 2)],
)
def test_validations_take_a_tenth_of_the_minutes(minutes: float, validation: float, asked: int, found: int) -> None:
    assert affordable_validations(asked, minutes, Cost(0.5, validation)) == found
    if 1 < found < asked:
        assert (found + 1) * validation <= 6 * minutes < (found + 2) * validation


def test_an_update_that_outlasts_the_minutes_is_refused_before_the_probe(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 900})
    few = {"width": 16, "heads": 2, "downsample_blocks": 1}
    settings = {
        "shards": str(root),
        "run": str(tmp_path / "run"),
        "preset": "published_tiny",
        "model": few,
        "window": 16,
    }
    with pytest.raises(ConfigError, match=r"100000 x 16 steps takes up to .* minutes here, of 0.01 .* --steps 10"):
        fit(FitConfig.model_validate(settings | {"batch": 100_000, "minutes": 0.01, "mode": "stream", "chunk": 1}))
    assert not (tmp_path / "run/config.json").exists()
