"""Settings of one training run. Unknown keys are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_serializer, model_validator

from schema.config import FrozenModel, complaints
from schema.editors import Editor
from schema.errors import ConfigError

# model settings that come from elsewhere
ELSEWHERE = {
    "rows": "it comes from the film",
    "cols": "it comes from the film",
    "vocabulary": "it comes from --tokens",
    "backbone": "use --backbone",
    "backbone_layers": "use --backbone-layers",
}

# What `--preset paper` trains with unless a flag or the file says otherwise: the published run's settings. There every
# array but vectors is Muon's; here embeddings, convolutions and action head stay AdamW's, at the same rate.
PUBLISHED = {
    "optimizer": "muon", "muon_learning_rate": 2e-3, "muon_momentum": 0.0,
    "learning_rate": 2e-3, "backbone_learning_rate": 2e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01,
    "clip": float("inf"), "warmup": 0.0, "decay": 0.0, "freeze_head": 0.0, "centre": False,
    "batch": 32, "window": 1024, "mode": "stream", "chunk": 16,
}  # fmt: skip


# What the presets that read at the cursor train with unless a flag or the file says otherwise: streams side by side in
# their order, the state carried on, truncated backpropagation. A transformer's state grows without end: windows.
LEARNER = {
    "carried": True, "batch": 32, "learning_rate": 3e-3, "backbone_learning_rate": 3e-3, "freeze_head": 0.0,
    "centre": False, "warmup": 0.02, "decay": 0.98, "course": "cosine",
}  # fmt: skip
WINDOWED = {**LEARNER, "carried": False, "batch": 16}
LEARNERS = (None, "tiny", "small", "medium")


class FitConfig(FrozenModel):
    """One run of training.fit. None: chosen for the machine and written to the run's config.json."""

    model_config = ConfigDict(allow_inf_nan=False)

    shards: str = Field("warehouse", min_length=1, description="the warehouse: a folder or a URL")
    repo: tuple[str, ...] = Field((), description="train on these repositories alone; repeatable")
    editor: Editor | None = Field(None, description="train on film in this editor alone: vim or nano")
    run: str | None = Field(
        None, min_length=1, description="folder for everything this run writes; by default a new one, runs/DATE"
    )
    preset: Literal["tiny", "small", "medium", "published_tiny", "published_small", "paper"] | None = Field(
        None, description="model size by name, and its training, as below; small, or tiny where minutes are few"
    )
    backbone: str = Field(
        "lstm", description="lstm, frame_only, transformer, mamba2, mingru, or MODULE:CLASS of your own"
    )
    backbone_layers: int | None = Field(None, ge=1, description="layers; the backbone's own default")
    model: dict[str, Any] = Field(default_factory=dict, description="overrides of training.model.config.ModelConfig")
    init: str | None = Field(
        None, min_length=1, description="start from these weights: a run's folder, or a .safetensors file"
    )
    baseline: bool = Field(True, description="train a frame-only and a keys-only model beside it, on the same batches")
    minutes: float = Field(10.0, gt=0, description="minutes of wall time to plan for")
    steps: int | None = Field(None, ge=1, description="updates; overrides minutes")
    window: int | None = Field(None, ge=2, description="steps of film in a window")
    batch: int = Field(4, ge=1, description="windows an update, over all ranks and accumulation")
    carried: bool = Field(
        False, description="read `batch` streams side by side in their order, the state carried from window to window"
    )
    reset: float = Field(1 / 64, ge=0, le=1, description="chance that a carried window starts without a state")
    accumulate: int = Field(1, ge=1, description="parts in which a rank's batch goes through the model")
    length_warmup: float = Field(0.0, ge=0, le=1, description="fraction of the run with shorter windows")
    optimizer: Literal["adamw", "muon"] = Field("adamw", description="muon: matrices of blocks and backbone")
    freeze_head: float = Field(
        0.85, ge=0, lt=1,
        description="fraction of the updates in which the frame head stays as it started (published presets but paper)",
    )  # fmt: skip
    learning_rate: float = Field(5e-4, gt=0, description="peak, of AdamW, for the frame head")
    backbone_learning_rate: float = Field(1.2e-2, gt=0, description="peak, of AdamW, for backbone and action head")
    centre: bool = Field(True, description="start frame vectors at mean 0 and spread 1 (published presets but paper)")
    muon_learning_rate: float = Field(2e-2, gt=0, description="peak, of Muon")
    muon_momentum: float = Field(0.95, ge=0, lt=1, description="Muon's")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, on matrices")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's")
    beta2: float = Field(0.98, ge=0, lt=1, description="AdamW's")
    clip: float = Field(1.0, gt=0, allow_inf_nan=True, description="gradient norm; inf: not clipped")
    warmup: float = Field(0.05, ge=0, le=1, description="fraction of the updates with rising learning rate")
    decay: float = Field(0.5, ge=0, le=1, description="fraction of the updates with falling learning rate")
    course: Literal["linear", "cosine"] = Field("linear", description="how the learning rate falls")
    mode: Literal["full", "stream", "stream_embeddings"] = Field("full", description="backpropagation")
    chunk: int = Field(64, ge=1, description="steps; of the streaming modes")
    reuse: bool = Field(True, description="reuse work between nearly identical frames")
    bf16: bool | None = Field(None, description="bfloat16 autocast over fp32 weights; on where a GPU has it")
    compile: bool = Field(False, description="torch.compile the plain frame head")
    device: str = Field("auto", description="auto, cpu, cuda or mps")
    threads: int | None = Field(None, ge=1, description="processor threads; all by default")
    tokens: int = Field(0, ge=0, description="size of the action tokenizer; 0: bytes")
    seed: int = Field(0, ge=0, lt=1 << 63, description="of weights and windows")
    evaluations: int = Field(
        6, ge=1, description="validations during the run; fewer where they would take over a tenth of it"
    )
    validation_windows: int = Field(24, ge=1, description="windows of held-out film a validation")
    keep: int = Field(2, ge=1, description="checkpoints kept, beside the best")
    overwrite: bool = Field(False, description="start anew where the run's folder holds a run already")
    cache_megabytes: int = Field(512, ge=16, description="film kept in memory, about 100 bytes a step")

    @property
    def frozen_share(self) -> float:
        """Fraction of the updates in which the frame head stays as it started."""
        return self.freeze_head if self.preset != "paper" and self.centre else 0.0

    @field_serializer("clip")
    def _in_json(self, clip: float) -> float | str:
        """JSON has no infinity; "inf" is read back as one."""
        return clip if math.isfinite(clip) else "inf"

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") == "paper":
            return {**PUBLISHED, **values}
        if isinstance(values, dict) and values.get("preset") in LEARNERS:
            return {**(WINDOWED if values.get("backbone") == "transformer" else LEARNER), **values}
        return values

    @model_validator(mode="after")
    def _fits(self) -> FitConfig:
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} does not divide by accumulate {self.accumulate}")
        if self.carried and self.backbone == "transformer":
            raise ValueError("a transformer's state grows with every step it carries: add --no-carried")
        if self.carried and self.length_warmup:
            raise ValueError("length_warmup shortens random windows: add --no-carried")
        if self.reuse and self.compile:
            raise ValueError("compile needs the plain frame head: add --no-reuse")
        if self.warmup + self.decay > 1:
            raise ValueError("warmup and decay together are more than the whole run")
        for key in self.model.keys() & ELSEWHERE.keys():
            raise ValueError(f"model.{key} is not set by itself: {ELSEWHERE[key]}")
        points = str(self.model.get("max_code_point", 256))  # read before there is a model: film is decoded by it
        if not (points.isdecimal() and len(points) < 8 and 2 <= int(points) <= 0x110000):
            raise ValueError(f"model.max_code_point: {points!r} is no number from 2 to {0x110000}")
        return self


def course_is_flat(settings: Mapping[str, Any]) -> bool:
    """Whether no update depends on how many there will be: such a run can be made longer."""
    frozen = settings["freeze_head"] if settings["centre"] and settings["preset"] != "paper" else 0
    return not (settings["warmup"] or settings["decay"] or settings["length_warmup"] or frozen)


def saved_settings(saved: dict[str, Any], folder: Path) -> FitConfig:
    """A checkpoint's settings. Raises ConfigError for those of another version of this program."""
    try:
        return FitConfig.model_validate(saved)
    except ValidationError as error:
        raise ConfigError(
            f"{folder}: begun by another version of this program ({reason(error)}); start anew with --overwrite"
        ) from error


def reason(error: ValidationError) -> str:
    """Pydantic's complaints in one line, and where the settings are described."""
    return f"{complaints(error)}; see --help"
