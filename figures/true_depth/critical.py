"""The length up to which a trained model holds: where its measured accuracy first falls below a threshold.

The paper's input aggregation criticality, made a number: accuracy between two measured lengths is read from the
straight line through them in the logarithm of length. Nothing is extrapolated: a model that holds at every length
measured has the longest of them, and one that never does has the shortest, each marked as an end that was not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from figures.rows import Row

THRESHOLD = 0.9
Beyond = Literal["", "<", ">="]


class Critical(BaseModel):
    """Critical lengths of one model on one task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    model: str
    layers: int
    size: int
    mean: float
    low: float
    high: float
    beyond: Beyond  # what was measured, for most seeds


def critical_length(curve: Mapping[int, float], threshold: float = THRESHOLD) -> tuple[float, Beyond]:
    """Length at which accuracy first falls below ``threshold``, and whether that is before or beyond those measured."""
    points = sorted(curve.items())
    if points[0][1] < threshold:
        return float(points[0][0]), "<"
    for (shorter, before), (longer, after) in pairwise(points):
        if after < threshold:
            share = (before - threshold) / (before - after)
            return float(shorter * (longer / shorter) ** share), ""
    return float(points[-1][0]), ">="


def _most(sides: Sequence[Beyond]) -> Beyond:
    """The side that more than half of the seeds are on."""
    named: tuple[Beyond, ...] = ("<", ">=")
    return next((side for side in named if 2 * sides.count(side) > len(sides)), "")


def summarise(rows: Sequence[Row], threshold: float = THRESHOLD) -> list[Critical]:
    """Critical length of each (task, model, layers, size): geometric mean and range over seeds."""
    groups: dict[tuple[str, str, int, int], list[Row]] = {}
    for row in rows:
        config = row.config
        groups.setdefault((config.task, config.model, config.layers, config.size), []).append(row)
    table = []
    for (task, model, layers, size), group in sorted(groups.items()):
        found = [critical_length(row.result.curve, threshold) for row in group]
        lengths = [length for length, _ in found]
        table.append(
            Critical(
                task=task, model=model, layers=layers, size=size,
                mean=float(np.exp(np.mean(np.log(lengths)))), low=min(lengths), high=max(lengths),
                beyond=_most([side for _, side in found]),
            )
        )  # fmt: skip
    return table
