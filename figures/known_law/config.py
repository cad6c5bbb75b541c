"""Every cell of length_law: one LSTM a film, trained on windows of 4 to 1,024 steps.

Width 48 (19 k parameters) on ``real`` and ``recall``; 96 (81 k with its input map) on ``joint``, the same real film
seen through vectors that were learnt together with an LSTM, with a quarter more updates.
"""

from __future__ import annotations

from typing import Literal

from figures.film_rows import FILM, best_rate
from figures.length_law.plot import BATCH, FRAMES, plot
from figures.length_law.report import table
from figures.sweep import Figure
from training.tasks.frozen_head import FilmConfig

NAME = "length_law"
FilmName = Literal["real", "recall", "joint"]
FILMS: tuple[FilmName, ...] = ("real", "recall", "joint")
LENGTHS: dict[FilmName, tuple[int, ...]] = {
    "real": (4, 8, 16, 32, 64, 256, 1024),
    "recall": (4, 8, 16, 32, 64, 128, 256),
    "joint": (4, 8, 16, 64, 256, 1024),
}
UPDATES: dict[FilmName, int] = {"real": 1600, "recall": 2400, "joint": 2000}
WIDTH: dict[FilmName, int] = {"real": 48, "recall": 48, "joint": 96}
FRAME_ONLY = 16  # steps of a window where none are remembered
SEEDS = range(5)
RATES: dict[FilmName, tuple[float, ...]] = {
    "real": (0.004, 0.008, 0.016),
    "recall": (0.004, 0.008, 0.016),
    "joint": (0.002, 0.004, 0.008, 0.016),
}
RATE_LENGTHS = (16, 256)


def cell(
    film: FilmName,
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
        width=WIDTH[film],
        length=length,
        batch=batch or FRAMES // length,
        rate=rate or best_rate(NAME, film, model, length),
        updates=updates or UPDATES[film],
        seed=seed,
    )


def cells(updates: int | None = None, seeds: range = SEEDS, longest: int = 1024) -> list[FilmConfig]:
    """Equal frames for every length on both films, then equal windows an update on real film."""
    frame_only = [
        cell(film, FRAME_ONLY, seed, updates=updates, model="frame_only")
        for seed in seeds
        for film in FILMS
        if film != "recall"
    ]
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
        for film in FILMS
        for model in ("lstm", "frame_only")
        if (film, model) != ("recall", "frame_only")
        for length in (RATE_LENGTHS if model == "lstm" else (FRAME_ONLY,))
        for rate in RATES[film]
    ],
    plot=plot,
    kind=FILM,
    table=table,
)

redraw = FIGURE.redraw
