"""Every cell of known_law: an LSTM of width 48 on the recall film, trained on windows of 4 to 256 steps."""

from __future__ import annotations

from figures.film_rows import FILM, best_rate, film_table
from figures.known_law.plot import FRAMES, plot, verdict
from figures.sweep import Figure
from training.tasks.frozen_head import FilmConfig

NAME = "known_law"
LENGTHS = (4, 8, 16, 32, 64, 128, 256)
UPDATES = 2400
WIDTH = 48
SEEDS = range(5)
RATES = (0.004, 0.008, 0.016)
RATE_LENGTHS = (16, 256)


def cell(length: int, seed: int, updates: int = UPDATES, rate: float | None = None) -> FilmConfig:
    """One run of FRAMES frames an update, at the swept rate unless one is given."""
    return FilmConfig(
        film="recall",
        model="lstm",
        layers=1,
        width=WIDTH,
        length=length,
        batch=FRAMES // length,
        rate=rate or best_rate(NAME, "recall", "lstm", length),
        updates=updates,
        seed=seed,
    )


def cells(updates: int = UPDATES, longest: int = LENGTHS[-1], seeds: range = SEEDS) -> list[FilmConfig]:
    """Every length, seed by seed."""
    return [cell(length, seed, updates) for seed in seeds for length in LENGTHS if length <= longest]


FIGURE = Figure(
    name=NAME,
    cpu_hours=1.0,
    cells=cells,
    quick_cells=lambda: cells(updates=100, longest=64, seeds=range(1)),
    full_cells=lambda: cells(updates=20_000),
    rate_cells=lambda: [cell(length, 0, updates=UPDATES // 3, rate=rate) for length in RATE_LENGTHS for rate in RATES],
    plot=plot,
    kind=FILM,
    table=film_table,
    verdict=verdict,
)

redraw = FIGURE.redraw
