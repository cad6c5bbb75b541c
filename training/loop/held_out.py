"""What a run says of held-out film beside its models' losses: counts of the same keys, and some steps to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from training.analysis import display
from training.analysis.along import count_windows
from training.analysis.metrics import Predictions, sample_text
from training.analysis.predictor import as_predictor
from training.data.batches import Batch
from training.data.splits import Segment
from training.data.tokenizer import Tokenizer
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel

HELD_WINDOW = 512  # steps, where states are carried


def window_held_out(window: int, carried: bool, segments: Sequence[Segment]) -> int:
    """Steps of a held-out window. Where states are carried it is long, and its first half is not scored."""
    if not carried:
        return window
    return max(2, min(HELD_WINDOW, max(segment.stop - segment.start for segment in segments)))


def counted_loss(
    reader: FilmReader, training: Sequence[Segment], batches: Sequence[Batch], unscored: int
) -> dict[str, float]:
    """Nats a key by counts of the training film on the steps that the models are scored on; of tokens, nothing."""
    if reader.tokenizer is not None:
        return {}
    held_WT = np.concatenate([batch.actions_BT.numpy() for batch in batches])
    loss, order = count_windows(reader, training, held_WT, unscored)
    return {f"order-{order} counts": loss}


def sample(
    model: FrameModel,
    reader: FilmReader,
    places: Sequence[tuple[int, int]],
    held: Predictions,
    unscored: int,
    window: int,
) -> list[Text]:
    """Some held-out steps with what the model expects; of tokens, keys alone.

    `places` are the held-out windows' streams and first steps; `held` begins `unscored` steps later. `window`: steps
    that a model whose state grows is given.
    """
    tokenizer: Tokenizer | None = reader.tokenizer
    if tokenizer is not None:
        return [Text(line) for line in sample_text(held, tokenizer).split("\n")]
    device: torch.device = model.head.weight.device
    predictor = as_predictor(model, window)
    shown = display.typical(predictor, reader, places, held.losses, held.phases, unscored, device)
    return display.lines(shown, width=display.width_of(Console()))
