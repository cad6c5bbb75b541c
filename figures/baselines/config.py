"""Every cell of baselines: five backbones of about 19 k parameters on windows of 64 steps."""

from __future__ import annotations

from figures.baselines.plot import EQUAL_UPDATES, plot, table
from figures.film_rows import FILM, best_rate
from figures.sweep import Figure
from training.tasks.frozen_head import FilmConfig

NAME = "baselines"
LAYERS = {"lstm": 1, "frame_only": 1, "transformer": 2, "mamba2": 2, "mingru": 2}
# Updates that take about as long as the slowest backbone's EQUAL_UPDATES, by the speed measured in the rate sweep.
# Numbers, not a clock: a rerun must give the same row.
EQUAL_TIME = {"lstm": 2300, "frame_only": 2200, "transformer": 600, "mamba2": 600, "mingru": 1000}
LENGTH, BATCH, WIDTH = 64, 16, 48
SEEDS = range(5)
RATES = (0.001, 0.004, 0.016)
RATE_LENGTHS = (16, 64)
RATE_UPDATES = 300


def cell(model: str, seed: int, updates: int, length: int = LENGTH, rate: float | None = None) -> FilmConfig:
    """One run, measured also after EQUAL_UPDATES; the swept rate unless one is given."""
    return FilmConfig(
        film="real",
        model=model,
        layers=LAYERS[model],
        width=WIDTH,
        length=length,
        batch=BATCH * LENGTH // length,
        rate=rate or best_rate(NAME, "real", model, length),
        updates=updates,
        marks=(EQUAL_UPDATES,),
        seed=seed,
    )


FIGURE = Figure(
    name=NAME,
    cpu_hours=1.5,
    cells=lambda: [cell(model, seed, EQUAL_TIME[model]) for seed in SEEDS for model in LAYERS],
    quick_cells=lambda: [cell(model, 0, 100) for model in LAYERS],
    full_cells=lambda: [cell(model, seed, 10 * EQUAL_TIME[model]) for seed in range(5) for model in LAYERS],
    rate_cells=lambda: [
        cell(model, 0, RATE_UPDATES, length, rate) for model in LAYERS for length in RATE_LENGTHS for rate in RATES
    ],
    plot=plot,
    kind=FILM,
    table=table,
)

redraw = FIGURE.redraw
