"""Weights on disk: safetensors with the model's configuration as metadata, checked against the model they are for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from schema.config import complaints
from schema.errors import ConfigError, CorruptError
from schema.version import SCHEMA_VERSION, check_version
from training.files import write_atomically
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel


def check_weights(model: FrameModel, weights: Mapping[str, Tensor], where: str) -> None:
    """Raise ConfigError naming the first tensor of `weights` that does not fit `model`."""
    own = model.state_dict()
    for name in sorted(own.keys() ^ weights.keys()):
        state = "missing" if name in own else "unknown"
        raise ConfigError(f"{where}: tensor {name} is {state}; it was saved by another model")
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise ConfigError(
                f"{where}: {name} is {tuple(weights[name].shape)}, this model's is {tuple(tensor.shape)}; "
                "use the screen size, vocabulary and preset it was trained with"
            )


def save_weights(path: Path, model: FrameModel, extra: Mapping[str, str] | None = None) -> None:
    """Weights as safetensors; metadata: `model` (ModelConfig as JSON), `schema_version` and `extra`."""
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"model": model.config.model_dump_json(), "schema_version": SCHEMA_VERSION, **(extra or {})}
    write_atomically(path, save(weights, metadata))


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
        said = f" ({complaints(error, 'model.')})" if isinstance(error, ValidationError) else ""
        raise ConfigError(f"{path}: its metadata holds no model configuration of this version{said}") from error
    model = FrameModel(config)
    check_weights(model, weights, str(path))
    model.load_state_dict(weights)
    return model, metadata
