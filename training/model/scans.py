"""Recurrences that are linear in their state, for all steps of a window at once.

Dimensions: B batch, T time, H heads, P head width, N state size, E inner width, Q positions in a chunk, J chunks.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def ssd_scan(
    x_BTHP: Tensor,
    decay_BTH: Tensor,
    b_BTN: Tensor,
    c_BTN: Tensor,
    state_BHPN: Tensor,
    chunk: int = 32,
) -> tuple[Tensor, Tensor]:
    """Chunked state-space dual scan with a differentiable initial state (arXiv 2405.21060, sec. 6).

    ``S_t = exp(decay_t) S_{t-1} + x_t b_t^T`` and ``y_t = S_t c_t``, for each head.

    Args:
        x_BTHP: inputs, already multiplied by the time step.
        decay_BTH: logarithms of the decay, <= 0.
        b_BTN: write vectors, shared by the heads.
        c_BTN: read vectors, shared by the heads.
        state_BHPN: the state before the first position.
        chunk: positions handled by one quadratic block.

    Returns:
        ``y_BTHP`` and the state after the last position.
    """
    time = x_BTHP.shape[1]
    outputs = []
    for start in range(0, time, chunk):
        part = slice(start, min(start + chunk, time))
        x_BHQP = x_BTHP[:, part].transpose(1, 2)
        b_BQN, c_BQN = b_BTN[:, part], c_BTN[:, part]
        total_BHQ = decay_BTH[:, part].transpose(1, 2).cumsum(-1)
        gap_BHQQ = total_BHQ[..., :, None] - total_BHQ[..., None, :]
        past_QQ = torch.ones_like(gap_BHQQ[0, 0], dtype=torch.bool).tril()
        kernel_BHQQ = gap_BHQQ.masked_fill(~past_QQ, -math.inf).exp()
        kernel_BHQQ = kernel_BHQQ * (c_BQN @ b_BQN.transpose(1, 2))[:, None]
        carried_BHQP = c_BQN[:, None] @ state_BHPN.transpose(-1, -2)
        outputs.append(kernel_BHQQ @ x_BHQP + carried_BHQP * total_BHQ.exp()[..., None])
        rest_BHQ = (total_BHQ[..., -1:] - total_BHQ).exp()
        written_BHPN = (x_BHQP * rest_BHQ[..., None]).transpose(-1, -2) @ b_BQN[:, None]
        state_BHPN = state_BHPN * total_BHQ[..., -1, None, None].exp() + written_BHPN
    return torch.cat(outputs, 2).transpose(1, 2), state_BHPN


class LinearScan(torch.autograd.Function):
    """``h_t = keep_t * h_{t-1} + write_t`` for all t at once, by doubling: log2(T) passes over [B, T, E].

    The gradient is the same recurrence backwards in time. Everything stays in linear space, which is exact to rounding
    where 0 <= keep <= 1; a scan of logarithms loses digits as their sums grow with T, and was 10 times slower on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, keep_BTE: Tensor, write_BTE: Tensor, h_BE: Tensor) -> Tensor:
        first_B1E = torch.addcmul(write_BTE[:, :1], keep_BTE[:, :1], h_BE[:, None])
        h_BTE = double(keep_BTE, torch.cat((first_B1E, write_BTE[:, 1:]), 1))
        ctx.save_for_backward(keep_BTE, h_BTE, h_BE)
        return h_BTE

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep_BTE, h_BTE, h_BE = ctx.saved_tensors
        next_BTE = torch.cat((keep_BTE[:, 1:], torch.zeros_like(keep_BTE[:, :1])), 1)
        write_BTE = double(next_BTE.flip(1), gradients[0].flip(1)).flip(1)
        before_BTE = torch.cat((h_BE[:, None], h_BTE[:, :-1]), 1)
        return write_BTE * before_BTE, write_BTE, write_BTE[:, 0] * keep_BTE[:, 0]


def double(keep_BTE: Tensor, write_BTE: Tensor) -> Tensor:
    """Prefix scan: after the pass with distance s each position has gathered the 2 s writes that end at it."""
    distance, time = 1, keep_BTE.shape[1]
    while distance < time:
        late, early = slice(distance, None), slice(0, time - distance)
        gathered_BTE = torch.addcmul(write_BTE[:, late], keep_BTE[:, late], write_BTE[:, early])
        write_BTE = torch.cat((write_BTE[:, :distance], gathered_BTE), 1)
        keep_BTE = torch.cat((keep_BTE[:, :distance], keep_BTE[:, late] * keep_BTE[:, early]), 1)
        distance *= 2
    return write_BTE


def mingru_scan(gate_BTE: Tensor, candidate_BTE: Tensor, h_BE: Tensor) -> Tensor:
    """Parallel scan of ``h_t = (1 - z_t) h_{t-1} + z_t g(candidate_t)``, ``z = sigmoid(gate)``.

    ``g(v) = v + 1/2`` for v >= 0, else ``sigmoid(v)`` (arXiv 2410.01201, appendix B): every term is positive.
    """
    write_BTE = torch.sigmoid(gate_BTE) * positive(candidate_BTE)
    h_BTE: Tensor = LinearScan.apply(torch.sigmoid(-gate_BTE), write_BTE, h_BE)  # type: ignore[no-untyped-call]
    return h_BTE


def positive(x: Tensor) -> Tensor:
    """The minGRU's ``g``: continuous, increasing, positive."""
    return torch.where(x >= 0, x.clamp(min=0) + 0.5, torch.sigmoid(x.clamp(max=0)))
