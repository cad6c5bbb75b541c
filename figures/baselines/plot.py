"""Draw baselines: every backbone in the learner, after the same updates and against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.cells import CellConfig, CellResult, results
from figures.costs import timed
from figures.rows import Row
from figures.style import COLOURS, NAMES, log_axis, save

RATES = (1e-3, 3e-3, 6e-3)
SHORT_SIGHTED = {"carried": False, "window": 256, "batch": 4}  # a transformer's state grows: it knows a window
MEMORY = 512
CONTEXT_KEYS = 1024  # of which the transformer's nats are the mean
PLAIN = {
    "lstm": [CellConfig(rate=rate) for rate in RATES],
    "mingru": [CellConfig(backbone="mingru", layers=2, rate=rate) for rate in RATES],
    "mamba2": [CellConfig(backbone="mamba2", layers=2, rate=rate) for rate in RATES],
    "transformer": [
        CellConfig(backbone="transformer", layers=2, rate=rate, **SHORT_SIGHTED) for rate in (3e-4, 1e-3, 3e-3)
    ],
}
RECURRENT = ("lstm", "mingru", "mamba2")  # their curves are of the same keys
CONTROLS = {
    "frame_only": CellConfig(backbone="frame_only", previous_key=False),
    "keys_only": CellConfig(head="none", guesses=0),
}
MEMORIES = {
    "lstm": CellConfig(memory=MEMORY),
    "mingru": CellConfig(backbone="mingru", layers=2, memory=MEMORY),
    "mamba2": CellConfig(backbone="mamba2", layers=2, memory=MEMORY),
}
ALL_NAMES = {**NAMES, "keys_only": "keys only"}
ALL_COLOURS = {**COLOURS, "keys_only": "#aaaaaa"}


class Entry(NamedTuple):
    """A backbone's best cell by the repository to choose with."""

    config: CellConfig
    result: CellResult


def plain(rows: Sequence[Row]) -> dict[str, Entry]:
    """Each backbone without a memory, and the controls."""
    found: dict[str, Entry] = {}
    for name, configs in {**PLAIN, **{name: [config] for name, config in CONTROLS.items()}}.items():
        measured = results(rows, configs)
        if measured:
            found[name] = Entry(*min(measured, key=lambda pair: pair[1].validation))
    return found


def remembering(rows: Sequence[Row]) -> dict[str, Entry]:
    """Each backbone with a memory."""
    measured = dict(results(rows, list(MEMORIES.values())))
    return {name: Entry(config, measured[config]) for name, config in MEMORIES.items() if config in measured}


def _listed(entries: Mapping[str, Entry]) -> str:
    ordered = sorted(entries.items(), key=lambda pair: pair[1].result.nats)
    return ", ".join(f"{ALL_NAMES[name]} {entry.result.nats:.3f}" for name, entry in ordered)


def by_time(some: Mapping[str, Entry]) -> tuple[float, dict[str, float]]:
    """(CPU s that the quickest of RECURRENT needs for all updates, what each of them has on the curve's keys then)."""
    curves = {}
    for name in RECURRENT:
        if name in some:
            result = timed(*some[name])
            curves[name] = (np.log(list(result.seconds.values())), list(result.curve.values()))
    end = min(seconds[-1] for seconds, _ in curves.values())
    return float(np.exp(end)), {name: float(np.interp(end, *curve)) for name, curve in curves.items()}


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    some, more = plain(rows), remembering(rows)
    frames = next(iter(some.values())).result.frames / 1e6
    level = some["lstm"].result.context_carried
    other = (
        f" (that of {CONTEXT_KEYS:,} of those keys, where the LSTM has {level:.3f})" if "transformer" in some else ""
    )
    seconds, level_then = by_time(some)
    then = ", ".join(f"{ALL_NAMES[name]} {nats:.2f}" for name, nats in sorted(level_then.items(), key=lambda p: p[1]))
    alone, smaller = ({name: some[name] for name in names if name in some} for names in (PLAIN, CONTROLS))
    return (
        f"After the same {frames:.1f} million frames and with as many parameters, nats a key: {_listed(alone)}"
        f"{other}; after {seconds:.0f} CPU seconds, on the curve's keys, {then} (only the quickest has come to the end "
        f"of its schedule); with a memory of {MEMORY} steps, a tenth more parameters: {_listed(more)}; smaller "
        f"controls: {_listed(smaller)}."
    )


def bars(axes: Axes, some: Mapping[str, Entry], more: Mapping[str, Entry]) -> None:
    """Nats by backbone, hollow with a memory; a dot a repository."""
    order = sorted(some, key=lambda name: -some[name].result.nats)
    for place, name in enumerate(order):
        for entry, fill, shift in ((some[name], True, 0.0), (more.get(name), False, -0.32)):
            if entry is None:
                continue
            nats, dots = entry.result.nats, list(entry.result.by_repo.values())
            colour = ALL_COLOURS[name]
            axes.barh(place + shift, nats, height=0.3, color=colour if fill else "white", edgecolor=colour)
            axes.plot(dots, [place + shift] * len(dots), "o", color="#333333", ms=2.3)
            end = (max(dots), place + shift)
            words = f"{nats:.3f}{', fewer keys' if name == 'transformer' else ''}"
            axes.annotate(words, end, xytext=(6, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(len(order)), [ALL_NAMES[name] for name in order])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("nats a key; dots: four test repositories")
    axes.set_title(f"A memory of {MEMORY} steps (white) is worth more than a backbone", loc="left")


def curves(axes: Axes, some: Mapping[str, Entry]) -> None:
    """Nats against the processor time of training."""
    for name, (config, measured) in some.items():
        result = timed(config, measured)
        axes.plot(
            list(result.seconds.values()), list(result.curve.values()), "o-", color=ALL_COLOURS[name], lw=1.2, ms=3,
            label=ALL_NAMES[name],
        )  # fmt: skip
    log_axis(axes, "CPU s of training")
    axes.set(ylabel="nats a key, 8,192 keys (transformer: 256)", ylim=(None, 3.6))
    _, then = by_time(some)
    axes.set_title(f"By time {ALL_NAMES[min(then, key=lambda name: then[name])]} is ahead (no memory)", loc="left")
    axes.legend(loc="upper right")


def plot(rows: Sequence[Row], png: Path) -> None:
    """Two panels: after all updates, and against time."""
    some, more = plain(rows), remembering(rows)
    canvas, (left, right) = plt.subplots(1, 2, figsize=(10.6, 4.0))
    bars(left, some, more)
    curves(right, some)
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)
