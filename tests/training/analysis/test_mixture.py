"""The online mixture: its bound, what it gains, and that it knows no key before it is predicted."""

import math

import numpy as np
import pytest

from training.analysis.mixture import RATES, bayes_losses, mixed_losses, soft_losses


def dirichlet_losses(experts: int, steps: int, seed: int, sharpness: float = 0.2) -> np.ndarray:
    """Losses of experts that are right by turns: the probabilities of one key of 16, drawn at random."""
    return -np.log(np.random.default_rng(seed).dirichlet(np.full(16, sharpness), (experts, steps))[..., 0] + 1e-9)


def takes_turns(steps: int) -> np.ndarray:
    """Two experts; which of them is right changes half way."""
    right, wrong = np.full(steps // 2, 0.1), np.full(steps // 2, 5.0)
    return np.stack([np.concatenate([right, wrong]), np.concatenate([wrong, right])])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("experts", [1, 2, 7])
def test_the_mixture_is_never_worse_than_the_best_expert_and_its_bound(experts: int, seed: int) -> None:
    losses = dirichlet_losses(experts, 700, seed)
    for steps in (1, 3, 50, 700):
        bound = losses[:, :steps].sum(1).min() + math.log(experts) + math.log(1 + len(RATES))
        assert mixed_losses(losses)[:steps].sum() <= bound + 1e-9


@pytest.mark.parametrize("losses", [takes_turns(4000), takes_turns(4000) * 400, np.array([[1e4] * 90, [2e4] * 90])])
def test_the_bound_holds_where_probabilities_would_underflow(losses: np.ndarray) -> None:
    mixed = mixed_losses(losses)
    assert np.isfinite(mixed).all()
    assert mixed.sum() <= losses.sum(1).min() + math.log(2) + math.log(1 + len(RATES)) + 1e-6


def test_two_experts_that_know_different_things_are_better_together() -> None:
    losses = dirichlet_losses(2, 20_000, 0)
    best_weight = min(-np.log(w * np.exp(-losses[0]) + (1 - w) * np.exp(-losses[1])).mean() for w in (0.4, 0.5, 0.6))
    mixed = mixed_losses(losses).mean()
    assert mixed < losses.mean(1).min() - 0.5
    assert mixed < best_weight + 0.02


def test_an_expert_that_becomes_the_better_one_is_soon_followed() -> None:
    mixed = mixed_losses(takes_turns(4000))
    assert mixed[2200:].mean() < 0.15
    assert bayes_losses(takes_turns(4000))[2200:].mean() > 4  # without sharing, all that was lost has to come in again


def test_a_mixed_prediction_depends_on_earlier_keys_alone() -> None:
    losses = dirichlet_losses(3, 300, 0)
    changed = losses.copy()
    changed[:, 200:] = dirichlet_losses(3, 100, 1)
    np.testing.assert_array_equal(mixed_losses(losses)[:200], mixed_losses(changed)[:200])


def test_every_rule_mixes_probabilities_that_sum_to_one() -> None:
    """The same past, each of three keys as the next one: the mixture's probabilities of the three sum to 1."""
    past = dirichlet_losses(2, 100, 0)
    p_EV = np.array([[0.7, 0.2, 0.1], [0.05, 0.05, 0.9]])
    totals = np.zeros(2 + len(RATES))
    for key in range(3):
        losses = np.concatenate([past, -np.log(p_EV[:, [key]])], axis=1)
        last = [bayes_losses(losses)[-1], *soft_losses(losses)[:, -1], mixed_losses(losses)[-1]]
        totals += np.exp(-np.array(last))
    np.testing.assert_allclose(totals, 1, rtol=1e-9)
