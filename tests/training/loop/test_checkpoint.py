"""Checkpoints: whole or passed over, and refused where they are of another run, model, film or version."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from schema.errors import ConfigError, CorruptError, SchemaVersionError
from tests.training.runs import settings, weights
from tests.training.warehouse import write_warehouse
from training.loop.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from training.loop.prepare import prepare
from training.loop.run import fit


@pytest.mark.parametrize("length", [0, 10, 1000, -10])
def test_a_truncated_checkpoint_is_passed_over(root: Path, finished: Path, tmp_path: Path, length: int) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for path in checkpoints(finished / "checkpoints"):
        state = load_checkpoint(path)
        state["asked"]["run"] = str(run)
        save_checkpoint(run / "checkpoints", state["step"], state, keep=9)
    newest = checkpoints(run / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:length])
    with pytest.raises(CorruptError, match="not a whole checkpoint"):
        load_checkpoint(newest)
    assert prepare(settings(root, run)).done == 4
    assert newest.exists()


def test_other_settings_do_not_go_on_with_a_run(root: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds a run with another learning_rate; .*--overwrite"):
        prepare(settings(root, finished, learning_rate=1e-4))


def test_more_steps_are_another_run_where_the_learning_rate_falls(root: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"another steps; the learning rate falls .* its own --run FOLDER, or --over"):
        prepare(settings(root, finished, steps=12))


def test_more_steps_go_on_with_a_run_of_constant_learning_rate(root: Path, tmp_path: Path) -> None:
    flat = {"warmup": 0, "decay": 0, "freeze_head": 0, "evaluations": 1, "baseline": False}
    fit(settings(root, tmp_path / "once", steps=5, **flat))
    fit(settings(root, tmp_path / "twice", steps=3, **flat))
    assert fit(settings(root, tmp_path / "twice", steps=5, **flat))["updates"] == 5
    once, twice = weights(tmp_path / "once"), weights(tmp_path / "twice")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert json.loads((tmp_path / "twice/config.json").read_text())["steps"] == 5
    with pytest.raises(ConfigError, match="holds 5 updates already; give more --steps"):
        prepare(settings(root, tmp_path / "twice", steps=4, **flat))


def test_changed_film_does_not_go_on_with_a_run(root: Path, finished: Path, tmp_path: Path) -> None:
    other = write_warehouse(tmp_path, {"a/one": 901})
    state = load_checkpoint(checkpoints(finished / "checkpoints")[-1])
    state["asked"] = settings(other, tmp_path / "run").model_dump()
    state["config"]["shards"] = str(other)
    save_checkpoint(tmp_path / "run/checkpoints", 6, state, keep=2)
    with pytest.raises(ConfigError, match="the film has changed"):
        prepare(settings(other, tmp_path / "run"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["models"].pop("frame_only"), "its checkpoint holds no frame_only"),
        (
            lambda state: state["models"]["lstm"]["model"].update({"head.weight": torch.zeros(304, 16)}),
            r"head.weight is \(304, 16\), this model's is \(256, 96\)",
        ),
        (
            lambda state: state["models"]["lstm"].update(optimizers=[]),
            "the optimizer's state of lstm is another model's",
        ),
        (
            lambda state: [state[part].update(hold=state[part].pop("freeze_head")) for part in ("asked", "config")],
            r"begun by another version of this program \(hold: unknown setting.* start anew with --overwrite",
        ),
    ],
    ids=["no model", "another vocabulary", "another optimizer", "another version"],
)
def test_a_checkpoint_of_another_model_is_refused_and_kept(
    root: Path, finished: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    state = load_checkpoint(checkpoints(finished / "checkpoints")[-1])
    state["asked"]["run"] = state["config"]["run"] = str(tmp_path / "run")
    change(state)
    path = save_checkpoint(tmp_path / "run/checkpoints", 6, state, keep=2)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=words):
        prepare(settings(root, tmp_path / "run"))
    assert path.read_bytes() == before


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path, finished: Path) -> None:
    state = torch.load(checkpoints(finished / "checkpoints")[-1], weights_only=True)
    path = tmp_path / "step-0000006.pt"
    torch.save([1, 2], path)
    with pytest.raises(CorruptError, match="not a whole checkpoint"):
        load_checkpoint(path)
    torch.save({key: value for key, value in state.items() if key != "film"}, path)
    with pytest.raises(CorruptError, match=r"not a whole checkpoint \(it has no film\)"):
        load_checkpoint(path)
    torch.save({**state, "schema_version": "9.0"}, path)
    with pytest.raises(SchemaVersionError, match=r"schema version 9\.0, .*start anew with --overwrite"):
        load_checkpoint(path)


def test_a_checkpoint_of_another_format_is_refused(finished: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoints(finished / "checkpoints")[-1], weights_only=True)
    torch.save({**state, "format": 2}, tmp_path / "step-0000006.pt")
    with pytest.raises(ConfigError, match="a checkpoint of format 2, this program's is 1"):
        load_checkpoint(tmp_path / "step-0000006.pt")
