"""Every cell of length_law: one LSTM of width 48 (19 k parameters), trained on windows of 4 to 1,024 steps."""

from __future__ import annotations

from typing import Literal

from figures.film_rows import FILM, best_rate
from figures.length_law.plot import BATCH, FRAMES, plot
from figures.length_law.report import table
from figures.sweep import Figure
from training.tasks.film import FilmConfig

NAME = "length_law"
FILMS: tuple[Literal["real", "recall"], ...] = ("real", "recall")
LENGTHS = {"real": (4, 8, 16, 32, 64, 256, 1024), "recall": (4, 8, 16, 32, 64, 128, 256)}
UPDATES = {"real": 1600, "recall": 2400}
FRAME_ONLY = 16  # steps of a window where none are remembered
SEEDS = range(5)
RATES = (0.004, 0.008, 0.016)
RATE_LENGTHS = (16, 256)


def cell(
    film: Literal["real", "recall"],
    length: int,
    seed: int,
    batch: int | None = None,
    updates: int | None = None,
    rate: float | None = None,
    model: str = "lstm",
) -> FilmConfig:
    """One run; FRAMES frames an update unless the batch is given, the swept rate unless one is."""
    return FilmConfig(
        film=film,
        model=model,
        layers=1,
        width=48,
        length=length,
        batch=batch or FRAMES // length,
        rate=rate or best_rate(NAME, film, model, length),
        updates=updates or UPDATES[film],
        seed=seed,
    )


def cells(updates: int | None = None, seeds: range = SEEDS, longest: int = 1024) -> list[FilmConfig]:
    """Equal frames for every length on both films, then equal windows an update on real film."""
    frame_only = [cell("real", FRAME_ONLY, seed, updates=updates, model="frame_only") for seed in seeds]
    chosen = [
        cell(film, length, seed, updates=updates)
        for seed in seeds
        for film in FILMS
        for length in LENGTHS[film]
        if length <= longest
    ]
    paper = [
        cell("real", length, seed, batch=BATCH, updates=updates)
        for seed in seeds
        for length in LENGTHS["real"]
        if length <= longest and length * BATCH < FRAMES  # at FRAMES it is the cell above; past it too dear
    ]
    return frame_only + chosen + paper


FIGURE = Figure(
    name=NAME,
    cpu_hours=2.0,
    cells=cells,
    quick_cells=lambda: cells(updates=100, seeds=range(1), longest=64),
    full_cells=lambda: cells(updates=20_000, seeds=range(5)),
    rate_cells=lambda: [
        cell(film, length, 0, updates=UPDATES[film] // 3, rate=rate, model=model)
        for model, film in (("lstm", "real"), ("lstm", "recall"), ("frame_only", "real"))
        for length in (RATE_LENGTHS if model == "lstm" else (FRAME_ONLY,))
        for rate in RATES
    ],
    plot=plot,
    kind=FILM,
    table=table,
)

redraw = FIGURE.redraw
