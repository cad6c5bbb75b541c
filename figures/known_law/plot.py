"""Draw length_law: the law on real film by two measures and two heads, on the recall film, and loss by memory lag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figures.film_rows import grouped, losses_by_stream
from figures.length_law import fits
from figures.rows import Row
from figures.style import COLOURS, power_axis, reference_line, save, seeds_line
from training.tasks import recall

FRAMES = 1024  # an update, where the number of frames is what all lengths share
BATCH = 4  # windows an update, where the number of windows is, as in the paper
PALE = "#d98200"
SHADES = ("#f0b9a8", "#e3826f", "#c1272d", "#5f1216")
Groups = dict[int, list[Row]]


def arms(rows: Sequence[Row], film: str) -> tuple[Groups, Groups, list[Row]]:
    """LSTM rows of a film by length: FRAMES frames an update, BATCH windows an update; and the frame-only rows."""
    own = [row for row in rows if row.config.film == film]
    lstm = grouped([row for row in own if row.config.model == "lstm"], "length", "batch")
    equal = {length: group for (length, batch), group in lstm.items() if length * batch == FRAMES}
    windows = {length: group for (length, batch), group in lstm.items() if batch == BATCH}
    return equal, windows, [row for row in own if row.config.model == "frame_only"]


def hollow(groups: Groups) -> list[bool]:
    """Whether half the seeds or more were undertrained, for each length."""
    return [2 * sum(row.result.undertrained for row in group) >= len(group) for group in groups.values()]


def seed_means(groups: Groups) -> list[list[float]]:
    """The primary measure, a value a seed for each length."""
    return [losses_by_stream(group).mean(1).tolist() for group in groups.values()]


def same_targets(axes: Axes, equal: Groups, windows: Groups, frame_only: Sequence[Row], name: str) -> None:
    """The primary measure on a real film called `name`, with its fits and the lines of a frame alone."""
    lengths = list(equal)
    seeds_line(
        axes, lengths, seed_means(equal), COLOURS["lstm"], f"{FRAMES:,} frames an update, for every T", hollow(equal)
    )
    if windows:
        seeds_line(
            axes, list(windows), seed_means(windows), PALE, f"{BATCH} windows an update (the paper's way)",
            hollow(windows), "s",
        )  # fmt: skip
    for groups, style in ((equal, "-"), (windows, (0, (1, 1)))):
        if len(groups) > 3:
            means = np.array([np.mean(values) for values in seed_means(groups)])
            fit = fits.offset_power(np.array(list(groups), np.float64), means)
            smooth = np.geomspace(min(groups), max(groups), 100)
            label = f"E + A T^-b: b = {fit.exponent:.2f}, R² {fit.r2:.2f}"
            axes.plot(smooth, fit(smooth), color="black", lw=0.9, ls=style, label=label)
    if frame_only:
        level = float(np.mean([row.result.loss for row in frame_only]))
        reference_line(axes, lengths, [level] * len(lengths), "frame only")
        line = fits.perfect_recall(lengths, frame_only)
        reference_line(axes, lengths, line, "frame, and words\nrecalled exactly")
    axes.set(ylabel="nats a key", title=f"{name}: same targets, exactly T frames each")


def window_measure(axes: Axes, equal: Groups, windows: Groups) -> None:
    """The paper's measure on real film: window means, with what cold starts alone predict."""
    lengths = list(equal)
    means = fits.window_means(lengths, list(equal.values()))
    seeds_line(axes, lengths, means, COLOURS["lstm"], "mean over the window", hollow(equal))
    seeds_line(axes, lengths, seed_means(equal), "#777777", "its last step (first panel)", hollow(equal), "s")
    if windows:
        paper = fits.window_means(list(windows), list(windows.values()))
        seeds_line(axes, list(windows), paper, PALE, f"mean, {BATCH} windows an update", hollow(windows), "s")
    axes.plot(
        lengths, fits.cold_start(lengths, equal[lengths[-1]]), color="black", lw=0.9, ls=(0, (4, 2)),
        label=f"model of T = {lengths[-1]}, cut short",
    )  # fmt: skip
    axes.set(ylabel="nats a key", title="real film: the mean over windows of T")


def recall_panel(axes: Axes, equal: Groups) -> None:
    """The recall film with its ideal line, log-log."""
    lengths = list(equal)
    seeds_line(axes, lengths, seed_means(equal), COLOURS["lstm"], "LSTM", hollow(equal))
    ideal = fits.ideal_recall(lengths, equal[lengths[0]][0].result.lag_counts, recall.VALUES)
    reference_line(axes, lengths, ideal, "ideal\nmemory")
    reference_line(axes, lengths, [float(np.log(recall.VALUES))] * len(lengths), "a guess")
    axes.set_yscale("log")
    axes.set_yticks([0.125, 0.25, 0.5, 1, 2], ["0.125", "0.25", "0.5", "1", "2"])
    axes.set(ylabel="nats a question", title="recall film: same questions, exactly T frames")


def lag_panel(axes: Axes, equal: Groups, frame_only: Sequence[Row], name: str) -> None:
    """What memory buys on a real film called `name`, by certificate: frame-only loss minus the LSTM's."""
    if not frame_only:
        return
    counts = frame_only[0].result.lag_counts
    bins = merged_bins(counts)
    base = lag_losses(frame_only, bins, counts)
    shown = [length for length in (4, 16, 64, 1024) if length in equal]
    for length, colour in zip(shown, SHADES, strict=False):
        gain = base - lag_losses(equal[length], bins, counts)
        axes.plot(range(len(bins)), gain, "o-", color=colour, ms=4, lw=1.2, label=f"T = {length}")
    axes.axhline(0, color="#555555", lw=0.8)
    names = [f"{name}\n{sum(counts[edge] for edge in edges):,}" for name, edges in bins.items()]
    axes.set_xticks(range(len(bins)), names, fontsize=7)
    axes.set(
        xlabel="steps since the word being typed was last on screen; number of targets",
        ylabel="nats gained over frame only",
        title=f"{name}: what memory buys, by memory lag",
    )


def merged_bins(counts: dict[int, int]) -> dict[str, list[int]]:
    """Lag bins as drawn: doubling bins joined."""
    joined = {
        "not in\na word": [-2], "never\nseen": [-1], "on screen\nnow": [0], "1–127": [1, 2, 4, 8, 16, 32, 64],
        "128–1023": [128, 256, 512], "≥ 1024": [1024, 2048],
    }  # fmt: skip
    present = {name: [edge for edge in edges if edge in counts] for name, edges in joined.items()}
    return {name: edges for name, edges in present.items() if edges}


def lag_losses(rows: Sequence[Row], bins: dict[str, list[int]], counts: dict[int, int]) -> NDArray[np.float64]:
    """Mean loss over seeds in each joined bin."""

    def joined(row: Row, edges: list[int]) -> float:
        return float(np.average([row.result.by_lag[e] for e in edges], weights=[counts[e] for e in edges]))

    return np.array([np.mean([joined(row, edges) for row in rows]) for edges in bins.values()])


def plot(rows: Sequence[Row], png: Path) -> None:
    """Six panels; those whose rows are missing stay empty."""
    canvas, axes = plt.subplots(3, 2, figsize=(10, 11))
    made, _, _ = arms(rows, "recall")
    for place, film, name in ((0, "real", "real film"), (1, "joint", "LSTM-trained head")):
        equal, windows, frame_only = arms(rows, film)
        if not equal:
            continue
        if len(windows) == 1:  # no protocol of its own: the length at which both are one
            windows = {}
        same_targets(axes[place, 0], equal, windows, frame_only, name)
        power_axis(axes[place, 0], list(equal), "T, steps of a training window")
        lag_panel(axes[place, 1], equal, frame_only, name)
        if film == "real":
            window_measure(axes[2, 0], equal, windows)
            power_axis(axes[2, 0], list(equal), "T, steps of a training window")
    if made:
        recall_panel(axes[2, 1], made)
        power_axis(axes[2, 1], list(made), "T, steps of a training window")
    for one in axes.flat:
        if one.get_legend_handles_labels()[0]:
            one.legend(loc="best")
    canvas.text(
        0.01, -0.02, "Bands: range over seeds. Hollow: in half the seeds or more, the last doubling of the updates "
        "still lowered the loss by 2 % or more.\nThe frame heads are held still; one LSTM of width 48 for all, 96 in "
        "the second row.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=3, h_pad=2)
    save(canvas, png)
    plt.close(canvas)
