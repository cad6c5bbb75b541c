"""Draw true_depth: depth against length, slopes, and the critical lengths of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from figures import rows as tasks
from figures.style import COLOURS, NAMES, power_axis, save
from figures.sweep import longer
from figures.true_depth.config import DepthRow
from figures.true_depth.critical import THRESHOLD, Critical, summarise


class Growth(NamedTuple):
    """How a chain grows at the longest lengths traced."""

    forward: float  # operations a step, of the last doubling of the length
    backward: float
    doubling: int  # operations forward, of the same
    linear: bool  # the slope did not fall with the last doubling


def growth(rows: Sequence[DepthRow], key: str) -> Growth:
    """Of one cell. Logarithmic growth halves its slope with each doubling of the length."""
    short, middle, long = sorted((row for row in rows if row.key == key), key=lambda row: row.steps)[-3:]

    def slope(low: DepthRow, high: DepthRow, name: str) -> float:
        return float((getattr(high, name) - getattr(low, name)) / (high.steps - low.steps))

    before, after = slope(short, middle, "forward"), slope(middle, long, "forward")
    return Growth(after, slope(middle, long, "backward"), long.forward - middle.forward, after > 0.75 * before > 0)


def verdict(rows: Sequence[DepthRow]) -> str:
    """The figure in a few sentences."""
    found = {model: growth(rows, f"{model}-l1") for model in NAMES}
    lstm = found["lstm"]
    flat = [name for name in ("transformer", "mingru", "mamba2") if not found[name].linear]
    logarithmic = " and ".join(f"the {NAMES[name]}'s by {found[name].doubling}" for name in flat)
    words = (
        f"The LSTM's chain of dependent operations grows with every step, by {lstm.forward:.0f} a step and layer "
        f"forward and {lstm.backward:.0f} backward. Others grow with the logarithm of the length, {logarithmic} a "
        "doubling."
    )
    if found["mamba2"].linear:
        words += (
            f" Mamba-2's, as it is written, grows by one operation in {1 / found['mamba2'].forward:g} steps: it passes "
            "through chunks of 32 in turn, and is a scan all the same."
        )
    return words


def table(rows: Sequence[DepthRow]) -> str:
    """The longest traces of every cell, and the critical lengths, as Markdown."""
    longest = max(row.steps for row in rows)
    lines = [
        f"| model | layers | fed back | forward, {longest} steps | backward | slope, forward | backward | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.steps == longest:
            grown = growth(rows, row.key)
            lines.append(
                f"| {row.model} | {row.layers} | {'yes' if row.feedback else 'no'} | {row.forward} | {row.backward} | "
                f"{grown.forward:.3g} | {grown.backward:.3g} | {row.verdict} |"
            )
    lines += [
        "",
        f"| task | model | layers | size | critical length ({THRESHOLD}) | range over seeds |",
        "|---|---|---|---|---|---|",
    ]
    for item in summarise(trained()):
        mean = f"{item.beyond} {item.mean:.1f}".strip()
        lines.append(
            f"| {item.task} | {item.model} | {item.layers} | {item.size} | {mean} | {item.low:.1f} - {item.high:.1f} |"
        )
    return "\n".join(lines)


def trained() -> list[tasks.Row]:
    """Committed rows, no longer trainings, of those whose lengths are looked at: frjt to depth 8 and more, the maze."""
    return [
        row
        for name in ("frjt_lstm", "frjt_layers", "maze")
        for row in longer(tasks.read_rows(tasks.ROOT / name / "results.csv"))[0]
        if row.config.task == "maze" or row.config.size >= 8
    ]


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
    axes.set(ylabel="longest chain, operations", title="The LSTM's chain grows with every step")
    axes.legend(loc="upper left", fontsize=7, ncol=2)
    axes.set_ylim(20, 1.5e5)


def draw_slopes(axes: Axes, rows: Sequence[DepthRow]) -> None:
    """Operations a step between the two longest lengths, forward and backward."""
    keys = list(dict.fromkeys(row.key for row in rows if row.layers == 1))
    labels = []
    for place, key in enumerate(keys):
        long = max((row for row in rows if row.key == key), key=lambda row: row.steps)
        grown = growth(rows, key)
        for shift, slope, alpha in ((-0.18, grown.forward, 1.0), (0.18, grown.backward, 0.5)):
            axes.barh(place + shift, max(slope, 8e-3), 0.34, color=COLOURS[long.model], alpha=alpha)
            axes.text(max(slope, 8e-3) * 1.15, place + shift, f"{slope:.3g}", va="center", fontsize=7)
        feedback = " + feedback" if long.feedback else ""
        labels.append(f"{NAMES[long.model]}{feedback}\n{long.verdict}")
    axes.set_yticks(range(len(keys)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(8e-3, 3e3)
    axes.set(
        xlabel="operations a step (upper bar forward, lower backward)",
        title="The others' hardly grow, until outputs are fed back",
    )
    axes.grid(axis="y", visible=False)


def draw_critical(axes: Axes, table: Sequence[Critical]) -> None:
    """Length at which accuracy falls below .9, with the range over seeds."""
    for place, item in enumerate(table):
        colour = COLOURS[item.model]
        axes.plot([item.low, item.high], [place, place], color=colour, linewidth=1.5)
        marker = {"<": "<", ">=": ">", "": "o"}[item.beyond]
        axes.plot(item.mean, place, marker, color=colour, markersize=5)
    labels = [
        f"{NAMES[item.model]}, {item.layers} layer{'s' * (item.layers > 1)}, "
        + (f"FRJT 1 … {item.size}" if item.task == "frjt" else f"maze {item.size} x {item.size}")
        for item in table
    ]
    axes.set_yticks(range(len(table)), labels, fontsize=6.5)
    axes.invert_yaxis()
    power_axis(axes, [1, 2, 4, 8, 16, 32, 64, 128, 256], "blocks or moves")
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title("Steps that trained models keep up with (accuracy .9)")


def plot(rows: Sequence[DepthRow], png: Path) -> None:
    """Three panels; the third reads the task figures' committed rows."""
    canvas, (depth, slope, critical) = plt.subplots(1, 3, figsize=(15, 4.6), gridspec_kw={"width_ratios": (1.1, 1, 1)})
    draw_depth(depth, rows)
    draw_slopes(slope, rows)
    draw_critical(critical, summarise(trained()))
    canvas.text(
        0.01, -0.04, "Depth: unfused trace, fan-in two (elementwise 1; sum, product or scan over k "
        "terms log2 k). A slope that halves with each doubling is logarithmic growth (Mamba-2 has chunks in turn). "
        "Arrows: before or beyond the lengths measured.", fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)
