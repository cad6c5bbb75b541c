"""The recall film against a slow generator and against a reader of its screens."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from training.analysis.word_lags import NO_WORD
from training.tasks import recall


def slow_recall(
    seed: int, steps: int, slots: int, values: int, exponent: float, longest: int
) -> list[tuple[str, int, int]]:
    """(screen, key, lag) of every step: every slot asked at every step what it waits for."""
    rng = np.random.default_rng([seed, 2])
    draws = [int(value) for value in rng.integers(0, values, steps)]
    lags = [int(lag) for lag in recall.draw_lags(rng, steps, exponent, longest)]
    state = [{"wants": "define", "due": 0, "shown": 0, "value": 0} for _ in range(slots)]
    film = []
    for step in range(steps):
        due = [slot for slot in range(slots) if state[slot]["due"] <= step]
        asking = [slot for slot in due if state[slot]["wants"] == "ask"]
        chosen = min(asking or due, key=lambda slot: (state[slot]["due"], slot), default=None)
        if chosen is None:
            film.append(("    ", ord(" "), NO_WORD))
            continue
        slot, name = state[chosen], chr(ord("a") + chosen)
        if asking:
            film.append((f"{name}=? ", ord(str(slot["value"])), step - slot["shown"]))
            slot.update(wants="define", due=step + 1)
        else:
            slot.update(wants="ask", due=step + lags[step], shown=step, value=draws[step])
            film.append((f"{name}={slot['value']} ", ord(str(slot["value"])), NO_WORD))
    return film


@pytest.mark.parametrize(("seed", "slots", "exponent", "longest"), [(0, 1, 0.5, 64), (1, 8, 0.5, 4096), (2, 3, 1.5, 7)])
def test_the_generator_equals_the_slow_one(seed: int, slots: int, exponent: float, longest: int) -> None:
    film = recall.make_recall(seed, 500, slots, 8, exponent, longest)
    fast = list(zip(recall.screens(film), recall.keys(film).tolist(), film.lag_T.tolist(), strict=True))
    assert fast == slow_recall(seed, 500, slots, 8, exponent, longest)


def test_a_reader_of_the_screens_with_memory_answers_every_question() -> None:
    film = recall.make_recall(3, 2000)
    known: dict[str, tuple[str, int]] = {}
    for step, (screen, key) in enumerate(zip(recall.screens(film), recall.keys(film), strict=True)):
        if screen[2] == "?":
            value, shown = known[screen[0]]
            assert chr(key) == value
            assert film.lag_T[step] == step - shown
        elif screen.strip():
            assert chr(key) == screen[2]
            known[screen[0]] = (screen[2], step)
        else:
            assert chr(key) == " "


def test_screen_ids_tell_screens_apart() -> None:
    film = recall.make_recall(4, 3000)
    pairs = set(zip(recall.screens(film), recall.screen_ids(film).tolist(), strict=True))
    assert len({screen for screen, _ in pairs}) == len({number for _, number in pairs}) == len(pairs)


def test_the_ideal_loss_follows_the_law_that_was_asked_for() -> None:
    film = recall.make_recall(5, 200_000, exponent=0.5)
    lags = film.lag_T[film.asked_T]
    for context in (4, 16, 64, 256):
        assert recall.ideal_loss(lags, context) == pytest.approx(np.log(8) * context**-0.5, rel=0.08)
    assert recall.ideal_loss(lags, 10_000) == 0


def test_the_same_seed_gives_the_same_film_and_another_another() -> None:
    first, again, other = (recall.keys(recall.make_recall(seed, 400)).tolist() for seed in (6, 6, 7))
    assert first == again != other


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="exponent above 0"):
        recall.make_recall(0, 10, exponent=0)


def test_the_docstring_shows_a_real_film() -> None:
    assert doctest.testmod(recall).failed == 0
