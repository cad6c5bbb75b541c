"""The demo: each in a folder of its own, what it says at its end, and that it ends with the program it runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.demo import BASELINES, filming_speed, main, verdict
from tests.flows.harvesting import Endless

LOSSES: dict[str, Any] = {
    "steps": 90_000, "loss_last": 1.5, "loss_unigram": 3.0, "loss_counts": 1.7, "loss_frame_only": 1.6,
    "loss_counts_4": 1.8,    "loss_keys_only": 1.9, "loss_mixed": 1.4,
}  # fmt: skip


def report(folder: Path, **film: object) -> Path:
    folder.mkdir()
    path = folder / "harvest.json"
    path.write_text(json.dumps({"repositories": [{"repo_id": "a/b", "new_steps": 0, "seconds": 2.0, **film}]}))
    return path


def test_a_history_that_was_filmed_before_has_the_speed_of_that_filming(tmp_path: Path) -> None:
    film = {"repo_id": "a/b", "new_steps": 0, "seconds": 1.0}
    other = report(tmp_path / "other", repo_id="c", new_steps=10)
    nothing = report(tmp_path / "nothing")
    first = report(tmp_path / "first", new_steps=500)
    cut = tmp_path / "cut.json"
    cut.write_text('{"repositories": [')
    assert filming_speed({**film, "new_steps": 30}, [first]) == 30
    assert filming_speed(film, [other, nothing, cut, tmp_path / "none", first]) == 250
    assert filming_speed(film, [other, nothing]) is None


def played(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Path, list[list[str]]]:
    """The folder that a demo says, and the programs that it ran. Training is left out: it takes minutes."""
    started: list[list[str]] = []

    def run(*program: str) -> None:
        started.append(list(program))
        if "training.fit" in program:
            losses = dict.fromkeys((f"loss_{name}" for name in ("first", "last", *BASELINES, "mixed")), 1.0)
            Path(program[program.index("--run") + 1], "summary.json").write_text(json.dumps(losses))
        else:
            subprocess.run([sys.executable, *program], check=True, capture_output=True)

    monkeypatch.setattr("flows.demo.run_program", run)
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert ("--episodes 5 --warehouse film " in said) == ("film" in arguments)  # what to try next can be tried as it is
    return Path(said.split("this demo's folder: ")[1].splitlines()[0]), started


def test_a_second_demo_leaves_the_first_ones_folder_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").mkdir()
    flags = ["--repo", "archive", "--warehouse", "film"]
    with monkeypatch.context() as patch:
        one, programs = played(flags, patch, capsys)
    assert "--overwrite" not in programs[1]
    before = {path: path.read_bytes() for path in one.glob("*.json")}
    assert {path.name for path in before} == {"harvest.json", "summary.json", "demo.json"}
    with monkeypatch.context() as patch:
        two, _ = played(flags, patch, capsys)
    assert one != two
    assert before == {path: path.read_bytes() for path in one.glob("*.json")}
    speeds = [json.loads((folder / "demo.json").read_text())["steps_per_second"] for folder in (one, two)]
    assert speeds[0] == speeds[1] > 0  # filmed once
    assert {path.name for path in Path("runs").iterdir()} == {one.name, two.name}


def test_a_folder_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("")
    assert main([]) == 2
    assert capsys.readouterr().err == "gitreel: runs: Not a directory; run the demo where you may write\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--repo", "nowhere"], "gitreel: repository 'nowhere': no such folder"),
        (["--minutes", "-1"], "gitreel: --minutes -1: a number above 0"),
        (["--minutes", "nan"], "gitreel: --minutes nan: a number above 0"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith(words)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_better_than_every_baseline_is_said_to_be() -> None:
    assert verdict(LOSSES) == (
        "The model, begun with weights of other repositories, has 1.500 nats a held-out step. "
        "It beat unigram 3.000, order-4 counts of keys 1.800, frame-only 1.600, keys-only 1.900, "
        "counts of the best order 1.700. "
        "Mixed with the counts as it reads it has 1.400 and is better than everything above."
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss_counts": 1.5}, "It did NOT beat counts of the best order 1.500. Mixed"),
        (
            {"loss_counts": 1.4, "loss_keys_only": 1.2},
            "NOT beat keys-only 1.200, counts of the best order 1.400. Mixed",
        ),
        ({"loss_mixed": 1.5}, "Mixed with the counts as it reads it has 1.500."),
        ({"loss_mixed": None, "loss_counts": None, "loss_counts_4": None}, "keys-only 1.900."),
        ({"loss_last": 2.0, "loss_keys_only": None}, "Longer training helps: --minutes 10."),
        ({"loss_last": 2.0, "steps": 4_000}, "This history is small: 4,000 steps are little to learn from"),
    ],
)
def test_what_is_not_beaten_is_named_with_what_helps(change: dict[str, Any], words: str) -> None:
    assert words in verdict({**LOSSES, **change})


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_with_the_one_line_of_its_program(tmp_path: Path, kind: int) -> None:
    run = Endless(tmp_path)
    run.command = [sys.executable, "-m", "flows.demo", "--repo", run.hub.url("o/silent"), "--warehouse", "warehouse"]
    with run.started() as process:
        while not any(" fetch " in command for command in run.processes()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        if kind == signal.SIGINT:
            os.killpg(process.pid, kind)
        else:
            process.terminate()
        out, err = process.communicate()
    assert (process.returncode, err.count("\n")) == (130, 1)
    assert err.startswith("interrupted")
    assert out.splitlines()[-1].startswith("$ python -m flows.harvest")
    run.wait_until_no_process_is_left()
