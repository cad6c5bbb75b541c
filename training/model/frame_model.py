"""The recurrent frame model: frame head -> backbone -> action head (arXiv 2510.06828, section 10).

Dimensions: B windows in a batch, T steps, R rows and C columns of a screen, F = B * T frames, D model width,
V actions.

State dict (safetensors, training.model.weights), names as in the published model's PyTorch twin where it has them:

    frame_head.codepoint_embed              [P, D]      unit normal
    frame_head.position_embed               [R * C, D]  unit normal
    frame_head.{fg,bg}_{r,g,b}_embed        [D]         unit normal, times a colour in [0, 1]
    frame_head.downsample_blocks.N.ln_1.weight          RMSNorm, ones
    frame_head.downsample_blocks.N.conv.weight          [D or 2 D, D, 3, 3], no bias
    frame_head.blocks.N.ln_{1,2}.weight                 RMSNorm, ones
    frame_head.blocks.N.attn.{c_attn,c_proj}.{weight,bias}
    frame_head.blocks.N.mlp.{c_fc,c_proj}.{weight,bias}
    backbone.*                                          training.model.backbones; LSTM: PyTorch's names, h0_LD, c0_LD
    head.weight                             [V padded to 8, D], no bias

Every linear and convolution weight and bias starts uniform in +-1/sqrt(fan_in). The rows that pad the head to a
multiple of 8 are never read; the published trainer counts them as classes that do not occur.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.model.backbones import State, make_backbone
from training.model.config import ModelConfig
from training.model.counts import match_parameters
from training.model.frame_head import FrameHead, uniform_
from training.model.reuse import LIMIT, embed


class FrameModel(nn.Module):
    """Frame head, backbone and action head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_head = FrameHead(config)
        settings: dict[str, Any] = {}
        if config.matched and config.backbone != "lstm":
            target = 8 * config.width**2 + 10 * config.width  # a one-layer LSTM with h0 and c0
            settings = match_parameters(config.backbone, config.width, config.backbone_layers, target)
        self.backbone = make_backbone(config.backbone, config.width, config.backbone_layers, **settings)
        self.head = nn.Linear(config.width, -(-config.vocabulary // 8) * 8, bias=False)
        uniform_(self.head.weight, config.width)

    def embed(self, cells_BTRC: Tensor, reuse: bool | float = True) -> Tensor:
        """[B, T, R, C] cell ids -> [B, T, D]; `reuse` as training.model.reuse.embed's `limit`, False: plain."""
        if reuse is not False:
            return embed(self.frame_head, cells_BTRC, LIMIT if reuse is True else reuse)
        batch, steps = cells_BTRC.shape[:2]
        x_FD: Tensor = self.frame_head(cells_BTRC.flatten(0, 1))
        return x_FD.view(batch, steps, -1)

    def logits(self, y_BTD: Tensor) -> Tensor:
        """[..., D] -> [..., V]: the padding of the vocabulary cut off."""
        logits: Tensor = self.head(y_BTD)
        return logits[..., : self.config.vocabulary]

    def forward(
        self, cells_BTRC: Tensor, state: State | None = None, reuse: bool | float = True
    ) -> tuple[Tensor, State]:
        """Logits [B, T, V] of the key pressed at each screen, and the state after the last."""
        return self.predict(self.embed(cells_BTRC, reuse), state)

    def predict(self, x_BTD: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Embeddings [B, T, D] -> logits [B, T, V] and the state; in the weights' own precision under autocast.

        The frame head is nearly all of the work, and the recurrence is where rounding adds up.
        """
        if state is None:
            state = self.backbone.initial_state(x_BTD.shape[0])
        with torch.autocast(x_BTD.device.type, enabled=False):
            y_BTD, state = self.backbone.sequence(x_BTD.to(self.head.weight.dtype), state)
            return self.logits(y_BTD), state
