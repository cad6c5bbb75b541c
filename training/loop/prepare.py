"""Everything before the first update: ranks, film, models, what fits the minutes; nothing is written yet."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from schema.errors import ConfigError
from schema.folders import real_folder
from training.data.batches import collate, make_batch
from training.loop.config import FitConfig, saved_settings
from training.loop.data import RunData, open_data
from training.loop.distributed import Process, from_first, has_bf16, join_ranks
from training.loop.folder import TOKENIZER, new_run_folder
from training.loop.held_out import validate
from training.loop.learner import Learner
from training.loop.plan import (
    UPDATES,
    Cost,
    affordable_validations,
    check_memory,
    check_time,
    keep_freed_memory,
    model_configs,
    planned_updates,
    probe,
    processors,
)
from training.loop.resume import restore, resume_point
from training.loop.start import begin, read_start, with_start
from training.model.frame_head import FrameHead
from training.model.frame_model import FrameModel

NOT_MEASURED = Cost(math.nan, math.nan)


@dataclass(frozen=True)
class Prepared:
    """A run that can begin, or go on."""

    asked: FitConfig  # as the command line and the file said
    config: FitConfig  # with everything chosen
    process: Process
    folder: Path  # where it writes
    data: RunData
    learners: dict[str, Learner]  # by name, the main model first
    cost: Cost
    done: int  # updates made before this process began
    best: float  # lowest held-out loss so far, nats a step
    started: float  # time.monotonic() of this process's begin


class _Choice(NamedTuple):
    preset: str
    steps: int
    evaluations: int
    learners: dict[str, Learner]
    cost: Cost


def prepare(asked: FitConfig) -> Prepared:
    """Open, plan and restore. Raises GitreelError.

    A folder that is not named is made last, when nothing can be refused any more.
    """
    started = time.monotonic()
    process = join_ranks(asked.device)
    if asked.batch % process.world:
        raise ConfigError(
            f"batch {asked.batch} does not divide by {process.world} ranks; "
            f"use --batch {asked.batch // process.world * process.world or process.world}"
        )
    keep_freed_memory()
    torch.set_num_threads(asked.threads or max(1, processors() // process.world))
    named = None if asked.run is None else real_folder(Path(asked.run))
    saved = None if named is None or asked.overwrite else resume_point(asked, named, process)
    if named is None or saved is None:
        start = None if asked.init is None else read_start(asked.init)
        settings = _settled(asked if start is None else with_start(asked, start), process)
        data = open_data(settings, process)
        choice, done, best = _choose(settings, data, started, start), 0, math.inf
    else:
        settings = _settled(saved_settings(saved["config"], named), process)
        data = open_data(settings, process, named / TOKENIZER)
        assert settings.preset is not None
        assert settings.steps is not None
        learners = _build(settings, settings.preset, data)
        restore(saved, learners, data.identity, named)
        choice = _Choice(settings.preset, settings.steps, settings.evaluations, learners, NOT_MEASURED)
        done, best = saved["step"], saved["best"]
    folder = named or from_first(new_run_folder() if process.rank == 0 else Path())
    chosen = {
        "window": data.window, "preset": choice.preset, "steps": choice.steps, "evaluations": choice.evaluations,
        "run": str(folder),
    }  # fmt: skip
    config = settings.model_copy(update=chosen)
    return Prepared(asked, config, process, folder, data, choice.learners, choice.cost, done, best, started)


def _settled(config: FitConfig, process: Process) -> FitConfig:
    """The settings, bfloat16 as the device has it where they leave that open."""
    return config if config.bf16 is not None else config.model_copy(update={"bf16": has_bf16(process.device)})


def _build(config: FitConfig, preset: str, data: RunData, start: FrameModel | None = None) -> dict[str, Learner]:
    """The models with the weights that the seed gives, the main one with those of `start`. Raises ConfigError."""
    device, world = data.process.device, data.process.world
    learners = {}
    for name, model_config in model_configs(config, preset, data.reader.geometry, data.vocabulary).items():
        check_memory(model_config, config, data.window, device, world)
        torch.manual_seed(config.seed)
        model = FrameModel(model_config)
        if config.centre and isinstance(model.frame_head, FrameHead):
            batch = make_batch(data.reader, data.sampler, 8, 1 << 30)  # no training step's windows
            model.frame_head.centre(batch.cells_BTRC[:, :: max(1, data.window // 4)])
        if start is not None and name == config.backbone:
            begin(model, start, str(config.init))
        learners[name] = Learner(model, config, device)
    return learners


def _choose(config: FitConfig, data: RunData, started: float, start: FrameModel | None) -> _Choice:
    """Preset and number of updates, by a short probe where the settings leave them open."""
    name = config.preset or "small"
    learners = _build(config, name, data, start)
    cost = NOT_MEASURED
    if config.steps is None:
        some = data.reader.window(*data.sampler.place(0), min(16, data.window))
        check_time(learners, collate([some]), config, data.window, data.process.world)
    if config.steps is None or config.preset is None:
        spent = time.monotonic() - started
        cost = _measure(learners, data, config)
        evaluations = affordable_validations(config.evaluations, config.minutes, cost)
        if config.preset is None and planned_updates(config.minutes, spent, cost, evaluations) < UPDATES:
            name, learners = "tiny", _build(config, "tiny", data)
            cost = _measure(learners, data, config)
    evaluations = config.evaluations
    if config.steps is None:
        evaluations = affordable_validations(evaluations, config.minutes, cost)
    spent = time.monotonic() - started
    steps = config.steps or planned_updates(config.minutes, spent, cost, evaluations)
    steps, evaluations = from_first((steps, evaluations))
    return _Choice(name, steps, evaluations, learners, cost)


def _measure(learners: dict[str, Learner], data: RunData, config: FitConfig) -> Cost:
    return probe(learners, data.batch, lambda learner: validate(learner, data.held_out), config.frozen_share)
