"""How long the windows are that film is cut into."""

from training.loop.config import FitConfig
from training.loop.data import choose_window


def test_short_film_is_cut_into_short_windows_unless_a_length_is_asked_for() -> None:
    windows = FitConfig(preset="published_small")
    assert choose_window(windows, 10_000) == 64
    assert choose_window(windows, 100) < 50
    assert choose_window(FitConfig(), 10_000) == 32
    assert choose_window(FitConfig(), 100) <= 25
    assert choose_window(FitConfig(window=77), 10) == 77
