"""Every cell of two_editors: counts and one learner, on the same commits in both editors, at growing T."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from figures.memory_law.config import LawResult, summary
from figures.rows import Kind
from figures.sweep import Figure
from figures.two_editors.plot import plot, table, verdict
from schema.config import FrozenModel
from schema.editors import Editor

NAME = "two_editors"
COUNTED = (0, *(4**k for k in range(9)))  # 0: the training film's alone
REMEMBERED = (1, 64, 512, 4096)
EDITORS: tuple[Editor, ...] = ("vim", "nano")


class EditorConfig(FrozenModel):
    """What is measured."""

    editor: Editor = Field(description="nano's film is moved by arrow-like keys alone")
    predictor: Literal["counts", "memory"]
    steps: int = Field(ge=0, description="T: steps of the stream that are known")
    updates: int = Field(1500, ge=0, description="of the learner, 1,024 frames each; counts have none")
    seed: int = Field(0, description="of the learner's weights")


def _measure(config: EditorConfig) -> LawResult:
    from figures.two_editors.measure import measure  # brings the pipeline with it, which drawing does without

    return measure(config)


KIND = Kind(
    EditorConfig,
    LawResult,
    _measure,
    lambda config: f"{config.editor}-{config.predictor}-t{config.steps}-u{config.updates}-s{config.seed}",
    summary,
)


def cells(updates: int = 1500, remembered: tuple[int, ...] = REMEMBERED) -> list[EditorConfig]:
    """Counts first, then the learner of each editor."""
    counted = [EditorConfig(editor=e, predictor="counts", steps=t, updates=0) for e in EDITORS for t in COUNTED]
    learned = [
        EditorConfig(editor=e, predictor="memory", steps=t, updates=updates) for e in EDITORS for t in remembered
    ]
    return counted + learned


FIGURE = Figure(
    name=NAME,
    cpu_hours=2.0,
    cells=cells,
    quick_cells=lambda: cells(updates=40, remembered=(1, 512)),
    full_cells=lambda: cells(updates=6000),
    rate_cells=list,
    plot=plot,
    kind=KIND,
    table=table,
    verdict=verdict,
)

redraw = FIGURE.redraw
