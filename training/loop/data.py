"""What a run learns from and is judged on: film cut into windows, the splits, the tokenizer, the held-out windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schema.errors import ConfigError
from training.analysis.metrics import unigram_loss
from training.data.batches import Batch, Loader, Prefetcher, Sampler, make_batch
from training.data.carried import CarriedBatches
from training.data.splits import Segment, Segments, share
from training.data.tokenizer import Tokenizer
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.config import FitConfig
from training.loop.distributed import Process, from_first
from training.loop.held_out import HeldOut, open_held_out

COUNTED_STEPS = 1 << 20  # of the keys to learn: the unigram frequencies and the tokenizer


@dataclass(frozen=True)
class RunData:
    """The film of one run, opened; every rank holds the same, and `batch` gives it its own share."""

    warehouse: Warehouse
    reader: FilmReader
    vocabulary: int  # actions: 256 bytes, or tokens
    window: int  # steps
    segments: Mapping[str, Sequence[Segment]]  # by split: train, validation, test
    split_words: str
    sampler: Sampler  # of whole windows
    carried: CarriedBatches | None  # where streams are read side by side, their state carried on
    held_out: HeldOut
    unigram: float  # nats a step on the held-out windows, by how often a key occurs in training
    batch_size: int  # windows an update, over all ranks
    process: Process

    def batch(self, update: int) -> Batch:
        """This rank's share of an update's film."""
        if self.carried:
            return self.carried.batch(update)
        rank, world = self.process.rank, self.process.world
        return make_batch(self.reader, self.sampler, self.batch_size, update, rank, world)

    def loader(self, samplers: Sequence[Sampler], length_warmup: float, done: int, updates: int) -> Prefetcher:
        """Batches from update `done` on, prepared in threads; carried ones by one, since lanes go on in order.

        Over the first `length_warmup` of the `updates` the windows are those of `samplers`, one after the other.
        """
        if self.carried:
            return Prefetcher(self.carried.batch, done, threads=1)

        def sampler(update: int) -> Sampler:
            if not length_warmup:
                return samplers[-1]
            progress = update / max(1.0, length_warmup * updates)
            return samplers[min(len(samplers) - 1, int((len(samplers) - 1) * progress))]

        return Loader(self.reader, sampler, self.batch_size, done, self.process.rank, self.process.world)

    @property
    def identity(self) -> list[list[Any]]:
        """What is different for another film: the streams and their steps."""
        return [[stream.repo_id, stream.steps] for stream in self.reader.streams]

    def samplers(self, seed: int) -> list[Sampler]:
        """Samplers of growing windows: a quarter, a half, the whole."""
        return [Sampler(self.segments["train"], max(2, self.window // part), seed) for part in (4, 2, 1)]


def open_data(config: FitConfig, process: Process, saved_tokenizer: Path | None = None) -> RunData:
    """Open the film that `config` names.

    `saved_tokenizer`: a resumed run's own. Raises ConfigError where there is too little film, and what reading a
    warehouse raises.
    """
    warehouse = Warehouse(config.shards, config.repo, config.editor)
    points, cache = int(config.model.get("max_code_point", 256)), config.cache_megabytes << 20
    reader = FilmReader(warehouse, points, cache)
    if config.tokens:
        tokenizer = Tokenizer.load(saved_tokenizer) if saved_tokenizer else _fit_tokenizer(reader, config, process)
        reader = FilmReader(warehouse, points, cache, tokenizer)
    vocabulary = len(reader.tokenizer) if reader.tokenizer else 256
    window = _window(reader, config)
    segments, split_words = reader.segments(window)
    held_out = open_held_out(reader, segments["validation"], window, config.carried, config.validation_windows)
    train_keys = np.concatenate([reader.actions(segment) for segment in share(segments["train"], COUNTED_STEPS)])
    carried = None
    if config.carried:
        carried = CarriedBatches(
            reader, segments["train"], config.batch, window, config.seed, config.reset,
            process.rank, process.world, vocabulary,
        )  # fmt: skip
    return RunData(
        warehouse,
        reader,
        vocabulary,
        window,
        segments,
        split_words,
        Sampler(segments["train"], window, config.seed),
        carried,
        held_out,
        unigram_loss(train_keys, held_out.keys(), vocabulary),
        config.batch,
        process,
    )


def choose_window(config: FitConfig, shortest_split: int) -> int:
    """Steps of a window: 64, carried 32; fewer where a split's longest segment is shorter than four of them."""
    if config.window is not None:
        return config.window
    most = 32 if config.carried else 64
    return max(16, min(most, 1 << max(0, (shortest_split // 4)).bit_length() - 1)) if shortest_split >= 64 else 16


def longest_segments(segments: Mapping[str, Sequence[Segment]]) -> tuple[int, int]:
    """Steps of the longest segment to learn and of the longest held-out one."""
    train, validation = (Segments.of(segments[name]).steps.max(initial=0) for name in ("train", "validation"))
    return int(train), int(validation)


def _window(reader: FilmReader, config: FitConfig) -> int:
    """Steps of a window: as asked, or what suits the film. Raises ConfigError where no stream is that long."""
    longest = longest_segments(reader.segments(2)[0])
    window = fitting = choose_window(config, min(longest))
    while fitting > 1 and min(longest_segments(reader.segments(fitting)[0])) < fitting:
        fitting //= 2
    if fitting < 2 or (fitting < window and config.window is not None):
        raise ConfigError(
            f"window of {window} steps, but the longest stream to learn has {longest[0]} and the longest held-out "
            f"one {longest[1]}; {f'use --window {fitting}, or ' if fitting > 1 else ''}harvest more commits"
        )
    return fitting


def _fit_tokenizer(reader: FilmReader, config: FitConfig, process: Process) -> Tokenizer:
    """A tokenizer fitted on the keys to learn, by rank 0 for all."""
    tokens: tuple[bytes, ...] = ()
    if process.rank == 0:
        segments, _ = reader.segments(config.window or 128)
        keys = (
            reader.actions(segment).astype(np.uint8).tobytes() for segment in share(segments["train"], COUNTED_STEPS)
        )
        tokens = Tokenizer.fit(keys, config.tokens).tokens
    return Tokenizer(from_first(tokens))
