"""A tiny run, for the tests of the loop and of the command line."""

from pathlib import Path

import torch

from training.loop.config import FitConfig
from training.model.weights import load_weights

MODEL = {"width": 16, "heads": 2, "downsample_blocks": 1}


def settings(root: Path, run: Path, **changes: object) -> FitConfig:
    return FitConfig.model_validate(
        {
            "shards": str(root), "run": str(run), "preset": "tiny", "model": MODEL, "steps": 6, "window": 16,
            "batch": 2, "threads": 1, "evaluations": 3, "validation_windows": 2, **changes,
        }
    )  # fmt: skip


def weights(run: Path, name: str = "lstm") -> dict[str, torch.Tensor]:
    return load_weights(run / "models" / f"{name}.safetensors")[0].state_dict()
