"""Every cell of length_law: windows of T steps, as many frames or windows an update; what else was tried."""

from __future__ import annotations

from figures.cells import CellConfig
from figures.film_figure import film_figure
from figures.length_law.plot import CARRIED, EQUAL_FRAMES, EQUAL_WINDOWS, FEWER, LONGER, MOVES, moved, plot, verdict


def cells() -> list[CellConfig]:
    """Both protocols, the states that are carried beside them, and what might make a state hold more."""
    found = [*EQUAL_FRAMES, FEWER, *LONGER, *EQUAL_WINDOWS, *CARRIED, *MOVES.values()]
    return list(dict.fromkeys(found))


FIGURE = film_figure("length_law", cells, plot, verdict, moved)

redraw = FIGURE.redraw
