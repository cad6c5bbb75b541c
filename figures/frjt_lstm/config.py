"""Every cell of frjt_lstm: a one-layer LSTM of width 64 (33 k parameters), depths 4 to 32."""

from __future__ import annotations

from figures.frjt_lstm.plot import plot, verdict
from figures.sweep import Figure, best_rate
from training.tasks.train import TaskConfig

NAME = "frjt_lstm"
DEPTHS = (4, 8, 16, 32)
SEEDS = range(5)
RATES = (0.005, 0.01)
RATE_DEPTHS = (8, 32)


def cell(depth: int, seed: int, updates: int = 3000, rate: float | None = None) -> TaskConfig:
    """One run; the rate is the swept one unless given."""
    return TaskConfig(
        task="frjt",
        model="lstm",
        layers=1,
        width=64,
        settings={"recurrent_init": "orthogonal"},
        size=depth,
        rate=rate or best_rate(NAME, "lstm", 1, depth),
        updates=updates,
        batch=128,
        seed=seed,
    )


FIGURE = Figure(
    name=NAME,
    cpu_hours=1.0,
    cells=lambda: [cell(depth, seed) for seed in SEEDS for depth in DEPTHS],
    quick_cells=lambda: [cell(depth, 0, updates=600) for depth in (4, 8)],
    full_cells=lambda: [cell(depth, seed, updates=20_000) for seed in range(10) for depth in (*DEPTHS, 64, 128)],
    rate_cells=lambda: [cell(depth, 0, updates=1000, rate=rate) for depth in RATE_DEPTHS for rate in RATES],
    plot=plot,
    verdict=verdict,
)

redraw = FIGURE.redraw
