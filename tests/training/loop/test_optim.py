"""Optimizers and the course of the learning rate."""

import pytest

from training.loop.config import FitConfig
from training.loop.optim import make_optimizers, rate
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [rate(step, 100, 0.1, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:50] == [1.0] * 40
    assert rates[99] == pytest.approx(0.02)
    assert sorted(rates[50:], reverse=True) == rates[50:]


def test_muon_takes_matrices_and_adamw_the_rest() -> None:
    model = FrameModel(ModelConfig(rows=8, cols=24, width=16, heads=2))
    adamw, muon = make_optimizers(model, FitConfig(optimizer="muon", preset="published_tiny"))
    assert {group["lr"] for group in adamw.param_groups} == {5e-4, 1.2e-2}
    assert [(group["lr"], group["momentum"]) for group in muon.param_groups] == [(2e-2, 0.95)]
    taken = {id(p) for group in muon.param_groups for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in taken}
    assert "backbone.lstm.weight_hh_l0" in names
    assert "frame_head.blocks.0.attn.c_attn.weight" in names
    assert not {"head.weight", "frame_head.codepoint_embed", "frame_head.position_embed"} & names
    assert len(taken) + sum(len(g["params"]) for g in adamw.param_groups) == len(list(model.parameters()))
