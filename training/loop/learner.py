"""One model with its optimizers: an update, alone or as one of several ranks."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from training.data.batches import Batch
from training.loop.config import FitConfig
from training.loop.distributed import average, average_gradients, gather_lanes, own_lanes
from training.loop.optim import make_optimizers, set_rate
from training.model.backbones import State
from training.model.frame_model import FrameModel
from training.model.gradients import Film, backpropagate_on, previous_keys


class Learner:
    """A model being fitted. `update` is one step of gradient descent on a batch."""

    def __init__(self, model: FrameModel, config: FitConfig, device: torch.device) -> None:
        self.model = model.to(device)
        self.config, self.device = config, device
        self.reuse: bool | float = config.reuse
        if config.compile:
            self.model.frame_head.compile()
        self.optimizers = make_optimizers(self.model, config)
        self.carried: State | None = None  # the state after the last update's film, one lane a row of the batch
        self._after: State | None = None  # the same of film whose gradient was computed, as by the probe

    def cast(self) -> AbstractContextManager[Any]:
        """bfloat16 autocast, if the run has it."""
        if self.config.bf16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def gradients(self, batch: Batch) -> Tensor:
        """Set `.grad` to the mean loss's gradient over all ranks; this rank's losses [B, T]."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        previous_BT = batch.previous_BT
        if previous_BT is None:
            previous_BT = previous_keys(batch.actions_BT, self.model.vocabulary)
        film = Film(batch.cells_BTRC, previous_BT, batch.actions_BT, batch.resets_BT)
        losses, after = [], []
        with self.cast():
            for lanes in _parts(len(batch.cells_BTRC), self.config.accumulate):
                part = film.lanes(lanes, self.device)
                state = self.carried and tuple(piece[lanes] for piece in self.carried)
                losses_BT, state = backpropagate_on(
                    self.model,
                    part,
                    state,
                    self.config.mode,
                    self.config.chunk,
                    self.reuse,
                    scale=len(part.cells_BTRC) / len(batch.cells_BTRC),
                )
                losses.append(losses_BT)
                after.append(state)
        average_gradients(self.model)
        self._after = tuple(torch.cat(pieces) for pieces in zip(*after, strict=True))
        return torch.cat(losses)

    def freeze_head(self, frozen: bool) -> None:
        """Whether the frame head stays as it is. A backbone that knows nothing yet would only spoil its start."""
        self.model.frame_head.requires_grad_(not frozen)

    def update(self, batch: Batch, factor: float) -> tuple[float, float]:
        """One update at `factor` times the peak learning rate: mean loss (nats), gradient norm. NaN: no update."""
        losses_BT = self.gradients(batch)
        if self.config.carried:
            self.carried = self._after
        loss = average(float(losses_BT.mean()))
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip))
        if loss == loss and norm == norm and abs(norm) != float("inf"):
            set_rate(self.optimizers, factor)
            for optimizer in self.optimizers:
                optimizer.step()
        return loss, norm

    def state(self) -> dict[str, Any]:
        """Weights, optimizer state and all ranks' carried state, for a checkpoint. Every rank has to call it."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "carried": None if self.carried is None else gather_lanes(self.carried),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if state.get("carried") is not None:
            self.carried = tuple(piece.to(self.device) for piece in own_lanes(state["carried"]))


def _parts(lanes: int, count: int) -> list[slice]:
    """`lanes` rows cut into at most `count` nearly equal parts, as torch.chunk does."""
    size = -(-lanes // count)
    return [slice(start, min(start + size, lanes)) for start in range(0, lanes, size)]
