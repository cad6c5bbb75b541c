"""The trainer from Python: windows of film, a finished run."""

from pathlib import Path

import numpy as np
import pytest

import training
from schema.errors import ConfigError
from tests.training.warehouse import COLS, ROWS
from training.data.windows import FilmReader


def test_windows_are_the_film_in_order(reader: FilmReader) -> None:
    parts = list(training.windows(reader.warehouse.root, length=50))
    assert len(parts) == 9  # 600 steps: the last 60 are validation, behind a gap of 50
    cells_TRC, action_T = parts[3]
    assert cells_TRC.shape == (50, ROWS, COLS)
    stored = reader.window(0, 150, 50)
    np.testing.assert_array_equal(cells_TRC, stored.cells_TRC)
    np.testing.assert_array_equal(action_T, stored.action_T)
    assert len(list(training.windows(reader.warehouse.root, length=50, split="validation"))) == 1


def test_a_finished_run_predicts_and_is_evaluated(finished: Path) -> None:
    run = training.load_run(finished)
    assert run.model is run.models["lstm"]
    cells_TRC, action_T = next(iter(training.windows(run.settings["shards"], length=8)))
    assert run.predict(cells_TRC, action_T).shape == (8, 256)
    result = run.evaluate(count=2)
    assert (result["windows"], result["window"]) == (2, 16)
    assert set(result["models"]) == {"lstm", "frame_only", "keys_only"}


def test_a_run_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no finished run; train one: python -m training\.fit"):
        training.load_run(tmp_path)
