"""The frame head: cell colours, heads that start at the cursor."""

import pytest
import torch

from schema.geometry import COLOURS, Style
from training.model.config import ModelConfig, preset
from training.model.frame_head import FrameHead


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


@pytest.mark.parametrize(("blocks", "least"), [(1, 0.6), (2, 0.4)])
def test_cursor_heads_start_at_the_cursor(blocks: int, least: float) -> None:
    torch.manual_seed(0)
    head = FrameHead(preset("published_small", 24, 80, downsample_blocks=blocks))
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
