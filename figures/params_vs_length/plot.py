"""Draw params_vs_length: what more compute buys, a way of spending it a point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from figures.cells import CellConfig, CellResult, named, results
from figures.cells import cell_key as key
from figures.costs import timed
from figures.rows import Row
from figures.style import save

SHORT = 375  # updates
BASE = CellConfig(updates=SHORT)
WAYS = {  # words -> four times the short run's frames, or twice its width
    "more updates": CellConfig(updates=4 * SHORT),
    "more windows an update": CellConfig(updates=SHORT, batch=4 * BASE.batch),
    "longer windows": CellConfig(updates=SHORT, window=4 * BASE.window),
    "more parameters": CellConfig(updates=SHORT, width=2 * BASE.width),
}
LOOKS = {
    "more updates": ("#2e8540", "^"), "more windows an update": ("#0b6fa4", "s"),
    "longer windows": ("#c1272d", "o"), "more parameters": ("#d98200", "D"),
}  # fmt: skip


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence."""
    base = named(rows)[key(BASE)]
    words = {config: text for text, config in WAYS.items()}
    spent = sorted(results(rows, list(words)), key=lambda pair: pair[1].nats)
    listed = ", ".join(
        f"{words[config]} {result.nats:.3f} ({times(result, base):.1f} times)" for config, result in spent
    )
    best, *others = (words[config] for config, _ in spent)
    return (
        f"Of four ways to spend more compute (parameters x frames) than a run that has {base.nats:.3f} nats a key, "
        f"{best} buy most and {others[-1]} least: {listed}."
    )


def times(result: CellResult, base: CellResult) -> float:
    """Its parameters x frames, as a multiple of the base's."""
    return result.parameters * result.frames / (base.parameters * base.frames)


def plot(rows: Sequence[Row], png: Path) -> None:
    """One panel against processor time."""
    base = timed(BASE, named(rows)[key(BASE)])
    canvas, axes = plt.subplots(figsize=(6.2, 4.0))
    start = max(base.seconds.values())
    axes.plot(start, base.nats, "o", color="#333333", ms=6)
    axes.annotate(" the short run", (start, base.nats), xytext=(6, 3), textcoords="offset points", fontsize=8)
    words = {config: text for text, config in WAYS.items()}
    for config, result in results(rows, list(words)):
        colour, marker = LOOKS[words[config]]
        end = max(timed(config, result).seconds.values())
        axes.plot([start, end], [base.nats, result.nats], color=colour, lw=1.2)
        axes.plot(end, result.nats, marker, color=colour, ms=6, label=f"{words[config]}: {result.nats:.3f}")
    axes.set_xlim(left=0)
    axes.set(xlabel="CPU s of training", ylabel="nats a key, four test repositories")
    axes.set_title("More updates buy most of three to four times the compute", loc="left")
    axes.legend(loc="lower left")
    save(canvas, png)
    plt.close(canvas)
