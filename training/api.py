"""The trainer from Python: film as tensors, and finished runs.

    from training import load_run, windows

    for cells_TRC, action_T in windows("warehouse", length=64):  # every window of the film to learn
        ...
    run = load_run("runs/latest")
    logits_TV = run.predict(cells_TRC, action_T)  # of the key pressed at each screen
    print(run.evaluate()["models"]["lstm"]["loss"])  # nats a step, on held-out film

Dimensions: B windows, T steps, R rows, C columns, V actions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from training.analysis.evaluate import evaluate
from training.analysis.runs import load_runs, open_film
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel
from training.model.gradients import previous_keys

Split = Literal["train", "validation", "test"]


def windows(
    shards: str | Path = "warehouse",
    length: int = 64,
    *,
    split: Split = "train",
    repos: Sequence[str] = (),
    max_code_point: int = 256,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every window of a split, one behind the other in each stream: (cells_TRC, action_T).

    cells_TRC: cell ids [length, rows, columns] (training.model.frame_head says what they mean), int16, or int32 where
    code points past 4,095 are kept. action_T: the byte pressed at each screen, int64. `length` is in steps; what is
    left over at a stream's end is not given. `repos`: these repositories alone.

    Raises ConfigError (no film), WarehouseError (no such folder), CorruptError, SchemaVersionError.
    """
    reader = FilmReader(Warehouse(shards, repos), max_code_point)
    for segment in reader.segments(length)[0][split]:
        for start in range(segment.start, segment.stop - length + 1, length):
            window = reader.window(segment.stream, start, length)
            yield torch.from_numpy(window.cells_TRC), torch.from_numpy(window.action_T)


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
    def predict(self, cells_TRC: Tensor, action_T: Tensor) -> Tensor:
        """Logits [T, V] of the key pressed at each screen, from the screens up to it and the keys before it.

        For longer film, and for the state after it, call `model` itself (training.model.frame_model).
        """
        previous_BT = previous_keys(action_T[None], self.model.vocabulary)
        logits_BTV: Tensor = self.model(cells_TRC[None], previous_BT)[0]
        return logits_BTV[0]

    def evaluate(
        self,
        shards: str | Path | None = None,
        *,
        split: Split = "validation",
        window: int | None = None,
        count: int = 64,
    ) -> dict[str, Any]:
        """Every table of `python -m training.evaluate`, on `count` windows of `window` steps of held-out film.

        The film and the window are by default those of training. Raises ConfigError, WarehouseError, CorruptError.
        """
        reader = open_film(self.models, str(shards or self.settings["shards"]), self.settings["repo"])
        trained = int(self.settings["window"])
        return evaluate(self.models, reader, split, window or trained, count, trained)


def load_run(folder: str | Path) -> FittedRun:
    """A finished run's last weights. Raises ConfigError (not there, of another version), CorruptError."""
    models, settings = load_runs([Path(folder)])
    return FittedRun(Path(folder), models, settings)
