"""The head that reads at the cursor, and the models built on it: cut anywhere, reset anywhere, at any size."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from schema.errors import ConfigError
from tests.training.film import typed_cells
from training.model.config import ModelConfig, preset
from training.model.cursor_head import AROUND, NEAR, STYLES, CursorHead, Span, cells_of, find_cursor, read_spans
from training.model.frame_model import FrameModel
from training.model.gradients import MODES, Film, backpropagate_on, previous_keys

VOCABULARY = 256


def build(rows: int = 8, cols: int = 24, **settings: Any) -> FrameModel:
    torch.manual_seed(0)
    model = FrameModel(preset("tiny", rows, cols, **{"width": 16, "memory": 6, **settings})).double()
    for name, parameter in model.named_parameters():
        if "h0" in name or "c0" in name or "bonus" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def film(lanes: int, steps: int, rows: int = 8, cols: int = 24, resets: bool = False) -> Film:
    torch.manual_seed(3)
    actions = torch.randint(97, 100, (lanes, steps))
    reset_BT = torch.rand(lanes, steps) < 0.15
    return Film(
        typed_cells(lanes, steps, rows, cols, seed=4),
        previous_keys(actions, VOCABULARY),
        actions,
        reset_BT if resets else None,
    )


def logits(model: FrameModel, film: Film, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    found: tuple[Tensor, tuple[Tensor, ...]] = model(film.cells_BTRC, film.previous_BT, state, film.resets_BT)
    return found


def test_the_cursor_is_found_where_it_is_drawn() -> None:
    cells = np.full((2, 3, 5), 32)
    cells[0, 2, 4] += 4 * 256
    cells[1, 0, 1] += 7 * 256  # a cursor on bold reverse
    row, col = find_cursor(cells, 256)
    assert (row.tolist(), col.tolist()) == ([2, 0], [4, 1])


def test_spans_read_the_screen_and_beyond_it() -> None:
    cells = np.arange(12).reshape(1, 3, 4)
    spans = (Span(0, -2, 2), Span(-1, 0, 1), Span(1, 0, 1), Span(-1, 0, 2, fixed=True), Span(-3, -2, 0, fixed=True))
    read = read_spans(cells, np.array([2]), np.array([1]), spans, outside=99)
    assert read[0].tolist() == [99, 8, 9, 10, 5, 99, 8, 9, 2, 3]


@pytest.mark.parametrize(("rows", "cols"), [(1, 2), (4, 24), (12, 40), (48, 160)])
def test_every_geometry_is_read(rows: int, cols: int) -> None:
    head = CursorHead(rows, cols, width=8)
    reading = head.read(typed_cells(1, 3, max(rows, 3), cols)[0, :, :rows].numpy())
    assert reading.near_FN.shape == (3, cells_of(NEAR))
    assert reading.around_FN.shape == (3, cells_of(AROUND))
    assert int(reading.near_FN.max()) <= STYLES * 256
    assert head(reading).isfinite().all()


def test_more_code_points_than_a_byte_are_read() -> None:
    model = build(max_code_point=2000)
    cells = typed_cells(1, 4, 8, 24, code_points=2000).to(torch.int32)
    found, _ = model(cells, torch.full((1, 4), VOCABULARY))
    assert found.isfinite().all()


def test_what_is_far_from_the_cursor_changes_nothing() -> None:
    model = build(24, 80, guesses=0)
    cells = torch.full((1, 1, 24, 80), 32, dtype=torch.int16)
    cells[0, 0, 12, 40] += 4 * 256
    far, near = cells.clone(), cells.clone()
    far[0, 0, 5, 60], near[0, 0, 12, 39] = 97, 97
    before = torch.full((1, 1), VOCABULARY)
    assert torch.equal(model(far, before)[0], model(cells, before)[0])
    assert not torch.equal(model(near, before)[0], model(cells, before)[0])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"memory": 0},
        {"guesses": 0},
        {"screen_attention": 8},
        {"screen_attention": 8, "guesses": 0, "memory": 0},
        {"head": "none", "guesses": 0},
    ],
)
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("chunk", [1, 7])
def test_chunks_of_any_length_give_the_same_logits(chunk: int, resets: bool, settings: dict[str, Any]) -> None:
    model, whole_film = build(**settings), film(3, 20, resets=resets)
    whole, last = logits(model, whole_film)
    state, parts = None, []
    for start in range(0, 20, chunk):
        part, state = logits(model, whole_film.steps(slice(start, start + chunk)), state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert state is not None
    for one, other in zip(state, last, strict=True):
        torch.testing.assert_close(one, other)


def test_a_reset_is_a_new_beginning() -> None:
    model, whole = build(), film(2, 12)
    reset_BT = torch.zeros(2, 12, dtype=torch.bool)
    reset_BT[1, 5] = True
    found, _ = logits(model, whole._replace(resets_BT=reset_BT))
    plain, _ = logits(model, whole)
    tail = whole.steps(slice(5, 12))
    anew = tail.previous_BT.clone()
    anew[:, 0] = VOCABULARY
    fresh, _ = logits(model, tail._replace(previous_BT=anew))
    torch.testing.assert_close(found[0], plain[0])
    torch.testing.assert_close(found[1, :5], plain[1, :5])
    torch.testing.assert_close(found[1, 5:], fresh[1])


def test_one_step_at_a_time_is_the_same_model() -> None:
    model, whole = build(), film(2, 9)
    expected, _ = logits(model, whole)
    state = model.initial_state(2)
    for step in range(9):
        found, state = model.step(whole.cells_BTRC[:, step], whole.previous_BT[:, step], state)
        torch.testing.assert_close(found, expected[:, step])


def test_lanes_do_not_see_each_other() -> None:
    model, whole = build(), film(3, 10, resets=True)
    together, _ = logits(model, whole)
    alone, _ = logits(model, Film(*(each[1:2] for each in whole if each is not None)))
    torch.testing.assert_close(together[1:2], alone)


def test_the_logits_with_a_memory_are_log_probabilities() -> None:
    found, _ = logits(build(), film(2, 9))
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2, 9, dtype=torch.float64))


def test_the_key_to_predict_is_not_seen() -> None:
    model, whole = build(), film(1, 8)
    other = whole.actions_BT.clone()
    other[:, -1] = 5
    changed = whole._replace(actions_BT=other, previous_BT=previous_keys(other, VOCABULARY))
    torch.testing.assert_close(logits(model, changed)[0], logits(model, whole)[0])


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("settings", [{}, {"backbone": "mingru"}, {"backbone": "mamba2"}, {"screen_attention": 8}])
def test_gradients_of_every_mode_equal_full_backpropagation(settings: dict[str, Any], mode: Any, resets: bool) -> None:
    model, whole = build(**settings, matched=False), film(2, 23, resets=resets)
    found = {}
    for name in ("full", mode):
        model.zero_grad()
        losses, after = backpropagate_on(model, whole, None, name, chunk=5)
        found[name] = ({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}, losses, after)
    (full, losses, after), (mine, my_losses, my_after) = found["full"], found[mode]
    assert full.keys() == mine.keys() == {n for n, _ in model.named_parameters()}
    worst = max(float((mine[n] - full[n]).norm() / full[n].norm().clamp_min(1e-12)) for n in full)
    assert worst <= 1e-10
    torch.testing.assert_close(my_losses, losses)
    for one, other in zip(my_after, after, strict=True):
        torch.testing.assert_close(one, other)


def test_a_carried_state_goes_on_and_gets_no_gradient() -> None:
    model, whole = build(), film(2, 20)
    expected, _ = logits(model, whole)
    _, state = backpropagate_on(model, whole.steps(slice(0, 12)), None)
    assert not any(piece.requires_grad for piece in state)
    losses, _ = backpropagate_on(model, whole.steps(slice(12, 20)), state)
    wanted = torch.nn.functional.cross_entropy(
        expected[:, 12:].flatten(0, 1), whole.actions_BT[:, 12:].flatten(), reduction="none"
    )
    torch.testing.assert_close(losses.flatten(), wanted)


def test_the_memory_may_be_lengthened_after_training() -> None:
    model, whole = build(), film(1, 30)
    short, _ = logits(model, whole)
    model.memory_steps = 30
    long, _ = logits(model, whole)
    torch.testing.assert_close(long[:, :7], short[:, :7])
    assert not torch.allclose(long[:, 20:], short[:, 20:])


def test_a_head_that_sees_nothing_needs_the_previous_key() -> None:
    with pytest.raises(ConfigError, match="previous_key is all that is left"):
        preset("tiny", 8, 24, head="none", previous_key=False)


def test_the_published_model_has_nothing_new() -> None:
    names = FrameModel(ModelConfig(rows=8, cols=24, width=16, heads=2)).state_dict()
    assert {name.split(".")[0] for name in names} == {"frame_head", "backbone", "head"}
