"""Each run in a folder of its own: named by the date, found as runs/latest, gone on with by name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.server import free_port
from schema.errors import ConfigError
from tests.training.runs import MODEL, settings, weights
from training.fit import main, parse
from training.loop.checkpoint import checkpoints, save_checkpoint
from training.loop.config import FitConfig
from training.loop.folder import new_run_folder, resume_command
from training.loop.prepare import prepare
from training.loop.run import Run, fit


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flags(root: Path, **changes: object) -> list[str]:
    """The command line of the tests' tiny run, without a folder."""
    said = settings(root, Path("unused"), **changes).model_dump(exclude={"run", "model", "repo"}, exclude_defaults=True)
    words = []
    for name, value in said.items():
        flag = name.replace("_", "-")
        words.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag}={value}")
    return [*words, *(f"--set=model.{key}={value}" for key, value in MODEL.items())]


def unnamed(root: Path, **changes: object) -> FitConfig:
    return settings(root, Path("unused"), **changes).model_copy(update={"run": None})


def test_the_same_command_twice_gives_two_runs_and_latest_is_the_second(
    root: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = flags(root, steps=1, evaluations=1)
    assert main(command) == 0
    [first] = [path for path in Path("runs").iterdir() if not path.is_symlink()]
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert os.readlink("runs/latest") == first.name
    assert f"written to  {first}/" in capsys.readouterr().out
    assert main([*command, "--seed", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    [second] = {path for path in Path("runs").iterdir() if not path.is_symlink()} - {first}
    assert os.readlink("runs/latest") == second.name
    assert json.loads((second / "config.json").read_text())["run"] == str(second)


def test_a_named_run_leaves_latest_alone(root: Path, here: Path) -> None:
    fit(unnamed(root, steps=1, evaluations=1))
    latest = os.readlink("runs/latest")
    fit(settings(root, Path("runs/mine"), steps=1, evaluations=1))
    assert os.readlink("runs/latest") == latest


def test_a_run_that_is_refused_leaves_no_folder(root: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--window", "5000"], ["--repo", "no/such"], ["--tokens", "7"], ["--set", "model.width=0"]):
        assert main([*flags(root), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not list(here.iterdir())


@pytest.mark.parametrize("in_the_way", ["runs", "runs/latest"])
def test_what_is_in_the_way_is_one_clear_line_and_nothing_stays(
    root: Path, here: Path, capsys: pytest.CaptureFixture[str], in_the_way: str
) -> None:
    if in_the_way == "runs":
        Path("runs").write_text("")
    else:
        Path("runs/latest/mine").mkdir(parents=True)
    before = sorted(here.rglob("*"))
    assert main(flags(root)) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gitreel: {in_the_way}: ")
    assert error.endswith("move it away, or use --run FOLDER\n")
    assert sorted(here.rglob("*")) == before


def interrupted(root: Path, monkeypatch: pytest.MonkeyPatch, at: int = 2) -> Path:
    """A run without a name that was interrupted after `at` updates; 0: before its first checkpoint."""

    def stop(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
        path = save_checkpoint(folder, step, state, keep) if at else folder
        if step >= at:
            raise KeyboardInterrupt
        return path

    with monkeypatch.context() as patch:
        patch.setattr("training.loop.resume.save_checkpoint", stop)
        assert main(flags(root)) == 130
    return Path("runs") / os.readlink("runs/latest")


@pytest.mark.parametrize("at", [0, 4])
@pytest.mark.parametrize("name", ["latest", "its own"])
def test_an_interrupted_run_says_how_to_go_on_and_ends_as_an_undisturbed_one(
    root: Path,
    finished: Path,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    at: int,
    name: str,
) -> None:
    folder = interrupted(root, monkeypatch, at)
    assert capsys.readouterr().err == f"\ninterrupted; go on with it: python -m training.fit --resume {folder}\n"
    assert len(checkpoints(folder / "checkpoints")) == at // 2
    assert main(["--resume", "runs/latest" if name == "latest" else str(folder)]) == 0
    assert f"from update {at:,}" in (folder / "plan.txt").read_text() or not at
    mine, theirs = weights(folder), weights(finished)
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert sorted(path.name for path in Path("runs").iterdir()) == [folder.name, "latest"]


def test_a_run_goes_on_where_its_folder_was_moved(root: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted(root, monkeypatch)
    shutil.move(folder, "elsewhere")
    assert main(["--resume", "elsewhere"]) == 0
    assert Path("elsewhere/summary.json").exists()
    assert not folder.exists()


def test_other_settings_are_refused(
    root: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = interrupted(root, monkeypatch)
    for other in (["--seed", "1"], ["--set", "model.width=8"], ["--run", "runs/x"], ["--overwrite"], ["--no-reuse"]):
        with pytest.raises(ConfigError, match="goes on with that run's own settings; beside it only --steps and"):
            parse(["--resume", str(folder), *other])
    with pytest.raises(ConfigError, match="holds a run with another seed; give this one its own --run FOLDER"):
        prepare(parse([*flags(root, seed=1), "--run", str(folder)]))
    with pytest.raises(ConfigError, match="holds a run with another steps; the learning rate falls"):
        prepare(parse(["--resume", str(folder), "--steps", "9"]))
    assert parse(["--resume", str(folder), "--threads", "2"]).threads == 2
    capsys.readouterr()


def test_a_folder_without_a_run_cannot_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run to go on with; begin one: python -m training\.fit --run"):
        parse(["--resume", str(tmp_path)])
    for text in ("{", "{}", "[]", '{"asked": 3}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match=r"config\.json: does not say how the run was asked for"):
            parse(["--resume", str(tmp_path)])


def test_writing_stays_where_it_began_when_latest_moves_on(root: Path, here: Path) -> None:
    first = new_run_folder()
    run = Run(prepare(settings(root, Path("runs/latest"), steps=1, evaluations=1)))
    second = new_run_folder()
    run.train()
    assert (first / "summary.json").exists()
    assert not any(second.iterdir())


def test_the_command_to_go_on_is_one_that_a_shell_takes() -> None:
    assert resume_command(Path("my runs/a"), 1) == "python -m training.fit --resume 'my runs/a'"
    assert resume_command(Path("a"), 4) == "torchrun --nproc-per-node 4 -m training.fit --resume a"


def test_ranks_share_the_one_folder(root: Path, here: Path) -> None:
    ranks = ["--nproc-per-node", "2", "--master-port", str(free_port())]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", *ranks, "-m", "training.fit"),
            *flags(root, steps=2, evaluations=1, tokens=260), "--no-baseline",
        ],
        capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folders = [path for path in Path("runs").iterdir() if not path.is_symlink()]
    assert [path.name for path in folders] == [os.readlink("runs/latest")]
    assert (folders[0] / "tokenizer.jsonl").exists()
    assert f"torchrun --nproc-per-node 2 -m training.fit --resume {folders[0]}" in done.stdout
