"""Decides what fits the machine and the minutes, before anything is trained."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from schema.errors import ConfigError
from schema.geometry import Geometry
from training.data.batches import Batch
from training.loop.config import FitConfig
from training.loop.learner import Learner
from training.model.config import ModelConfig, preset
from training.model.counts import parameter_counts
from training.model.frame_model import FrameModel

UPDATES = 300  # fewer than these teach little: a smaller preset is chosen
RESERVE = 0.12  # fraction of the minutes kept for validations, checkpoints and the picture
VALIDATING = 0.1  # fraction of the minutes that validations may take


class Cost(NamedTuple):
    """Seconds measured by the probe."""

    update: float  # one update of every model
    validation: float  # one validation of every model


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory(device: torch.device) -> int:
    """Bytes that are free for us."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        limit = Path("/sys/fs/cgroup/memory.max")
        used = Path("/sys/fs/cgroup/memory.current")
        if limit.exists() and limit.read_text().strip() != "max":
            free = min(free, int(limit.read_text()) - int(used.read_text()))
        return free
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 33


def keep_freed_memory() -> None:
    """Keep freed memory in the process: large blocks that come and go every step cost more in page faults than sums."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, its largest
            mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


def memory_needed(model: ModelConfig, config: FitConfig, window: int, world: int) -> int:
    """Bytes of one training step: weights, gradients and two moments in fp32, and activations of the plain form."""
    with torch.device("meta"):
        total = parameter_counts(FrameModel(model))["total"]
    steps = window if config.mode == "full" else min(window, config.chunk)
    frames = steps * max(1, config.batch // config.accumulate // world)
    logits = 4 * frames * model.vocabulary * 3
    if model.head != "published":
        entries = 12 * (model.memory + steps) if model.memory else 0  # numbers of attention kept for the way back
        lanes = 4 * config.batch // world * model.memory * (model.memory_width + 1) * 3
        return int(16 * total + 4 * frames * (30 * model.width + 2500 + entries) + lanes + logits)
    cells = model.rows * model.cols * (4 if model.downsample == "dilated" else 6)
    attention = model.tokens * 14 * model.attention_layers
    share = 0.25 if config.reuse else 1.0  # measured: reuse holds a quarter or less of the plain form's activations
    activations = frames * model.width * (cells * 1.34 + attention) * 4 * share
    return int(16 * total + activations + logits)


def check_memory(model: ModelConfig, config: FitConfig, window: int, device: torch.device, world: int) -> None:
    """Raise ConfigError when a step cannot fit."""
    need, free = memory_needed(model, config, window, world), free_memory(device)
    if need > free:
        raise ConfigError(
            f"width {model.width} at {model.rows}x{model.cols} needs about {need / 1e9:.1f} GB for windows of "
            f"{window} steps, {free / 1e9:.1f} GB are free; use --preset small, a smaller --batch, "
            "or --mode stream --chunk 16"
        )


def model_configs(config: FitConfig, name: str, geometry: Geometry, vocabulary: int) -> dict[str, ModelConfig]:
    """The main model by its backbone's name; beside it frame_only and, where it reads keys, keys_only.

    Raises ConfigError.
    """
    defaults = {"lstm": 1, "frame_only": 1, "transformer": 2, "mamba2": 2, "mingru": 2}

    def build(backbone: str, layers: int, **settings: Any) -> ModelConfig:
        settings = {**config.model, **settings}
        return preset(name, *geometry, backbone=backbone, backbone_layers=layers, vocabulary=vocabulary, **settings)

    configs = {config.backbone: build(config.backbone, config.backbone_layers or defaults.get(config.backbone, 1))}
    if config.baseline and config.backbone != "frame_only" and configs[config.backbone].head != "none":
        configs["frame_only"] = build("frame_only", 1, memory=0, previous_key=False)  # the frame, and nothing else
        if configs[config.backbone].previous_key:
            configs["keys_only"] = build("lstm", 1, head="none", guesses=0, memory=0)  # the keys, and nothing else
    return configs


def probe(
    learners: dict[str, Learner],
    batch: Callable[[int], Batch],
    validate: Callable[[Learner], object],
    frozen_share: float = 0.0,
    repeats: int = 3,
) -> Cost:
    """Measure one update (median of `repeats`, after one to warm up) and one validation; no weight moves.

    `frozen_share` of the updates will leave the frame head as it is, and cost less.
    """

    def seconds(frozen: bool) -> float:
        times = []
        for number in range(repeats + 1):
            windows = batch(number)
            start = time.perf_counter()
            for learner in learners.values():
                learner.freeze_head(frozen)
                learner.gradients(windows)
            if any(learner.device.type == "cuda" for learner in learners.values()):
                torch.cuda.synchronize()  # kernels are only queued until then
            times.append(time.perf_counter() - start)
        return sorted(times[1:])[(repeats - 1) // 2]

    update = sum(
        share * seconds(frozen) for frozen, share in ((True, frozen_share), (False, 1 - frozen_share)) if share
    )
    start = time.perf_counter()
    for learner in learners.values():
        validate(learner)
    return Cost(1.05 * update, time.perf_counter() - start)


def check_time(learners: dict[str, Learner], some: Batch, config: FitConfig, window: int, world: int) -> None:
    """Raise ConfigError when one update would outlast the minutes, judged by `some` steps of one window.

    Without this the probe itself would take that long before a word is said.
    """
    for _ in range(2):  # the first loads libraries
        start = time.perf_counter()
        for learner in learners.values():
            learner.gradients(some)
        taken = time.perf_counter() - start
    update = taken * config.batch / world * window / some.actions_BT.shape[1]
    if update > 60 * config.minutes:
        minutes = f"{update / 60:,.0f}" if update > 600 else f"{update / 60:.2g}"
        raise ConfigError(
            f"an update of {config.batch} x {window} steps takes up to {minutes} minutes here, of "
            f"{config.minutes:g} for the run; use --batch 4 --window 64, --preset small, or say how many updates "
            "to make however long they take: --steps 10"
        )


def fewer_updates(done: int, steps: int, left: float, each: float) -> int:
    """`steps`, or what `left` seconds allow at `each` an update where that is a sixth less; not below UPDATES.

    A run that ends on time but untrained is of no use, so it may take longer, and says so.
    """
    possible = done + max(1, int(left / each))
    return steps if possible > done + (steps - done) / 1.2 else max(possible, min(steps, UPDATES))


def affordable_validations(evaluations: int, minutes: float, cost: Cost) -> int:
    """At most `evaluations`, and as many as take VALIDATING of the minutes with the one before the first update."""
    return (
        max(1, min(evaluations, int(60 * minutes * VALIDATING / cost.validation) - 1))
        if cost.validation
        else evaluations
    )


def planned_updates(minutes: float, spent: float, cost: Cost, evaluations: int) -> int:
    """Updates that the minutes allow, `spent` seconds having gone."""
    seconds = 60 * minutes * (1 - RESERVE) - spent - (evaluations + 1) * cost.validation
    return max(10, int(seconds / cost.update))
