"""Sizes of the frame model: its configuration, and the presets by name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from schema.config import FrozenModel
from schema.errors import ConfigError
from training.model.backbones import BACKBONES

MAX_CODE_POINTS = 0x110000  # all of Unicode


class ModelConfig(FrozenModel):
    """Everything that decides the weights' shapes."""

    rows: int = Field(24, ge=1, description="screen height, cells")
    cols: int = Field(80, ge=1, description="screen width, cells")
    width: int = Field(64, ge=1, description="D, of the frame head and the backbone")
    attention_layers: int = Field(1, ge=0, description="attention blocks of the frame head")
    heads: int = Field(4, ge=1, description="attention heads of the frame head")
    downsample_blocks: int = Field(2, ge=0, description="convolution and 2x2 pooling blocks")
    downsample: Literal["dilated", "geglu"] = Field("dilated", description="kind of convolution block")
    dilation: int = Field(2, ge=1, description="cells; of the dilated convolution")
    reduce: Literal["mean", "last_pos"] = Field("mean", description="tokens to one vector a frame")
    cursor_heads: int = Field(
        0, ge=0, description="heads of the last attention block that start out looking at the cursor (last_pos)"
    )
    max_code_point: int = Field(
        256, ge=2, le=MAX_CODE_POINTS, description="code points at or past it share the last id"
    )
    backbone: str = Field("lstm", description="lstm, frame_only, transformer, mamba2 or mingru")
    backbone_layers: int = Field(1, ge=1, description="layers of the backbone")
    vocabulary: int = Field(256, ge=2, description="number of actions")
    matched: bool = Field(True, description="size the backbone to a one-layer LSTM's parameter count")

    @model_validator(mode="after")
    def _divisible(self) -> ModelConfig:
        step = 2**self.downsample_blocks
        if self.rows % step or self.cols % step:
            raise ValueError(f"screen {self.rows}x{self.cols} does not divide by {step}: use fewer downsample_blocks")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide by {self.heads} heads")
        if self.cursor_heads and (self.reduce != "last_pos" or self.cursor_heads > self.heads):
            raise ValueError("cursor_heads needs reduce=last_pos and at least as many heads")
        if self.backbone not in BACKBONES:
            raise ValueError(f"unknown backbone {self.backbone!r}: choose one of {', '.join(BACKBONES)}")
        return self

    @property
    def tokens(self) -> int:
        """K: tokens a frame that the attention sees."""
        return (self.rows >> self.downsample_blocks) * (self.cols >> self.downsample_blocks)


# Sizes by name. `paper` is the published run's; the others are for processors.
_READER = {"downsample": "geglu", "reduce": "last_pos", "cursor_heads": 2, "downsample_blocks": 1}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"width": 48, "attention_layers": 1, "heads": 4, **_READER},
    "small": {"width": 64, "attention_layers": 1, "heads": 4, **_READER},
    "paper": {
        "width": 1024, "attention_layers": 3, "heads": 8, "downsample_blocks": 2, "reduce": "last_pos",
    },
}  # fmt: skip


def preset(name: str, rows: int, cols: int, **overrides: Any) -> ModelConfig:
    """A preset's configuration at a screen size. Screens that do not divide get fewer downsample blocks.

    Raises ConfigError: unknown preset, or overrides that do not fit.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    settings: dict[str, Any] = {**PRESETS[name], **overrides}
    if "downsample_blocks" not in overrides:
        while rows % 2 ** settings["downsample_blocks"] or cols % 2 ** settings["downsample_blocks"]:
            settings["downsample_blocks"] -= 1
    try:
        return ModelConfig(rows=rows, cols=cols, **settings)
    except ValueError as error:
        raise ConfigError(f"preset {name} at {rows}x{cols}: {_reason(error)}") from error


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    parts = []
    for complaint in error.errors():
        where = ".".join(str(part) for part in complaint["loc"])
        said = "unknown setting" if complaint["type"] == "extra_forbidden" else complaint["msg"]
        parts.append(f"model.{where}: {said}" if where else said.removeprefix("Value error, "))
    return "; ".join(parts)
