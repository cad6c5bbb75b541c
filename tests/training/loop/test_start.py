"""A trained start: the same model goes on, whatever the preset; what does not fit is one clear error."""

from pathlib import Path

import pytest
import torch

from schema.errors import ConfigError, CorruptError
from tests.training.runs import settings, weights
from training.loop.config import FitConfig
from training.loop.run import fit
from training.loop.start import begin, read_start
from training.model.config import preset
from training.model.frame_model import FrameModel
from training.model.weights import load_weights, save_weights


def started(root: Path, run: Path, init: Path | str, **changes: object) -> FitConfig:
    return settings(root, run, init=str(init), model={}, **changes)


def saved(path: Path, **model: object) -> FrameModel:
    torch.manual_seed(5)
    made = FrameModel(preset("tiny", 8, 24, width=16, **model))
    save_weights(path, made)
    return made


def test_a_run_begins_with_the_best_weights_of_another_whatever_the_preset(
    root: Path, finished: Path, tmp_path: Path
) -> None:
    summary = fit(started(root, tmp_path / "next", finished, steps=1, evaluations=1, preset="medium"))
    best, metadata = load_weights(finished / "best.safetensors")
    judged = fit(started(root, tmp_path / "same", finished, steps=1))
    assert summary["loss_first"] == judged["loss_first"] < 5
    own = load_weights(tmp_path / "next/models/lstm.safetensors")[0]
    assert own.config == best.config
    moved = [(own.state_dict()[name] - value).abs().max() for name, value in best.state_dict().items()]
    assert 0 < max(moved) < 0.02  # one update
    assert int(metadata["update"]) > 0


def test_a_file_is_a_start_as_well_and_the_models_beside_it_start_anew(root: Path, tmp_path: Path) -> None:
    made = saved(tmp_path / "mine.safetensors", memory=0)
    fit(started(root, tmp_path / "run", tmp_path / "mine.safetensors", steps=1, learning_rate=1e-9, weight_decay=0))
    own = weights(tmp_path / "run")
    for name, value in made.state_dict().items():
        torch.testing.assert_close(own[name], value, rtol=0, atol=2e-2 if "embed" in name else 1e-2)
    assert not torch.equal(weights(tmp_path / "run", "frame_only")["head.weight"], own["head.weight"])


def test_an_interrupted_run_goes_on_without_its_start(root: Path, tmp_path: Path) -> None:
    saved(tmp_path / "mine.safetensors")
    config = started(root, tmp_path / "whole", tmp_path / "mine.safetensors", evaluations=2)
    fit(config)
    other = config.model_copy(update={"run": str(tmp_path / "cut")})

    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.run.finish", cut)
        with pytest.raises(KeyboardInterrupt):
            fit(other)
    (tmp_path / "mine.safetensors").unlink()
    fit(other)
    mine, theirs = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("size", [(8, 24), (4, 30), (12, 20)])
def test_the_cursors_place_keeps_what_both_screens_have(size: tuple[int, int]) -> None:
    rows, cols = size
    small, other = FrameModel(preset("tiny", 8, 24, width=16)), FrameModel(preset("tiny", rows, cols, width=16))
    anew = other.state_dict()["frame_head.place_embed"].clone()
    begin(other, small, "x")
    before, after = small.state_dict(), other.state_dict()
    table, first = after["frame_head.place_embed"], before["frame_head.place_embed"]
    assert torch.equal(table[: min(rows, 8)], first[: min(rows, 8)])
    assert torch.equal(table[rows : rows + min(cols, 24)], first[8 : 8 + min(cols, 24)])
    assert torch.equal(table[min(rows, 8) : rows], anew[min(rows, 8) : rows])
    assert torch.equal(table[rows + min(cols, 24) :], anew[rows + min(cols, 24) :])
    assert all(torch.equal(after[name], before[name]) for name in before if name != "frame_head.place_embed")


def test_what_does_not_fit_is_refused_before_a_folder_is_made(root: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    saved(mine)
    saved(tmp_path / "gru.safetensors", backbone="mingru", backbone_layers=2)
    (tmp_path / "cut.safetensors").write_bytes(mine.read_bytes()[:-9])
    for init, changes, words in (
        (tmp_path / "nothing", {}, "no best.safetensors in it; give a run's folder or a .safetensors file"),
        (tmp_path / "no.safetensors", {}, "no such file"),
        (Path(__file__), {}, "not a .safetensors file, nor a run's folder"),
        (tmp_path / "gru.safetensors", {}, "its backbone is mingru; add --backbone mingru"),
        (mine, {"tokens": 300}, "it reads keys; leave --tokens out"),
        (mine, {"model": {"width": 32}}, "tensor|is .* this model's is"),
    ):
        with pytest.raises(ConfigError, match=words):
            fit(started(root, tmp_path / "run", init).model_copy(update=changes))
    with pytest.raises(CorruptError, match="not a whole safetensors file"):
        read_start(str(tmp_path / "cut.safetensors"))
    assert not (tmp_path / "run").exists()
