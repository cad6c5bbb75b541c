"""Held-out streams read from their start, the state carried along: what a model is worth after it has read for long.

    tracks = follow(model, reader, stretches(reader, segments))
    scores(tracks)["nats"]

A stretch is the first STEPS steps of a held-out stream, and its steps from SCORED_FROM on are scored: before that a
memory, the counts of the stream's own keys, or weights that go on learning, have read little. A stream that is shorter
is scored from a quarter of its length on. Streams are read side by side, a lane each, without gradient; with `adapt`
one after the other, since each has weights of its own.

Dimensions: B lanes, T steps, V actions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from schema.actions import Phase
from schema.errors import ConfigError
from training.analysis.adapting import AdaptConfig, Adapting
from training.analysis.predictor import NO_KEY, Predictor, ranks_of, read_chunk
from training.analysis.word_lags import by_lag
from training.data.splits import Segment
from training.data.windows import FilmReader
from training.model.gradients import token_losses

STEPS = 80_000
SCORED_FROM = 16_384
CHUNK = 64  # steps predicted at once
LANES = 32  # streams side by side
TOP = 5
DRAWS = 10_000  # of repositories, for an interval
PHASES = {phase: phase.name.lower().replace("_", " ") for phase in Phase}

Losses = Sequence[npt.NDArray[Any]]  # nats of every scored step, an array a stretch


class Stretch(NamedTuple):
    """Steps [start, stop) of a stream are read, [scored, stop) count."""

    stream: int
    start: int
    scored: int
    stop: int


class Track(NamedTuple):
    """What was predicted at the scored steps of one stretch, each [T].

    `ranks_T`: how many keys were more likely to the model than the one pressed, so that 0 is right.
    """

    stretch: Stretch
    losses_T: npt.NDArray[np.float32]
    ranks_T: npt.NDArray[np.uint8]


class Truth(NamedTuple):
    """What happened at the scored steps of one stretch, each [T]. `lags_T`: as in training.analysis.word_lags."""

    repo_id: str
    actions_T: npt.NDArray[np.uint8]
    phases_T: npt.NDArray[np.uint8]
    lags_T: npt.NDArray[np.int32] | None


def stretches(
    segments: Sequence[Segment], steps: int = STEPS, scored_from: int = SCORED_FROM, shortest: int = 8
) -> list[Stretch]:
    """What is read and scored of each segment that has `shortest` steps. Raises ConfigError: none has."""
    found = []
    for segment in segments:
        length = min(steps, segment.stop - segment.start)
        if length >= shortest:
            scored = segment.start + min(scored_from, length // 4)
            found.append(Stretch(segment.stream, segment.start, scored, segment.start + length))
    if not found:
        raise ConfigError(f"no held-out stream has {shortest} steps; harvest more commits")
    return found


def follow(
    model: Predictor,
    reader: FilmReader,
    parts: Sequence[Stretch],
    adapt: AdaptConfig | None = None,
    device: torch.device | None = None,
) -> list[Track]:
    """Predict every step of some stretches, each from its stream's steps since the stretch began."""
    if adapt is not None:
        return [_lanes(model, reader, [part], adapt, device)[0] for part in parts]
    order = sorted(range(len(parts)), key=lambda i: parts[i].start - parts[i].stop)  # the longest first
    tracks: dict[int, Track] = {}
    for some in (order[i : i + LANES] for i in range(0, len(order), LANES)):
        tracks.update(zip(some, _lanes(model, reader, [parts[i] for i in some], None, device), strict=True))
    return [tracks[i] for i in range(len(parts))]


def _lanes(
    model: Predictor,
    reader: FilmReader,
    parts: Sequence[Stretch],
    adapt: AdaptConfig | None,
    device: torch.device | None,
) -> list[Track]:
    """Tracks of stretches read side by side, the longest first; a lane that has ended leaves the batch."""
    lengths = [part.stop - part.start for part in parts]
    learner = Adapting(model, adapt) if adapt is not None else None
    losses = [np.empty(length, np.float32) for length in lengths]
    ranks = [np.empty(length, np.uint8) for length in lengths]
    before = [NO_KEY] * len(parts)
    state = model.initial_state(len(parts))
    with torch.no_grad():
        for first, last in _chunks(lengths, adapt.every if adapt else CHUNK):
            alive = sum(length >= last for length in lengths)
            windows = [reader.window(part.stream, part.start + first, last - first) for part in parts[:alive]]
            cells, previous, actions = (tensor.to(device) for tensor in read_chunk(windows, before[:alive]))
            state = tuple(piece[:alive] for piece in state)
            if learner is None:
                logits, state = model(cells, previous, state)
            else:
                logits, state = learner.chunk(cells, previous, actions, state)
            losses_BT, ranks_BT = token_losses(logits, actions).float().cpu(), ranks_of(logits, actions).cpu()
            for lane in range(alive):
                losses[lane][first:last], ranks[lane][first:last] = losses_BT[lane].numpy(), ranks_BT[lane].numpy()
            before = actions[:, -1].tolist()
    return [
        Track(part, loss_T[part.scored - part.start :], rank_T[part.scored - part.start :])
        for part, loss_T, rank_T in zip(parts, losses, ranks, strict=True)
    ]


def _chunks(lengths: Sequence[int], chunk: int) -> Iterator[tuple[int, int]]:
    """Borders (first, last) of chunks of at most `chunk` steps, with one wherever a lane ends."""
    borders = sorted({*range(0, max(lengths), chunk), *lengths})
    return itertools.pairwise(borders)


def truths(
    reader: FilmReader, parts: Sequence[Stretch], lags: Mapping[int, npt.NDArray[np.int32]] | None = None
) -> list[Truth]:
    """What happened at the scored steps. `lags`: of every step of a stream, by stream."""
    found = []
    for part in parts:
        actions, phases = [], []
        for start in range(part.scored, part.stop, 4096):
            window = reader.window(part.stream, start, min(4096, part.stop - start))
            actions.append(window.action_T.astype(np.uint8))
            phases.append(window.phase_T)
        lags_T = None if lags is None else lags[part.stream][part.scored : part.stop]
        repo_id = reader.streams[part.stream].repo_id
        found.append(Truth(repo_id, np.concatenate(actions), np.concatenate(phases), lags_T))
    return found


def interval(losses: Losses, repos: Sequence[str], draws: int = DRAWS) -> tuple[float, float, float]:
    """Mean over all steps of all stretches, with a 95 % interval by resampling repositories."""
    names = sorted(set(repos))
    sums, steps = np.zeros(len(names)), np.zeros(len(names))
    for loss_T, repo in zip(losses, repos, strict=True):
        sums[names.index(repo)] += loss_T.sum(dtype=np.float64)
        steps[names.index(repo)] += loss_T.size
    picks = np.random.default_rng(0).integers(0, len(names), (draws, len(names)))
    low, high = np.quantile(sums[picks].sum(1) / steps[picks].sum(1), [0.025, 0.975])
    return float(sums.sum() / steps.sum()), float(low), float(high)


def scores(
    losses: Losses, truth: Sequence[Truth], ranks: Sequence[npt.NDArray[np.uint8]] | None = None
) -> dict[str, Any]:
    """What a predictor is worth over all scored steps.

    nats, low and high (`interval`); by_repo, by_phase and by_lag: nats; with `ranks`, the shares right and top5 of all
    keys, and right_by_phase.
    """
    repos = [one.repo_id for one in truth]
    nats, low, high = interval(losses, repos)
    loss_N = np.concatenate(losses)
    phase_N = np.concatenate([one.phases_T for one in truth])
    repo_N = np.repeat(repos, [len(one.actions_T) for one in truth])
    found: dict[str, Any] = {
        "nats": nats,
        "low": low,
        "high": high,
        "by_repo": _means(loss_N, repo_N, {name: name for name in dict.fromkeys(repos)}),
        "by_phase": _means(loss_N, phase_N, PHASES),
    }
    lags = [one.lags_T for one in truth if one.lags_T is not None]
    if len(lags) == len(truth):
        found["by_lag"] = {name: mean for name, (mean, _) in by_lag(loss_N, np.concatenate(lags)).items()}
    if ranks is not None:
        rank_N = np.concatenate(ranks)
        found["right"], found["top5"] = float((rank_N == 0).mean()), float((rank_N < TOP).mean())
        found["right_by_phase"] = _means(rank_N == 0, phase_N, PHASES)
    return found


def _means(values_N: npt.NDArray[Any], kind_N: npt.NDArray[Any], kinds: Mapping[Any, str]) -> dict[str, float]:
    """The mean of each kind that occurs, by name."""
    return {
        name: float(values_N[kind_N == kind].mean(dtype=np.float64))
        for kind, name in kinds.items()
        if (kind_N == kind).any()
    }
