"""One cell of two_editors: the pinned commits of figures/corpus.toml and memory_law/more.toml, in vim or in nano.

Both editors type the same commits: seven repositories to learn from, one to choose the counts' order with, eight to be
tested on, at 24 x 80. Nano's film is longer, because it moves by single steps: its scored steps, 16,384 to 80,000 of
each stream, are of fewer commits.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from figures.corpus import read_corpus, warehouse_folder
from figures.learning import updated
from figures.memory_law.config import LawResult
from figures.memory_law.measure import GEOMETRY, MORE
from figures.streams import film_missing, whole
from figures.two_editors.config import EditorConfig
from schema.editors import Editor
from schema.manifest import repository_of, stream_id
from training.analysis.along import count_film, counted_losses
from training.analysis.carried import Stretch, follow, stretches
from training.data.carried import CarriedBatches
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.config import FitConfig
from training.loop.learner import Learner
from training.model.config import preset
from training.model.frame_model import FrameModel
from training.model.key_counts import KeyCounts

LANES, LENGTH = 32, 32  # streams side by side, steps of backpropagation


class Film(NamedTuple):
    """One editor's film: what to learn from, what is scored, and counts of what is learned from."""

    reader: FilmReader
    train: list[Segment]
    tests: list[Stretch]
    counts: KeyCounts


@functools.cache
def film(editor: Editor, mirrors: Path | None = None) -> Film:
    """One editor's film, made where it is missing. Raises GitreelError."""
    root = warehouse_folder(GEOMETRY).with_name(f"{GEOMETRY}-{editor}")
    for corpus in (read_corpus(), read_corpus(MORE)):
        film_missing(corpus, GEOMETRY, root, mirrors, editor)
    return opened(root, editor)


def opened(root: Path, editor: Editor) -> Film:
    """One editor's film where it lies. Raises WarehouseError, ConfigError."""
    reader = FilmReader(Warehouse(str(root)), cache_bytes=2 << 30)
    corpus, more = read_corpus(), read_corpus(MORE)
    train, choosing, test, further_test = (
        whole(reader, [stream_id(repository.repo_id, editor) for repository in repositories])
        for repositories in (corpus.of("train"), corpus.of("validation"), corpus.of("test"), more.of("test"))
    )
    return Film(reader, train, stretches([*test, *further_test]), count_film(reader, train, choosing))


@functools.cache
def learned(editor: Editor, updates: int, seed: int) -> FrameModel:
    """The preset `small` after so many updates on one editor's film: streams in their order, the state carried."""
    return learn(film(editor), updates, seed)


def learn(seen: Film, updates: int, seed: int) -> FrameModel:
    """The same of some film."""
    settings = FitConfig.model_validate({"preset": "small", "seed": seed})
    torch.manual_seed(seed)
    learner = Learner(FrameModel(preset("small", *seen.reader.geometry)), settings, torch.device("cpu"))
    batches = CarriedBatches(seen.reader, seen.train, LANES, LENGTH, seed, settings.reset)
    for _ in updated(learner, batches.batch, updates):
        continue
    return learner.model.eval()


def measure(config: EditorConfig) -> LawResult:
    """Measure one cell. Raises GitreelError."""
    torch.set_num_threads(1)
    seen = film(config.editor)
    began = time.process_time()
    if config.predictor == "counts":
        losses = counted_losses(seen.counts, seen.reader, seen.tests, [config.steps])[config.steps]
    else:
        model = learned(config.editor, config.updates, config.seed)
        model.memory_steps = config.steps
        losses = [track.losses_T for track in follow(model, seen.reader, seen.tests)]
    repos = [repository_of(seen.reader.streams[part.stream].repo_id) for part in seen.tests]
    return LawResult(
        nats=float(np.concatenate(losses).mean(dtype=np.float64)),
        by_repo={repo: float(loss_T.mean(dtype=np.float64)) for repo, loss_T in zip(repos, losses, strict=True)},
        keys=sum(len(loss_T) for loss_T in losses),
        cpu_seconds=round(time.process_time() - began, 1),
    )
