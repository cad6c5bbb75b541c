"""One predictor made of several, weighted online by what each of them has predicted so far.

    losses_T = mixed_losses(np.stack([model_T, counts_T]))     nats of every key under the mixture

The mixture's probability of a key is a weighted mean of the experts' probabilities, with weights that depend on the
keys before it alone, so it is a predictor like any other. Four rules set weights, and the four are mixed in turn:

    Bayes         w <- w p / q: ends at the best single expert
    soft Bayes    w <- w (1 - r + r p / q), r one of RATES: ends at the best fixed weights, which may be better than
                  every expert (Orseau, Lattimore and Legg 2017); then w <- (1 - s) w + s / E, s SHARE, so that an
                  expert that was bad for long comes back soon (fixed share: Herbster and Warmuth 1998)

with p an expert's probability of the key and q the rule's. Bayesian mixing costs at most the logarithm of the number
of those mixed, so over any T keys the mixture's loss is at most the best expert's + (log E + log 4) / T nats a key.

Dimensions: E experts, R rules, T steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RATES = (0.1, 0.03, 0.01)
SHARE = 1e-4


def bayes_losses(losses_ET: npt.NDArray[Any]) -> Floats:
    """Nats of every key under the Bayesian mixture of experts, [T]; all begin with the same weight."""
    summed_ET = np.cumsum(losses_ET, axis=1, dtype=np.float64)
    before_ET = np.concatenate([np.zeros((len(summed_ET), 1)), summed_ET[:, :-1]], axis=1)
    mixed: Floats = np.logaddexp.reduce(-before_ET, axis=0) - np.logaddexp.reduce(-summed_ET, axis=0)
    return mixed


def soft_losses(losses_ET: npt.NDArray[Any], rates: tuple[float, ...] = RATES, share: float = SHARE) -> Floats:
    """Nats of every key under soft Bayes with a fixed share, [rates, T]; all experts begin with the same weight."""
    experts, steps = losses_ET.shape
    least_T = losses_ET.min(axis=0).astype(np.float64)
    p_TE = np.exp(least_T - losses_ET).T  # over the best expert's, so that no step underflows
    rate_R1 = np.array(rates)[:, None]
    weight_RE = np.full((len(rates), experts), 1 / experts)
    q_TR = np.empty((steps, len(rates)))
    for step in range(steps):
        p_E = p_TE[step]
        q_R = weight_RE @ p_E
        q_TR[step] = q_R
        weight_RE = weight_RE * (1 - rate_R1 + rate_R1 * p_E / q_R[:, None])
        weight_RE = (1 - share) * weight_RE + share / experts
    return np.asarray(least_T - np.log(q_TR.T), np.float64)


def mixed_losses(losses_ET: npt.NDArray[Any]) -> Floats:
    """Nats of every key under the mixture of all rules, [T]. See the module for what it is bounded by."""
    rules_RT = np.concatenate([bayes_losses(losses_ET)[None], soft_losses(losses_ET)])
    return bayes_losses(rules_RT)
