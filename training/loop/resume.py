"""How a run goes on: the checkpoint that fits it, what is restored from it, and what is saved for the next time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schema.errors import ConfigError, CorruptError
from training.loop.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from training.loop.config import FitConfig, course_is_flat, saved_settings
from training.loop.distributed import Process
from training.loop.folder import CHECKPOINTS
from training.loop.learner import Learner
from training.model.weights import check_weights

MAY_DIFFER = ("run", "threads", "overwrite")  # settings that change no update


def resume_point(asked: FitConfig, folder: Path, process: Process) -> dict[str, Any] | None:
    """The newest whole checkpoint of an unfinished run with the same settings; None where there is no checkpoint.

    Raises ConfigError for another run's, CorruptError where none is whole.
    """
    found = checkpoints(folder / CHECKPOINTS)
    for path in reversed(found):
        try:
            state = load_checkpoint(path)
        except CorruptError as error:
            process.say(f"{error}")
            continue
        saved_settings(state["config"], folder)
        return _continued(state, asked, folder, process)
    if found:
        raise CorruptError(f"{folder}/{CHECKPOINTS}: no whole checkpoint; start anew with --overwrite")
    return None


def _continued(state: dict[str, Any], asked: FitConfig, folder: Path, process: Process) -> dict[str, Any]:
    """The checkpoint, as what was asked goes on with it. Raises ConfigError where that is another run."""
    ours, theirs = asked.model_dump(), state["asked"]
    other = [key for key in ours if ours[key] != theirs.get(key) and key not in MAY_DIFFER]
    other += [key for key in ("world",) if state["world"] != process.world]
    if not other:
        return state
    if other == ["steps"] and asked.steps and theirs["steps"] and course_is_flat(state["config"]):
        if asked.steps < state["step"]:
            raise ConfigError(f"{folder} holds {state['step']} updates already; give more --steps, or --overwrite")
        return {**state, "config": {**state["config"], "steps": asked.steps}}
    length = "the learning rate falls towards a run's end, so that a longer run is another one; "
    raise ConfigError(
        f"{folder} holds a run with another {', '.join(other)}; "
        f"{length if {'steps', 'minutes'} & {*other} else ''}give this one its own --run FOLDER, or --overwrite"
    )


def restore(saved: Mapping[str, Any], learners: Mapping[str, Learner], film: list[list[Any]], folder: Path) -> None:
    """Give the learners what a checkpoint holds.

    `film`: as `RunData.identity`. Raises ConfigError where the checkpoint is another film's or model's.
    """
    if saved["film"] != film:
        shards = saved["config"]["shards"]
        raise ConfigError(f"{shards}: the film has changed since {folder} began; use --overwrite")
    for name, learner in learners.items():
        state = saved["models"].get(name)
        if state is None:
            raise ConfigError(f"{folder}: its checkpoint holds no {name}; start anew with --overwrite")
        check_weights(learner.model, state["model"], f"{folder}/{CHECKPOINTS}")
        try:
            learner.restore(state)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{folder}/{CHECKPOINTS}: the optimizer's state of {name} is another model's ({error}); "
                "start anew with --overwrite"
            ) from error


def save(
    asked: FitConfig, config: FitConfig, learners: Mapping[str, Learner], film: list[list[Any]], process: Process,
    folder: Path, done: int, best: float,
) -> None:  # fmt: skip
    """Write the checkpoint of `done` updates, by rank 0. Every rank has to call it: the carried state is gathered."""
    models = {name: learner.state() for name, learner in learners.items()}
    if process.rank:
        return
    state = {
        "asked": asked.model_dump(),
        "config": config.model_dump(),
        "film": film,
        "world": process.world,
        "best": best,
        "models": models,
    }
    save_checkpoint(folder / CHECKPOINTS, done, state, config.keep)
