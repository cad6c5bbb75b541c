"""The committed samples of one lasting harvest, and what it came to.

python -m benchmarks.lasting --folder FOLDER     an hour
python -m figures.lasting_run FOLDER             take its rows, then plot
python -m figures.lasting_run                    redraw from the committed rows
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lasting.samples import Sample, read, read_summary
from figures.lasting_run import plot
from figures.rows import ROOT
from schema.errors import clear_errors

NAME = "lasting_run"
SAMPLES = ROOT / NAME / "samples.csv"
SUMMARY = ROOT / NAME / "summary.csv"
PNG = ROOT / NAME / f"{NAME}.png"


def rows() -> list[Sample]:
    """The committed samples."""
    return read(SAMPLES)


def redraw() -> Path:
    """Draw the PNG from the committed samples; returns its path."""
    plot.plot(rows(), PNG)
    return PNG


def said(kind: str) -> str:
    """The figure in a few sentences ('verdict'), or the thirds of the time side by side ('table'), as Markdown."""
    return plot.table(rows()) if kind == "table" else plot.verdict(rows(), read_summary(SUMMARY))


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m figures.{NAME}")
    parser.add_argument("folder", nargs="?", type=Path, help="of python -m benchmarks.lasting: take its rows")
    options = parser.parse_args(arguments)
    if options.folder:
        try:
            read(options.folder / SAMPLES.name)
            for place in (SAMPLES, SUMMARY):
                shutil.copyfile(options.folder / place.name, place)
        except (OSError, ValueError) as error:
            parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"drew {redraw()}")
    return 0
