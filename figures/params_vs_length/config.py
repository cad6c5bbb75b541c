"""Every cell of params_vs_length: one base run, and 4 and 16 times its compute spent in four ways."""

from __future__ import annotations

from figures.film_rows import FILM, film_table
from figures.params_vs_length.plot import WAYS, spent
from figures.params_vs_length.plot import plot as draw
from figures.rows import ROOT, read_rows
from figures.sweep import Figure
from training.tasks.frozen_head import FilmConfig

NAME = "params_vs_length"
MULTIPLES = (4, 16)
SEEDS = range(5)
RATES = (0.004, 0.008, 0.016, 0.032)
SWEPT = (("length", 1), ("width", 4), *((way, MULTIPLES[-1]) for way in WAYS))


def swept_rate(way: str, multiple: int) -> float:
    """The rate with the lowest validation loss for just this way of spending, or for the most of it.

    More updates want a smaller rate than more windows do. Raises ValueError with the command to run.
    """
    rows = read_rows(ROOT / NAME / "learning_rates.csv", FILM)
    for sizes in (spent(way, multiple), spent(way, MULTIPLES[-1])):
        fitting = [row for row in rows if all(getattr(row.config, name) == size for name, size in sizes.items())]
        if fitting:
            return float(min(fitting, key=lambda row: row.result.validation).config.rate)
    raise ValueError(f"no rates for {way}: run python -m figures.{NAME} rates first")


def cell(way: str, multiple: int, seed: int, rate: float | None = None) -> FilmConfig:
    """One run of `multiple` times the base's compute, spent on ``way``; the swept rate unless one is given."""
    return FilmConfig(
        film="real",
        model="lstm",
        layers=1,
        rate=rate or swept_rate(way, multiple),
        seed=seed,
        **spent(way, multiple),
    )


def cells(seeds: range = SEEDS, multiples: tuple[int, ...] = MULTIPLES) -> list[FilmConfig]:
    """The base and every way of spending more."""
    spend = [("length", 1), *((way, multiple) for way in WAYS for multiple in multiples)]
    return [cell(way, multiple, seed) for seed in seeds for way, multiple in spend]


FIGURE = Figure(
    name=NAME,
    cpu_hours=1.0,
    cells=cells,
    quick_cells=lambda: cells(range(1), multiples=MULTIPLES[:1]),
    full_cells=lambda: cells(range(10)),
    rate_cells=lambda: [cell(way, multiple, 0, rate=rate) for way, multiple in SWEPT for rate in RATES],
    plot=draw,
    kind=FILM,
    table=film_table,
)

redraw = FIGURE.redraw
