"""Draw params_vs_length: loss against compute, a line for each way of spending it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.film_rows import losses_by_stream
from figures.rows import Row
from figures.style import log_axis, power_axis, save, seeds_line

BASE = {"width": 48, "length": 16, "batch": 16, "updates": 200}
WAYS = {
    "length": ("longer windows", "#c1272d", "o"),
    "batch": ("more windows an update", "#0b6fa4", "s"),
    "updates": ("more updates", "#2e8540", "^"),
    "width": ("more parameters", "#d98200", "D"),
}


def spent(way: str, multiple: int) -> dict[str, int]:
    """Sizes of a run with ``multiple`` times the base's compute (parameters x frames), spent on one of WAYS.

    A width costs its square, so that 4 and 16 times the compute are 2 and 4 times the width.
    """
    factor = math.isqrt(multiple) if way == "width" else multiple
    return {**BASE, way: BASE[way] * factor}


def ways(rows: Sequence[Row]) -> dict[str, dict[int, list[Row]]]:
    """Rows by way and multiple; the base belongs to every way."""
    found: dict[str, dict[int, list[Row]]] = {}
    for way in WAYS:
        for multiple in (1, 4, 16):
            sizes = spent(way, multiple)
            group = [row for row in rows if all(getattr(row.config, name) == size for name, size in sizes.items())]
            if group:
                found.setdefault(way, {})[multiple] = group
    return found


def plot(rows: Sequence[Row], png: Path) -> None:
    """Left: against compute. Right: against the processor time that was really spent."""
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), sharey=True)
    for way, groups in ways(rows).items():
        name, colour, marker = WAYS[way]
        runs = [losses_by_stream(group).mean(1).tolist() for group in groups.values()]
        hollow = [2 * sum(row.result.undertrained for row in group) >= len(group) for group in groups.values()]
        seeds_line(left, list(groups), runs, colour, name, hollow, marker)
        seconds = [float(np.mean([max(row.result.seconds.values()) for row in g])) for g in groups.values()]
        seeds_line(right, seconds, runs, colour, name, hollow, marker)
    power_axis(left, [1, 4, 16], "compute (parameters x frames), times the base run's")
    left.set(ylabel="nats a key", title="at matched compute")
    log_axis(right, "CPU s of training")
    right.set_title("against processor time")
    left.legend(loc="lower left")
    canvas.text(
        0.01, -0.09, "Real film, the frame head held still. Base: an LSTM of width 48; windows of 16 steps, 16 an "
        "update, 200 updates. The same test\ntargets, each with as many frames as the windows trained on. Bands: range "
        "over seeds. Hollow: undertrained.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)
