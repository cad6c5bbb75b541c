"""Train a backbone on film whose frame vectors are known already, such as the made film of training.tasks.recall.

The frame head is frozen, so each frame is one cached vector and a run costs what its backbone costs. Otherwise the
paper's model: vectors -> backbone -> linear action head, mean cross-entropy over the steps of random windows. Rate:
linear warm-up, then constant; what is measured is the mean of the latest weights (polynomial-decay averaging, arXiv
1212.1824, section 4), so that every point of a curve is a model that one could have stopped at.

The primary measure predicts the same held-out (stream, step) targets for every trained length T, each given exactly T
frames of context, the target's own included. On one thread, the same settings give the same metrics to the bit on the
same processor and versions.

Dimensions: B windows, T steps, N targets, D frame vector, W backbone width, V actions, U places in all train streams.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from training.model.backbones import make_backbone
from training.model.counts import count_parameters, match_parameters
from training.model.frame_head import uniform_

WARM_UP = 50  # updates
AVERAGING = 8  # the average is over about the last 1/9 of the updates
PLATEAU = 0.02  # the last doubling of the updates gave less than this share of the loss
ACTIONS = 256
LONGEST = 2048  # frames that every target has before it, its own included
TARGETS = {"test": 1024, "validation": 1024}  # a stream
CURVE_TARGETS = 256  # a test stream; those of the points on the way and of the losses by place in the window
BUDGET = 1 << 16  # steps of the backbone in one go without gradient
LAG_EDGES = (-2, -1, 0, *(2**power for power in range(12)))  # bins of word lags, lower edges


class VectorStream(NamedTuple):
    """One stream: frame vectors, keys and word lags (training.analysis.word_lags)."""

    name: str
    split: str
    x_TD: NDArray[np.float16]
    action_T: NDArray[np.int64]
    lag_T: NDArray[np.int32]


class VectorFilm(NamedTuple):
    """What is trained and tested on. `questions`: only steps with a lag are targets (the recall film)."""

    name: str
    digest: str
    streams: tuple[VectorStream, ...]
    questions: bool = False

    def of(self, split: str) -> list[VectorStream]:
        """The streams of a split."""
        return [stream for stream in self.streams if stream.split == split]


class FilmConfig(BaseModel):
    """Everything that decides a run; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    film: str = Field(min_length=1, description="the film's name, as VectorFilm has it")
    model: str = Field(description="a name in training.model.backbones.BACKBONES")
    layers: int = Field(ge=1)
    width: int = Field(ge=1, description="of the backbone; other than the frame vectors': behind a linear map")
    length: int = Field(ge=1, le=LONGEST, description="T, steps of a training window")
    batch: int = Field(ge=1, description="windows an update")
    rate: float = Field(gt=0, description="peak learning rate")
    updates: int = Field(ge=1)
    marks: tuple[int, ...] = Field(default=(), description="further updates after which to measure")
    seed: int = Field(ge=0, description="of weights and windows")


class FilmResult(BaseModel):
    """What a run measured. Losses are nats a target of averaged weights, on streams never trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(description="of the film: the frame head's weights, or the generator's version")
    parameters: int = Field(description="of the backbone and its input map, without the action head")
    state_bytes: int = Field(description="that one sequence carries after T steps, float32")
    frames: int = Field(description="seen in training")
    loss: float = Field(description="mean over test streams, exactly T frames of context")
    validation: float = Field(description="the same on the validation streams")
    accuracy: float = Field(description="share of test targets whose likeliest key is the right one")
    by_stream: dict[str, float] = Field(description="loss of each test stream")
    by_lag: dict[int, float] = Field(description="loss of test targets by memory lag, lower edges of bins")
    lag_counts: dict[int, int] = Field(description="targets in those bins")
    by_place: dict[int, float] = Field(description="loss by place in the window, lower edges of doubling bins")
    curve: dict[int, float] = Field(description="loss on a quarter of the test targets after so many updates")
    undertrained: bool = Field(description="the last doubling of the updates lowered the loss by 2 % or more")
    seconds: dict[int, float] = Field(description="CPU s of training alone, after so many updates")
    cpu_seconds: float = Field(description="CPU s of everything")


class VectorModel(nn.Module):
    """Frame vectors -> keys: an input map where the widths differ, a backbone, a linear head without bias."""

    def __init__(self, config: FilmConfig, vector: int) -> None:
        super().__init__()
        width = config.width
        settings = match_parameters(config.model, width, config.layers, 8 * width**2 + 10 * width)
        self.map = nn.Identity() if width == vector else nn.Linear(vector, width, bias=False)
        self.backbone = make_backbone(config.model, width, config.layers, **settings)
        self.head = nn.Linear(width, ACTIONS, bias=False)
        uniform_(self.head.weight, width)

    def features(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, W]."""
        y_BTW: Tensor = self.backbone(self.map(x_BTD))
        return y_BTW

    def losses(self, y_BTW: Tensor, action_BT: Tensor) -> Tensor:
        """Cross-entropy of each step, nats, [B, T]."""
        logits_NV: Tensor = self.head(y_BTW.flatten(0, -2))
        return F.cross_entropy(logits_NV, action_BT.flatten(), reduction="none").view(action_BT.shape)


class Targets(NamedTuple):
    """Held-out steps; `x_SD[end_N[i] - T + 1 : end_N[i] + 1]` are the T frames up to target i."""

    x_SD: NDArray[np.float16]
    action_S: NDArray[np.int64]
    lag_N: NDArray[np.int32]
    end_N: NDArray[np.int64]
    stream_N: NDArray[np.int64]
    names: tuple[str, ...]

    def thinned(self, step: int) -> Targets:
        """Every `step`-th target."""
        return self._replace(lag_N=self.lag_N[::step], end_N=self.end_N[::step], stream_N=self.stream_N[::step])


def pick_targets(film: VectorFilm, split: str, count: int) -> Targets:
    """`count` steps of each stream of a split, evenly spread, each with LONGEST frames up to it.

    Raises ValueError when a stream has too few.
    """
    ends, numbers, lags, offset = [], [], [], 0
    streams = film.of(split)
    for number, stream in enumerate(streams):
        usable = np.arange(LONGEST - 1, len(stream.action_T))
        if film.questions:
            usable = usable[stream.lag_T[usable] > 0]
        if len(usable) < count:
            raise ValueError(f"{film.name} film, stream {stream.name}: {len(usable)} possible targets of {count}")
        chosen = usable[np.linspace(0, len(usable) - 1, count).astype(np.int64)]
        ends.append(chosen + offset)
        numbers.append(np.full(count, number))
        lags.append(stream.lag_T[chosen])
        offset += len(stream.action_T)
    return Targets(
        np.concatenate([stream.x_TD for stream in streams]),
        np.concatenate([stream.action_T for stream in streams]),
        np.concatenate(lags),
        np.concatenate(ends),
        np.concatenate(numbers),
        tuple(stream.name for stream in streams),
    )


@torch.no_grad()
def context_losses(
    model: VectorModel, targets: Targets, context: int, everywhere: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Losses of each target given exactly `context` frames, and whether the likeliest key was right.

    [N], or with `everywhere` the losses of every place of those windows, [N, T].
    """
    losses, right = [], []
    for part in np.array_split(targets.end_N, max(1, -(-len(targets.end_N) * context // BUDGET))):
        place_BT = part[:, None] + np.arange(1 - context, 1)
        y_BTW = model.features(torch.from_numpy(targets.x_SD[place_BT]).float())
        if not everywhere:
            y_BTW, place_BT = y_BTW[:, -1:], place_BT[:, -1:]
        action_BT = torch.from_numpy(targets.action_S[place_BT])
        losses.append(model.losses(y_BTW, action_BT).double())
        right.append(model.head(y_BTW[:, -1]).argmax(-1) == action_BT[:, -1])
    all_BT = torch.cat(losses).numpy()
    return (all_BT if everywhere else all_BT[:, 0]), torch.cat(right).numpy()


def by_stream(losses_N: NDArray[np.float64], targets: Targets) -> dict[str, float]:
    """Mean loss of each stream."""
    return {name: float(losses_N[targets.stream_N == n].mean()) for n, name in enumerate(targets.names)}


def mean_loss(losses_N: NDArray[np.float64], targets: Targets) -> float:
    """Mean over streams of their mean losses."""
    return float(np.mean(list(by_stream(losses_N, targets).values())))


def lag_bins(lag_N: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of the bin of LAG_EDGES that each lag falls into."""
    return np.searchsorted(np.array(LAG_EDGES), lag_N, side="right") - 1


def place_bins(losses_NT: NDArray[np.float64]) -> dict[int, float]:
    """Mean loss by 1-based place in the window: 1, 2, 3-4, 5-8, …, named by the first place."""
    result, low = {}, 0
    while low < losses_NT.shape[1]:
        high = min(max(1, 2 * low), losses_NT.shape[1])
        result[low + 1] = float(losses_NT[:, low:high].mean())
        low = high
    return result


def draw_starts(film: VectorFilm, length: int, batch: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Endless batches of window starts [B], uniform over all windows of the train streams laid end to end."""
    rng = np.random.default_rng([seed, 3])
    starts, offset = [], 0
    for stream in film.of("train"):
        starts.append(np.arange(offset, offset + len(stream.action_T) - length + 1))
        offset += len(stream.action_T)
    start_U = np.concatenate(starts)
    while True:
        yield start_U[rng.integers(0, len(start_U), batch)]


def doubling_marks(updates: int, further: Sequence[int] = (), first: int = 128) -> list[int]:
    """Updates after which to measure: the last, halves of it down to `first`, and those of `further` up to it."""
    marks = {updates, *(mark for mark in further if mark <= updates)}
    half = updates // 2
    while half >= first:
        marks.add(half)
        half //= 2
    return sorted(marks)


def average_(average: nn.Module, model: nn.Module, update: int) -> None:
    """Move the averaged weights towards the latest, after 1-based `update`."""
    share = (AVERAGING + 1) / (AVERAGING + update)
    torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in model.parameters()], share)


def train(config: FilmConfig, film: VectorFilm, marks: Sequence[int]) -> Iterator[tuple[int, float, VectorModel]]:
    """Train; after each of `marks` updates yield (update, CPU s of training so far, the averaged model)."""
    torch.manual_seed(config.seed)
    streams = film.of("train")
    x_UD = np.concatenate([stream.x_TD for stream in streams])
    action_U = np.concatenate([stream.action_T for stream in streams])
    model = VectorModel(config, x_UD.shape[1])
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), config.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    starts = draw_starts(film, config.length, config.batch, config.seed)
    spent, began = 0.0, time.process_time()
    for update in range(1, config.updates + 1):
        place_BT = next(starts)[:, None] + np.arange(config.length)
        x_BTD = torch.from_numpy(x_UD[place_BT]).float()
        optimizer.param_groups[0]["lr"] = config.rate * min(1.0, update / WARM_UP)
        loss = model.losses(model.features(x_BTD), torch.from_numpy(action_U[place_BT])).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average_(average, model, update)
        if update in marks:
            spent += time.process_time() - began
            yield update, round(spent, 3), average
            began = time.process_time()


def fit(config: FilmConfig, film: VectorFilm) -> FilmResult:
    """Train and measure one model; one thread, deterministic."""
    torch.set_num_threads(1)
    started = time.process_time()
    test = pick_targets(film, "test", TARGETS["test"])
    fewer = test.thinned(TARGETS["test"] // CURVE_TARGETS)
    curve, seconds = {}, {}
    for update, spent, model in train(config, film, doubling_marks(config.updates, config.marks)):
        curve[update] = mean_loss(context_losses(model, fewer, config.length)[0], fewer)
        seconds[update] = spent
    losses_N, right_N = context_losses(model, test, config.length)
    places_NT, _ = context_losses(model, fewer, config.length, everywhere=True)
    validation = pick_targets(film, "validation", TARGETS["validation"])
    bins_N = lag_bins(test.lag_N)
    present = [(number, edge) for number, edge in enumerate(LAG_EDGES) if (bins_N == number).any()]
    half = curve.get(config.updates // 2, np.inf)
    return FilmResult(
        digest=film.digest,
        parameters=sum(count_parameters(part.requires_grad_()) for part in (model.map, model.backbone)),
        state_bytes=model.backbone.state_bytes(config.length),
        frames=config.updates * config.batch * config.length,
        loss=mean_loss(losses_N, test),
        validation=mean_loss(context_losses(model, validation, config.length)[0], validation),
        accuracy=float(right_N.mean()),
        by_stream=by_stream(losses_N, test),
        by_lag={edge: float(losses_N[bins_N == number].mean()) for number, edge in present},
        lag_counts={edge: int((bins_N == number).sum()) for number, edge in present},
        by_place=place_bins(places_NT),
        curve=curve,
        undertrained=bool(curve[config.updates] < (1 - PLATEAU) * half),
        seconds=seconds,
        cpu_seconds=round(time.process_time() - started, 2),
    )
