"""Exactly T steps of context: a key predicted from its own frame, the T - 1 frames before it, and nothing else.

A carried evaluation (training.analysis.carried) gives a model all that it ever read; here its state is thrown away
before every target. Costs T steps a target.

Dimensions: N targets, B lanes, T steps, V actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from schema.errors import ConfigError
from training.analysis.evaluate import table
from training.analysis.predictor import NO_KEY, Predictor, read_chunk
from training.data.splits import Segment
from training.data.windows import FilmReader
from training.model.gradients import token_losses
from training.model.key_counts import KeyCounts

AT_ONCE = 4096  # frames
TARGETS = 1024


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


def draw_targets(segments: Sequence[Segment], longest: int, count: int = TARGETS) -> list[tuple[int, int]]:
    """`count` steps of the segments by chance, the same for a same `longest`, each with `longest` steps up to it.

    Raises ConfigError where no segment is that long.
    """
    firsts = np.array([segment.start + longest - 1 for segment in segments])
    room = np.maximum(0, np.array([segment.stop for segment in segments]) - firsts)
    if not room.sum():
        most = max((segment.stop - segment.start for segment in segments), default=0)
        raise ConfigError(f"context of {longest} steps: the longest held-out stream has {most}")
    rng = np.random.default_rng(0)
    picked = np.sort(rng.choice(room.sum(), min(count, int(room.sum())), replace=False))
    ends = np.cumsum(room)
    which = np.searchsorted(ends, picked, side="right")
    steps = firsts[which] + picked - (ends - room)[which]
    return [(segments[number].stream, int(step)) for number, step in zip(which, steps, strict=True)]


def at_contexts(
    models: Mapping[str, Predictor],
    reader: FilmReader,
    segments: Sequence[Segment],
    contexts: Sequence[int],
    counts: KeyCounts,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Nats of the same keys at every context, by model and by counts of as many keys: {"targets", "rows"}."""
    targets = draw_targets(segments, max(contexts))
    counted: dict[int, list[float]] = {steps: [] for steps in contexts}
    for segment in segments:
        own = [
            step - segment.start
            for stream, step in targets
            if stream == segment.stream and segment.start <= step < segment.stop
        ]
        if own:
            losses = counts.losses_at(reader.actions(segment), contexts)[:, own]
            for steps, loss_N in zip(contexts, losses, strict=True):
                counted[steps] += loss_N.tolist()
    rows = {"counts of the last T keys": {str(steps): float(np.mean(found)) for steps, found in counted.items()}}
    for name, model in models.items():
        rows[name] = {
            str(steps): float(cold_losses(model, reader, targets, steps, device).mean()) for steps in contexts
        }
    return {"targets": len(targets), "rows": rows}


def tables_cold(result: Mapping[str, Any]) -> str:
    """The result in words."""
    rows = result["rows"]
    contexts = list(next(iter(rows.values())))
    cells = {name: [f"{row[steps]:.3f}" for steps in contexts] for name, row in rows.items()}
    return f"exactly T steps of context, {result['targets']:,} held-out keys\n\n" + table("nats a key", contexts, cells)
