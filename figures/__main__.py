"""``python -m figures``: redraw every PNG from its committed CSV, offline."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

from figures.rows import ROOT


def figure_names() -> list[str]:
    """Folders with a config.py: each draws committed rows, its own or another figure's."""
    return sorted(path.parent.name for path in ROOT.glob("*/config.py"))


def redraw(name: str) -> Path:
    """Draw one figure from its results.csv; returns the PNG."""
    config = importlib.import_module(f"figures.{name}.config")
    png: Path = config.redraw()
    return png


def main() -> int:
    """Draw them all and say how long it took."""
    started = time.perf_counter()
    for name in figure_names():
        print(f"drew {redraw(name).relative_to(ROOT.parent)}")
    print(f"{time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
