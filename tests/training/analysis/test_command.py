"""The command line of the evaluation."""

import json
from pathlib import Path

import pytest

from tests.training.models import small_model
from tests.training.warehouse import COLS, ROWS
from training.analysis.command import main
from training.data.windows import FilmReader
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel


def saved(folder: Path, root: Path, model: FrameModel, **settings: object) -> Path:
    from training.loop.config import FitConfig
    from training.model.weights import save_weights

    config = FitConfig.model_validate({"shards": str(root), "window": 16, **settings})
    name = f"models/{model.config.backbone}.safetensors"
    save_weights(folder / name, model, {"run": config.model_dump_json()})
    return folder


def test_the_command_line_compares_runs_on_one_film(
    reader: FilmReader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(reader.warehouse.root)
    one = saved(tmp_path / "one", root, small_model("lstm"))
    saved(one, root, small_model("frame_only"))
    two = saved(tmp_path / "two", root, small_model("transformer"))
    assert main([str(one), str(two), "--windows", "3", "--context", "4", "--context", "1", "--json"]) == 0
    out = capsys.readouterr().out
    assert "a/one" in out
    cold = json.loads(out.splitlines()[-1])["context"]["rows"]
    assert set(cold) == {"counts of the last T keys", "lstm", "frame-only", "transformer"}
    assert all(list(row) == ["1", "4"] for row in cold.values())
    assert cold["frame-only"]["1"] == pytest.approx(cold["frame-only"]["4"], rel=1e-5)
    assert set(json.loads(out.splitlines()[-1])["models"]) == {"lstm", "frame_only", "transformer"}
    assert (one / "evaluation.json").exists()


def test_runs_that_do_not_fit_the_film_are_refused(
    reader: FilmReader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(reader.warehouse.root)
    good = saved(tmp_path / "good", root, small_model())
    wide = FrameModel(ModelConfig(rows=ROWS, cols=2 * COLS, width=16, heads=2))
    words = FrameModel(ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, vocabulary=300))
    few = FrameModel(ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, max_code_point=128))
    for runs, complaint in (
        ([saved(tmp_path / "wide", root, wide)], "film at 8x24, lstm reads 8x48; harvest at that size"),
        ([saved(tmp_path / "words", root, words)], "trained on 300 tokens"),
        ([good, saved(tmp_path / "few", root, few)], "reads other code points"),
        ([good, saved(tmp_path / "other", root, small_model(), repo=["a/one"])], "trained on other repositories"),
    ):
        assert main([str(run) for run in runs]) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    assert main([str(good), "--windows", "0"]) == 2
    assert main([str(good), "--steps", "0", "--context", "5000"]) == 2
    said = capsys.readouterr()
    assert "context of 5000 steps: the longest held-out stream has" in said.err
    assert said.out == ""  # before anything is evaluated


def test_a_missing_run_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "no finished run; train one: python -m training.fit" in capsys.readouterr().err
