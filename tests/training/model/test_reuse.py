"""Frame reuse: equal to the plain frame head, forward and backward."""

import numpy as np
import pytest
import torch

from tests.training.film import typed_cells
from training.model.config import ModelConfig
from training.model.frame_head import FrameHead
from training.model.reuse import changed_cells, distinct_fractions, embed, gather_sum, latest, pooled_changes


def gradients(head: FrameHead, embedded: torch.Tensor) -> list[torch.Tensor]:
    head.zero_grad()
    torch.manual_seed(1)
    embedded.backward(torch.randn_like(embedded))
    return [parameter.grad.clone() for parameter in head.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("reduce", ["mean", "last_pos"])
@pytest.mark.parametrize("downsample", ["dilated", "geglu"])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_reuse_equals_the_plain_head(reduce: str, downsample: str, layers: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        rows=12,
        cols=40,
        width=8,
        heads=2,
        attention_layers=layers,
        reduce=reduce,
        downsample=downsample,
    )
    head = FrameHead(config).double()
    cells = typed_cells(3, 19, 12, 40)
    plain = head(cells.flatten(0, 1)).view(3, 19, -1)
    reused = embed(head, cells, limit=1.0)
    torch.testing.assert_close(reused, plain, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(gradients(head, reused), gradients(head, plain), strict=True):
        assert (mine - theirs).norm() <= 1e-10 * theirs.norm()


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_reuse_at_any_depth(blocks: int) -> None:
    head = FrameHead(ModelConfig(rows=8, cols=24, width=8, downsample_blocks=blocks)).double()
    cells = typed_cells(2, 9, 8, 24)
    plain = head(cells.flatten(0, 1)).view(2, 9, -1)
    torch.testing.assert_close(embed(head, cells, limit=1.0), plain, rtol=1e-12, atol=1e-12)


def test_past_the_limit_the_plain_form_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    head = FrameHead(ModelConfig(rows=12, cols=40, width=8))
    calls: list[torch.Size] = []
    plain = head.forward
    monkeypatch.setattr(head, "forward", lambda cells: calls.append(cells.shape) or plain(cells))
    embed(head, torch.randint(0, 2048, (1, 5, 12, 40)))
    assert len(calls) == 1
    embed(head, typed_cells(1, 40, 12, 40))
    assert len(calls) == 1


def test_gather_sum_adds_the_rows_of_a_group_with_repeats() -> None:
    table = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    index = np.array([[0, 1], [4, 4], [2, 0]])
    out = gather_sum(table, index)
    torch.testing.assert_close(out, table[torch.from_numpy(index)].sum(1))
    assert torch.autograd.gradcheck(lambda t: gather_sum(t, index), (table,))


def test_gather_sum_without_mkl_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    table, index = torch.randn(9, 4), np.array([[0, 8, 3], [1, 1, 1]])
    fast = gather_sum(table, index)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    torch.testing.assert_close(gather_sum(table, index), fast)


def test_pooled_changes_are_the_outputs_that_see_the_cell() -> None:
    changed = np.zeros((1, 1, 12, 40), dtype=bool)
    changed[0, 0, 5, 20] = True
    slow = np.zeros((6, 20), dtype=bool)
    for y in range(6):
        for x in range(20):
            slow[y, x] = abs(2 * y + 0.5 - 5) <= 2.5 and abs(2 * x + 0.5 - 20) <= 2.5
    np.testing.assert_array_equal(pooled_changes(changed, 2)[0, 0], slow)


def test_latest_numbers_each_place_by_its_last_change() -> None:
    changed = np.array([[[True, True], [False, True], [True, False]]])
    np.testing.assert_array_equal(latest(changed), [[[0, 1], [0, 2], [3, 2]]])


def test_a_windows_first_frame_is_all_new_and_an_idle_one_is_not() -> None:
    changed = changed_cells(np.zeros((2, 3, 4, 4), dtype=np.int16))
    assert changed[:, 0].all()
    assert not changed[:, 1:].any()
    head = FrameHead(ModelConfig(rows=4, cols=4, width=8, downsample_blocks=1))
    fractions = distinct_fractions(torch.zeros(2, 4, 4, 4), head)
    assert fractions == {"cells": 0.25, "level 1": 0.25, "frames": 0.25}
