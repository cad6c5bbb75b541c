"""Train and measure one cell of the figures on film: figures.cells says what is asked.

The corpus's film at its own screen size, the training repositories' longer histories; made where it is missing. A cell
that asks for more steps than those have learns from the repositories of more_film/more.toml too.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from figures.cells import CONTEXTS, FURTHER, CellConfig, CellResult
from figures.corpus import Corpus, further, own_geometry, read_corpus, warehouse_folder
from figures.rows import ROOT
from figures.streams import film_missing, spread, targets, whole
from training.analysis.carried import STEPS, Stretch, follow, scores, stretches, truths
from training.analysis.cold import cold_losses
from training.data.batches import Batch, Sampler, make_batch
from training.data.carried import CarriedBatches
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.config import FitConfig
from training.loop.learner import Learner
from training.loop.optim import rate
from training.model.config import READER, ModelConfig, preset
from training.model.counts import parameter_counts
from training.model.frame_model import FrameModel

MORE = ROOT / "more_film" / "more.toml"  # what a cell that asks for more film than the corpus's learns from too
TARGETS = 256  # keys of each test stream that are predicted from exactly T steps
POINTS = 8  # of the curve
WARM, SHORT = 2048, 2048  # steps read and then scored of each test stream, a point of the curve
CHOOSING = (20_000, 4096)  # steps read of the repository to choose with, the first one scored
LONGEST = 256  # steps that a transformer knows: its state would grow without end
STATE_STEPS = 1024


class Film(NamedTuple):
    """The reader, and whole streams to learn from, to choose with and to be tested on."""

    reader: FilmReader
    train: list[Segment]
    choosing: list[Segment]
    test: list[Segment]


def corpus(more: bool = False) -> Corpus:
    """The pinned corpus with its longer histories, and with more repositories to learn from. Raises ConfigError."""
    own = further(read_corpus())
    others = read_corpus(MORE).repository if more else ()
    return own.model_copy(update={"repository": (*own.repository, *others)})


@functools.cache
def film(more: bool = False, mirrors: Path | None = None) -> Film:
    """The corpus's film, made where it is missing. Raises GitreelError."""
    asked = corpus(more)
    root = warehouse_folder(own_geometry(asked), longer=True)
    if more:
        root = root.with_name(f"{root.name}-more")
    film_missing(asked, own_geometry(asked), root, mirrors)
    return opened(root, more)


def opened(root: Path, more: bool = False) -> Film:
    """The corpus's film where it lies. Raises WarehouseError, ConfigError."""
    reader, asked = FilmReader(Warehouse(str(root)), cache_bytes=2 << 30), corpus(more)
    train, choosing, test = (
        whole(reader, [repository.repo_id for repository in asked.of(split)])
        for split in ("train", "validation", "test")
    )
    return Film(reader, train, choosing, test)


def measure(config: CellConfig, seen: Film | None = None) -> CellResult:
    """Train one cell and measure it, on one thread. Raises GitreelError."""
    torch.set_num_threads(1)
    began = time.process_time()
    seen = seen or film(config.film > FURTHER)
    learned = first_steps(seen.train, 1000 * config.film)
    torch.manual_seed(config.seed)
    model = FrameModel(model_config(config, seen.reader))
    curve, seconds = _train(model, config, seen, learned)
    parts = stretches(seen.test, STEPS)
    asked = [each for part in parts for each in targets(part, TARGETS)]
    context = {steps: float(cold_losses(model, seen.reader, asked, steps).mean()) for steps in CONTEXTS}
    if config.backbone == "transformer":
        found = _short_sighted(model, seen, parts)
    else:
        found = _carried(model, seen, parts)
    return CellResult(
        **found,
        context=context,
        validation=_nats(model, seen.reader, stretches(seen.choosing, *CHOOSING), config),
        curve=curve,
        frames=config.updates * config.batch * config.window,
        film_steps=sum(segment.stop - segment.start for segment in learned),
        parameters=parameter_counts(model)["total"],
        state_bytes=model.backbone.state_bytes(STATE_STEPS),
        seconds=seconds,
        cpu_seconds=round(time.process_time() - began, 1),
    )


def model_config(config: CellConfig, reader: FilmReader) -> ModelConfig:
    """The preset `small` with a cell's changes. The published head is as deep as the preset `published_small`'s."""
    changes = {
        name: getattr(config, name)
        for name in ("width", "head", "guesses", "screen_attention", "previous_key", "memory", "chrono")
    }
    if config.head == "published":
        changes |= READER
    return preset("small", *reader.geometry, backbone=config.backbone, backbone_layers=config.layers, **changes)


def first_steps(segments: list[Segment], steps: int) -> list[Segment]:
    """The same share of each segment, from its start on, so that they are about `steps` steps; 0: all of them."""
    there = sum(segment.stop - segment.start for segment in segments)
    share = min(1.0, steps / there) if steps else 1.0
    return [Segment(s.stream, s.start, s.start + max(1, round(share * (s.stop - s.start)))) for s in segments]


class _Batches:
    """The batch of every update: streams in their order, or windows at random."""

    def __init__(self, config: CellConfig, reader: FilmReader, learned: list[Segment], reset: float) -> None:
        self._config, self._reader = config, reader
        if config.carried:
            self._carried = CarriedBatches(reader, learned, config.batch, config.window, config.seed, reset)
        else:
            self._sampler = Sampler(learned, config.window, config.seed)

    def batch(self, update: int) -> Batch:
        if self._config.carried:
            return self._carried.batch(update)
        return make_batch(self._reader, self._sampler, self._config.batch, update)


def _train(
    model: FrameModel, config: CellConfig, seen: Film, learned: list[Segment]
) -> tuple[dict[int, float], dict[int, float]]:
    """Train in place; nats and CPU seconds of training at POINTS updates, doubling."""
    marks = {max(1, config.updates >> halvings) for halvings in range(POINTS)}
    short = [_around_scored(part) for part in stretches(seen.test, STEPS)]
    curve: dict[int, float] = {}
    seconds: dict[int, float] = {}
    spent, began = 0.0, time.process_time()
    for done in _updates(model, config, seen.reader, learned):
        spent += time.process_time() - began
        if done in marks:
            curve[done] = _nats(model.eval(), seen.reader, short, config)
            seconds[done] = round(spent, 1)
            model.train()
        began = time.process_time()
    model.eval()
    return curve, seconds


def begun(config: CellConfig, seen: Film) -> tuple[FrameModel, Iterator[int]]:
    """A cell's model before its first update, and its updates, each made when asked for: how many so far."""
    torch.manual_seed(config.seed)
    model = FrameModel(model_config(config, seen.reader))
    return model, _updates(model, config, seen.reader, first_steps(seen.train, 1000 * config.film))


def trained(config: CellConfig, seen: Film) -> FrameModel:
    """A cell's model after its updates, nothing measured on the way."""
    model, updates = begun(config, seen)
    for _ in updates:
        pass
    return model.eval()


def _updates(model: FrameModel, config: CellConfig, reader: FilmReader, learned: list[Segment]) -> Iterator[int]:
    """Train in place; yields how many updates were made, after each."""
    settings = FitConfig.model_validate(
        {"preset": "small", "seed": config.seed, "carried": config.carried, "batch": config.batch,
         "learning_rate": config.rate, "backbone_learning_rate": config.rate, "reset": config.reset}
    )  # fmt: skip
    batches = _Batches(config, reader, learned, settings.reset)
    return updated(Learner(model, settings, torch.device("cpu")), batches.batch, config.updates)


def updated(learner: Learner, batch: Callable[[int], Batch], updates: int) -> Iterator[int]:
    """Make so many updates along the settings' course of the learning rate; yields how many were made, after each."""
    settings = learner.config
    for update in range(updates):
        factor = rate(update, updates, settings.warmup, settings.decay, settings.course)
        learner.update(batch(update), factor)
        yield update + 1


def _around_scored(part: Stretch) -> Stretch:
    """WARM steps before the first that is scored, and SHORT from it on."""
    return Stretch(part.stream, max(part.start, part.scored - WARM), part.scored, min(part.stop, part.scored + SHORT))


def _carried(model: FrameModel, seen: Film, parts: list[Stretch]) -> dict[str, object]:
    """Losses of the test streams read from their start, and those of the keys that `context` is asked for."""
    tracks = follow(model, seen.reader, parts)
    losses = [track.losses_T for track in tracks]
    found = scores(losses, truths(seen.reader, parts), [track.ranks_T for track in tracks])
    asked = [loss_T[np.array(spread(part, TARGETS)) - part.scored] for loss_T, part in zip(losses, parts, strict=True)]
    own = {name: found[name] for name in ("nats", "by_repo", "right")}
    return {**own, "context_carried": float(np.concatenate(asked).mean())}


def _short_sighted(model: FrameModel, seen: Film, parts: list[Stretch]) -> dict[str, object]:
    """The same of a model whose state grows: it knows LONGEST steps, of the keys that `context` is asked for."""
    names = [seen.reader.streams[part.stream].repo_id for part in parts]
    losses = [cold_losses(model, seen.reader, targets(part, TARGETS), LONGEST) for part in parts]
    nats = float(np.concatenate(losses).mean())
    by_repo = {name: float(loss_N.mean()) for name, loss_N in zip(names, losses, strict=True)}
    return {"nats": nats, "by_repo": by_repo, "right": float("nan"), "context_carried": nats}


def _nats(model: FrameModel, reader: FilmReader, parts: list[Stretch], config: CellConfig) -> float:
    """Nats a key of some stretches; a transformer's with LONGEST steps known, of every 32nd of their keys."""
    if config.backbone == "transformer":
        asked = [(part.stream, step) for part in parts for step in range(part.scored, part.stop, 32)]
        return float(cold_losses(model, reader, asked, LONGEST).mean())
    return float(np.concatenate([track.losses_T for track in follow(model, reader, parts)]).mean())
