"""Small models for tests."""

import torch

from tests.training.warehouse import COLS, ROWS
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel


def small_model(backbone: str = "lstm") -> FrameModel:
    torch.manual_seed(0)
    config = ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, backbone=backbone, matched=False)
    return FrameModel(config).double().eval()
