"""The command line of the rollout."""

import json
from pathlib import Path

import pytest

from tests.training.recorded import REPO, recorded_model
from training.analysis.rollout import (
    SHORT_RUN,
)
from training.loop.config import FitConfig
from training.model.weights import save_weights
from training.rollout import main


def test_help_says_what_to_expect_of_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert " ".join(SHORT_RUN.split()) in " ".join(capsys.readouterr().out.split())


def test_the_command_line(history_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = FitConfig(shards=str(history_root), window=16).model_dump_json()
    for name in ("frame_only", "lstm"):
        save_weights(tmp_path / f"run/models/{name}.safetensors", recorded_model(name), {"run": settings})
    flags = ["--run", str(tmp_path / "run"), "--repo", REPO, "--episode", "1"]
    assert main([*flags, "--keys", "5", "--temperature", "0.5", "--show", "--json"]) == 0
    out = capsys.readouterr().out
    assert "owner/name episode 1, lstm of" in out
    assert "memory warmed on 16 steps" in out
    assert "\n+----" in out
    report = json.loads(out.splitlines()[-1])
    assert report["keys"] <= 5
    assert {"teacher_forced", "on_path", "reached", "reason"} <= report.keys()
    for wrong, words in (
        (["--episode", "77"], "no episode 77"),
        (["--model", "mamba2"], "no model mamba2; it has lstm, frame_only"),
        (["--temperature", "-1"], "--temperature -1.0: a number, at least 0"),
        (["--temperature", "nan"], "--temperature nan: a number, at least 0"),
        (["--seed", "-1"], "--seed -1: a number, at least 0"),
        (["--seed", str(1 << 63)], f"--seed {1 << 63}: a number below {1 << 63}"),
        (["--run", str(tmp_path)], "no finished run"),
    ):
        assert main([*flags, *wrong]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
