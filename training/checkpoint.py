"""Checkpoints that are whole or not there: written beside, fsynced, renamed.

A checkpoint is one file, `step-NNNNNNN.pt`: every model's weights (fp32), its optimizers' state, the number of
updates done (the data's cursor: windows depend on seed and step alone), and the resolved configuration.
`best.safetensors` holds the main model's weights at its best validation loss, with its configuration as metadata.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from schema.errors import ConfigError, CorruptError, WarehouseError
from schema.version import SCHEMA_VERSION, check_version
from training.model import FrameModel, ModelConfig, check_weights

FORMAT = 1
PARTS = {"asked", "config", "film", "world", "best", "models", "step"}  # what training.fit resumes from


def write(path: Path, data: bytes) -> None:
    """Put bytes at `path` atomically. Raises WarehouseError (disk full, read-only)."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise WarehouseError(f"{path}: {error.strerror}; free some space or use another --run folder") from error


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], keep: int) -> Path:
    """Write the checkpoint of `step` updates and drop all but the `keep` newest."""
    import io

    buffer = io.BytesIO()
    torch.save({**state, "step": step, "format": FORMAT, "schema_version": SCHEMA_VERSION}, buffer)
    path = folder / f"step-{step:07d}.pt"
    write(path, buffer.getvalue())
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


def save_weights(path: Path, model: FrameModel, extra: Mapping[str, str] | None = None) -> None:
    """Weights as safetensors; metadata: `model` (ModelConfig as JSON), `schema_version` and `extra`."""
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"model": model.config.model_dump_json(), "schema_version": SCHEMA_VERSION, **(extra or {})}
    write(path, save(weights, metadata))


def load_weights(path: Path) -> tuple[FrameModel, dict[str, str]]:
    """The model and the metadata. Raises ConfigError (missing, of another model), CorruptError, SchemaVersionError."""
    if not path.exists():
        raise ConfigError(f"{path}: no such file; train one: python -m training.fit --shards warehouse/")
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            weights: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CorruptError(f"{path}: not a whole safetensors file ({error}); train again") from error
    check_version(metadata.get("schema_version"), str(path), "train again: python -m training.fit")
    try:
        config = ModelConfig.model_validate(json.loads(metadata["model"]))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path}: its metadata holds no model configuration of this version") from error
    model = FrameModel(config)
    check_weights(model, weights, str(path))
    model.load_state_dict(weights)
    return model, metadata
