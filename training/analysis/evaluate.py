"""What a memory buys: losses of fitted models by place in the window, by phase, by memory lag and by context.

Every model of every run is evaluated on the same held-out windows. A word last on the screen n steps ago can only be
remembered by a model whose window has those n steps, so the table by lag is given twice: for every word, and for those
last seen inside of the window. What a memory buys over frame-only is a mean of paired differences, with a 95 % interval
by resampling windows (it says nothing about another seed or repository). `context_losses` predicts the *same*
(stream, step) targets from exactly T frames of context each, for any T.

Dimensions: W windows, T steps, N targets, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schema.actions import Phase
from schema.errors import ConfigError
from training.analysis.metrics import Predictions, run_windows
from training.analysis.word_lags import BINS, NEVER, NO_WORD, VISIBLE, by_lag, stored_word_lags
from training.data.batches import Sampler, collate
from training.data.splits import Segment
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel, Seen, join
from training.model.gradients import chunks, previous_keys, token_losses

Target = tuple[int, int]  # stream, step
SPAN = 256  # frames embedded at once


def spread_targets(segments: Sequence[Segment], count: int, longest: int, run: int = 64) -> list[Target]:
    """About `count` targets in runs of `run` consecutive steps, evenly spread, each with `longest` frames of context.

    Runs share their context's frames, so that many targets cost few frames. Raises ConfigError (no room).
    """
    room = [s._replace(start=s.start + longest - 1) for s in segments if s.stop - s.start >= longest + run]
    if not room:
        raise ConfigError(f"no held-out stream has {longest} + {run} steps; harvest more or use a shorter context")
    sampler = Sampler(room, run)
    places = [sampler.place(int(n)) for n in np.linspace(0, sampler.starts - 1, max(1, count // run))]
    return sorted({(stream, start + i) for stream, start in places for i in range(run)})


def context_losses(
    model: FrameModel,
    reader: FilmReader,
    targets: Sequence[Target],
    contexts: Sequence[int],
    reuse: bool | float = True,
    budget: int = 1 << 15,
) -> npt.NDArray[np.float32]:
    """Loss (nats) of each target given exactly T frames, the target's own included, for each T: [contexts, N].

    Each frame is embedded once. `budget`: steps of the backbone in one go. Raises ConfigError for a target with fewer
    frames before it than the longest context.
    """
    longest = max(contexts)
    order = sorted(range(len(targets)), key=lambda i: targets[i])
    losses = np.empty((len(contexts), len(targets)), np.float32)
    with torch.no_grad():
        for group in _runs([targets[i] for i in order], longest):
            stream, first = targets[order[group[0]]]
            start, last = first - longest + 1, targets[order[group[-1]]][1]
            if start < 0:
                raise ConfigError(f"target at step {first} has fewer than {longest} frames before it")
            seen, action_T = _embedded(model, reader, stream, start, last + 1 - start, reuse)
            columns = np.array([order[i] for i in group])
            steps = torch.tensor([targets[column][1] - start for column in columns])
            for row, context in enumerate(contexts):
                for part in chunks(len(group), max(1, budget // context)):
                    places_NT = steps[part, None] + torch.arange(1 - context, 1)
                    loss_N = _last_losses(model, seen, action_T, places_NT)
                    losses[row, columns[part]] = loss_N.numpy()
    return losses


def _runs(targets: Sequence[Target], longest: int) -> Iterable[list[int]]:
    """Positions of targets whose contexts overlap, together."""
    group: list[int] = []
    for i, (stream, step) in enumerate(targets):
        if group and (targets[group[-1]][0] != stream or step - targets[group[-1]][1] >= longest):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _embedded(
    model: FrameModel, reader: FilmReader, stream: int, start: int, length: int, reuse: bool | float
) -> tuple[Seen, Tensor]:
    """What is seen of one span [1, T], and its actions [T]."""
    seen, actions = [], []
    for part in chunks(length, SPAN):
        window = reader.window(stream, start + part.start, part.stop - part.start)
        seen.append(model.embed(torch.from_numpy(window.cells_TRC)[None], reuse))
        actions.append(torch.from_numpy(window.action_T))
    return join(seen), torch.cat(actions)


def _last_losses(model: FrameModel, seen: Seen, action_T: Tensor, places_NT: Tensor) -> Tensor:
    """Loss of the last step of each of N contexts, given by their places in the span."""
    contexts = Seen.of(*(each[0, places_NT] for each in seen.tensors))
    previous_NT = previous_keys(action_T[places_NT], model.vocabulary)
    logits_NTV, _ = model.predict(contexts, previous_NT)
    return token_losses(logits_NTV[:, -1:], action_T[places_NT[:, -1:]])[:, 0].float()


def by_position(predictions: Predictions) -> dict[str, float]:
    """Mean loss in doubling bins of the place in the window (1-based): '1', '2', '3-4', '5-8', ..."""
    result, low = {}, 0
    while low < predictions.losses.shape[1]:
        high = min(max(1, 2 * low), predictions.losses.shape[1])
        name = str(high) if high - low == 1 else f"{low + 1}-{high}"
        result[name] = float(predictions.losses[:, low:high].mean(dtype=np.float64))
        low = high
    return result


def by_phase(predictions: Predictions) -> dict[str, float]:
    """Mean loss of each phase that occurs."""
    return {
        phase.name.lower(): float(predictions.losses[predictions.phases == phase].mean(dtype=np.float64))
        for phase in Phase
        if (predictions.phases == phase).any()
    }


def in_window(lags_WT: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which steps belong to a word that was last on the screen inside of its window, [W, T].

    A word that the window's start cuts counts as starting there.
    """
    place_T = np.arange(lags_WT.shape[1])
    fresh_WT = np.ones(lags_WT.shape, np.bool_)
    fresh_WT[:, 1:] = lags_WT[:, 1:] != lags_WT[:, :-1]
    first_WT = np.maximum.accumulate(np.where(fresh_WT, place_T, 0), axis=1)
    return np.asarray((lags_WT >= VISIBLE) & (lags_WT <= first_WT))


def gain(
    base: npt.NDArray[np.float32], losses: npt.NDArray[np.float32], where: npt.NDArray[np.bool_], draws: int = 1000
) -> tuple[float, float, float] | None:
    """Mean of base - losses [W, T] over the steps `where`, nats, with a 95 % interval over windows; None: no steps."""
    count_W = where.sum(1)
    if not count_W.any():
        return None
    sum_W = ((base - losses) * where).sum(1, dtype=np.float64)
    picks = np.random.default_rng(0).integers(0, len(sum_W), (draws, len(sum_W)))
    steps = count_W[picks].sum(1)
    means = sum_W[picks].sum(1)[steps > 0] / steps[steps > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(sum_W.sum() / count_W.sum()), float(low), float(high)


def gains(
    predictions: Predictions, base: Predictions, lags_WT: npt.NDArray[np.int32]
) -> dict[str, tuple[float, float, float]]:
    """Nats below `base`: all steps, then words last seen inside of the window by lag, then never seen."""
    inside = in_window(lags_WT)
    edges = [edge for edge, _ in BINS] + [np.iinfo(np.int32).max]
    parts = {"all": np.ones(lags_WT.shape, np.bool_), "no word": lags_WT == NO_WORD}
    for number, (edge, name) in enumerate(BINS):
        here = (lags_WT >= edge) & (lags_WT < edges[number + 1])
        parts[name] = here if edge == NEVER else here & inside
        if edge > VISIBLE:
            parts[f"{name}, before the window"] = here & ~inside
    found = {name: gain(base.losses, predictions.losses, where) for name, where in parts.items()}
    return {name: value for name, value in found.items() if value is not None}


def evaluate(
    models: dict[str, FrameModel],
    reader: FilmReader,
    split: str,
    window: int,
    count: int,
    split_window: int | None = None,
) -> dict[str, Any]:
    """Every table for every model, on `count` windows of a split. Raises ConfigError.

    `split_window`: the window of training, which decides where a lone stream's held-out tenth starts.
    """
    segments, words = reader.segments(split_window or window)
    if not segments[split]:
        raise ConfigError(f"{reader.warehouse.root}: no {split} film ({words}); use another --split, or harvest more")
    sampler = Sampler(segments[split], window)
    places = sampler.spread(count)
    windows = [reader.window(*place, window) for place in places]
    batches = [collate(windows[i : i + 8]) for i in range(0, len(windows), 8)]
    lags = None
    if reader.tokenizer is None:
        stored = {stream: stored_word_lags(reader, stream) for stream in {s for s, _ in places}}
        lags = np.stack([stored[stream][start : start + window] for stream, start in places])
    repos = sorted({reader.streams[stream].repo_id for stream, _ in places})
    result: dict[str, Any] = {
        "split": split, "splits": words, "window": window, "windows": len(places), "repos": repos, "models": {},
    }  # fmt: skip
    predictions = {name: run_windows(model, batches) for name, model in models.items()}
    for name, each in predictions.items():
        result["models"][name] = {
            "loss": float(each.losses.mean(dtype=np.float64)),
            "accuracy": float((each.predicted == each.actions).mean()),
            "by_position": by_position(each),
            "by_phase": by_phase(each),
            "by_lag": {} if lags is None else by_lag(each.losses, lags),
            "accuracy_by_lag": {} if lags is None else by_lag(each.predicted == each.actions, lags),
            "by_lag_in_window": {} if lags is None else by_lag(each.losses[in_window(lags)], lags[in_window(lags)]),
        }
        if lags is not None and "frame_only" in predictions and name != "frame_only":
            result["models"][name]["gain"] = gains(each, predictions["frame_only"], lags)
    return result


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Plain text, columns aligned to the right."""
    body = [[title, *columns], *([name, *cells] for name, cells in rows.items())]
    widths = [max(len(line[i]) for line in body if i < len(line)) for i in range(len(columns) + 1)]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=False))
        )
        for line in body
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def tables(result: dict[str, Any]) -> str:
    """The result in words."""
    models = result["models"]
    first = next(iter(models.values()))
    parts = [
        f"{result['windows']} windows of {result['window']} steps, each from a cold start, {result['split']} split",
        f"{result['splits']}",
        f"{', '.join(result['repos'][:6])}{' ...' if len(result['repos']) > 6 else ''}",
        table("all", ["nats a step", "right"], {
            name.replace("_", "-"): [f"{m['loss']:.3f}", f"{m['accuracy']:.1%}"] for name, m in models.items()
        }),
    ]  # fmt: skip
    for key, title in (("by_position", "place in the window"), ("by_phase", "phase")):
        cells: dict[str, list[str]] = {
            name.replace("_", "-"): [f"{value:.3f}" for value in m[key].values()] for name, m in models.items()
        }
        parts.append(table(title, list(first[key]), cells))
    if first["by_lag"]:
        rows: dict[str, list[str]] = {"keys": [f"{count:,}" for _, count in first["by_lag"].values()]}
        for name, m in models.items():
            rows[name.replace("_", "-")] = [f"{value:.3f}" for value, _ in m["by_lag"].values()]
        parts.append(table("steps since the typed word was on screen", list(first["by_lag"]), rows))
    if first["by_lag_in_window"]:
        rows = {"keys": [f"{count:,}" for _, count in first["by_lag_in_window"].values()]}
        for name, m in models.items():
            rows[name.replace("_", "-")] = [f"{value:.3f}" for value, _ in m["by_lag_in_window"].values()]
        parts.append(table("the same, last seen inside of the window", list(first["by_lag_in_window"]), rows))
    compared = {name: m["gain"] for name, m in models.items() if "gain" in m}
    if compared:
        names = list(next(iter(compared.values())))
        rows = {
            part: [
                f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for value, low, high in (g[part] for g in compared.values())
            ]
            for part in names
        }
        heads = [name.replace("_", "-") for name in compared]
        parts.append(table("nats below frame-only [95 %]", heads, rows))
    return "\n\n".join(parts)
