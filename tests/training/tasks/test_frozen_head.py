"""Training on cached frame vectors: exact contexts, averaging, bins, and the same bits twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.tasks import frozen_head as film
from training.tasks.frozen_head import FilmConfig, VectorFilm, VectorStream


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "LONGEST", 16)
    monkeypatch.setattr(film, "TARGETS", {"test": 8, "validation": 8})
    monkeypatch.setattr(film, "CURVE_TARGETS", 4)


def stream(name: str, split: str, steps: int, seed: int) -> VectorStream:
    """The key is what the frame before the last showed: one step of memory is all it takes."""
    rng = np.random.default_rng(seed)
    shown_T = rng.integers(0, 4, steps)
    lag_T = rng.integers(-2, 20, steps).astype(np.int32)
    return VectorStream(name, split, np.eye(8, dtype=np.float16)[shown_T] * 3, np.roll(shown_T, 1) + 97, lag_T)


@pytest.fixture
def made() -> VectorFilm:
    streams = [stream("a", "train", 300, 0), stream("b", "train", 200, 1), stream("c", "validation", 90, 2)]
    return VectorFilm("real", "made", (*streams, stream("d", "test", 90, 3), stream("e", "test", 80, 4)))


def config(**changes: object) -> FilmConfig:
    settings = {
        "film": "real", "model": "lstm", "layers": 1, "width": 8, "length": 4, "batch": 8, "rate": 0.02,
        "updates": 20, "seed": 0,
    }  # fmt: skip
    return FilmConfig.model_validate(settings | changes)


@pytest.mark.parametrize("model", ["lstm", "frame_only", "transformer", "mamba2", "mingru"])
@pytest.mark.parametrize("context", [1, 5, 16])
def test_each_target_is_given_exactly_so_many_frames(
    made: VectorFilm, model: str, context: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    reader = film.VectorModel(config(model=model, width=16), 8)
    targets = film.pick_targets(made, "test", 8)
    monkeypatch.setattr(film, "BUDGET", 37)  # several uneven parts
    losses_N, right_N = film.context_losses(reader, targets, context)
    streams = made.of("test")
    lengths = [len(stream.action_T) for stream in streams]
    for loss, right, end, number in zip(losses_N, right_N, targets.end_N, targets.stream_N, strict=True):
        step = end - sum(lengths[:number])
        window = streams[number].x_TD[step - context + 1 : step + 1]
        with torch.no_grad():
            logits_V = reader.head(reader.features(torch.from_numpy(window)[None].float()))[0, -1]
        key = int(streams[number].action_T[step])
        assert loss == pytest.approx(-float(logits_V.log_softmax(0)[key]), abs=1e-5)
        assert right == (int(logits_V.argmax()) == key)


def test_a_run_gives_the_same_numbers_twice_and_another_seed_others(made: VectorFilm) -> None:
    first, again, other = (
        film.fit(config(seed=seed), made).model_dump(exclude={"seconds", "cpu_seconds"}) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["loss"] != other["loss"]


def test_memory_is_learnt_where_it_is_in_the_window(made: VectorFilm) -> None:
    with_memory = film.fit(config(updates=400, width=32), made)
    without = film.fit(config(updates=400, width=32, model="frame_only"), made)
    assert with_memory.loss < 0.5 < 1.2 < without.loss
    assert with_memory.state_bytes == 2 * 32 * 4
    assert without.state_bytes == 0
    assert with_memory.frames == 400 * 8 * 4


def test_the_curve_ends_at_the_end_and_holds_the_marks(made: VectorFilm) -> None:
    result = film.fit(config(updates=20, marks=(3, 50)), made)
    assert list(result.curve) == [3, 20]
    assert list(result.seconds) == [3, 20]
    assert film.doubling_marks(2400, (1000,)) == [150, 300, 600, 1000, 1200, 2400]


def test_only_questions_are_targets_of_a_film_of_questions(made: VectorFilm) -> None:
    targets = film.pick_targets(made._replace(questions=True), "test", 8)
    assert (targets.lag_N > 0).all()
    with pytest.raises(ValueError, match=r"stream d: .* possible targets of 900"):
        film.pick_targets(made, "test", 900)


def test_windows_never_cross_streams(made: VectorFilm) -> None:
    starts = film.draw_starts(made, 50, 64, 0)
    seen = np.concatenate([next(starts) for _ in range(40)])
    assert ((seen <= 250) | (seen >= 300)).all()
    assert seen.max() <= 450
    assert {0, 250, 300, 450} <= set(seen.tolist())


def test_the_average_is_the_polynomial_decay_average() -> None:
    torch.manual_seed(0)
    model, average = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).requires_grad_(False)
    expected = None
    for update in range(1, 30):
        with torch.no_grad():
            model.weight.normal_()
        film.average_(average, model, update)
        share = 9 / (8 + update)
        weight = model.weight.detach().clone()
        expected = weight if expected is None else expected + share * (weight - expected)
    assert torch.allclose(average.weight, expected, atol=1e-6)


def test_bins() -> None:
    lags = np.array([-2, -1, 0, 1, 2, 3, 4, 2047, 2048, 9999], np.int32)
    edges = [film.LAG_EDGES[number] for number in film.lag_bins(lags)]
    assert edges == [-2, -1, 0, 1, 2, 2, 4, 1024, 2048, 2048]
    places = film.place_bins(np.arange(8.0)[None])
    assert places == {1: 0.0, 2: 1.0, 3: 2.5, 5: 5.5}
    assert film.place_bins(np.arange(6.0)[None])[5] == 4.5
