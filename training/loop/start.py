"""A trained start: a run's main model begins with the weights of another run, or of a file.

The model is then the file's, whatever the preset says; `--set model.…` may change what has no weights (memory's steps).
The screen may have another size: the cursor's row and column keep what was learned of those that both screens have.
"""

from __future__ import annotations

from pathlib import Path

from schema.errors import ConfigError
from schema.folders import real_folder
from training.loop.config import ELSEWHERE, FitConfig
from training.loop.folder import BEST
from training.model.cursor_head import CursorHead
from training.model.frame_model import FrameModel
from training.model.weights import check_weights, load_weights

PLACE = "frame_head.place_embed"  # [rows + columns, D]


def read_start(named: str) -> FrameModel:
    """The model of a run's folder (the best on its held-out film) or of a .safetensors file.

    Raises ConfigError where there is none, CorruptError, SchemaVersionError.
    """
    path = Path(named)
    if path.suffix != ".safetensors":
        if path.is_file():
            raise ConfigError(f"--init {named}: not a .safetensors file, nor a run's folder")
        path = real_folder(path) / BEST
        if not path.exists():
            raise ConfigError(f"--init {named}: no {BEST} in it; give a run's folder or a .safetensors file")
    return load_weights(path)[0]


def with_start(config: FitConfig, start: FrameModel) -> FitConfig:
    """The settings, their model the start's. Raises ConfigError where the backbones differ."""
    saved = start.config
    if saved.backbone != config.backbone:
        raise ConfigError(f"--init {config.init}: its backbone is {saved.backbone}; add --backbone {saved.backbone}")
    if config.tokens:
        raise ConfigError(f"--init {config.init}: it reads keys; leave --tokens out")
    model = saved.model_dump(exclude=set(ELSEWHERE)) | config.model
    chosen = {"model": model, "preset": config.preset or "small", "backbone_layers": saved.backbone_layers}
    return config.model_copy(update=chosen)


def begin(model: FrameModel, start: FrameModel, where: str) -> None:
    """Copy the weights of `start` into `model`. Raises ConfigError where they do not fit."""
    weights = dict(start.state_dict())
    if isinstance(model.frame_head, CursorHead) and PLACE in weights and model.config.width == start.config.width:
        own, theirs = model.config, start.config
        table = model.state_dict()[PLACE].clone()
        for first, saved_first, size in (
            (0, 0, min(own.rows, theirs.rows)),
            (own.rows, theirs.rows, min(own.cols, theirs.cols)),
        ):
            table[first : first + size] = weights[PLACE][saved_first : saved_first + size]
        weights[PLACE] = table
    check_weights(model, weights, f"--init {where}")
    model.load_state_dict(weights)
