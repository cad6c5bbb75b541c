"""Every cell of frjt_layers: transformers and Mamba-2 of width 32, 1-8 layers, depths 4-16."""

from __future__ import annotations

from figures.frjt_layers.plot import plot, verdict
from figures.sweep import Figure, best_rate
from training.tasks.train import TaskConfig

NAME = "frjt_layers"
MODELS: dict[str, dict[str, int | str]] = {
    "transformer": {"heads": 2},
    "mamba2": {"heads": 2, "state_size": 16},
}
LAYERS = (1, 2, 4, 8)
LONGER = 2400  # updates of one seed: what is reached with four times the training
DEPTHS = (4, 8, 16)
SEEDS = range(5)
RATES = {"transformer": (0.001, 0.002, 0.004), "mamba2": (0.002, 0.005, 0.01)}
RATE_LAYERS = (2, 8)


def cell(
    model: str,
    layers: int,
    depth: int,
    seed: int,
    updates: int = 600,
    rate: float | None = None,
) -> TaskConfig:
    """One run; the rate is the swept one unless given."""
    return TaskConfig(
        task="frjt",
        model=model,
        layers=layers,
        width=32,
        settings=MODELS[model],
        size=depth,
        rate=rate or best_rate(NAME, model, layers, depth),
        updates=updates,
        batch=64,
        seed=seed,
    )


def grid(seeds: range, depths: tuple[int, ...], updates: int = 600) -> list[TaskConfig]:
    """All models and layer counts, the cheap ones first."""
    return [
        cell(model, layers, depth, seed, updates)
        for seed in seeds
        for depth in depths
        for layers in LAYERS
        for model in MODELS
    ]


FIGURE = Figure(
    name=NAME,
    cpu_hours=4.0,
    cells=lambda: [*grid(SEEDS, DEPTHS), *grid(range(1), DEPTHS, LONGER)],
    quick_cells=lambda: [cell(model, layers, 4, 0, 400) for model in MODELS for layers in (1, 2)],
    full_cells=lambda: grid(range(10), (*DEPTHS, 32, 64), updates=20_000),
    rate_cells=lambda: [
        cell(model, layers, 8, 0, updates=400, rate=rate)
        for layers in RATE_LAYERS
        for model in MODELS
        for rate in RATES[model]
    ],
    plot=plot,
    verdict=verdict,
)

redraw = FIGURE.redraw
