"""FRJT, the Forward-Referencing Jumps Task: run a small program whose jumps depend on a register.

A program of depth n is n blocks of three tokens: a flip bit and two forward offsets. Execution
starts at block 0 with a 1-bit register at 0. At each visited block the register is XORed with the
flip bit, then the offset chosen by the register is taken. Block n is the halt A (class 0), block
n + 1 the halt B (class 1); every jump is capped so that it lands on one of them at the latest.
An offset k has weight (2/3)^k, but the two that halt weigh the same, so that A and B are equally
likely from everywhere. Source: arXiv 2510.06828, the FRJT section.

    >>> run_program([(1, 1, 2), (0, 1, 1)])  # flip to 1, jump 2: past block 1, onto halt A
    0

Dimensions: B programs, N blocks, T = 3 N tokens, S offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TOKENS_PER_BLOCK = 3
DECAY = 2 / 3


def vocabulary(max_depth: int) -> int:
    """Token ids in use: 2 flip bits, then the first offsets, then the second ones."""
    return 2 + 2 * (max_depth + 1)


def offset_probabilities(remaining: int) -> Floats:
    """Probability of each offset 1 ... remaining + 1, seen ``remaining`` blocks before halt A."""
    weights_S = DECAY ** np.arange(1, remaining + 2)
    weights_S[-1] = weights_S[-2]
    probabilities_S: Floats = weights_S / weights_S.sum()
    return probabilities_S


@lru_cache(maxsize=256)
def _cumulative(depth: int) -> Floats:
    """``cumulative_NS[i, k]``: probability that block i's offset is at most k + 1."""
    cumulative_NS = np.ones((depth, depth + 1))
    for block in range(depth):
        sums_S = np.cumsum(offset_probabilities(depth - block))
        cumulative_NS[block, : sums_S.size - 1] = sums_S[:-1]
    return cumulative_NS


def sample_programs(rng: np.random.Generator, batch: int, depth: int) -> tuple[NDArray[np.bool_], Ints]:
    """Random programs of one depth: flips_BN (bool) and offsets_BN2 (blocks, >= 1)."""
    flips_BN = rng.random((batch, depth)) < 0.5
    draws_BN2 = rng.random((batch, depth, 2))
    cumulative_NS = _cumulative(depth)
    offsets_BN2 = np.empty((batch, depth, 2), dtype=np.int64)
    for block in range(depth):
        offsets_BN2[:, block] = np.searchsorted(cumulative_NS[block], draws_BN2[:, block], "right")
    return flips_BN, offsets_BN2 + 1


def execute(flips_BN: NDArray[np.bool_], offsets_BN2: Ints) -> Ints:
    """Class in which each program halts: 0 for A, 1 for B."""
    batch, depth = flips_BN.shape
    place_B = np.zeros(batch, dtype=np.int64)
    register_B = np.zeros(batch, dtype=bool)
    for block in range(depth):
        here_B = place_B == block
        register_B ^= flips_BN[:, block] & here_B
        jump_B = np.where(register_B, offsets_BN2[:, block, 1], offsets_BN2[:, block, 0])
        place_B += jump_B * here_B
    classes_B: Ints = place_B - depth
    return classes_B


def run_program(blocks: Sequence[tuple[int, int, int]]) -> int:
    """The task in plain words, one program: blocks of (flip, offset if 0, offset if 1)."""
    counter, register = 0, 0
    while counter < len(blocks):
        flip, offset_if_0, offset_if_1 = blocks[counter]
        register ^= flip
        counter += offset_if_1 if register else offset_if_0
    return counter - len(blocks)


def encode(flips_BN: NDArray[np.bool_], offsets_BN2: Ints, max_depth: int) -> Ints:
    """Token ids [B, 3 N]: flip, first offset, second offset of each block in turn."""
    batch, depth = flips_BN.shape
    tokens_BN3 = np.empty((batch, depth, TOKENS_PER_BLOCK), dtype=np.int64)
    tokens_BN3[..., 0] = flips_BN
    tokens_BN3[..., 1] = offsets_BN2[..., 0] + 1
    tokens_BN3[..., 2] = offsets_BN2[..., 1] + 2 + max_depth
    return tokens_BN3.reshape(batch, -1)


def sample_batch(rng: np.random.Generator, batch: int, depth: int, max_depth: int) -> tuple[Ints, Ints]:
    """Tokens [B, 3 N] and classes [B] of random programs of one depth."""
    flips_BN, offsets_BN2 = sample_programs(rng, batch, depth)
    return encode(flips_BN, offsets_BN2, max_depth), execute(flips_BN, offsets_BN2)


def window_accuracy(depth: int, window: int, samples: int = 4000, seed: int = 0) -> float:
    """Best accuracy of any predictor that sees only the last ``window`` blocks of a program.

    Exact over what came before (where execution enters the window, with which register), Monte
    Carlo over the window's content: the standard error is below 0.5 / sqrt(samples). Jumps from
    different places soon meet, so this is far above chance: accuracy below it is no memory.
    """
    if window >= depth:
        return 1.0
    start = depth - window
    visit_N, entry_N = np.zeros(depth + 2), np.zeros(depth + 2)
    visit_N[0] = 1.0
    for block in range(start):
        ahead = depth - block
        landing = visit_N[block] * offset_probabilities(ahead)
        visit_N[block + 1 : depth + 2] += landing
        inside = max(start, block + 1)
        entry_N[inside:] += landing[inside - block - 1 :]
    rng = np.random.default_rng(seed)
    flips_BN, offsets_BN2 = sample_programs(rng, samples, depth)
    rows_B = np.arange(samples)
    halts_B = np.zeros((samples, depth + 2, 2))  # class reached from (place, register before it)
    halts_B[:, depth + 1] = 1.0
    chance_B = np.full(samples, entry_N[depth + 1])
    for block in range(depth - 1, start - 1, -1):
        for register in (0, 1):
            flipped_B = (flips_BN[:, block] ^ bool(register)).astype(np.int64)
            target_B = block + offsets_BN2[rows_B, block, flipped_B]
            halts_B[:, block, register] = halts_B[rows_B, target_B, flipped_B]
        chance_B += entry_N[block] * halts_B[:, block].mean(-1)  # the register is a fair coin
    return float(np.maximum(chance_B, 1 - chance_B).mean())


def mixed_window_accuracy(max_depth: int, window: int, samples: int = 4000) -> float:
    """``window_accuracy`` averaged over depths uniform in 1 ... max_depth."""
    depths = range(1, max_depth + 1)
    return float(np.mean([window_accuracy(depth, window, samples) for depth in depths]))
