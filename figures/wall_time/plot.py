"""Draw wall_time: a curve a length, against processor time, updates and frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from figures.length_law.plot import BATCH, FRAMES, Groups, arms
from figures.rows import Row
from figures.style import log_axis, save, short_number
from figures.wall_time.overtaking import Curve, mean_curve, overtakes

LABELS = {"seconds": "CPU s of training", "updates": "updates", "frames": "frames seen"}


def draw(axes: Axes, groups: Groups, axis: str, title: str) -> None:
    """A line a length, dark for long, with a dot at its end."""
    colours = mpl.colormaps["viridis_r"]
    for number, (length, rows) in enumerate(groups.items()):
        colour = colours(0.08 + 0.92 * number / max(1, len(groups) - 1))
        curve = mean_curve(rows)
        axes.plot(getattr(curve, axis), curve.losses, "-", color=colour, lw=1.3, label=f"T = {length}")
        axes.plot(getattr(curve, axis)[-1], curve.losses[-1], "o", color=colour, ms=4)
    log_axis(axes, LABELS[axis])
    axes.set(ylabel="nats a key", title=title)


def plot(rows: Sequence[Row], png: Path) -> None:
    """Two panels a protocol: the same frames an update, and the same windows an update."""
    equal, windows, _ = arms(rows, "real")
    canvas, axes = plt.subplots(2, 2, figsize=(10, 7.4), sharey="row")
    equal_title, window_title = f"{FRAMES:,} frames an update", f"{BATCH} windows an update (the paper's way)"
    draw(axes[0, 0], equal, "seconds", equal_title)
    draw(axes[0, 1], equal, "frames", equal_title)
    draw(axes[1, 0], windows, "seconds", window_title)
    draw(axes[1, 1], windows, "frames", window_title)
    for row in axes:
        row[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    canvas.text(
        0.01, -0.02, "Mean over seeds, real film, the same test targets (a quarter of length_law's), exactly T frames "
        "of context each. Every point is a model that one could have stopped at: averaged weights.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=2, h_pad=2)
    save(canvas, png)
    plt.close(canvas)


def table(rows: Sequence[Row]) -> str:
    """Where each length overtakes the next shorter one, for good, as Markdown."""
    equal, windows, _ = arms(rows, "real")
    lines = [
        "| protocol | T | final loss | CPU s | overtakes the next shorter T at CPU s | at updates | at frames |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, groups in ((f"{FRAMES:,} frames an update", equal), (f"{BATCH} windows an update", windows)):
        before = None
        for length, group in groups.items():
            curve = mean_curve(group)
            cells = [place_text(before, curve, axis) if before else "–" for axis in LABELS]
            lines.append(
                f"| {name} | {length} | {curve.losses[-1]:.3f} | {curve.seconds[-1]:.1f} | {' | '.join(cells)} |"
            )
            before = curve
    return "\n".join(lines)


def place_text(shorter: Curve, longer: Curve, axis: str) -> str:
    """Where the longer overtakes for good: a number, the first that both were measured at, or never."""
    place = overtakes(shorter, longer, axis)
    if place is None:
        return "never"
    first = place <= 1.001 * max(getattr(shorter, axis)[0], getattr(longer, axis)[0])
    return f"{'≤ ' if first else ''}{short_number(float(f'{place:.2g}'))}"
