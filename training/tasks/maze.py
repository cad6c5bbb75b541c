"""Withheld maze position tracking: moves are seen, walls block some, the position never is.

One fixed maze for everybody (a spanning tree of the cells, so one path joins any two). A walker
starts in a random cell, which is given once, and tries uniformly random moves; a move into a wall
leaves it in place. The model reads the moves tried and names the cell after each one. Source:
arXiv 2510.06828, the withheld maze position tracking section.

Dimensions: B walks, T moves, S = side x side cells (row-major), 4 directions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

DIRECTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # north, east, south, west as (row, column)


def make_maze(side: int, seed: int = 0) -> Ints:
    """The maze as a table: ``next_S4[cell, direction]`` is the cell after trying that move.

    Carved by a randomised depth-first search from the north-west corner.
    """
    rng = np.random.default_rng(seed)
    next_S4 = np.repeat(np.arange(side * side)[:, None], 4, axis=1)
    visited, stack = {0}, [0]
    while stack:
        row, column = divmod(stack[-1], side)
        open_ways = [
            (way, (row + down) * side + column + right)
            for way, (down, right) in enumerate(DIRECTIONS)
            if 0 <= row + down < side
            and 0 <= column + right < side
            and (row + down) * side + column + right not in visited
        ]
        if not open_ways:
            stack.pop()
            continue
        way, cell = open_ways[rng.integers(len(open_ways))]
        next_S4[stack[-1], way] = cell
        next_S4[cell, (way + 2) % 4] = stack[-1]
        visited.add(cell)
        stack.append(cell)
    return next_S4


def vocabulary(side: int) -> int:
    """Token ids in use: the 4 moves, then each cell as a starting place."""
    return 4 + side * side


def sample_batch(rng: np.random.Generator, next_S4: Ints, batch: int, moves: int) -> tuple[Ints, Ints]:
    """Tokens [B, T + 1], the starting place and then the moves tried, and the cell after each."""
    cell_B = rng.integers(len(next_S4), size=batch)
    moves_BT = rng.integers(4, size=(batch, moves))
    cells_BT = np.empty((batch, moves + 1), dtype=np.int64)
    cells_BT[:, 0] = cell_B
    for time in range(moves):
        cell_B = next_S4[cell_B, moves_BT[:, time]]
        cells_BT[:, time + 1] = cell_B
    return np.concatenate((cells_BT[:, :1] + 4, moves_BT), axis=1), cells_BT


def walk(next_S4: Ints, start: int, moves: list[int]) -> list[int]:
    """The task in plain words, one walk: the starting cell, then the cell after each move."""
    cells = [start]
    for move in moves:
        cells.append(int(next_S4[cells[-1], move]))
    return cells


def window_accuracy(next_S4: Ints, window: int, samples: int = 2000, seed: int = 0) -> float:
    """Best accuracy of a predictor that sees only the last ``window`` moves of a longer walk.

    Where the window begins is uniform at any time (each way between two cells is as likely as the
    way back), so this holds for walks of every length above ``window``; a window that reaches the
    starting place gives 1. Exact over the first cell, Monte Carlo over the moves. Walks coalesce
    (walls bring walkers together), so this is far above 1 / cells.
    """
    rng = np.random.default_rng(seed)
    cells_BS = np.repeat(np.arange(len(next_S4))[None], samples, axis=0)
    for _ in range(window):
        cells_BS = next_S4[cells_BS, rng.integers(4, size=(samples, 1))]
    counts_BS = np.zeros((samples, len(next_S4)))
    np.add.at(counts_BS, (np.arange(samples)[:, None], cells_BS), 1.0)
    return float(counts_BS.max(1).mean() / len(next_S4))
