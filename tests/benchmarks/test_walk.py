"""The benchmark of the walk runs, and its last line is its figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.report import table
from tests.repositories import make_repository

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.walk", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))


def test_the_last_line_holds_the_figures(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a": b"1\n"}, {"a": b"2\n"}, {"b": b"3\n"})
    done = run("--repo", str(path), "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["commits"] == 3
    assert figures["ratio_git_log_p"] > 0
    assert "measured" in done.stdout.splitlines()[0]


def test_no_repository_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--repo", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"gitreel: repository '{tmp_path}': not a git repository; run git init there, or pass another folder or a URL\n"
    )


def test_numbers_stand_to_the_right() -> None:
    assert table(["what", "n"], [["a", 1], ["b", 2_000]]).splitlines() == [
        "what      n",
        "----  -----",
        "a         1",
        "b     2,000",
    ]
