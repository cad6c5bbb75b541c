"""Checkpoints of a run: what it resumes from. Each is whole or not there.

A checkpoint is one file, `step-NNNNNNN.pt`: every model's weights (fp32), its optimizers' state, the number of
updates done (the data's cursor: windows depend on seed and step alone), and the resolved configuration.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from schema.errors import ConfigError, CorruptError
from schema.version import SCHEMA_VERSION, check_version
from training.files import write_atomically

FORMAT = 1
PARTS = {"asked", "config", "film", "world", "best", "models", "step"}  # what training.fit resumes from


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], keep: int) -> Path:
    """Write the checkpoint of `step` updates and drop all but the `keep` newest."""
    import io

    buffer = io.BytesIO()
    torch.save({**state, "step": step, "format": FORMAT, "schema_version": SCHEMA_VERSION}, buffer)
    path = folder / f"step-{step:07d}.pt"
    write_atomically(path, buffer.getvalue())
    for old in checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first."""
    return sorted(p for p in folder.glob("step-*.pt") if re.fullmatch(r"step-\d{7,}\.pt", p.name))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Raises CorruptError (truncated), SchemaVersionError, ConfigError (another format)."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check_version(state.get("schema_version"), str(path), "start anew with --overwrite")
        if state.get("format") != FORMAT:
            raise ConfigError(
                f"{path}: a checkpoint of format {state.get('format')}, this program's is {FORMAT}; "
                "finish that run with the program that began it, or start anew with --overwrite"
            )
        for key in sorted(PARTS - state.keys()):
            raise AttributeError(f"it has no {key}")
        return state
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, OSError, AttributeError) as error:
        said = str(error).partition("\n")[0][:120] or "nothing in it"
        raise CorruptError(
            f"{path}: not a whole checkpoint ({said}); delete it and run again: the one before it is used"
        ) from error
