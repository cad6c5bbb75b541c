"""Every cell of learner: the base, and one part of it changed at a time."""

from __future__ import annotations

from figures.cells import CellConfig
from figures.film_figure import film_figure
from figures.learner.plot import CHANGES, plot, verdict


def cells() -> list[CellConfig]:
    """The base and its changes."""
    return [CellConfig(), *CHANGES.values()]


FIGURE = film_figure("learner", cells, plot, verdict)

redraw = FIGURE.redraw
