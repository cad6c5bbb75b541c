"""Losses and accuracies on held-out film, and what they are compared with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from schema.actions import Phase, action_name
from training.data.batches import Batch
from training.data.tokenizer import Tokenizer
from training.model.frame_model import FrameModel
from training.model.gradients import chunks, previous_keys, token_losses

CHUNK = 64  # steps at a time without gradient


class Predictions(NamedTuple):
    """Per step of held-out windows, [W, T]: loss in nats, the predicted and the real action, its phase."""

    losses: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.int64]
    actions: npt.NDArray[np.int64]
    phases: npt.NDArray[np.uint8]

    def after(self, step: int) -> Predictions:
        """Without the first `step` steps of every window."""
        return Predictions(
            self.losses[:, step:], self.predicted[:, step:], self.actions[:, step:], self.phases[:, step:]
        )


def run_windows(
    model: FrameModel,
    batches: Iterable[Batch],
    reuse: bool | float = True,
    cast: AbstractContextManager[object] | None = None,
) -> Predictions:
    """Every step of every window predicted from the window's frames up to it."""
    parts: list[Predictions] = []
    device = next(model.parameters()).device
    with torch.no_grad(), cast or nullcontext():
        for batch in batches:
            state = None
            previous_BT = previous_keys(batch.actions_BT, model.vocabulary).to(device)
            losses, predicted = [], []
            for part in chunks(batch.cells_BTRC.shape[1], CHUNK):
                actions_BT = batch.actions_BT[:, part].to(device)
                logits_BTV, state = model(
                    batch.cells_BTRC[:, part].to(device), previous_BT[:, part], state, reuse=reuse
                )
                losses.append(token_losses(logits_BTV, actions_BT).float().cpu())
                predicted.append(logits_BTV.argmax(-1).cpu())
            parts.append(
                Predictions(
                    torch.cat(losses, 1).numpy(),
                    torch.cat(predicted, 1).numpy(),
                    batch.actions_BT.numpy(),
                    batch.phases_BT.numpy(),
                )
            )
    return Predictions(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def scores(predictions: Predictions, tokenizer: Tokenizer | None = None) -> dict[str, float]:
    """loss (nats a step), accuracy, bits_per_key, and accuracy of each phase that occurs."""
    keys = predictions.actions.size
    if tokenizer is not None:
        lengths = np.array([len(token) for token in tokenizer.tokens])
        keys = int(lengths[predictions.actions].sum())
    right = predictions.predicted == predictions.actions
    result = {
        "loss": float(predictions.losses.mean(dtype=np.float64)),
        "accuracy": float(right.mean()),
        "bits_per_key": float(predictions.losses.sum(dtype=np.float64) / math.log(2) / keys),
    }
    for phase in Phase:
        here = predictions.phases == phase
        if here.any():
            result[f"accuracy_{phase.name.lower()}"] = float(right[here].mean())
    return result


def unigram_loss(train: npt.NDArray[np.int64], validation: npt.NDArray[np.int64], vocabulary: int) -> float:
    """Nats a step of guessing by the training split's frequencies (add-one smoothing)."""
    counts = np.bincount(train, minlength=vocabulary) + 1.0
    logs = np.log(counts / counts.sum())
    return float(-logs[validation.ravel()].mean())


def sample_text(predictions: Predictions, tokenizer: Tokenizer | None = None, window: int = 0, steps: int = 60) -> str:
    """Two lines: the real keys of the end of a window, and below each what the model would have pressed."""

    def name(action: int) -> str:
        if tokenizer is None:
            return action_name(action)
        return "".join(action_name(byte) for byte in tokenizer.tokens[action])

    def column(pair: Sequence[int]) -> tuple[str, str]:
        real, guess = (name(int(action)) for action in pair)
        guess = "." if pair[0] == pair[1] else guess
        width = max(len(real), len(guess))
        return real.ljust(width), guess.ljust(width)

    last = slice(-steps, None)
    pairs = list(zip(predictions.actions[window, last], predictions.predicted[window, last], strict=True))
    columns = [column((int(real), int(guess))) for real, guess in pairs]
    real, guess = (" ".join(part) for part in zip(*columns, strict=True))
    return f"real   {real.rstrip()}\nmodel  {guess.rstrip()}   ('.': right)"
