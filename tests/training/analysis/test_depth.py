"""True depth: counts on hand-made chains, and verdicts that are never generous."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from training.analysis import depth
from training.model.backbones import BACKBONES, Backbone, State, make_backbone

LENGTHS = (8, 16, 32)


class Loop(Backbone):
    """A recurrence written as a plain loop over ``update(h, x)``."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.width, self.layers = width, 1
        self.weight = nn.Parameter(torch.eye(width) + 0.1 * torch.randn(width, width))

    def initial_state(self, batch: int) -> State:
        return (torch.zeros(batch, self.width, dtype=self.weight.dtype),)

    def update(self, h_BD: Tensor, x_BD: Tensor) -> Tensor:
        raise NotImplementedError

    def step(self, x_BD: Tensor, state: State) -> tuple[Tensor, State]:
        h_BD = self.update(state[0], x_BD)
        return h_BD, (h_BD,)

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for x_BD in x_BTD.unbind(1):
            y_BD, state = self.step(x_BD, state)
            outputs.append(y_BD)
        return torch.stack(outputs, 1), state


class RunningMaximum(Loop):
    """Associative, not affine: a scan that no affinity check can find."""

    def update(self, h_BD: Tensor, x_BD: Tensor) -> Tensor:
        return torch.maximum(h_BD, x_BD)


class AffineLoop(Loop):
    """h = A(x) h + b(x), one step at a time: serial as written, a scan in truth."""

    def update(self, h_BD: Tensor, x_BD: Tensor) -> Tensor:
        return torch.tanh(x_BD) * (h_BD @ self.weight) + x_BD


class TanhLoop(Loop):
    """An Elman network, which nobody listed."""

    def update(self, h_BD: Tensor, x_BD: Tensor) -> Tensor:
        return torch.tanh(h_BD @ self.weight + x_BD)


def verdict(name: str, backbone: Backbone) -> str:
    torch.manual_seed(0)
    depths = [depth.measure(backbone, backbone.width, steps) for steps in LENGTHS]
    return depth.judge(name, backbone, depths).verdict


def test_an_lstm_is_recurrence_complete() -> None:
    assert verdict("lstm", make_backbone("lstm", 8, 1)) == "recurrence-complete"
    assert verdict("lstm", make_backbone("lstm", 8, 3)) == "recurrence-complete"


def test_an_lstm_without_recurrent_weights_is_not() -> None:
    backbone = make_backbone("lstm", 8, 1)
    assert isinstance(backbone.lstm, nn.LSTM)
    nn.init.zeros_(backbone.lstm.weight_hh_l0)
    assert verdict("lstm", backbone) == "re-associable"


@pytest.mark.parametrize(("loop", "expected"), [
    (RunningMaximum, "unknown"), (AffineLoop, "re-associable"), (TanhLoop, "unknown"),
])  # fmt: skip
def test_a_deep_loop_is_not_called_complete(loop: type[Loop], expected: str) -> None:
    backbone = loop()
    forward, backward = depth.slopes([depth.measure(backbone, 4, steps) for steps in LENGTHS])
    assert forward >= 1
    assert backward >= 1  # deep as written, and that settles nothing
    assert verdict("hand-made", backbone) == expected


def test_a_listed_name_does_not_save_an_affine_loop() -> None:
    assert verdict("lstm", AffineLoop()) == "re-associable"


@pytest.mark.parametrize("name", ["transformer", "mamba2", "mingru"])
@pytest.mark.parametrize("layers", [1, 3])
def test_known_scans_are_checked_layer_by_layer(name: str, layers: int) -> None:
    backbone = make_backbone(name, 8, layers)
    assert verdict(name, backbone) == "known scan"
    forward, backward = depth.slopes([depth.measure(backbone, 8, t) for t in (64, 128)])
    assert max(forward, backward) < 0.5


def test_frame_only_has_constant_depth() -> None:
    backbone = make_backbone("frame_only", 8, 2)
    assert verdict("frame_only", backbone) == "re-associable"
    assert depth.slopes([depth.measure(backbone, 8, t) for t in LENGTHS]) == (0, 0)


@pytest.mark.parametrize("name", BACKBONES)
def test_feeding_outputs_back_deepens_with_time(name: str) -> None:
    torch.manual_seed(0)
    backbone = depth.OutputFeedback(make_backbone(name, 8, 1))
    forward, backward = depth.slopes([depth.measure(backbone, 8, t) for t in LENGTHS])
    assert min(forward, backward) > 5
    assert verdict(f"{name}+feedback", backbone) == "unknown"


def test_chains_are_counted_exactly() -> None:
    def power(x_BTD: Tensor) -> Tensor:
        y_BTD = x_BTD
        for _ in range(5):
            y_BTD = y_BTD.sigmoid() * x_BTD  # 2 operations
        return y_BTD.transpose(0, 1)  # a view

    assert depth.measure(power, 4, 3).forward == 10
    assert depth.measure(lambda x: x.sum(1), 4, 64).forward == 6
    assert depth.measure(lambda x: x @ torch.ones(4, 2), 4, 3).forward == 3
    assert depth.measure(lambda x: x.cumsum(1), 4, 100).forward == 7


def test_an_undeclared_operation_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="no depth is declared for aten"):
        depth.measure(lambda x: x.sort(1).values, 4, 3)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert depth.main(["mingru", "--layers", "2", "--lengths", "8", "16"]) == 0
    printed = capsys.readouterr().out
    assert "verdict: known scan" in printed
    assert "a step" in printed
    with pytest.raises(SystemExit):
        depth.main(["lstm", "--lengths", "8"])


def test_sizes_that_no_backbone_has_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, words in ((["--layers", "0"], "--layers 0: at least 1"), (["--width", "-3"], "--width -3: at least 1")):
        with pytest.raises(SystemExit):
            depth.main(["lstm", *flags])
        assert words in capsys.readouterr().err
    assert depth.main(["transformer", "--width", "30"]) == 2
    assert "attention width 30 is not a multiple" in capsys.readouterr().err
