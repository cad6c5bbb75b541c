"""The numbers of length_law's README: a line a cell, and the fits with their intervals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from figures.film_rows import film_table, interval, losses_by_stream
from figures.length_law import fits
from figures.length_law.plot import BATCH, FRAMES, Groups, arms
from figures.rows import Row
from training.tasks import recall


def fit_lines(name: str, groups: Groups) -> list[str]:
    """Both forms' fits of the primary measure, one Markdown row each."""
    lengths = list(groups)
    lines = []
    for form, (fit, low, high) in fits.law(lengths, list(groups.values())).items():
        where = f"{name} | {lengths[0]}–{lengths[-1]} | {form}"
        offset = f"{fit.offset:.2f} [{low.offset:.2f}, {high.offset:.2f}]" if form != "log-log" else "–"
        lines.append(
            f"| {where} | {fit.exponent:.3f} [{low.exponent:.3f}, {high.exponent:.3f}] | {offset} | {fit.r2:.3f} |"
        )
    return lines


def plain_line(name: str, lengths: Sequence[int], losses: Sequence[float]) -> str:
    """A log-log fit without an interval, as a Markdown row."""
    fit = fits.log_log(np.array(lengths, np.float64), np.array(losses))
    return f"| {name} | {lengths[0]}–{lengths[-1]} | log-log | {fit.exponent:.3f} | – | {fit.r2:.3f} |"


def gains(groups: Groups, name: str) -> list[str]:
    """Each length's loss minus the next shorter one's, with its 95 % interval over seeds and test streams."""
    lines = ["", f"| T, {name} | nats less than at the next shorter T |", "|---|---|"]
    lengths = list(groups)
    for shorter, longer in itertools.pairwise(lengths):
        losses = [losses_by_stream(groups[length]) for length in (shorter, longer)]
        low, high = interval(losses, lambda means: means[0] - means[1])
        lines.append(f"| {longer} | {losses[0].mean() - losses[1].mean():+.3f} [{low:+.3f}, {high:+.3f}] |")
    return lines


def table(rows: Sequence[Row]) -> str:
    """Cells, gains and fits as Markdown."""
    equal, windows, _ = arms(rows, "real")
    joint, _, _ = arms(rows, "joint")
    made, _, _ = arms(rows, "recall")
    lines = ["| losses | T | form | exponent [95 %] | E, nats [95 %] | R² |", "|---|---|---|---|---|---|"]
    if len(equal) > 3:
        lines += fit_lines(f"real, {FRAMES:,} frames an update", equal)
        means = [float(np.mean(values)) for values in fits.window_means(list(equal), list(equal.values()))]
        lines.append(plain_line(f"real, {FRAMES:,} frames an update, mean over the window", list(equal), means))
        cold = fits.cold_start(list(equal), equal[max(equal)])
        lines.append(
            plain_line(f"real, the model of T = {max(equal)} cut short (cold starts alone)", list(equal), cold)
        )
    if len(windows) > 3:
        lines += fit_lines(f"real, {BATCH} windows an update", windows)
        paper = [float(np.mean(values)) for values in fits.window_means(list(windows), list(windows.values()))]
        lines.append(plain_line("real, the same, mean over the window (the paper's way in full)", list(windows), paper))
    if len(joint) > 3:
        lines += fit_lines(f"head trained with an LSTM, {FRAMES:,} frames an update", joint)
        lines += fit_lines("the same, short", {length: group for length, group in joint.items() if length <= 64})
        means = [float(np.mean(values)) for values in fits.window_means(list(joint), list(joint.values()))]
        lines.append(plain_line("the same, mean over the window", list(joint), means))
    if len(made) > 3:
        lines += fit_lines("recall film", made)
        lines += fit_lines("recall film, short", {length: group for length, group in made.items() if length <= 32})
        counts = made[min(made)][0].result.lag_counts
        lines.append(
            plain_line("recall film, ideal memory", list(made), fits.ideal_recall(list(made), counts, recall.VALUES))
        )
    for name, groups in (("real", equal), ("head trained with an LSTM", joint)):
        lines += gains(groups, name) if groups else []
    return "\n".join([film_table(rows), "", *lines])
