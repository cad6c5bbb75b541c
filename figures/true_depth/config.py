"""Every cell of true_depth: each backbone by layers and feedback, traced at seven lengths.

    python -m figures.true_depth [plot | --quick | --full | --cell KEY --check]

The traces are deterministic and need no seeds: one row a (model, layers, feedback, steps).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from figures.rows import ROOT
from schema.errors import clear_errors
from training.analysis.depth import OutputFeedback, judge, measure
from training.model.backbones import Backbone, make_backbone

NAME = "true_depth"
CPU_HOURS = 0.1
WIDTH = 32
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
RESULTS = ROOT / NAME / "results.csv"
PNG = ROOT / NAME / f"{NAME}.png"


class DepthCell(BaseModel):
    """One backbone to trace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    layers: int
    feedback: bool = Field(description="each output is added to the next input")

    @property
    def key(self) -> str:
        return f"{self.model}-l{self.layers}{'-feedback' * self.feedback}"


class DepthRow(BaseModel):
    """One traced length, operations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    model: str
    layers: int
    feedback: bool
    steps: int
    forward: int
    backward: int
    verdict: str
    reason: str


CELLS = [
    DepthCell(model=model, layers=layers, feedback=False)
    for model in ("frame_only", "lstm", "transformer", "mamba2", "mingru")
    for layers in (1, 2, 4, 8)
] + [
    DepthCell(model=model, layers=layers, feedback=True)
    for model in ("lstm", "transformer", "mamba2", "mingru")
    for layers in (1, 2)
]


def trace(cell: DepthCell, lengths: Sequence[int] = LENGTHS) -> list[DepthRow]:
    """Depth at each length and the verdict."""
    torch.manual_seed(0)
    backbone: Backbone = make_backbone(cell.model, WIDTH, cell.layers)
    if cell.feedback:
        backbone = OutputFeedback(backbone)
    depths = [measure(backbone, WIDTH, steps) for steps in lengths]
    name = f"{cell.model}+feedback" if cell.feedback else cell.model
    verdict, reason = judge(name, backbone, depths)
    return [
        DepthRow(key=cell.key, **cell.model_dump(), **depth._asdict(), verdict=verdict, reason=reason)
        for depth in depths
    ]


def read_rows(path: Path = RESULTS) -> list[DepthRow]:
    """Committed rows."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return [DepthRow.model_validate(fields) for fields in csv.DictReader(lines)]


def run(cells: Sequence[DepthCell], path: Path, lengths: Sequence[int] = LENGTHS) -> None:
    """Trace the cells that ``path`` lacks."""
    done = {row.key for row in read_rows(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        if cell.key in done:
            continue
        rows = trace(cell, lengths)
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, list(DepthRow.model_fields), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(row.model_dump() for row in rows)
        print(f"{cell.key}: {rows[-1].verdict}", flush=True)


def said(kind: str) -> str:
    """The figure in a few sentences ('verdict'), or its rows and the critical lengths ('table'), as Markdown."""
    from figures.true_depth.plot import table, verdict

    return table(read_rows()) if kind == "table" else verdict(read_rows())


def redraw() -> Path:
    """Draw the PNG from the committed results; returns its path."""
    from figures.true_depth.plot import plot

    plot(read_rows(), PNG)
    return PNG


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The figure's command line; returns the exit status."""
    from figures.true_depth.plot import plot

    parser = argparse.ArgumentParser(prog=f"python -m figures.{NAME}")
    parser.add_argument("action", nargs="?", default="run", choices=["run", "plot"])
    parser.add_argument("--quick", action="store_true", help="one layer, short, under runs/")
    parser.add_argument("--full", action="store_true", help="longer sequences, under runs/")
    parser.add_argument("--cell", metavar="KEY", help="show one committed cell")
    parser.add_argument("--check", action="store_true", help="with --cell: rerun and compare")
    options = parser.parse_args(arguments)
    if options.cell:
        cells = {cell.key: cell for cell in CELLS}
        committed = [row for row in read_rows() if row.key == options.cell]
        if options.cell not in cells or not committed:
            parser.error(f"no cell {options.cell!r}; there are {', '.join(cells)}")
        for row in committed:
            print(row.model_dump_json(exclude={"reason"}))
        if options.check and trace(cells[options.cell]) != committed:
            print("DIFFERENT")
            return 1
        return 0
    path, png = RESULTS, PNG
    if options.quick or options.full:
        path = ROOT.parent / "runs" / "figures" / NAME / f"{'quick' if options.quick else 'full'}.csv"
        png = path.with_suffix(".png")
    if options.action == "run":
        if options.quick:
            run([cell for cell in CELLS if cell.layers == 1], path, LENGTHS[:3])
        else:
            run(CELLS, path, (*LENGTHS, 2048) if options.full else LENGTHS)
    plot(read_rows(path), png)
    print(f"drew {png}")
    return 0
