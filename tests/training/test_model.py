"""The frame model: sizes, initialisation, cell colours, configuration errors."""

import math

import pytest
import torch
from pydantic import ValidationError

from schema.errors import ConfigError
from schema.geometry import COLOURS, Style
from training.model.config import ModelConfig, preset
from training.model.counts import parameter_counts
from training.model.frame_head import FrameHead
from training.model.frame_model import FrameModel
from training.model.weights import check_weights


def test_paper_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        tokens = FrameModel(preset("paper", 48, 160, vocabulary=20351))
        plain = FrameModel(preset("paper", 48, 160))
    assert parameter_counts(tokens)["total"] == 94_030_848
    assert parameter_counts(plain)["total"] == 73_452_544


@pytest.mark.parametrize("backbone", ["frame_only", "transformer", "mamba2", "mingru"])
def test_backbones_match_the_lstm_in_parameters(backbone: str) -> None:
    lstm = parameter_counts(FrameModel(preset("small", 24, 80)))["backbone"]
    other = parameter_counts(FrameModel(preset("small", 24, 80, backbone=backbone)))["backbone"]
    assert abs(other - lstm) / lstm < 0.02


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


def test_cell_embedding_is_code_point_plus_colours() -> None:
    head = FrameHead(ModelConfig(rows=12, cols=40, width=8))
    fg, bg = (torch.tensor(colour) / 255 for colour in COLOURS[Style.BOLD])
    by_hand = head.codepoint_embed[65].clone()
    for index, colour in enumerate("rgb"):
        by_hand += fg[index] * getattr(head, f"fg_{colour}_embed")
        by_hand += bg[index] * getattr(head, f"bg_{colour}_embed")
    torch.testing.assert_close(head.cell_table()[Style.BOLD * 256 + 65], by_hand)


def test_the_cursor_swaps_foreground_and_background() -> None:
    head = FrameHead(ModelConfig(rows=12, cols=40, width=8))
    swapped = head.colours_SG[4 + Style.REVERSE]
    torch.testing.assert_close(swapped, head.colours_SG[Style.REVERSE].roll(3))


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
    second, _ = model(cells[:, 3:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole)


def test_an_odd_screen_gets_fewer_downsample_blocks() -> None:
    assert preset("paper", 48, 160).downsample_blocks == 2
    assert preset("paper", 26, 80).downsample_blocks == 1
    assert preset("tiny", 25, 80).downsample_blocks == 0


@pytest.mark.parametrize(("blocks", "least"), [(1, 0.6), (2, 0.4)])
def test_cursor_heads_start_at_the_cursor(blocks: int, least: float) -> None:
    torch.manual_seed(0)
    head = FrameHead(preset("small", 24, 80, downsample_blocks=blocks))
    cells = torch.randint(97, 123, (6, 24, 80))
    cells[:, 22] += 3 * 256  # vim's status row, drawn inversely too
    places = [(3, 10), (8, 41), (0, 0), (15, 79), (20, 33), (11, 64)]
    for frame, (y, x) in enumerate(places):
        cells[frame, y, x] += 4 * 256
    with torch.no_grad():
        x_FRCD = torch.nn.functional.embedding(cells, head.cell_table())
        x_FRCD = x_FRCD + head.position_embed.view(24, 80, -1)
        for downsample in head.downsample_blocks:
            x_FRCD = downsample(x_FRCD)
        block = head.blocks[0]
        qkv = block.attn.c_attn(block.ln_1(x_FRCD.flatten(1, 2))).view(6, -1, 3, 4, 16)
        weights = (qkv[:, :, 1, 0] @ qkv[:, -1, 0, 0, :, None])[..., 0].div(4).softmax(-1)
    side, width = 2**blocks, 80 // 2**blocks
    at_cursor = [float(weights[frame, y // side * width + x // side]) for frame, (y, x) in enumerate(places)]
    assert sum(at_cursor) / 6 > least  # 1/480 for a random start


def test_the_paper_preset_starts_as_published() -> None:
    assert preset("paper", 48, 160).cursor_heads == 0
    with pytest.raises(ConfigError, match="cursor_heads needs reduce=last_pos"):
        preset("paper", 48, 160, reduce="mean", cursor_heads=1)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'huge'"):
        preset("huge", 24, 80)
    with pytest.raises(ConfigError, match="unknown backbone 'gru'"):
        preset("tiny", 24, 80, backbone="gru")
    with pytest.raises(ConfigError, match="does not divide by 5 heads"):
        preset("tiny", 24, 80, heads=5)
    with pytest.raises(ValidationError):
        ModelConfig(rows=12, cols=40, widht=8)  # type: ignore[call-arg]


def test_weights_of_another_screen_are_named() -> None:
    small = FrameModel(ModelConfig(rows=12, cols=40, width=16))
    large = FrameModel(ModelConfig(rows=24, cols=80, width=16))
    with pytest.raises(ConfigError, match=r"frame_head.position_embed is \(480, 16\)"):
        check_weights(large, small.state_dict(), "runs/a/best.safetensors")
