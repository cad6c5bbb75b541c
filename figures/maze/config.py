"""Every cell of maze: four models of about 33 k parameters, 8 x 8 and 16 x 16 cells, 64 moves.

The numbers of updates give every model about the same CPU time.
"""

from __future__ import annotations

from figures.maze.plot import plot, verdict
from figures.sweep import Figure, best_rate
from training.model.backbones import make_backbone
from training.model.counts import count_parameters, match_parameters
from training.tasks.train import TaskConfig

NAME = "maze"
SIDES = (8, 16)
SEEDS = range(5)
LSTM_WIDTH, OTHER_WIDTH, LAYERS = 64, 32, 2
UPDATES = {"lstm": 3000, "transformer": 1000, "mamba2": 700, "mingru": 1000}
RATE_UPDATES = {"lstm": 750, "transformer": 375, "mamba2": 300, "mingru": 500}
LONGER = 4  # times the updates, of one seed: what the others reach with more time than the LSTM's
RATES = {
    "lstm": (0.005, 0.01),
    "transformer": (0.001, 0.002, 0.004),
    "mamba2": (0.004, 0.01),
    "mingru": (0.004, 0.01),
}


def cell(model: str, side: int, seed: int, updates: int | None = None, rate: float | None = None) -> TaskConfig:
    """One run; the usual number of updates and the swept rate unless given."""
    layers, width = (1, LSTM_WIDTH) if model == "lstm" else (LAYERS, OTHER_WIDTH)
    settings: dict[str, int | str] = {}
    if model == "lstm":
        settings["recurrent_init"] = "orthogonal"
    else:
        target = count_parameters(make_backbone("lstm", LSTM_WIDTH, 1))
        settings.update(match_parameters(model, width, layers, target))
    return TaskConfig(
        task="maze",
        model=model,
        layers=layers,
        width=width,
        settings=settings,
        size=side,
        rate=rate or best_rate(NAME, model, layers, side),
        updates=updates or UPDATES[model],
        batch=32,
        seed=seed,
    )


FIGURE = Figure(
    name=NAME,
    cpu_hours=4.0,
    cells=lambda: [
        *(cell(model, side, seed) for seed in SEEDS for side in SIDES for model in UPDATES),
        *(cell(model, side, 0, updates=LONGER * UPDATES[model]) for side in SIDES for model in UPDATES),
    ],
    quick_cells=lambda: [cell(model, 8, 0, updates=200) for model in UPDATES],
    full_cells=lambda: [
        cell(model, side, seed, updates=20_000) for seed in range(10) for side in (*SIDES, 32) for model in UPDATES
    ],
    rate_cells=lambda: [
        cell(model, side, 0, updates=RATE_UPDATES[model], rate=rate)
        for side in SIDES
        for model in UPDATES
        for rate in RATES[model]
    ],
    plot=plot,
    verdict=verdict,
)

redraw = FIGURE.redraw
