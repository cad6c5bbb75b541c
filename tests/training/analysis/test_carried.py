"""Evaluation along whole streams: the state, what is scored, averages, and weights that adapt without looking ahead."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from schema.actions import Phase
from schema.errors import ConfigError
from tests.training.warehouse import COLS, ROWS, write_warehouse
from training.analysis.adapting import AdaptConfig
from training.analysis.carried import Stretch, Truth, follow, interval, scores, stretches, truths
from training.analysis.predictor import NO_KEY, Sliding, as_predictor, ranks_of
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader, FilmWindow
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.gradients import token_losses

LENGTHS = {"a/one": 600, "a/three": 333, "a/two": 450}  # as the reader numbers them


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FilmReader:
    return FilmReader(Warehouse(write_warehouse(tmp_path_factory.mktemp("w"), LENGTHS)))


LEARNER: dict[str, Any] = {"head": "cursor", "guesses": 2, "previous_key": True, "skip": True}


def frame_model(backbone: str = "lstm", **settings: Any) -> FrameModel:
    torch.manual_seed(0)
    config = ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, backbone=backbone, matched=False, **settings)
    return FrameModel(config).double().eval()


class KeyModel(nn.Module):
    """Predicts a key from the one before it and a running mean of all keys."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(NO_KEY + 1, 8)
        self.cell = nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, 256)

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        return (torch.zeros(batch, 8),)

    def forward(
        self, cells_BTRC: Tensor, previous_BT: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        (h_BD,) = self.initial_state(len(previous_BT)) if state is None else state
        y_BTD, h_LBD = self.cell(self.embed(previous_BT), h_BD[None])
        return self.head(y_BTD), (h_LBD[0],)


class KeysOnlyFilm:
    """Windows of given keys on blank screens: a reader of one stream."""

    def __init__(self, keys_T: np.ndarray) -> None:
        self.keys_T = keys_T.astype(np.int64)

    def window(self, stream: int, start: int, length: int) -> FilmWindow:
        part = slice(start, start + length)
        return FilmWindow(np.zeros((length, 1, 1), np.int16), self.keys_T[part], np.zeros(length, np.uint8))


def whole(reader: FilmReader, model: nn.Module, part: Stretch) -> np.ndarray:
    """Losses of a stretch's scored steps from one pass over all of it."""
    window = reader.window(part.stream, part.start, part.stop - part.start)
    actions = torch.from_numpy(window.action_T)[None]
    previous = torch.cat((torch.tensor([[NO_KEY]]), actions[:, :-1]), 1)
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(window.cells_TRC)[None], previous)
    return token_losses(logits, actions)[0, part.scored - part.start :].numpy()


@pytest.mark.parametrize(
    ("backbone", "settings"),
    [("lstm", {}), ("frame_only", {}), ("mingru", {}), ("mamba2", LEARNER), ("lstm", {**LEARNER, "memory": 50})],
)
def test_streams_of_any_lengths_side_by_side_are_predicted_as_each_is_alone(
    reader: FilmReader, backbone: str, settings: dict[str, Any]
) -> None:
    model = as_predictor(frame_model(backbone, **settings))
    assert not isinstance(model, Sliding)
    parts = [Stretch(1, 0, 100, 333), Stretch(0, 50, 60, 600), Stretch(2, 0, 449, 450), Stretch(0, 0, 5, 128)]
    for part, track in zip(parts, follow(model, reader, parts), strict=True):
        assert track.stretch == part
        np.testing.assert_allclose(track.losses_T, whole(reader, model, part), atol=2e-6)


def test_a_model_that_reads_keys_is_given_the_one_before_and_none_at_the_start(reader: FilmReader) -> None:
    parts = [Stretch(0, 37, 40, 300), Stretch(1, 0, 1, 130)]
    for part, track in zip(parts, follow(KeyModel(), reader, parts), strict=True):
        np.testing.assert_allclose(track.losses_T, whole(reader, KeyModel(), part), atol=2e-6)


@pytest.mark.parametrize("settings", [{}, LEARNER, {**LEARNER, "screen_attention": 8}])
def test_a_transformer_has_at_least_its_context_at_every_step(reader: FilmReader, settings: dict[str, Any]) -> None:
    model = as_predictor(frame_model("transformer", **settings), context=40)
    (track,) = follow(model, reader, [Stretch(0, 0, 0, 200)])
    window = reader.window(0, 0, 200)
    for step in (0, 63, 64, 150, 199):
        first = max(0, step // 64 * 64 - 40)  # the chunk's start, and its context
        previous = torch.tensor([NO_KEY, *window.action_T])[None, first : step + 1]
        with torch.no_grad():
            logits, _ = model.model(torch.from_numpy(window.cells_TRC[first : step + 1])[None], previous)
        slow = token_losses(logits[:, -1:], torch.from_numpy(window.action_T[step : step + 1])[None])
        assert track.losses_T[step] == pytest.approx(float(slow), abs=1e-5)


def test_what_is_scored_begins_late_and_of_short_streams_after_a_quarter() -> None:
    segments = [Segment(0, 0, 100_000), Segment(1, 500, 1500), Segment(2, 0, 7), Segment(3, 0, 65_536)]
    assert stretches(segments) == [
        Stretch(0, 0, 16_384, 80_000),
        Stretch(1, 500, 750, 1500),
        Stretch(3, 0, 16_384, 65_536),
    ]
    with pytest.raises(ConfigError, match="harvest more"):
        stretches(segments[2:3])


def test_ranks_count_the_keys_held_likelier_and_equals_by_their_number() -> None:
    logits = torch.tensor([[[1.0, 3.0, 2.0, 2.0]]]).expand(1, 4, 4)
    assert ranks_of(logits, torch.tensor([[0, 1, 2, 3]])).tolist() == [[3, 0, 1, 2]]


def test_tables_average_by_repository_phase_and_lag() -> None:
    keys, phases = np.zeros(4, np.uint8), np.array([Phase.SHELL, Phase.SHELL, Phase.INSERT, Phase.INSERT], np.uint8)
    truth = [
        Truth("a/a", keys, phases, np.array([0, 0, 5, -2], np.int32)),
        Truth("b/b", keys, phases, np.zeros(4, np.int32)),
    ]
    losses = [np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 5.0)]
    ranks = [np.array([0, 4, 5, 0], np.uint8), np.zeros(4, np.uint8)]
    found = scores(losses, truth, ranks)
    assert found["nats"] == 3.75
    assert found["by_repo"] == {"a/a": 2.5, "b/b": 5.0}
    assert found["by_phase"] == {"shell": 3.25, "insert": 4.25}
    assert found["by_lag"] == {"visible now": 23 / 6, "1-10": 3.0}
    assert (found["right"], found["top5"]) == (6 / 8, 7 / 8)
    assert found["right_by_phase"] == {"shell": 0.75, "insert": 0.75}


def test_an_interval_resamples_repositories_not_steps() -> None:
    losses = [np.full(100, 1.0), np.full(300, 2.0), np.full(100, 2.0)]
    assert interval(losses, ["a", "b", "b"]) == (1.8, 1.0, 2.0)
    assert interval(losses[:1], ["a"]) == (1.0, 1.0, 1.0)


def test_what_happened_is_read_from_the_film(reader: FilmReader) -> None:
    lags = {0: np.arange(600, dtype=np.int32)}
    (truth,) = truths(reader, [Stretch(0, 10, 20, 590)], lags)
    assert truth.repo_id == "a/one"
    np.testing.assert_array_equal(truth.actions_T, reader.window(0, 20, 570).action_T)
    np.testing.assert_array_equal(truth.lags_T, np.arange(20, 590))


# adapting ------------------------------------------------------------------------------------------------------------


def test_adapting_learns_and_leaves_the_fitted_weights_as_they_are() -> None:
    film = KeysOnlyFilm(np.tile(np.frombuffer(b"git add -A && git commit -qm x\r", np.uint8), 100))
    model = KeyModel()
    fitted = copy.deepcopy(model.state_dict())
    part = Stretch(0, 0, 1000, 3000)
    (frozen,) = follow(model, film, [part])
    (adapted,) = follow(model, film, [part], AdaptConfig(rate=1e-2))
    assert adapted.losses_T.mean() < frozen.losses_T.mean() - 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, fitted[name])
    assert all(p.grad is None for p in model.parameters())


def test_every_stream_begins_with_the_fitted_weights(reader: FilmReader) -> None:
    parts = [Stretch(0, 0, 10, 300), Stretch(1, 0, 10, 300)]
    both = follow(KeyModel(), reader, parts, AdaptConfig(rate=1e-2))
    alone = follow(KeyModel(), reader, parts[1:], AdaptConfig(rate=1e-2))
    np.testing.assert_array_equal(both[1].losses_T, alone[0].losses_T)


@pytest.mark.parametrize(("every", "rate"), [(1, 0.05), (16, 0.05), (64, 3e-4)])
def test_keys_drawn_at_random_cannot_be_learned_while_they_are_read(every: int, rate: float) -> None:
    """From the uniform they cost log 256; updates seen before their own predictions: 5.35, 5.43, 5.5447."""
    film = KeysOnlyFilm(np.random.default_rng(0).integers(0, 256, 20 * every))
    model = KeyModel()
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    (track,) = follow(model, film, [Stretch(0, 0, 0, 20 * every)], AdaptConfig(rate=rate, every=every))
    assert track.losses_T.mean() >= math.log(256) - 1e-4


def test_a_prediction_that_adapts_depends_on_earlier_keys_alone() -> None:
    keys = np.random.default_rng(0).integers(97, 100, 400)
    other = keys.copy()
    other[250:] = 110
    config = AdaptConfig(rate=1e-2, every=32)
    (one,), (two,) = (follow(KeyModel(), KeysOnlyFilm(k), [Stretch(0, 0, 0, 400)], config) for k in (keys, other))
    np.testing.assert_array_equal(one.losses_T[:250], two.losses_T[:250])
    (frozen,) = follow(KeyModel(), KeysOnlyFilm(keys), [Stretch(0, 0, 0, 400)])
    np.testing.assert_allclose(one.losses_T[:32], frozen.losses_T[:32], rtol=1e-5)
    assert not np.allclose(one.losses_T[32:64], frozen.losses_T[32:64], rtol=1e-3)
