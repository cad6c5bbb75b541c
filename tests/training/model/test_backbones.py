"""Every backbone: step equals sequence, chunks equal the whole, gradients flow through the state."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor

from training.model.backbones import BACKBONES, Backbone, make_backbone
from training.model.counts import count_parameters, match_parameters

STATEFUL = [name for name in BACKBONES if name != "frame_only"]


def build(name: str, layers: int = 2, width: int = 16) -> Backbone:
    torch.manual_seed(0)
    backbone = make_backbone(name, width, layers)
    for parameter in backbone.parameters():  # nonzero learned initial states too
        parameter.data += 0.1 * torch.randn_like(parameter)
    return backbone


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_step_equals_sequence(name: str, layers: int) -> None:
    backbone = build(name, layers)
    x_BTD = torch.randn(2, 211, 16)
    with torch.no_grad():
        y_BTD, last = backbone.sequence(x_BTD, backbone.initial_state(2))
        state = backbone.initial_state(2)
        for time in range(x_BTD.shape[1]):
            y_BD, state = backbone.step(x_BTD[:, time], state)
            torch.testing.assert_close(y_BD, y_BTD[:, time], rtol=1e-5, atol=1e-5)
    for left, right in zip(state, last, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", STATEFUL)
def test_chunks_give_the_gradient_of_the_whole(name: str) -> None:
    backbone = build(name).double()
    x_BTD = torch.randn(2, 37, 16, dtype=torch.float64, requires_grad=True)

    def gradients(chunk: int) -> list[Tensor]:
        state, outputs = backbone.initial_state(2), []
        for start in range(0, 37, chunk):
            y_BTD, state = backbone.sequence(x_BTD[:, start : start + chunk], state)
            outputs.append(y_BTD)
        loss = torch.cat(outputs, 1).pow(3).sum() + sum(part.pow(2).sum() for part in state)
        return list(torch.autograd.grad(loss, [x_BTD, *backbone.parameters()]))

    for whole, parts in zip(gradients(37), gradients(8), strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", STATEFUL)
def test_the_future_does_not_reach_the_past(name: str) -> None:
    backbone = build(name)
    x_BTD = torch.randn(1, 40, 16, requires_grad=True)
    (gradient_BTD,) = torch.autograd.grad(backbone(x_BTD)[:, 20].sum(), x_BTD)
    assert gradient_BTD[:, 21:].abs().max() == 0
    assert gradient_BTD[:, 0].abs().max() > 0


def test_frame_only_has_no_memory() -> None:
    backbone = build("frame_only")
    x_BTD = torch.randn(1, 9, 16, requires_grad=True)
    (gradient_BTD,) = torch.autograd.grad(backbone(x_BTD)[:, 4].sum(), x_BTD)
    assert set(gradient_BTD.abs().sum(-1).nonzero()[:, 1].tolist()) == {4}
    assert backbone.state_bytes(100) == 0


@pytest.mark.parametrize("name", ["frame_only", "transformer", "mamba2", "mingru"])
@pytest.mark.parametrize(("width", "layers"), [(32, 1), (64, 2), (128, 2)])
def test_parameters_match_the_lstm(name: str, width: int, layers: int) -> None:
    target = count_parameters(make_backbone("lstm", width, 1))
    settings = match_parameters(name, width, layers, target)
    ours = count_parameters(make_backbone(name, width, layers, **settings))
    assert abs(ours / target - 1) < 0.03


def test_match_refuses_too_many_layers() -> None:
    with pytest.raises(ValueError, match="use fewer layers"):
        match_parameters("mingru", 64, 50, 33_000)


def test_state_bytes() -> None:
    assert make_backbone("lstm", 16, 1).state_bytes(1000) == 2 * 16 * 4
    assert make_backbone("transformer", 16, 3).state_bytes(100) == 100 * 3 * 2 * 16 * 4
    assert make_backbone("mingru", 16, 2, inner=24).state_bytes(9) == 2 * 24 * 4
    mamba2 = make_backbone("mamba2", 16, 1, state_size=8)
    assert mamba2.state_bytes(9) == (3 * (32 + 16) + 32 * 8) * 4


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="choose one of lstm"):
        make_backbone("gru", 16, 1)
    with pytest.raises(ValueError, match="recurrent_init"):
        make_backbone("lstm", 16, 1, recurrent_init="zeros")
    with pytest.raises(ValueError, match="heads"):
        make_backbone("transformer", 18, 1)
    with pytest.raises(ValueError, match="heads"):
        make_backbone("mamba2", 16, 1, inner=30)


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
def test_mamba2_equals_transformers() -> None:
    from transformers import Mamba2Config, Mamba2Model

    config = Mamba2Config(
        vocab_size=8, hidden_size=16, num_hidden_layers=2, expand=2, num_heads=4, head_dim=8,
        state_size=8, n_groups=1, conv_kernel=4, chunk_size=32, use_cache=False,
        residual_in_fp32=False, layer_norm_epsilon=1e-5,
    )  # fmt: skip
    torch.manual_seed(3)
    theirs = Mamba2Model(config).float().eval()
    ours = make_backbone("mamba2", 16, 2, inner=32, heads=4, state_size=8)
    weights = {
        key.replace("layers.", "blocks."): value
        for key, value in theirs.state_dict().items()
        if not key.startswith("embeddings")
    }
    ours.load_state_dict(weights)
    x_BTD = torch.randn(2, 203, 16)
    expected_BTD = theirs(inputs_embeds=x_BTD).last_hidden_state
    torch.testing.assert_close(ours(x_BTD), expected_BTD, rtol=1e-4, atol=1e-5)


def test_chrono_gates_keep_what_they_hold_for_one_to_t_steps() -> None:
    torch.manual_seed(0)
    lstm = make_backbone("lstm", 512, 2, chrono=256)
    biases = dict(lstm.named_parameters())
    for layer in range(2):
        gates_4D = biases[f"lstm.bias_ih_l{layer}"] + biases[f"lstm.bias_hh_l{layer}"]
        input_D, forget_D, _, _ = gates_4D.detach().chunk(4)
        assert torch.equal(input_D, -forget_D)
        steps_D = 1 + forget_D.exp()  # a gate of sigmoid(b) keeps for 1 / (1 - sigmoid(b)) steps
        assert steps_D.min() >= 2
        assert 200 < steps_D.max() <= 257
