"""Exactly T steps of context: a key predicted from its own frame, the T - 1 frames before it, and nothing else.

A carried evaluation (training.analysis.carried) gives a model all that it ever read; here its state is thrown away
before every target. Costs T steps a target.

Dimensions: N targets, B lanes, T steps, V actions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from schema.errors import ConfigError
from training.analysis.predictor import NO_KEY, Predictor, read_chunk
from training.data.windows import FilmReader
from training.model.gradients import token_losses

AT_ONCE = 4096  # frames


def cold_losses(
    model: Predictor,
    reader: FilmReader,
    targets: Sequence[tuple[int, int]],
    steps: int,
    device: torch.device | None = None,
) -> npt.NDArray[np.float32]:
    """Nats of the key at each target (stream, step), [N], by a model that saw the `steps` frames up to it.

    Raises ConfigError for a target with fewer steps before it.
    """
    if steps < 1 or any(step < steps - 1 for _, step in targets):
        raise ConfigError(f"context of {steps} steps: every target needs {steps - 1} steps of its stream before it")
    losses = []
    batch = max(1, AT_ONCE // steps)
    with torch.no_grad():
        for some in (targets[i : i + batch] for i in range(0, len(targets), batch)):
            windows = [reader.window(stream, step - steps + 1, steps) for stream, step in some]
            chunk = read_chunk(windows, [NO_KEY] * len(some))
            cells, previous, actions = (tensor.to(device) for tensor in chunk)
            logits_BTV, _ = model(cells, previous, model.initial_state(len(some)))
            losses.append(token_losses(logits_BTV[:, -1:], actions[:, -1:])[:, 0].float().cpu().numpy())
    return np.concatenate(losses) if losses else np.empty(0, np.float32)
