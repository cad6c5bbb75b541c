"""Every cell of length_law: windows of T steps, with as many frames an update or as many windows."""

from __future__ import annotations

from figures.cells import CellConfig
from figures.film_figure import film_figure
from figures.length_law.plot import CARRIED, EQUAL_FRAMES, EQUAL_WINDOWS, plot, verdict


def cells() -> list[CellConfig]:
    """Both protocols, and the states that are carried beside them."""
    found = [*EQUAL_FRAMES, *EQUAL_WINDOWS, *CARRIED]
    return list(dict.fromkeys(found))


FIGURE = film_figure("length_law", cells, plot, verdict)

redraw = FIGURE.redraw
