"""Every cell of more_film: the same updates, from a hundred thousand to thirty million steps to learn from."""

from __future__ import annotations

from figures.cells import CellConfig
from figures.film_figure import film_figure
from figures.more_film.plot import AMOUNTS, LONGER, plot, verdict


def cells() -> list[CellConfig]:
    """The amounts, the smallest first; then some of them with four times the updates."""
    return [*AMOUNTS, *LONGER]


FIGURE = film_figure("more_film", cells, plot, verdict)

redraw = FIGURE.redraw
