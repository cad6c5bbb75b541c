"""Parameter counts: the published size, and backbones matched to the LSTM."""

import pytest
import torch

from training.model.config import preset
from training.model.counts import parameter_counts
from training.model.frame_model import FrameModel


def test_paper_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        tokens = FrameModel(preset("paper", 48, 160, vocabulary=20351))
        plain = FrameModel(preset("paper", 48, 160))
    assert parameter_counts(tokens)["total"] == 94_030_848
    assert parameter_counts(plain)["total"] == 73_452_544


@pytest.mark.parametrize("backbone", ["frame_only", "transformer", "mamba2", "mingru"])
def test_backbones_match_the_lstm_in_parameters(backbone: str) -> None:
    lstm = parameter_counts(FrameModel(preset("published_small", 24, 80)))["backbone"]
    other = parameter_counts(FrameModel(preset("published_small", 24, 80, backbone=backbone)))["backbone"]
    assert abs(other - lstm) / lstm < 0.02
