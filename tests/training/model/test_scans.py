"""Scans against the recurrences that they compute, values and gradients."""

import pytest
import torch

from training.model.scans import mingru_scan, positive, ssd_scan


@pytest.mark.parametrize("time", [1, 31, 32, 33, 100])
def test_ssd_scan_equals_the_recurrence(time: int) -> None:
    torch.manual_seed(time)
    x_BTHP, state_BHPN = torch.randn(2, time, 3, 4).double(), torch.randn(2, 3, 4, 5).double()
    decay_BTH = -torch.rand(2, time, 3).double()
    b_BTN, c_BTN = torch.randn(2, time, 5).double(), torch.randn(2, time, 5).double()
    inputs = [x_BTHP, decay_BTH, b_BTN, c_BTN, state_BHPN]
    for tensor in inputs:
        tensor.requires_grad_()
    y_BTHP, last_BHPN = ssd_scan(x_BTHP, decay_BTH, b_BTN, c_BTN, state_BHPN)
    slow, state = [], state_BHPN
    for t in range(time):
        write = x_BTHP[:, t, :, :, None] * b_BTN[:, t, None, None, :]
        state = state * decay_BTH[:, t].exp()[..., None, None] + write
        slow.append((state * c_BTN[:, t, None, None, :]).sum(-1))
    torch.testing.assert_close(y_BTHP, torch.stack(slow, 1))
    torch.testing.assert_close(last_BHPN, state)
    fast = torch.autograd.grad(y_BTHP.pow(2).sum() + last_BHPN.sum(), inputs)
    reference = torch.autograd.grad(torch.stack(slow, 1).pow(2).sum() + state.sum(), inputs)
    for left, right in zip(fast, reference, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("time", [2, 257, 4096])
def test_mingru_scan_equals_the_recurrence(time: int) -> None:
    torch.manual_seed(time)
    gate_BTE, candidate_BTE = 4 * torch.randn(2, 2, time, 3, dtype=torch.float64)
    h_BE = torch.rand(2, 3, dtype=torch.float64) + 0.1
    inputs = [gate_BTE, candidate_BTE, h_BE]
    for tensor in inputs:
        tensor.requires_grad_()
    fast_BTE = mingru_scan(gate_BTE, candidate_BTE, h_BE)
    slow, h = [], h_BE
    for t in range(time):
        z = torch.sigmoid(gate_BTE[:, t])
        h = (1 - z) * h + z * positive(candidate_BTE[:, t])
        slow.append(h)
    slow_BTE = torch.stack(slow, 1)
    torch.testing.assert_close(fast_BTE, slow_BTE, rtol=1e-9, atol=1e-9)
    fast = torch.autograd.grad(fast_BTE.pow(2).sum(), inputs)
    reference = torch.autograd.grad(slow_BTE.pow(2).sum(), inputs)
    for left, right in zip(fast, reference, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)
