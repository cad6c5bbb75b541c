"""wall_time has no runs of its own: it draws those of length_law against processor time."""

from __future__ import annotations

from figures.film_figure import film_figure
from figures.length_law import config as length_law
from figures.wall_time.plot import plot, verdict

FIGURE = film_figure("wall_time", length_law.cells, plot, verdict)

redraw = FIGURE.redraw
