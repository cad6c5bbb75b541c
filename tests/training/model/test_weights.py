"""Weights on disk: checked against the model, with its configuration."""

import pytest

from schema.errors import ConfigError
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.weights import check_weights


def test_weights_of_another_screen_are_named() -> None:
    small = FrameModel(ModelConfig(rows=12, cols=40, width=16))
    large = FrameModel(ModelConfig(rows=24, cols=80, width=16))
    with pytest.raises(ConfigError, match=r"frame_head.position_embed is \(480, 16\)"):
        check_weights(large, small.state_dict(), "runs/a/best.safetensors")
