"""Streaming backpropagation: the same gradients as full backpropagation."""

import pytest
import torch
from torch import Tensor

from schema.errors import ConfigError
from tests.training.film import typed_cells
from training.model.backbones import BACKBONES
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.gradients import MODES, Film, Mode, backpropagate, border_states, chunks


def build(backbone: str, **settings: object) -> FrameModel:
    torch.manual_seed(0)
    layers = 1 if backbone in ("lstm", "frame_only") else 2
    model = FrameModel(
        ModelConfig(
            rows=8, cols=24, width=16, heads=2, backbone=backbone, backbone_layers=layers, matched=False,
            **settings,
        )
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if "h0" in name or "c0" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model.double()


def gradients(model: FrameModel, cells: Tensor, actions: Tensor, mode: Mode, **how: object) -> list[Tensor]:
    model.zero_grad()
    backpropagate(model, cells, actions, mode, **how)
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def largest_difference(mine: list[Tensor], theirs: list[Tensor]) -> float:
    """Largest relative difference of a parameter's gradient, by norm."""
    assert len(mine) == len(theirs)
    pairs = zip(mine, theirs, strict=True)
    return max(float((a - b).norm() / b.norm()) for a, b in pairs if b.norm() > 0)


@pytest.mark.parametrize("mode", ["stream", "stream_embeddings"])
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_gradients_equal_full_backpropagation(backbone: str, mode: Mode) -> None:
    model = build(backbone)
    cells, actions = typed_cells(2, 37, 8, 24), torch.randint(0, 256, (2, 37))
    full = gradients(model, cells, actions, "full", reuse=False)
    streamed = gradients(model, cells, actions, mode, chunk=8, reuse=1.0)
    assert largest_difference(streamed, full) <= 1e-10


@pytest.mark.parametrize("chunk", [1, 5, 36, 37, 100])
def test_any_chunk_size_gives_the_same_gradients(chunk: int) -> None:
    model = build("lstm", reduce="last_pos", downsample="geglu")
    cells, actions = typed_cells(1, 37, 8, 24), torch.randint(0, 256, (1, 37))
    full = gradients(model, cells, actions, "full", reuse=False)
    assert largest_difference(gradients(model, cells, actions, "stream", chunk=chunk), full) <= 1e-10


def test_a_cache_that_grows_is_kept_once() -> None:
    model = build("transformer")
    cells = typed_cells(1, 12, 8, 24)
    parts = list(chunks(12, 4))
    film = Film(cells, torch.full((1, 12), model.vocabulary), torch.zeros(1, 12))
    border = border_states(model, film, parts, model.initial_state(1), True)
    assert [border(number)[0].shape[2] for number in range(3)] == [0, 4, 8]
    assert border(1)[0].data_ptr() == border(2)[0].data_ptr()
    with torch.no_grad():
        state = model(cells[:, :4])[1]
    for kept, fresh in zip(border(1), state, strict=True):
        torch.testing.assert_close(kept, fresh)


def test_initial_states_get_gradients() -> None:
    model = build("lstm")
    backpropagate(model, typed_cells(2, 9, 8, 24), torch.randint(0, 256, (2, 9)), "stream", chunk=4)
    assert all(p.grad is not None and p.grad.norm() > 0 for n, p in model.named_parameters() if "h0" in n)


def test_float32_gradients_agree() -> None:
    model = build("lstm").float()
    cells, actions = typed_cells(2, 37, 8, 24), torch.randint(0, 256, (2, 37))
    full = gradients(model, cells, actions, "full", reuse=False)
    assert largest_difference(gradients(model, cells, actions, "stream", chunk=8), full) <= 1e-4


def test_losses_are_the_same_in_every_mode() -> None:
    model = build("lstm")
    cells, actions = typed_cells(2, 21, 8, 24), torch.randint(0, 256, (2, 21))
    losses = [backpropagate(model, cells, actions, mode, chunk=8) for mode in MODES]
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[2], losses[0])


def test_gradients_accumulate() -> None:
    model = build("lstm")
    cells, actions = typed_cells(2, 9, 8, 24), torch.randint(0, 256, (2, 9))
    whole = [g.clone() for g in gradients(model, cells, actions, "stream", chunk=4)]
    model.zero_grad()
    for row in range(2):
        backpropagate(model, cells[row : row + 1], actions[row : row + 1], "stream", chunk=4, scale=0.5)
    assert largest_difference([p.grad for p in model.parameters() if p.grad is not None], whole) <= 1e-10


def test_chunks_cover_a_ragged_tail() -> None:
    assert list(chunks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose full, stream, stream_embeddings"):
        backpropagate(build("lstm"), typed_cells(1, 2, 8, 24), torch.zeros(1, 2), "half")
