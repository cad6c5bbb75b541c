"""Exactly T steps of context: what lies before them changes nothing, what lies in them does."""

import numpy as np
import pytest
import torch

from schema.errors import ConfigError
from tests.training.warehouse import COLS, ROWS, write_warehouse
from training.analysis.carried import follow, stretches
from training.analysis.cold import at_contexts, cold_losses, draw_targets, tables_cold
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.key_counts import KeyCounts


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FilmReader:
    return FilmReader(Warehouse(write_warehouse(tmp_path_factory.mktemp("w"), {"a/one": 600, "a/two": 450})))


def model(**settings: object) -> FrameModel:
    torch.manual_seed(0)
    made = ModelConfig.model_validate(
        {"rows": ROWS, "cols": COLS, "width": 16, "head": "cursor", "previous_key": True, **settings}
    )
    return FrameModel(made).double().eval()


@pytest.mark.parametrize("memory", [0, 16])
def test_all_of_a_stream_as_context_is_the_carried_evaluation(reader: FilmReader, memory: int) -> None:
    net = model(memory=memory)
    (track,) = follow(net, reader, stretches([Segment(0, 0, 40)], 40, 39))
    assert cold_losses(net, reader, [(0, 39)], 40)[0] == pytest.approx(track.losses_T[-1], rel=1e-6)


def test_a_target_is_alone_whatever_else_is_asked(reader: FilmReader, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [(0, 30), (1, 400), (0, 599), (1, 31)]
    together = cold_losses(model(), reader, targets, 8)
    monkeypatch.setattr("training.analysis.cold.AT_ONCE", 1)
    assert together.shape == (4,)
    np.testing.assert_allclose(together, [cold_losses(model(), reader, [one], 8)[0] for one in targets], rtol=1e-6)
    assert not np.allclose(together, cold_losses(model(), reader, targets, 9))


def test_one_step_is_the_frame_alone(reader: FilmReader) -> None:
    net = model()
    cells = torch.from_numpy(reader.window(1, 77, 1).cells_TRC)[None]
    logits, _ = net(cells, torch.tensor([[256]]), net.initial_state(1))
    expected = -logits.detach()[0, 0].log_softmax(-1)[int(reader.window(1, 77, 1).action_T[0])]
    assert cold_losses(net, reader, [(1, 77)], 1)[0] == pytest.approx(float(expected), rel=1e-6)


def test_a_target_too_near_to_its_streams_start_is_refused(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="context of 9 steps: every target needs 8 steps of its stream before it"):
        cold_losses(model(), reader, [(0, 8), (0, 7)], 9)
    assert cold_losses(model(), reader, [], 9).shape == (0,)


def test_targets_are_spread_over_all_that_have_the_steps_and_the_same_again() -> None:
    segments = [Segment(0, 100, 104), Segment(1, 0, 50), Segment(2, 7, 12)]
    every = draw_targets(segments, 4)
    assert every == [(0, 103), *[(1, step) for step in range(3, 50)], (2, 10), (2, 11)]
    some = draw_targets(segments, 4, 20)
    assert (len(set(some)), some) == (20, draw_targets(segments, 4, 20))
    assert set(some) < set(every)
    with pytest.raises(ConfigError, match="context of 51 steps: the longest held-out stream has 50"):
        draw_targets(segments, 51)


def test_counts_stand_beside_models_on_the_same_keys(reader: FilmReader) -> None:
    counts = KeyCounts.fit([reader.actions(Segment(0, 0, 600))], 3)
    segments = [Segment(1, 0, 200), Segment(1, 200, 450)]
    result = at_contexts({"lstm": model()}, reader, segments, [1, 8], counts)
    assert result["targets"] == 193 + 243
    assert {name: list(row) for name, row in result["rows"].items()} == {
        "counts of the last T keys": ["1", "8"], "lstm": ["1", "8"]
    }  # fmt: skip
    expected = np.concatenate([counts.losses(reader.actions(one), 8)[7:] for one in segments]).mean()
    assert result["rows"]["counts of the last T keys"]["8"] == pytest.approx(float(expected))
    assert "exactly T steps of context, 436 held-out keys" in tables_cold(result)
