"""The tables along whole streams: every row predicts the same steps, beside counts of the same keys."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.warehouse import COLS, ROWS, write_warehouse
from training.analysis.adapting import AdaptConfig
from training.analysis.along import count_film, evaluate_along, mixed, tables_along
from training.analysis.carried import Stretch, follow, stretches
from training.analysis.command import main
from training.analysis.mixture import mixed_losses
from training.analysis.predictor import as_predictor
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.config import FitConfig
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.key_counts import KeyCounts
from training.model.weights import save_weights

SPLITS = {"a/learn": "train", "a/choose": "validation", "a/test": "test"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FilmReader:
    streams = {"a/choose": 300, "a/learn": 900, "a/test": 500}
    return FilmReader(Warehouse(write_warehouse(tmp_path_factory.mktemp("w"), streams, SPLITS)))


def learner(**settings: Any) -> FrameModel:
    torch.manual_seed(0)
    options = {"head": "cursor", "guesses": 2, "previous_key": True, "skip": True, **settings}
    return FrameModel(ModelConfig(rows=ROWS, cols=COLS, width=16, **options)).eval()


def test_counts_learn_from_the_training_split_and_choose_their_order_on_another(reader: FilmReader) -> None:
    segments, _ = reader.segments(16)
    counts = count_film(reader, segments["train"], segments["validation"])
    (keys,), (chosen_on,) = ([reader.actions(s) for s in segments[name]] for name in ("train", "validation"))
    losses = {order: KeyCounts.fit([keys], order).losses(chosen_on).mean() for order in range(1, 8)}
    assert counts.order == min(losses, key=lambda order: losses[order])
    few = count_film(reader, segments["train"], segments["validation"], most=90)
    expected = KeyCounts.fit([keys[:90]], few.order).losses(chosen_on)
    np.testing.assert_array_equal(few.losses(chosen_on), expected)


def test_every_row_is_worth_what_its_losses_say(reader: FilmReader) -> None:
    parts = [Stretch(2, 0, 100, 500), Stretch(0, 0, 60, 300)]
    counts = KeyCounts.fit([reader.actions(Segment(1, 0, 900))], 3)
    model = as_predictor(learner())
    result = evaluate_along({"lstm": model}, reader, parts, counts, windows=(64, 256), adapt=AdaptConfig())
    rows = result["rows"]
    assert list(rows) == [
        "counts", "counts, 64", "counts, 256", "lstm", "lstm + counts", "lstm, adapting", "lstm, adapting + counts",
    ]  # fmt: skip
    assert result["steps"] == 400 + 240
    counted = [counts.losses(reader.actions(Segment(p.stream, 0, p.stop)), 256)[p.scored :] for p in parts]
    assert rows["counts, 256"]["nats"] == pytest.approx(np.concatenate(counted).mean())
    tracks = [track.losses_T for track in follow(model, reader, parts)]
    assert rows["lstm"]["nats"] == pytest.approx(np.concatenate(tracks).mean(), rel=1e-6)
    both = [mixed_losses(np.stack(pair)) for pair in zip(tracks, counted, strict=True)]
    assert rows["lstm + counts"]["nats"] == pytest.approx(np.concatenate(both).mean(), rel=1e-6)
    assert rows["lstm, adapting"]["nats"] < rows["lstm"]["nats"]
    assert set(rows["lstm"]["by_repo"]) == {"a/test", "a/choose"}


def test_a_mixture_begins_anew_in_every_stretch() -> None:
    first, second = np.full(50, 1.0), np.full(50, 3.0)
    losses = mixed([first, first], [second, second])
    np.testing.assert_array_equal(losses[0], losses[1])


def test_the_command_line_reads_streams_with_every_memory_and_adapting(
    reader: FilmReader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = reader.warehouse.root
    config = FitConfig.model_validate({"shards": str(root), "window": 16})
    save_weights(tmp_path / "run/models/lstm.safetensors", learner(memory=20), {"run": config.model_dump_json()})
    flags = ["--split", "test", "--windows", "2", "--memory", "40", "--adapt", "--json"]
    assert main([str(tmp_path / "run"), *flags]) == 0
    out = capsys.readouterr().out
    result = json.loads(out.splitlines()[-1])["along"]
    assert {"counts, 65,536", "lstm", "lstm, memory 40", "lstm, memory 40, adapting"} <= set(result["rows"])
    assert result["repos"] == ["a/test"]
    assert result["rows"]["lstm"]["nats"] != result["rows"]["lstm, memory 40"]["nats"]
    assert {"visible now"} <= set(result["rows"]["lstm"]["by_lag"])
    assert tables_along(result) in out
    assert main([str(tmp_path / "run"), "--windows", "2", "--steps", "0", "--json"]) == 0
    assert "along" not in json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main([str(tmp_path / "run"), "--memory", "0"]) == 2
    words = "gitreel: --steps and --scored-from: at least 0; --memory and --context: at least 1"
    assert capsys.readouterr().err.startswith(words)
    assert main([str(tmp_path / "run"), "--window", "0"]) == 2
    assert capsys.readouterr().err.startswith("gitreel: --window and --windows: at least 1")
    for flags in (["--adapt"], ["--memory", "40"]):
        assert main([str(tmp_path / "run"), "--steps", "0", *flags]) == 2
        assert "of which --steps 0 reads nothing" in capsys.readouterr().err


def test_streams_of_a_lone_repository_are_read_from_where_its_held_out_part_begins(tmp_path: Path) -> None:
    alone = FilmReader(Warehouse(write_warehouse(tmp_path, {"a/one": 2000})))
    segments, _ = alone.segments(16)
    (part,) = stretches(segments["validation"])
    assert part == Stretch(0, 1800, 1850, 2000)
