"""Draw wall_time: nats a key against processor time and against frames, a line a length of the training windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from figures.cells import CellConfig, CellResult, results
from figures.costs import timed
from figures.length_law.plot import EQUAL_FRAMES, EQUAL_WINDOWS, FEWER, WINDOWS
from figures.rows import Row
from figures.style import log_axis, save

FAIR = 16  # steps from which on the lengths' losses are compared


def by_length(rows: Sequence[Row], configs: Sequence[CellConfig]) -> dict[int, CellResult]:
    """Results by T, with the seconds of figures.costs."""
    return {config.window: timed(config, result) for config, result in results(rows, configs)}


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
    found = {length: at_seconds(result, seconds) for length, result in equal.items()}
    best = min(found, key=lambda length: found[length])
    few = shared_seconds(windows)
    paper = {length: at_seconds(result, few) for length, result in windows.items()}
    shown = [nats for length, nats in found.items() if length >= FAIR]
    return (
        f"Long training sequences do not pay for their time on film: after {seconds:.0f} CPU seconds with as many "
        f"frames for every length, those of T = {FAIR} to {max(found):,} lie within {max(shown) - min(shown):.3f} nats "
        f"a key of one another, T = {best} best with {found[best]:.3f}; with {WINDOWS} windows an update, {few:.0f} "
        f"seconds, in the middle of the longer ones' course, give "
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
        words = f"T = {length:,}{', a quarter of the updates' if length == FEWER.window else ''}"
        axes.plot(x, list(result.curve.values()), "o-", color=colour, lw=1.2, ms=3, label=words)
    log_axis(axes, "frames seen" if axis == "frames" else "CPU s of training")
    axes.set(ylabel="nats a key, 8,192 keys", yscale="log", ylim=(None, 3.0))
    axes.set_yticks([1.5, 1.75, 2, 2.5, 3], ["1.5", "1.75", "2", "2.5", "3"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title(title, loc="left")


PANELS = (  # cells, title against time, title against frames
    (
        [*EQUAL_FRAMES, FEWER],
        "As many frames for every T: lengths cost alike",
        "and learn alike from as many frames",
    ),
    (
        EQUAL_WINDOWS,
        f"{WINDOWS} windows an update: longer ones take longer",
        "and shorter ones make more of as many frames",
    ),
)


def plot(rows: Sequence[Row], png: Path) -> None:
    """A row a protocol: against time, and against frames."""
    canvas, axes = plt.subplots(2, 2, figsize=(10, 7.2), sharey=True)
    for (left, right), (configs, against_time, against_frames) in zip(axes, PANELS, strict=True):
        found = by_length(rows, configs)
        draw(left, found, "seconds", against_time)
        draw(right, found, "frames", against_frames)
        right.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    canvas.tight_layout(w_pad=2, h_pad=2)
    save(canvas, png)
    plt.close(canvas)
