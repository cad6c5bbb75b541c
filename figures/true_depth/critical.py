"""The length up to which a trained model holds: fitted to accuracy against length.

The paper's input aggregation criticality, made a number. Accuracy against length n is fitted by
``floor + (1 - floor) / (1 + (n / n0)^s)``, least squares over a grid; the critical length is where
the fit crosses the threshold. It extrapolates, so it is cut at four times the longest length seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from figures.rows import Row

THRESHOLD = 0.9


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
    censored: bool  # beyond what was measured, for most seeds


def critical_length(curve: Mapping[int, float], floor: float, threshold: float) -> float:
    """Length at which the fitted accuracy falls below ``threshold``."""
    lengths = np.array(sorted(curve), dtype=float)
    accuracy = np.array([curve[int(length)] for length in lengths])
    middles = np.geomspace(lengths[0] / 4, lengths[-1] * 64, 200)[:, None, None]
    slopes = np.linspace(0.3, 6, 60)[None, :, None]
    fits = floor + (1 - floor) / (1 + (lengths / middles) ** slopes)
    errors = ((fits - accuracy) ** 2).sum(-1)
    best_middle, best_slope = np.unravel_index(errors.argmin(), errors.shape)
    middle, slope = middles[best_middle, 0, 0], slopes[0, best_slope, 0]
    held = (threshold - floor) / (1 - floor)
    length = middle * (1 / held - 1) ** (1 / slope)
    return float(np.clip(length, lengths[0] / 2, 4 * lengths[-1]))


def summarise(rows: Sequence[Row], threshold: float = THRESHOLD) -> list[Critical]:
    """Critical length of each (task, model, layers, size): mean and range over seeds."""
    groups: dict[tuple[str, str, int, int], list[Row]] = {}
    for row in rows:
        config = row.config
        key = (config.task, config.model, config.layers, config.size)
        groups.setdefault(key, []).append(row)
    table = []
    for (task, model, layers, size), group in sorted(groups.items()):
        floor = 0.5 if task == "frjt" else 1 / size**2
        lengths = [critical_length(row.result.curve, floor, threshold) for row in group]
        longest = max(group[0].result.curve)
        table.append(
            Critical(
                task=task,
                model=model,
                layers=layers,
                size=size,
                mean=float(np.exp(np.mean(np.log(lengths)))),
                low=min(lengths),
                high=max(lengths),
                censored=bool(np.mean([length > longest for length in lengths]) > 0.5),
            )
        )
    return table
