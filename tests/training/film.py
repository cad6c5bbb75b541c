"""Films that behave like a terminal's, for tests: a moving cursor, typed characters, now and then a scroll."""

import numpy as np
import torch
from torch import Tensor


def typed_cells(batch: int, steps: int, rows: int, cols: int, seed: int = 0, code_points: int = 256) -> Tensor:
    """[B, T, R, C] cell ids, int16."""
    random = np.random.default_rng(seed)
    film = np.zeros((batch, steps, rows, cols), dtype=np.int16)
    for b in range(batch):
        screen = random.integers(32, 127, (rows, cols)) % code_points
        screen[rows - 1] = screen[rows - 1] + 2 * code_points
        y, x = int(random.integers(rows)), int(random.integers(cols))
        for t in range(steps):
            film[b, t] = screen
            film[b, t, y, x] += 4 * code_points
            kind = random.random()
            if kind < 0.6:
                screen[y, x] = random.integers(32, 127) % code_points
                x = (x + 1) % cols
            elif kind < 0.8:
                y, x = int(random.integers(rows)), int(random.integers(cols))
            elif kind < 0.9:
                screen[:-2] = screen[1:-1].copy()
    return torch.from_numpy(film)
