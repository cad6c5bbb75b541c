"""Draw lasting_run: visits a second, memory and failures over the time, with the kills."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.lasting.samples import ROLES, SETTLED, Sample, costs, figures, rates, slope
from figures.style import save

KILLED = ("worker", "flow run", "worker and flow runs")  # in turn
BIN_SECONDS = 60.0
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}  # under words that lines would cross
MANY = 0.05  # of all visits
COLOURS = {"film": "#2e8540", "flow": "#0b6fa4", "server": "#d98200", "worker": "#8d6bb8"}
WORDS = {"film": "processes that film", "flow": "flow runs", "server": "Prefect's server", "worker": "workers"}
THIRDS = ("first", "middle", "last")


def kills(rows: Sequence[Sample]) -> list[float]:
    """Moments of the kills, seconds, to a sample."""
    return [now.seconds for before, now in itertools.pairwise(rows) for _ in range(now.kills - before.kills)]


def plot(rows: Sequence[Sample], png: Path) -> None:
    """Three panels under one another."""
    canvas, (rate, memory, faults) = plt.subplots(
        3, 1, figsize=(7.4, 6.6), sharex=True, height_ratios=(1.3, 1.3, 1.0), layout="constrained"
    )
    _rate(rate, rows)
    _memory(memory, rows)
    _faults(faults, rows)
    for axes in (rate, memory, faults):
        for moment in kills(rows):
            axes.axvline(moment / 60, color="#c1272d", lw=0.9, ls=(0, (4, 2)), zorder=1)
        axes.set_ylim(bottom=0)
    for place, moment in enumerate(kills(rows)):
        rate.annotate(
            f"killed: {KILLED[place % len(KILLED)]}", (moment / 60, 1.0), xycoords=("data", "axes fraction"),
            xytext=(2, -2), textcoords="offset points", rotation=90, va="top", fontsize=6.5, color="#c1272d",
            bbox=PAPER, zorder=5,
        )  # fmt: skip
    if (moment := filmed(rows)) is not None:
        for axes in (rate, memory, faults):
            axes.axvline(moment / 60, color="#777777", lw=0.9, ls=":", zorder=1)
        faults.annotate(
            "all filmed once", (moment / 60, 0), xytext=(2, 3), textcoords="offset points", rotation=90, fontsize=6.5,
            color="#777777",
        )  # fmt: skip
    faults.set_xlabel("minutes")
    save(canvas, png)
    plt.close(canvas)


def _rate(axes: Axes, rows: Sequence[Sample]) -> None:
    moments, visits = (np.array([getattr(row, name) for row in rows], dtype=float) for name in ("seconds", "visits"))
    borders = np.arange(0.0, moments[-1], min(BIN_SECONDS, moments[-1] / 12))
    each = np.diff(np.interp(borders, moments, visits)) / np.diff(borders)
    axes.stairs(each, borders / 60, baseline=None, color="#0b6fa4", lw=1.3, label="each minute")
    ends = np.linspace(moments[0], moments[-1], 4) / 60
    for place, (mean, cost, load) in enumerate(zip(rates(rows), costs(rows), loads(rows), strict=True)):
        first, last = ends[place], ends[place + 1]
        axes.plot([first, last], [mean, mean], color="#222222", lw=1.6, label="" if place else "each third")
        words = f"{mean:.2f} a second, {cost:.2f} s of\nprocessor each, load {load:.1f}"
        axes.annotate(
            words, ((first + last) / 2, 0), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=7,
            bbox=PAPER, zorder=5,
        )  # fmt: skip
    axes.set_ylabel("repositories\nvisited a second")
    axes.set_title(title(rows), loc="left")
    axes.set_ylim(top=1.3 * max(each.max(), 0.1))
    axes.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)


def _memory(axes: Axes, rows: Sequence[Sample]) -> None:
    minutes = [row.seconds / 60 for row in rows]
    axes.plot(minutes, [row.memory_mb for row in rows], color="#222222", lw=1.3, label="all")
    for role in reversed(ROLES):
        values = [getattr(row, f"{role}_mb") for row in rows]
        axes.plot(minutes, values, color=COLOURS[role], lw=1.0, label=WORDS[role])
    late = [row for row in rows if row.seconds >= SETTLED]
    if len(late) > 2:
        mean, grows = sum(row.memory_mb for row in late) / len(late), slope(rows)
        middle = sum(row.seconds for row in late) / len(late)
        ends = (late[0].seconds, late[-1].seconds)
        line = [mean + grows * (moment - middle) / 3600 for moment in ends]
        axes.plot([end / 60 for end in ends], line, color="#222222", lw=1.0, ls=":", label=f"{grows:+.0f} MB an hour")
    axes.set_ylabel("resident memory, MB")
    axes.set_ylim(top=1.45 * max(row.memory_mb for row in rows))
    axes.legend(fontsize=7, ncols=3, loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")


def _faults(axes: Axes, rows: Sequence[Sample]) -> None:
    minutes = [row.seconds / 60 for row in rows]
    for name, words, colour in (
        ("api_faults", "API: 5xx", "#0b6fa4"), ("git_faults", "git: 5xx", "#2e8540"),
        ("rate_limits", "rate limits", "#d98200"),
    ):  # fmt: skip
        axes.step(minutes, [getattr(row, name) for row in rows], color=colour, lw=1.3, where="post", label=words)
    axes.set_ylabel("answered with\na failure, so far")
    axes.legend(fontsize=7, loc="upper left")


def filmed(rows: Sequence[Sample]) -> float | None:
    """When the last repository was complete for the first time, seconds: later visits find little that is new.

    None where there are hardly any later visits: the time was up before all had been filmed.
    """
    most = max(row.complete for row in rows)
    last = next(row for row in rows if row.complete == most)
    return last.seconds if rows[-1].visits - last.visits > MANY * rows[-1].visits else None


def loads(rows: Sequence[Sample]) -> list[float]:
    """The machine's mean load in the thirds of the time."""
    return [sum(row.load for row in some) / len(some) for some in thirds(rows)]


def thirds(rows: Sequence[Sample]) -> list[Sequence[Sample]]:
    """The rows of each third."""
    ends = [round(place * (len(rows) - 1) / 3) for place in range(4)]
    return [rows[first : last + 1] for first, last in itertools.pairwise(ends)]


def title(rows: Sequence[Sample]) -> str:
    """The figure's message."""
    spread = figures(rows)["cpu_spread"]
    return f"{rows[-1].visits:,} visits, {rows[-1].kills} kills: processor time a visit within {100 * spread:.0f} %"


def verdict(rows: Sequence[Sample], summary: Mapping[str, str]) -> str:
    """The run in a few sentences."""
    found, each = figures(rows), rates(rows)
    return (
        f"In {rows[-1].seconds / 60:.0f} minutes two workers made {rows[-1].visits:,} visits of repositories in "
        f"{int(summary['flow_runs'])} flow runs, {sum(each) / 3:.2f} a second, in the thirds of the time "
        f"{', '.join(f'{rate:.2f}' for rate in each)} (spread {100 * found['rate_spread']:.0f} %), at "
        f"{', '.join(f'{cost:.2f}' for cost in costs(rows))} seconds of processor each (spread "
        f"{100 * found['cpu_spread']:.0f} %), beside a load of "
        f"{', '.join(f'{load:.0f}' for load in loads(rows))} on two cores; {rows[-1].kills} kills. "
        f"{int(summary['lost'])} of {int(summary['repositories']):,} repositories were lost, {int(summary['doubled'])} "
        f"stand twice ({int(summary['compared']):,} compared row by row with recordings made without Prefect). Memory "
        f"of everything changed by {slope(rows):+,.0f} MB an hour after the first ten minutes, and was "
        f"{found['memory_peak_mb']:,.0f} MB at most. {int(summary['pages_looked_at']):,} pages of flow runs were "
        f"compared with the warehouse, {int(summary['pages_wrong'])} said what was not so; "
        f"{int(summary['runs_failed'])} flow runs failed that nobody had killed."
    )


def table(rows: Sequence[Sample]) -> str:
    """The thirds of the time side by side."""
    lines = [
        "| third | visits a second | processor s a visit | MB, mean | load of the machine, mean |",
        "|---|---|---|---|---|",
    ]
    for name, some, rate, cost, load in zip(THIRDS, thirds(rows), rates(rows), costs(rows), loads(rows), strict=True):
        memory = sum(row.memory_mb for row in some) / len(some)
        lines.append(f"| {name} | {rate:.2f} | {cost:.2f} | {memory:,.0f} | {load:.1f} |")
    return "\n".join(lines)
