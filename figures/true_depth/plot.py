"""Draw true_depth: depth against length, slopes, and the critical lengths of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from figures import rows as tasks
from figures.style import COLOURS, NAMES, power_axis, save
from figures.true_depth.config import DepthRow
from figures.true_depth.critical import Critical, summarise


def draw_depth(axes: Axes, rows: Sequence[DepthRow]) -> None:
    """Forward chain against length, one and most layers, and with outputs fed back."""
    most = max(row.layers for row in rows if not row.feedback)
    for model, name in NAMES.items():
        for layers, feedback, style in ((1, False, "-"), (most, False, "--"), (1, True, ":")):
            mine = [row for row in rows if (row.model, row.layers, row.feedback) == (model, layers, feedback)]
            if not mine or (model == "frame_only" and layers > 1):
                continue
            steps = [row.steps for row in mine]
            label = name if (layers, feedback) == (1, False) else None
            axes.plot(
                steps,
                [row.forward for row in mine],
                style,
                color=COLOURS[model],
                label=label,
                lw=1.4,
            )
    for style, label in (("--", f"{most} layers"), (":", "1 layer, output fed back")):
        axes.plot([], [], style, color="#555555", label=label)
    power_axis(axes, sorted({row.steps for row in rows}), "sequence length, steps")
    axes.set_yscale("log")
    axes.set(ylabel="longest chain, operations", title="forward depth of one pass")
    axes.legend(loc="upper left", fontsize=7, ncol=2)
    axes.set_ylim(20, 1.5e5)


def draw_slopes(axes: Axes, rows: Sequence[DepthRow]) -> None:
    """Operations a step between the two longest lengths, forward and backward."""
    keys = list(dict.fromkeys(row.key for row in rows if row.layers == 1))
    labels = []
    for place, key in enumerate(keys):
        short, long = sorted((r for r in rows if r.key == key), key=lambda r: r.steps)[-2:]
        gap = long.steps - short.steps
        for shift, name, alpha in ((-0.18, "forward", 1.0), (0.18, "backward", 0.5)):
            slope = (getattr(long, name) - getattr(short, name)) / gap
            axes.barh(place + shift, max(slope, 8e-3), 0.34, color=COLOURS[long.model], alpha=alpha)
            axes.text(max(slope, 8e-3) * 1.15, place + shift, f"{slope:.3g}", va="center", fontsize=7)
        feedback = " + feedback" if long.feedback else ""
        labels.append(f"{NAMES[long.model]}{feedback}\n{long.verdict}")
    axes.set_yticks(range(len(keys)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(8e-3, 3e3)
    axes.set(xlabel="operations a step (upper bar forward, lower backward)", title="1 layer: slope")
    axes.grid(axis="y", visible=False)


def draw_critical(axes: Axes, table: Sequence[Critical]) -> None:
    """Length at which accuracy falls below .9, with the range over seeds."""
    for place, item in enumerate(table):
        colour = COLOURS[item.model]
        axes.plot([item.low, item.high], [place, place], color=colour, linewidth=1.5)
        marker = ">" if item.censored else "o"
        axes.plot(item.mean, place, marker, color=colour, markersize=5)
    labels = [
        f"{NAMES[item.model]}, {item.layers} layer{'s' * (item.layers > 1)}, "
        + (f"FRJT 1 … {item.size}" if item.task == "frjt" else f"maze {item.size} x {item.size}")
        for item in table
    ]
    axes.set_yticks(range(len(table)), labels, fontsize=6.5)
    axes.invert_yaxis()
    power_axis(axes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], "blocks or moves")
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title("length at which accuracy falls below .9")


def plot(rows: Sequence[DepthRow], png: Path) -> None:
    """Three panels; the third reads the task figures' committed rows."""
    trained = [
        row
        for name in ("frjt_lstm", "frjt_layers", "maze")
        for row in tasks.read_rows(tasks.ROOT / name / "results.csv")
        if row.config.task == "maze" or row.config.size >= 8
    ]
    canvas, (depth, slope, critical) = plt.subplots(1, 3, figsize=(15, 4.6), gridspec_kw={"width_ratios": (1.1, 1, 1)})
    draw_depth(depth, rows)
    draw_slopes(slope, rows)
    draw_critical(critical, summarise(trained))
    canvas.text(
        0.01, -0.04, "Depth: unfused trace, fan-in two (elementwise 1; sum, product or scan over k "
        "terms log2 k). A slope that tends to 0 is logarithmic growth. Arrows: beyond the longest "
        "length measured.", fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)
