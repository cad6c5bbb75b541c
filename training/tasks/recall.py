"""A synthetic film whose ideal memory is known: values shown once, asked for after a power law of steps.

The screen is one row of four cells: ``c=5 `` defines slot c, ``c=? `` asks for it, a blank one asks for nothing. The
key to press is the value that the screen shows, at a question the value the slot was last given, at a blank screen a
space. Each of `slots` slots defines a value drawn uniformly, is asked for it `lag` steps later, and defines the next at
its first free step; lags follow P(lag >= n) = n ** -exponent, up to `longest`. So only questions need memory, and an
ideal predictor that is given exactly T frames loses

    0                    nats where the question's lag is < T,
    log(values)          nats otherwise (the values are independent),

a mean of log(values) * P(lag >= T): a pure power law in T, down to nothing.

    >>> film = make_recall(seed=0, steps=6, slots=1)
    >>> screens(film)
    ['a=7 ', 'a=? ', 'a=2 ', '    ', 'a=? ', 'a=4 ']

Dimensions: T steps, S slots.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.analysis.word_lags import NO_WORD

SLOTS, VALUES = 8, 8
BLANK = -1
LONGEST = 4096  # steps of the longest lag
EXPONENT = 0.5


class Recall(NamedTuple):
    """A stream: what is on the screen, the key, and the word lag of each step, as in training.analysis.word_lags."""

    slot_T: NDArray[np.int64]  # BLANK on a blank screen
    value_T: NDArray[np.int64]  # the value shown or asked for; BLANK on a blank screen
    asked_T: NDArray[np.bool_]  # the value is asked for, not shown
    lag_T: NDArray[np.int32]  # steps since it was shown; NO_WORD where nothing is asked


def draw_lags(rng: np.random.Generator, count: int, exponent: float, longest: int) -> NDArray[np.int64]:
    """`count` lags >= 1 with P(lag >= n) = n ** -exponent for n <= longest."""
    uniform = 1.0 - rng.random(count)  # (0, 1]
    return np.minimum(longest, np.floor(uniform ** (-1.0 / exponent))).astype(np.int64)


def make_recall(
    seed: int,
    steps: int,
    slots: int = SLOTS,
    values: int = VALUES,
    exponent: float = EXPONENT,
    longest: int = LONGEST,
) -> Recall:
    """One stream of `steps` steps; the same seed gives the same film.

    A step serves one event: of those due, questions before definitions, then the longest due, then the lower slot. A
    question that has to wait has the longer lag that it then really has. Raises ValueError (nothing to do).
    """
    if min(steps, slots, values, longest) < 1 or exponent <= 0:
        raise ValueError("recall film: steps, slots, values and longest must be at least 1, exponent above 0")
    rng = np.random.default_rng([seed, 2])
    draws = rng.integers(0, values, steps)
    lags = draw_lags(rng, steps, exponent, longest)
    slot_T = np.full(steps, BLANK, np.int64)
    value_T = np.full(steps, BLANK, np.int64)
    lag_T = np.full(steps, NO_WORD, np.int32)
    shown_S, value_S = [0] * slots, [0] * slots
    asking: list[tuple[int, int]] = []  # (due, slot), questions
    defining = [(0, slot) for slot in range(slots)]
    for step in range(steps):
        if asking and asking[0][0] <= step:
            slot = heapq.heappop(asking)[1]
            slot_T[step], value_T[step], lag_T[step] = slot, value_S[slot], step - shown_S[slot]
            heapq.heappush(defining, (step + 1, slot))
        elif defining and defining[0][0] <= step:
            slot = heapq.heappop(defining)[1]
            shown_S[slot], value_S[slot] = step, int(draws[step])
            slot_T[step], value_T[step] = slot, value_S[slot]
            heapq.heappush(asking, (step + int(lags[step]), slot))
    return Recall(slot_T, value_T, lag_T != NO_WORD, lag_T)


def screens(film: Recall) -> list[str]:
    """The screen of every step, four cells."""
    return [
        "    " if slot == BLANK else f"{chr(97 + slot)}={'?' if asked else value} "
        for slot, value, asked in zip(film.slot_T, film.value_T, film.asked_T, strict=True)
    ]


def keys(film: Recall) -> NDArray[np.int64]:
    """The key of every step, a byte: the value's digit, or a space at a blank screen."""
    return np.where(film.slot_T == BLANK, ord(" "), ord("0") + film.value_T)


def screen_ids(film: Recall, slots: int = SLOTS, values: int = VALUES) -> NDArray[np.int64]:
    """Which of the ``1 + slots * (values + 1)`` different screens each step shows: 0 is blank."""
    column = np.where(film.asked_T, values, film.value_T)
    ids: NDArray[np.int64] = np.where(film.slot_T == BLANK, 0, 1 + film.slot_T * (values + 1) + column)
    return ids


def ideal_loss(lags: NDArray[np.int32], context: int, values: int = VALUES) -> float:
    """Nats a question of a predictor that knows every value shown in the last `context` frames, its own included."""
    return float(np.log(values) * np.mean(lags >= context))
