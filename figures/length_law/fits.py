"""Fits of loss against length, and the lines that they are compared with.

Two forms: a straight line in log-log, whose slope is -exponent; and L = E + A T^-b, least squares in the loss itself,
b from a grid, E and A in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from figures.film_rows import interval, losses_by_stream
from figures.rows import Row
from training.tasks.frozen_head import LAG_EDGES

EXPONENTS = np.linspace(0.02, 3.0, 150)
Floats = NDArray[np.float64]


class Fit(NamedTuple):
    """One fit: its parameters, and the share of the variance over the points that it explains."""

    exponent: float
    offset: float
    scale: float
    r2: float

    def __call__(self, lengths: Floats) -> Floats:
        """The fitted losses, nats."""
        result: Floats = self.offset + self.scale * lengths**-self.exponent
        return result


def explained(measured: Floats, fitted: Floats) -> float:
    """R^2."""
    return float(1 - ((measured - fitted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())


def log_log(lengths: Floats, losses: Floats) -> Fit:
    """A line through log loss against log length; R^2 of the logarithms, offset 0."""
    slope, start = np.polyfit(np.log(lengths), np.log(losses), 1)
    return Fit(-slope, 0.0, float(np.exp(start)), explained(np.log(losses), start + slope * np.log(lengths)))


def offset_power(lengths: Floats, losses: Floats) -> Fit:
    """L = E + A T^-b with the smallest squared error, b among EXPONENTS."""
    x = lengths[None, :] ** -EXPONENTS[:, None]
    centred = x - x.mean(1, keepdims=True)
    scale = (centred @ losses) / (centred**2).sum(1)
    offset = losses.mean() - scale * x.mean(1)
    errors = ((losses - offset[:, None] - scale[:, None] * x) ** 2).sum(1)
    best = int(errors.argmin())
    fitted = offset[best] + scale[best] * x[best]
    return Fit(float(EXPONENTS[best]), float(offset[best]), float(scale[best]), explained(losses, fitted))


def law(lengths: Sequence[int], groups: Sequence[Sequence[Row]]) -> dict[str, tuple[Fit, Fit, Fit]]:
    """Each form's fit of the mean losses with the two ends of its 95 % interval over seeds and test streams."""
    x = np.array(lengths, np.float64)
    losses = [losses_by_stream(group) for group in groups]
    means = np.array([part.mean() for part in losses])
    result = {}
    for name, form in (("log-log", log_log), ("offset", offset_power)):
        low, high = interval(losses, lambda drawn, form=form: np.array(form(x, drawn)))
        result[name] = (form(x, means), Fit(*low.tolist()), Fit(*high.tolist()))
    return result


def window_means(lengths: Sequence[int], groups: Sequence[Sequence[Row]]) -> list[list[float]]:
    """The paper's measure, a value a seed: the mean loss over all places of held-out windows as long as trained on."""
    return [
        [mean_of_places(row.result.by_place, length) for row in group]
        for length, group in zip(lengths, groups, strict=True)
    ]


def mean_of_places(by_place: Mapping[int, float], length: int) -> float:
    """Mean over the first `length` places of a curve in doubling bins; `length` must be where a bin ends."""
    total = 0.0
    for low, loss in by_place.items():
        places = 1 if low == 1 else low - 1
        if low <= length:
            total += places * loss
    return total / length


def cold_start(lengths: Sequence[int], longest: Sequence[Row]) -> list[float]:
    """Window means that the model trained on the longest windows would have if it were cut to each length."""
    return [float(np.mean([mean_of_places(row.result.by_place, length) for row in longest])) for length in lengths]


def perfect_recall(lengths: Sequence[int], frame_only: Sequence[Row]) -> list[float]:
    """The frame-only loss with every key of a word whose lag is 1 … T - 1 free of charge (training.analysis.word_lags).

    No bound: a model can also learn from what is on the screen and from words only partly alike; it is what exact
    recall of words alone would add to the frame.
    """
    counts = frame_only[0].result.lag_counts
    loss = {edge: float(np.mean([row.result.by_lag[edge] for row in frame_only])) for edge in counts}
    level = float(np.mean([row.result.loss for row in frame_only]))
    total = sum(counts.values())
    return [
        level - sum(counts[edge] * loss[edge] for edge in LAG_EDGES if edge in counts and 1 <= edge < length) / total
        for length in lengths
    ]


def ideal_recall(lengths: Sequence[int], counts: Mapping[int, int], values: int) -> list[float]:
    """The recall film's ideal loss on the targets: log(values) for those whose lag is T or more."""
    total = sum(counts.values())
    return [
        float(np.log(values)) * sum(n for edge, n in counts.items() if edge >= length) / total for length in lengths
    ]
