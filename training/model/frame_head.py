"""The frame head: one screen of cells -> one vector (arXiv 2510.06828, section 10).

A cell is one id: ``style * P + code point``, with style 0-3 as in schema.geometry.Style and 4-7 the same with
foreground and background swapped, which is how the cursor's cell is drawn.

Dimensions: F frames, R rows and C columns of a screen, D model width, K tokens a frame after downsampling,
P max_code_point, S styles.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schema.geometry import COLOURS, Style
from training.model.config import ModelConfig

STYLES = 8  # four styles, and the same under the cursor


def uniform_(weight: Tensor, fan_in: int) -> None:
    """Fill with uniform +-1/sqrt(fan_in)."""
    nn.init.uniform_(weight, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


class RmsNorm(nn.RMSNorm):
    """RMSNorm whose fp32 weight follows its input's type, as under bf16 autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        assert self.weight is not None
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class FullSelfAttention(nn.Module):
    """Attention of every token to every token of its frame."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def mix(self, qkv_FKE: Tensor) -> Tensor:
        """[F, K, 3 D] queries, keys, values -> [F, K, D], before the output projection."""
        frames, tokens, triple = qkv_FKE.shape
        q, k, v = qkv_FKE.view(frames, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y_FHKE = F.scaled_dot_product_attention(q, k, v)
        return y_FHKE.transpose(1, 2).reshape(frames, tokens, triple // 3)


class Mlp(nn.Module):
    """Two linear layers, four times the width between them, exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        y: Tensor = self.c_proj(F.gelu(self.c_fc(x)))
        return y


class Block(nn.Module):
    """Pre-norm attention and MLP, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = RmsNorm(width, eps=1e-5)
        self.attn = FullSelfAttention(width, heads)
        self.ln_2 = RmsNorm(width, eps=1e-5)
        self.mlp = Mlp(width)

    def forward(self, x_FKD: Tensor) -> Tensor:
        """[F, K, D] -> [F, K, D]."""
        x_FKD = x_FKD + self.attn.c_proj(self.attn.mix(self.attn.c_attn(self.ln_1(x_FKD))))
        x_FKD = x_FKD + self.mlp(self.ln_2(x_FKD))
        return x_FKD


class Downsample(nn.Module):
    """RMSNorm, 3x3 convolution, GELU (or value * GELU(gate)), 2x2 average pool."""

    def __init__(self, width: int, kind: str, dilation: int) -> None:
        super().__init__()
        self.kind = kind
        self.dilation = dilation if kind == "dilated" else 1
        self.ln_1 = RmsNorm(width, eps=1e-5)
        outputs = 2 * width if kind == "geglu" else width
        self.conv = nn.Conv2d(width, outputs, 3, padding=self.dilation, dilation=self.dilation, bias=False)

    def activate(self, conv: Tensor, dim: int) -> Tensor:
        """The nonlinearity; `dim` holds the channels."""
        if self.kind == "geglu":
            value, gate = conv.chunk(2, dim)
            return value * F.gelu(gate)
        return F.gelu(conv)

    def forward(self, x_FRCD: Tensor) -> Tensor:
        """[F, R, C, D] -> [F, R/2, C/2, D]."""
        x_FDRC = self.ln_1(x_FRCD).permute(0, 3, 1, 2)  # channels last in memory
        x_FDRC = F.avg_pool2d(self.activate(self.conv(x_FDRC), 1), 2)
        return x_FDRC.permute(0, 2, 3, 1)


class FrameHead(nn.Module):
    """One screen -> one vector. `forward` is the plain form; training.model.reuse computes the same faster."""

    colours_SG: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.codepoint_embed = nn.Parameter(torch.empty(config.max_code_point, width))
        self.position_embed = nn.Parameter(torch.empty(config.rows * config.cols, width))
        for ground in ("fg", "bg"):
            for colour in "rgb":
                self.register_parameter(f"{ground}_{colour}_embed", nn.Parameter(torch.empty(width)))
        self.downsample_blocks = nn.ModuleList(
            Downsample(width, config.downsample, config.dilation) for _ in range(config.downsample_blocks)
        )
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.attention_layers))
        grounds = [COLOURS[style] for style in Style]
        swapped = [(bg, fg) for fg, bg in grounds]
        colours = torch.tensor([[*fg, *bg] for fg, bg in grounds + swapped])
        self.register_buffer("colours_SG", colours / 255.0, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The published initialisation."""
        for name, parameter in self.named_parameters(recurse=False):
            if name.endswith("_embed"):
                nn.init.normal_(parameter)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                uniform_(module.weight, module.in_features)
                uniform_(module.bias, module.in_features)
            elif isinstance(module, nn.Conv2d):
                uniform_(module.weight, 9 * module.in_channels)
        if self.config.cursor_heads and len(self.blocks):
            self.look_at_cursor(self.config.cursor_heads)

    @torch.no_grad()
    def centre(self, cells_BTRC: Tensor) -> None:
        """Shift the last block's bias so that these frames' vectors average 0; scale what varies to about 1.

        What the vectors share teaches nothing, yet it dominates the gradient of whatever reads them.
        """
        if not len(self.blocks):
            return
        block = cast("Block", self.blocks[-1])

        def vectors() -> Tensor:
            return torch.cat([self(part) for part in torch.split(cells_BTRC.flatten(0, 1), 32)])

        for _ in range(2):  # the part that the projections do not scale needs a second round
            varied = float(vectors().std(0).square().mean().sqrt())
            for projection in (block.attn.c_proj, block.mlp.c_proj):
                projection.weight.div_(min(max(varied, 0.1), 10.0))
        block.mlp.c_proj.bias.sub_(vectors().mean(0))

    @torch.no_grad()
    def look_at_cursor(self, heads: int, sharpness: float = 16.0) -> None:
        """Start with `heads` attention heads at the cursor, and half of the channels reading the text beside it.

        A random start takes thousands of updates to find that the next key depends on a few cells among thousands.
        Channel 0 carries "this cell is drawn inversely and those beside it are not"; it is those heads' key, their
        query is constant. With geglu it also gates the channels that read the cell left of the cursor (3/8 of them)
        and under it (1/8). Every weight stays free to be learned; `paper` starts as published.
        """
        width = self.config.width
        self.position_embed.mul_(0.25)  # what is read should vary with the text more than with the place
        table_SPD = self.cell_table().view(STYLES, -1, width)
        inverse_D = table_SPD[4 + Style.PLAIN, 0] - table_SPD[Style.PLAIN, 0]
        inverse_D = inverse_D / inverse_D.norm()
        left, under = 1 + 3 * width // 8, 1 + width // 2
        for number, module in enumerate(self.downsample_blocks):
            block = cast("Downsample", module)
            detector_D33 = torch.zeros_like(block.conv.weight[0])
            if number == 0:
                detector_D33[:, 1, 1] = inverse_D
                detector_D33[:, 1, 0] = detector_D33[:, 1, 2] = -inverse_D / 2
            else:
                detector_D33[0, 1, 1] = 1.0
            block.conv.weight[0] = detector_D33
            if block.kind == "geglu":
                block.conv.weight[width : width + under] = detector_D33  # gates
                read = block.conv.weight[1:under]  # values
                read.zero_()
                if number == 0:
                    uniform_(read[: left - 1, :, 1, 0], width)
                    uniform_(read[left - 1 :, :, 1, 1], width)
                else:
                    for channel in range(1, under):
                        read[channel - 1, channel, 1, 1] = 1.0
        attention = cast("Block", self.blocks[-1]).attn
        for head in range(heads):
            row = head * (width // attention.heads)
            attention.c_attn.weight[row] = 0
            attention.c_attn.bias[row] = sharpness
            attention.c_attn.weight[width + row] = 0
            attention.c_attn.weight[width + row, 0] = 1.0
            attention.c_attn.bias[width + row] = 0

    def cell_table(self) -> Tensor:
        """[8 * P, D]: the embedding of every cell id, without its position."""
        colours_GD = torch.stack(
            [getattr(self, f"{ground}_{colour}_embed") for ground in ("fg", "bg") for colour in "rgb"]
        )
        styles_SD = self.colours_SG @ colours_GD
        table_SPD = styles_SD[:, None] + self.codepoint_embed
        return table_SPD.flatten(0, 1)

    def reduce(self, x_FKD: Tensor) -> Tensor:
        """Tokens of a frame to one vector."""
        return x_FKD.mean(1) if self.config.reduce == "mean" else x_FKD[:, -1]

    def forward(self, cells_FRC: Tensor) -> Tensor:
        """[F, R, C] cell ids -> [F, D]."""
        frames, rows, cols = cells_FRC.shape
        x_FRCD = F.embedding(cells_FRC.long(), self.cell_table())
        x_FRCD = x_FRCD + self.position_embed.view(rows, cols, -1)
        for block in self.downsample_blocks:
            x_FRCD = block(x_FRCD)
        x_FKD = x_FRCD.reshape(frames, -1, x_FRCD.shape[-1])
        for block in self.blocks:
            x_FKD = block(x_FKD)
        return self.reduce(x_FKD)
