"""Draw frjt_lstm: accuracy against the largest depth, and by depth for the deepest model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.rows import Row
from figures.style import COLOURS, power_axis, reference_line, save, seeds_line
from training.tasks import frjt

WINDOWS = (1, 4, 8)
SAMPLES = 1500


def plot(rows: Sequence[Row], png: Path) -> None:
    """Left: mean over the depth mix. Right: each depth, for models of the largest depth."""
    depths = sorted({row.config.size for row in rows})
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
    by_depth = [[row for row in rows if row.config.size == depth] for depth in depths]
    hollow = [sum(r.result.undertrained for r in group) * 2 >= len(group) for group in by_depth]
    for name, marker in (("accuracy", "o"), ("accuracy_longest", "s")):
        runs = [[getattr(row.result, name) for row in group] for group in by_depth]
        label = "mean over depths 1 … max" if name == "accuracy" else "programs of the largest depth"
        colour = COLOURS["lstm"] if name == "accuracy" else "#e08a8d"
        seeds_line(left, depths, runs, colour, label, hollow, marker)
    for window in WINDOWS:
        line = [frjt.mixed_window_accuracy(depth, window, SAMPLES) for depth in depths]
        reference_line(left, depths, line, f"last {window}")
    power_axis(left, depths, "largest depth trained on, blocks")
    left.set(ylabel="accuracy", ylim=(0.48, 1.02), title="One layer of an LSTM runs deep programs")
    left.legend(loc="lower left")
    deepest = depths[-1]
    curves = [row.result.curve for row in by_depth[-1]]
    places = list(range(1, deepest + 1))
    for curve in curves:
        right.plot(places, [curve[p] for p in places], color=COLOURS["lstm"], lw=0.8, alpha=0.7)
    for window in WINDOWS:
        line = [frjt.window_accuracy(depth, window, SAMPLES) for depth in places]
        reference_line(right, places, line, f"last {window}")
    right.set(
        xlabel="depth of the program, blocks",
        ylim=(0.48, 1.02),
        title=f"Trained on 1 … {deepest}, it beats its last 8 blocks",
    )
    canvas.text(
        0.01, -0.06, "Dashed: best accuracy from the last 1, 4 or 8 blocks alone (left: on the mix, as the dark line). "
        "Hollow: in half the seeds or more the loss was still falling when the rate began to decay.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=3)
    save(canvas, png)
    plt.close(canvas)


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence."""
    means = {
        size: float(np.mean([row.result.accuracy for row in rows if row.config.size == size]))
        for size in sorted({row.config.size for row in rows})
    }
    listed = ", ".join(f"{mean:.3f} to {size}" for size, mean in means.items())
    seeds = len({row.config.seed for row in rows})
    return (
        f"One layer of an LSTM runs programs whose jumps depend on a register: accuracy on mixes of depths is {listed} "
        f"(means of {seeds} seeds), and the deep mixes were still improving when the rates began to fall."
    )
