"""What the figures on film share: their cells lie in one results.csv, that of figures/learner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from figures.cells import CELLS, CellConfig, cell_key, table
from figures.rows import Row
from figures.sweep import Figure

SHARED = "learner"
CPU_HOURS = 4.0
QUICK_UPDATES = 40
LONG = 4  # times the updates, of the full version


def film_figure(
    name: str,
    cells: Callable[[], list[CellConfig]],
    plot: Callable[[Sequence[Row], Path], None],
    verdict: Callable[[Sequence[Row]], str],
    first: Callable[[Sequence[Row]], str] | None = None,
) -> Figure:
    """A figure over some cells of the learner; `first`: a table of its own that stands before that of its cells."""

    def times(factor: float, configs: Sequence[CellConfig]) -> list[CellConfig]:
        return [each.model_copy(update={"updates": max(1, round(factor * each.updates))}) for each in configs]

    def own(rows: Sequence[Any]) -> list[Row]:
        keys = {cell_key(config) for config in cells()}
        return [row for row in rows if row.key in keys]

    return Figure(
        name=name,
        cpu_hours=CPU_HOURS,
        cells=cells,
        quick_cells=lambda: times(QUICK_UPDATES / CellConfig().updates, cells()[:3]),
        full_cells=lambda: times(LONG, cells()),
        rate_cells=list,
        plot=lambda rows, png: plot(own(rows), png),
        kind=CELLS,
        table=lambda rows: "\n\n".join([*([first(rows)] if first else []), table(rows, cells())]),
        verdict=lambda rows: verdict(own(rows)),
        source="" if name == SHARED else SHARED,
    )
