"""Cells of the figures that train the learner on film: what decides one, what it measures, how it is named.

All of them are changes to one base: the preset `small` without its memory, 1.5 million steps of film in stream order,
32 streams side by side. A cell's name says what differs from it, so that figures share rows: figures/learner holds them
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from figures.rows import Kind, Row
from schema.config import FrozenModel

FRAMES = 1024  # an update of the base
FURTHER = 11_074  # thousands of steps: the corpus's film to learn from, its longer histories
CONTEXTS = (1, 4, 16, 64, 256)  # steps, exactly so many of them known


class CellConfig(FrozenModel):
    """One training run on the corpus's film."""

    backbone: Literal["lstm", "mingru", "mamba2", "transformer", "frame_only"] = "lstm"
    layers: int = Field(1, ge=1)
    width: int = Field(256, ge=8)
    head: Literal["cursor", "published", "none"] = "cursor"
    guesses: int = Field(3, ge=0, description="copied from the screen")
    screen_attention: int = Field(0, ge=0, description="width of the vectors that attend to the screen's characters")
    previous_key: bool = True
    memory: int = Field(0, ge=0, description="steps of its own past that the model attends to")
    chrono: int = Field(0, ge=0, description="steps that the forget gates start out with; 0: as PyTorch starts them")
    window: int = Field(32, ge=1, description="T, steps that are backpropagated through")
    batch: int = Field(32, ge=1, description="windows an update")
    carried: bool = Field(True, description="the state is carried from window to window; else windows lie at random")
    reset: float = Field(1 / 64, ge=0, le=1, description="chance that a carried window starts without a state")
    film: int = Field(0, ge=0, description="thousands of steps to learn from; 0: the corpus's; above FURTHER: more")
    updates: int = Field(1500, ge=1)
    rate: float = Field(3e-3, gt=0)
    seed: int = Field(0, ge=0)


class CellResult(FrozenModel):
    """What a model is worth on the four test repositories, nats a key, and what it cost."""

    nats: float = Field(description="steps 16,384 to 80,000, the state carried (a transformer's: 256 steps known)")
    by_repo: dict[str, float]
    right: float = Field(description="share of keys right, of the same")
    context: dict[int, float] = Field(description="1,024 of those keys with exactly T steps known, by T")
    context_carried: float = Field(description="the same 1,024 keys with the state carried")
    validation: float = Field(description="steps 4,096 to 20,000 of the repository to choose with, the state carried")
    curve: dict[int, float] = Field(description="8,192 test keys, the state carried, by update")
    frames: int
    film_steps: int = Field(description="steps of film there were to learn from")
    parameters: int
    state_bytes: int = Field(description="after 1,024 steps, one stream")
    seconds: dict[int, float] = Field(description="CPU seconds of training, by update")
    cpu_seconds: float


SHORT = {
    "layers": "l", "width": "d", "guesses": "guesses", "screen_attention": "attention", "memory": "memory",
    "chrono": "chrono", "window": "t", "batch": "b", "reset": "reset", "film": "film", "updates": "u", "rate": "r",
}  # fmt: skip


def cell_key(config: CellConfig) -> str:
    """The name of a cell: what differs from the base, and the seed."""
    base, parts = CellConfig(), []
    for name in CellConfig.model_fields:
        value = getattr(config, name)
        if name == "seed" or value == getattr(base, name):
            continue
        if name == "carried":
            parts.append("windows")
        elif name == "previous_key":
            parts.append("no previous key")
        elif name == "head":
            parts.append(f"{value} head")
        elif name == "backbone":
            parts.append(str(value))
        else:
            parts.append(f"{SHORT[name]}{value:g}")
    return "-".join([*(parts or ["base"]), f"s{config.seed}"])


def _summary(result: CellResult) -> str:
    return f"{result.nats:.4f} nats, {result.frames:,} frames, {result.cpu_seconds:.0f} s"


def _measure(config: CellConfig) -> CellResult:
    from figures.learning import measure  # brings the pipeline with it, which drawing does without

    return measure(config)


CELLS = Kind(CellConfig, CellResult, _measure, cell_key, _summary, ("seconds", "cpu_seconds"))


def named(rows: Sequence[Row]) -> dict[str, CellResult]:
    """Results by the name of their cell."""
    return {row.key: row.result for row in rows}


def results(rows: Sequence[Row], configs: Sequence[CellConfig]) -> list[tuple[CellConfig, CellResult]]:
    """Those of some cells that were measured, in the cells' order."""
    found = named(rows)
    return [(config, found[cell_key(config)]) for config in configs if cell_key(config) in found]


def change(result: CellResult, base: CellResult) -> tuple[float, float, float]:
    """Nats a key more than the base's: the mean over repositories, the lowest and the highest of them."""
    by_repo = [result.by_repo[repo] - base.by_repo[repo] for repo in base.by_repo]
    return float(np.mean(by_repo)), min(by_repo), max(by_repo)


def table(rows: Sequence[Row], configs: Sequence[CellConfig]) -> str:
    """Cells as Markdown: nats a key, the lowest and highest repository, exactly T steps known, what they cost."""
    contexts = [f"{steps} known" if steps > 1 else "1 step known" for steps in CONTEXTS]
    titles = ["cell", "nats a key", "by repository", "right", *contexts, "M frames", "CPU s of training"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for config, result in results(rows, configs):
        known = [f"{result.context[steps]:.3f}" for steps in CONTEXTS]
        right = "–" if np.isnan(result.right) else f"{result.right:.1%}"
        lines.append(
            f"| {cell_key(config)} | {result.nats:.3f} | {min(result.by_repo.values()):.3f} to "
            f"{max(result.by_repo.values()):.3f} | {right} | {' | '.join(known)} | {result.frames / 1e6:.2f} | "
            f"{max(result.seconds.values()):.0f} |"
        )
    return "\n".join(lines)
