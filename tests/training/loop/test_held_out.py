"""What a finished run says of held-out film: samples to look at, and what its models are compared with."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.training.runs import settings
from training.loop.config import FitConfig
from training.loop.held_out import Counted
from training.loop.prepare import prepare
from training.loop.run import fit
from training.model.key_counts import KeyCounts
from training.model.weights import load_weights


def test_samples_show_a_screen_its_likeliest_keys_and_keys_under_guesses(finished: Path) -> None:
    entries = (finished / "samples.txt").read_text().split("update ")[1:]
    assert [entry.split("\n")[0] for entry in entries] == ["0", "2", "4", "6"]
    for entry in entries:
        rows = entry.split("\n")
        assert rows[1] == f"┌{'─' * 24}┐"
        assert "the next key" in rows[2]
        assert sum("< pressed" in row for row in rows) == 1
        assert (
            sum(row.startswith("predicted  ") for row in rows) == sum(row.startswith("pressed    ") for row in rows) > 0
        )


def test_a_run_is_compared_with_counts_of_the_same_held_out_keys(root: Path, finished: Path) -> None:
    data = prepare(settings(root, finished, overwrite=True)).data
    training = [data.reader.actions(segment) for segment in data.segments["train"]]
    held = [keys for batch in data.held_out.batches for keys in batch.actions_BT.numpy()]
    losses = [
        np.concatenate([KeyCounts.fit(training, order).losses(keys)[data.held_out.unscored :] for keys in held]).mean()
        for order in range(1, 8)
    ]
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["loss_counts"] == pytest.approx(min(losses))
    assert summary["loss_counts_4"] == pytest.approx(losses[3])
    bound = (math.log(2) + math.log(4)) / (len(held[0]) - data.held_out.unscored)  # what mixing may cost
    assert 0 < summary["loss_mixed"] < min(summary["loss_counts"], summary["loss_last"]) + bound


def test_mixed_with_itself_a_predictor_is_the_same_and_each_window_begins_anew() -> None:
    losses_WT = np.random.default_rng(0).exponential(size=(3, 50))
    assert Counted({2: losses_WT}).mixed(losses_WT) == pytest.approx(losses_WT.mean())
    other_WT = np.random.default_rng(1).exponential(size=(3, 50))
    alone = [Counted({2: losses_WT[w : w + 1]}).mixed(other_WT[w : w + 1]) for w in range(3)]
    assert Counted({2: losses_WT}).mixed(other_WT) == pytest.approx(np.mean(alone))


def test_a_model_that_reads_keys_is_compared_with_one_that_reads_nothing_else(root: Path, tmp_path: Path) -> None:
    model = {"head": "cursor", "guesses": 1, "previous_key": True, "skip": True, "width": 16, "memory": 0}
    config = {
        "shards": str(root), "run": str(tmp_path / "run"), "preset": "tiny", "model": model, "steps": 2, "batch": 2,
        "window": 16, "evaluations": 1, "validation_windows": 2, "threads": 1,
    }  # fmt: skip
    summary = fit(FitConfig.model_validate(config))
    assert math.isfinite(summary["loss_keys_only"])
    assert load_weights(tmp_path / "run/models/keys_only.safetensors")[0].config.head == "none"
    assert load_weights(tmp_path / "run/models/frame_only.safetensors")[0].config.reads_keys is False
