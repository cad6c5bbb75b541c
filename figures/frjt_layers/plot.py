"""Draw frjt_layers: accuracy against the number of layers, one line a largest depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.rows import ROOT, Row, read_rows
from figures.style import NAMES, power_axis, reference_line, save, seeds_line
from figures.sweep import longer, times
from training.tasks import frjt

SHADES = ("#8cc5e3", "#3a7fb8", "#173f73", "#7a2d8c", "#333333")
SAMPLES = 1500


def plot(rows: Sequence[Row], png: Path) -> None:
    """One panel a model; dotted, the LSTM of the frjt_lstm figure; dashed, the last-block line."""
    rows, long = longer(rows)
    models = [name for name in ("transformer", "mamba2") if any(r.config.model == name for r in rows)]
    depths = sorted({row.config.size for row in rows})
    layers = sorted({row.config.layers for row in rows})
    lstm_rows = read_rows(ROOT / "frjt_lstm" / "results.csv")
    canvas, panels = plt.subplots(1, len(models), figsize=(9.5, 4.0), sharey=True, squeeze=False)
    for axes, model in zip(panels[0], models, strict=True):
        for depth, colour in zip(depths, SHADES, strict=False):
            groups = {
                count: [
                    row.result
                    for row in rows
                    if (row.config.model, row.config.size, row.config.layers) == (model, depth, count)
                ]
                for count in layers
            }
            groups = {count: group for count, group in groups.items() if group}
            hollow = [sum(r.undertrained for r in g) * 2 >= len(g) for g in groups.values()]
            runs = [[result.accuracy for result in group] for group in groups.values()]
            seeds_line(axes, list(groups), runs, colour, f"depths 1 … {depth}", hollow)
            more = {
                row.config.layers: row.result.accuracy
                for row in long
                if (row.config.model, row.config.size) == (model, depth)
            }
            axes.plot(list(more), list(more.values()), "x--", color=colour, linewidth=0.9, markersize=5)
            lstm = [row.result.accuracy for row in lstm_rows if row.config.size == depth]
            if lstm:
                mean = sum(lstm) / len(lstm)
                axes.axhline(mean, color=colour, linestyle=":", linewidth=1.2)
            shortcut = frjt.mixed_window_accuracy(depth, 1, SAMPLES)
            reference_line(axes, [layers[0], layers[-1]], [shortcut] * 2, f"last block, {depth}")
        power_axis(axes, layers, "layers")
        axes.set_title(f"{NAMES[model]}: more layers reach further, less far than one of an LSTM", fontsize=9)
    panels[0][0].set(ylabel="accuracy, mean over the depth mix", ylim=(0.5, 1.02))
    panels[0][0].legend(loc="lower center", ncol=5, columnspacing=1)
    canvas.text(
        0.01, -0.05, "Dotted: one-layer LSTM (frjt_lstm) at the same depth. Dashed: best accuracy "
        "from the last block alone. Band: range over seeds.\nHollow: in half the seeds or more the loss was still "
        "falling when the rate began to decay."
        + f" Crosses: {times(rows, long)} times the training, one seed." * bool(long),
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=4)
    save(canvas, png)
    plt.close(canvas)


def verdict(rows: Sequence[Row], size: int = 8) -> str:
    """The figure in a sentence or two."""
    usual, long = longer(rows)
    parts = []
    for model in ("transformer", "mamba2"):
        own = [row for row in usual if row.config.model == model and row.config.size == size]
        if own:
            few, many = (end(row.config.layers for row in own) for end in (min, max))
            means = [np.mean([row.result.accuracy for row in own if row.config.layers == n]) for n in (few, many)]
            parts.append(f"{NAMES[model]} {means[0]:.2f} with {few} layer, {means[1]:.2f} with {many}")
    undertrained = sum(row.result.undertrained for row in usual)
    words = (
        f"More layers reach further, as in the paper: on depths to {size}, {'; '.join(parts)}. {undertrained} of "
        f"{len(usual)} runs were still learning when their rates began to fall: this shows budgets as much as "
        "architectures."
    )
    most = max((row.config.layers for row in long), default=0)
    deepest = [row for row in long if row.config.layers == most]
    if not deepest:
        return words
    listed = []
    for depth in sorted({row.config.size for row in deepest}):
        found = [row for row in deepest if row.config.size == depth]
        each = ", ".join(f"{NAMES[row.config.model]} {row.result.accuracy:.2f}" for row in found)
        listed.append(f"on depths to {depth} {each}")
    return f"{words} With {times(usual, long)} times the training, one seed, {most} layers have {'; '.join(listed)}."
