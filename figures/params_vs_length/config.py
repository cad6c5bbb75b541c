"""Every cell of params_vs_length: a short run, and four times its compute spent in four ways."""

from __future__ import annotations

from figures.cells import CellConfig
from figures.film_figure import film_figure
from figures.params_vs_length.plot import BASE, WAYS, plot, verdict


def cells() -> list[CellConfig]:
    """The short run and the four ways."""
    return [BASE, *WAYS.values()]


FIGURE = film_figure("params_vs_length", cells, plot, verdict)

redraw = FIGURE.redraw
