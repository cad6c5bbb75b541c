"""An update: it moves against the gradient, and leaves a frozen frame head alone."""

from pathlib import Path

import torch

from tests.training.runs import MODEL
from training.data.batches import Sampler, make_batch
from training.data.carried import CarriedBatches
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.config import FitConfig
from training.loop.learner import Learner
from training.model.config import ModelConfig, preset
from training.model.frame_model import FrameModel


def test_an_update_moves_against_the_gradient(root: Path) -> None:
    torch.manual_seed(0)
    learner = Learner(FrameModel(ModelConfig(rows=8, cols=24, **MODEL)), FitConfig(), torch.device("cpu"))
    batch = make_batch(FilmReader(Warehouse(root)), Sampler([Segment(0, 0, 800)], 16), 2, 0)
    first, _ = learner.update(batch, 1.0)
    for _ in range(5):
        last, _ = learner.update(batch, 1.0)
    assert last < first


def test_a_frozen_frame_head_does_not_move(root: Path) -> None:
    torch.manual_seed(0)
    batch = make_batch(FilmReader(Warehouse(root)), Sampler([Segment(0, 0, 800)], 16), 2, 0)
    for mode in ("full", "stream", "stream_embeddings"):
        config = FitConfig(mode=mode, chunk=6)
        learner = Learner(FrameModel(ModelConfig(rows=8, cols=24, **MODEL)), config, torch.device("cpu"))
        before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
        learner.freeze_head(True)
        learner.update(batch, 1.0)
        after = learner.model.state_dict()
        moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert moved == {"backbone", "head"}


def test_only_an_update_moves_the_carried_state(root: Path) -> None:
    """The probe computes gradients of other batches, with other numbers of lanes, before the first update."""
    torch.manual_seed(0)
    config = FitConfig(preset="tiny")
    learner = Learner(FrameModel(preset("tiny", 8, 24, width=16, memory=6)), config, torch.device("cpu"))
    reader, segments = FilmReader(Warehouse(root)), [Segment(0, 0, 800)]
    learner.gradients(make_batch(reader, Sampler(segments, 16), 1, 0))
    lanes = CarriedBatches(reader, segments, lanes=3, length=8)
    learner.gradients(lanes.batch(0))
    assert learner.carried is None
    learner.update(lanes.batch(0), 1.0)
    first = learner.carried
    learner.gradients(lanes.batch(1))
    assert learner.carried is first
    assert first is not None
    assert {len(piece) for piece in first} == {3}


def test_accumulated_lanes_carry_their_own_states(root: Path) -> None:
    reader, segments = FilmReader(Warehouse(root)), [Segment(0, 0, 800)]
    lanes = CarriedBatches(reader, segments, lanes=3, length=8, reset_probability=0.3)
    states = []
    for accumulate in (1, 3):
        torch.manual_seed(0)
        config = FitConfig(preset="tiny", batch=3, accumulate=accumulate)
        learner = Learner(FrameModel(preset("tiny", 8, 24, width=16, memory=6)).double(), config, torch.device("cpu"))
        for number in range(4):
            learner.update(lanes.batch(number), 1.0)
        assert learner.carried is not None
        states.append(learner.carried)
    for whole, parts in zip(*states, strict=True):
        torch.testing.assert_close(parts, whole)


def test_a_restored_learner_goes_on_from_its_state(root: Path) -> None:
    lanes = CarriedBatches(FilmReader(Warehouse(root)), [Segment(0, 0, 800)], lanes=2, length=8)

    def fresh() -> Learner:
        torch.manual_seed(0)
        model = FrameModel(preset("tiny", 8, 24, width=16, memory=6))
        return Learner(model, FitConfig(preset="tiny"), torch.device("cpu"))

    one, other = fresh(), fresh()
    for number in range(3):
        one.update(lanes.batch(number), 1.0)
    other.restore(one.state())
    assert other.update(lanes.batch(3), 1.0) == one.update(lanes.batch(3), 1.0)
