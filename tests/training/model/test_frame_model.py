"""The frame model: a window gives logits and a state."""

import math

import pytest
import torch

from training.model.config import ModelConfig
from training.model.frame_model import FrameModel


def test_weights_start_as_published() -> None:
    torch.manual_seed(0)
    model = FrameModel(ModelConfig(rows=24, cols=80, width=64))
    block = model.frame_head.blocks[0]
    assert block.attn.c_attn.weight.abs().max() <= 1 / math.sqrt(64)
    assert block.attn.c_attn.weight.detach().std() == pytest.approx(1 / math.sqrt(3 * 64), rel=0.05)
    assert block.mlp.c_proj.weight.abs().max() <= 1 / math.sqrt(256)
    conv = model.frame_head.downsample_blocks[0].conv
    assert conv.bias is None
    assert conv.weight.abs().max() <= 1 / math.sqrt(9 * 64)
    assert model.frame_head.position_embed.detach().std() == pytest.approx(1, rel=0.05)
    assert model.head.bias is None


@pytest.mark.parametrize("reduce", ["mean", "last_pos"])
@pytest.mark.parametrize("downsample", ["dilated", "geglu"])
def test_a_window_gives_logits_and_a_state(reduce: str, downsample: str) -> None:
    model = FrameModel(ModelConfig(rows=12, cols=40, width=16, reduce=reduce, downsample=downsample, vocabulary=250))
    logits, state = model(torch.zeros(2, 3, 12, 40, dtype=torch.int16))
    assert logits.shape == (2, 3, 250)
    assert [tuple(part.shape) for part in state] == [(2, 1, 16), (2, 1, 16)]


def test_two_chunks_equal_one_window() -> None:
    model = FrameModel(ModelConfig(rows=12, cols=40, width=16)).double()
    cells = torch.randint(0, 2048, (2, 7, 12, 40))
    whole, _ = model(cells)
    first, state = model(cells[:, :3])
    second, _ = model(cells[:, 3:], state=state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole)
