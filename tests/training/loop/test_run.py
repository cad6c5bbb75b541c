"""The training loop, tiny: plan, outputs, exact resume, every kind of run."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from schema.errors import ConfigError
from tests.training.runs import MODEL, settings, weights
from tests.training.warehouse import write_warehouse
from training.data.tokenizer import Tokenizer
from training.fit import parse
from training.loop.checkpoint import checkpoints, save_checkpoint
from training.loop.distributed import Process, has_bf16, pick_device
from training.loop.prepare import prepare
from training.loop.report import read_log
from training.loop.run import Run, fit
from training.loop.summary import plan_words
from training.model.weights import load_weights


def test_a_run_leaves_what_it_promises(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    for key in ("loss_first", "loss_last", "loss_unigram", "loss_frame_only", "bytes_per_frame"):
        assert math.isfinite(summary[key])
    assert (summary["steps"], summary["updates"]) == (900, 6)
    assert json.loads((finished / "config.json").read_text())["bf16"] is has_bf16(pick_device("auto"))
    for name in ("config.json", "plan.txt", "samples.txt", "loss.png", "best.safetensors"):
        assert (finished / name).stat().st_size > 0
    assert list((finished / "tensorboard").iterdir())
    lines = read_log(finished / "log.jsonl")
    assert [line["update"] for line in lines if "train/lstm" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["update"] for line in lines if "validation/lstm/loss" in line] == [0, 2, 4, 6]


def test_the_plan_is_said_first(finished: Path) -> None:
    plan = (finished / "plan.txt").read_text()
    assert "6 updates of lstm and of frame-only" in plan
    assert "parameters (frame head" in plan
    assert "the last 10 %" in plan


def test_weights_carry_their_configuration(finished: Path) -> None:
    model, metadata = load_weights(finished / "best.safetensors")
    assert (model.config.rows, model.config.cols, model.config.backbone) == (8, 24, "lstm")
    assert json.loads(metadata["run"])["window"] == 16


def test_a_killed_run_ends_in_the_same_weights(root: Path, finished: Path, tmp_path: Path) -> None:
    def killed(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
        path = save_checkpoint(folder, step, state, keep)
        if step == 4:
            raise KeyboardInterrupt
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.resume.save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(settings(root, tmp_path / "run"))
    assert [path.name for path in checkpoints(tmp_path / "run/checkpoints")] == ["step-0000002.pt", "step-0000004.pt"]
    summary = fit(settings(root, tmp_path / "run"))
    assert summary["updates"] == 6
    for name in ("lstm", "frame_only"):
        mine, theirs = weights(tmp_path / "run", name), weights(finished, name)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "stream", "chunk": 5},
        {"mode": "stream_embeddings", "chunk": 7, "reuse": False},
        {"accumulate": 2, "length_warmup": 0.5, "carried": False},
        {"preset": "published_tiny", "window": 16},
        {"backbone": "transformer", "model": {**MODEL, "matched": False}},
        {"model": {**MODEL, "head": "none", "guesses": 0}},
        {"model": {**MODEL, "head": "published"}, "reset": 0.5},
        {"optimizer": "muon"},
        {"bf16": True},
        {"tokens": 280},
        {"backbone": "mingru", "baseline": False, "model": {**MODEL, "matched": False}},
    ],
    ids=str,
)
def test_every_kind_of_run_ends(root: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    summary = fit(settings(root, tmp_path / "run", steps=3, evaluations=1, **changes))
    assert math.isfinite(summary["loss_last"])


def test_it_learns_more_than_unigram(root: Path, tmp_path: Path) -> None:
    run = settings(root, tmp_path / "run", steps=60, window=24, batch=4, learning_rate=1e-2, baseline=False)
    summary = fit(run)
    assert summary["loss_last"] < min(summary["loss_unigram"], 0.8 * summary["loss_first"])


def test_accumulation_and_streaming_give_the_same_losses(root: Path, tmp_path: Path) -> None:
    curves = []
    for number, changes in enumerate([{}, {"accumulate": 2}, {"mode": "stream", "chunk": 6}]):
        fit(settings(root, tmp_path / str(number), steps=4, **changes))
        lines = read_log(tmp_path / str(number) / "log.jsonl")
        curves.append([line["train/lstm"] for line in lines if "train/lstm" in line])
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert curves[2] == pytest.approx(curves[0], abs=1e-5)


def test_a_loss_that_is_no_number_stops_with_a_dump(root: Path, tmp_path: Path) -> None:
    run = Run(prepare(settings(root, tmp_path / "run")))
    with torch.no_grad():
        run.learners["lstm"].model.head.weight.fill_(float("nan"))
    with pytest.raises(ConfigError, match=r"lstm: loss nan at update 1; .*diverged-rank0.pt"):
        run.train()
    assert (tmp_path / "run/diverged-rank0.pt").exists()


def test_a_batch_that_does_not_divide_is_refused_first(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.prepare.join_ranks", lambda device: Process(torch.device("cpu"), 0, 3))
    with pytest.raises(ConfigError, match="batch 2 does not divide by 3 ranks; use --batch 3"):
        prepare(settings(root, tmp_path / "run"))


@pytest.mark.parametrize(("flags", "used"), [([], True), (["--no-bf16"], False), (["--bf16"], True)])
def test_a_flag_says_more_than_the_gpu_about_bf16(
    root: Path, tmp_path: Path, flags: list[str], used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.prepare.has_bf16", lambda device: True)
    asked = parse(flags).bf16
    assert prepare(settings(root, tmp_path / "run", bf16=asked)).config.bf16 is used


def test_a_film_of_a_few_steps_gets_a_window_that_fits(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 20})
    assert prepare(settings(root, tmp_path / "run", window=None)).data.window == 4
    short = write_warehouse(tmp_path / "short", {"a/one": 3})
    with pytest.raises(ConfigError, match="held-out one 2; harvest more commits"):
        prepare(settings(short, tmp_path / "run", window=None))


def test_a_tokenizer_left_by_another_run_is_not_taken_over(root: Path, tmp_path: Path) -> None:
    fit(settings(root, tmp_path / "run", tokens=260, steps=1, baseline=False))
    few = Tokenizer.load(tmp_path / "run/tokenizer.jsonl")
    run = prepare(settings(root, tmp_path / "run", tokens=20_351, overwrite=True))
    assert run.data.reader.tokenizer is not None
    assert len(few) == 260 < len(run.data.reader.tokenizer) < 20_351
    assert f"hold no more than {len(run.data.reader.tokenizer)} tokens, 20351 were asked" in plan_words(run)
    assert Tokenizer.load(tmp_path / "run/tokenizer.jsonl").tokens == few.tokens  # until the new run begins
