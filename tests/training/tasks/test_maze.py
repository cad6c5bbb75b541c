"""The maze against its plain interpreter, and its window line against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from training.tasks import maze


@pytest.mark.parametrize("side", [2, 8, 16])
def test_maze_is_a_spanning_tree(side: int) -> None:
    next_S4 = maze.make_maze(side)
    cells = np.arange(side * side)
    doors = [(a, b) for a in cells for b in next_S4[a] if a < b]
    assert len(doors) == side * side - 1
    reached = {0}
    for _ in cells:
        reached |= {int(b) for a in reached for b in next_S4[a]}
    assert len(reached) == side * side
    for a, way in itertools.product(cells, range(4)):
        if next_S4[a, way] != a:
            assert next_S4[next_S4[a, way], (way + 2) % 4] == a
            down, right = maze.DIRECTIONS[way]
            assert divmod(next_S4[a, way], side) == (a // side + down, a % side + right)


def test_vectorised_walk_equals_the_interpreter() -> None:
    next_S4 = maze.make_maze(8)
    tokens_BT, cells_BT = maze.sample_batch(np.random.default_rng(0), next_S4, 40, 100)
    assert tokens_BT.shape == cells_BT.shape == (40, 101)
    assert tokens_BT.max() < maze.vocabulary(8)
    for tokens_T, cells_T in zip(tokens_BT.tolist(), cells_BT.tolist(), strict=True):
        assert maze.walk(next_S4, tokens_T[0] - 4, tokens_T[1:]) == cells_T


def test_same_seed_same_maze_and_walks() -> None:
    np.testing.assert_array_equal(maze.make_maze(8), maze.make_maze(8))
    assert (maze.make_maze(8) != maze.make_maze(8, seed=1)).any()
    first = maze.sample_batch(np.random.default_rng(2), maze.make_maze(8), 3, 9)
    again = maze.sample_batch(np.random.default_rng(2), maze.make_maze(8), 3, 9)
    np.testing.assert_array_equal(first, again)


def test_window_accuracy_equals_brute_force() -> None:
    next_S4 = maze.make_maze(3)
    moves, window = 5, 2
    chance: dict[tuple[int, ...], np.ndarray] = {}
    for path in itertools.product(range(4), repeat=moves):
        for start in range(9):
            end = maze.walk(next_S4, start, list(path))[-1]
            chance.setdefault(path[-window:], np.zeros(9))[end] += 4.0**-moves / 9
    exact = sum(float(chance_S.max()) for chance_S in chance.values())
    ours = maze.window_accuracy(next_S4, window, samples=20_000)
    assert ours == pytest.approx(exact, abs=0.005)
    assert maze.window_accuracy(next_S4, 0) == pytest.approx(1 / 9)
