"""What the READMEs of figures/ say of committed rows, written from the rows, so that the two cannot differ.

Between ``<!-- NAME: verdict -->`` or ``<!-- NAME: table -->`` and ``<!-- end -->`` stands what the figure's function of
that name makes of its rows; ``python -m figures`` writes it.
"""

from __future__ import annotations

import importlib
import re
import textwrap
from pathlib import Path

from figures.rows import ROOT, read_rows
from figures.sweep import Figure, table

CLAIM = re.compile(r"<!-- (\w+): (verdict|table) -->(.*?)<!-- end -->", re.DOTALL)
LINE = 120  # characters


def readmes() -> list[Path]:
    """The READMEs that may hold claims."""
    return [ROOT / "README.md", *sorted(ROOT.glob("*/README.md"))]


def said(name: str, kind: str) -> str:
    """A figure's verdict or table. Raises ValueError: no such figure, or it has no verdict."""
    if not (ROOT / name / "config.py").exists():
        raise ValueError(f"there is no figure {name}")
    config = importlib.import_module(f"figures.{name}.config")
    if hasattr(config, "said"):  # a figure that is no sweep
        return str(config.said(kind))
    figure: Figure = config.FIGURE
    rows = read_rows(figure.results, figure.kind)
    if kind == "table":
        return (figure.table or table)(rows)
    if figure.verdict is None:
        raise ValueError(f"figure {name} has no verdict")
    return figure.verdict(rows)


def rewrite(text: str) -> str:
    """The text with every claim as the rows have it now; a claim on lines of its own is filled to LINE characters."""

    def claim(found: re.Match[str]) -> str:
        name, kind, before = found.groups()
        words = said(name, kind)
        if before.startswith("\n"):
            filled = words if kind == "table" else textwrap.fill(words, LINE, break_on_hyphens=False)
            words = f"\n{filled}\n"
        return f"<!-- {name}: {kind} -->{words}<!-- end -->"

    return CLAIM.sub(claim, text)


def write() -> list[Path]:
    """Rewrite the READMEs that differ from their rows; returns them."""
    changed = []
    for path in readmes():
        before = path.read_text(encoding="utf-8")
        after = rewrite(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed
