"""What the film figures compute from their rows: fits, window means, intervals, overtaking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from figures.film_rows import FILM, interval
from figures.length_law import fits
from figures.params_vs_length.plot import BASE, WAYS, spent
from figures.rows import Row, append_row, read_rows
from figures.wall_time.overtaking import Curve, overtakes
from training.tasks.frozen_head import FilmConfig, FilmResult, doubling_marks


def row(seed: int = 0, **changes: object) -> Row:
    config = FilmConfig(
        film="real", model="lstm", layers=1, width=48, length=8, batch=4, rate=0.01, updates=600, marks=(5, 7),
        seed=seed,
    )  # fmt: skip
    marks = doubling_marks(600)
    result: dict[str, object] = {
        "digest": "none", "parameters": 1, "state_bytes": 2, "frames": 3, "loss": 2.0, "validation": 2.5,
        "accuracy": 0.4, "by_stream": {"a/b": 1.5, "c/d.js": 2.5}, "by_lag": {-2: 2.0, -1: 3.0, 0: 2.5, 4: 1.0},
        "lag_counts": {-2: 4, -1: 2, 0: 2, 4: 2}, "by_place": {1: 4.0, 2: 3.0, 3: 2.0, 5: 1.0},
        "curve": dict.fromkeys(marks, 2.0), "undertrained": False, "seconds": dict.fromkeys(marks, 1.0),
        "cpu_seconds": 9.0,
    }  # fmt: skip
    return Row(config, FilmResult.model_validate(result | changes), FILM)


def test_a_film_row_survives_the_csv(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    first, second = row(0, loss=0.1 + 0.2), row(1)
    append_row(path, first)
    append_row(path, second)
    assert read_rows(path, FILM) == [first, second]
    assert first.key == "real-lstm-l1-d48-t8-b4-r0.01-u600-s0"
    assert "seconds" not in FILM.metrics
    assert "curve" in FILM.metrics


def test_fits_find_the_law_that_made_the_losses() -> None:
    lengths = np.array([4.0, 8, 16, 32, 64, 128, 256])
    straight = fits.log_log(lengths, 3.0 * lengths**-0.25)
    assert straight.exponent == pytest.approx(0.25)
    assert straight.scale == pytest.approx(3.0)
    assert straight.r2 == pytest.approx(1.0)
    bent = fits.offset_power(lengths, 2.0 + 1.5 * lengths**-0.5)
    assert (bent.offset, bent.scale, bent.exponent) == pytest.approx((2.0, 1.5, 0.5), abs=0.05)
    assert bent.r2 > 0.999
    assert bent(lengths) == pytest.approx(2.0 + 1.5 * lengths**-0.5, abs=0.01)


def test_window_means_and_cold_starts_by_hand() -> None:
    # places 1, 2, 3-4, 5-8 with losses 4, 3, 2, 1
    assert fits.mean_of_places({1: 4.0, 2: 3.0, 3: 2.0, 5: 1.0}, 8) == (4 + 3 + 2 * 2 + 4 * 1) / 8
    assert fits.cold_start([2, 4], [row()]) == [(4 + 3) / 2, (4 + 3 + 2 * 2) / 4]


def test_perfect_recall_takes_off_the_words_in_reach() -> None:
    assert fits.perfect_recall([2, 4, 8], [row()]) == [2.0, 2.0, pytest.approx(2.0 - 2 * 1.0 / 10)]
    assert fits.ideal_recall([4, 8], {1: 5, 4: 5}, 8) == [pytest.approx(np.log(8) / 2), 0.0]


def test_the_interval_covers_seeds_and_streams() -> None:
    rng = np.random.default_rng(0)
    losses = 2.0 + 0.1 * rng.standard_normal((5, 4))
    low, high = interval([losses], lambda means: means[0])
    assert losses.min() < low < losses.mean() < high < losses.max()
    constant = np.full((3, 2), 1.5)
    low, high = interval([constant, constant + 1], lambda means: means[1] - means[0])
    assert (low, high) == (1.0, 1.0)


def curve(seconds: list[float], losses: list[float]) -> Curve:
    return Curve(np.arange(1.0, len(losses) + 1), np.array(seconds), np.array(seconds) * 10, np.array(losses))


def test_overtaking_is_for_good() -> None:
    shorter = curve([1, 10, 100], [3.0, 2.0, 2.0])
    longer = curve([1, 10, 100], [4.0, 3.0, 1.0])
    place = overtakes(shorter, longer, "seconds")
    assert place == pytest.approx(10**1.5, rel=0.03)  # 3 -> 1 crosses 2 half way, in log time
    assert overtakes(shorter, longer, "frames") == pytest.approx(10 * 10**1.5, rel=0.03)
    assert overtakes(longer, shorter, "seconds") is None
    assert overtakes(shorter, curve([1, 10, 100], [2.0, 1.0, 1.0]), "seconds") == 1.0


@pytest.mark.parametrize("way", WAYS)
def test_every_way_spends_the_same(way: str) -> None:
    def compute(sizes: dict[str, int]) -> int:
        return sizes["width"] ** 2 * sizes["length"] * sizes["batch"] * sizes["updates"]

    assert compute(spent(way, 16)) == 16 * compute(BASE)
    assert compute(spent(way, 4)) == 4 * compute(BASE)
