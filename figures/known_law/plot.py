"""Draw known_law: nats a question against the length of the training windows, beside what an ideal memory loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.film_rows import grouped, interval, losses_by_stream
from figures.rows import Row
from figures.style import COLOURS, power_axis, reference_line, save, seeds_line
from training.tasks import recall

FRAMES = 1024  # an update, at every length
LAST = 32  # the longest windows of the fitted line: from there on the LSTM falls behind


def ideal_recall(lengths: Sequence[int], counts: Mapping[int, int], values: int) -> list[float]:
    """The ideal loss on the targets: log(values) for those whose lag is T or more."""
    total = sum(counts.values())
    return [
        float(np.log(values)) * sum(n for edge, n in counts.items() if edge >= length) / total for length in lengths
    ]


def exponent(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Minus the slope in log-log up to LAST, with its 95 % interval over seeds and test streams."""
    groups = {length: group for (length,), group in grouped(rows, "length").items() if length <= LAST}
    x = np.log(np.array(list(groups), np.float64))
    losses = [losses_by_stream(group) for group in groups.values()]

    def slope(means: np.ndarray) -> float:
        return float(-np.polyfit(x, np.log(means), 1)[0])

    low, high = interval(losses, slope)
    return slope(np.array([part.mean() for part in losses])), float(low), float(high)


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence."""
    found, low, high = exponent(rows)
    groups = grouped(rows, "length")
    means = {length: float(losses_by_stream(group).mean()) for (length,), group in groups.items()}
    longest = max(means)
    return (
        f"On a made film that rewards memory by a known law, an LSTM of 19 thousand parameters finds part of it: nats "
        f"a question fall as T^-{found:.2f} [{low:.2f}, {high:.2f}] up to T = {LAST}, where an ideal memory's fall as "
        f"T^-.50, and hardly fall from there on: {means[LAST]:.2f} there, {means[longest]:.2f} at T = {longest}, the "
        f"longest tried."
    )


def plot(rows: Sequence[Row], png: Path) -> None:
    """One panel, log-log."""
    groups = {length: group for (length,), group in grouped(rows, "length").items()}
    lengths = list(groups)
    hollow = [2 * sum(row.result.undertrained for row in group) >= len(group) for group in groups.values()]
    runs = [losses_by_stream(group).mean(1).tolist() for group in groups.values()]
    canvas, axes = plt.subplots(figsize=(5.4, 3.9))
    seeds_line(axes, lengths, runs, COLOURS["lstm"], "LSTM", hollow)
    ideal = ideal_recall(lengths, groups[lengths[0]][0].result.lag_counts, recall.VALUES)
    reference_line(axes, lengths, ideal, "ideal\nmemory")
    reference_line(axes, lengths, [float(np.log(recall.VALUES))] * len(lengths), "a guess")
    power_axis(axes, lengths, "T, steps of a training window")
    axes.set_yscale("log")
    axes.set_yticks([0.125, 0.25, 0.5, 1, 2], ["0.125", "0.25", "0.5", "1", "2"])
    axes.minorticks_off()
    axes.set(ylabel="nats a question", title="A law that is there is found, in part")
    axes.legend(loc="lower left")
    save(canvas, png)
    plt.close(canvas)
