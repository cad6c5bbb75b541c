"""The command line of the training: its settings, clear errors, a killed run, several ranks."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from flows.server import free_port
from schema.errors import ConfigError
from tests.training.runs import MODEL, weights
from training.fit import main, parse
from training.loop.checkpoint import checkpoints, load_checkpoint
from training.loop.config import PUBLISHED, FitConfig
from training.loop.report import read_log
from training.loop.run import fit


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
    with pytest.raises(ConfigError, match=r"--set model.heads=4 and --set model.heads=2 disagree; give only one"):
        parse(["--set", "model.heads=2", "--set", "model.heads=4"])
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


def test_two_ranks_give_one_processs_losses(root: Path, tmp_path: Path) -> None:
    flags = [
        *("--shards", str(root), "--preset", "tiny", "--steps", "5", "--window", "16", "--batch", "4"),
        *("--evaluations", "1", "--validation-windows", "2", "--threads", "1", "--no-baseline", "--freeze-head", "0"),
        *(word for key, value in MODEL.items() for word in ("--set", f"model.{key}={value}")),
    ]
    fit(parse([*flags, "--run", str(tmp_path / "one")]))
    ranks = ["--nproc-per-node", "2", "--master-port", str(free_port())]
    command = [sys.executable, "-m", "torch.distributed.run", *ranks]
    done = subprocess.run(
        [*command, "-m", "training.fit", *flags, "--folder", str(tmp_path / "two")],
        capture_output=True, text=True, timeout=900, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curves = [
        [line["train/lstm"] for line in read_log(tmp_path / name / "log.jsonl") if "train/lstm" in line]
        for name in ("one", "two")
    ]
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    one, two = (load_checkpoint(checkpoints(tmp_path / name / "checkpoints")[-1]) for name in ("one", "two"))
    for alone, together in zip(*(each["models"]["lstm"]["carried"] for each in (one, two)), strict=True):
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)  # the lanes of both ranks, in order


def test_two_ranks_tell_of_an_error_once(tmp_path: Path) -> None:
    ranks = ["--nproc-per-node", "2", "--master-port", str(free_port())]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *ranks, "-m", "training.fit", "--shards", str(tmp_path / "no")],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr.count("gitreel: ") == 1, done.stderr
    assert "no such warehouse; harvest first" in done.stderr
    assert "exitcode  : 2 " in done.stderr


def test_the_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shards", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no such warehouse; harvest first" in error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--set", "model.rows=12"], "model.rows is not set by itself: it comes from the film"),
        (["--set", "model.backbone=gru"], "model.backbone is not set by itself: use --backbone"),
        (["--set", "model.max_code_point=abc"], "model.max_code_point: 'abc' is no number"),
        (["--set", "model.max_code_point=99999999999"], "'99999999999' is no number from 2 to 1114112"),
        (["--backbone", "mamba2", "--backbone-layers", "99"], "mamba2 with 99 layers of width 128 cannot be as small"),
        (["--learning-rate", "inf"], "learning_rate: Input should be a finite number"),
        (["--compile"], "command line: compile needs the plain frame head: add --no-reuse"),
        (["--device", "gpu"], "--device gpu: choose auto, cpu, cuda or mps"),
        (["--device", "meta"], "--device meta: choose auto, cpu, cuda or mps"),
        (["--seed", str(1 << 64)], "command line: seed: Input should be less than"),
        (["--set", "model.=1"], "--set model.=1: write model.KEY=VALUE"),
        (["--set", "model.foo=1"], "preset tiny at 8x24: model.foo: unknown setting"),
        (["--set", "model.width=0"], "model.width: Input should be greater than or equal to 1"),
        (["--backbone", "gru"], "unknown backbone 'gru': choose one of lstm"),
        (["--repo", "no/such"], "no film of no/such; harvest first"),
        (["--window", "5000"], "the longest held-out one 90; use --window 156, or harvest more commits"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_settings_that_cannot_work_are_one_clear_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert (
        main(["--shards", str(root), "--run", str(tmp_path / "run"), "--preset", "tiny", "--steps", "1", *flags]) == 2
    )
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_run_folder_that_cannot_be_made_is_one_clear_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    flags = ["--preset", "tiny", "--steps", "1", "--window", "16", "--batch", "1", "--no-baseline", "--threads", "1"]
    assert main(["--shards", str(root), "--run", str(tmp_path / "file/run"), *flags]) == 2
    error = capsys.readouterr().err
    assert "use another --run folder" in error
    assert error.count("\n") == 1


def test_sigkill_and_the_same_command_again(root: Path, finished: Path, tmp_path: Path) -> None:
    flags = [
        *("--shards", str(root), "--preset", "tiny", "--steps", "6", "--window", "16", "--batch", "2"),
        *("--evaluations", "3", "--validation-windows", "2", "--threads", "1", "--run", str(tmp_path / "run")),
        *(word for key, value in MODEL.items() for word in ("--set", f"model.{key}={value}")),
    ]
    command = [sys.executable, "-m", "training.fit", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not checkpoints(tmp_path / "run/checkpoints") and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert not (tmp_path / "run/summary.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    mine, theirs = weights(tmp_path / "run"), weights(finished)
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
