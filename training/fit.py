"""Fits the recurrent frame model to a warehouse's film.

    python -m training.fit --shards warehouse/                 # about ten minutes, everything chosen for the machine
    torchrun --nproc-per-node 2 -m training.fit --shards warehouse/ --steps 500 --folder runs/two
    python -m training.fit --config run.toml --preset small --minutes 2 --set model.reduce=mean
    python -m training.fit --resume runs/2026-11-25T22-31-05   # go on with an interrupted run

Without a preset, and with tiny, small and medium, the model reads at the cursor, copies from the screen, knows the key
that it pressed and remembers its own past (training.model.frame_model); streams are read side by side in their order,
the state carried from update to update (`--carried`, training.data.carried). Presets published_tiny, published_small
and paper are the published architecture on random windows.

Trains the model and, on the same batches for as many updates, one that sees the frame alone (frame-only) and one that
sees the keys alone (keys-only); counts of the same keys stand beside all. `--init` starts the model from trained
weights. Each run has a folder of its own, runs/DATE unless `--run` names one; runs/latest is a link to the last one
that was not named. In it: config.json, plan.txt, log.jsonl, tensorboard/, checkpoints/, best.safetensors, samples.txt,
loss.png, summary.json.

`--resume FOLDER` goes on from the folder's last checkpoint with the settings that its run was begun with; so does the
same command again where it names its folder. A run of `--steps` that was killed ends in the same weights as an
undisturbed one (bit for bit with `--threads 1`). More `--steps` go on with it too where the learning rate is constant
(`--warmup 0 --decay 0 --freeze-head 0`, as the paper preset has it).
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from schema.errors import ConfigError, GitreelError
from schema.output import clear_output
from training.loop.config import LEARNER, PUBLISHED, FitConfig, reason
from training.loop.distributed import reports_first
from training.loop.folder import resumed_settings
from training.loop.run import fit

MAY_CHANGE = ("steps", "threads")  # what a run may go on with another value of


def parse(arguments: Sequence[str] | None = None, program: str = "training.fit") -> FitConfig:
    """Command line -> FitConfig; flags win over --config's file. Raises ConfigError."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        usage="%(prog)s [--shards WAREHOUSE] [--run FOLDER | --resume FOLDER] [--minutes M | --steps N] ...; "
        "--help lists every setting",
        description="Fit the recurrent frame model to a warehouse of film. Without flags: about ten minutes.",
        epilog="--preset paper trains as published; unless given, it sets "
        + ", ".join(f"{name} {value}" for name, value in PUBLISHED.items())
        + "; no preset, tiny, small and medium set "
        + ", ".join(f"{name} {value}" for name, value in LEARNER.items()),
    )
    parser.add_argument("--config", type=Path, help="TOML or JSON file of the same settings")
    parser.add_argument("--set", action="append", default=[], metavar="model.KEY=VALUE", help="a model setting")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with an interrupted run, as it was begun")
    for name, field in FitConfig.model_fields.items():
        if name == "model":
            continue
        flag = "--" + name.replace("_", "-")
        if name == "run":  # torchrun takes --run for one of its own flags
            parser.add_argument(flag, "--folder", default=None, metavar="FOLDER", help=field.description)
            continue
        if name == "repo":
            parser.add_argument(flag, action="append", default=None, metavar="OWNER/NAME", help=field.description)
        elif field.annotation in (bool, bool | None):
            usual = {True: "on", False: "off", None: "auto"}[field.default]
            words = f"{field.description} [{usual}]"
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=words)
        else:
            parser.add_argument(flag, default=None, help=f"{field.description} [{field.default}]")
    given = vars(parser.parse_args(arguments))
    path, overrides, resumed = given.pop("config"), given.pop("set"), given.pop("resume")
    settings: dict[str, Any] = _file(path) if path else {}
    if resumed:
        said = [name for name, value in given.items() if value is not None and name not in MAY_CHANGE]
        if said or path or overrides:
            raise ConfigError(
                f"--resume {resumed} goes on with that run's own settings; beside it only "
                f"{' and '.join('--' + name for name in MAY_CHANGE)} can be given"
            )
        settings = resumed_settings(resumed)
    settings.update({name: value for name, value in given.items() if value is not None})
    model = settings.get("model", {})
    if not isinstance(model, dict):
        raise ConfigError(f"{path}: model: a table of model settings is needed")
    changes: dict[str, str] = {}
    for item in overrides:
        key, _, value = item.partition("=")
        if key == "model." or not key.startswith("model.") or not value:
            raise ConfigError(f"--set {item}: write model.KEY=VALUE, for example model.reduce=mean")
        if (first := changes.setdefault(key.removeprefix("model."), value)) != value:
            raise ConfigError(f"--set {item} and --set {key}={first} disagree; give only one of them")
    try:
        return FitConfig.model_validate({**settings, "model": {**model, **changes}})
    except ValidationError as error:
        raise ConfigError(f"{path or resumed or 'command line'}: {reason(error)}") from error


def _file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        loaded = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable TOML or JSON file ({error})") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a table of settings is needed")
    return loaded


def _refuse(words: str) -> int:
    if reports_first():
        print(f"gitreel: {words}", file=sys.stderr, flush=True)
    return 2


@clear_output
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error, 130 when interrupted. Of several ranks, one says why."""
    try:
        fit(parse(arguments))
    except GitreelError as error:
        return _refuse(str(error))
    except OSError as error:  # the run's folder: not writable, no folder, full
        where = error.filename or "the run's folder"
        return _refuse(f"{where}: {error.strerror or error}; use another --run folder")
    except torch.OutOfMemoryError:
        return _refuse("the GPU's memory is full; use a smaller --batch or --mode stream --chunk 16")
    except KeyboardInterrupt as stop:
        if reports_first():
            print(f"\ninterrupted; {str(stop) or 'nothing was written yet'}", file=sys.stderr)
        return 130
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
