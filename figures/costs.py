"""What an update of every cell on film costs: all of them by turns in one process, on one thread of one processor.

Rows of ``learner/results.csv`` come from several machines, busy and not, and hold the seconds of their own run. Where
time is compared, these are what is compared.

    python -m figures.costs         measure them all, ten minutes; writes learner/costs.csv
"""

from __future__ import annotations

import argparse
import csv
import datetime
import functools
import importlib
import io
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from figures.cells import CellConfig, CellResult, cell_key
from figures.rows import ROOT, commit, processor
from schema.errors import clear_errors
from training.files import write_atomically

COSTS = ROOT / "learner" / "costs.csv"
COLUMNS = ("cell", "seconds", "updates", "processor", "commit", "date")
FIGURES = ("learner", "length_law", "baselines", "params_vs_length")
ROUNDS, SECONDS = 6, 1.0  # turns of each cell beside a first one to warm up, and CPU seconds of a turn at least
FREE = ("updates", "rate", "film", "reset", "seed")  # of what an update costs nothing depends on these


def cost_key(config: CellConfig) -> str:
    """The name that cells of the same cost share."""
    return cell_key(config.model_copy(update={name: CellConfig.model_fields[name].default for name in FREE}))


@functools.cache
def costs(path: Path = COSTS) -> dict[str, float]:
    """CPU seconds of an update, by `cost_key`; none where they were not measured."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        return {row["cell"]: float(row["seconds"]) for row in csv.DictReader(lines)}


def timed(config: CellConfig, result: CellResult) -> CellResult:
    """The result with the seconds of its updates as `costs` has them. Raises ValueError: it was not measured."""
    cost = costs().get(cost_key(config))
    if cost is None:
        raise ValueError(f"{COSTS}: nothing of {cost_key(config)}; run python -m figures.costs")
    return result.model_copy(update={"seconds": {update: update * cost for update in result.seconds}})


def turn(updates: Iterator[int], seconds: float) -> tuple[int, float]:
    """Make updates for so long, one at least: how many, and CPU seconds."""
    began, made, spent = time.process_time(), 0, 0.0
    while not made or spent < seconds:
        next(updates)
        made, spent = made + 1, time.process_time() - began
    return made, spent


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every cell by turns, and write the file anew; the exit code is 2 after a clear error."""
    words = "What an update of every cell on film costs, by turns on one thread: writes learner/costs.csv."
    argparse.ArgumentParser(prog="python -m figures.costs", description=words).parse_args(arguments)
    import torch

    from figures.learning import begun, film
    from training.loop.plan import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()  # as training.fit does
    asked = [config for name in FIGURES for config in importlib.import_module(f"figures.{name}.config").cells()]
    cells = {cost_key(config): config for config in asked}
    endless = {key: config.model_copy(update={"updates": 10**6, "film": 0}) for key, config in cells.items()}
    running = {key: begun(config, film())[1] for key, config in endless.items()}
    made, spent = dict.fromkeys(cells, 0), dict.fromkeys(cells, 0.0)
    for number in range(1 + ROUNDS):
        for key, each in running.items():
            count, seconds = turn(each, SECONDS)
            if number:
                made[key] += count
                spent[key] += seconds
        print(f"round {number} of {ROUNDS}", flush=True)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key in cells:
        found = (round(spent[key] / made[key], 5), made[key], processor(), commit(), datetime.date.today())
        writer.writerow([key, *found])
    write_atomically(COSTS, lines.getvalue().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
