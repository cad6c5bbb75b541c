"""What is evaluated along a stream: a predictor of the next key, from the screens and the keys before it.

Dimensions: B lanes (streams side by side), T steps, R rows, C columns, V actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from schema.actions import VOCABULARY
from training.data.windows import FilmWindow
from training.model.backbones import State
from training.model.frame_model import FrameModel, Seen

NO_KEY = VOCABULARY  # the key before a stream's first one


class Predictor(Protocol):
    """A model with a state that is carried from chunk to chunk.

    Every tensor of a state has the lane as its first dimension, so that lanes can be cut out of it.
    """

    def initial_state(self, batch: int) -> State:
        """The state before the first step of `batch` lanes."""
        ...

    def __call__(self, cells_BTRC: Tensor, previous_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits [B, T, V] of the key pressed at each screen, and the state after the chunk.

        `previous_BT` is the key pressed before each step, NO_KEY where it is not known.
        """
        ...


class Sliding(nn.Module):
    """A model whose state would grow with every step, as a transformer's, as a Predictor.

    Its state is what it has seen in the last `context` steps, and every chunk is predicted anew from that.
    """

    def __init__(self, model: FrameModel, context: int = 128) -> None:
        super().__init__()
        self.model, self.context = model, context

    def initial_state(self, batch: int) -> State:
        """Nothing seen, as `Seen.tensors` has it, and the previous keys: all of no steps."""
        config, weight = self.model.config, self.model.head.weight
        pressed = config.vocabulary if config.screen_attention else 0
        vectors, pressed_B0V = weight.new_zeros(batch, 0, config.width), weight.new_zeros(batch, 0, pressed)
        nothing_B0K = weight.new_zeros(batch, 0, config.guesses, dtype=torch.long)
        return vectors, nothing_B0K, nothing_B0K, pressed_B0V, nothing_B0K.new_zeros(batch, 0)

    def forward(self, cells_BTRC: Tensor, previous_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits [B, T, V] and the state after the chunk."""
        state = self.initial_state(len(cells_BTRC)) if state is None else state
        now = (*self.model.embed(cells_BTRC).tensors, previous_BT)
        *seen, previous = known = tuple(torch.cat(pair, 1) for pair in zip(state, now, strict=True))
        logits_BTV, _ = self.model.predict(Seen.of(*seen), previous)
        return logits_BTV[:, state[0].shape[1] :], tuple(part[:, -self.context :] for part in known)


def as_predictor(model: FrameModel, context: int = 128) -> Predictor:
    """The model itself, or with a state that does not grow: `context` steps of what it has seen."""
    grows = model.backbone.state_bytes(2) > model.backbone.state_bytes(1)
    return Sliding(model, context) if grows else model


def read_chunk(windows: Sequence[FilmWindow], before_B: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of equal length -> cells [B, T, R, C], previous keys [B, T], keys [B, T].

    `before_B` is the key before each window's first step.
    """
    actions_BT = np.stack([window.action_T for window in windows])
    previous_BT = np.concatenate([np.array(before_B, np.int64)[:, None], actions_BT[:, :-1]], axis=1)
    cells_BTRC = np.stack([window.cells_TRC for window in windows])
    return torch.from_numpy(cells_BTRC), torch.from_numpy(previous_BT), torch.from_numpy(actions_BT)


def ranks_of(logits_BTV: Tensor, actions_BT: Tensor) -> Tensor:
    """How many actions are more probable than the one pressed, [B, T]; of equals, the lower action comes first."""
    own_BT1 = logits_BTV.gather(-1, actions_BT[..., None])
    lower_BTV = torch.arange(logits_BTV.shape[-1], device=logits_BTV.device) < actions_BT[..., None]
    return ((logits_BTV > own_BT1) | ((logits_BTV == own_BT1) & lower_BTV)).sum(-1)
