"""Every cell of baselines: each backbone at its own rate, and the best of them with a memory."""

from __future__ import annotations

from figures.baselines.plot import CONTROLS, MEMORIES, PLAIN, plot, verdict
from figures.cells import CellConfig
from figures.film_figure import film_figure


def cells() -> list[CellConfig]:
    """The rates of every backbone, the controls, and those with a memory."""
    return [*(config for rates in PLAIN.values() for config in rates), *CONTROLS.values(), *MEMORIES.values()]


FIGURE = film_figure("baselines", cells, plot, verdict)

redraw = FIGURE.redraw
