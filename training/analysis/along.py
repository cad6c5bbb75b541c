"""What predictors are worth along whole held-out streams, beside counts of the same keys: the tables of an evaluation.

Every row predicts the same scored steps (training.analysis.carried):

    counts            n-grams of the training film, of an order chosen on held-out keys
    counts, 1,024     the same with the stream's own last 1,024 keys counted as well
    NAME              a model, its weights frozen, its state carried
    NAME, memory W    a model with a memory, read with W steps of it
    NAME, adapting    the same while its weights go on learning
    NAME + counts     mixed online with the counts of the longest window (training.analysis.mixture)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.analysis.adapting import AdaptConfig
from training.analysis.carried import Stretch, Track, Truth, follow, scores, truths
from training.analysis.evaluate import table
from training.analysis.mixture import mixed_losses
from training.analysis.predictor import Predictor
from training.data.splits import Segment, share
from training.data.windows import FilmReader
from training.model.key_counts import HIGHEST_ORDER, KeyCounts, chosen_counts

WINDOWS = (1024, 65_536)
MOST_KEYS = 1 << 23  # of training film that are counted

Losses = list[npt.NDArray[Any]]


def count_film(
    reader: FilmReader, training: Sequence[Segment], choosing: Sequence[Segment], most: int = MOST_KEYS
) -> KeyCounts:
    """Counts of the training film's keys, of the order that is best on the first 80,000 keys of `choosing` streams."""
    beginnings = [s._replace(stop=min(s.stop, s.start + 80_000)) for s in choosing]
    return chosen_counts((reader.actions(s) for s in share(training, most)), [reader.actions(s) for s in beginnings])


def counted_losses(
    counts: KeyCounts, reader: FilmReader, parts: Sequence[Stretch], windows: Sequence[int]
) -> dict[int, Losses]:
    """Nats of every scored step by counts, for each window (0: the training film's alone)."""
    found: dict[int, Losses] = {window: [] for window in windows}
    for part in parts:
        keys_T = reader.actions(Segment(part.stream, part.start, part.stop))
        losses = counts.losses_at(keys_T, windows)[:, part.scored - part.start :]
        for window, loss_T in zip(windows, losses, strict=True):
            found[window].append(loss_T)
    return found


def count_windows(
    reader: FilmReader, training: Sequence[Segment], windows_WT: npt.NDArray[Any], unscored: int = 0
) -> dict[int, npt.NDArray[Any]]:
    """Nats of held-out windows' keys from `unscored` on by counts of the training film, [W, T], of every order."""
    most = KeyCounts.fit((reader.actions(segment) for segment in share(training, MOST_KEYS)), HIGHEST_ORDER)
    return {
        order: np.stack([most.up_to(order).losses(keys_T)[unscored:] for keys_T in windows_WT])
        for order in range(1, most.order + 1)
    }


def mixed(*experts: Losses) -> Losses:
    """Nats of every scored step under the online mixture of several predictors; each stretch begins anew."""
    return [mixed_losses(np.stack(one)) for one in zip(*experts, strict=True)]


def evaluate_along(
    models: Mapping[str, Predictor],
    reader: FilmReader,
    parts: Sequence[Stretch],
    counts: KeyCounts,
    windows: Sequence[int] = WINDOWS,
    adapt: AdaptConfig | None = None,
    lags: Mapping[int, npt.NDArray[np.int32]] | None = None,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """`scores` of every row, by name, and what was read."""
    truth = truths(reader, parts, lags)
    counted = counted_losses(counts, reader, parts, (0, *windows))
    most = counted[max(counted)]
    rows: dict[str, Any] = {
        f"counts, {window:,}" if window else "counts": scores(losses, truth) for window, losses in counted.items()
    }
    for name, model in models.items():
        rows |= _rows(name, follow(model, reader, parts, None, device), truth, most)
        if adapt is not None:
            rows |= _rows(f"{name}, adapting", follow(model, reader, parts, adapt, device), truth, most)
    return {
        "repos": sorted({one.repo_id for one in truth}),
        "streams": len(parts),
        "steps": sum(len(one.actions_T) for one in truth),
        "counts_order": counts.order,
        "rows": rows,
    }


def _rows(name: str, tracks: Sequence[Track], truth: Sequence[Truth], counted: Losses) -> dict[str, Any]:
    losses: Losses = [track.losses_T for track in tracks]
    return {
        name: scores(losses, truth, [track.ranks_T for track in tracks]),
        f"{name} + counts": scores(mixed(losses, counted), truth),
    }


def tables_along(result: Mapping[str, Any]) -> str:
    """The result in words."""
    rows = result["rows"]
    cells = {
        name: [
            f"{row['nats']:.3f}",
            f"{row['low']:.3f} to {row['high']:.3f}",
            *(f"{row[share]:.1%}" if share in row else "" for share in ("right", "top5")),
        ]
        for name, row in rows.items()
    }
    read = f"{result['streams']} held-out streams, their state carried: {result['steps']:,} keys scored"
    parts = [
        f"along {read}; counts of order {result['counts_order']}",
        table("all", ["nats a key", "95 % by repository", "right", "in top 5"], cells),
    ]
    for key, title, words in (
        ("by_phase", "nats a key by phase", "{:.3f}"),
        ("right_by_phase", "right by phase", "{:.1%}"),
        ("by_lag", "nats a key by steps since the typed word was on screen", "{:.3f}"),
    ):
        kept = {name: row[key] for name, row in rows.items() if key in row}
        if kept:
            heads = list(next(iter(kept.values())))
            parts.append(
                table(title, heads, {n: [words.format(row[head]) for head in heads] for n, row in kept.items()})
            )
    return "\n\n".join(parts)
