"""``python -m figures [NAME ...]``: redraw PNGs from their committed CSVs, offline; all of them by default.

Then what the READMEs say of the rows is written again (figures.claims).
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from figures import claims
from figures.rows import ROOT
from schema.errors import clear_errors


def figure_names() -> list[str]:
    """Folders with a config.py: each draws committed rows, its own or another figure's."""
    return sorted(path.parent.name for path in ROOT.glob("*/config.py"))


def redraw(name: str) -> Path:
    """Draw one figure from its results.csv; returns the PNG."""
    config = importlib.import_module(f"figures.{name}.config")
    png: Path = config.redraw()
    return png


@clear_errors
def main(arguments: list[str] | None = None) -> int:
    """Draw those named, or all, and say how long it took."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=(__doc__ or "").partition("\n")[0])
    # no `choices`: argparse holds an empty list of names against them
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(figure_names())} (default: all)")
    names = parser.parse_args(arguments).names
    for name in names:
        if name not in figure_names():
            parser.error(f"no figure {name}; there are {', '.join(figure_names())}")
    started = time.perf_counter()
    for name in names or figure_names():
        print(f"drew {redraw(name).relative_to(ROOT.parent)}")
    for path in claims.write():
        print(f"wrote {path.relative_to(ROOT.parent)}")
    print(f"{time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
