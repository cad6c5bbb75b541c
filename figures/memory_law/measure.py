"""One cell of memory_law: a predictor that knows the stream's last T steps, on eight test repositories.

    counts     n-grams of the training film's keys, and of the stream's own last T keys; T 0: the training film's alone
    memory     the committed weights (training/start), their state carried, attending to their own last T steps
    context    the same weights from exactly T steps: their state and memory start anew before every key
    state      as context, the memory cut to one step: what the recurrent state alone holds; T 0: carried from the
               stream's start
    adapting   the same weights, which go on learning while they read; T steps of memory
    trained    as memory, with weights of 1,500 updates with 512 steps of memory (figures.learning), one set a seed; the
               first T of a seed trains them, in its CPU seconds too
    frame_only, keys_only   weights of as many updates, which know the screen alone, or the keys alone

Every predictor is asked for the same keys: steps 16,384 to 80,000 of each stream; `context` and `state`, which cost T
steps a key, for 512 of them a stream. With `read`, the keys are those from so many steps into each stream up to twice
as many; the first such cell of a predictor reads the streams, in its CPU seconds.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path

import numpy as np
import torch

from figures import learning
from figures.cells import CellConfig
from figures.corpus import Corpus, Split, further, read_corpus, warehouse_folder
from figures.memory_law.config import LawConfig, LawResult
from figures.rows import ROOT
from figures.streams import film_missing, spread, targets, whole
from schema.geometry import Geometry
from training.analysis.adapting import AdaptConfig
from training.analysis.along import count_film, counted_losses
from training.analysis.carried import Losses, Stretch, follow, stretches
from training.analysis.cold import cold_losses
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel
from training.model.key_counts import KeyCounts
from training.model.weights import load_weights

GEOMETRY = Geometry(24, 80)
START = ROOT.parent / "training" / "start" / f"memory-{GEOMETRY}.safetensors"
MORE = Path(__file__).with_name("more.toml")
ADAPT = AdaptConfig()
CONTROLS = {
    "frame_only": CellConfig(backbone="frame_only", previous_key=False),
    "keys_only": CellConfig(head="none", guesses=0),
}
MEMORY = 512  # steps, in the training of `trained`
TARGETS = 512  # keys of each stream that `context` and `state` predict


@dataclasses.dataclass(frozen=True, eq=False)
class Film:
    """Readers with what is scored of their streams, the counts of the training film, and where that lies."""

    tests: list[tuple[FilmReader, list[Stretch]]]
    counts: KeyCounts
    corpus: Path


@functools.cache
def film(mirrors: Path | None = None) -> Film:
    """The film of both lists, made where it is missing. Raises GitreelError."""
    roots = [warehouse_folder(GEOMETRY, longer=True), warehouse_folder(GEOMETRY).with_name(f"{GEOMETRY}-more")]
    for corpus, root in zip((further(read_corpus()), read_corpus(MORE)), roots, strict=True):
        film_missing(corpus, GEOMETRY, root, mirrors)
    return opened(*roots)


def opened(corpus_root: Path, more_root: Path) -> Film:
    """The film where it lies. Raises WarehouseError."""
    corpus, more = read_corpus(), read_corpus(MORE)
    reader, other = FilmReader(Warehouse(str(corpus_root))), FilmReader(Warehouse(str(more_root)))
    learned, choosing = (whole(reader, _ids(corpus, split)) for split in ("train", "validation"))
    tests = [(each, stretches(whole(each, _ids(of, "test")))) for each, of in ((reader, corpus), (other, more))]
    return Film(tests, count_film(reader, learned, choosing), corpus_root)


def _ids(corpus: Corpus, split: Split) -> list[str]:
    return [repository.repo_id for repository in corpus.of(split)]


def measure(config: LawConfig, seen: Film | None = None) -> LawResult:
    """Measure one cell. Raises GitreelError."""
    torch.set_num_threads(1)
    seen = seen or film()
    began = time.process_time()
    losses = _losses(config, seen)
    repos = [reader.streams[part.stream].repo_id for reader, parts in seen.tests for part in parts]
    means = {repo: float(loss_T.mean(dtype=np.float64)) for repo, loss_T in zip(repos, losses, strict=True)}
    return LawResult(
        nats=float(np.concatenate(losses).mean(dtype=np.float64)),
        by_repo=means,
        keys=sum(len(loss_T) for loss_T in losses),
        cpu_seconds=round(time.process_time() - began, 1),
    )


@functools.lru_cache(maxsize=1)
def trained(cell: CellConfig, corpus: Path) -> FrameModel:
    """Weights that every T of a cell reads with."""
    return learning.trained(cell, learning.opened(corpus))


def _model(config: LawConfig, corpus: Path) -> FrameModel:
    """The weights that a cell reads with."""
    if config.predictor == "trained":
        return trained(CellConfig(memory=MEMORY, seed=config.seed), corpus)
    if config.predictor in CONTROLS:
        return trained(CONTROLS[config.predictor].model_copy(update={"seed": config.seed}), corpus)
    return load_weights(START)[0].eval()


def _losses(config: LawConfig, seen: Film) -> Losses:
    """Nats of every key asked for, an array a stream."""
    if config.predictor == "counts":
        return [
            loss_T
            for reader, parts in seen.tests
            for loss_T in counted_losses(seen.counts, reader, parts, [config.steps])[config.steps]
        ]
    if config.predictor == "state" and not config.steps:
        read = _followed(LawConfig(predictor="memory", steps=1), seen)
        parts = [part for _, some in seen.tests for part in some]
        return [loss_T[np.array(spread(part, TARGETS)) - part.start] for loss_T, part in zip(read, parts, strict=True)]
    if config.predictor in ("context", "state"):
        model = _model(config, seen.corpus)
        model.memory_steps = config.steps if config.predictor == "context" else 1
        return [
            cold_losses(model, reader, targets(part, TARGETS), config.steps)
            for reader, parts in seen.tests
            for part in parts
        ]
    read = _followed(config.model_copy(update={"read": 0}), seen)
    parts = [part for _, some in seen.tests for part in some]
    return [loss_T[_asked(config, part)] for loss_T, part in zip(read, parts, strict=True)]


def _asked(config: LawConfig, part: Stretch) -> slice:
    """The steps of a stretch that a cell asks for, counted from the stretch's first."""
    if config.read:
        return slice(config.read, 2 * config.read)
    return slice(part.scored - part.start, part.stop - part.start)


@functools.lru_cache(maxsize=1)
def _followed(config: LawConfig, seen: Film) -> Losses:
    """Nats of every step of every stretch, read once for all cells that ask for some of them."""
    model = _model(config, seen.corpus)
    model.memory_steps = max(1, config.steps)
    adapt = ADAPT if config.predictor == "adapting" else None
    return [
        track.losses_T
        for reader, parts in seen.tests
        for track in follow(model, reader, [part._replace(scored=part.start) for part in parts], adapt)
    ]
