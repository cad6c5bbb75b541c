"""FRJT against its plain interpreter, and its shortcut lines against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from training.tasks import frjt


@pytest.mark.parametrize("depth", [1, 2, 5, 17, 32])
def test_vectorised_execution_equals_the_interpreter(depth: int) -> None:
    flips_BN, offsets_BN2 = frjt.sample_programs(np.random.default_rng(depth), 200, depth)
    classes_B = frjt.execute(flips_BN, offsets_BN2)
    for flips_N, offsets_N2, halted in zip(flips_BN, offsets_BN2, classes_B, strict=True):
        blocks = [(int(f), int(a), int(b)) for f, (a, b) in zip(flips_N, offsets_N2, strict=True)]
        assert frjt.run_program(blocks) == halted


def test_offsets_follow_their_distribution_and_halts_are_balanced() -> None:
    _, offsets_BN2 = frjt.sample_programs(np.random.default_rng(0), 20_000, 6)
    for block in range(6):
        expected_S = frjt.offset_probabilities(6 - block)
        counts_S = np.bincount(offsets_BN2[:, block].ravel(), minlength=len(expected_S) + 1)[1:]
        assert len(counts_S) == len(expected_S)
        np.testing.assert_allclose(counts_S / counts_S.sum(), expected_S, atol=0.01)
    _, classes_B = frjt.sample_batch(np.random.default_rng(1), 20_000, 6, 6)
    assert abs(classes_B.mean() - 0.5) < 0.02
    assert frjt.offset_probabilities(3) == pytest.approx(np.array([9, 6, 4, 4]) / 23)


def test_same_seed_same_batch_and_tokens_decode() -> None:
    tokens_BT, classes_B = frjt.sample_batch(np.random.default_rng(4), 50, 7, 9)
    again_BT, _ = frjt.sample_batch(np.random.default_rng(4), 50, 7, 9)
    np.testing.assert_array_equal(tokens_BT, again_BT)
    assert tokens_BT.max() < frjt.vocabulary(9)
    for tokens_T, halted in zip(tokens_BT, classes_B, strict=True):
        blocks = [(int(f), int(a) - 1, int(b) - 11) for f, a, b in tokens_T.reshape(-1, 3)]
        assert frjt.run_program(blocks) == halted


def brute_force_window_accuracy(depth: int, window: int) -> float:
    """Sum over every program of its probability, grouped by its last blocks."""
    choices = []
    for block in range(depth):
        chance_S = frjt.offset_probabilities(depth - block)
        offsets = list(enumerate(chance_S, start=1))
        choices.append(
            [((flip, a, b), 0.5 * p * q) for flip in (0, 1) for (a, p), (b, q) in itertools.product(offsets, offsets)]
        )
    classes: dict[tuple[tuple[int, int, int], ...], list[float]] = {}
    for program in itertools.product(*choices):
        blocks = tuple(block for block, _ in program)
        chance = math.prod(p for _, p in program)
        classes.setdefault(blocks[depth - window :], [0.0, 0.0])[frjt.run_program(blocks)] += chance
    return sum(max(pair) for pair in classes.values())


@pytest.mark.parametrize(("depth", "window"), [(2, 1), (3, 1), (3, 2)])
def test_window_accuracy_equals_brute_force(depth: int, window: int) -> None:
    exact = brute_force_window_accuracy(depth, window)
    assert frjt.window_accuracy(depth, window, samples=40_000) == pytest.approx(exact, abs=0.006)


def test_window_accuracy_rises_with_the_window() -> None:
    lines = [frjt.window_accuracy(16, window) for window in (1, 2, 4, 8, 16)]
    assert lines == sorted(lines)
    assert 0.5 < lines[0] < 0.7
    assert lines[-1] == 1.0
    assert frjt.mixed_window_accuracy(4, 4, samples=10) == 1.0
