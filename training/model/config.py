"""Sizes of the frame model: its configuration, and the presets by name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from schema.config import FrozenModel, complaints
from schema.errors import ConfigError
from training.model.backbones import load_backbone

MAX_CODE_POINTS = 0x110000  # all of Unicode


class ModelConfig(FrozenModel):
    """Everything that decides the weights' shapes."""

    rows: int = Field(24, ge=1, description="screen height, cells")
    cols: int = Field(80, ge=1, description="screen width, cells")
    head: Literal["published", "cursor", "none"] = Field(
        "published", description="published: reads every cell; cursor: those around the cursor; none: sees no frame"
    )
    guesses: int = Field(0, ge=0, le=8, description="guesses of the next key by copying from the screen; 0: no copying")
    screen_attention: int = Field(
        0, ge=0, description="width of the vectors by which the model attends to the screen's characters; 0: none"
    )
    previous_key: bool = Field(False, description="the key pressed before is an input")
    skip: bool = Field(False, description="the action head reads the frame's vector too, not the backbone's alone")
    memory: int = Field(0, ge=0, description="W: steps of its own past that the model attends to; 0: no memory")
    memory_width: int = Field(64, ge=1, description="of the memory's keys and queries")
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
    backbone: str = Field("lstm", description="lstm, frame_only, transformer, mamba2, mingru, or MODULE:CLASS")
    backbone_layers: int = Field(1, ge=1, description="layers of the backbone")
    chrono: int = Field(0, ge=0, description="an LSTM's gates start out keeping 1 to so many steps; 0: as PyTorch's")
    vocabulary: int = Field(256, ge=2, description="number of actions")
    matched: bool = Field(True, description="size the backbone to a one-layer LSTM's parameter count")

    @model_validator(mode="after")
    def _divisible(self) -> ModelConfig:
        if self.head == "none" and not self.previous_key:
            raise ValueError("head none sees no frame: previous_key is all that is left to read")
        load_backbone(self.backbone)
        if self.chrono and self.backbone != "lstm":
            raise ValueError(f"chrono is the initialisation of an LSTM's gates: {self.backbone} has none of those")
        if self.head == "published":
            self._check_published()
        return self

    def _check_published(self) -> None:
        step = 2**self.downsample_blocks
        if self.rows % step or self.cols % step:
            raise ValueError(f"screen {self.rows}x{self.cols} does not divide by {step}: use fewer downsample_blocks")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide by {self.heads} heads")
        if self.cursor_heads and (self.reduce != "last_pos" or self.cursor_heads > self.heads):
            raise ValueError("cursor_heads needs reduce=last_pos and at least as many heads")

    @property
    def reads_keys(self) -> bool:
        """Whether the model reads the key pressed before each step."""
        return self.previous_key or self.memory > 0

    @property
    def features(self) -> int:
        """E: what the action head, the copy's gates and the memory's queries read, without the memory's own answer."""
        return 2 * self.width if self.skip else self.width

    @property
    def tokens(self) -> int:
        """K: tokens a frame that the attention sees."""
        return (self.rows >> self.downsample_blocks) * (self.cols >> self.downsample_blocks)


# Sizes by name. `paper` is the published run's, `published_*` the same architecture for processors; the others read at
# the cursor, copy and remember (training.model.frame_model).
READER = {"downsample": "geglu", "reduce": "last_pos", "cursor_heads": 2, "downsample_blocks": 1}

_LEARNER = {"head": "cursor", "guesses": 3, "previous_key": True, "skip": True}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"width": 128, "memory": 256, **_LEARNER},
    "small": {"width": 256, "memory": 512, **_LEARNER},
    "medium": {"width": 512, "memory": 1024, **_LEARNER},
    "published_tiny": {"width": 48, "attention_layers": 1, "heads": 4, **READER},
    "published_small": {"width": 64, "attention_layers": 1, "heads": 4, **READER},
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
    if "downsample_blocks" not in overrides and settings.get("head", "published") == "published":
        settings.setdefault("downsample_blocks", ModelConfig.model_fields["downsample_blocks"].default)
        while rows % 2 ** settings["downsample_blocks"] or cols % 2 ** settings["downsample_blocks"]:
            settings["downsample_blocks"] -= 1
    try:
        return ModelConfig(rows=rows, cols=cols, **settings)
    except ValueError as error:
        said = complaints(error, "model.") if isinstance(error, ValidationError) else str(error)
        raise ConfigError(f"preset {name} at {rows}x{cols}: {said}") from error
