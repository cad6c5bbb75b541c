"""Every cell of learner: the base, and one part of it changed at a time."""

from __future__ import annotations

from figures.cells import CellConfig
from figures.film_figure import film_figure
from figures.learner.plot import CHANGES, plot, verdict


def cells() -> list[CellConfig]:
    """The base and its changes; two rates with four times the training, which tell whether the better one stays so."""
    longer = [CellConfig(rate=rate, updates=4 * CellConfig().updates) for rate in (3e-3, 6e-3)]
    return [CellConfig(), *CHANGES.values(), *longer]


FIGURE = film_figure("learner", cells, plot, verdict)

redraw = FIGURE.redraw
