"""Settings of a run: flags, file, the published preset; and what the plan makes of them."""

import json
import math
from pathlib import Path

import pytest
import torch

from schema.errors import ConfigError
from tests.training.warehouse import write_warehouse
from training.fit import parse
from training.loop.config import PUBLISHED, FitConfig
from training.loop.plan import Cost, check_memory, choose_window, planned_updates
from training.loop.run import fit
from training.model.config import ModelConfig


def test_flags_win_over_the_file_and_unknown_keys_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('batch = 4\nseed = 3\n[model]\nreduce = "mean"\n')
    config = parse(["--config", str(file), "--seed", "5", "--set", "model.heads=2", "--no-reuse"])
    assert (config.batch, config.seed, config.reuse) == (4, 5, False)
    assert config.model == {"reduce": "mean", "heads": "2"}
    file.write_text("bacth = 4\n")
    with pytest.raises(ConfigError, match="bacth: unknown setting"):
        parse(["--config", str(file)])
    with pytest.raises(ConfigError, match=r"--set heads=2: write model.KEY=VALUE"):
        parse(["--set", "heads=2"])
    with pytest.raises(ConfigError, match="does not divide by accumulate"):
        parse(["--batch", "3", "--accumulate", "2"])


def test_the_paper_preset_trains_as_published_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    paper = parse(["--preset", "paper"])
    assert (paper.optimizer, paper.muon_learning_rate, paper.muon_momentum) == ("muon", 2e-3, 0.0)
    assert (paper.learning_rate, paper.beta1, paper.beta2) == (2e-3, 0.9, 0.999)
    assert (paper.batch, paper.window, paper.mode) == (32, 1024, "stream")
    assert (paper.warmup, paper.decay, paper.freeze_head, paper.clip) == (0, 0, 0, math.inf)
    other = parse(["--preset", "paper", "--optimizer", "adamw", "--batch", "8"])
    assert (other.optimizer, other.batch, other.window) == ("adamw", 8, 1024)
    assert parse(["--preset", "small"]).model_dump(exclude={"preset"}) == parse([]).model_dump(exclude={"preset"})
    assert PUBLISHED.keys() < FitConfig.model_fields.keys()
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert "muon_learning_rate 0.002" in " ".join(capsys.readouterr().out.split())


def test_a_file_whose_model_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"model": 3}')
    with pytest.raises(ConfigError, match="model: a table of model settings is needed"):
        parse(["--config", str(tmp_path / "run.json")])


def test_settings_are_written_as_json_that_every_reader_takes(tmp_path: Path) -> None:
    config = parse(["--clip", "inf"])
    written = json.dumps(config.model_dump(), allow_nan=False)
    (tmp_path / "run.json").write_text(written)
    assert parse(["--config", str(tmp_path / "run.json")]) == config
    assert config.clip == math.inf


def test_a_model_that_cannot_fit_is_refused_before_it_is_built() -> None:
    model = ModelConfig(rows=48, cols=160, width=1024, attention_layers=3, heads=8)
    with pytest.raises(ConfigError, match=r"needs about .* GB for windows of 1048576"):
        check_memory(model, FitConfig(), 1 << 20, torch.device("cpu"), 1)


def test_the_plan_keeps_to_the_minutes() -> None:
    updates = planned_updates(2.0, spent=10.0, cost=Cost(0.5, 2.0), evaluations=4)
    assert 10 + updates * 0.5 + 5 * 2.0 <= 120
    assert updates > 100
    assert choose_window(FitConfig(), 10_000) == 64
    assert choose_window(FitConfig(), 100) < 50
    assert choose_window(FitConfig(window=77), 10) == 77


def test_an_update_that_outlasts_the_minutes_is_refused_before_the_probe(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 900})
    few = {"width": 16, "heads": 2, "downsample_blocks": 1}
    settings = {"shards": str(root), "run": str(tmp_path / "run"), "preset": "tiny", "model": few, "window": 16}
    with pytest.raises(ConfigError, match=r"100000 x 16 steps takes up to .* minutes here, of 0.01 .* --steps 10"):
        fit(FitConfig.model_validate(settings | {"batch": 100_000, "minutes": 0.01, "mode": "stream", "chunk": 1}))
    assert not (tmp_path / "run/config.json").exists()
