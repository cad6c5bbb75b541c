"""How every figure looks: one colour a model, seeds as a band, undertrained points hollow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

mpl.use("Agg")
mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "savefig.dpi": 150,
        "svg.hashsalt": "gitreel",
    }
)

COLOURS = {
    "lstm": "#c1272d",
    "transformer": "#0b6fa4",
    "mamba2": "#2e8540",
    "mingru": "#d98200",
    "frame_only": "#777777",
}
NAMES = {
    "lstm": "LSTM",
    "transformer": "transformer",
    "mamba2": "Mamba-2",
    "mingru": "minGRU",
    "frame_only": "frame only",
}


def seeds_line(
    axes: Axes,
    x: Sequence[float],
    runs: Sequence[Sequence[float]],
    colour: str,
    label: str,
    undertrained: Sequence[bool] | None = None,
    marker: str = "o",
) -> None:
    """Mean over seeds with the range as a band; hollow markers where told that runs were undertrained.

    ``runs[i]`` holds one value a seed at ``x[i]``.
    """
    means = [float(np.mean(values)) for values in runs]
    axes.fill_between(x, [min(v) for v in runs], [max(v) for v in runs], color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, means, color=colour, linewidth=1.5)
    hollow = undertrained or [False] * len(x)
    for place, mean, open_marker in zip(x, means, hollow, strict=True):
        face = "white" if open_marker else colour
        axes.plot(place, mean, marker, color=colour, markerfacecolor=face, markersize=5.5)
    face = "white" if all(hollow) else colour
    axes.plot([], [], marker=marker, color=colour, markerfacecolor=face, label=label)


def reference_line(axes: Axes, x: Sequence[float], y: Sequence[float], label: str, raised: float = 0.0) -> None:
    """A control line that no model drew: dashed grey with its name at the right end, `raised` points above it."""
    axes.plot(x, y, color="#555555", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        label, (x[-1], y[-1]), xytext=(3, raised), textcoords="offset points", va="center",
        fontsize=7, color="#555555", annotation_clip=False,
    )  # fmt: skip


def power_axis(axes: Axes, ticks: Sequence[int], label: str) -> None:
    """A base-two axis with plain numbers."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(label)


def log_axis(axes: Axes, label: str) -> None:
    """A base-ten axis with plain numbers, 500, 2 k, 1 M: the fewer in a decade, the more decades are shown."""
    axes.set_xscale("log")
    axes.set_xlabel(label)
    low, high = axes.get_xlim()
    decades = np.log10(high / low) if low > 0 else 1
    subs = (1, 2, 5) if decades <= 2 else (1, 3) if decades <= 4 else (1,)
    axes.xaxis.set_major_locator(LogLocator(10, subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, place: short_number(x)))


def short_number(x: float) -> str:
    """0.5, 20, 2 k, 1 M."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if x >= unit:
            return f"{x / unit:g}{name}"
    return f"{x:g}"


def save(canvas: Canvas, png: Path) -> None:
    """Write the PNG without a date in it, so that the same rows give the same bytes."""
    png.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(png, metadata={"Software": None}, bbox_inches="tight")
