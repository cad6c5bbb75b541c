"""Frames a second of whole updates of training.fit's presets, for benchmarks.training."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch

from training.loop.config import FitConfig
from training.loop.data import open_data
from training.loop.distributed import Process
from training.loop.learner import Learner
from training.model.config import READER, preset
from training.model.frame_model import FrameModel

PUBLISHED = "published_small, 4 windows of 64"
ALONE = Process(torch.device("cpu"), 0, 1)


def side_by_side(works: dict[str, Callable[[], int]], seconds: float, rounds: int = 8) -> dict[str, float]:
    """Frames a processor second of each, by turns: a shared machine's better and worse moments meet them alike."""
    frames, spent = dict.fromkeys(works, 0), dict.fromkeys(works, 0.0)
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            start = time.process_time()
            while (taken := time.process_time() - start) < seconds / rounds:
                frames[name] += work()
            spent[name] += taken
    return {name: frames[name] / spent[name] for name in works}


def learners(root: Path, quick: bool) -> dict[str, float]:
    """Frames a processor second of whole updates, the loader and the optimizer included, as training.fit makes them.

    The preset `small` beside the one that it took the place of, and with the published head in its own head's place.
    """
    ways: dict[str, dict[str, object]] = {
        "small": {"preset": "small"},
        "small, no memory": {"preset": "small", "model": {"memory": 0}},
        "small, no memory, the published head": {
            "preset": "small",
            "model": {"memory": 0, "head": "published", **READER},
        },
        PUBLISHED: {"preset": "published_small"},
    }

    def fitted(settings: dict[str, object]) -> Callable[[], int]:
        config = FitConfig.model_validate({"shards": str(root), **({"batch": 4} if quick else {}), **settings})
        assert config.preset is not None
        data = open_data(config, ALONE)
        torch.manual_seed(0)
        learner = Learner(
            FrameModel(preset(config.preset, *data.reader.geometry, **config.model)), config, ALONE.device
        )
        updates = itertools.count()

        def work() -> int:
            update = next(updates)
            learner.freeze_head(update % 20 < round(20 * config.frozen_share))
            batch = data.batch(update)
            learner.update(batch, 1.0)
            return batch.actions_BT.numel()

        return work

    return side_by_side({name: fitted(way) for name, way in ways.items()}, 3.0 if quick else 60.0, 1 if quick else 4)
