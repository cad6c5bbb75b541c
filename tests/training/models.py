"""Small models for tests."""

import torch

from tests.training.warehouse import COLS, ROWS
from training.model.config import ModelConfig, preset
from training.model.frame_model import FrameModel


def small_learner() -> FrameModel:
    """Reads at the cursor, copies, knows the keys, remembers."""
    torch.manual_seed(0)
    return FrameModel(preset("tiny", ROWS, COLS, width=16, memory=12)).double().eval()


def small_model(backbone: str = "lstm") -> FrameModel:
    torch.manual_seed(0)
    config = ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, backbone=backbone, matched=False)
    return FrameModel(config).double().eval()
