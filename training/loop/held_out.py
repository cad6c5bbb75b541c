"""Held-out film of a run: its windows, what models predict there, counts of the same keys, and steps to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.text import Text

from training.analysis import display
from training.analysis.along import count_windows
from training.analysis.metrics import Predictions, run_windows, sample_text
from training.analysis.mixture import mixed_losses
from training.analysis.predictor import as_predictor
from training.data.batches import Batch, Sampler, collate
from training.data.splits import Segment
from training.data.tokenizer import Tokenizer
from training.data.windows import FilmReader
from training.loop.learner import Learner
from training.model.frame_model import FrameModel

HELD_WINDOW = 512  # steps, where states are carried


class HeldOut(NamedTuple):
    """The windows of held-out film on which a run's models are judged."""

    places: list[tuple[int, int]]  # of each window: its stream's number, and its first step
    batches: list[Batch]  # the same windows, eight a batch
    unscored: int  # steps at the start of each that only fill the state

    def keys(self) -> npt.NDArray[Any]:
        """The keys that are scored, of all windows in a row."""
        return np.concatenate([batch.actions_BT[:, self.unscored :].numpy().ravel() for batch in self.batches])


def open_held_out(reader: FilmReader, segments: Sequence[Segment], window: int, carried: bool, count: int) -> HeldOut:
    """`count` windows, evenly spread over the segments.

    Where states are carried a window is longer than in training, and its first half is not scored.
    """
    steps = window
    if carried:
        steps = max(2, min(HELD_WINDOW, max(segment.stop - segment.start for segment in segments)))
    places = Sampler(segments, steps).spread(count)
    windows = [reader.window(*place, steps) for place in places]
    batches = [collate(windows[i : i + 8]) for i in range(0, len(windows), 8)]
    return HeldOut(places, batches, steps // 2 if carried else 0)


def validate(learner: Learner, held_out: HeldOut) -> Predictions:
    """Every scored step, predicted."""
    predictions = run_windows(learner.model, held_out.batches, learner.reuse, learner.cast())
    return predictions.after(held_out.unscored)


class Counted(NamedTuple):
    """Counts of the training film on the steps that the models are scored on: nats of each, [W, T], by order."""

    losses: Mapping[int, npt.NDArray[Any]]

    @property
    def order(self) -> int:
        """The order that is best on these very steps, in the counts' favour."""
        return min(self.losses, key=self.loss)

    def loss(self, order: int) -> float:
        """Nats a key."""
        return float(self.losses[order].mean())

    def mixed(self, losses_WT: npt.NDArray[Any]) -> float:
        """Nats a key of a model mixed online with the counts of the best order; every window begins anew."""
        pairs = zip(losses_WT, self.losses[self.order], strict=True)
        return float(np.mean([mixed_losses(np.stack(pair)) for pair in pairs]))


def count_held_out(reader: FilmReader, training: Sequence[Segment], held_out: HeldOut) -> Counted | None:
    """The counts beside the models; None for tokens, which are not counted."""
    if reader.tokenizer is not None:
        return None
    held_WT = np.concatenate([batch.actions_BT.numpy() for batch in held_out.batches])
    return Counted(count_windows(reader, training, held_WT, held_out.unscored))


def sample(
    model: FrameModel, reader: FilmReader, held_out: HeldOut, predictions: Predictions, window: int
) -> list[Text]:
    """Some held-out steps with what the model expects; of tokens, keys alone.

    `predictions` are the model's, as `validate` gives them. `window`: steps that a model whose state grows is given.
    """
    tokenizer: Tokenizer | None = reader.tokenizer
    if tokenizer is not None:
        return [Text(line) for line in sample_text(predictions, tokenizer).split("\n")]
    device: torch.device = model.head.weight.device
    predictor = as_predictor(model, window)
    losses, phases, unscored = predictions.losses, predictions.phases, held_out.unscored
    shown = display.typical(predictor, reader, held_out.places, losses, phases, unscored, device)
    return display.lines(shown, width=display.width_of(Console()))
