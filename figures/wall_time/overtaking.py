"""When a run on longer windows overtakes one on shorter windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from figures.rows import Row

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Mean over seeds after each measured update: CPU seconds of training, frames seen, nats a target."""

    updates: Floats
    seconds: Floats
    frames: Floats
    losses: Floats


def mean_curve(rows: Sequence[Row]) -> Curve:
    """The curve of cells that differ in their seed alone."""
    config = rows[0].config
    updates = sorted(rows[0].result.curve)
    return Curve(
        np.array(updates, np.float64),
        np.array([np.mean([row.result.seconds[update] for row in rows]) for update in updates]),
        np.array(updates, np.float64) * config.batch * config.length,
        np.array([np.mean([row.result.curve[update] for row in rows]) for update in updates]),
    )


def overtakes(shorter: Curve, longer: Curve, axis: str) -> float | None:
    """The place on ``axis`` (a field of Curve) from which on the longer's loss is the lower one.

    Losses are interpolated in the logarithm of the place, over the range that both were measured on, a curve that has
    ended keeping its last loss. None when the longer is not ahead at the end.
    """
    low = max(getattr(shorter, axis)[0], getattr(longer, axis)[0])
    high = max(getattr(shorter, axis)[-1], getattr(longer, axis)[-1])
    grid = np.geomspace(low, high, 400)
    first, second = (np.interp(np.log(grid), np.log(getattr(c, axis)), c.losses) for c in (shorter, longer))
    behind = np.flatnonzero(second >= first)
    if not len(behind):
        return float(grid[0])
    if behind[-1] == len(grid) - 1:
        return None
    return float(grid[behind[-1] + 1])
