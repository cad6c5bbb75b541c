"""A backbone of one's own: named, checked, trained, saved and loaded again."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from schema.errors import ConfigError
from tests.training.runs import settings, weights
from training.api import load_run
from training.loop.run import fit
from training.model import backbones
from training.model.backbones import load_backbone, make_backbone
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.weights import load_weights, save_weights

IMPORTS = """
import torch
from torch import Tensor, nn
from training.model.backbones import Backbone, State

"""
# The class that the module's docstring shows.
EXAMPLE = textwrap.dedent((backbones.__doc__ or "").split("::\n\n")[1].split("\n\n``load_backbone``")[0]) + "\n\n"
OTHERS = """
class NoSequence(Backbone):
    def initial_state(self, batch: int) -> State:
        return ()


class NoState(Backbone):
    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        return x_BTD, ()


class Wide(Gru):
    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        y_BTD, state = super().sequence(x_BTD, state)
        return torch.cat((y_BTD, y_BTD), -1), state


class OneVector(Gru):
    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        y_BTD, state = super().sequence(x_BTD, state)
        return y_BTD[:, -1], state


class Bare(Gru):
    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        y_BTD, state = super().sequence(x_BTD, state)
        return y_BTD, list(state)


class LayersFirst(Gru):
    def __init__(self, width: int, layers: int = 1) -> None:
        super().__init__(width, 3)
        self.layers = layers

    def initial_state(self, batch: int) -> State:
        return (torch.zeros(3, batch, self.width),)

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        y_BTD, h_LBD = self.gru(x_BTD, *state)
        return y_BTD, (h_LBD,)


class Forgetful(Gru):
    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        return super().sequence(x_BTD, self.initial_state(len(x_BTD)))


class OtherSize(Gru):
    def __init__(self, width: int, layers: int = 1) -> None:
        super().__init__(2 * width, layers)


class NoArguments(Gru):
    def __init__(self) -> None:
        super().__init__(4, 1)


class Raises(Gru):
    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        raise KeyError("no such thing\\nnor this")


class NotOurs(nn.GRU):
    pass


function = make = lambda width, layers: Gru(width, layers)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of this test alone, as its author has it in the folder where Python was started."""
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.delitem(sys.modules, "my_backbones", raising=False)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/my_backbones.py").write_text(IMPORTS + EXAMPLE + OTHERS)
    (tmp_path / "code/broken.py").write_text("def f(:\n")
    (tmp_path / "code/raising.py").write_text("raise RuntimeError('not today')\n")
    return "my_backbones:Gru"


@pytest.mark.parametrize(
    "mode", [{}, {"mode": "stream", "chunk": 5}, {"mode": "stream_embeddings", "chunk": 7}], ids=str
)
def test_it_is_trained_saved_and_loaded_by_its_name(
    root: Path, tmp_path: Path, module: str, mode: dict[str, object]
) -> None:
    summary = fit(settings(root, tmp_path / "run", steps=3, evaluations=1, backbone=module, backbone_layers=2, **mode))
    assert {f"{module}/loss", "frame_only/loss"} <= summary.keys()
    run = load_run(tmp_path / "run")
    assert type(run.model.backbone).__name__ == "Gru"
    assert run.model.backbone.layers == 2
    assert set(run.tables(count=1)["models"]) == {module, "frame_only", "keys_only"}
    mine = weights(tmp_path / "run", module)
    assert all(torch.equal(tensor, mine[name]) for name, tensor in run.model.state_dict().items())


def test_streaming_gives_it_the_gradients_of_the_whole(module: str) -> None:
    from tests.training.film import typed_cells
    from training.model.gradients import backpropagate

    torch.manual_seed(0)
    model = FrameModel(ModelConfig(rows=8, cols=24, width=16, heads=2, backbone=module)).double()
    cells_BTRC, actions_BT = typed_cells(2, 23, 8, 24), torch.randint(0, 256, (2, 23))
    gradients = []
    for mode in ("full", "stream", "stream_embeddings"):
        model.zero_grad()
        backpropagate(model, cells_BTRC, actions_BT, mode, chunk=5)
        gradients.append([parameter.grad.clone() for parameter in model.backbone.parameters()])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0])


def test_weights_whose_backbone_cannot_be_found_say_which(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(path, FrameModel(ModelConfig(rows=8, cols=24, width=16, heads=2, backbone=module)))
    assert load_weights(path)[0].config.backbone == module
    monkeypatch.delitem(sys.modules, "my_backbones")
    (tmp_path / "code/my_backbones.py").unlink()
    with pytest.raises(
        ConfigError, match=r"model\.safetensors: .*backbone my_backbones:Gru: my_backbones cannot be im"
    ):
        load_weights(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gru", "unknown backbone 'gru': choose one of lstm, .*, or MODULE:CLASS"),
        (":Gru", "unknown backbone ':Gru'"),
        ("my_backbones:", "unknown backbone 'my_backbones:'"),
        ("none_such:Gru", r"none_such cannot be imported \(ModuleNotFoundError: No module named 'none_such'\)"),
        ("../x:Gru", r"\.\./x cannot be imported \("),
        (".x:Gru", r"\.x cannot be imported \(TypeError"),
        ("broken:Gru", r"broken cannot be imported \(SyntaxError"),
        ("raising:Gru", r"raising cannot be imported \(RuntimeError: not today\)"),
        ("my_backbones:Lstm", "my_backbones has no Lstm"),
        ("my_backbones:NotOurs", "not a class derived from training.model.backbones.Backbone"),
        ("my_backbones:function", "not a class derived"),
        ("my_backbones:NoSequence", "lacks the method sequence"),
        ("my_backbones:NoState", "lacks the method initial_state"),
        ("my_backbones:NoArguments", r"cannot be made of width 8, 2 layers \(TypeError"),
        ("my_backbones:OtherSize", "sets no width and layers, or other ones than it is given"),
        ("my_backbones:Wide", r"features of shape \(2, 3, 16\) and, by step, \(2, 16\) where \(2, 3, 8\) and \(2, 8\)"),
        ("my_backbones:OneVector", "fails on input of shape|features of shape"),
        ("my_backbones:Bare", "its state is not a tuple of tensors whose first dimension is the batch"),
        ("my_backbones:LayersFirst", "its state is not a tuple of tensors whose first dimension is the batch"),
        ("my_backbones:Forgetful", "the same steps in two parts give other features: its state loses something"),
        ("my_backbones:Raises", r"fails on input of shape \(2, 3, 8\) \(KeyError: 'no such thing"),
    ],
)
def test_one_that_cannot_work_is_one_clear_error(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        make_backbone(name, 8, 2)
    assert "\n" not in str(error.value)


def test_the_check_leaves_no_trace(module: str) -> None:
    make = load_backbone(module)
    torch.manual_seed(3)
    plain = make(8, 1)
    after = torch.rand(1)
    torch.manual_seed(3)
    checked = make_backbone(module, 8, 1)
    assert checked.training
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(*pair) for pair in zip(plain.parameters(), checked.parameters(), strict=True))


def test_the_command_line_finds_it_where_python_was_started(root: Path, tmp_path: Path, module: str) -> None:
    flags = [
        "--preset",
        "tiny",
        "--steps",
        "1",
        "--window",
        "16",
        "--batch",
        "1",
        "--threads",
        "1",
        "--evaluations",
        "1",
    ]
    command = [sys.executable, "-m", "training.fit", "--shards", str(root), *flags, "--backbone"]

    def run(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, name], cwd=tmp_path / "code", capture_output=True, text=True)

    done = run(module)
    assert done.returncode == 0, done.stderr
    assert f"model       tiny, {module}: " in done.stdout
    wrong = run("my_backbones:Wide")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith("gitreel: backbone my_backbones:Wide: gives features of shape")
