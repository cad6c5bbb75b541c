"""The one runner behind the figures: run cells, append rows, resume, check, pick rates.

A *cell* is one training run of a kind (``figures.rows.TASK``, ``figures.cells.CELLS``) with a key. Rows go to
``results.csv`` beside the figure's ``config.py``, one a cell, each written as soon as it is
measured, so that an interrupted sweep is still a result. Cells run seed by seed.

    python -m figures.NAME                  run what is missing, then plot
    python -m figures.NAME rates            sweep the learning rates (learning_rates.csv)
    python -m figures.NAME plot             redraw the PNG from the CSV
    python -m figures.NAME table            the committed rows as a Markdown table
    python -m figures.NAME --quick          a small version in minutes, under runs/
    python -m figures.NAME --full           more seeds and longer training, under runs/
    python -m figures.NAME --cell KEY --check   rerun one cell; it must give the committed row
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from figures.rows import ROOT, TASK, Kind, Row, append_row, read_rows, render
from schema.errors import clear_errors

RUNS = ROOT.parent / "runs" / "figures"


class Figure(BaseModel):
    """One figure's sweep: its cells at three sizes, its rate sweep, and how to draw it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    cpu_hours: float = Field(description="budget of the committed results, CPU hours")
    cells: Callable[[], list[Any]]
    quick_cells: Callable[[], list[Any]]
    full_cells: Callable[[], list[Any]]
    rate_cells: Callable[[], list[Any]]
    plot: Callable[[Sequence[Any], Path], None] = Field(description="rows, PNG")
    kind: Kind = Field(default=TASK, description="what its cells are")
    table: Callable[[Sequence[Any]], str] | None = Field(default=None, description="rows as Markdown, its own way")
    verdict: Callable[[Sequence[Any]], str] | None = Field(default=None, description="rows in a sentence or two")
    source: str = Field(default="", description="the figure whose rows it draws and adds to, if not its own")

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @property
    def results(self) -> Path:
        """The committed rows."""
        return ROOT / (self.source or self.name) / "results.csv"

    def redraw(self) -> Path:
        """Draw the PNG from the committed results; returns its path."""
        png = self.folder / f"{self.name}.png"
        self.plot(read_rows(self.results, self.kind), png)
        return png


def run_cells(cells: Iterable[Any], path: Path, cpu_hours: float, kind: Kind = TASK) -> None:
    """Run the cells that ``path`` lacks, seed by seed, until done or over the CPU budget of these cells."""
    asked = sorted(cells, key=lambda cell: cell.seed)
    done = {row.key: row.result.cpu_seconds for row in read_rows(path, kind)}
    spent = sum(done.get(kind.key(config), 0.0) for config in asked)
    for config in asked:
        key = kind.key(config)
        if key in done:
            continue
        if spent > 3600 * cpu_hours:
            print(f"stopping: {spent / 3600:.2f} CPU hours spent of {cpu_hours}")
            return
        row = Row(config, kind.fit(config), kind)
        append_row(path, row)
        done[key] = row.result.cpu_seconds
        spent += row.result.cpu_seconds
        print(f"{key}: {kind.summary(row.result)}", flush=True)


def check_cell(path: Path, key: str, rerun: bool, kind: Kind = TASK) -> int:
    """Show a committed row; with ``rerun``, measure it again and compare. Returns an exit status.

    Raises:
        ValueError: the file has no such row; the message lists some keys.
    """
    rows = {row.key: row for row in read_rows(path, kind)}
    if key not in rows:
        raise ValueError(f"no cell {key!r} in {path}; there are {', '.join(list(rows)[:5])} …")
    row = rows[key]
    print(f"{key}: {row.result.model_dump_json(exclude={'curve'})}")
    if not rerun:
        return 0
    again = kind.fit(row.config)
    wrong = [name for name in kind.metrics if render(getattr(again, name)) != render(getattr(row.result, name))]
    for name in wrong:
        print(f"DIFFERENT {name}: {getattr(row.result, name)} -> {getattr(again, name)}")
    if not wrong:
        print("the same to the last bit")
    return 1 if wrong else 0


def best_rate(figure: str, model: str, layers: int, size: int) -> float:
    """The swept rate with the lowest loss at the nearest (layers, size) swept for a model.

    Raises:
        ValueError: nothing was swept for the model; the message names the command to run.
    """
    rows = [row for row in read_rows(ROOT / figure / "learning_rates.csv") if row.config.model == model]
    if not rows:
        raise ValueError(f"no rates for {model}: run python -m figures.{figure} rates first")

    def distance(row: Row) -> float:
        near = abs(row.config.layers.bit_length() - layers.bit_length())
        return near + abs(row.config.size.bit_length() - size.bit_length())

    closest = min(distance(row) for row in rows)
    candidates = [row for row in rows if distance(row) == closest]
    return min(candidates, key=lambda row: row.result.loss).config.rate


def longer(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows with the fewest updates of their model, layers and size, and those of longer trainings."""

    def cell(row: Row) -> tuple[str, int, int]:
        return row.config.model, row.config.layers, row.config.size

    fewest: dict[tuple[str, int, int], int] = {}
    for row in rows:
        fewest[cell(row)] = min(row.config.updates, fewest.get(cell(row), row.config.updates))
    usual = [row for row in rows if row.config.updates == fewest[cell(row)]]
    return usual, [row for row in rows if row.config.updates > fewest[cell(row)]]


def times(rows: Sequence[Row], long: Sequence[Row]) -> int:
    """How many times the updates of the usual runs the longer ones have, at most; 1: there are none."""
    usual = {(row.config.model, row.config.layers, row.config.size): row.config.updates for row in rows}
    more = (r.config.updates // usual[r.config.model, r.config.layers, r.config.size] for r in long)
    return max(more, default=1)


def table(rows: Sequence[Row]) -> str:
    """Mean and range over seeds of each (model, layers, size, updates), as Markdown."""
    groups: dict[tuple[str, int, int, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.config.model, row.config.layers, row.config.size, row.config.updates), []).append(row)
    titles = (
        "model", "layers", "parameters", "size", "updates", "seeds", "accuracy", "at the longest", "undertrained",
        "CPU s a run",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for (model, layers, size, updates), group in sorted(groups.items()):
        results = [row.result for row in group]
        mixed, longest = ([getattr(r, name) for r in results] for name in ("accuracy", "accuracy_longest"))
        seconds = sum(r.cpu_seconds for r in results) / len(results)
        lines.append(
            f"| {model} | {layers} | {results[0].parameters:,} | {size} | {updates:,} | {len(group)} | "
            f"{spread(mixed)} | {spread(longest)} | {sum(r.undertrained for r in results)} of {len(group)} | "
            f"{seconds:.0f} |"
        )
    total = sum(row.result.cpu_seconds for row in rows) / 60
    return "\n".join([*lines, "", f"{len(rows)} runs, {total:.0f} CPU minutes in all."])


def spread(values: Sequence[float]) -> str:
    """Mean [lowest, highest], three digits."""
    return f"{sum(values) / len(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


@clear_errors
def main(figure: Figure, arguments: Sequence[str] | None = None) -> int:
    """The command line of one figure; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m figures.{figure.name}")
    parser.add_argument("action", nargs="?", default="run", choices=["run", "rates", "plot", "table"])
    parser.add_argument("--quick", action="store_true", help="a small version, under runs/")
    parser.add_argument("--full", action="store_true", help="a larger version, under runs/")
    parser.add_argument("--seeds", type=int, help="only cells with a seed below this")
    parser.add_argument("--only", metavar="TEXT", default="", help="only cells with it in their key")
    parser.add_argument("--cell", metavar="KEY", help="show one committed row")
    parser.add_argument("--check", action="store_true", help="with --cell: rerun and compare")
    options = parser.parse_args(arguments)
    folder = figure.folder
    kind = figure.kind
    results, png = figure.results, folder / f"{figure.name}.png"
    cells, hours = figure.cells, figure.cpu_hours
    if options.quick or options.full:
        size = "quick" if options.quick else "full"
        results = RUNS / figure.name / f"{size}.csv"
        png = results.with_suffix(".png")
        cells = figure.quick_cells if options.quick else figure.full_cells
        hours = 0.2 if options.quick else 1000.0
    try:
        if options.cell:
            return check_cell(results, options.cell, options.check, kind)
        if options.action == "table":
            print((figure.table or table)(read_rows(results, kind)))
            return 0
        if options.action != "plot":
            rates = options.action == "rates"
            chosen = [
                config
                for config in (figure.rate_cells if rates else cells)()
                if options.only in kind.key(config) and (options.seeds is None or config.seed < options.seeds)
            ]
            run_cells(chosen, results.with_name("learning_rates.csv") if rates else results, hours, kind)
            if rates:
                return 0
        figure.plot(read_rows(results, kind), png)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"drew {png}")
    return 0
