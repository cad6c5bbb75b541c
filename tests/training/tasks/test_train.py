"""The task trainer: deterministic, learns what is easy, and says when it stopped too early."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from training.tasks.train import TaskConfig, fit


def config(**changes: Any) -> TaskConfig:
    settings: dict[str, Any] = {
        "task": "frjt", "model": "lstm", "layers": 1, "width": 16, "size": 2, "rate": 0.02,
        "updates": 40, "batch": 16, "seed": 3,
    }  # fmt: skip
    return TaskConfig.model_validate(settings | changes)


@pytest.mark.parametrize("task", ["frjt", "maze"])
@pytest.mark.parametrize("model", ["lstm", "transformer", "mamba2", "mingru", "frame_only"])
def test_same_seed_same_metrics(task: str, model: str) -> None:
    cell = config(task=task, model=model, moves=8, size=3, updates=6)
    first, again = fit(cell), fit(cell)
    assert first.model_dump(exclude={"cpu_seconds"}) == again.model_dump(exclude={"cpu_seconds"})
    assert fit(cell.model_copy(update={"seed": 4})).loss != first.loss


def test_an_lstm_solves_two_blocks_and_stops_early() -> None:
    result = fit(config(updates=1500, batch=64))
    assert result.solved
    assert result.updates_run < 1500
    assert result.accuracy > 0.99
    assert result.curve.keys() == {1, 2}
    assert not result.undertrained


def test_a_falling_loss_is_marked_undertrained() -> None:
    result = fit(config(task="maze", size=4, moves=8, updates=160))
    assert result.undertrained
    assert result.curve.keys() == {1, 2, 4, 8, 16, 32}


def test_misspelt_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="lerning_rate"):
        config(lerning_rate=1)
    with pytest.raises(ValueError, match="unknown backbone"):
        fit(config(model="gru"))
