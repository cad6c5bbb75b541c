"""Draw wall_time: nats a key against processor time and against frames, a line a length of the training windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.cells import CellResult
from figures.length_law.plot import EQUAL_FRAMES, EQUAL_WINDOWS, WINDOWS, by_length
from figures.rows import Row
from figures.style import log_axis, save


def at_seconds(result: CellResult, seconds: float) -> float:
    """Nats at a processor time, between the points of the curve by its logarithm."""
    return float(np.interp(np.log(seconds), np.log(list(result.seconds.values())), list(result.curve.values())))


def shared_seconds(found: Mapping[int, CellResult]) -> float:
    """The longest time that every length had."""
    return min(max(result.seconds.values()) for result in found.values())


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    equal, windows = by_length(rows, EQUAL_FRAMES), by_length(rows, EQUAL_WINDOWS)
    seconds = shared_seconds(equal)
    timed = {length: at_seconds(result, seconds) for length, result in equal.items()}
    best = min(timed, key=lambda length: timed[length])
    few = shared_seconds(windows)
    paper = {length: at_seconds(result, few) for length, result in windows.items()}
    return (
        f"Sequences of some tens of steps pay for their time on film, longer ones do not: after {seconds:.0f} CPU "
        f"seconds with as many frames for every length, T = {best} is best ({timed[best]:.2f} nats a key) and "
        f"T = {max(timed):,} has {timed[max(timed)]:.2f}; with {WINDOWS} windows an update, {few:.0f} seconds, in the "
        f"middle of the longer ones' course, give "
        + ", ".join(f"{nats:.2f} at T = {length}" for length, nats in paper.items())
        + "."
    )


def draw(axes: Axes, found: Mapping[int, CellResult], axis: str, title: str) -> None:
    """A line a length, dark for long."""
    shades = mpl.colormaps["viridis_r"]
    for number, (length, result) in enumerate(found.items()):
        updates = list(result.curve)
        frames = [update * result.frames / updates[-1] for update in updates]
        x = frames if axis == "frames" else list(result.seconds.values())
        colour = shades(0.08 + 0.92 * number / max(1, len(found) - 1))
        axes.plot(x, list(result.curve.values()), "o-", color=colour, lw=1.2, ms=3, label=f"T = {length:,}")
    log_axis(axes, "frames seen" if axis == "frames" else "CPU s of training")
    axes.set(ylabel="nats a key, 8,192 keys", ylim=(None, 3.6))
    axes.set_title(title, loc="left")


def plot(rows: Sequence[Row], png: Path) -> None:
    """A row a protocol: against time, and against frames."""
    canvas, axes = plt.subplots(2, 2, figsize=(10, 7.2), sharey=True)
    for row, configs, words in ((axes[0], EQUAL_FRAMES, "as many frames for every T"),
                                (axes[1], EQUAL_WINDOWS, f"{WINDOWS} windows an update")):  # fmt: skip
        found = by_length(rows, configs)
        draw(row[0], found, "seconds", f"Against time, {words}")
        draw(row[1], found, "frames", f"Against frames, {words}")
        row[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    canvas.tight_layout(w_pad=2, h_pad=2)
    save(canvas, png)
    plt.close(canvas)
