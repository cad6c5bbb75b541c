"""Sizes of the frame model: presets, and settings that do not fit."""

import pytest
from pydantic import ValidationError

from schema.errors import ConfigError
from training.model.config import ModelConfig, preset


def test_an_odd_screen_gets_fewer_downsample_blocks() -> None:
    assert preset("paper", 48, 160).downsample_blocks == 2
    assert preset("paper", 26, 80).downsample_blocks == 1
    assert preset("published_tiny", 25, 80).downsample_blocks == 0


def test_the_paper_preset_starts_as_published() -> None:
    assert preset("paper", 48, 160).cursor_heads == 0
    with pytest.raises(ConfigError, match="cursor_heads needs reduce=last_pos"):
        preset("paper", 48, 160, reduce="mean", cursor_heads=1)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'huge'"):
        preset("huge", 24, 80)
    with pytest.raises(ConfigError, match="unknown backbone 'gru'"):
        preset("published_tiny", 24, 80, backbone="gru")
    with pytest.raises(ConfigError, match="does not divide by 5 heads"):
        preset("published_tiny", 24, 80, heads=5)
    with pytest.raises(ValidationError):
        ModelConfig(rows=12, cols=40, widht=8)
