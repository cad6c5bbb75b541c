"""Weights that go on learning while they read held-out film.

Every stream begins with the fitted weights. Each chunk of keys is predicted first, and is learned from only after that,
so no prediction has seen its own key. What is learned belongs to that reading and is dropped at its end: the fitted
model stays as it is.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from schema.config import FrozenModel
from training.analysis.predictor import Predictor
from training.model.backbones import State
from training.model.gradients import token_losses


class AdaptConfig(FrozenModel):
    """How weights go on learning."""

    rate: float = Field(default=3e-4, gt=0, description="AdamW's learning rate, constant")
    every: int = Field(default=32, ge=1, description="steps of the stream an update learns from")
    clip: float = Field(default=1.0, gt=0, description="largest norm of a gradient")


class Adapting:
    """A copy of a predictor that learns from every chunk which it has predicted."""

    def __init__(self, model: Predictor, config: AdaptConfig) -> None:
        self.config = config
        self.model = cast("nn.Module", copy.deepcopy(model)).requires_grad_(True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.rate, weight_decay=0.0)

    def chunk(self, cells_BTRC: Tensor, previous_BT: Tensor, actions_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits [B, T, V] by the weights so far and the state after the chunk; then one update, from this chunk."""
        with torch.enable_grad():
            logits_BTV, after = self.model(cells_BTRC, previous_BT, tuple(part.detach() for part in state))
            loss = token_losses(logits_BTV, actions_BT).mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
            self.optimizer.step()
        return logits_BTV.detach(), tuple(part.detach() for part in after)
