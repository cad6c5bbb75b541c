"""Draw baselines: loss of each backbone at equal updates and at equal time, by repository, beside its state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.film_rows import grouped, interval, losses_by_stream
from figures.rows import Row
from figures.style import COLOURS, NAMES, log_axis, save
from figures.wall_time.overtaking import mean_curve

EQUAL_UPDATES = 600
Groups = dict[str, list[Row]]


def by_model(rows: Sequence[Row]) -> Groups:
    """Rows by backbone, in the order of the house's colours."""
    groups = grouped(rows, "model")
    return {model: groups[(model,)] for model in COLOURS if (model,) in groups}


def curves(axes: Axes, groups: Groups, axis: str, label: str) -> None:
    """A line a backbone with the range over seeds."""
    for model, group in groups.items():
        curve = mean_curve(group)
        runs = [[row.result.curve[int(update)] for row in group] for update in curve.updates]
        x = getattr(curve, axis)
        axes.fill_between(x, [min(v) for v in runs], [max(v) for v in runs], color=COLOURS[model], alpha=0.15, lw=0)
        undertrained = 2 * sum(row.result.undertrained for row in group) >= len(group)
        axes.plot(x, curve.losses, color=COLOURS[model], lw=1.4, label=NAMES[model])
        face = "white" if undertrained else COLOURS[model]
        axes.plot(x[-1], curve.losses[-1], "o", color=COLOURS[model], markerfacecolor=face, ms=5)
    log_axis(axes, label)
    axes.set_ylabel("nats a key")


def shared_seconds(groups: Groups) -> float:
    """The CPU time that every backbone was trained for at least, s."""
    return min(float(mean_curve(group).seconds[-1]) for group in groups.values())


def at_seconds(group: Sequence[Row], seconds: float) -> list[float]:
    """The loss of each seed after so much CPU time, between its measurements straight in the logarithm of time."""
    values = []
    for row in group:
        marks = sorted(row.result.curve)
        times = np.log([row.result.seconds[mark] for mark in marks])
        values.append(float(np.interp(np.log(seconds), times, [row.result.curve[mark] for mark in marks])))
    return values


def repositories(axes: Axes, groups: Groups) -> None:
    """Final loss of each test repository, a marker a backbone, with the range over seeds."""
    names = list(next(iter(groups.values()))[0].result.by_stream)
    for place, (model, group) in enumerate(groups.items()):
        losses = losses_by_stream(group)
        x = np.arange(len(names)) + 0.14 * (place - (len(groups) - 1) / 2)
        mean = losses.mean(0)
        spread = np.stack([mean - losses.min(0), losses.max(0) - mean])
        axes.errorbar(x, mean, spread, fmt="o", ms=4, color=COLOURS[model], elinewidth=1)
    axes.set_xticks(range(len(names)), [name.replace("/", "/\n") for name in names], fontsize=8)
    axes.set(ylabel="nats a key", title="after all updates (about equal time), by repository")


def plot(rows: Sequence[Row], png: Path) -> None:
    """Three panels: against updates, against time, by repository."""
    groups = by_model(rows)
    canvas, axes = plt.subplots(1, 3, figsize=(12.5, 3.9))
    curves(axes[0], groups, "updates", "updates")
    axes[0].axvline(EQUAL_UPDATES, color="#555555", lw=0.8, ls=(0, (4, 3)))
    axes[0].set_title("against updates")
    curves(axes[1], groups, "seconds", "CPU s of training")
    axes[1].axvline(shared_seconds(groups), color="#555555", lw=0.8, ls=(0, (4, 3)))
    axes[1].set_title("against processor time")
    axes[0].legend(loc="upper right")
    repositories(axes[2], groups)
    canvas.text(
        0.01, -0.05, "Real film, windows of 64 steps, about 19 k parameters each, the frame head held still; the same "
        "test targets with 64 frames of context. Bands and bars: range over seeds. Dashed: where the table compares. "
        "Hollow: undertrained.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)


def table(rows: Sequence[Row]) -> str:
    """One line a backbone, as Markdown: losses are means [95 % over seeds and test repositories]."""
    groups = by_model(rows)
    seconds = shared_seconds(groups)
    titles = (
        "backbone", "parameters", "state, bytes", "rate", "seeds", f"nats after {EQUAL_UPDATES} updates",
        f"nats after {seconds:.0f} CPU s", "nats at the end of all its updates", "right", "k frames/s", "undertrained",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for model, group in groups.items():
        results = [row.result for row in group]
        updates = [result.curve[EQUAL_UPDATES] for result in results if EQUAL_UPDATES in result.curve]
        timed = at_seconds(group, seconds)
        losses = losses_by_stream(group)
        low, high = interval([losses], lambda means: means[0])
        speed = np.mean([r.frames / r.seconds[max(r.seconds)] for r in results]) / 1000
        lines.append(
            f"| {NAMES[model]} | {results[0].parameters:,} | {results[0].state_bytes:,} | {group[0].config.rate:g} "
            f"| {len(group)} | {spread(updates)} | {spread(timed)} | {losses.mean():.3f} [{low:.3f}, {high:.3f}] "
            f"| {np.mean([r.accuracy for r in results]):.1%} | {speed:.0f} "
            f"| {sum(r.undertrained for r in results)} of {len(group)} |"
        )
    total = sum(row.result.cpu_seconds for row in rows) / 60
    return "\n".join([*lines, "", f"{len(rows)} runs, {total:.0f} CPU minutes in all."])


def spread(values: Sequence[float]) -> str:
    """Mean (lowest-highest) over seeds."""
    return f"{np.mean(values):.3f} ({min(values):.3f}–{max(values):.3f})" if values else "–"
