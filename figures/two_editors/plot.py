"""Draw two_editors: nats a key against T in vim and in nano, by counts and by a learner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.memory_law.plot import Law, fitted, law, law_axes, mean, picked
from figures.rows import Row
from figures.style import save

LINES = {  # editor, predictor -> colour, marker, words
    ("vim", "counts"): ("#0b6fa4", "o", "vim, counts of the last T keys"),
    ("nano", "counts"): ("#d98200", "o", "nano by arrows, counts of the last T keys"),
    ("vim", "memory"): ("#0b6fa4", "s", "vim, a model's memory of T steps"),
    ("nano", "memory"): ("#d98200", "s", "nano by arrows, a model's memory of T steps"),
}
FIRST = 64  # keys from which on the lines are fitted, as in memory_law


def by_steps(rows: Sequence[Row], editor: str, predictor: str) -> dict[int, dict[str, float]]:
    """Nats by repository at each T, T growing."""
    found = {
        row.config.steps: row.result.by_repo
        for row in rows
        if (row.config.editor, row.config.predictor) == (editor, predictor)
    }
    return dict(sorted(found.items()))


def laws(rows: Sequence[Row]) -> dict[tuple[str, str], Law]:
    """The line of each editor and predictor."""
    points = {key: by_steps(rows, *key) for key in LINES}
    return {key: law(found, FIRST, max(found)) for key, found in points.items() if sum(t >= FIRST for t in found) > 1}


def difference(rows: Sequence[Row], predictor: str) -> tuple[float, float, float]:
    """Nano's exponent less vim's, with its 95 % interval: the same repositories drawn for both."""
    both = [
        {steps: found for steps, found in by_steps(rows, editor, predictor).items() if steps >= FIRST}
        for editor in ("vim", "nano")
    ]
    repos = len(next(iter(both[0].values())))

    def less(pick: Sequence[int]) -> float:
        vim, nano = (fitted(points, pick)[0] for points in both)
        return nano - vim

    low, high = np.quantile([less(pick) for pick in picked(repos)], [0.025, 0.975])
    return less(range(repos)), float(low), float(high)


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    found = laws(rows)

    def words(key: tuple[str, str]) -> str:
        line, nats = found[key], {steps: mean(each) for steps, each in by_steps(rows, *key).items()}
        ends = f"{nats[line.first]:.2f} to {nats[line.last]:.2f} nats"
        return f"T^-{line.exponent:.3f} [{line.low:.3f}, {line.high:.3f}] ({ends})"

    last = {predictor: found["vim", predictor].last for _, predictor in found}
    parts = [
        f"{who} up to {last[predictor]:,}: vim {words(('vim', predictor))}, nano {words(('nano', predictor))}, nano's "
        "exponent less vim's {:+.3f} [{:+.3f}, {:+.3f}]".format(*difference(rows, predictor))
        for predictor, who in (("counts", "by counts of the last keys"), ("memory", "by a model's memory"))
        if predictor in last
    ]
    return (
        "The law of memory hardly depends on the editor's keys: the same commits, typed in vim and in nano moved by "
        f"arrow-like keys, from {FIRST} steps on, {'; '.join(parts)}."
    )


def plot(rows: Sequence[Row], png: Path) -> None:
    """One panel, one line an editor and predictor."""
    canvas, axes = plt.subplots(figsize=(7.0, 4.4))
    for (editor, predictor), (colour, marker, words) in LINES.items():
        points = {steps: mean(found) for steps, found in by_steps(rows, editor, predictor).items() if steps}
        if points:
            style = "-" if predictor == "counts" else "--"
            axes.plot(list(points), list(points.values()), marker + style, color=colour, lw=1.5, ms=4, label=words)
    law_axes(axes)
    axes.set_title("The same commits in two editors: levels differ, the law hardly", loc="left")
    axes.legend(fontsize=7)
    save(canvas, png)
    plt.close(canvas)


def table(rows: Sequence[Row]) -> str:
    """The rows, and the lines, as Markdown."""
    lines = [
        "| editor | predictor | T | nats a key | lowest and highest repository | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        values = row.result.by_repo.values()
        lines.append(
            f"| {row.config.editor} | {row.config.predictor} | {row.config.steps:,} | {mean(row.result.by_repo):.3f} | "
            f"{min(values):.3f} to {max(values):.3f} | {row.result.cpu_seconds:.0f} |"
        )
    return "\n".join(lines)
