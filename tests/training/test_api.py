"""The trainer from Python: windows of film, a finished run."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import training
from schema.errors import ConfigError
from tests.training.warehouse import COLS, ROWS
from training.data.windows import FilmReader


def test_windows_are_the_film_in_order(reader: FilmReader) -> None:
    root = reader.warehouse.root
    parts = list(training.windows(root, length=50))
    assert [part.step for part in parts] == list(range(9))  # 600 steps: the last 60 are validation, behind a gap of 50
    assert parts[3].cells_BTRC.shape == (1, 50, ROWS, COLS)
    stored = reader.window(0, 150, 50)
    np.testing.assert_array_equal(parts[3].cells_BTRC[0], stored.cells_TRC)
    np.testing.assert_array_equal(parts[3].actions_BT[0], stored.action_T)
    np.testing.assert_array_equal(parts[3].phases_BT[0], stored.phase_T)
    assert len(list(training.windows(root, length=50, split="validation"))) == 1


@pytest.mark.parametrize(("batch", "limit", "sizes"), [(4, None, [4, 4, 1]), (4, 2, [4, 4]), (9, 5, [9]), (3, 1, [3])])
def test_windows_come_in_batches_up_to_a_limit(
    reader: FilmReader, batch: int, limit: int | None, sizes: list[int]
) -> None:
    one_by_one = list(training.windows(reader.warehouse.root, length=50))
    batches = list(training.windows(reader.warehouse.root, length=50, batch=batch, limit=limit))
    assert [len(each.actions_BT) for each in batches] == sizes
    cells_BTRC = torch.cat([each.cells_BTRC for each in batches])
    assert torch.equal(cells_BTRC, torch.cat([each.cells_BTRC for each in one_by_one])[: sum(sizes)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"length": 0}, "length 0: at least 1"),
        ({"batch": 0}, "batch 0: at least 1"),
        ({"limit": 0}, "limit 0: at least 1"),
        ({"length": 5000}, "window of 5000 steps, but the longest stream"),
        ({"split": "test"}, "no test film .*; use another split, or harvest more"),
        ({"split": "nope"}, "split 'nope': there are train, validation, test"),
        ({"repos": ["no/such"]}, "no film of no/such"),
    ],
    ids=str,
)
def test_windows_that_there_are_none_of_are_refused_at_once(
    reader: FilmReader, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        training.windows(reader.warehouse.root, **changes)


def test_a_finished_run_predicts_and_is_evaluated(finished: Path) -> None:
    run = training.load_run(finished)
    assert run.model is run.models["lstm"]
    [batch] = training.windows(run.settings["shards"], length=8, batch=2, limit=1)
    logits_BTV = run.predict(batch)
    assert logits_BTV.shape == (2, 8, 256)
    alone = training.Batch(0, batch.cells_BTRC[1:, :5], batch.actions_BT[1:, :5], batch.phases_BT[1:, :5])
    torch.testing.assert_close(run.predict(alone), logits_BTV[1:, :5])
    tables = run.tables(count=2)
    assert (tables["windows"], tables["window"]) == (2, 16)
    losses = training.evaluate(run, run.settings["shards"], count=2)
    assert {"frame_only", "lstm"} <= losses.keys()
    assert losses == {name: model["loss"] for name, model in tables["models"].items()}


def test_the_last_run_is_loaded_by_default(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/latest").symlink_to(finished)
    assert training.load_run().folder == finished
    Path("runs/latest").unlink()
    with pytest.raises(ConfigError, match=r"^runs/latest: no finished run; train one: python -m training\.fit$"):
        training.load_run()


@pytest.mark.parametrize("code", ["import training", "import training.files", "from training import __all__"])
def test_a_part_of_the_trainer_is_imported_without_torch(code: str) -> None:
    check = "import sys, os; assert 'torch' not in sys.modules; assert os.environ['OMP_WAIT_POLICY'] == 'passive'"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True, env=environment)


def test_the_names_of_the_face_are_functions_though_a_command_has_one_of_them() -> None:
    code = "from training import evaluate, load_run, windows; import training; print(callable(training.evaluate))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"
    with pytest.raises(ImportError, match="in Python: from training import evaluate"):
        importlib.import_module("training.evaluate")
    assert callable(training.evaluate)
    done = subprocess.run([sys.executable, "-m", "training.evaluate", "--help"], capture_output=True, text=True)
    assert done.stdout.startswith("usage: python -m training.evaluate ")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        training.nothing  # noqa: B018


def test_a_run_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no finished run; train one: python -m training\.fit"):
        training.load_run(tmp_path)
