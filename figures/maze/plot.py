"""Draw maze: the maze itself, and accuracy against the number of moves at both sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.rows import Row
from figures.style import COLOURS, NAMES, power_axis, reference_line, save, seeds_line
from figures.sweep import longer, times
from training.tasks import maze

WINDOWS = (4, 16, 64)
RAISED = {4: -4.0, 16: 0.0, 64: 4.0}  # points, of their names


def draw_maze(axes: Axes, side: int) -> None:
    """Walls of the fixed maze, with one random walk of 64 moves in it."""
    next_S4 = maze.make_maze(side)
    for cell in range(side * side):
        row, column = divmod(cell, side)
        edges = (
            ((column, column + 1), (row, row)),
            ((column + 1, column + 1), (row, row + 1)),
            ((column, column + 1), (row + 1, row + 1)),
            ((column, column), (row, row + 1)),
        )
        for way, (across, down) in enumerate(edges):
            if next_S4[cell, way] == cell:
                axes.plot(across, down, color="#222222", linewidth=1.6, solid_capstyle="round")
    _, cells_BT = maze.sample_batch(np.random.default_rng(3), next_S4, 1, 64)
    rows_T, columns_T = np.divmod(cells_BT[0], side)
    axes.plot(columns_T + 0.5, rows_T + 0.5, color=COLOURS["lstm"], linewidth=1, alpha=0.6)
    axes.plot(columns_T[0] + 0.5, rows_T[0] + 0.5, "o", color=COLOURS["lstm"], markersize=5)
    axes.plot(columns_T[-1] + 0.5, rows_T[-1] + 0.5, "X", color=COLOURS["lstm"], markersize=7)
    axes.set(title=f"the {side} x {side} maze, a walk of 64 moves", aspect="equal")
    axes.invert_yaxis()
    axes.axis("off")


def plot(rows: Sequence[Row], png: Path) -> None:
    """The 8 x 8 maze, then one panel a size; the grey line marks the trained length."""
    rows, long = longer(rows)
    sides = sorted({row.config.size for row in rows})
    canvas, panels = plt.subplots(1, 1 + len(sides), figsize=(4.2 * (1 + len(sides)), 3.7), squeeze=False)
    draw_maze(panels[0][0], sides[0])
    for axes, side in zip(panels[0][1:], sides, strict=True):
        here = [row for row in rows if row.config.size == side]
        for model in NAMES:
            mine = [row for row in here if row.config.model == model]
            if not mine:
                continue
            places = sorted(mine[0].result.curve)
            runs = [[row.result.curve[place] for row in mine] for place in places]
            hollow = sum(row.result.undertrained for row in mine) * 2 >= len(mine)
            seeds_line(axes, places, runs, COLOURS[model], NAMES[model], [hollow] * len(places))
            for row in long:
                if own_cell(row, model, side):
                    curve = row.result.curve
                    axes.plot(places, [curve[place] for place in places], color=COLOURS[model], lw=1.1, ls=":")
        moves = here[0].config.moves
        places = sorted(here[0].result.curve)
        for window in WINDOWS:
            line = maze.window_accuracy(maze.make_maze(side), window, samples=300)
            beyond = [place for place in places if place > window]
            reference_line(axes, beyond, [line] * len(beyond), f"last {window}", RAISED[window])
        axes.axvline(moves, color="#bbbbbb", linewidth=1)
        axes.text(moves * 1.06, 1.03, "trained to here", fontsize=7, color="#777777", ha="left")
        power_axis(axes, places, "moves since the start was told")
        axes.set(ylim=(-0.03, 1.08), title=title(here, side), ylabel="accuracy after that move")
        axes.legend(loc="lower left")
    canvas.text(
        0.01, -0.08, "Dashed: best accuracy from the last 4, 16 or 64 moves without the start. "
        "Band: range over seeds.\nHollow: in half the seeds or more the loss still fell when the rate began to decay. "
        + f"Dotted: {times(rows, long)} times the training, one seed." * bool(long),
        fontsize=7, color="#555555",
    )  # fmt: skip
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)


def title(rows: Sequence[Row], side: int) -> str:
    """One maze's message: the two best after as many moves as were trained."""
    means = {
        NAMES[model]: float(np.mean([row.result.accuracy_longest for row in rows if own_cell(row, model, side)]))
        for model in {row.config.model for row in rows}
    }
    first, second, *_ = [*sorted(means, key=lambda name: -means[name]), ""]
    words = f"{side} x {side}: {first} {means[first]:.2f} after {rows[0].config.moves} moves"
    return f"{words}, {second} {means[second]:.2f}" if second else words


def _listed(rows: Sequence[Row]) -> str:
    """Accuracy after as many moves as were trained, by maze and model."""
    parts = []
    for side in sorted({row.config.size for row in rows}):
        means = {
            model: float(np.mean([row.result.accuracy_longest for row in rows if own_cell(row, model, side)]))
            for model in NAMES
            if any(own_cell(row, model, side) for row in rows)
        }
        listed = ", ".join(f"{NAMES[model]} {mean:.2f}" for model, mean in means.items())
        parts.append(f"in the {side} x {side} maze {listed}")
    return "; ".join(parts)


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    usual, long = longer(rows)
    undertrained, still = (sum(row.result.undertrained for row in each) for each in (usual, long))
    words = (
        f"At about equal CPU time only the LSTM keeps its place, and in the small maze alone: after "
        f"{usual[0].config.moves} moves {_listed(usual)}. {undertrained} of {len(usual)} runs were still learning when "
        "their rates began to fall: this shows budgets as much as architectures."
    )
    if not long:
        return words
    return (
        f"{words} With {times(usual, long)} times the training, one seed: {_listed(long)}; {still} of {len(long)} were "
        "still learning."
    )


def own_cell(row: Row, model: str, side: int) -> bool:
    """Whether a row is of one model on one maze."""
    return bool(row.config.model == model and row.config.size == side)
