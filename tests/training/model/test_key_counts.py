"""Counts of keys: the fast form against a slow one that counts every window anew, and what a count may not know."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from training.model.key_counts import HIGHEST_ORDER, KeyCounts, Smoothing, chosen_counts

SMOOTHINGS: tuple[Smoothing, ...] = ("kneser_ney", "witten_bell")


def slow_distribution(
    training: list[bytes], past: bytes, order: int, window: int, smoothing: Smoothing, discount: float
) -> list[float]:
    """The definition: count all n-grams of the training film and of the last `window` keys, interpolate upwards."""

    def grams(keys: bytes, m: int) -> list[bytes]:
        padded = bytes(order + 1) + keys
        return [padded[i + order + 1 - m : i + order + 2] for i in range(len(keys))]

    def in_window(m: int) -> list[bytes]:
        return grams(past, m)[max(len(past) - window + m, 0) :] if window > m else []

    p = [1 / 256] * 256
    for m in range(order + 1):
        if smoothing == "kneser_ney" and m < order:
            longer = {gram for keys in training for gram in grams(keys, m + 1)} | set(in_window(m + 1))
            counts = Counter(gram[1:] for gram in longer)
        else:
            counts = Counter(gram for keys in training for gram in grams(keys, m))
            counts.update(in_window(m))
        after: dict[bytes, dict[int, int]] = defaultdict(dict)
        for gram, count in counts.items():
            after[gram[:-1]][gram[-1]] = count
        context = (bytes(order + 1) + past)[len(past) + order + 1 - m :]
        found = after.get(context, {})
        total, types = sum(found.values()), len(found)
        if not total:
            continue
        if smoothing == "witten_bell":
            p = [(found.get(key, 0) + types * p[key]) / (total + types) for key in range(256)]
        else:
            p = [(max(found.get(key, 0) - discount, 0) + discount * types * p[key]) / total for key in range(256)]
    return p


def some_keys(steps: int, alphabet: int, seed: int) -> np.ndarray:
    """Keys with habits: pieces of one phrase, and noise."""
    random = np.random.default_rng(seed)
    phrase = random.integers(97, 97 + alphabet, 23)
    pieces = []
    while sum(map(len, pieces)) < steps:
        start = int(random.integers(len(phrase)))
        pieces.append(phrase[start : start + int(random.integers(1, 9))])
        pieces.append(random.integers(97, 97 + alphabet, int(random.integers(0, 3))))
    return np.concatenate(pieces)[:steps].astype(np.uint8)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [0, 1, 3, HIGHEST_ORDER])
def test_every_probability_is_the_one_that_counting_each_window_anew_gives(order: int, smoothing: Smoothing) -> None:
    training = [some_keys(90, 5, seed) for seed in (0, 1)]
    stream = some_keys(120, 6, 2)
    windows = (0, 1, 2, 7, 8, 9, 40, 119, 500)
    counts = KeyCounts.fit(training, order, smoothing, 0.6)
    losses = counts.losses_at(stream, windows)
    for window, loss_T in zip(windows, losses, strict=True):
        for step in (0, 1, 5, 8, 9, 39, 40, 41, 77, 119):
            past = stream[:step].tobytes()
            slow = slow_distribution([keys.tobytes() for keys in training], past, order, window, smoothing, 0.6)
            assert math.exp(-loss_T[step]) == pytest.approx(slow[stream[step]], rel=1e-11), (window, step)
            quick = counts.distribution(stream[:step], window)
            np.testing.assert_allclose(quick, slow, rtol=1e-11, atol=0, err_msg=f"window {window}, step {step}")


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_every_distribution_sums_to_one(smoothing: Smoothing) -> None:
    counts = KeyCounts.fit([some_keys(300, 9, 0)], 5, smoothing)
    stream = some_keys(300, 40, 1)
    for window in (0, 64):
        for step in range(0, 300, 17):
            assert counts.distribution(stream[:step], window).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("window", [0, 64, 4096])
def test_no_key_is_counted_before_it_is_predicted(window: int) -> None:
    counts = KeyCounts.fit([some_keys(500, 20, 0)], 4)
    stream, other = some_keys(400, 20, 1), some_keys(400, 20, 1)
    other[250:] = some_keys(150, 20, 9)
    np.testing.assert_array_equal(counts.losses(stream, window)[:250], counts.losses(other, window)[:250])


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_keys_drawn_at_random_are_never_predicted(smoothing: Smoothing) -> None:
    random = np.random.default_rng(0)
    training, stream = random.integers(0, 256, (2, 20_000))
    counts = KeyCounts.fit([training], 3, smoothing)
    for loss_T in counts.losses_at(stream, (0, 64, 20_000)):
        assert loss_T.mean() > math.log(256)


def test_what_the_window_has_left_behind_is_forgotten() -> None:
    counts = KeyCounts.fit([some_keys(50, 3, 0)], 4)
    stream = np.concatenate([np.full(100, 200), some_keys(40, 3, 1), np.full(1, 200)])
    other = np.concatenate([np.full(100, 201), some_keys(40, 3, 1), np.full(1, 200)])
    assert counts.losses(stream, 40)[-1] == counts.losses(other, 40)[-1]
    assert counts.losses(stream, 140)[-1] < counts.losses(other, 140)[-1] - 2


def test_streams_without_keys_are_counted_as_nothing() -> None:
    counts = KeyCounts.fit([], 3)
    assert counts.losses(np.empty(0, np.uint8), 64).shape == (0,)
    np.testing.assert_allclose(counts.losses(some_keys(5, 3, 0)), math.log(256))
    assert counts.losses(np.full(300, 97), 64)[-1] < 0.1


def test_the_order_chosen_is_the_one_that_held_out_keys_have_least_loss_at() -> None:
    training, held = [some_keys(3000, 12, 0)], [some_keys(400, 12, 0), some_keys(700, 12, 0)]
    chosen = chosen_counts(training, held)
    losses = {
        order: np.concatenate([KeyCounts.fit(training, order).losses(keys) for keys in held]).mean()
        for order in range(1, HIGHEST_ORDER + 1)
    }
    assert chosen.order == min(losses, key=lambda order: losses[order])
    np.testing.assert_array_equal(chosen.losses(held[0]), KeyCounts.fit(training, chosen.order).losses(held[0]))
