"""Every cell of params_vs_length: one base run, and 4 and 16 times its compute spent in four ways."""

from __future__ import annotations

from figures.film_rows import FILM, best_rate, film_table
from figures.params_vs_length.plot import BASE, spent
from figures.params_vs_length.plot import plot as draw
from figures.sweep import Figure
from training.tasks.film import FilmConfig

NAME = "params_vs_length"
MULTIPLES = (4, 16)
SEEDS = range(5)
RATES = (0.002, 0.004, 0.008, 0.016, 0.032)
RATE_WIDTHS = (48, 96, 192)


def cell(way: str, multiple: int, seed: int, rate: float | None = None) -> FilmConfig:
    """One run of `multiple` times the base's compute, spent on ``way``; the swept rate unless one is given."""
    sizes = spent(way, multiple)
    return FilmConfig(
        film="real",
        model="lstm",
        layers=1,
        rate=rate or best_rate(NAME, "real", "lstm", BASE["length"], sizes["width"]),
        seed=seed,
        **sizes,
    )


def cells(seeds: range = SEEDS, multiples: tuple[int, ...] = MULTIPLES) -> list[FilmConfig]:
    """The base and every way of spending more."""
    ways = ("length", "batch", "updates", "width")
    spend = [("length", 1), *((way, multiple) for way in ways for multiple in multiples)]
    return [cell(way, multiple, seed) for seed in seeds for way, multiple in spend]


FIGURE = Figure(
    name=NAME,
    cpu_hours=1.0,
    cells=cells,
    quick_cells=lambda: cells(range(1), multiples=MULTIPLES[:1]),
    full_cells=lambda: cells(range(10)),
    rate_cells=lambda: [
        cell("width", (width // BASE["width"]) ** 2, 0, rate=rate) for width in RATE_WIDTHS for rate in RATES
    ],
    plot=draw,
    kind=FILM,
    table=film_table,
)

redraw = FIGURE.redraw
