"""The trainer from Python: film as tensors, and finished runs.

    from training import evaluate, load_run, windows

    for batch in windows("warehouse", length=64, batch=4, limit=10):
        batch.cells_BTRC, batch.actions_BT
    run = load_run("runs/latest")
    logits_BTV = run.predict(batch)  # of the key pressed at each screen
    evaluate(run, "warehouse")  # {"lstm": 1.71, "frame_only": 2.93, ...}: nats a key, held-out windows, cold

Dimensions: B windows, T steps, R rows, C columns, V actions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from schema.editors import Editor
from schema.errors import ConfigError
from schema.folders import real_folder
from training.analysis.evaluate import evaluate as evaluate_models
from training.analysis.runs import LATEST, load_runs, open_film
from training.data.batches import Batch, collate, consecutive_places
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel
from training.model.gradients import previous_keys

__all__ = ["Batch", "FittedRun", "Split", "evaluate", "load_run", "windows"]

Split = Literal["train", "validation", "test"]


def windows(
    shards: str | Path = "warehouse",
    length: int = 64,
    *,
    batch: int = 1,
    limit: int | None = None,
    split: Split = "train",
    repos: Sequence[str] = (),
    editor: Editor | None = None,
    max_code_point: int = 256,
) -> Iterator[Batch]:
    """The windows of a split, one behind the other in each stream, `batch` at a time: at most `limit` batches.

    Of each batch, cells_BTRC: cell ids (training.model.frame_head says what they mean), int16, or int32 where code
    points past 4,095 are kept; actions_BT: the byte pressed at each screen, int64; phases_BT: what kind of key it is
    (schema.actions.Phase), uint8; step: the batch's number, from 0. `length` is in steps; what is left over at a
    stream's end is not given, and the last batch may hold fewer windows. `repos`: these repositories alone; `editor`:
    film in this editor alone.

    Raises ConfigError (no film, no stream of that length, no such split), WarehouseError (no such folder),
    CorruptError, SchemaVersionError.
    """
    for name, number in (("length", length), ("batch", batch), ("limit", limit)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} {number}: at least 1")
    if split not in get_args(Split):
        raise ConfigError(f"split {split!r}: there are {', '.join(get_args(Split))}")
    reader = FilmReader(Warehouse(shards, repos, editor), max_code_point)
    places = consecutive_places(reader, split, length)
    return islice(_batches(reader, places, length, batch), limit)


def _batches(reader: FilmReader, places: Iterator[tuple[int, int]], length: int, batch: int) -> Iterator[Batch]:
    for number in count():
        some = list(islice(places, batch))
        if not some:
            return
        yield collate([reader.window(*place, length) for place in some], number)


@dataclass(frozen=True)
class FittedRun:
    """A finished run: its models by name, ready to predict, and the settings that they were fitted with."""

    folder: Path
    models: dict[str, FrameModel]
    settings: dict[str, Any]

    @property
    def model(self) -> FrameModel:
        """The model that was asked for, not its baseline."""
        return self.models[str(self.settings["backbone"])]

    @torch.no_grad()
    def predict(self, batch: Batch) -> Tensor:
        """Logits [B, T, V] of the key pressed at each screen, from the screens up to it and the keys before it.

        For the state after the batch, and to go on from one, call `model` itself (training.model.frame_model).
        """
        previous_BT = batch.previous_BT
        if previous_BT is None:
            previous_BT = previous_keys(batch.actions_BT, self.model.vocabulary)
        logits_BTV: Tensor = self.model(batch.cells_BTRC, previous_BT)[0]
        return logits_BTV

    def tables(
        self,
        shards: str | Path | None = None,
        *,
        split: Split = "validation",
        window: int | None = None,
        count: int = 64,
        editor: Editor | None = None,
    ) -> dict[str, Any]:
        """Every table of `python -m training.evaluate`, on `count` windows of `window` steps of held-out film.

        The film, its editor and the window are by default those of training.
        Raises ConfigError, WarehouseError, CorruptError.
        """
        editor = editor or self.settings.get("editor")
        reader = open_film(self.models, str(shards or self.settings["shards"]), self.settings["repo"], editor)
        trained = int(self.settings["window"])
        return evaluate_models(self.models, reader, split, window or trained, count, trained)


def evaluate(
    run: FittedRun,
    shards: str | Path | None = None,
    *,
    split: Split = "validation",
    window: int | None = None,
    count: int = 64,
    editor: Editor | None = None,
) -> dict[str, float]:
    """The mean loss of each model of a run, nats a key, on held-out film: {"lstm": 1.71, "frame_only": 2.93, ...}.

    Every window is read from a cold start, so that a model with a state or a memory does worse than along a stream,
    which is how `training.fit` judges it and `python -m training.evaluate` does, too.
    Arguments, errors and the losses by place, phase and lag: FittedRun.tables.
    """
    found = run.tables(shards, split=split, window=window, count=count, editor=editor)
    return {name: model["loss"] for name, model in found["models"].items()}


def load_run(folder: str | Path = LATEST) -> FittedRun:
    """A finished run's last weights. Raises ConfigError (not there, of another version), CorruptError."""
    models, settings = load_runs([Path(folder)])
    return FittedRun(real_folder(Path(folder)), models, settings)
