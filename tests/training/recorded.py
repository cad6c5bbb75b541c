"""Film of a real history, with models that read it."""

from pathlib import Path
from typing import Any

import torch

from pipeline.replay import replay
from pipeline.shards.writer import StreamWriter
from schema.config import ReplayConfig
from tests.repositories import Repository
from training.model.config import ModelConfig, preset
from training.model.frame_model import FrameModel

REPO = "owner/name"

MODEL: dict[str, Any] = {"rows": 8, "cols": 40, "width": 16, "heads": 2, "matched": False}


def film_history(folder: Path) -> Path:
    """Film of five commits: a new file, edits, wide characters, a name to be quoted, one commit with too many files."""
    repository = Repository(folder / "history")
    repository.commit("Start", {"a.txt": b"one\ntwo\n"})
    repository.commit("Say more", {"a.txt": b"one\ntwo\nthree\n", "it's b.txt": "漢字 x\n".encode()})
    repository.commit("Many", {f"f{n}": b"x\n" for n in range(9)})
    repository.commit("Say less", {"a.txt": b"one\n"})
    repository.commit("Drop it", {"it's b.txt": None})
    root = folder / "warehouse"
    config = ReplayConfig(rows=8, cols=40, max_commit_files=8)
    with StreamWriter(root, REPO, config, licence="MIT") as writer:
        for take in replay(repository.path, REPO, config):
            writer.append(take)
    return root


def recorded_model(backbone: str = "lstm") -> FrameModel:
    """A small model of that film; "learner": one that reads at the cursor, copies, knows the keys and remembers."""
    torch.manual_seed(0)
    if backbone == "learner":
        return FrameModel(preset("tiny", MODEL["rows"], MODEL["cols"], width=16, memory=40)).eval()
    return FrameModel(ModelConfig.model_validate({**MODEL, "backbone": backbone})).eval()
