"""Evaluation: exact contexts, gains, tables."""

import numpy as np
import pytest
import torch

from schema.errors import ConfigError
from tests.training.models import small_learner, small_model
from training.analysis.evaluate import (
    by_phase,
    by_position,
    context_losses,
    evaluate,
    gain,
    in_window,
    spread_targets,
    tables,
)
from training.analysis.metrics import Predictions
from training.analysis.word_lags import NEVER, NO_WORD
from training.data.splits import Segment
from training.data.windows import FilmReader
from training.model.gradients import previous_keys, token_losses


@pytest.mark.parametrize("backbone", ["lstm", "transformer", "frame_only", "learner"])
def test_every_context_sees_exactly_its_frames(reader: FilmReader, backbone: str) -> None:
    model = small_learner() if backbone == "learner" else small_model(backbone)
    targets = [(0, 70), (0, 40), (0, 41), (0, 300)]
    losses = context_losses(model, reader, targets, [1, 7, 32])
    for row, context in enumerate([1, 7, 32]):
        for column, (stream, step) in enumerate(targets):
            window = reader.window(stream, step - context + 1, context)
            with torch.no_grad():
                action_BT = torch.from_numpy(window.action_T)[None]
                previous_BT = previous_keys(action_BT, model.vocabulary)
                logits, _ = model(torch.from_numpy(window.cells_TRC)[None], previous_BT, reuse=False)
            slow = token_losses(logits[:, -1:], action_BT[:, -1:])
            assert losses[row, column] == pytest.approx(float(slow), abs=1e-5)


def test_a_target_needs_its_context(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="fewer than 32 frames before it"):
        context_losses(small_model(), reader, [(0, 10)], [32])


def test_targets_are_spread_in_runs_with_room_before_them() -> None:
    targets = spread_targets([Segment(0, 100, 1000), Segment(1, 0, 20)], 64, longest=50, run=16)
    assert len(targets) == 64
    assert min(step for _, step in targets) >= 149
    assert max(step for _, step in targets) <= 999


def test_positions_double_and_phases_are_named() -> None:
    losses = np.arange(5, dtype=np.float32)[None]
    actions = np.zeros((1, 5), np.int64)
    phases = np.array([[0, 0, 3, 3, 3]], np.uint8)
    predictions = Predictions(losses, actions, actions, phases)
    assert by_position(predictions) == {"1": 0.0, "2": 1.0, "3-4": 2.5, "5": 4.0}
    assert by_phase(predictions) == {"shell": 0.5, "insert": 3.0}


def test_evaluation_gives_every_table_for_every_model(reader: FilmReader) -> None:
    models = {name: small_model(name).float() for name in ("lstm", "frame_only")}
    result = evaluate(models, reader, "validation", window=20, count=2)
    assert set(result["models"]) == {"lstm", "frame_only"}
    assert sum(count for _, count in result["models"]["lstm"]["by_lag"].values()) > 0
    text = tables(result)
    assert "steps since the typed word was on screen" in text
    assert "frame-only" in text


def test_a_word_counts_as_in_the_window_only_if_it_was_last_seen_there() -> None:
    lags = np.array([[NO_WORD, 0, 0, NO_WORD, 3, 3, NO_WORD, 8, 8, NEVER]], np.int32)
    expected = [[False, True, True, False, True, True, False, False, False, False]]
    np.testing.assert_array_equal(in_window(lags), expected)
    np.testing.assert_array_equal(in_window(lags[:, 5:]), [[False, False, False, False, False]])


def test_gains_are_paired_and_their_interval_is_over_windows() -> None:
    random = np.random.default_rng(0)
    base = random.normal(3, 1, (40, 16)).astype(np.float32)
    losses = base - random.normal(0.2, 0.1, (40, 1)).astype(np.float32)
    where = np.ones(base.shape, bool)
    found = gain(base, losses, where)
    assert found is not None
    mean, low, high = found
    assert mean == pytest.approx(float((base - losses).mean()), abs=1e-6)
    assert low < mean < high
    assert 0.02 < high - low < 0.12  # 4 x 0.1 / sqrt(40)
    assert gain(base, losses, ~where) is None


def test_gains_part_what_the_window_holds_from_what_it_does_not(reader: FilmReader) -> None:
    models = {name: small_model(name).float() for name in ("lstm", "frame_only")}
    result = evaluate(models, reader, "validation", window=20, count=2)
    parts = result["models"]["lstm"]["gain"]
    assert {"all", "no word"} <= parts.keys()
    assert "gain" not in result["models"]["frame_only"]
    assert "nats below frame-only [95 %]" in tables(result)


def test_a_longer_window_does_not_reach_into_what_was_learned(reader: FilmReader) -> None:
    """60 of 600 steps are held out; a window of 50 would otherwise take the split of windows of 50."""
    models = {"lstm": small_model().float()}
    assert evaluate(models, reader, "validation", window=50, count=9, split_window=20)["windows"] == 1
    with pytest.raises(ConfigError, match="window of 90 steps, but the longest stream of this split has 60"):
        evaluate(models, reader, "validation", window=90, count=9, split_window=20)


def test_a_split_without_film_says_so(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="no test film"):
        evaluate({"lstm": small_model().float()}, reader, "test", window=20, count=2)
