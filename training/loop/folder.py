"""The folder of a run: a new one unless one is named, and the settings of a run that is to go on."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from schema.errors import ConfigError
from schema.folders import make_dated_folder, real_folder
from training.analysis.runs import LATEST

SETTINGS = "config.json"  # as resolved; its "asked" is what the command line and the file said
TOKENIZER = "tokenizer.jsonl"
CHECKPOINTS = "checkpoints"
BEST = "best.safetensors"  # of the main model, where its held-out loss was lowest


def new_run_folder() -> Path:
    """A new folder runs/DATE, which runs/latest names from now on. Raises ConfigError where it cannot be made."""
    folder = None
    try:
        folder = make_dated_folder(LATEST.parent)
        _point(LATEST, folder)
    except OSError as error:
        if folder is not None:
            folder.rmdir()
        where = LATEST if folder is not None else LATEST.parent
        raise ConfigError(f"{where}: {error.strerror or error}; move it away, or use --run FOLDER") from error
    return folder


def _point(link: Path, folder: Path) -> None:
    """Let a link name a folder beside it. At any moment it names the old folder or the new one."""
    beside = link.with_name(f".{folder.name}.link")
    beside.symlink_to(folder.name)
    try:
        beside.replace(link)
    except OSError:
        beside.unlink()
        raise


def resumed_settings(named: Path) -> dict[str, Any]:
    """The settings that the run in a folder was asked for, to go on with. Raises ConfigError (no run there)."""
    folder = real_folder(named)
    path = folder / SETTINGS
    if not path.exists():
        raise ConfigError(f"{named}: no run to go on with; begin one: python -m training.fit --run {named}")
    try:
        asked = json.loads(path.read_text())["asked"]
        return {**asked, "run": str(folder), "overwrite": False}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: does not say how the run was asked for; begin another one") from error


def resume_command(folder: Path, world: int) -> str:
    """What to type to go on with a run."""
    program = "python -m training.fit" if world == 1 else f"torchrun --nproc-per-node {world} -m training.fit"
    return f"{program} --resume {shlex.quote(os.fspath(folder))}"
