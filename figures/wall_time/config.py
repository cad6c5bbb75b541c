"""wall_time has no runs of its own: it draws the curves of length_law's, and running it runs those."""

from __future__ import annotations

from figures.film_rows import FILM
from figures.length_law import config as length_law
from figures.sweep import Figure
from figures.wall_time.plot import plot, table

FIGURE = Figure(
    name="wall_time",
    cpu_hours=length_law.FIGURE.cpu_hours,
    cells=length_law.FIGURE.cells,
    quick_cells=length_law.FIGURE.quick_cells,
    full_cells=length_law.FIGURE.full_cells,
    rate_cells=length_law.FIGURE.rate_cells,
    plot=plot,
    kind=FILM,
    table=table,
    source=length_law.NAME,
)

redraw = FIGURE.redraw
