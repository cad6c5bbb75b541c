"""An update: it moves against the gradient, and leaves a frozen frame head alone."""

from pathlib import Path

import torch

from tests.training.runs import MODEL
from training.data.batches import Sampler, make_batch
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.config import FitConfig
from training.loop.learner import Learner
from training.model.config import ModelConfig
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
